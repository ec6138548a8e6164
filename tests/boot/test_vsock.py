# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets between guest and host: data both ways at once on several connections, compared."""

import shutil

import pytest
from conftest import BUILD, host, pack, sums

SIZE = (4 << 20) + 77

GUEST_SCRIPT = f"""
cd /tmp
for i in 1 2 3 4; do head -c {SIZE} /dev/urandom >guest$i; done
pipe listen 7003 <guest3 >host3 & pipe listen 7004 <guest4 >host4 &
pipe connect 7001 <guest1 >host1 & pipe connect 7002 <guest2 >host2 &
wait
pipe connect 7009 </dev/null 2>/dev/null || echo nobody there
sha256sum guest? host?
"""

# Who comes too early is refused, so it tries again.
HOST_SCRIPT = f"""
cd /tmp; mkdir 'a place'; gate='a place/ü'
cat /guest/initramfs.cpio.gz /share/extra.gz >initrd
for i in 1 2 3 4; do head -c {SIZE} /dev/urandom >host$i; done
for i in 1 2; do
    /share/pipe listen "./${{gate}}_700$i" <host$i >guest$i &
    until [ -e "./${{gate}}_700$i" ]; do sleep 0.1; done
done
for i in 3 4; do
    (until /share/pipe dial "./$gate" 700$i <host$i >guest$i 2>/dev/null; do sleep 0.3; done) &
done
duvisor run -k /guest/Image -i initrd --vsock "cid=42,socket=$gate" \
    -p 'console=ttyS0 quiet -- sh /vsock' </dev/null >said
echo status $?
wait
pidof duvisor-vsock && echo a process is left
echo; tr -d '\r' <said
echo the host; sha256sum guest? host?
"""


@pytest.fixture(name="share")
def _share(tmp_path):
    """What the guest has beside its own files, and the host in /share."""
    pipe = BUILD / "tests" / "guest" / "pipe"
    files = tmp_path / "files"
    (files / "bin").mkdir(parents=True)
    (files / "vsock").write_text(GUEST_SCRIPT)
    shutil.copy(pipe, files / "bin")
    shutil.copy(pipe, tmp_path)
    pack(files, tmp_path / "extra.gz")
    return tmp_path


def test_data_both_ways(share):
    done = host(HOST_SCRIPT, "--share", share, "--host-memory", "1G", timeout=300)
    guest, _, there = done.stdout.partition("the host\n")
    assert guest.startswith("status 0\n\n"), done.stdout + done.stderr
    assert "nobody there" in guest
    assert len(sums(there)) == len(set(sums(there).values())) == 8, there
    assert sums(guest) == sums(there)


def test_refused_in_one_line():
    done = host("duvisor run -k /guest/Image --vsock cid=3,socket=/no/place; echo status $?")
    lines = (done.stdout + done.stderr).splitlines()
    assert "status 2" in lines
    assert len([line for line in lines if "/no/place" in line]) == 1, lines
