/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The APLIC's lines of active-high sources, whose message is for the hart that moves the line. */
#include "aplic.h"

#include "dev/imsic_file.h"
#include "hot_vcpu.h"

/* As imsic_send(), to the hart itself. */
static inline void send(struct vcpu *vcpu, uint32_t id)
{
	struct imsic_file *file = vcpu->imsic;
	uint64_t bit = 1UL << id % 64;
	uint32_t threshold;

	if (!id || id > IMSIC_MAX_ID)
		return;
	atomic_fetch_or_explicit(&file->eip[id / 64], bit, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	threshold = atomic_load_explicit(&file->threshold, memory_order_relaxed);
	/* If it is not this identity that counts, nothing has changed for the hart. */
	if (atomic_load_explicit(&file->delivery, memory_order_relaxed) == 1 &&
	    (atomic_load_explicit(&file->eie[id / 64], memory_order_relaxed) & bit) &&
	    (!threshold || id < threshold))
		hot_send_ext_irq(vcpu);
}

uint64_t aplic_hot_line(struct irqchip *chip, uint64_t irq, bool level)
{
	struct aplic *aplic = container_of(chip, struct aplic, chip);
	struct source *src = &aplic->source[irq];

	if (src->mode != EDGE_RISE && src->mode != LEVEL_HIGH)
		return 1;
	if (level == src->line)
		return 0;
	if (!level) {
		src->pending &= src->mode == EDGE_RISE;
	} else if (!aplic->on || !src->enabled) {
		src->pending = true;
	} else {
		if (src->target >> TARGET_HART_SHIFT != hot_vcpu()->index)
			return 1;
		src->pending = false;
		send(hot_vcpu(), src->target & TARGET_EIID);
	}
	src->line = level;
	return 0;
}
