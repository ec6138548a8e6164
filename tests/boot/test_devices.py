# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest finds is what README.md says: the table there, its options, and a guest that looks."""

import hashlib
import re

import pytest
from conftest import ROOT, host

# A device's name in the table -> what Linux shows: the type of a virtio device (virtio 1.2, section 5), or what is
# compatible in the device tree.
SEEN = {
    "PLIC": "sifive,plic-1.0.0",
    "16550A serial port": "ns16550a",
    "Goldfish clock": "google,goldfish-rtc",
    "SiFive test device": "sifive,test1",
    "pvpanic": "qemu,pvpanic-mmio",
    "DesignWare watchdog": "snps,dw-wdt",
    "virtio-net": "0x0001",
    "virtio-blk": "0x0002",
    "virtio-console": "0x0003",
    "virtio-console's ports with names": "0x0003",
    "virtio-rng": "0x0004",
    "virtio-balloon": "0x0005",
    "virtio-9p": "0x0009",
    "virtio-vsock": "0x0013",
}
ELSEWHERE = {"APLIC and IMSIC instead of the PLIC"}  # test_aia.py
FURTHER = {"virtio,mmio", "riscv,plic0", "sifive,test0"}  # what these are also compatible with
PLACES = {"NAME": "name", "PATH": "/tmp/socket", "SIZE": "16M", "DIR": "/tmp/dir", "FILE": "/tmp/disk"}


def table():
    """Rows of README's table of devices: their names, whether they are always there, the option for them."""
    text = (ROOT / "README.md").read_text().partition("## What the guest finds\n")[2].partition("\n## ")[0]
    for line in text.splitlines()[3:]:
        devices, how, _ = [cell.strip() for cell in line.strip("|").split(" | ")]
        options = [word for word in re.findall(r"`(--[^`]*)`", how) if word != "--nodefaults"]
        yield devices.split(":")[0].split(", "), how.startswith("always"), options[:1]


def run_with(options, terminal, script):
    """What a guest with these options says to a script."""
    return host(f"""
mkdir /tmp/dir; truncate -s 1M /tmp/disk
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz {' '.join(options)} -p 'console={terminal} quiet -- sh -c "
    {script}"' </dev/null
""", timeout=120)


def look(options, terminal):
    """What a guest with these options sees."""
    done = run_with(options, terminal, "cat /sys/bus/virtio/devices/*/device; "
                                       "cat -v /sys/firmware/devicetree/base/soc/*/compatible")
    types = re.findall(r"^0x[0-9a-f]{4}", done.stdout, re.M)
    compatible = re.findall(r"([\w-]+,[\w.-]+|ns16550a)\^@", done.stdout)
    assert types and compatible, done.stdout + done.stderr
    return set(types), set(compatible) - FURTHER


@pytest.fixture(name="rows", scope="module")
def _rows():
    rows = [row for row in table() if not set(row[0]) <= ELSEWHERE]
    assert {name for names, _, _ in rows for name in names} == set(SEEN), "README.md has another table"
    return rows


def test_without_options_what_is_always_there(rows):
    types, compatible = look([], "ttyS0")
    assert types | compatible == {SEEN[name] for names, always, _ in rows if always for name in names}


def test_with_the_options_of_the_table_all_that_is_in_it(rows):
    options = [option for _, _, options in rows for option in options]
    for word, place in PLACES.items():
        options = [option.replace(word, place) for option in options]
    # Two at one path would be one too many.
    options = [option.replace("/tmp/socket", f"/tmp/socket{i}") for i, option in enumerate(options)]
    types, compatible = look(options, "hvc1")
    # With a virtio console there is no serial port.
    assert types | compatible == set(SEEN.values()) - {SEEN["16550A serial port"]}


def test_as_many_as_there_can_be_of_each():
    sockets = (f"/tmp/socket{number}" for number in range(9))
    options = [*(f"--port name=p{n},socket={next(sockets)}" for n in range(8)), *["--disk /tmp/disk,ro"] * 8,
               *(f"--share /tmp/dir,tag=s{n}" for n in range(4)), f"--vsock cid=3,socket={next(sockets)}", "--network mode=user",
               "--console virtio", "--watchdog", "--balloon 16M"]
    done = run_with(options, "hvc1", "cat /sys/bus/virtio/devices/*/device; ls /sys/block; cat /sys/class/virtio-ports/*/name; "
                                     "sha256sum /dev/vd*; ls -d /sys/class/net/eth0")
    types = re.findall(r"^0x([0-9a-f]{4})", done.stdout, re.M)
    assert sorted(types) == sorted(["0001"] + ["0002"] * 8 + ["0003", "0004", "0005"] + ["0009"] * 4 + ["0013"]), \
        done.stdout + done.stderr
    zeros = hashlib.sha256(bytes(1 << 20)).hexdigest()
    assert re.findall(rf"^{zeros}  /dev/vd(.)", done.stdout, re.M) == list("abcdefgh"), done.stdout
    assert re.findall(r"\bp([0-7])\b", done.stdout) == list("01234567"), done.stdout
    assert "/sys/class/net/eth0" in done.stdout
