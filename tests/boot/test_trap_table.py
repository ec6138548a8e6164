# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's kernel is not involved: scripts/trap-table on the whole stack."""

import re
import subprocess

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


def trap_table(*args):
    return subprocess.run([ROOT / "scripts" / "trap-table", *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def test_the_kernel_takes_nothing_but_its_timer():
    done = trap_table()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r" HS +(\w+)", done.stdout)) == {"s_timer"}
    counts = dict(re.findall(r" HU +(\w+) +(\d+)", done.stdout))
    assert counts["hypervisor_ecall"] == "10000"
    assert counts["guest_load_page_fault"] == "10000"
    assert counts["guest_store_page_fault"] == "10000"


def test_what_the_kernel_takes_is_seen():
    """Without preallocation every first touch is a page fault of the process as well."""
    done = trap_table("--demand-paging")
    assert done.returncode == 1, done.stdout + done.stderr
    faults = re.search(r" HS +store_page_fault +(\d+)", done.stdout)
    assert faults and int(faults[1]) >= 10000 * 0.9


def test_a_busy_device_costs_no_system_call_per_request():
    """Some 20 to 70 of 1,000; more where the emulator's own threads wait for a CPU."""
    done = trap_table("--io")
    assert done.returncode == 0, done.stdout + done.stderr
    calls = re.findall(r" ([0-9.]+) +([0-9.]+) +([0-9.]+|-)$", done.stdout, re.M)
    assert len(calls) == 3, done.stdout
    assert all(float(vcpu) + float(io) < 300 for vcpu, io, _ in calls), done.stdout
    # 32 or 64 fit into a queue; one exit for each request would be no batching at all.
    assert all(per_exit == "-" or float(per_exit) > 2 for _, _, per_exit in calls), done.stdout


@pytest.mark.parametrize("board, exits", [((), {"hypervisor_ecall": 20000}),
                                          (("--host-aia", "0"), {})])
def test_an_ipi_to_a_running_vcpu_is_no_exit_of_it(board, exits):
    """Through the SBI only the sender exits; with interrupt files in memory, nobody."""
    done = trap_table("--ipi", *board)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r" HS +(\w+)", done.stdout)) <= {"s_timer"}
    counts = {name: int(number) for name, number in re.findall(r" HU +(\w+) +(\d+)", done.stdout)}
    for host in ("xdv_host_interrupt", "xdv_doorbell"):
        counts.pop(host, None)
    assert counts == exits
