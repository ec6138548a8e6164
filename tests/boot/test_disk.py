# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks: data goes both ways unchanged, and what is wrong is said in one line."""

import hashlib
import os
import subprocess

import pytest
from conftest import host, run

MIB = 1 << 20


def make_image(path, megabytes=64, files=None):
    """An ext4 image with these files in it."""
    place = path.parent / f"{path.name}.d"
    place.mkdir()
    for name, data in (files or {}).items():
        (place / name).write_bytes(data)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", place, path, f"{megabytes}M"], check=True)
    return path


def from_image(path, name, to):
    subprocess.run(["debugfs", "-R", f"dump {name} {to}", path], check=True, capture_output=True)
    return to.read_bytes()


def guest(script, *args, timeout=90):
    """Run a shell script in a guest; what it printed, by line."""
    assert '"' not in script
    done = run(*args, "--append", f'quiet -- sh -c "{script}"', timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r", "").splitlines()


def test_file_system_on_a_disk(tmp_path):
    data = os.urandom(5 * MIB + 123)
    image = make_image(tmp_path / "ü disk, with spaces.img", files={"data": data})
    lines = guest(
        "mkdir /mnt; mount -t ext4 /dev/vda /mnt && sha256sum /mnt/data; "
        "cat /mnt/data /mnt/data >/mnt/twice; sync; umount /mnt; "
        "ls -1d /sys/block/vda/mq/*; cat /sys/block/vda/queue/write_cache", "--disk", image,
        "--cpus", "2")
    assert any(line.startswith(hashlib.sha256(data).hexdigest()) for line in lines), lines
    assert "/sys/block/vda/mq/1" in lines and "write back" in lines
    subprocess.run(["e2fsck", "-f", "-n", image], check=True, capture_output=True)
    assert from_image(image, "twice", tmp_path / "out") == 2 * data


SEVERAL = r"""
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -d /dev/vda -d /dev/vdb,ro,serial=S-1,direct -p 'console=ttyS0 quiet -- sh -c "mkdir /a /b; mount -t ext4 /dev/vda /a; mount -t ext4 -o ro,noload /dev/vdb /b; cat /a/name /b/name /sys/block/vdb/serial; echo; cat /sys/block/vda/ro /sys/block/vdb/ro; umount /a /b; dd if=/dev/zero of=/dev/vdb count=1 2>/dev/null || echo refused"'
"""


def test_several_disks_with_words(tmp_path):
    image = make_image(tmp_path / "a", files={"name": b"first\n"})
    other = make_image(tmp_path / "b", files={"name": b"second\n"})
    before = other.read_bytes()
    done = host(SEVERAL, "--disk", image, "--disk", other)
    lines = [line for line in done.stdout.replace("\r", "").replace("^@", "").splitlines()
             if "[" not in line]
    assert lines == ["first", "second", "S-1", "0", "1", "refused"], done.stdout
    assert other.read_bytes() == before


# Commands in the host's shell, where $disk is an image of 8 MiB on a RAM disk, and what one line must say.
BROKEN = {
    "missing": ("duvisor run -k /guest/Image -d /no/image", "/no/image"),
    "a directory": ("duvisor run -k /guest/Image -d /tmp", "directory"),
    "empty": (": >/tmp/empty; duvisor run -k /guest/Image -d /tmp/empty", "empty"),
    "spaces and unicode": ("duvisor run -k /guest/Image -d '/tmp/no ü, x'", "bad word ' x'"),
    "cannot be written": ("chmod 444 $disk; chmod 666 /dev/duvisor; chmod 755 / /bin /guest; "
                          "su -s /bin/sh nobody -c \"duvisor run -k /guest/Image -d $disk\"",
                          "add ,ro"),
    "unknown word": ("duvisor run -k /guest/Image -d $disk,rw", "'rw'"),
    "locked": ("duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -d $disk </dev/zero "
               ">/dev/null & sleep 1; duvisor run -k /guest/Image -d $disk; s=$?; kill $!; "
               "wait; (exit $s)", "in use"),
    "no direct I/O": ("mount -t proc p /mnt; duvisor run -k /guest/Image -d /mnt/cmdline,direct",
                      "/mnt/cmdline"),
}


@pytest.fixture(scope="module", name="broken")
def _broken():
    """All cases in one boot of the host: {case: lines}."""
    script = "echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd; mkdir -p /mnt\n"
    for case, (commands, _) in BROKEN.items():
        script += ("disk=/tmp/d.img; rm -f $disk; truncate -s 8M $disk\n"
                   f"echo '== {case}'; ({commands}) 2>&1; echo status $?\n")
    done = host(script)
    return {part.splitlines()[0]: part.splitlines()[1:] for part in done.stdout.split("== ")[1:]}


@pytest.mark.parametrize("case", BROKEN)
def test_images_that_cannot_be_used(broken, case):
    lines = [line for line in broken[case] if "Terminated" not in line]
    assert len(lines) == 2, lines
    assert BROKEN[case][1] in lines[0]
    assert lines[1] == "status 2"


def test_image_in_use_is_said_by_run(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(MIB))
    holder = subprocess.Popen(
        ["/usr/bin/python3", "-c",
         "import fcntl, struct, sys, os\nf = open(sys.argv[1], 'r+b')\n"
         "fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))\n"
         "print(flush=True); input()", image], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    try:
        done = run("--disk", image)
    finally:
        holder.communicate()
    assert done.returncode == 2
    assert "in use" in done.stderr and len(done.stderr.splitlines()) == 1


# The guest reads for ever; the host cuts the image under it.
TRUNCATE = r"""
truncate -s 64M /tmp/d.img
(until [ -e /tmp/go ]; do sleep 0.1; done; truncate -s 1M /tmp/d.img; touch /tmp/cut) &
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz -d /tmp/d.img{words} -p 'console=ttyS0 quiet
 -- sh -c "dd if=/dev/vda of=/dev/null bs=1M iflag=direct && echo whole;
 while dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2>/dev/null; do echo again; done;
 dd if=/dev/vda of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null && echo start is there"' |
while read -r line; do
    echo "$line"
    case $line in *again*) touch /tmp/go ;; esac
done
"""


@pytest.mark.parametrize("words", ["", ",thread"], ids=["uring", "thread"])
def test_image_cut_while_running(words):
    done = host(TRUNCATE.replace("\n -- ", " -- ").replace(";\n ", "; ").format(words=words))
    assert "whole" in done.stdout and "again" in done.stdout, done.stdout
    assert "start is there" in done.stdout
