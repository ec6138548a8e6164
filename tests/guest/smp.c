// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two harts: start and stop, IPIs, fences of the other hart's translations, sleep. Needs
 * --cpus 2, whatever the hart ids are. Prints one TAP line per case.
 */
#include "window.h"

#define ROUNDS 2000
#define PATIENCE (100 * TIMEBASE)
#define SUSPENSIONS 50
#define RESUME_OPAQUE 0x5eed
#define SUSPENDED 4
#define MAX_HART_ID 1024

/* The harts: this one, and the other, which is called hart 1 below. */
static long own_id;
static long other_id;

static struct sbi_ret hsm(long fid, long a0, long a1, long a2)
{
	return sbi_call(SBI_EXT_HSM, fid, a0, a1, a2);
}

/* The other way to name the same hart: by bit 1 of a mask that begins one earlier. */
static void send_ipi(long id, int by_bit_1)
{
	if (by_bit_1 && id)
		sbi_call(SBI_EXT_IPI, 0, 2, id - 1, 0);
	else
		sbi_call(SBI_EXT_IPI, 0, 1, id, 0);
}

static volatile uint64_t started_with[2];
static volatile uint64_t pinged; /* the last ping */
static volatile uint64_t pings;  /* the last that was answered */
static volatile uint64_t command;
static volatile uint64_t answer;
static volatile uint64_t resumed;
static volatile uint64_t resumed_state;
static volatile uint64_t resumed_pending;
static volatile long suspended_error;
static char stack1[4096] __attribute__((aligned(16), used));

enum { RUN, STOP, PING, READ, SUSPEND, SUSPEND_LOSING };

void hart1(uint64_t id, uint64_t opaque);
__asm__(".globl hart1_start\n"
	"hart1_start:\n" GUEST_SET_GP "	lla sp, stack1 + 4096\n"
	"	call hart1\n");
extern char hart1_start[];

static void clear_ipi(void)
{
	__asm__ volatile("csrc sip, %0" : : "r"(INT_SOFT));
}

static void serve_pings(void)
{
	csr_write(sie, INT_SOFT);
	while (command == PING) {
		__asm__ volatile("wfi");
		clear_ipi();
		/* An IPI may come twice: only a new ping is answered. */
		if (pings == pinged)
			continue;
		pings = pinged;
		send_ipi(own_id, pings % 2);
	}
}

void hart1(uint64_t id, uint64_t opaque)
{
	started_with[0] = id;
	started_with[1] = opaque;
	/* After a suspension: what woke the hart still pends, all else is as at a start. */
	if (opaque == RESUME_OPAQUE) {
		resumed_state = csr_read(satp) | csr_read(sie) | (csr_read(sstatus) & 2);
		resumed_pending = csr_read(sip) & INT_SOFT;
		clear_ipi();
		command = RUN;
		resumed++;
	}
	window_enter(0);
	__asm__ volatile("sfence.vma" : : : "memory");
	csr_write(sie, INT_SOFT);
	for (;;) {
		switch (command) {
		case STOP:
			hsm(1, 0, 0, 0);
			break;
		case PING:
			serve_pings();
			break;
		case SUSPEND:
			clear_ipi();
			suspended_error = hsm(3, 0, 0, 0).error;
			clear_ipi();
			command = RUN;
			resumed++;
			break;
		case SUSPEND_LOSING:
			clear_ipi();
			hsm(3, 0x80000000l, (long)hart1_start, RESUME_OPAQUE);
			break;
		case READ:
			answer = 100 + window_seen(0);
			break;
		default:
			break;
		}
	}
}

static void wait_until(volatile uint64_t *what, uint64_t value)
{
	uint64_t end = csr_read(time) + 60 * TIMEBASE;

	while (*what != value && csr_read(time) < end)
		;
}

static int status_becomes(long want)
{
	uint64_t end = csr_read(time) + 60 * TIMEBASE;

	while (hsm(2, other_id, 0, 0).value != want)
		if (csr_read(time) > end)
			return 0;
	return 1;
}

static void start_and_stop(void)
{
	int good = 1;

	guest_check("hart 1 is stopped at first", hsm(2, other_id, 0, 0).value == 1);
	for (long i = 0; i < 50; i++) {
		command = RUN;
		good &= hsm(0, other_id, (long)hart1_start, 1000 + i).error == 0;
		wait_until(&started_with[1], (uint64_t)(1000 + i));
		good &= started_with[0] == (uint64_t)other_id &&
			started_with[1] == (uint64_t)(1000 + i);
		good &= hsm(0, other_id, (long)hart1_start, 0).error == -6;
		command = STOP;
		good &= status_becomes(1);
	}
	guest_check("hart 1 starts and stops 50 times", good);
	command = RUN;
	hsm(0, other_id, (long)hart1_start, 7);
	guest_check("... and once more, to stay", status_becomes(0));
}

/* Both sleep in wfi until the other's IPI comes: a lost one makes it wait until the end. */
static void ping_pong(void)
{
	uint64_t end = csr_read(time) + PATIENCE;
	unsigned int i;

	command = PING;
	csr_write(sie, INT_SOFT | INT_TIMER);
	sbi_call(SBI_EXT_TIME, 0, (long)end, 0, 0);
	for (i = 0; i < ROUNDS && csr_read(time) < end; i++) {
		pinged = i + 1;
		send_ipi(other_id, i % 2);
		while (pings != i + 1 && csr_read(time) < end) {
			__asm__ volatile("wfi");
			clear_ipi();
		}
	}
	guest_check("2000 IPIs there and back, both harts asleep between",
		    pings == ROUNDS && csr_read(time) < end);
	command = RUN;
	send_ipi(other_id, 0);
	csr_write(sie, 0);
}

/* After the call returns, hart 1 must not see the old page again. */
static void remote_fences(void)
{
	int good = 1;

	command = READ;
	wait_until(&answer, 100);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t want = 100 + (i & 1);

		window_show(0, i & 1);
		__asm__ volatile("fence rw, rw" : : : "memory");
		sbi_call(SBI_EXT_RFENCE, 1, 1, other_id, (long)WINDOW);
		/* Two answers: the first may have been read before the fence. */
		answer = 0;
		while (!answer)
			;
		answer = 0;
		while (!answer)
			;
		good &= answer == want;
	}
	guest_check("2000 remote fences take effect", good);
	command = RUN;
}

/* Hart 1 suspends; a fence must not end that, an IPI must. */
static int suspend_once(uint64_t how)
{
	uint64_t before = resumed;
	int good;

	command = how;
	good = status_becomes(SUSPENDED);
	for (int i = 0; i < 10; i++)
		good &= sbi_call(SBI_EXT_RFENCE, 1, 1, other_id, 0).error == 0;
	good &= status_becomes(SUSPENDED) && resumed == before;
	send_ipi(other_id, 0);
	wait_until(&resumed, before + 1);
	return good && resumed == before + 1 && status_becomes(0);
}

static void suspend(void)
{
	int kept = 1;
	int lost = 1;

	command = RUN;
	for (int i = 0; i < SUSPENSIONS; i++) {
		kept &= suspend_once(SUSPEND) && suspended_error == 0;
		lost &= suspend_once(SUSPEND_LOSING) && resumed_state == 0 &&
			resumed_pending == INT_SOFT;
		lost &= started_with[0] == (uint64_t)other_id && started_with[1] == RESUME_OPAQUE;
	}
	guest_check("hart 1 suspends and goes on 50 times", kept);
	guest_check("... and 50 times from nothing but what woke it", lost);
}

static void sleep(void)
{
	uint64_t worst = 0;

	csr_write(sie, INT_TIMER);
	for (int i = 0; i < 20; i++) {
		uint64_t due = csr_read(time) + TIMEBASE / 200;
		uint64_t now;

		sbi_call(SBI_EXT_TIME, 0, (long)due, 0, 0);
		while ((now = csr_read(time)) < due)
			__asm__ volatile("wfi");
		if (now - due > worst)
			worst = now - due;
	}
	csr_write(sie, 0);
	guest_print("# a 5 ms sleep was at most ");
	guest_print_number(worst / (TIMEBASE / 1000000));
	guest_print(" us late\n");
	guest_check("wfi wakes on the timer, never early", worst < TIMEBASE);
}

/* SBI, "Binary Encoding": a call changes a0 and a1 only. */
static void registers_stay(void)
{
	register long a0 __asm__("a0") = 1;
	register long a1 __asm__("a1") = other_id;
	register long a6 __asm__("a6") = 0;
	register long a7 __asm__("a7") = SBI_EXT_IPI;
	register long t0 __asm__("t0") = 55;
	register long t1 __asm__("t1") = 66;

	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1), "+r"(a6), "+r"(a7), "+r"(t0), "+r"(t1));
	guest_check("an IPI leaves the registers alone",
		    !a0 && !a1 && !a6 && a7 == SBI_EXT_IPI && t0 == 55 && t1 == 66);
}

/* A mask that names a hart which is not there does nothing at all; get_status says so, too. */
static void absent_harts(void)
{
	int good = 1;

	for (long id = 0; id <= MAX_HART_ID; id++) {
		if (id == own_id || id == other_id)
			continue;
		good &= hsm(2, id, 0, 0).error == -3;
		good &= sbi_call(SBI_EXT_IPI, 0, 1, id, 0).error == -3;
		good &= sbi_call(SBI_EXT_RFENCE, 0, 1, id, 0).error == -3;
	}
	guest_check("no other hart exists", good && !(csr_read(sip) & INT_SOFT));
}

static int find_other(void)
{
	for (other_id = 0; other_id < MAX_HART_ID; other_id++)
		if (other_id != own_id && !hsm(2, other_id, 0, 0).error)
			return 1;
	return 0;
}

int main(long hart, void *fdt)
{
	int found;

	(void)fdt;
	own_id = hart;
	window_init();
	found = find_other();
	guest_check("there is a second hart", found);
	if (found) {
		absent_harts();
		start_and_stop();
		ping_pong();
		registers_stay();
		remote_fences();
		suspend();
		sleep();
	}
	return guest_checked();
}
