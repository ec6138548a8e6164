// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address spaces that go from one hart to the other while the hypervisor moves the harts about: one hart has an
 * ASID to itself, changes what it maps and fences that for itself alone, as Linux does of a process that has run
 * nowhere else. Then the other hart, which has never had that ASID in satp and so needs no fence, must see what
 * is mapped now. Needs --cpus 2 and someone who moves the vCPUs. Prints one TAP line per case.
 */
#include "window.h"

#define ROUNDS 300
#define TENURE (TIMEBASE / 50)
#define PATIENCE (100 * TIMEBASE)

static volatile uint64_t step; /* whose turn it is, see run() */
static volatile uint64_t mapped;
static volatile uint64_t stale_alone;
static volatile uint64_t stale_after;

static void map_window(uint64_t page)
{
	window_show(0, page);
	mapped = page;
}

/* The ASID's first hart: it changes the map from time to time, and fences that for itself. */
static void own(uint64_t asid)
{
	uint64_t end = csr_read(time) + TENURE;

	window_enter(asid);
	while (csr_read(time) < end) {
		uint64_t next = csr_read(time) + TENURE / 16;

		while (csr_read(time) < next)
			stale_alone += window_seen(0) != mapped;
		map_window(!mapped);
		__asm__ volatile("sfence.vma %0, %1" ::"r"(WINDOW), "r"(asid) : "memory");
	}
	csr_write(satp, 0);
}

static void inherit(uint64_t asid)
{
	window_enter(asid);
	stale_after += window_seen(0) != mapped;
	csr_write(satp, 0);
}

/* Two steps a round: the first hart's, which is each in turn, and the second's. */
static void run(uint64_t me)
{
	uint64_t end = csr_read(time) + PATIENCE;

	while (step < 2 * ROUNDS && csr_read(time) < end) {
		uint64_t now = __atomic_load_n(&step, __ATOMIC_ACQUIRE);
		uint64_t asid = now / 2 + 1;

		if ((now + asid) % 2 != me || now >= 2 * ROUNDS)
			continue;
		if (now % 2)
			inherit(asid);
		else
			own(asid);
		__atomic_store_n(&step, now + 1, __ATOMIC_RELEASE);
	}
}

GUEST_OTHER_HARTS(other_hart_start, other_hart);

void other_hart(uint64_t me)
{
	run(me);
	for (;;)
		sbi_call(SBI_EXT_HSM, 1, 0, 0, 0);
}

int main(long hart, void *fdt)
{
	(void)fdt;
	window_init();
	sbi_call(SBI_EXT_HSM, 0, hart ? 0 : 1, (long)other_hart_start, 1);
	run(0);
	guest_check("all rounds are done", step == 2 * ROUNDS);
	guest_check("a hart sees what it has mapped", !stale_alone);
	guest_check("so does the hart that has the address space next", !stale_after);
	return guest_checked();
}
