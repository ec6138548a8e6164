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

/* The S-mode context of one hart. */
struct context {
	_Atomic uint32_t enable[WORDS];
	uint32_t threshold;
	bool output; /* what the vCPU was told last */
	/* Sources that are pending, enabled and of a priority above 0: how many, and the one that a claim gives. */
	unsigned int ready;
	unsigned int best;
};

/* plic.owner: a source that is enabled in no context, or in more than one. */
#define OWNER_NONE 0xff

/*
 * chip.lock protects what follows it, but priorities may also be stored without it (plic_hot.c), if the store can
 * have no consequence: if the source is not pending. Who makes a source pending looks at its priority
 * afterwards, who stores that looks at pending afterwards, all sequentially consistent: one sees the other.
 */
struct plic {
	struct device dev;
	struct irqchip chip;
	_Atomic uint32_t priority[SOURCES];
	uint32_t level[WORDS];           /* the wires */
	_Atomic uint32_t pending[WORDS]; /* the IP bits */
	uint32_t claimed[WORDS];         /* gateways that wait for a completion */
	uint8_t owner[SOURCES];          /* the hart of the one context that has it enabled */
	struct context context[VM_MAX_VCPUS];
};

hot_load_fn plic_hot_load;
hot_store_fn plic_hot_store;
hot_line_fn plic_hot_line;

#endif
