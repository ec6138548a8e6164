// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * With --no-sstc: stimecmp is an illegal instruction as on a hart that never had it, the time is there, and
 * the firmware's timer works. Prints one TAP line per case.
 */
#include "guest.h"

#define ILLEGAL_INSTRUCTION 2
#define SLEEPS 20

/* Skips the instruction that trapped, all of which are 4 bytes, and counts. */
static volatile uint64_t traps;
static volatile uint64_t last_cause;
__asm__(".balign 4\n"
	"skip:\n"
	"	csrw sscratch, t0\n"
	"	csrr t0, sepc\n"
	"	addi t0, t0, 4\n"
	"	csrw sepc, t0\n"
	"	lla t0, last_cause\n"
	"	sd t1, -8(sp)\n"
	"	csrr t1, scause\n"
	"	sd t1, 0(t0)\n"
	"	lla t0, traps\n"
	"	ld t1, 0(t0)\n"
	"	addi t1, t1, 1\n"
	"	sd t1, 0(t0)\n"
	"	ld t1, -8(sp)\n"
	"	csrr t0, sscratch\n"
	"	sret\n");
extern char skip[];

static void no_register(void)
{
	uint64_t old = csr_read(stvec);
	uint64_t value = 5;

	csr_write(stvec, skip);
	__asm__ volatile("csrr %0, 0x14d" : "+r"(value));
	guest_check("reading stimecmp is illegal", traps == 1 && last_cause == ILLEGAL_INSTRUCTION);
	guest_check("... and changes no register", value == 5);
	__asm__ volatile("csrw 0x14d, zero");
	guest_check("writing stimecmp is illegal", traps == 2 && last_cause == ILLEGAL_INSTRUCTION);
	guest_check("... and makes no timer pending", !(csr_read(sip) & INT_TIMER));
	csr_write(stvec, old);
}

static void time_goes_on(void)
{
	uint64_t last = csr_read(time);
	uint64_t first = last;
	int good = 1;

	for (int i = 0; i < 1000; i++) {
		uint64_t now = csr_read(time);

		good &= now >= last;
		last = now;
	}
	guest_check("the time goes on, never back", good && last > first);
}

static void firmware_timer(void)
{
	int good = 1;

	csr_write(sie, INT_TIMER);
	for (int i = 0; i < SLEEPS; i++) {
		uint64_t due = csr_read(time) + TIMEBASE / 1000;

		sbi_call(SBI_EXT_TIME, 0, (long)due, 0, 0);
		while (!(csr_read(sip) & INT_TIMER))
			__asm__ volatile("wfi");
		good &= csr_read(time) >= due;
		sbi_call(SBI_EXT_TIME, 0, -1, 0, 0);
		good &= !(csr_read(sip) & INT_TIMER);
	}
	guest_check("set_timer wakes from wfi, never early, and is taken back", good);
}

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	no_register();
	time_goes_on();
	firmware_timer();
	return guest_checked();
}
