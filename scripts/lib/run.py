# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot the emulated host and, in it, a guest under duvisor.

Builds what is missing, starts QEMU with the patched RISC-V processor and gives you
the guest's console.  Ctrl-A x ends the guest.  Words after "--" go to duvisor.

exit status: the guest's, as `duvisor` documents it (0 power-off, 1 failure that the
guest reported, 2 wrong usage, ...); with --exec the command's; 124 after --timeout;
125 when the emulated host itself failed; 130 after Ctrl-C.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import world
from world import BUILD

EXIT_USAGE, EXIT_TIMEOUT, EXIT_HOST = 2, 124, 125
MIB = 1 << 20


class Failure(Exception):
    """What ends the run with one line on stderr and an exit status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


def say(text):
    print(f"run: {text}", file=sys.stderr, flush=True)


# --- the command line ---------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(f"{message} (try --help)", EXIT_USAGE)


def size(text):
    """A size with kvmtool's suffixes; a bare number is in MiB."""
    match = re.fullmatch(r"(\d+)([KMGkmg]?)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size")
    shift = {"K": 10, "M": 20, "": 20, "G": 30}[match[2].upper()]
    return int(match[1]) << shift


def count(text):
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


def guest_files(text):
    if not text.isdigit() or int(text) > 7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 7")
    return int(text)


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds")
    return value


def ports(text):
    match = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text)
    if not match or not all(0 < int(port) < 65536 for port in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not two TCP ports, as in 8080:80")
    return text


def readable(text):
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: is a directory")
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text}: permission denied")
    return path.resolve()


def disk(text):
    """An image that nobody else uses: the lock that QEMU would only fail on much later."""
    path = readable(text)
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK if os.access(path, os.W_OK) else fcntl.F_RDLCK,
                          os.SEEK_SET, 0, 0, 0)
    with open(path, "rb") as image:
        if fcntl.fcntl(image, fcntl.F_OFD_GETLK, request)[:2] != struct.pack("h", fcntl.F_UNLCK):
            raise argparse.ArgumentTypeError(f"{text}: is in use by another process")
    return path


def readable_or(*words):
    return lambda text: text if text in words else readable(text)


def directory(text):
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such directory")
    return path.resolve()


def parse(argv):
    duvisor_args = []
    if "--" in argv:
        cut = argv.index("--")
        argv, duvisor_args = argv[:cut], argv[cut + 1:]
    parser = OneLineParser(
        prog="scripts/run", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="scripts/run [options] [-- duvisor's options]")
    guest = parser.add_argument_group("the guest")
    guest.add_argument("--append", metavar="TEXT", help="the guest kernel's command line")
    guest.add_argument("--cpus", metavar="N", type=count, default=1)
    guest.add_argument("--disk", metavar="FILE", type=disk, action="append", default=[],
                       help="a disk image, raw or qcow2, /dev/vda and so on in the guest (may be "
                            "given again); read-only if the file is")
    guest.add_argument("--initrd", metavar="FILE|none", type=readable_or("none"),
                       help="default: the initramfs built here, or none if --append has root=")
    guest.add_argument("--kernel", metavar="FILE|debian", type=readable_or("debian"),
                       help="default: the kernel built here; debian: Debian's stock one")
    guest.add_argument("--memory", metavar="SIZE", type=size, default=256 * MIB,
                       help="with K, M or G; default unit M, default 256M")
    host = parser.add_argument_group("the emulated host")
    host.add_argument("--emulator", metavar="FILE", type=readable,
                      help="another qemu-system-riscv64 than the project's (give a --host-cpu that it knows, "
                           "too; where there is no Xdv, duvisor says so)")
    host.add_argument("--forward", metavar="PORT:HOSTPORT", type=ports, action="append", default=[],
                      help="a TCP port of this machine's loopback leads to one of the emulated "
                           "host (may be given again)")
    host.add_argument("--host-aia", metavar="N", type=guest_files,
                      help="APLIC and IMSIC with N guest interrupt files for each hart, "
                           "0 to 7 (default: a PLIC)")
    host.add_argument("--host-append", metavar="TEXT", default="",
                      help="more words for the host kernel's command line")
    host.add_argument("--host-cpu", metavar="MODEL", default="rv64,xdv=on",
                      help="QEMU's -cpu (default: %(default)s)")
    host.add_argument("--host-cpus", metavar="N", type=count,
                      help="default: 2, or as many as the guest has")
    host.add_argument("--host-disk", metavar="FILE", type=disk,
                      help="a disk image with Debian (scripts/image), which the host boots from: the "
                           "job runs under its systemd; the host kernel is debian's unless named")
    host.add_argument("--host-kernel", metavar="FILE|debian", type=readable_or("debian"))
    host.add_argument("--host-memory", metavar="SIZE", type=size,
                      help="default: the guest's and 768M, at least 1G")
    host.add_argument("--share", metavar="DIR", type=directory,
                      help="a directory of this machine, seen at /share in the host")
    what = parser.add_argument_group("what runs").add_mutually_exclusive_group()
    what.add_argument("--exec", metavar="CMD", help="run CMD in the host instead of a guest")
    what.add_argument("--host-shell", action="store_true", help="a shell in the host instead")
    run = parser.add_argument_group("how it runs")
    run.add_argument("--gdb", action="store_true",
                     help="start stopped, wait for gdb, print the line to type")
    run.add_argument("--icount", action="store_true",
                     help="time advances with each instruction: repeatable to the digit")
    run.add_argument("--no-build", action="store_true", help="use what is built already")
    run.add_argument("--qemu", metavar="ARG", action="append", default=[],
                     help="one more word for QEMU's command line (may be given again)")
    run.add_argument("--timeout", metavar="SECONDS", type=seconds)
    run.add_argument("--verbose", action="store_true",
                     help="show the host's own boot messages on stderr")
    args = parser.parse_args(argv)
    args.duvisor_args = duvisor_args
    if args.host_disk and not os.access(args.host_disk, os.W_OK):
        parser.error(f"argument --host-disk: {args.host_disk}: permission denied")
    if args.host_disk and not args.host_kernel:
        args.host_kernel = "debian"
    if duvisor_args and (args.exec or args.host_shell):
        parser.error("words after -- are for duvisor, which --exec and --host-shell do not start")
    return args


def need(path):
    if not path.exists():
        raise Failure(f"{path} is not built: run scripts/run without --no-build", EXIT_HOST)
    return path


# --- the job: what the emulated host does ---------------------------------------


def duvisor_command(args, disks):
    kernel = "/job/kernel" if args.kernel else "/guest/Image"
    command = ["duvisor", "run", "--kernel", kernel, "--cpus", str(args.cpus),
               "--mem", f"{args.memory // MIB}M" if args.memory % MIB == 0
               else f"{args.memory // 1024}K"]
    if args.initrd not in (None, "none"):
        command += ["--initrd", "/job/initrd"]
    elif args.initrd is None and "root=" not in (args.append or ""):
        command += ["--initrd", "/guest/initramfs.cpio.gz"]
    for disk in disks:
        command += ["--disk", disk]
    # Linux would write to the firmware's console as well as to the serial port.
    words = args.append or ""
    if "console=" not in words and "sbi" not in args.duvisor_args:
        virtio = any(re.match(r"(--console=)?virtio(,|$)", word) for word in args.duvisor_args)
        words = f"console={'hvc1' if virtio else 'ttyS0'} {words}".strip()
    return command + ["--params", words] + args.duvisor_args


def job_script(args):
    """The shell script that the host's init runs on the user's terminal."""
    lines = ["#!/bin/sh", "export HOME=/root PS1='host# '", "cd /root"]
    if sys.stdin.isatty():
        columns, rows = shutil.get_terminal_size()
        lines.append(f"stty rows {rows} cols {columns}")
    if args.host_shell:
        command = "sh -l"
    elif args.exec is not None:
        if not sys.stdout.isatty():
            lines.append("stty -opost -echo")
        command = f"sh -c {shlex.quote(args.exec)}"
    else:
        # virtio devices are found in the order of QEMU's command line.
        first = ord("b" if args.host_disk else "a")
        disks = [f"/dev/vd{chr(first + i)}" + ("" if os.access(path, os.W_OK) else ",ro")
                 for i, path in enumerate(args.disk)]
        lines.append("stty raw -echo")
        command = shlex.join(duvisor_command(args, disks))
    lines += ['echo ready >"$DUVISOR_STATUS"', f"exec {command}"]
    return "\n".join(lines) + "\n"


def initramfs(args, work):
    """The host's initramfs with the job appended as a second archive."""
    base = need(BUILD / "boot" /
                ("host-debian.cpio" if args.host_kernel == "debian" else "host.cpio"))
    stage = work / "stage" / "job"
    stage.mkdir(parents=True)
    (stage / "run").write_text(job_script(args), encoding="utf-8")
    for name in ("kernel", "initrd"):
        path = getattr(args, name)
        if path == "debian":
            path = need(BUILD / "boot" / "debian-Image")
        if isinstance(path, Path):
            (stage / name).symlink_to(path)
    image = work / "initramfs"
    with open(image, "wb") as out:
        with open(base, "rb") as archive:
            shutil.copyfileobj(archive, out)
        names = "\n".join(f"job/{f.name}" for f in sorted(stage.iterdir()))
        packed = subprocess.run(
            ["cpio", "-o", "-L", "-H", "newc", "-R", "0:0", "--quiet"], check=False,
            cwd=stage.parent, input=f"job\n{names}\n".encode(), stdout=subprocess.PIPE)
        if packed.returncode:
            raise Failure("cannot pack the job for the emulated host", EXIT_HOST)
        out.write(packed.stdout)
    return image


# --- the machine ----------------------------------------------------------------


def escape(text):
    """A value inside one of QEMU's comma-separated options."""
    return str(text).replace(",", ",,")


def disk_format(path):
    with open(path, "rb") as image:
        return "qcow2" if image.read(4) == b"QFI\xfb" else "raw"


def free_port():
    for port in (1234, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise Failure("no TCP port is free for gdb", EXIT_HOST)


def qemu_command(args, work):
    kernel = need(BUILD / "linux/arch/riscv/boot/Image")
    if args.host_kernel == "debian":
        kernel = need(BUILD / "boot" / "debian-Image")
    elif args.host_kernel:
        kernel = args.host_kernel
    memory = args.host_memory or max(1024 * MIB, args.memory + 768 * MIB)
    uart = "/dev/stderr" if args.verbose else work / "console.log"
    words = "console=ttyS0 panic=-1 " + ("" if args.verbose else "quiet ") + args.host_append
    words += " duvisor_root=/dev/vda systemd.hostname=host" * bool(args.host_disk)
    board = "virt"
    if args.host_aia is not None:
        board += f",aia=aplic-imsic,aia-guests={args.host_aia}"
    command = [
        args.emulator or need(BUILD / "qemu/qemu-system-riscv64"), "-M", board, "-cpu", args.host_cpu,
        "-smp", args.host_cpus or max(2, args.cpus), "-m", f"{memory // MIB}M",
        "-display", "none", "-monitor", "none", "-no-reboot", "-no-user-config", "-nodefaults",
        "-bios", need(BUILD / "boot/fw_dynamic.bin"), "-kernel", kernel,
        "-initrd", initramfs(args, work), "-append", words.strip(),
        "-global", "virtio-mmio.force-legacy=false",
        "-chardev", f"file,id=uart,path={escape(uart)}", "-serial", "chardev:uart",
        # Each port that there may be is two files for the main loop.
        "-device", "virtio-serial-device,max_ports=2",
        "-chardev", "stdio,id=tty,mux=off,signal=off",
        "-device", "virtconsole,chardev=tty,name=tty",
        "-chardev", f"file,id=status,path={escape(work / 'status')}",
        "-device", "virtserialport,chardev=status,name=status",
        "-netdev", "user,id=net" + "".join(
            f",hostfwd=tcp:127.0.0.1:{ours}-:{theirs}"
            for ours, theirs in (pair.split(":") for pair in args.forward)),
        "-device", "virtio-net-device,netdev=net",
        "-device", "virtio-rng-device",
    ]
    for number, path in enumerate([args.host_disk] * bool(args.host_disk) + args.disk):
        command += ["-drive", f"if=none,id=disk{number},file={escape(path)},"
                              f"format={disk_format(path)}"
                              + ("" if os.access(path, os.W_OK) else ",readonly=on"),
                    "-device", f"virtio-blk-device,drive=disk{number}"]
    if args.share:
        command += ["-fsdev", f"local,id=share,path={escape(args.share)},"
                              "security_model=none,multidevs=remap",
                    "-device", "virtio-9p-device,fsdev=share,mount_tag=share"]
    if args.icount:
        # Everything that differs from run to run is fixed, not only the clock.
        command += ["-icount", "shift=0,sleep=off", "-seed", "1",
                    "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
    if args.gdb:
        port = free_port()
        command += ["-S", "-gdb", f"tcp:127.0.0.1:{port}"]
        symbols = "" if args.host_kernel else f" {BUILD / 'linux/vmlinux'}"
        say(f"stopped; type: gdb-multiarch{symbols} -ex 'target remote :{port}'")
    return [str(word) for word in command + args.qemu]


def die_with_parent():
    """In the child: whatever kills this script, QEMU goes, too."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def feed(pipe, status):
    """Copy standard input once the job listens, then end it as a user at a terminal would."""
    while not (status.exists() and status.stat().st_size):
        time.sleep(0.02)
    with contextlib.suppress(OSError), open(pipe, "wb", buffering=0, closefd=False) as out:
        while chunk := os.read(0, 65536):
            out.write(chunk)
        # Again and again: a shell drops what comes while it switches the terminal's mode.
        while True:
            out.write(b"\x04")
            time.sleep(0.3)


@contextlib.contextmanager
def terminal():
    """The user's terminal, put back on every path out."""
    saved = termios.tcgetattr(0) if sys.stdin.isatty() else None
    try:
        yield
    finally:
        for stream in (0, 1, 2):
            with contextlib.suppress(OSError):
                os.set_blocking(stream, True)
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def interrupted(number, _frame):
    raise Failure(f"ended by {signal.Signals(number).name}", 128 + number)


def run_machine(args, work):
    command = qemu_command(args, work)
    status = work / "status"
    stdin = None
    if not sys.stdin.isatty():
        # The console must not hang up when the input ends.
        stdin, write_end = os.pipe()
        threading.Thread(target=feed, args=(write_end, status), daemon=True).start()
    elif not (args.exec or args.host_shell):
        say("the guest's console; Ctrl-A x ends it")
    with terminal(), subprocess.Popen(command, stdin=stdin, preexec_fn=die_with_parent) as qemu:
        try:
            qemu.wait(args.timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"no end after {args.timeout:g} s", EXIT_TIMEOUT) from None
        finally:
            if qemu.poll() is None:
                qemu.kill()
    match = re.search(r"^exit (\d+)$", status.read_text(), re.M) if status.exists() else None
    if match:
        return int(match[1])
    kept = BUILD / "log" / "host-console.log"
    if (work / "console.log").exists():
        shutil.copy(work / "console.log", kept)
        lines = [line for line in kept.read_text(errors="replace").splitlines() if line.strip()]
        print("\n".join(lines[-12:]), file=sys.stderr)
    raise Failure(f"the emulated host ended without a result (QEMU's status {qemu.returncode}); "
                  f"its console is in {kept}", EXIT_HOST)


@contextlib.contextmanager
def workspace():
    """A folder for this run; those of runs that were killed are swept, too."""
    place = BUILD / "run"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if not Path("/proc", old.name).exists():
            shutil.rmtree(old, ignore_errors=True)
    work = place / str(os.getpid())
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(argv):
    try:
        args = parse(argv)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        if not args.no_build:
            world.build_machine()
        with workspace() as work:
            return run_machine(args, work)
    except world.Failure as failure:
        say(failure)
        return EXIT_HOST
    except Failure as failure:
        say(failure)
        return failure.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
