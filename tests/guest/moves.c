// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address spaces that go from one hart to the other while the hypervisor moves the harts about: one hart has an
 * ASID to itself, changes what it maps and fences that for itself alone, as Linux does of a process that has run
 * nowhere else. Then the other hart, which has never had that ASID in satp and so needs no fence, must see what
 * is mapped now. Needs --cpus 2 and someone who moves the vCPUs. Prints one TAP line per case.
 */
#include "guest.h"

#define ROUNDS 300
#define TENURE (TIMEBASE / 50)
#define PATIENCE (100 * TIMEBASE)

/* An Sv39 root with RAM mapped 1:1 and one page at 1 GiB that changes. */
static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t middle[512] __attribute__((aligned(4096)));
static uint64_t low[512] __attribute__((aligned(4096)));
static uint64_t pages[2][512] __attribute__((aligned(4096)));
#define WINDOW 0x40000000ul

static volatile uint64_t step; /* whose turn it is, see run() */
static volatile uint64_t mapped;
static volatile uint64_t stale_alone;
static volatile uint64_t stale_after;

static void map_window(uint64_t page)
{
	*(volatile uint64_t *)&low[0] = PTE(pages[page], 0xcf);
	mapped = page;
}

static uint64_t window(void)
{
	return *(volatile uint64_t *)WINDOW;
}

static void use_asid(uint64_t asid)
{
	csr_write(satp, 8ul << 60 | asid << 44 | (uint64_t)root >> 12);
}

/* The ASID's first hart: it changes the map from time to time, and fences that for itself. */
static void own(uint64_t asid)
{
	uint64_t end = csr_read(time) + TENURE;

	use_asid(asid);
	while (csr_read(time) < end) {
		uint64_t next = csr_read(time) + TENURE / 16;

		while (csr_read(time) < next)
			stale_alone += window() != mapped;
		map_window(!mapped);
		__asm__ volatile("sfence.vma %0, %1" ::"r"(WINDOW), "r"(asid) : "memory");
	}
	csr_write(satp, 0);
}

static void inherit(uint64_t asid)
{
	use_asid(asid);
	stale_after += window() != mapped;
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
	root[1] = PTE(middle, 1);
	root[2] = PTE(0x80000000ul, 0xcf);
	middle[0] = PTE(low, 1);
	pages[1][0] = 1;
	map_window(0);
	sbi_call(SBI_EXT_HSM, 0, hart ? 0 : 1, (long)other_hart_start, 1);
	run(0);
	guest_check("all rounds are done", step == 2 * ROUNDS);
	guest_check("a hart sees what it has mapped", !stale_alone);
	guest_check("so does the hart that has the address space next", !stale_after);
	return guest_checked();
}
