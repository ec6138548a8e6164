// SPDX-License-Identifier: GPL-2.0-or-later
/* Load for scripts/trap-table: phases of one kind of exit each. */
#include "guest.h"

#define COUNT 10000
#define PAGE 4096ul

static volatile uint64_t sink;

/* Arithmetic and memory for a time, so that only what the host wants itself takes the hart. */
static void cpu_work(uint64_t milliseconds)
{
	uint64_t end = csr_read(time) + milliseconds * (TIMEBASE / 1000);
	uint64_t x = 88172645463325252ull;

	while (csr_read(time) < end) {
		for (int i = 0; i < 1000; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		sink = x;
	}
}

static void hypercalls(void)
{
	for (int i = 0; i < COUNT; i++)
		sbi_call(SBI_EXT_BASE, 0, 0, 0, 0);
}

static void mmio(void)
{
	volatile uint32_t *plic_priority = (volatile uint32_t *)(0x0c000000ul + 4 * 10);

	for (int i = 0; i < COUNT; i++)
		sink = *plic_priority;
}

/* With --lazy-stage2 the first touch of each page is a stage-2 fault. */
static void stage2_faults(void)
{
	uintptr_t page = ((uintptr_t)image_end + PAGE - 1) & ~(PAGE - 1);

	for (int i = 0; i < COUNT; i++, page += PAGE)
		*(volatile uint64_t *)page = i;
}

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	guest_print("traps: begin\n");
	/* Let the hypervisor's other thread finish printing. */
	cpu_work(200);
	GUEST_MARK(mark_cpu_begin);
	cpu_work(10000);
	GUEST_MARK(mark_cpu_end);
	GUEST_MARK(mark_hypercall_begin);
	hypercalls();
	GUEST_MARK(mark_hypercall_end);
	GUEST_MARK(mark_mmio_begin);
	mmio();
	GUEST_MARK(mark_mmio_end);
	GUEST_MARK(mark_stage2_begin);
	stage2_faults();
	GUEST_MARK(mark_stage2_end);
	guest_print("traps: end\n");
	return 0;
}
