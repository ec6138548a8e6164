/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the PLIC is made of: for plic.c and its hot registers only. */
#ifndef DUVISOR_DEV_PLIC_H
#define DUVISOR_DEV_PLIC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "device.h"
#include "irqchip.h"
#include "vm.h"

#define SOURCES 96 /* source 0 does not exist */
#define WORDS (SOURCES / 32)
#define PRIORITY_MASK 7U

#define PENDING_BASE 0x1000
#define ENABLE_BASE 0x2000
#define ENABLE_STRIDE 0x80
#define CONTEXT_BASE 0x200000
#define CONTEXT_STRIDE 0x1000
#define CONTEXT_THRESHOLD 0
#define CONTEXT_CLAIM 4

/* The S-mode context of one hart. (A power of two in size, as are sources: hot code finds it by a shift.) */
struct context {
	_Alignas(32) _Atomic uint32_t enable[WORDS];
	uint32_t threshold;
	/* Sources that are pending, enabled and of a priority above 0: how many, and the one that a claim gives. */
	uint32_t ready;
	uint32_t best;
	uint32_t claim; /* offset of the claim register; constant */
	bool output;    /* what the vCPU was told last */
};

/* source.state; what is pending is not claimed, and the other way round. */
#define STATE_LINE 1U    /* the wire is high */
#define STATE_PENDING 2U /* the IP bit */
#define STATE_CLAIMED 4U /* the gateway waits for a completion */

/* source.owner: it is enabled in no context, or in more than one. */
#define OWNER_NONE 0xffffffff

struct source {
	_Alignas(16) volatile uint32_t priority;
	volatile uint32_t state;
	uint32_t owner; /* the hart of the one context that has it enabled */
};

/*
 * chip.lock protects what follows it, but priorities may also be stored without it (plic_hot.c), if the store can
 * have no consequence: if the source is not pending. Who makes a source pending looks at its priority
 * afterwards, who stores that looks at the state afterwards, each with a fence between: one sees the other.
 */
struct plic {
	struct device dev;
	struct irqchip chip;
	struct source source[SOURCES];
	struct context context[VM_MAX_VCPUS];
};

hot_load_fn plic_hot_load;
hot_store_fn plic_hot_store;
hot_line_fn plic_hot_line;

#endif
