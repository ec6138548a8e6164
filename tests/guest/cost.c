// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each operation of a virtual machine costs, seen from inside: the payload of scripts/bench,
 * the same binary under every hypervisor.
 *
 * Each line is "NAME: MEDIAN MIN MAX" in nanoseconds per operation, over the batches, less what the measuring loop itself
 * takes ("empty loop"). Under
 * scripts/run --icount time advances by one nanosecond per instruction, host's and guest's, so these are
 * instructions, and the median is free of the host's own timer, which falls into few batches only.
 *
 * One hart runs what needs one; if there is a second, only what needs two is measured.
 */
#include "guest.h"
#include "imsic.h"

#define NSEC_PER_TICK 100
#define BATCHES 11
#define PAGE 4096ul
#define HUGE_PAGE (2ul << 20)
#define SSTATUS_SIE (1ul << 1)

#define UART 0x10000000ul
#define UART_IER (UART + 1)
#define UART_SCRATCH (UART + 7)
#define UART_IRQ 10
#define IER_THRI 2
#define PLIC 0x0c000000ul

#define REG8(addr) (*(volatile uint8_t *)(addr))
#define REG32(addr) (*(volatile uint32_t *)(addr))

/* --- operations of one hart --------------------------------------------- */

static void empty(uint64_t i)
{
	(void)i;
	__asm__ volatile("");
}

static void hypercall(uint64_t i)
{
	(void)i;
	sbi_call(SBI_EXT_BASE, 0, 0, 0, 0);
}

static void word_read(uint64_t i)
{
	(void)i;
	(void)REG32(PLIC + 4 * UART_IRQ);
}

static void word_write(uint64_t i)
{
	REG32(PLIC + 4 * UART_IRQ) = (uint32_t)i & 7;
}

static void byte_read(uint64_t i)
{
	(void)i;
	(void)REG8(UART_SCRATCH);
}

static void byte_write(uint64_t i)
{
	REG8(UART_SCRATCH) = (uint8_t)i;
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

static void self_ipi(uint64_t i)
{
	(void)i;
	csr_write(sie, INT_SOFT);
	sbi_call(SBI_EXT_IPI, 0, 1, 0, 0);
	wait_for_arrival();
}

static void timer_by_register(uint64_t i)
{
	(void)i;
	csr_write(stimecmp, csr_read(time));
	csr_write(sie, INT_TIMER);
	wait_for_arrival();
}

static void timer_by_call(uint64_t i)
{
	(void)i;
	sbi_call(SBI_EXT_TIME, 0, (long)csr_read(time), 0, 0);
	csr_write(sie, INT_TIMER);
	wait_for_arrival();
}

static uintptr_t untouched;

static void touch(uintptr_t step)
{
	untouched = (untouched + step) & -step;
	*(volatile uint64_t *)untouched = 1;
}

static void first_touch(uint64_t i)
{
	(void)i;
	touch(PAGE);
}

static void first_touch_huge(uint64_t i)
{
	(void)i;
	touch(HUGE_PAGE);
}

/* --- the PLIC's context: QEMU's board has one per hart under KVM, else two --- */

static unsigned int context;

static void find_context(void)
{
	context = 1;
	REG32(PLIC + 0x200000 + 0x1000 * context) = 3;
	if (REG32(PLIC + 0x200000 + 0x1000 * context) != 3)
		context = 0;
	REG32(PLIC + 0x200000 + 0x1000 * context) = 0;
	REG32(PLIC + 0x2000 + 0x80 * context) = 1u << UART_IRQ;
	REG32(PLIC + 4 * UART_IRQ) = 1;
}

static void claim_and_complete(void)
{
	uint64_t claim = PLIC + 0x200004 + 0x1000 * context;

	REG32(claim) = REG32(claim);
}

/* From the store that makes the serial port interrupt to the handler, and the line is low again. */
static void raise_and_lower(void)
{
	csr_write(sie, INT_EXTERNAL);
	REG8(UART_IER) = IER_THRI;
	wait_for_arrival();
	REG8(UART_IER) = 0;
}

static void device_interrupt(uint64_t i)
{
	(void)i;
	raise_and_lower();
	claim_and_complete();
}

/* --- APLIC and IMSIC ------------------------------------------------------ */

#define APLIC 0x0d000000ul
#define APLIC_MSI_MODE 0x104
#define APLIC_RISING_EDGE 4
#define DEVICE_ID 9
#define MESSAGE_ID 7

static void wire_to_message(void)
{
	imsic_enable();
	REG32(APLIC + 4 * UART_IRQ) = APLIC_RISING_EDGE;
	REG32(APLIC + 0x3000 + 4 * UART_IRQ) = DEVICE_ID;
	REG32(APLIC + 0x1edc) = UART_IRQ;
	REG32(APLIC) = APLIC_MSI_MODE;
}

static void message_to_oneself(uint64_t i)
{
	(void)i;
	csr_write(sie, INT_EXTERNAL);
	imsic_send(0, MESSAGE_ID);
	wait_for_arrival();
	imsic_claim();
}

static void device_message(uint64_t i)
{
	(void)i;
	raise_and_lower();
	imsic_claim();
}

static void claim_nothing(uint64_t i)
{
	(void)i;
	imsic_claim();
}

/* --- measuring ------------------------------------------------------------ */

static void sort(uint64_t *value, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		for (unsigned int k = i; k && value[k] < value[k - 1]; k--) {
			uint64_t other = value[k];

			value[k] = value[k - 1];
			value[k - 1] = other;
		}
}

static uint64_t loop;

/* Kept until all is measured: what the host's kernel still does to put a line out would be in the next row. */
static struct result {
	const char *name;
	uint64_t median, least, most;
} results[32];
static unsigned int result_count;

static void keep(const char *name, uint64_t *batch)
{
	sort(batch, BATCHES);
	results[result_count++] = (struct result){.name = name,
						  .median = batch[BATCHES / 2],
						  .least = batch[0],
						  .most = batch[BATCHES - 1]};
}

static void print_results(void)
{
	for (const struct result *result = results; result < results + result_count; result++) {
		guest_print(result->name);
		guest_print(": ");
		guest_print_number(result->median);
		guest_print(" ");
		guest_print_number(result->least);
		guest_print(" ");
		guest_print_number(result->most);
		guest_print("\n");
	}
}

static void measure(const char *name, uint64_t count, void (*operation)(uint64_t i))
{
	uint64_t batch[BATCHES];

	operation(0);
	for (unsigned int b = 0; b < BATCHES; b++) {
		uint64_t start = csr_read(time);

		for (uint64_t i = 0; i < count; i++)
			operation(i);
		batch[b] = ((csr_read(time) - start) * NSEC_PER_TICK + count / 2) / count;
		batch[b] = batch[b] > loop ? batch[b] - loop : 0;
	}
	keep(name, batch);
	if (operation == empty)
		loop = batch[BATCHES / 2];
}

/* How late a hart wakes that sleeps for 2 ms. */
static void measure_wakeup(void)
{
	uint64_t batch[BATCHES];

	__asm__ volatile("csrc sstatus, %0" : : "r"(SSTATUS_SIE));
	for (unsigned int b = 0; b < BATCHES; b++) {
		uint64_t due = csr_read(time) + 20000;

		csr_write(stimecmp, due);
		csr_write(sie, INT_TIMER);
		while (csr_read(time) < due)
			__asm__ volatile("wfi");
		batch[b] = (csr_read(time) - due) * NSEC_PER_TICK;
	}
	csr_write(stimecmp, -1ul);
	__asm__ volatile("csrs sstatus, %0" : : "r"(SSTATUS_SIE));
	keep("WFI wake-up after the deadline", batch);
}

/* --- two harts -------------------------------------------------------------- */

void second(void);
extern char second_start[];
__asm__("	.globl	second_start\n"
	"second_start:\n" GUEST_SET_GP "	lla	sp, second_stack + 4096\n"
	"	call	second\n");
static char second_stack[4096] __attribute__((aligned(16), used));
static volatile int second_is_here;
static volatile uint64_t pings;
static volatile uint64_t pongs;

static void answer_ping(void)
{
	if (!(csr_read(sip) & INT_SOFT))
		return;
	__asm__ volatile("csrci sip, 2");
	pongs++;
	sbi_call(SBI_EXT_IPI, 0, 1, 0, 0);
}

void second(void)
{
	csr_write(sie, 0);
	second_is_here = 1;
	for (;;)
		answer_ping();
}

/* To a hart that looks for it all the time, and back. */
static void ping(uint64_t i)
{
	(void)i;
	sbi_call(SBI_EXT_IPI, 0, 1, 1, 0);
	pings++;
	while (!(csr_read(sip) & INT_SOFT))
		;
	__asm__ volatile("csrci sip, 2");
}

static void remote_fence(uint64_t i)
{
	register long a3 __asm__("a3") = -1;

	(void)i;
	__asm__ volatile("" : : "r"(a3));
	sbi_call(SBI_EXT_RFENCE, 1, 1, 1, 0);
}

static void measure_two_harts(void)
{
	/* An IPI to a hart that is still starting may be lost. */
	while (!second_is_here)
		;
	measure("IPI to a running hart and back", 100, ping);
	measure("remote fence of a running hart", 100, remote_fence);
	if (pongs < pings)
		guest_print("# pings were lost\n");
}

/* Only what differs from a hart with a PLIC. */
static void measure_aia(void)
{
	wire_to_message();
	measure("AIA, claim of nothing", 10000, claim_nothing);
	measure("AIA, message to oneself, with claim", 2000, message_to_oneself);
	measure("AIA, device interrupt, with claim", 300, device_message);
}

static void measure_one_hart(void)
{
	measure("empty loop", 10000, empty);
	measure("null hypercall", 10000, hypercall);
	measure("MMIO word read", 2000, word_read);
	measure("MMIO word write", 2000, word_write);
	measure("MMIO byte read", 2000, byte_read);
	measure("MMIO byte write", 2000, byte_write);
	measure("IPI to oneself", 2000, self_ipi);
	measure("SBI set_timer to interrupt", 2000, timer_by_call);
	measure("stimecmp to interrupt", 2000, timer_by_register);
	find_context();
	measure("device interrupt, with claim", 300, device_interrupt);
	measure_wakeup();
	untouched = (uintptr_t)image_end;
	measure("first touch of 4 KiB", 200, first_touch);
	measure("first touch of 2 MiB", 3, first_touch_huge);
}

int main(long hart, void *fdt)
{
	(void)hart;
	csr_write(stvec, take_interrupt);
	__asm__ volatile("csrs sstatus, %0" : : "r"(SSTATUS_SIE));
	if (guest_tree_mentions(fdt, "riscv,imsics"))
		measure_aia();
	else if (sbi_call(SBI_EXT_HSM, 0, 1, (long)second_start, 0).error)
		measure_one_hart();
	else
		measure_two_harts();
	print_results();
	return 0;
}
