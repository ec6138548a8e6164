# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests with APLIC and IMSIC, on a host that has AIA, and what is said on one that has not."""

import re

import pytest
from conftest import BUILD, host, moved

PAYLOADS = BUILD / "tests" / "guest"
GUEST = "duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz"


def count(guest, name, cpus):
    """The sum over all vCPUs of a line of the guest's /proc/interrupts."""
    return sum(map(int, guest.ask(f"grep '{name}' /proc/interrupts").split(":")[1].split()[:cpus]))


@pytest.mark.parametrize("cpus", [1, 4])
def test_linux_on_interrupt_files_in_memory(console, cpus):
    guest = console("--host-aia", "0", "--cpus", cpus)
    guest.expect_exact("guest# ")
    log = guest.ask("dmesg")
    assert "riscv-intc: 64 local interrupts mapped using AIA" in log
    assert re.search(r"imsics@28000000: providing IPIs using interrupt", log)
    assert "aplic: 96 interrupts forwarded to MSI base" in log
    assert guest.ask("nproc") == str(cpus)
    before = count(guest, "ttyS0", cpus)
    assert guest.ask("sleep 0.2; echo slept") == "slept"
    assert count(guest, "ttyS0", cpus) > before
    if cpus > 1:
        before = count(guest, "Function call", cpus)
        guest.ask("for i in $(seq 40); do cat /proc/cpuinfo & done >/dev/null; wait")
        assert count(guest, "Function call", cpus) > before
    # The devices and files begin anew with each boot.
    guest.sendline("reboot -f")
    guest.expect_exact("Linux version")
    guest.expect_exact("guest# ")
    assert count(guest, "ttyS0", cpus) > 0
    guest.sendline("exit")
    assert guest.finish() == 0


def test_a_disk_interrupts_through_the_aplic(console, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(b"hello" + bytes(1 << 20))
    guest = console("--host-aia", "0", "--disk", disk)
    guest.expect_exact("guest# ")
    assert guest.ask("head -c 5 /dev/vda; echo").endswith("hello")
    assert "APLIC" in guest.ask("grep virtio /proc/interrupts")
    assert count(guest, "virtio", 1) > 0
    guest.sendline("exit")
    assert guest.finish() == 0


@pytest.mark.parametrize("board, how", [(["--host-aia", "0"], "IMSIC"), ([], "SBI")])
def test_no_ipi_is_lost_between_vcpus_that_migrate(board, how):
    # Twice as many vCPUs as harts.
    storm = moved("duvisor run -k /share/ipi.elf --cpus 6 --mem 16M", "moves % 7 + 1")
    done = host(storm, "--host-cpus", 3, "--share", PAYLOADS, *board, timeout=300)
    said = done.stdout.replace("\r", "")
    assert said.startswith(f"# by {how}\n"), said + done.stderr
    assert "ok 2 - calls of each hart" in said and "not ok" not in said, said
    assert re.search("status 0, moves [1-9]", said), said


def test_plic_can_be_asked_for(console):
    guest = console("--host-aia", "0", "--", "--irqchip", "plic")
    guest.expect_exact("guest# ")
    assert "PLIC" in guest.ask("grep ttyS0 /proc/interrupts")
    assert "ssaia" not in guest.ask("cat /proc/cpuinfo")
    guest.sendline("exit")
    assert guest.finish() == 0


def test_auto_is_plic_where_there_is_no_aia(console):
    guest = console("--", "--irqchip", "auto")
    guest.expect_exact("guest# ")
    assert "PLIC" in guest.ask("grep ttyS0 /proc/interrupts")
    guest.sendline("exit")
    assert guest.finish() == 0


def test_aia_cannot_be_had_from_a_host_without():
    done = host(f"{GUEST} --irqchip aia")
    assert done.returncode == 2
    assert done.stdout.strip() == ("duvisor: --irqchip aia: this host's harts have no AIA, or its "
                                   "duvisor module does not offer it")
