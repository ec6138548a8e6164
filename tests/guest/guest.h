/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the bare S-mode test guests share: SBI calls, console output, CSRs. */
#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>

#define SBI_EXT_BASE 0x10
#define SBI_EXT_TIME 0x54494d45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_HSM 0x48534d
#define SBI_EXT_RFENCE 0x52464e43
#define SBI_EXT_SRST 0x53525354
#define SBI_EXT_DBCN 0x4442434e

/* Ticks of the time CSR in a second, as on QEMU's virt board. */
#define TIMEBASE 10000000ul

/* In sie and in sip. */
#define INT_SOFT (1ul << 1)
#define INT_TIMER (1ul << 5)
#define INT_EXTERNAL (1ul << 9)

/* A page table entry. */
#define PTE(addr, flags) ((uint64_t)(addr) >> 12 << 10 | (flags))

struct sbi_ret {
	long error;
	long value;
};

static inline struct sbi_ret sbi_call(long ext, long fid, long arg0, long arg1, long arg2)
{
	register long a0 __asm__("a0") = arg0;
	register long a1 __asm__("a1") = arg1;
	register long a2 __asm__("a2") = arg2;
	register long a6 __asm__("a6") = fid;
	register long a7 __asm__("a7") = ext;

	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
	return (struct sbi_ret){a0, a1};
}

#define csr_read(csr)                                                                              \
	({                                                                                         \
		uint64_t value_;                                                                   \
		__asm__ volatile("csrr %0, " #csr : "=r"(value_)::"memory");                       \
		value_;                                                                            \
	})
#define csr_write(csr, value)                                                                      \
	__asm__ volatile("csrw " #csr ", %0" ::"r"((uint64_t)(value)) : "memory")

/* First of all on each hart. A linker that relaxed it would make it "mv gp, gp". */
#define GUEST_SET_GP                                                                               \
	"	.option push\n"                                                                          \
	"	.option norelax\n"                                                                       \
	"	lla gp, __global_pointer$\n"                                                             \
	"	.option pop\n"

/*
 * Other harts, up to GUEST_MAX_HARTS: `label` is where HSM starts them, each with a number below that as the
 * opaque value. They run function(number), each on a stack of its own.
 */
#define GUEST_MAX_HARTS 8
#define GUEST_OTHER_HARTS(label, function)                                                         \
	char label##_stacks[GUEST_MAX_HARTS][4096] __attribute__((aligned(16)));                   \
	extern char label[];                                                                       \
	void function(uint64_t number);                                                            \
	__asm__(".globl " #label "\n" #label ":\n" GUEST_SET_GP "	lla sp, " #label           \
		"_stacks + 4096\n"                                                                 \
		"	slli t0, a1, 12\n"                                                               \
		"	add sp, sp, t0\n"                                                                \
		"	lla t0, trap\n"                                                                  \
		"	csrw stvec, t0\n"                                                                \
		"	mv a0, a1\n"                                                                     \
		"	call " #function "\n")

/* First address after the program, its stack included. */
extern char image_end[];

int main(long hart, void *fdt);
/* The number of the word "name=N" on the command line (/chosen/bootargs), or other if there is none. */
uint64_t guest_option(const void *fdt, const char *name, uint64_t other);
/* Whether some string of the device tree is this one. */
int guest_tree_mentions(const void *fdt, const char *text);
/* A TAP line: a case and whether it is good. */
void guest_check(const char *name, int good);
/* The plan, after the last case. How many were not good. */
int guest_checked(void);
void guest_print(const char *text);
void guest_print_number(uint64_t number);
/* Powers off; a status other than 0 is reported as a failure of the guest. */
void guest_exit(int status) __attribute__((noreturn));
void guest_trap(uint64_t cause, uint64_t pc, uint64_t value) __attribute__((noreturn));

/* What scripts/trap-table counts lies between mark_NAME_begin and mark_NAME_end: ecalls that its trace shows by their pc. */
#define GUEST_MARK(label)                                                                          \
	__asm__ volatile("li a7, 0x10\n\tli a6, 0\n\t.globl " #label "\n" #label ":\n\tecall" ::   \
				 : "a0", "a1", "a6", "a7", "memory")

#endif
