// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IPIs between all harts there are, counted: by the SBI, or as messages to each other's interrupt
 * files where the device tree has an IMSIC. Where there are two harts, 10,000 there and back at
 * first, both awake. Then a storm in which harts sleep, mostly. Needs --cpus 2 to 8. Prints one TAP line per case.
 */
#include "guest.h"
#include "imsic.h"

#define LIMIT (200 * TIMEBASE)

#define PING_PONGS 10000
#define CALLS 4000

/* What one hart tells another. As an identity: 1 + kind * GUEST_MAX_HARTS + sender. */
enum kind { CALL, ANSWER, KINDS };

static uint64_t harts;
static uint64_t rounds;
static uint64_t use_imsic;
static uint64_t arrived;
static uint64_t finished;

/* Without identities of their own, IPIs say who they are from in memory. */
static uint64_t mail[GUEST_MAX_HARTS];
/* Written by their hart only, and by hart 0 while nobody else counts. */
static volatile uint64_t received[GUEST_MAX_HARTS][KINDS][GUEST_MAX_HARTS];

static uint64_t total(volatile uint64_t *what)
{
	return __atomic_load_n(what, __ATOMIC_SEQ_CST);
}

static void add_one(uint64_t *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_SEQ_CST);
}

static void set_up_hart(void)
{
	if (use_imsic)
		imsic_enable();
	csr_write(sie, (use_imsic ? INT_EXTERNAL : INT_SOFT) | INT_TIMER);
}

static void send(uint64_t to, enum kind kind, uint64_t from)
{
	uint64_t bit = kind * GUEST_MAX_HARTS + from;

	if (use_imsic) {
		imsic_send(to, 1 + bit);
		return;
	}
	__atomic_fetch_or(&mail[to], 1ul << bit, __ATOMIC_SEQ_CST);
	sbi_call(SBI_EXT_IPI, 0, 1l << to, 0, 0);
}

/* Each call is answered, once. */
static void take(uint64_t me, uint64_t bit)
{
	uint64_t from = bit % GUEST_MAX_HARTS;

	received[me][bit / GUEST_MAX_HARTS][from]++;
	if (bit / GUEST_MAX_HARTS == CALL)
		send(from, ANSWER, me);
}

static void take_messages(uint64_t me)
{
	uint64_t id;

	while ((id = imsic_claim()))
		take(me, id - 1);
}

static void take_mail(uint64_t me)
{
	uint64_t bits;

	__asm__ volatile("csrc sip, %0" ::"r"(INT_SOFT) : "memory");
	bits = __atomic_exchange_n(&mail[me], 0, __ATOMIC_SEQ_CST);
	for (uint64_t bit = 0; bit < KINDS * GUEST_MAX_HARTS; bit++)
		if (bits >> bit & 1)
			take(me, bit);
}

/* Take what has come. With asleep, sleep until something has: a lost interrupt ends at the limit. */
static void serve(uint64_t me, int asleep)
{
	uint64_t pending;

	if (asleep)
		__asm__ volatile("wfi");
	pending = csr_read(sip);
	if (pending & INT_EXTERNAL)
		take_messages(me);
	if (pending & INT_SOFT)
		take_mail(me);
}

static int answered(uint64_t me, uint64_t round)
{
	for (uint64_t other = 0; other < harts; other++)
		if (other != me && received[me][ANSWER][other] < round)
			return 0;
	return 1;
}

/* Call everybody in each round and wait for all their answers, which are interrupts, too. */
static void storm(uint64_t me, uint64_t end)
{
	for (uint64_t round = 1; round <= rounds; round++) {
		for (uint64_t other = 0; other < harts; other++)
			if (other != me)
				send(other, CALL, me);
		while (!answered(me, round)) {
			serve(me, round % 8 != 0);
			if (csr_read(time) > end)
				return;
		}
	}
}

static void meet(uint64_t *what, uint64_t me, uint64_t end)
{
	add_one(what);
	while (total(what) < harts && csr_read(time) < end)
		serve(me, 0);
}

static void run_storm(uint64_t me)
{
	uint64_t end = csr_read(time) + LIMIT;

	sbi_call(SBI_EXT_TIME, 0, (long)end, 0, 0);
	storm(me, end);
	/* Nobody leaves while others want answers. */
	meet(&finished, me, end);
}

GUEST_OTHER_HARTS(other_hart_start, other_hart);

void other_hart(uint64_t me)
{
	set_up_hart();
	add_one(&arrived);
	while (total(&arrived) <= harts)
		serve(me, 0);
	run_storm(me);
	for (;;)
		sbi_call(SBI_EXT_HSM, 1, 0, 0, 0);
}

/* Both harts are awake: with a guest interrupt file each, neither has a reason to exit. */
static void ping_pong(void)
{
	uint64_t end = csr_read(time) + LIMIT;
	uint64_t i;

	GUEST_MARK(mark_ipi_begin);
	for (i = 0; i < PING_PONGS && csr_read(time) < end; i++) {
		send(1, CALL, 0);
		while (received[0][ANSWER][1] == i && csr_read(time) < end)
			serve(0, 0);
	}
	GUEST_MARK(mark_ipi_end);
	guest_check("10000 IPIs there and back, both harts awake",
		    received[0][ANSWER][1] == PING_PONGS && received[1][CALL][0] == PING_PONGS);
	received[0][ANSWER][1] = 0;
	received[1][CALL][0] = 0;
}

/* Neither fewer than were sent nor more. */
static int all_counts_equal(void)
{
	int good = 1;

	for (uint64_t to = 0; to < harts; to++)
		for (uint64_t from = 0; from < harts; from++)
			for (int kind = 0; kind < KINDS; kind++)
				good &= received[to][kind][from] == (from == to ? 0 : rounds);
	return good;
}

/* True: all are there. */
static int start_harts(void)
{
	uint64_t end = csr_read(time) + LIMIT;
	int good;

	harts = 1;
	while (harts < GUEST_MAX_HARTS && !sbi_call(SBI_EXT_HSM, 2, (long)harts, 0, 0).error)
		harts++;
	set_up_hart();
	for (uint64_t hart = 1; hart < harts; hart++)
		sbi_call(SBI_EXT_HSM, 0, (long)hart, (long)other_hart_start, (long)hart);
	add_one(&arrived);
	while (total(&arrived) < harts && csr_read(time) < end)
		;
	good = harts > 1 && total(&arrived) == harts;
	guest_check("all harts are there", good);
	return good;
}

int main(long hart, void *fdt)
{
	(void)hart;
	use_imsic = (uint64_t)guest_tree_mentions(fdt, "riscv,imsics");
	guest_print(use_imsic ? "# by IMSIC\n" : "# by SBI\n");
	if (start_harts()) {
		rounds = CALLS / (harts * (harts - 1));
		if (harts == 2)
			ping_pong();
		add_one(&arrived);
		run_storm(0);
		guest_check(
			"calls of each hart to each other and their answers, none lost, none twice",
			all_counts_equal());
	}
	return guest_checked();
}
