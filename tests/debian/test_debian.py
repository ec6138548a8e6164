# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian 13 from a disk image that scripts/image makes: it boots, works, and survives."""

import contextlib
import hashlib
import os
import random
import re
import socket
import subprocess
import threading

import pytest
from conftest import host, run
from debian import BOOT, LOGIN_SECONDS, copy_of, fsck, image_of, login, power_off

MIB = 1 << 20
# How often the hypervisor is killed; docs/building.md says how to do more.
KILLS = int(os.environ.get("DUVISOR_KILLS", "3"))


@pytest.fixture(name="image")
def _image(tmp_path):
    copy = copy_of(image_of("debian"), tmp_path)
    yield copy
    copy.unlink()


@contextlib.contextmanager
def served(data):
    """A TCP port of this machine that gives this to who connects first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_systemd_network_and_a_clean_end(console, image):
    guest = login(console, image, "--", "--network", "mode=user")
    assert guest.ask("systemctl is-system-running --wait") == "running"
    assert guest.ask("systemctl is-active multi-user.target") == "active"
    assert "VERSION_ID=\"13\"" in guest.ask("cat /etc/os-release")
    assert guest.ask("dpkg --audit; dpkg -l | grep -c '^i[^i]'") == "0"
    assert guest.ask("/usr/lib/systemd/systemd-networkd-wait-online -i eth0; echo $?").endswith("0")
    assert "10.0.2.15/24" in guest.ask("ip -color=never -br address show eth0")
    data = os.urandom(4 * MIB + 77)
    with served(data) as port:
        said = guest.ask(f"sha256sum </dev/tcp/10.0.2.2/{port}")
    assert said.split()[0] == hashlib.sha256(data).hexdigest()
    guest.ask("echo kept >/srv/file")
    power_off(guest, image)
    kept = subprocess.run(["debugfs", "-R", "cat /srv/file", image], check=True,
                          capture_output=True)
    assert kept.stdout == b"kept\n"


def test_reproducible(tmp_path):
    """The same packages, configured another time, make the same bytes."""
    first, second = image_of("debian"), image_of("debian", tmp_path / "again.img")
    done = subprocess.run(["cmp", first, second], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    second.unlink()


HOSTED = r"""
systemctl is-system-running --wait | cat; hostname; . /etc/os-release; echo $VERSION_ID; cat /share/name
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -n mode=user -p 'console=ttyS0 quiet -- sh -c "
    nc 10.0.2.2 PORT </dev/null | sha256sum; exit 1"' </dev/null
echo "status $?"
findmnt -n -o SOURCE /
"""


def test_debian_is_the_host(image, tmp_path):
    data = os.urandom(MIB + 77)
    (tmp_path / "name").write_text("shared\n", encoding="ascii")
    with served(data) as port:
        done = host(HOSTED.replace("PORT", str(port)), "--host-disk", image, "--share", tmp_path,
                    timeout=LOGIN_SECONDS)
    lines = done.stdout.replace("\r", "").splitlines()
    assert lines[:4] == ["running", "host", "13", "shared"], done.stdout + done.stderr
    assert any(line.startswith(hashlib.sha256(data).hexdigest()) for line in lines), done.stdout
    assert lines[-2:] == ["status 1", "/dev/vda"], done.stdout
    assert done.returncode == 0
    fsck(image)
    # A guest with a disk of its own, by scripts/run's own words; its status is the run's.
    disk = tmp_path / "disk"
    disk.write_bytes(data[:MIB])
    done = run("--host-disk", image, "--disk", disk, "--append", "quiet -- sh -c "
               "\"sha256sum /dev/vda; exit 3\"", timeout=LOGIN_SECONDS)
    assert hashlib.sha256(data[:MIB]).hexdigest() in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    fsck(image)


# --- the hypervisor is killed -------------------------------------------------

# The guest's first process: what was on the disk when the guest was told so is there the next time.
WRITER = r"""#!/bin/bash
mount -t proc proc /proc
mkdir -p /srv/kept && cd /srv/kept
for sum in [0-9]*.sum; do
    [ "$sum" = '[0-9]*.sum' ] || sha256sum --quiet -c $sum || echo "broken: $sum"
done
last=$(ls | sed -n 's/^\([0-9]*\)\.sum$/\1/p' | sort -n | tail -n 1)
echo "found: ${last:-0}"
ls | sed -n 's/^\([0-9]*\)\.sum$/\1/p' | sort -n | head -n -5 | while read n; do rm $n $n.sum; done
if [ "$1" = end ]; then
    mount -o remount,ro / && echo o >/proc/sysrq-trigger
    sleep 1000
fi
for ((n = last + 1; ; n++)); do
    head -c $((RANDOM * 16)) /dev/urandom >new
    sha256sum new | sed "s/new/$n/" >new.sum
    sync new new.sum
    mv new $n && mv new.sum $n.sum
    sync .
    echo "synced: $n"
done
"""

KILLER = r"""
boot() {
    exec duvisor run -k /job/kernel -i /job/initrd -m 256M -d /dev/vda --no-reboot -p "console=ttyS0 panic=-1 root=/dev/vda init=/srv/writer $1" </dev/null
}
for wait in WAITS; do
    boot >/tmp/out 2>&1 &
    until [ $(grep -c synced: /tmp/out) -ge $wait ]; do
        kill -0 $! || break
        usleep 20000
    done
    kill -9 $!
    wait $!
    echo "status: $?"
    grep -E 'EXT4-fs|^found|broken|FAILED|^synced|duvisor:' /tmp/out
    echo next:
done
"""
END = """(boot end) >/tmp/out 2>&1; echo "status: $?"; grep -E 'EXT4-fs|^found|broken|FAILED' /tmp/out"""


def numbers(word, text):
    return [int(number) for number in re.findall(rf"^{word}: (\d+)\s*$", text, re.M)]


def test_killed(image, tmp_path):
    (tmp_path / "writer").write_text(WRITER, encoding="utf-8")
    subprocess.run(["debugfs", "-w", "-f", "-", image], check=True, capture_output=True, text=True,
                   input=f"write {tmp_path}/writer /srv/writer\nsif /srv/writer mode 0100755\n")
    waits = [random.randint(1, 12) for _ in range(KILLS)]
    print("files before each kill:", waits)
    done = host(KILLER.replace("WAITS", " ".join(map(str, waits))) + END, *BOOT, "--disk", image,
                timeout=120 + 60 * KILLS)
    said = done.stdout.replace("\r", "").replace("^@", "")
    rounds = said.split("next:\n")
    assert len(rounds) == KILLS + 1 and "broken" not in said and "FAILED" not in said, said
    promised = 0
    for number, text in enumerate(rounds):
        assert numbers("status", text) == [0 if number == KILLS else 137], text
        assert ("recovery complete" in text) == (number > 0), text
        found = numbers("found", text)
        assert len(found) == 1 and promised <= found[0] <= promised + 1, said
        promised = max([found[0], *numbers("synced", text)])
    fsck(image)
