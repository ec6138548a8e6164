// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Up to 8 harts that send nothing, wait, and count the software and external interrupts that come all the
 * same: another VM's. On the command line: ms=N, for how long (default 1000).
 */
#include "guest.h"

#define TICKS_PER_MS (TIMEBASE / 1000)
#define MAX_HART_ID 1024

static uint64_t end;
static volatile uint64_t foreign[GUEST_MAX_HARTS];
static volatile uint64_t done[GUEST_MAX_HARTS];

GUEST_OTHER_HARTS(witness_start, witness_hart);

/* Half of the time asleep, half of it running: both ways in which an interrupt can arrive. */
static void watch(uint64_t number)
{
	uint64_t now;

	csr_write(sie, INT_SOFT | INT_TIMER | INT_EXTERNAL);
	while ((now = csr_read(time)) < end) {
		sbi_call(SBI_EXT_TIME, 0, (long)(now + TICKS_PER_MS), 0, 0);
		__asm__ volatile("wfi");
		for (now = csr_read(time) + TICKS_PER_MS; csr_read(time) < now;)
			;
		foreign[number] += (csr_read(sip) & (INT_SOFT | INT_EXTERNAL)) != 0;
		__asm__ volatile("csrc sip, %0" : : "r"(INT_SOFT));
	}
	csr_write(sie, 0);
	__asm__ volatile("fence rw, rw" : : : "memory");
	done[number] = 1;
}

void witness_hart(uint64_t number)
{
	watch(number);
	sbi_call(SBI_EXT_HSM, 1, 0, 0, 0);
}

int main(long hart, void *fdt)
{
	uint64_t count = 1;
	uint64_t sum;

	end = csr_read(time) + guest_option(fdt, "ms", 1000) * TICKS_PER_MS;
	for (long id = 0; id < MAX_HART_ID && count < GUEST_MAX_HARTS; id++)
		if (id != hart &&
		    !sbi_call(SBI_EXT_HSM, 0, id, (long)witness_start, (long)count).error)
			count++;
	watch(0);
	sum = foreign[0];
	for (uint64_t i = 1; i < count; i++) {
		while (!done[i])
			;
		sum += foreign[i];
	}
	guest_print(sum ? "not ok 1 - " : "ok 1 - ");
	guest_print_number(count);
	guest_print(" harts saw foreign interrupts: ");
	guest_print_number(sum);
	guest_print("\n1..1\n");
	return sum != 0;
}
