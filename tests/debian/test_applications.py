# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications in a Debian guest: load from their own generators, and data that is compared.

What comes from this machine goes through the emulated host's network, passt and virtio-net."""

import hashlib
import os
import random
import re
import socket
import urllib.request

import pytest
from conftest import Console
from debian import copy_of, image_of, login, power_off

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
    said = guest.ask("mkdir -p /srv/torture && stress-ng --verify --no-rand-seed --timeout 90 "
                     "--temp-path /srv/torture --metrics-brief "
                     + " ".join(f"--{kind} 1" for kind in kinds) + " 2>&1")
    assert re.search(r"failed: 0\b", said) and re.search(rf"passed: {len(kinds)}\b", said), said
    guest.ask("sync; rm -r /srv/torture")


def test_sysbench(guest):
    for test, words in (("cpu", ""), ("threads", "--threads=4"),
                        ("memory", "--memory-total-size=64M")):
        said = guest.ask(f"sysbench {test} {words} --events=50 --time=0 run")
        assert re.search(r"total number of events: +[1-9]", said), said
