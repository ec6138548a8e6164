# SPDX-License-Identifier: GPL-2.0-or-later
"""Linters over the files that git knows, one TAP case each."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ["DUVISOR_BUILD"])
CHECKS = {}


def check(function):
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


class Skip(Exception):
    pass


def files(*patterns):
    """Tracked and new files (not ignored ones), relative to the top."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard", *patterns],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def head(name, lines=5):
    with open(ROOT / name, encoding="utf-8", errors="replace") as source:
        return "".join(source.readline() for _ in range(lines))


def scripts(interpreter):
    return [name for name in files() if re.match(rf"#!.*\b{interpreter}", head(name, 1))]


def run(*command, good=(0,)):
    """What a failing command said; nothing if it was content."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise Skip(f"{command[0]} is not installed: run scripts/deps") from error
    return [] if done.returncode in good else done.stdout.splitlines() or ["failed silently"]


# The kernel module follows the kernel's own rules, checked in its folder.
CORE = ["duvisor-core/*.c", "duvisor-core/*.h", "qemu-patches/isa-tests/*.c",
        "qemu-patches/isa-tests/*.h", "tests/*.c"]


@check
def shellcheck():
    # busybox's ash is what dash is to shellcheck, job control and ${x//} apart.
    busybox = scripts("busybox sh")
    others = [name for name in scripts("(ba)?sh") if name not in busybox]
    return run("shellcheck", *others, "images/lib.sh") + run("shellcheck", "-s", "dash", *busybox)


@check
def clang_format():
    return run("clang-format", "--dry-run", "--Werror", *files(*CORE))


@check
def clang_tidy():
    sources = files("duvisor-core/src/*.c")
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Iduvisor-core/include", "-Iduvisor-core/src",
             "-Ikernel-shim/include", "-Wall", "-Wextra", "-Wshadow", '-DDUVISOR_VERSION="0"']
    # Sources with RISC-V assembly in them parse only for that target.
    riscv = [name for name in sources if re.search(r"\b(csrr|__asm__|asm_offsets)", read(name))]
    cross = ["--target=riscv64-linux-gnu", "-march=rv64imac", "-mabi=lp64", "-nostdinc",
             f"-isystem{BUILD}/musl/include", f"-isystem{clang_include()}"]
    # One process per file: state that leaks from one to the next makes it see false va_list bugs.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = sum(pool.map(lambda name: run("clang-tidy", "--quiet", name, "--", *flags,
                                             *(cross if name in riscv else [])), sources), [])
    return [line for line in said if " generated." not in line and "Suppressed" not in line]


def clang_include():
    """The compiler's own headers, where clang-tidy finds them without a driver."""
    found = sorted(Path("/usr/lib").glob("llvm-*/lib/clang/*/include"))
    if not found:
        raise Skip("no clang headers")
    return found[-1]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


@check
def python_compiles():
    return [line for name in scripts("python3") + files("*.py")
            for line in run(sys.executable, "-W", "error", "-c",
                            "import ast, sys; ast.parse(open(sys.argv[1]).read())", name)]


@check
def headers_stand_alone():
    wrong = []
    for name in files("duvisor-core/src/*.h", "duvisor-core/include/*.h"):
        wrong += run("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                     "-fsyntax-only", "-Iduvisor-core/include", "-Iduvisor-core/src",
                     "-Ikernel-shim/include", "-include", name, "-x", "c", "/dev/null")
    return wrong


@check
def spdx_line_on_top():
    exempt = re.compile(r"(^|/)(LICENSES/|LICENSE|COPYING|BASE$|corpus/)|\.(md|patch|config|txt)$")
    return [f"{name}: no SPDX-License-Identifier in its first lines" for name in files()
            if not exempt.search(name) and "SPDX-License-Identifier:" not in head(name)]


@check
def isa_header_is_the_same_everywhere():
    """The series adds a copy of isa.h to QEMU: byte-identical, or the numbers could drift."""
    ours = read("duvisor-core/include/duvisor/isa.h")
    for name in files("qemu-patches/*.patch"):
        text = read(name)
        match = re.search(r"^\+\+\+ b/target/riscv/xdv_isa\.h\n@@ -0,0 .*\n((?:\+.*\n)+)", text,
                          re.M)
        if match:
            copy = "".join(line[1:] + "\n" for line in match[1].splitlines())
            return [] if copy == ours else [f"{name}: xdv_isa.h differs from isa.h"]
    return ["no patch adds target/riscv/xdv_isa.h"]


@check
def no_place_of_this_machine_in_a_file():
    pattern = re.compile(rf"{re.escape(str(ROOT))}|{re.escape(str(Path.home()))}/"
                         r"|https?://[a-z0-9.]*debian\.org")
    return [f"{name}:{number}: {line.strip()}" for name in files()
            for number, line in enumerate(read(name).splitlines(), 1) if pattern.search(line)]


@check
def shim_is_under_500_lines():
    """Lines of code: neither blank nor only comment."""
    text = "".join(read(name) for name in files("kernel-shim/*.[ch]")
                   if "/include/" not in name)
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    lines = sum(1 for line in code.splitlines() if line.strip())
    return [] if lines < 500 else [f"{lines} lines of C in kernel-shim/"]


def main(names):
    names = names or list(CHECKS)
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        try:
            wrong = CHECKS[name]()
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
            continue
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)
        for line in wrong[:60]:
            print(f"# {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
