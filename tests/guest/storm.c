// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A ring of up to 8 harts under a storm. In each round a hart changes a page table entry of its own,
 * fences the next hart, sends it a mail and an IPI, waits for the mail of the one before and checks that it
 * sees that one's new page, then waits for its own mail to be taken. From time to time one stops and is
 * started again. Every mail must come exactly once and with an IPI of its own, no wake-up be lost, no timer
 * early.
 *
 * Words on the command line: rounds=N (default 2000), sleep=US: a timer to sleep for in each round (default
 * 0: none).
 */
#include "window.h"

#define HSM_STOPPED 1
#define TICKS_PER_US (TIMEBASE / 1000000)
/* A wake-up that has not come after so long is lost. */
#define PATIENCE (60 * TIMEBASE)

#define MAX_HART_ID 1024
#define ROUNDS_PER_STOP 64

static struct hart {
	long id;
	volatile uint64_t round;    /* that it is in; only it writes this */
	volatile uint64_t mail;     /* for it: round + 1 */
	volatile uint64_t received; /* by it */
	uint64_t told; /* an IPI came that no mail was counted for yet; only it uses this */
	volatile uint64_t lost;  /* IPIs */
	volatile uint64_t stale; /* pages that it saw */
	volatile uint64_t early; /* timers */
	volatile uint64_t done;
} harts[GUEST_MAX_HARTS];
static uint64_t count;
static uint64_t rounds;
static uint64_t sleep_ticks;

GUEST_OTHER_HARTS(storm_start, storm_hart);

static void barrier(void)
{
	__asm__ volatile("fence rw, rw" : : : "memory");
}

static void set_timer(uint64_t due)
{
	sbi_call(SBI_EXT_TIME, 0, (long)due, 0, 0);
}

static void tell_next(uint64_t number)
{
	struct hart *next = &harts[(number + 1) % count];
	uint64_t round = harts[number].round;

	window_show(number, round & 1);
	barrier();
	sbi_call(SBI_EXT_RFENCE, 1, 1, next->id, (long)window_address(number));
	next->mail = round + 1;
	barrier();
	sbi_call(SBI_EXT_IPI, 0, 1, next->id, 0);
}

static void look_for_ipi(struct hart *self)
{
	if (!(csr_read(sip) & INT_SOFT))
		return;
	__asm__ volatile("csrc sip, %0" : : "r"(INT_SOFT));
	self->told = 1;
}

/*
 * The one before sends its next mail after this one was taken only, so that no two IPIs become one here: a
 * mail without an IPI is a lost IPI, be the mail seen or not.
 */
static void wait_for_mail(struct hart *self)
{
	uint64_t due = csr_read(time) + PATIENCE;

	set_timer(due);
	look_for_ipi(self);
	while (self->mail != self->round + 1 || !self->told) {
		__asm__ volatile("wfi");
		look_for_ipi(self);
		if (csr_read(time) < due)
			continue;
		self->lost += self->mail == self->round + 1 && !self->told;
		self->told = 1;
		due = csr_read(time) + PATIENCE;
		set_timer(due);
	}
	self->told = 0;
}

static void take_mail(uint64_t number)
{
	struct hart *self = &harts[number];
	uint64_t before = (number + count - 1) % count;

	wait_for_mail(self);
	barrier();
	self->stale += window_seen(before) != (self->round & 1);
	self->received++;
	barrier();
	self->mail = 0;
}

static void wait_until_taken(uint64_t number)
{
	while (harts[(number + 1) % count].mail == harts[number].round + 1)
		;
}

static void sleep_once(struct hart *self)
{
	uint64_t due = csr_read(time) + sleep_ticks;

	set_timer(due);
	while (!(csr_read(sip) & INT_TIMER)) {
		__asm__ volatile("wfi");
		/* An IPI of the next round, whose mail is here already; or else wfi would not wait. */
		look_for_ipi(self);
	}
	self->early += csr_read(time) < due;
}

/* Which hart stops after this round; 0, which starts it again, never does. */
static uint64_t stops_after(uint64_t round)
{
	if (count < 2 || round % ROUNDS_PER_STOP != ROUNDS_PER_STOP - 1)
		return 0;
	return 1 + round / ROUNDS_PER_STOP % (count - 1);
}

static void restart(uint64_t number)
{
	long id = harts[number].id;

	while (sbi_call(SBI_EXT_HSM, 2, id, 0, 0).value != HSM_STOPPED)
		;
	if (sbi_call(SBI_EXT_HSM, 0, id, (long)storm_start, (long)number).error)
		harts[number].lost++;
}

static void end_round(uint64_t number)
{
	uint64_t stopping = stops_after(harts[number].round++);

	if (!stopping)
		return;
	if (number == stopping)
		sbi_call(SBI_EXT_HSM, 1, 0, 0, 0);
	if (number == 0)
		restart(stopping);
}

static void storm(uint64_t number)
{
	struct hart *self = &harts[number];

	window_enter(0);
	__asm__ volatile("sfence.vma" : : : "memory");
	csr_write(sie, INT_SOFT | INT_TIMER);
	/* Of the first mail after a start: it may have been sent before, and its IPI gone with the stop. */
	self->told = 1;
	while (self->round < rounds) {
		tell_next(number);
		take_mail(number);
		wait_until_taken(number);
		if (sleep_ticks)
			sleep_once(self);
		end_round(number);
	}
	barrier();
	self->done = 1;
}

void storm_hart(uint64_t number)
{
	storm(number);
	sbi_call(SBI_EXT_HSM, 1, 0, 0, 0);
}

static void find_harts(long own)
{
	harts[count++].id = own;
	for (long id = 0; id < MAX_HART_ID && count < GUEST_MAX_HARTS; id++)
		if (id != own && !sbi_call(SBI_EXT_HSM, 2, id, 0, 0).error)
			harts[count++].id = id;
}

static int report(void)
{
	uint64_t received = 0;
	uint64_t bad = 0;

	for (uint64_t i = 0; i < count; i++) {
		received += harts[i].received;
		bad += harts[i].lost + harts[i].stale + harts[i].early +
			(harts[i].received != rounds);
	}
	guest_print(bad ? "not ok 1 - " : "ok 1 - ");
	guest_print_number(received);
	guest_print(" mails to ");
	guest_print_number(count);
	guest_print(" harts, each taken once; bad: ");
	guest_print_number(bad);
	guest_print("\n1..1\n");
	return bad != 0;
}

int main(long hart, void *fdt)
{
	rounds = guest_option(fdt, "rounds", 2000);
	sleep_ticks = guest_option(fdt, "sleep", 0) * TICKS_PER_US;
	window_init();
	find_harts(hart);
	for (uint64_t i = 1; i < count; i++)
		sbi_call(SBI_EXT_HSM, 0, harts[i].id, (long)storm_start, (long)i);
	storm(0);
	for (uint64_t i = 1; i < count; i++)
		while (!harts[i].done)
			;
	return report();
}
