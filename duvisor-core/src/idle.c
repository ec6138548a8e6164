/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "idle.h"

#include <stdatomic.h>

#include "clock.h"
#include "hart.h"
#include "vcpu.h"
#include "vm.h"

/*
 * To be woken takes some ten microseconds, or many times that where the host is itself emulated or nested, so it is
 * measured. A vCPU that mostly waits for less polls, for as long as a wake-up takes at first; one that waits for much
 * longer soon polls no more: it would burn the hart for nothing.
 */
#define MIN_WAKE_UP_US 10
#define MAX_WAKE_UP_US 500
#define MIN_LONG_WAIT_US 500
#define LONG_WAIT_WAKE_UPS 4
/* A wake-up's share in the mean. */
#define WAKE_UP_SHARE 8
#define US_PER_SEC 1000000

static uint64_t ticks(const struct vcpu *vcpu, uint64_t us)
{
	return vcpu->vm->isa.timebase_frequency * us / US_PER_SEC;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void idle_woken(struct vcpu *vcpu, uint64_t took)
{
	uint64_t *mean = &vcpu->idle.wake_up;
	uint64_t most = ticks(vcpu, MAX_WAKE_UP_US);

	if (took > most)
		took = most;
	*mean = *mean - *mean / WAKE_UP_SHARE + took / WAKE_UP_SHARE;
}

bool idle_poll(const struct vcpu *vcpu)
{
	uint64_t start = hart_time();
	uint64_t gap = ticks(vcpu, CLOCK_AWAY_US);
	uint64_t last, now = start;

	do {
		if (atomic_load(&vcpu->request) || vcpu_interrupt_pending())
			return true;
		last = now;
		now = hart_time();
	} while (now - start < vcpu->idle.window && now - last < gap);
	return false;
}

void idle_learn(struct vcpu *vcpu, uint64_t start)
{
	uint64_t waited = hart_time() - start;
	uint64_t first = larger(vcpu->idle.wake_up, ticks(vcpu, MIN_WAKE_UP_US));
	uint64_t most = larger(first * LONG_WAIT_WAKE_UPS, ticks(vcpu, MIN_LONG_WAIT_US));
	uint64_t wider = larger(vcpu->idle.window * 2, first);

	if (waited > most)
		/* One such wait may be the exception. */
		vcpu->idle.window = vcpu->idle.window > first ? vcpu->idle.window / 2 : 0;
	else if (waited >= vcpu->idle.window)
		vcpu->idle.window = wider < most ? wider : most;
}
