// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Up to 8 harts that send nothing, wait, and count the software and external interrupts that come all the
 * same: another VM's. On the command line: ms=N, for how long (default 1000).
 */
#include "guest.h"

#define SBI_EXT_HSM 0x48534d
#define TICKS_PER_MS 10000ul
#define MAX_HARTS 8
#define MAX_HART_ID 1024
#define SIE_SOFT (1ul << 1)
#define SIE_TIMER (1ul << 5)
#define SIE_EXT (1ul << 9)

static uint64_t end;
static volatile uint64_t foreign[MAX_HARTS];
static volatile uint64_t done[MAX_HARTS];
char stacks[MAX_HARTS][4096] __attribute__((aligned(16)));

__asm__(".globl witness_start\n"
	"witness_start:\n"
	"	lla gp, __global_pointer$\n"
	"	lla sp, stacks\n"
	"	addi t0, a1, 1\n"
	"	slli t0, t0, 12\n"
	"	add sp, sp, t0\n"
	"	mv a0, a1\n"
	"	call witness_hart\n");
extern char witness_start[];
void witness_hart(uint64_t number);

/* Half of the time asleep, half of it running: both ways in which an interrupt can arrive. */
static void watch(uint64_t number)
{
	uint64_t now;

	csr_write(sie, SIE_SOFT | SIE_TIMER | SIE_EXT);
	while ((now = csr_read(time)) < end) {
		sbi_call(SBI_EXT_TIME, 0, (long)(now + TICKS_PER_MS), 0, 0);
		__asm__ volatile("wfi");
		for (now = csr_read(time) + TICKS_PER_MS; csr_read(time) < now;)
			;
		foreign[number] += (csr_read(sip) & (SIE_SOFT | SIE_EXT)) != 0;
		__asm__ volatile("csrc sip, %0" : : "r"(SIE_SOFT));
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
	for (long id = 0; id < MAX_HART_ID && count < MAX_HARTS; id++)
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
