/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PLIC's registers that are memory, as long as no source is pending whose fate they decide; and the
 * interrupt of a source that only the hart has enabled which does all of it: the line, claim and completion.
 */
#include "plic.h"

#include "hot_vcpu.h"

/* The S-mode context whose enable bits are at this offset, or NULL. */
static inline struct context *enable_context(struct plic *plic, uint64_t off)
{
	uint64_t index = (off - ENABLE_BASE) / ENABLE_STRIDE;

	if (off < ENABLE_BASE || off >= CONTEXT_BASE || !(index & 1) ||
	    index / 2 >= plic->dev.vm->vcpu_count || off % ENABLE_STRIDE / 4 >= WORDS)
		return NULL;
	return &plic->context[index / 2];
}

/* The S-mode context of the hart that makes the access. */
static inline struct context *own_context(struct plic *plic)
{
	struct context *ctx = &plic->context[(uint64_t)hot_vcpu()->index];

	/* Or the compiler finds each member anew. */
	__asm__("" : "+r"(ctx));
	return ctx;
}

/* As claim() in plic.c, if nothing else is ready here, nor the source anywhere else. */
static inline hot_value claim(struct plic *plic, struct context *ctx)
{
	hot_value irq = 0;

	if (!hot_enter(&plic->chip.lock))
		return HOT_DECLINED;
	if (ctx->ready) {
		struct source *src = &plic->source[ctx->best];

		if (ctx->ready > 1 || src->owner == OWNER_NONE) {
			irq = HOT_DECLINED;
		} else {
			irq = ctx->best;
			src->state = (src->state & STATE_LINE) | STATE_CLAIMED;
			ctx->ready = 0;
			ctx->output = false;
			hot_set_ext_irq(hot_vcpu(), false);
		}
	}
	hot_leave(&plic->chip.lock);
	return irq;
}

/* As complete() in plic.c, if the line is low and nobody else has the source enabled. */
static inline uint64_t complete(struct plic *plic, uint32_t irq)
{
	struct source *src;
	uint64_t declined = 1;
	uint32_t state;

	if (irq >= SOURCES || !hot_enter(&plic->chip.lock))
		return 1;
	src = &plic->source[irq];
	state = src->state;
	if (!(state & STATE_LINE) && src->owner == hot_vcpu()->index) {
		src->state = state & STATE_PENDING;
		declined = 0;
	}
	hot_leave(&plic->chip.lock);
	return declined;
}

/* As plic_set_line(), if it has no consequence or only the hart itself is interrupted, and by nothing else. */
uint64_t plic_hot_line(struct irqchip *chip, uint64_t irq, bool level)
{
	struct plic *plic = container_of(chip, struct plic, chip);
	struct source *src = &plic->source[irq];
	struct context *ctx;
	uint32_t priority;

	if (!level) {
		src->state &= ~STATE_LINE;
		return 0;
	}
	if (src->state & (STATE_PENDING | STATE_CLAIMED)) {
		src->state |= STATE_LINE;
		return 0;
	}
	ctx = own_context(plic);
	if (src->owner != (uint64_t)hot_vcpu()->index || ctx->ready)
		return 1;
	ctx->best = (uint32_t)irq;
	src->state = STATE_LINE | STATE_PENDING;
	atomic_thread_fence(memory_order_seq_cst);
	priority = src->priority;
	if (priority > ctx->threshold) {
		ctx->output = true;
		hot_set_ext_irq(hot_vcpu(), true);
	} else if (!priority) {
		return 0;
	}
	ctx->ready = 1;
	return 0;
}

hot_value plic_hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	struct plic *plic = (struct plic *)dev;
	struct context *ctx;

	if (len != 4)
		return HOT_DECLINED;
	if (off / 4 < SOURCES)
		return plic->source[off / 4].priority;
	ctx = own_context(plic);
	if (off == ctx->claim)
		return claim(plic, ctx);
	ctx = enable_context(plic, off);
	if (!ctx)
		return HOT_DECLINED;
	return atomic_load_explicit(&ctx->enable[off % ENABLE_STRIDE / 4], memory_order_relaxed);
}

/* The partner of the atomic operation that makes a source pending (plic.c). */
static inline uint64_t store_priority(struct source *src, uint64_t val)
{
	src->priority = val & PRIORITY_MASK;
	atomic_thread_fence(memory_order_seq_cst);
	return src->state & STATE_PENDING;
}

uint64_t plic_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct plic *plic = (struct plic *)dev;

	if (len != 4)
		return 1;
	/* There is no source 0, and its priority is no register. */
	if (off - 4 < 4UL * (SOURCES - 1))
		return store_priority(&plic->source[off / 4], val);
	return off == own_context(plic)->claim ? complete(plic, (uint32_t)val) : 1;
}
