# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications in a Debian guest: load from their own generators, and data that is compared.

What comes from this machine goes through the emulated host's network, passt and virtio-net."""

import hashlib
import json
import os
import random
import re
import socket
import urllib.request

import pytest
from conftest import Console, host
from debian import BOOT, copy_of, image_of, login, power_off

# By the guest's port: that of the emulated host.
PORTS = {6379: 6379, 11211: 11211, 80: 8080}
MIB = 1 << 20


class Machine:
    """A guest that serves all tests of this file."""

    def __init__(self, image):
        # Below those that the kernel hands out by itself.
        first = random.randrange(20000, 30000, 10)
        self.ports = {port: first + i for i, port in enumerate(PORTS)}
        forward = [word for port, ours in self.ports.items()
                   for word in ("--forward", f"{ours}:{PORTS[port]}")]
        network = "".join(f",tcp={host}:{port}" for port, host in PORTS.items())
        self.console = login(Console, image, *forward, "--", "--network", "mode=user" + network)
        self.ask("/usr/lib/systemd/systemd-networkd-wait-online -i eth0")

    def ask(self, command):
        """A command that is to succeed; what it said."""
        said, _, status = self.console.ask(f"{command}; echo \"status $?\"").rpartition("status ")
        assert status == "0", f"{command}: {said}status {status}"
        return said.strip()

    def stream(self, port):
        peer = socket.create_connection(("127.0.0.1", self.ports[port]), timeout=300)
        with peer:
            return peer.makefile("rwb")


@pytest.fixture(scope="module", name="guest")
def _guest(tmp_path_factory):
    image = copy_of(image_of("applications"),
                    tmp_path_factory.mktemp("applications"))
    machine = Machine(image)
    yield machine
    power_off(machine.console, image)
    image.unlink()


def some_data(count):
    return {b"key:%d" % number: os.urandom(random.randint(1, 4000)) for number in range(count)}


def redis_command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def test_redis(guest):
    guest.ask("sed -i 's/^bind .*/bind */; s/^protected-mode yes/protected-mode no/' "
              "/etc/redis/redis.conf && systemctl restart redis-server")
    data = some_data(1000)
    with guest.stream(6379) as redis:
        redis.write(b"".join(redis_command(b"SET", *item) for item in data.items()))
        redis.flush()
        assert all(redis.readline() == b"+OK\r\n" for _ in data)
    # From memory, and after a restart from the disk.
    for command in ("redis-cli save", "systemctl restart redis-server"):
        guest.ask(command)
        with guest.stream(6379) as redis:
            redis.write(b"".join(redis_command(b"GET", key) for key in data))
            redis.flush()
            for value in data.values():
                assert redis.readline() == b"$%d\r\n" % len(value)
                assert redis.read(len(value) + 2) == value + b"\r\n"
    said = guest.ask("redis-benchmark -n 2000 -c 20 -q -t set,get,lpush,lpop")
    assert said.count("requests per second") == 4, said
    assert guest.ask("redis-cli dbsize") != "0"


def test_memcached(guest):
    guest.ask("sed -i 's/^-l 127.*/-l 0.0.0.0/' /etc/memcached.conf && systemctl restart memcached")
    guest.ask("until memcstat --servers=127.0.0.1 >/dev/null; do sleep 0.2; done")
    data = some_data(1000)
    with guest.stream(11211) as cache:
        for key, value in data.items():
            cache.write(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        cache.flush()
        assert all(cache.readline() == b"STORED\r\n" for _ in data)
        for key, value in data.items():
            cache.write(b"get %s\r\n" % key)
            cache.flush()
            assert cache.readline() == b"VALUE %s 0 %d\r\n" % (key, len(value))
            assert cache.read(len(value) + 2) == value + b"\r\n" and cache.readline() == b"END\r\n"
    for kind in ("set", "get"):
        guest.ask("memcslap --servers=127.0.0.1 --concurrency=4 --execute-number=200 "
                  f"--test={kind}")


def test_nginx(guest):
    web = "/var/www/html"
    want = guest.ask(f"head -c {16 * MIB + 77} /dev/urandom >{web}/data && sha256sum <{web}/data")
    url = f"http://127.0.0.1:{guest.ports[80]}/data"
    with urllib.request.urlopen(url, timeout=300) as answer:
        got = answer.read()
    assert hashlib.sha256(got).hexdigest() == want.split()[0] and len(got) == 16 * MIB + 77
    said = guest.ask("ab -q -n 500 -c 8 http://127.0.0.1/index.nginx-debian.html")
    assert re.search(r"Complete requests: +500\s", said), said
    assert re.search(r"Failed requests: +0\s", said) and "Non-2xx" not in said, said
    said = guest.ask("wrk -t 1 -c 8 -d 3s http://127.0.0.1/index.nginx-debian.html")
    assert re.search(r"\b[1-9]\d* requests in ", said), said
    assert "errors" not in said and "Non-2xx" not in said, said


def test_sqlite(guest):
    rows = 20000
    guest.ask("rm -f /srv/db; sqlite3 /srv/db 'CREATE TABLE t(i INTEGER PRIMARY KEY, v); "
              f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
              "INSERT INTO t SELECT i, i * 7919 % 10007 FROM n; CREATE INDEX x ON t(v)'")
    # Each a transaction of its own, with its flushes of the disk.
    guest.ask(f"seq {rows + 1} {rows + 100} | sed 's/.*/INSERT INTO t VALUES(&, &);/' | "
              "sqlite3 /srv/db")
    guest.ask("sync; echo 3 >/proc/sys/vm/drop_caches")
    total = sum(i * 7919 % 10007 for i in range(1, rows + 1)) + sum(range(rows + 1, rows + 101))
    said = guest.ask("sqlite3 /srv/db 'PRAGMA integrity_check; SELECT count(*), sum(v) FROM t'")
    assert said.split() == ["ok", f"{rows + 100}|{total}"]


@pytest.mark.parametrize("engine", ["io_uring", "libaio"])
def test_fio(guest, engine):
    said = guest.ask(
        f"fio --name=verify --filename=/srv/fio --size=32M --ioengine={engine} --iodepth=16 "
        "--direct=1 --rw=randwrite --bsrange=4k-64k --verify=crc32c --verify_fatal=1 --randrepeat=0")
    assert "err= 0" in said and re.search(r"READ: .*io=3[12]\.", said), said
    guest.ask("rm /srv/fio")


def test_hackbench(guest):
    assert "Time: " in guest.ask("hackbench -g 2 -l 100")
    assert "Time: " in guest.ask("hackbench -g 2 -l 100 -p -T")


def test_stress_ng(guest):
    said = guest.ask("stress-ng --verify --no-rand-seed --timeout 5m --cpu 1 --cpu-ops 30 --vm 1 "
                     "--vm-bytes 16M --vm-ops 2000 --hdd 1 --hdd-bytes 16M --hdd-ops 200 "
                     "--futex 1 --futex-ops 500 --switch 1 --switch-ops 500 2>&1")
    assert re.search(r"passed: 5\b", said) and re.search(r"failed: 0\b", said), said


def test_torture_of_the_file_system(guest):
    """All of these at once on the disk; when the guest has gone, e2fsck looks at what they have left."""
    kinds = ("copy-file", "dentry", "dir", "fallocate", "filename", "fpunch", "iomix", "link", "metamix",
             "rename", "symlink", "utime", "xattr")
    # By default two of them fill the disk, and fpunch takes a range for zeroed though there was no space for that.
    said = guest.ask("mkdir -p /srv/torture && stress-ng --verify --no-rand-seed --timeout 90 "
                     "--temp-path /srv/torture --metrics-brief --fallocate-bytes 128M --iomix-bytes 128M "
                     + " ".join(f"--{kind} 1" for kind in kinds) + " 2>&1")
    assert re.search(r"failed: 0\b", said) and re.search(rf"passed: {len(kinds)}\b", said), said
    guest.ask("sync; rm -r /srv/torture")


def test_sysbench(guest):
    for test, words in (("cpu", ""), ("threads", "--threads=4"),
                        ("memory", "--memory-total-size=64M")):
        said = guest.ask(f"sysbench {test} {words} --events=50 --time=0 run")
        assert re.search(r"total number of events: +[1-9]", said), said


# --- netperf and iperf3 -------------------------------------------------------

# The clients run in the emulated host, from the same image, which nobody writes to. Between two tests a server of
# iperf3 does not listen for a moment: each test has one of its own.
# The guest speaks first, in vain: until then passt does not know its address, and drops the first connection.
MEASURE = r"""
mkdir /debian && mount -t ext4 -o ro,noload /dev/vda /debian && mount -t tmpfs tmp /debian/tmp &&
    mount -o bind /dev /debian/dev && mount -t proc proc /debian/proc || exit
duvisor run -k /job/kernel -i /job/initrd -m 512M -d /dev/vda,ro -n NETWORK -p 'console=ttyS0 quiet ro root=/dev/vda init=/bin/sh -- -c "
    mount -t proc proc /proc && mount -t tmpfs tmp /tmp && modprobe virtio_net &&
    ip link set lo up && ip addr add ADDRESS/24 dev eth0 && ip link set eth0 up &&
    netserver && for port in 5201 5202 5203; do iperf3 -s -D -p $port; done &&
    for port in 5201 5202 5203 12865; do until ss -Hltn sport = $port | grep -q .; do sleep 0.1; done; done &&
    { iperf3 -c 10.0.2.2 -p 9 --connect-timeout 2000; echo serving; } && exec sleep 10000"' >/tmp/out 2>&1 </dev/null &
TAP
until grep -q ^serving /tmp/out; do kill -0 $! || { cat /tmp/out; exit 1; }; sleep 0.2; done
COMMANDS
kill $!; wait $!; echo "== the end"; echo "status $?"
"""
# As the guest calls itself, as the host calls it, the network, and what the host does for it.
NETWORKS = {
    "passt": ("10.0.2.15", "127.0.0.1",
              "mode=user" + "".join(f",{kind}={port}:{port}" for kind, port in
                                    (("tcp", 5201), ("tcp", 5202), ("tcp", 5203), ("udp", 5203),
                                     ("tcp", 12865), ("tcp", 12866), ("udp", 12866))), ""),
    "tap": ("192.168.7.2", "192.168.7.2", "mode=tap,tapif=tap7",
            "until ip addr add 192.168.7.1/24 dev tap7 2>/dev/null; do sleep 0.1; done; "
            "ip link set tap7 up"),
}
LOAD = 32 * MIB
TRANSACTIONS = 1000
NETPERF = ("-P ,12866 -k THROUGHPUT,LOCAL_BYTES_SENT,LOCAL_BYTES_RECVD,REMOTE_BYTES_SENT,"
           "REMOTE_BYTES_RECVD")
# By name: a negative length of netperf's is one in bytes or transactions.
TRAFFIC = {
    "iperf3 to the guest": f"iperf3 -J -n {LOAD} -c PEER",
    "iperf3 from the guest": f"iperf3 -J -R -n {LOAD} -p 5202 -c PEER",
    "iperf3 datagrams": f"iperf3 -J -u -b 10M -n {MIB} -p 5203 -c PEER",
    **{test: f"netperf -P 0 -H PEER -t {test} -l -{amount} -- {NETPERF}" for test, amount in (
        ("TCP_STREAM", LOAD), ("TCP_MAERTS", LOAD), ("TCP_RR", TRANSACTIONS),
        ("UDP_RR", TRANSACTIONS))},
}


@pytest.fixture(scope="module", name="traffic", params=NETWORKS)
def _traffic(request):
    """{name: what the command said}, of commands that all have succeeded."""
    address, peer, network, tap = NETWORKS[request.param]
    script = MEASURE.replace("COMMANDS", "".join(
        f"echo '== {name}'; chroot /debian {command.replace('PEER', peer)} 2>&1; "
        "echo \"status $?\"\n" for name, command in TRAFFIC.items()))
    for word, value in (("NETWORK", network), ("ADDRESS", address), ("TAP\n", tap + "\n")):
        script = script.replace(word, value)
    done = host(script, *BOOT, "--disk", image_of("applications"), timeout=400)
    parts = [part.split("\n", 1) for part in done.stdout.replace("\r", "").split("== ")[1:]]
    said = {name: text.rpartition("status ") for name, text in parts}
    assert list(said) == [*TRAFFIC, "the end"], done.stdout + done.stderr
    # Behind the last one, the shell says what became of the guest.
    assert all(status.split()[0] == "0" for _, _, status in said.values()), done.stdout
    return {name: text for name, (text, _, _) in said.items()}


@pytest.mark.parametrize("way", ["to", "from"])
def test_iperf3(traffic, way):
    report = json.loads(traffic[f"iperf3 {way} the guest"])
    # It can fail with status 0.
    assert "error" not in report, report["error"]
    sent, received = (report["end"][key]["bytes"] for key in ("sum_sent", "sum_received"))
    assert LOAD <= sent and 0 < received <= sent, report["end"]


def test_iperf3_datagrams(traffic):
    report = json.loads(traffic["iperf3 datagrams"])
    assert "error" not in report, report["error"]
    total = report["end"]["sum"]
    assert MIB <= total["bytes"] and 0 <= total["lost_packets"] < total["packets"], total


def netperf_report(text):
    return {key: float(value) for key, value in re.findall(r"^(\w+)=([\d.-]+)$", text, re.M)}


@pytest.mark.parametrize("test, sender, receiver", [("TCP_STREAM", "LOCAL", "REMOTE"),
                                                    ("TCP_MAERTS", "REMOTE", "LOCAL")])
def test_netperf_streams(traffic, test, sender, receiver):
    report = netperf_report(traffic[test])
    assert report["THROUGHPUT"] > 0, report
    assert LOAD <= report[f"{sender}_BYTES_SENT"] == report[f"{receiver}_BYTES_RECVD"], report


@pytest.mark.parametrize("test", ["TCP_RR", "UDP_RR"])
def test_netperf_transactions(traffic, test):
    report = netperf_report(traffic[test])
    assert report["THROUGHPUT"] > 0, report
    assert report["LOCAL_BYTES_SENT"] == report["REMOTE_BYTES_RECVD"] == TRANSACTIONS, report
    assert report["REMOTE_BYTES_SENT"] == report["LOCAL_BYTES_RECVD"] == TRANSACTIONS, report
