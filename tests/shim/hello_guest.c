/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest runs at all: the first thing to try when anything below it has changed. */
#include <string.h>
#include <sys/mman.h>

#include "shimtest.h"

TEST(guest_exits_by_ecall_and_goes_on)
{
	struct guest *guest = guest_new(guest_hello);

	guest_boot(guest);
	guest->frame.gpr[A0] = 41;
	for (uint64_t i = 0; i < 1000; i++) {
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A0], 42 + i);
		CHECK_EQ(CSR_READ(CSR_HUEPC), GUEST_BASE + 4);
		CHECK_EQ(CSR_READ(CSR_HUSTATUS) & (HUSTATUS_SPV | HUSTATUS_SPVP),
			 HUSTATUS_SPV | HUSTATUS_SPVP);
		CSR_WRITE(CSR_HUEPC, GUEST_BASE + 8);
	}
}

TEST(guest_memory_is_process_memory)
{
	struct guest *guest = guest_new(guest_access);
	uint64_t *words = (uint64_t *)(void *)guest->memory;

	guest_boot(guest);
	words[0x1000 / 8] = 0x1122334455667788;
	guest->frame.gpr[A0] = GUEST_BASE + 0x2000;
	guest->frame.gpr[A1] = 0xfeedface;
	guest->frame.gpr[A2] = GUEST_BASE + 0x1000;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3], 0x1122334455667788);
	CHECK_EQ(words[0x2000 / 8], 0xfeedface);
}

TEST(guest_page_fault_is_an_exit)
{
	struct guest *guest = guest_new(guest_load);

	guest_boot(guest);
	guest->frame.gpr[A2] = 0x10000008;
	CHECK_EQ(guest_run(guest), DV_CAUSE_LOAD_GUEST_PAGE_FAULT);
	CHECK_EQ(CSR_READ(CSR_HUGPA), 0x10000008);
	CHECK_EQ(CSR_READ(CSR_HUEPC), GUEST_BASE);
	CHECK(CSR_READ(CSR_HUTINST) != 0);
}

TEST(host_pages_in_on_demand)
{
	struct guest *guest = guest_new(guest_access);

	guest_boot(guest);
	CHECK(!madvise(guest->memory + 0x10000, 0x100000, MADV_DONTNEED));
	for (uint64_t offset = 0x10000; offset < 0x100000; offset += 0x1000) {
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		guest->frame.gpr[A0] = GUEST_BASE + offset;
		guest->frame.gpr[A1] = offset;
		guest->frame.gpr[A2] = GUEST_BASE + offset;
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A3], offset);
		CHECK_EQ(*(uint64_t *)(void *)(guest->memory + offset), offset);
	}
	/* One page a fault, but for huge pages and faults around. */
	CHECK(guest->host_faults > 0);
}

TEST(host_timer_ticks_go_on)
{
	struct guest *guest = guest_new(guest_compute);

	guest_boot(guest);
	finish_in(500);
	guest->frame.gpr[A1] = 5;
	do {
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		guest->frame.gpr[A0] = 100000;
		guest->frame.gpr[A2] = 7;
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A2], compute(100000, 5, 7));
	} while (!finished());
	CHECK(guest->host_interrupts > 10);
}

TEST(guest_timer_interrupts_the_guest_without_an_exit)
{
	struct guest *guest = guest_new(guest_timer);

	guest_boot(guest);
	guest->frame.gpr[A0] = 500000;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A0], 1UL << 63 | 5);
	CHECK(guest->frame.gpr[A1] > 0);
	CHECK_EQ(guest->entries,
		 1 + guest->host_interrupts + guest->host_faults + guest->doorbells);
}
