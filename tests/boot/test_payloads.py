# SPDX-License-Identifier: GPL-2.0-or-later
"""Bare guests that test the hypervisor from the inside (tests/guest); they print TAP themselves."""

import re

import pytest
from conftest import BUILD, host

PAYLOADS = BUILD / "tests" / "guest"


@pytest.mark.parametrize("payload, options", [
    ("mmio", ""),
    ("mmio", "--lazy-stage2"),
    ("no_sstc", "--no-sstc"),
    ("no_sstc", "--no-sstc --idle native"),
    ("smp", "--cpus 2"),
    ("smp", "--cpus 2 --no-sstc"),
    ("smp", "--hart-ids 5,2"),
    ("smp", "--hart-ids 0,1023"),
    ("smp", "--cpus 2 --lazy-stage2 --prealloc"),
    ("smp", "--cpus 2 --idle native"),
    ("smp", "--cpus 2 --idle poll"),
])
def test_payload(payload, options):
    done = host(f"duvisor run --kernel /share/{payload}.elf {options}", "--share", PAYLOADS,
                timeout=300)
    planned = re.search(r"^1\.\.(\d+)\s*$", done.stdout, re.M)
    assert planned, done.stdout + done.stderr
    assert "not ok" not in done.stdout, done.stdout
    assert len(re.findall(r"^ok ", done.stdout, re.M)) == int(planned[1])
    assert done.returncode == 0


def test_a_failing_payload_is_noticed():
    """The second hart that smp needs is not there: its cases fail, and so does the command."""
    done = host("duvisor run --kernel /share/smp.elf", "--share", PAYLOADS, timeout=120)
    assert "not ok" in done.stdout
    assert done.returncode == 1
