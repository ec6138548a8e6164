# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated host: both kernels boot, and what scripts/run promises of it holds."""

import subprocess

import pytest
from conftest import BUILD, host

KERNELS = {"built": [], "debian": ["--host-kernel", "debian"]}


@pytest.fixture(params=["built", pytest.param("debian", marks=pytest.mark.slow)], name="kernel")
def _kernel(request):
    return KERNELS[request.param]


def test_exec_returns_output_and_status(kernel):
    done = host("uname -r; echo to-stderr >&2; exit 7", *kernel)
    assert done.returncode == 7, done.stderr
    release, text = done.stdout.splitlines()
    assert release.startswith("6.12.")
    assert release.endswith("-riscv64" if kernel else "-duvisor")
    assert text == "to-stderr"


def test_output_arrives_unchanged_and_whole(kernel):
    done = host("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done", *kernel)
    assert done.stdout == "".join(f"{i}\n" for i in range(3000))


def test_share_is_seen_and_written(kernel, tmp_path):
    (tmp_path / "in").write_text("from outside\n")
    done = host("cat /share/in && echo from inside >/share/out", *kernel, "--share", tmp_path)
    assert done.stdout == "from outside\n", done.stderr
    assert (tmp_path / "out").read_text() == "from inside\n"


def test_disks_come_in_order(kernel, tmp_path):
    disks = []
    for name in ("first", "second"):
        path = tmp_path / name
        path.write_bytes(name.encode().ljust(4096, b"\0"))
        disks += ["--disk", path]
    done = host("for d in a b; do head -c 8 /dev/vd$d | tr -d '\\0'; echo; done", *kernel, *disks)
    assert done.stdout.split() == ["first", "second"], done.stderr


@pytest.mark.parametrize("cpus", [1, 4])
def test_cpus_and_memory_as_asked(kernel, cpus):
    done = host("nproc; awk '/MemTotal/ { print $2 }' /proc/meminfo", *kernel,
                "--host-cpus", cpus, "--host-memory", "2G")
    nproc, kib = map(int, done.stdout.split())
    assert nproc == cpus
    assert 1_800_000 < kib < 2_097_152


def test_the_kernel_has_what_the_control_plane_needs(kernel):
    done = host("grep -c -w -e preempt_notifier_register /proc/kallsyms; "
                "tr '\\0' '\\n' </proc/device-tree/cpus/cpu@0/riscv,isa-extensions | grep -x h",
                *kernel)
    assert done.stdout.split() == ["1", "h"], done.stderr


LOOP = r"""
#include <stdio.h>

static unsigned long now(void)
{
	unsigned long ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

int main(void)
{
	unsigned long best = ~0UL;

	for (int i = 0; i < 20; i++) {
		unsigned long count = 100000, begin = now();

		__asm__ volatile("1: addi %0, %0, -1; bnez %0, 1b" : "+r"(count));
		unsigned long ticks = now() - begin;
		best = ticks < best ? ticks : best;
	}
	printf("%lu\n", best);
}
"""


@pytest.mark.slow
def test_icount_counts_instructions(tmp_path):
    (tmp_path / "loop.c").write_text(LOOP)
    subprocess.run([BUILD / "musl/bin/duvisor-cc", "-O2", "-o", tmp_path / "loop",
                    tmp_path / "loop.c"], check=True)
    times = [int(host("/share/loop", "--icount", "--share", tmp_path).stdout) for _ in range(2)]
    # 200,000 instructions of 1 ns are 2,000 ticks of the board's 10 MHz clock.
    assert times[0] == times[1]
    assert 2000 <= times[0] <= 2001
