// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every load and store that a guest can aim at a device, as the hart and the hypervisor do them
 * together: the transformed instruction, the device, the register, the next pc. Prints one TAP
 * line per case.
 */
#include "guest.h"

/* A register of 32 bits that keeps all of them: PLIC enable bits of sources 32-63, context 1. */
#define WORD 0x0c002084ul
/* A register of 8 bits: the UART's scratch register. */
#define BYTE 0x10000007ul
#define NOTHING 0x40000000ul

#define SSTATUS_FS (3ul << 13)
#define SSTATUS_FS_CLEAN (2ul << 13)

static void check(const char *name, uint64_t got, uint64_t want)
{
	guest_check(name, got == want);
	if (got == want)
		return;
	guest_print("# got ");
	guest_print_number(got);
	guest_print(" want ");
	guest_print_number(want);
	guest_print("\n");
}

static void poke(uint32_t value)
{
	*(volatile uint32_t *)WORD = value;
}

static uint32_t peek(void)
{
	return *(volatile uint32_t *)WORD;
}

/* One instruction with address in a1 and data in a0, which the pattern fills first. */
#define DO(insn, addr, data)                                                                       \
	({                                                                                         \
		register uint64_t a0_ __asm__("a0") = (data);                                      \
		register uint64_t a1_ __asm__("a1") = (addr);                                      \
		__asm__ volatile(insn : "+r"(a0_) : "r"(a1_) : "memory");                          \
		a0_;                                                                               \
	})

#define FILL 0x5555555555555555ul

static void integer_words(void)
{
	poke(0x89abcdef);
	check("lw", DO("lw a0, 0(a1)", WORD, FILL), 0xffffffff89abcdef);
	check("lwu", DO("lwu a0, 0(a1)", WORD, FILL), 0x89abcdef);
	check("c.lw", DO("c.lw a0, 0(a1)", WORD, FILL), 0xffffffff89abcdef);
	check("c.lw, offset", DO("c.lw a0, 4(a1)", WORD - 4, FILL), 0xffffffff89abcdef);
	check("lw, negative offset", DO("lw a0, -2048(a1)", WORD + 2048, FILL), 0xffffffff89abcdef);
	check("lw to x0", DO("lw x0, 0(a1)", WORD, FILL), FILL);
	check("c.lwsp", DO("mv t0, sp; mv sp, a1; c.lwsp a0, 4(sp); mv sp, t0", WORD - 4, FILL),
	      0xffffffff89abcdef);
	DO("sw a0, 0(a1)", WORD, 0x1111111112345678);
	check("sw", peek(), 0x12345678);
	DO("c.sw a0, 0(a1)", WORD, 0x1111111187654321);
	check("c.sw", peek(), 0x87654321);
	DO("mv t0, sp; mv sp, a1; c.swsp a0, 4(sp); mv sp, t0", WORD - 4, 0x0badcafe);
	check("c.swsp", peek(), 0x0badcafe);
	DO("sw x0, 0(a1)", WORD, FILL);
	check("sw of x0", peek(), 0);
	/* Compressed and full-size instructions in a row: each pc must be right. */
	check("mixed sizes in a row",
	      DO("li a0, 1; c.sw a0, 0(a1); sw a0, 0(a1); c.lw a0, 0(a1); lw a0, 0(a1);"
		 "c.addi a0, 1; sw a0, 0(a1); c.addi a0, 1; c.sw a0, 0(a1); lw a0, 0(a1)",
		 WORD, 0),
	      3);
}

static void integer_bytes(void)
{
	DO("sb a0, 0(a1)", BYTE, 0xf00d80 | 0x7);
	check("sb, lbu", DO("lbu a0, 0(a1)", BYTE, FILL), 0x87);
	check("lb", DO("lb a0, 0(a1)", BYTE, FILL), 0xffffffffffffff87);
	DO("sb a0, 0(a1)", BYTE, 0x17);
	check("lb, positive", DO("lb a0, 0(a1)", BYTE, FILL), 0x17);
}

/* Each of the 31 registers as destination and source. x2 to x4 included: nothing here needs them meanwhile. */
#define EACH_REG(x)                                                                                \
	x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(12) x(13) x(14) x(15) x(16) x(17)     \
		x(18) x(19) x(20) x(21) x(22) x(23) x(24) x(25) x(26) x(27) x(28) x(29) x(30)      \
			x(31)

/* Through x11, which keeps the address; the old value waits in sscratch. */
#define REG_ROUND(n)                                                                               \
	"csrw sscratch, x" #n "\n\tlw x" #n ", 0(a1)\n\taddi x" #n ", x" #n ", 1\n\tsw x" #n       \
	", 0(a1)\n\tcsrr x" #n ", sscratch\n\t"

static void every_register(void)
{
	register uint64_t a1 __asm__("a1") = WORD;

	poke(1000);
	__asm__ volatile(EACH_REG(REG_ROUND) : : "r"(a1) : "memory");
	check("every integer register", peek(), 1030);
}

#define EACH_FP(x)                                                                                 \
	x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)      \
		x(16) x(17) x(18) x(19) x(20) x(21) x(22) x(23) x(24) x(25) x(26) x(27) x(28)      \
			x(29) x(30) x(31)

#define FP_SET(n) "addi a0, a0, 1; fmv.d.x f" #n ", a0\n\t"
#define FP_STORE(n) "fsw f" #n ", 0(a1); lwu t1, 0(a1); add a0, a0, t1\n\t"
#define FP_LOAD(n) "addi t1, t1, 1; sw t1, 0(a1); flw f" #n ", 0(a1)\n\t"
#define FP_SUM(n) "fmv.x.d t1, f" #n "; add a0, a0, t1\n\t"
#define WITH_FP(text) ".option push; .option arch, +f, +d\n\t" text "\n\t.option pop"

static void floats(void)
{
	uint64_t sum;

	__asm__ volatile("csrs sstatus, %0" : : "r"(SSTATUS_FS));
	/* f<n> = 101 + n with rubbish above; their low halves through the device. */
	sum = DO(WITH_FP("slli a0, a0, 32; addi a0, a0, 100\n\t" EACH_FP(
			 FP_SET) "li a0, 0\n\t" EACH_FP(FP_STORE)),
		 WORD, 0x77);
	check("fsw of every register", sum, 32 * 101 + 31 * 16);
	__asm__ volatile("csrc sstatus, %0; csrs sstatus, %1"
			 :
			 : "r"(SSTATUS_FS), "r"(SSTATUS_FS_CLEAN));
	sum = DO(WITH_FP("li t1, 500\n\t" EACH_FP(FP_LOAD) "li a0, 0\n\t" EACH_FP(FP_SUM)), WORD,
		 0);
	/* NaN-boxed: each adds -2^32 to its value. */
	check("flw of every register", sum, 32 * 501 + 31 * 16 - 32 * (1ul << 32));
	check("flw makes sstatus.FS dirty", csr_read(sstatus) & SSTATUS_FS, SSTATUS_FS);
}

/* Traps that are wanted: noted, and the instruction skipped. */
static volatile uint64_t trap_cause;
static volatile uint64_t trap_value;

extern char skip_trap[];
__asm__(".balign 4\n"
	".globl skip_trap\n"
	"skip_trap:\n"
	"	csrw sscratch, t0\n"
	"	csrr t0, scause; sd t0, trap_cause, t1\n"
	"	csrr t0, stval; sd t0, trap_value, t1\n"
	"	csrr t0, sepc; lhu t1, 0(t0); andi t1, t1, 3; addi t1, t1, -3\n"
	"	addi t0, t0, 2\n"
	"	bnez t1, 1f\n"
	"	addi t0, t0, 2\n"
	"1:	csrw sepc, t0\n"
	"	csrr t0, sscratch\n"
	"	sret\n");

static void expect_fault(const char *name, uint64_t cause, uint64_t value)
{
	check(name, trap_cause, cause);
	check("... and stval", trap_value, value);
	trap_cause = 99;
}

/* t1 is the trap handler's. */
#define FAULT(insn, addr)                                                                          \
	({                                                                                         \
		register uint64_t a0_ __asm__("a0") = FILL;                                        \
		register uint64_t a1_ __asm__("a1") = (addr);                                      \
		__asm__ volatile(insn : "+r"(a0_) : "r"(a1_) : "memory", "t1", "t0");              \
		a0_;                                                                               \
	})

static void fetch(uint64_t addr)
{
	/* The handler would go on behind the instruction that cannot be read: return by ra instead. */
	__asm__ volatile("	csrr	t2, stvec\n"
			 "	lla	t0, 1f\n"
			 "	csrw	stvec, t0\n"
			 "	jr	%0\n"
			 "	.balign	4\n"
			 "1:	csrr	t0, scause; sd t0, trap_cause, t1\n"
			 "	csrr	t0, stval; sd t0, trap_value, t1\n"
			 "	csrw	stvec, t2\n"
			 :
			 : "r"(addr)
			 : "memory", "t0", "t1", "t2");
}

static void refused(void)
{
	csr_write(stvec, skip_trap);
	check("a faulting load leaves rd alone", FAULT("lw a0, 0(a1)", NOTHING), FILL);
	expect_fault("load of nothing", 5, NOTHING);
	FAULT("c.sw a0, 0(a1)", NOTHING + 4);
	expect_fault("store to nothing", 7, NOTHING + 4);
	FAULT("ld a0, 0(a1)", WORD - 4);
	expect_fault("a width that the device has not", 5, WORD - 4);
	FAULT("lhu a0, 0(a1)", WORD + 1);
	expect_fault("misaligned load", 5, WORD + 1);
	FAULT("amoadd.w a0, a0, (a1)", WORD);
	expect_fault("AMO", 7, WORD);
	FAULT("lr.w a0, (a1)", WORD);
	expect_fault("load reserved", 5, WORD);
	fetch(WORD);
	expect_fault("instruction fetch from a device", 1, WORD);
	fetch(NOTHING);
	expect_fault("instruction fetch from nothing", 1, NOTHING);
	/* Between two guest-physical pages of which only one is RAM. */
	FAULT("ld a0, -4(a1)", 0x80000000);
	check("half a load outside RAM faults", trap_cause, 5);
	trap_cause = 99;
	/* Instructions of the H extension: this hart has none. */
	FAULT(".insn 0x60000073", 0); /* hfence.gvma */
	expect_fault("hfence.gvma", 2, 0x60000073);
	FAULT("csrr a0, 0x600", 0); /* hstatus */
	expect_fault("hstatus", 2, 0x60002573);
	FAULT("csrr a0, 0x8c5", 0); /* hucause */
	expect_fault("hucause", 2, 0x8c502573);
	FAULT(".insn 0x8c000073", 0); /* huret */
	expect_fault("huret", 2, 0x8c000073);
}

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	integer_words();
	integer_bytes();
	every_register();
	floats();
	refused();
	return guest_checked();
}
