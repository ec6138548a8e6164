/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The APLIC's lines of active-high sources that are not pending, and whose message is for the hart that moves the line. */
#include "aplic.h"

#include "dev/imsic_file.h"
#include "hot_vcpu.h"

/*
 * As imsic_send(), to the hart itself: nobody changes its file's registers meanwhile. False: the message does not interrupt,
 * or not for sure, and nothing has changed.
 */
static inline bool send(struct vcpu *vcpu, uint32_t id)
{
	struct imsic_file *file = vcpu->imsic;
	uint64_t bit = 1UL << id % 64;

	if (!id || id > IMSIC_MAX_ID ||
	    atomic_load_explicit(&file->delivery, memory_order_relaxed) != 1 ||
	    atomic_load_explicit(&file->threshold, memory_order_relaxed) ||
	    !(atomic_load_explicit(&file->eie[id / 64], memory_order_relaxed) & bit))
		return false;
	atomic_fetch_or_explicit(&file->eip[id / 64], bit, memory_order_relaxed);
	hot_send_ext_irq(vcpu);
	return true;
}

uint64_t aplic_hot_line(struct irqchip *chip, uint64_t irq, bool level)
{
	struct aplic *aplic = container_of(chip, struct aplic, chip);
	struct source *src = &aplic->source[irq];

	/* Or the compiler finds each member anew. */
	__asm__("" : "+r"(src));
	if ((src->mode != EDGE_RISE && src->mode != LEVEL_HIGH) || src->pending)
		return 1;
	if (level == src->line)
		return 0;
	if (level &&
	    (!aplic->on || !src->enabled || src->target >> TARGET_HART_SHIFT != hot_vcpu()->index ||
	     !send(hot_vcpu(), src->target & TARGET_EIID)))
		return 1;
	src->line = level;
	return 0;
}
