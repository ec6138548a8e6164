/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a vCPU does while its guest waits for an interrupt. */
#ifndef DUVISOR_IDLE_H
#define DUVISOR_IDLE_H

#include <stdbool.h>

#include "types.h"

struct vcpu;

enum idle_policy {
	IDLE_SLEEP, /* the thread sleeps in the kernel */
	IDLE_POLL,  /* it looks around for a while first */
	IDLE_NATIVE, /* WFI makes no exit: the hart itself waits, and the host cannot use it until its next interrupt */
	IDLE_AUTO, /* in options only: poll if the process has a CPU more than vCPUs, else sleep */
};

/* In ticks of the host's time. */
struct idle {
	uint64_t window;  /* how long to poll: learned from how long the guest waited before */
	uint64_t wake_up; /* from a kick to a thread that runs, on average */
};

/* Look for something to do for as long as is worth it. True: there is. Only the vCPU's own thread. */
bool idle_poll(const struct vcpu *vcpu);

/* The thread was asleep, and a kick woke it, so many ticks ago. */
void idle_woken(struct vcpu *vcpu, uint64_t took);

/* The wait is over, it began at start (host's time): learn from it. */
void idle_learn(struct vcpu *vcpu, uint64_t start);

#endif
