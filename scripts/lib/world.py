# SPDX-License-Identifier: GPL-2.0-or-later
"""Bring what the scripts use up to date."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("DUVISOR_BUILD", ROOT / "build"))
# What the emulated machine is made from, and what comes out of it.
MACHINE = ("qemu", "boot")
INPUTS = ("duvisor-core", "kernel-shim", "qemu-patches", "images", "scripts")
OUTPUTS = ("build.ninja", "qemu/qemu-system-riscv64", "linux/arch/riscv/boot/Image",
           "duvisor-core/duvisor", "kernel-shim/duvisor.ko", "boot/host.cpio",
           "boot/debian-Image")


class Failure(Exception):
    """A line for the user."""


def dates(paths):
    """A text that changes when one of these files does."""
    lines = []
    for path in sorted(paths):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            lines.append(f"{path} -")
            continue
        lines.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return "\n".join(lines) + "\n"


def input_dates():
    paths = [str(ROOT / name) for name in ("meson.build", "meson_options.txt")]
    for part in INPUTS:
        for place, folders, names in os.walk(ROOT / part):
            folders[:] = [name for name in folders if name != "__pycache__"]
            paths += [os.path.join(place, name) for name in names]
    settings = "".join(f"{name}={value}\n" for name, value in sorted(os.environ.items())
                       if name.startswith("DUVISOR_"))
    return dates(paths) + settings


def output_dates():
    return dates(str(BUILD / name) for name in OUTPUTS)


def build_machine():
    """
    The emulated machine. To ask the build system takes longer than to boot the host, so it is asked only if a file has
    another date than after the last build: of the sources or of what was made from them.
    """
    stamp = BUILD / "stamp" / "run"
    inputs = input_dates()
    in_development = (BUILD / "src" / "qemu" / ".duvisor-dev").exists()
    with contextlib.suppress(FileNotFoundError):
        if stamp.read_text(encoding="utf-8") == inputs + output_dates() and not in_development:
            return
    build(*MACHINE)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(inputs + output_dates(), encoding="utf-8")


def build(*targets):
    """Meson's targets of these names, after what is missing on this machine; silent unless something is to be made."""
    subprocess.run([ROOT / "scripts" / "deps"], check=False)
    (BUILD / "log").mkdir(parents=True, exist_ok=True)
    log = BUILD / "log" / "compile.log"
    if not shutil.which("meson"):
        raise Failure("meson is not installed: run scripts/deps")
    with open(BUILD / ".lock", "w", encoding="ascii") as lock, open(log, "wb") as out:
        fcntl.flock(lock, fcntl.LOCK_EX)
        commands = [["meson", "compile", "-C", BUILD, *targets]]
        if not (BUILD / "build.ninja").exists():
            commands.insert(0, ["meson", "setup", BUILD, ROOT])
            print("building; the first time takes a quarter of an hour", file=sys.stderr, flush=True)
        for command in commands:
            done = subprocess.run(command, stdout=out, stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                tail = log.read_text(errors="replace").splitlines()[-20:]
                print("\n".join(tail), file=sys.stderr)
                raise Failure(f"the build failed; the whole log is {log}")
