# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks: data through passt and TAP, both ways, compared; and what is wrong said in one line."""

import hashlib
import http.server
import os
import threading

import pytest
from conftest import host

MIB = 1 << 20
# How much is a lot, in MiB. With 1024 the host has 3 GiB of memory.
LOT = int(os.environ.get("DUVISOR_TEST_NET_MIB", "256"))
# In seconds. With 256, both ways take less than the ten minutes that Meson gives them: one that hangs is told of.
LOT_TIMEOUT = 150 + LOT // 2
GUEST = "duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz"


def guest(script):
    """The last words of duvisor's command line for this script in the guest."""
    assert "'" not in script and '"' not in script
    return f"""-p 'console=ttyS0 quiet -- sh -c "{script}"' </dev/null"""


def lines_of(done):
    return done.stdout.replace("\r", "").replace("^@", "").splitlines()


@pytest.fixture(name="server")
def _server():
    """A web server on this machine's loopback: GET gives .data."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802, the library's name
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.data)))
            self.end_headers()
            self.wfile.write(self.server.data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def from_this_machine(server, size, timeout):
    server.data = os.urandom(size)
    done = host(f"{GUEST} -m {256 + 2 * size // MIB}M -n mode=user " + guest(
        f"wget -q -O /tmp/data http://10.0.2.2:{server.server_port}/; sha256sum /tmp/data; "
        "cat /sys/class/net/eth0/mtu"),
        "--host-memory", f"{1024 + 2 * size // MIB}M", timeout=timeout)
    want = hashlib.sha256(server.data).hexdigest()
    assert f"{want}  /tmp/data" in lines_of(done), done.stdout + done.stderr
    assert "65520" in lines_of(done)


def from_guest(size, timeout):
    done = host(
        f"{GUEST} -m {256 + 2 * size // MIB}M -n mode=user,tcp=8080:80 " + guest(
            f"cd /tmp; head -c {size} /dev/urandom >up; sha256sum up; httpd -f -p 80 -h /tmp")
        + f" >/tmp/out &\nfor i in $(seq {timeout}); do sleep 0.5; "
        "wget -q -O - http://127.0.0.1:8080/up 2>/dev/null >/tmp/got && break; "
        "done; sha256sum </tmp/got | cut -c1-64; kill $!; wait; cut -c1-64 /tmp/out | tail -n 1",
        "--host-memory", f"{1024 + 2 * size // MIB}M", timeout=timeout)
    sums = lines_of(done)
    assert len(sums) == 2 and sums[0] == sums[1][-64:] and len(sums[0]) == 64, done.stdout


def test_user_network_reaches_this_machine(server):
    from_this_machine(server, 16 * MIB + 77, 90)


def test_port_is_forwarded():
    from_guest(16 * MIB + 77, 90)


@pytest.mark.slow
def test_a_lot_of_data_from_this_machine(server):
    from_this_machine(server, LOT * MIB, LOT_TIMEOUT)


@pytest.mark.slow
def test_a_lot_of_data_from_the_guest():
    from_guest(LOT * MIB, LOT_TIMEOUT)


def test_connections_wait_while_the_guest_stands_still():
    """passt would not survive a frame of theirs for which its socket has no room."""
    page = "wget -q -T 5 -O - http://127.0.0.1:8080/index.html 2>/dev/null"
    done = host(
        f"{GUEST} -n mode=user,tcp=8080:80 " + guest(
            "cd /tmp; echo here >index.html; httpd -f -p 80") + " >/tmp/out 2>&1 &\npid=$!\n"
        f"until {page}; do sleep 0.2; done; kill -STOP $pid\n"
        "for i in $(seq 300); do nc 127.0.0.1 8080 </dev/null >/dev/null 2>&1 & done; sleep 1; kill -CONT $pid\n"
        f"for i in $(seq 50); do {page} && break; sleep 0.2; done; kill $pid; wait $pid; tail -n 1 /tmp/out")
    assert lines_of(done)[:2] == ["here", "here"], done.stdout + done.stderr


@pytest.mark.parametrize("cpus", [1, 2])
def test_tap(cpus):
    done = host(
        "head -c 20000000 /dev/urandom >/tmp/data; sha256sum </tmp/data\n"
        "(until ip addr add 192.168.7.1/24 dev tap7 2>/dev/null; do sleep 0.1; done; "
        "ip link set tap7 up; httpd -p 192.168.7.1:80 -h /tmp) &\n"
        f"{GUEST} --cpus {cpus} -n mode=tap,tapif=tap7,mac=02:00:00:00:00:07 " + guest(
            "ip addr add 192.168.7.2/24 dev eth0; cat /sys/class/net/eth0/address; "
            "ls -1d /sys/class/net/eth0/queues/*; "
            "wget -q -O - http://192.168.7.1/data | sha256sum"))
    lines = lines_of(done)
    # The kernel may speak in the middle of a line.
    assert any(line.startswith(lines[0]) for line in lines[1:]), done.stdout + done.stderr
    assert "02:00:00:00:00:07" in lines
    assert f"/sys/class/net/eth0/queues/rx-{cpus - 1}" in lines
    assert f"/sys/class/net/eth0/queues/rx-{cpus}" not in lines


# Commands in the host's shell, and what the only line must say.
BROKEN = {
    "no passt": ("PATH=/bin duvisor run -k /guest/Image -n mode=user", "passt"),
    "no permission for TAP": (
        "chmod 666 /dev/duvisor /dev/net/tun; chmod 755 / /bin /guest; su -s /bin/sh nobody -c "
        "'duvisor run -k /guest/Image -n mode=tap,tapif=tap0'", "tap0"),
    "no TAP at all": ("mv /dev/net/tun /dev/net/none; duvisor run -k /guest/Image -n mode=tap",
                      "TAP"),
    "unknown mode": ("duvisor run -k /guest/Image -n mode=magic", "the modes are"),
}


@pytest.fixture(scope="module", name="broken")
def _broken():
    script = "".join(f"echo '== {case}'; ({commands}) 2>&1; echo status $?\n"
                     for case, (commands, _) in BROKEN.items())
    return {part.splitlines()[0]: part.splitlines()[1:]
            for part in host(script).stdout.split("== ")[1:]}


@pytest.mark.parametrize("case", BROKEN)
def test_networks_that_cannot_be_used(broken, case):
    assert len(broken[case]) == 2, broken[case]
    assert BROKEN[case][1] in broken[case][0]
    assert broken[case][1] == "status 2"
