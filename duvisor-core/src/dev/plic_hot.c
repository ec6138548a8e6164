/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PLIC's registers that are memory, as long as no source is pending whose fate they decide. */
#include "plic.h"

/* The S-mode context whose enable bits are at this offset, or NULL. */
static inline struct context *enable_context(struct plic *plic, uint64_t off)
{
	uint64_t index = (off - ENABLE_BASE) / ENABLE_STRIDE;

	if (off < ENABLE_BASE || off >= CONTEXT_BASE || !(index & 1) ||
	    index / 2 >= plic->dev.vm->vcpu_count || off % ENABLE_STRIDE / 4 >= WORDS)
		return NULL;
	return &plic->context[index / 2];
}

static inline hot_value load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

hot_value plic_hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	struct plic *plic = (struct plic *)dev;
	struct context *ctx;

	if (len != 4)
		return HOT_DECLINED;
	if (off / 4 < SOURCES)
		return load(&plic->priority[off / 4]);
	ctx = enable_context(plic, off);
	return ctx ? load(&ctx->enable[off % ENABLE_STRIDE / 4]) : HOT_DECLINED;
}

/* The partner of the atomic operation that makes a source pending (plic.c). */
static inline uint64_t store(_Atomic uint32_t *reg, uint32_t val, const _Atomic uint32_t *pending,
			     uint32_t mask)
{
	atomic_store_explicit(reg, val, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(pending, memory_order_relaxed) & mask;
}

static inline uint64_t store_priority(struct plic *plic, uint64_t irq, uint64_t val)
{
	return store(&plic->priority[irq], val & PRIORITY_MASK, &plic->pending[irq / 32],
		     1U << irq % 32);
}

static inline uint64_t store_enable(struct plic *plic, uint64_t off, uint64_t val)
{
	struct context *ctx = enable_context(plic, off);

	if (!ctx)
		return 1;
	off %= ENABLE_STRIDE;
	/* There is no source 0. */
	if (!off)
		val &= ~1UL;
	return store(&ctx->enable[off / 4], (uint32_t)val, &plic->pending[off / 4], ~0U);
}

uint64_t plic_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct plic *plic = (struct plic *)dev;

	if (len != 4)
		return 1;
	/* There is no source 0, and its priority is no register. */
	if (off - 4 < 4UL * (SOURCES - 1))
		return store_priority(plic, off / 4, val);
	return store_enable(plic, off, val);
}
