/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the PLIC is made of: for plic.c and its hot registers only. */
#ifndef DUVISOR_DEV_PLIC_H
#define DUVISOR_DEV_PLIC_H

#include <pthread.h>
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
};

/*
 * The lock protects what follows it, but priority and enable bits may also be stored without it
 * (plic_hot.c), if the store can have no consequence: if the source is not pending. Who makes a source pending looks at them
 * afterwards, who stores them looks at pending afterwards, all sequentially consistent: one sees the other.
 */
struct plic {
	struct device dev;
	struct irqchip chip;
	pthread_mutex_t lock;
	_Atomic uint32_t priority[SOURCES];
	uint32_t level[WORDS];           /* the wires */
	_Atomic uint32_t pending[WORDS]; /* the IP bits */
	uint32_t claimed[WORDS];         /* gateways that wait for a completion */
	struct context context[VM_MAX_VCPUS];
};

hot_load_fn plic_hot_load;
hot_store_fn plic_hot_store;

#endif
