// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each kind of exit costs. Under the emulator's instruction counting (scripts/run --icount)
 * time advances with the instructions executed, one nanosecond each, so that the numbers are
 * host and guest instructions per operation, repeatable to the digit.
 */
#include "guest.h"

#define COUNT 10000
#define NSEC_PER_TICK 100
#define PLIC_PRIORITY 0x0c000028ul
#define PAGE 4096ul
#define SIE_SOFT (1ul << 1)
#define SIE_TIMER (1ul << 5)
#define SSTATUS_SIE (1ul << 1)

static void empty(void)
{
	__asm__ volatile("");
}

static void hypercall(void)
{
	sbi_call(SBI_EXT_BASE, 0, 0, 0, 0);
}

static void mmio_read(void)
{
	(void)*(volatile uint32_t *)PLIC_PRIORITY;
}

static void mmio_write(void)
{
	*(volatile uint32_t *)PLIC_PRIORITY = 1;
}

static volatile int arrived;

/* Interrupts that are wanted: silenced, noted. */
extern char take_interrupt[];
__asm__("	.balign	4\n"
	"take_interrupt:\n"
	"	csrw	sscratch, t0\n"
	"	csrci	sip, 2\n"
	"	csrw	sie, zero\n"
	"	li	t0, 1\n"
	"	sw	t0, arrived, t1\n"
	"	csrr	t0, sscratch\n"
	"	sret\n");

static void wait_for_arrival(void)
{
	while (!arrived)
		;
	arrived = 0;
	__asm__ volatile("" : : : "t1");
}

static void self_ipi(void)
{
	csr_write(sie, SIE_SOFT);
	sbi_call(SBI_EXT_IPI, 0, 1, 0, 0);
	wait_for_arrival();
}

static void timer(void)
{
	csr_write(stimecmp, csr_read(time));
	csr_write(sie, SIE_TIMER);
	wait_for_arrival();
}

static void first_touch(void)
{
	static uintptr_t page;

	if (!page)
		page = (uintptr_t)image_end;
	page += PAGE;
	*(volatile uint64_t *)page = 1;
}

static void measure(const char *name, void (*operation)(void))
{
	uint64_t start;

	operation();
	start = csr_read(time);
	for (int i = 0; i < COUNT; i++)
		operation();
	guest_print(name);
	guest_print(": ");
	guest_print_number((csr_read(time) - start) * NSEC_PER_TICK / COUNT);
	guest_print("\n");
}

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	csr_write(stvec, take_interrupt);
	__asm__ volatile("csrs sstatus, %0" : : "r"(SSTATUS_SIE));
	measure("empty loop", empty);
	measure("null hypercall", hypercall);
	measure("MMIO read", mmio_read);
	measure("MMIO write", mmio_write);
	measure("IPI to oneself", self_ipi);
	measure("timer set to interrupt", timer);
	measure("first touch of a page", first_touch);
	return 0;
}
