# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's console in its other forms: the virtio device, a pseudoterminal, a socket, a file."""

import shutil

import pytest
from conftest import BUILD, host, pack, sums

GUEST = "duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz"


def test_virtio_console(console):
    guest = console("--", "--console", "virtio")
    guest.expect_exact("guest# ")
    assert "console=hvc1" in guest.ask("cat /proc/cmdline")
    assert "hvc1" in guest.ask("cat /proc/consoles")
    assert guest.ask("ls /sys/bus/virtio/drivers/virtio_console | grep virtio")
    assert guest.ask("stty size") == "40 132"
    lines = guest.ask("seq 300").splitlines()
    assert lines == [str(i) for i in range(1, 301)]
    guest.sendline("exit")
    assert guest.finish() == 0


def test_file(tmp_path):
    done = host(f"{GUEST} --console 'file=/tmp/out ü' -p 'console=ttyS0 quiet -- echo to a file' "
                "</dev/null; echo status $?; cat '/tmp/out ü'")
    assert done.stdout.replace("\r", "").splitlines()[:2] == ["status 0", "to a file"]


# A client comes late, sees what was said before, types, leaves; another one comes.
LATE = r"""
mkfifo /tmp/in
{guest} --console {console} -p 'console=ttyS0 quiet' 2>/tmp/err </dev/null &
until [ -e /tmp/con ]; do sleep 0.1; done; sleep 4
{attach}
wait $!; echo status $?
"""


def test_pseudoterminal():
    attach = r"""
exec 5<>/tmp/con; echo 'echo typ""ed' >&5
while read -r line <&5; do echo "first: $line"; case $line in typed*) break ;; esac; done
exec 5<&-; sleep 1
exec 5<>/tmp/con; echo 'exit' >&5
while read -r line <&5; do echo "second: $line"; done"""
    done = host(LATE.format(guest=GUEST, console="pty=/tmp/con", attach=attach))
    lines = done.stdout.replace("\r", "").splitlines()
    assert any(line.startswith("first: BusyBox") for line in lines), done.stdout
    assert "first: typed" in lines and "second: typed" in lines
    assert lines[-1] == "status 0"


@pytest.mark.parametrize("option", ["--console ", "--port name=p,"])
def test_place_refused_in_one_line(option):
    done = host(f"{GUEST} {option}socket=/no/place; echo status $?; "
                f"{GUEST} {option}file=/no/place; echo status $?")
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and lines[1] == lines[3] == "status 2", lines
    assert all("/no/place" in line for line in lines[::2])


# --- ports with names -------------------------------------------------------------

SIZE = (2 << 20) + 77

# Both ports at once, two clients of each one after the other. A read returns nothing while there is no client.
PORTS_IN_GUEST = f"""
cd /tmp
cat /sys/class/virtio-ports/*/name
serve() {{
    exec 3<>/dev/$1
    for i in 1 2; do
        head -c {SIZE} /dev/urandom >guest.$2.$i
        cat guest.$2.$i >&3 & : >host.$2.$i
        until have=$(stat -c %s host.$2.$i); [ $have = {SIZE} ]; do
            head -c $(({SIZE} - have)) <&3 >>host.$2.$i; sleep 0.1
        done
        wait
    done
}}
for port in /sys/class/virtio-ports/*; do
    name=$(cat $port/name)
    case $name in one | two) serve ${{port##*/}} $name & ;; log) echo to the log >/dev/${{port##*/}} ;; esac
done
wait
sha256sum guest.* host.*
"""

PORTS_IN_HOST = f"""
cd /tmp; mkdir 'a place'
cat /guest/initramfs.cpio.gz /share/extra.gz >initrd
for name in one two; do for i in 1 2; do head -c {SIZE} /dev/urandom >host.$name.$i; done; done
client() {{
    for i in 1 2; do
        until /share/pipe fetch "./a place/$1" {SIZE} <host.$1.$i >guest.$1.$i 2>/dev/null; do sleep 0.2; done
    done
}}
client one & client two &
"""


@pytest.mark.parametrize("device, terminal", [("virtio", "hvc1"), ("serial", "ttyS0")])
def test_ports_both_ways_and_clients_come_back(tmp_path, device, terminal):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "ports").write_text(PORTS_IN_GUEST)
    pack(tmp_path / "files", tmp_path / "extra.gz")
    shutil.copy(BUILD / "tests" / "guest" / "pipe", tmp_path)
    done = host(f"""{PORTS_IN_HOST}
duvisor run -k /guest/Image -i initrd --console {device} -p 'console={terminal} quiet -- sh /ports' \
    --port 'name=one,socket=a place/one' --port name=two,socket='/tmp/a place/two' --port name=log,file=log \
    </dev/null >said
echo status $?
wait; cat log; tr -d '\r' <said
echo the host; sha256sum guest.* host.*
""", "--share", tmp_path, "--host-memory", "1G", timeout=300)
    guest, _, there = done.stdout.partition("the host\n")
    lines = guest.splitlines()
    assert lines[:2] == ["status 0", "to the log"], done.stdout + done.stderr
    assert sorted(lines[2:5]) == ["log", "one", "two"], guest
    assert len(sums(there)) == len(set(sums(there).values())) == 8, there
    assert sums(guest) == sums(there)


def test_size_with_ports(console):
    guest = console("--", "--console", "virtio", "--port", "name=p,pty")
    guest.expect_exact("guest# ")
    assert guest.ask("stty size") == "40 132"
    assert guest.ask("cat /sys/class/virtio-ports/vport*/name") == "p"
    guest.sendline("exit")
    assert guest.finish() == 0
