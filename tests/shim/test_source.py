# SPDX-License-Identifier: GPL-2.0-or-later
"""The module's source by the kernel's own rules."""

import subprocess

import pytest
from conftest import BUILD, ROOT

SHIM = ROOT / "kernel-shim"
LINUX = BUILD / "src" / "linux"
HEADERS = {"built": BUILD / "linux", "debian": BUILD / "debian" / "headers"}
SOURCES = sorted([*SHIM.glob("*.[ch]"), *SHIM.glob("include/uapi/*.h")])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_checkpatch(source):
    done = subprocess.run(["perl", LINUX / "scripts" / "checkpatch.pl", "--no-signoff", "--no-tree",
                           "--quiet", "--file", source],
                          capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def build(kernel, work, *args):
    done = subprocess.run([SHIM / "build-module", HEADERS[kernel], work, work / "result.ko", *args],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (work / "result.ko").exists(), done.stderr


@pytest.mark.parametrize("kernel", HEADERS)
def test_builds_without_a_word(kernel, tmp_path):
    made, said = build(kernel, tmp_path, "W=1")
    assert made
    # The missing vmlinux is ours: images/build-debian takes it away.
    assert [line for line in said.splitlines() if "Skipping BTF" not in line] == []


def test_sparse(tmp_path):
    checker = ROOT / "tests" / "shim" / "sparse"
    _, said = build("built", tmp_path, "C=2", f"CHECK={checker}")
    assert said == ""


def test_sparse_can_fail(tmp_path):
    """The control: it does look."""
    shim = tmp_path / "kernel-shim"
    shim.mkdir()
    for path in [*SHIM.glob("*.[ch]"), SHIM / "Kbuild"]:
        (shim / path.name).write_bytes(path.read_bytes())
    main = shim / "main.c"
    main.write_text(main.read_text().replace("void __user *)arg", "void *)arg"))
    done = subprocess.run(["make", "-C", HEADERS["built"], f"M={shim}", "ARCH=riscv", "C=2",
                           f"DUVISOR_ROOT={ROOT}", "CROSS_COMPILE=riscv64-linux-gnu-",
                           f"CHECK={ROOT / 'tests' / 'shim' / 'sparse'}", "modules"],
                          capture_output=True, text=True, check=False)
    assert "different address spaces" in done.stderr
