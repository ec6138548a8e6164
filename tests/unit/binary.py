#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be true of the linked hypervisor.

Floating-point and vector registers belong to the guest and are never saved, so the binary
may contain no instruction that touches them (docs/architecture.md).  The one exception is
the pair of tables through which a guest's float access to a device moves the guest's own
register; the test names them and knows exactly what they hold.

usage: binary.py DUVISOR.DEBUG DUVISOR      prints TAP
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CROSS = "riscv64-linux-gnu-"
MAX_SIZE = 1 << 20

# Unprivileged spec, table "RISC-V base opcode map"; OP-V from the V extension.
FP_OPCODES = {
    0x07: "LOAD-FP",
    0x27: "STORE-FP",
    0x43: "MADD",
    0x47: "MSUB",
    0x4B: "NMSUB",
    0x4F: "NMADD",
    0x53: "OP-FP",
    0x57: "OP-V",
}
# fflags, frm, fcsr; vstart, vxsat, vxrm, vcsr; vl, vtype, vlenb
FP_CSRS = {0x001, 0x002, 0x003, 0x008, 0x009, 0x00A, 0x00F, 0xC20, 0xC21, 0xC22}
# (quadrant, funct3): c.fld, c.fsd, c.fldsp, c.fsdsp
FP_COMPRESSED = {(0, 1), (0, 5), (2, 1), (2, 5)}

EXCEPTIONS = {
    # fmv.x.d a0, f<n>
    "hart_read_fp": [0xE2000553 | n << 15 for n in range(32)],
    # fmv.d.x f<n>, a1
    "hart_write_fp": [0xF2058053 | n << 7 for n in range(32)],
}


def is_fp(word: int) -> bool:
    """Does this instruction (16 or 32 bits) belong to F, D, Q, Zfh or V?"""
    if word & 3 != 3:
        return (word & 3, word >> 13 & 7) in FP_COMPRESSED
    opcode = word & 0x7F
    if opcode == 0x73 and word >> 12 & 3:
        return word >> 20 in FP_CSRS
    return opcode in FP_OPCODES


def instructions(path: Path):
    """Yield (symbol, word) for all executable sections."""
    command = [CROSS + "objdump", "-d", "-z", "-w", str(path)]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    symbol = "?"
    for line in text.splitlines():
        if line.endswith(">:"):
            name = line.split("<")[1][:-2]
            # Local labels of the two tables are still inside them.
            if not name.startswith(".L"):
                symbol = name
            continue
        fields = line.split("\t")
        if len(fields) >= 2 and fields[0].endswith(":"):
            yield symbol, int(fields[1], 16)


def fp_instructions(path: Path) -> tuple[int, dict[str, list[int]]]:
    """How many instructions there are, and the floating-point ones by function."""
    total = 0
    found: dict[str, list[int]] = {}
    for symbol, word in instructions(path):
        total += 1
        if is_fp(word):
            found.setdefault(symbol, []).append(word)
    return total, found


def check_no_fp(binary: Path) -> str:
    """Empty, or what is wrong."""
    total, found = fp_instructions(binary)
    if total < 10000:
        return f"only {total} instructions found: the disassembly cannot be right"
    for name, words in EXCEPTIONS.items():
        if found.pop(name, None) != words:
            return f"{name} is not the table of moves that it should be"
    return "; ".join(f"{len(words)} in {name}" for name, words in found.items())


def check_checker() -> str:
    """Each kind of instruction, assembled here, must be found: one per function."""
    kinds = {
        "flw": "flw fa0, 0(a0)",
        "fld": "fld fa0, 2040(a0)",
        "fsw": "fsw fa0, 0(a0)",
        "fadd": "fadd.d fa0, fa1, fa2",
        "fmadd": "fmadd.s fa0, fa1, fa2, fa3",
        "fmsub": "fmsub.s fa0, fa1, fa2, fa3",
        "fnmsub": "fnmsub.d fa0, fa1, fa2, fa3",
        "fnmadd": "fnmadd.d fa0, fa1, fa2, fa3",
        "fmv": "fmv.x.d a0, fa0",
        "fcvt": "fcvt.d.l fa0, a0",
        "frflags": "frflags a0",
        "fsrmi": "fsrmi 1",
        "cfld": "c.fld fa0, 8(a0)",
        "cfsd": "c.fsd fa0, 8(a0)",
        "cfldsp": "c.fldsp fa0, 8(sp)",
        "cfsdsp": "c.fsdsp fa0, 8(sp)",
        "vadd": "vadd.vv v1, v2, v3",
        "vsetvli": "vsetvli a0, a1, e8, m1, ta, ma",
        "vle": "vle64.v v1, (a0)",
        "vlenb": "csrr a0, vlenb",
    }
    harmless = "ld a0, 0(a1); c.ld a0, 8(a1); c.sdsp a0, 8(sp); csrr a0, 0x8c5; lr.d a0, (a2); ecall"
    source = "".join(f".globl {n}\n.type {n}, @function\n{n}: {i}\n" for n, i in kinds.items())
    source += f".globl harmless\n.type harmless, @function\nharmless: {harmless}\n"
    with tempfile.TemporaryDirectory() as where:
        asm, obj = Path(where, "fp.s"), Path(where, "fp.o")
        asm.write_text(source, encoding="ascii")
        subprocess.run([CROSS + "as", "-march=rv64gcv", asm, "-o", obj], check=True)
        _, found = fp_instructions(obj)
    missed = sorted(set(kinds) - set(found))
    wrong = sorted(set(found) - set(kinds))
    return (f"not found: {missed}" if missed else "") + (f" wrongly found: {wrong}" if wrong else "")


# What entry.S has saved when it calls a function for hot registers: zero, ra, sp, t0, t1, a0-a3. In t2 is the vCPU.
HOT_REGISTERS = {0, 1, 2, 5, 6, 10, 11, 12, 13}
HOT_VCPU = 7
# Stores and branches, whose first operand is no destination.
READS_FIRST = re.compile(r"(c\.)?(s[bhwd](sp)?|b(eq|ne|lt|ge)[uz]?)")


def hot_violations(text: str) -> tuple[int, list[str]]:
    """How many functions for hot registers there are, and their instructions that may not be."""
    functions, bad = 0, []
    inside = False
    for line in text.splitlines():
        if line.endswith(">:"):
            inside = re.search(r"_hot_(load|store|line)>:$", line) is not None
            functions += inside
            continue
        fields = line.split("\t")
        if not inside or len(fields) < 3:
            continue
        name, operands = fields[2], "".join(fields[3:]).split("<")[0]
        used = {int(n) for n in re.findall(r"\bx(\d+)\b", operands)}
        # Through pointers they call one another.
        call = name == "jal" and not operands.startswith("x0,")
        writes_vcpu = operands.startswith(f"x{HOT_VCPU},") and not READS_FIRST.fullmatch(name)
        if call or used - HOT_REGISTERS - {HOT_VCPU} or writes_vcpu:
            bad.append(f"{name} {operands}")
    return functions, bad


def disassemble(path) -> str:
    """With the registers' numbers and no pseudoinstructions."""
    command = [CROSS + "objdump", "-d", "-w", "-M", "numeric,no-aliases", str(path)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def check_hot(binary: Path) -> str:
    """Functions for hot registers keep to the registers that are saved for them (hot.h)."""
    functions, bad = hot_violations(disassemble(binary))
    if functions < 2:
        return f"{functions} functions found"
    return "; ".join(bad)


def check_hot_checker() -> str:
    """Each way to break the rule, assembled here, must be found."""
    wrong = ["mv a4, a0", "ld t2, 0(a0)", "sd s0, 0(sp)", "c.mv a5, a0", "jal hot", "mv t2, a0",
             "add a0, gp, a1", "amoor.w a0, t3, (a1)"]
    right = "ld a0, 0(a1); c.mv t0, a2; sd a3, 8(sp); beqz t1, hot; j hot; mv a1, t2; jalr a0; ret"
    source = f"hot:\n.type x_hot_load, @function\nx_hot_load: {right}\n"
    source += ".type x_hot_store, @function\nx_hot_store: " + "; ".join(wrong) + "\n"
    with tempfile.TemporaryDirectory() as where:
        asm, obj = Path(where, "hot.s"), Path(where, "hot.o")
        asm.write_text(source, encoding="ascii")
        subprocess.run([CROSS + "as", "-march=rv64gc", asm, "-o", obj], check=True)
        functions, bad = hot_violations(disassemble(obj))
    if functions != 2 or len(bad) != len(wrong):
        return f"{functions} functions, found only {bad}"
    return ""


def check_abi(binary: Path) -> str:
    """Static, for this architecture, soft float (ELF psABI: e_flags bits 1 and 2)."""
    head = binary.read_bytes()[:64]
    flags = int.from_bytes(head[48:52], "little")
    if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != 243:
        return "not a RISC-V ELF file"
    if flags & 6:
        return f"e_flags {flags:#x}: not the soft-float ABI"
    command = [CROSS + "readelf", "-lW", str(binary)]
    segments = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    if "INTERP" in segments or "DYNAMIC" in segments:
        return "not a static executable"
    if " RWE " in segments:
        return "a segment is writable and executable"
    return ""


def check_size(binary: Path) -> str:
    """Under 1 MiB."""
    size = binary.stat().st_size
    return "" if size < MAX_SIZE else f"{size} bytes"


def main() -> int:
    """Run all, print TAP."""
    debug, stripped = Path(sys.argv[1]), Path(sys.argv[2])
    checks = [
        ("the checker finds every kind of floating-point instruction", check_checker()),
        ("no F, D or V instruction but the named exception", check_no_fp(debug)),
        ("the checker finds every breach of the rule for hot registers", check_hot_checker()),
        ("hot registers use no machine register but those saved", check_hot(debug)),
        ("static, soft-float ABI, no writable code", check_abi(stripped)),
        ("under 1 MiB", check_size(stripped)),
    ]
    print(f"1..{len(checks)}")
    for number, (name, problem) in enumerate(checks, 1):
        print(f"{'not ' if problem else ''}ok {number} - {name}")
        if problem:
            print(f"# {problem}")
    return 0 if not any(problem for _, problem in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
