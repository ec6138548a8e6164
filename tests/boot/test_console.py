# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's console in its other forms: the virtio device, a pseudoterminal, a socket, a file."""

from conftest import host

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


def test_socket_refused_in_one_line():
    done = host(f"{GUEST} --console socket=/no/place; echo status $?; "
                f"{GUEST} --console file=/no/place; echo status $?")
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and lines[1] == lines[3] == "status 2", lines
    assert all("/no/place" in line for line in lines[::2])
