# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian guest for tests: its disk image, its shell, its end."""

import os
import subprocess

import pytest
from conftest import BUILD, ROOT

INITRD = BUILD / "debian-disk.cpio.gz"
IMAGES = {"debian": "debian", "applications": "debian-applications"}
BOOT = ("--kernel", "debian", "--initrd", INITRD, "--memory", "512M")
# Also what the slowest command in the guest may take.
LOGIN_SECONDS = 300


def image_of(kind, output=None):
    """An image of scripts/image, in the build folder unless named; made at its first use."""
    if os.environ.get("DUVISOR_SOURCES") or not (BUILD / "boot" / "debian-Image").exists():
        pytest.skip("the image needs the package archive and Debian's kernel")
    output = output or BUILD / f"{IMAGES[kind]}.img"
    done = subprocess.run([ROOT / "scripts" / "image", kind, "--no-build", "--output", output],
                          check=False, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return output


def copy_of(image, folder):
    """The image for one test or file of tests, which it may change."""
    copy = folder / image.name
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    return copy


def fsck(image):
    done = subprocess.run(["e2fsck", "-f", "-n", image], check=False, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout


def login(console, image, *words):
    """Boot the image; its root's shell, at the prompt that ask() knows."""
    guest = console(*BOOT, "--disk", image, "--append", "console=ttyS0 quiet root=/dev/vda",
                    *words, timeout=LOGIN_SECONDS)
    guest.expect_exact("root@guest:~# ")
    guest.sendline("exec env TERM=dumb PS1='gu''est# ' bash --norc --noediting")
    guest.expect_exact("guest# ")
    return guest


def power_off(guest, image):
    """End a guest at its prompt: all is on the disk, and well."""
    guest.sendline("poweroff")
    assert guest.finish() == 0
    fsck(image)
