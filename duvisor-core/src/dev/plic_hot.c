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

/* The S-mode context of the hart that makes the access, if its claim register is at this offset. */
static inline struct context *own_context(struct plic *plic, uint64_t off)
{
	uint64_t hart = hot_vcpu()->index;

	if (off != CONTEXT_BASE + CONTEXT_STRIDE + CONTEXT_CLAIM + 2 * CONTEXT_STRIDE * hart)
		return NULL;
	return &plic->context[hart];
}

static inline uint32_t load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void set_output(struct context *ctx, bool output)
{
	if (ctx->output == output)
		return;
	ctx->output = output;
	hot_set_ext_irq(hot_vcpu(), output);
}

/* As claim() in plic.c, if nothing else is ready here, nor the source anywhere else. */
static inline hot_value claim(struct plic *plic, struct context *ctx)
{
	hot_value irq = 0;

	if (!hot_enter(&plic->chip.lock))
		return HOT_DECLINED;
	if (ctx->ready > 1 || (ctx->ready && plic->owner[ctx->best] == OWNER_NONE)) {
		irq = HOT_DECLINED;
	} else if (ctx->ready) {
		uint64_t best = ctx->best;
		uint32_t bit = 1U << best % 32;

		atomic_store_explicit(&plic->pending[best / 32],
				      load(&plic->pending[best / 32]) & ~bit,
				      memory_order_relaxed);
		plic->claimed[best / 32] |= bit;
		ctx->ready = 0;
		set_output(ctx, false);
		irq = best;
	}
	hot_leave(&plic->chip.lock);
	return irq;
}

/* As complete() in plic.c, if the line is low. */
static inline uint64_t complete(struct plic *plic, const struct context *ctx, uint32_t irq)
{
	uint32_t bit = 1U << irq % 32;
	uint64_t word = irq / 32;
	uint64_t declined;

	if (irq >= SOURCES || !hot_enter(&plic->chip.lock))
		return 1;
	declined = (plic->level[word] & bit) || !(load(&ctx->enable[word]) & bit);
	if (!declined)
		plic->claimed[word] &= ~bit;
	hot_leave(&plic->chip.lock);
	return declined;
}

/* As plic_set_line(). */
uint64_t plic_hot_line(struct irqchip *chip, uint64_t irq, bool level)
{
	struct plic *plic = container_of(chip, struct plic, chip);
	uint32_t bit = 1U << irq % 32;
	uint64_t word = irq / 32;
	struct context *ctx;
	uint32_t priority;

	if (irq >= SOURCES)
		return 1;
	if (!level) {
		plic->level[word] &= ~bit;
		return 0;
	}
	if ((plic->claimed[word] | load(&plic->pending[word])) & bit) {
		plic->level[word] |= bit;
		return 0;
	}
	ctx = &plic->context[hot_vcpu()->index];
	if (plic->owner[irq] != hot_vcpu()->index || ctx->ready)
		return 1;
	plic->level[word] |= bit;
	atomic_store_explicit(&plic->pending[word], load(&plic->pending[word]) | bit,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	priority = load(&plic->priority[irq]);
	if (priority) {
		ctx->ready = 1;
		ctx->best = (unsigned int)irq;
		set_output(ctx, priority > ctx->threshold);
	}
	return 0;
}

hot_value plic_hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	struct plic *plic = (struct plic *)dev;
	struct context *ctx;

	if (len != 4)
		return HOT_DECLINED;
	if (off / 4 < SOURCES)
		return load(&plic->priority[off / 4]);
	ctx = own_context(plic, off);
	if (ctx)
		return claim(plic, ctx);
	ctx = enable_context(plic, off);
	return ctx ? load(&ctx->enable[off % ENABLE_STRIDE / 4]) : HOT_DECLINED;
}

/* The partner of the atomic operation that makes a source pending (plic.c). */
static inline uint64_t store_priority(struct plic *plic, uint64_t irq, uint64_t val)
{
	atomic_store_explicit(&plic->priority[irq], val & PRIORITY_MASK, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return load(&plic->pending[irq / 32]) & 1U << irq % 32;
}

uint64_t plic_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct plic *plic = (struct plic *)dev;
	const struct context *ctx;

	if (len != 4)
		return 1;
	/* There is no source 0, and its priority is no register. */
	if (off - 4 < 4UL * (SOURCES - 1))
		return store_priority(plic, off / 4, val);
	ctx = own_context(plic, off);
	return ctx ? complete(plic, ctx, (uint32_t)val) : 1;
}
