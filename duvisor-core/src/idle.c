/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "idle.h"

#include <stdatomic.h>

#include "clock.h"
#include "hart.h"
#include "vcpu.h"
#include "vm.h"

/*
 * To sleep and to be woken takes some ten microseconds, so a vCPU that mostly waits for less polls; one
 * that waits for longer than the second number does not poll at all: it would burn the hart for nothing.
 */
#define FIRST_WINDOW_US 10
#define MAX_WINDOW_US 500
#define US_PER_SEC 1000000

static uint64_t ticks(const struct vcpu *vcpu, uint64_t us)
{
	return vcpu->vm->isa.timebase_frequency * us / US_PER_SEC;
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
	uint64_t most = ticks(vcpu, MAX_WINDOW_US);
	uint64_t wider = vcpu->idle.window * 2;

	if (waited > most) {
		vcpu->idle.window = 0;
		return;
	}
	if (waited < vcpu->idle.window)
		return; /* polling was enough */
	if (!wider)
		wider = ticks(vcpu, FIRST_WINDOW_US);
	vcpu->idle.window = wider < most ? wider : most;
}
