/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V platform-level interrupt controller (PLIC specification 1.0.0), laid out as on QEMU's
 * virt board: two contexts per hart, 2n for M-mode and 2n + 1 for S-mode. A guest has no M-mode, so
 * the even contexts read as zero and ignore writes. All sources are level-triggered.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "bus.h"
#include "device.h"
#include "fdt_tree.h"
#include "irqchip.h"
#include "plic.h"
#include "vcpu.h"
#include "vm.h"

/* interrupts-extended: S-mode external interrupt, and "no such context". */
#define S_EXTERNAL 9U
#define NO_CONTEXT 0xffffffffU

static uint32_t enabled(const struct context *ctx, unsigned int word)
{
	return atomic_load_explicit(&ctx->enable[word], memory_order_relaxed);
}

/* Priority 0 never interrupts; of equals the lowest number is the best (section 5 of the specification). */
static void look_for_ready(const struct plic *plic, struct context *ctx)
{
	uint32_t best_priority = 0;

	ctx->ready = ctx->best = 0;
	for (unsigned int w = 0; w < WORDS; w++) {
		for (uint32_t bits = enabled(ctx, w); bits; bits &= bits - 1) {
			unsigned int irq = w * 32 + (unsigned int)__builtin_ctz(bits);
			uint32_t priority = plic->source[irq].priority;

			if (!(plic->source[irq].state & STATE_PENDING) || !priority)
				continue;
			ctx->ready++;
			if (priority > best_priority) {
				best_priority = priority;
				ctx->best = irq;
			}
		}
	}
}

static void update_output(struct plic *plic, unsigned int hart)
{
	struct context *ctx = &plic->context[hart];
	bool output;

	look_for_ready(plic, ctx);
	output = ctx->ready && plic->source[ctx->best].priority > ctx->threshold;
	if (output == ctx->output)
		return;
	ctx->output = output;
	vcpu_set_ext_irq(plic->dev.vm->vcpu[hart], output);
}

static void update_outputs(struct plic *plic)
{
	for (unsigned int hart = 0; hart < plic->dev.vm->vcpu_count; hart++)
		update_output(plic, hart);
}

/* This source has become pending, or is so no longer. */
static void pending_changed(struct plic *plic, const struct source *src)
{
	if (src->owner == OWNER_NONE)
		update_outputs(plic);
	else
		update_output(plic, src->owner);
}

/*
 * A gateway forwards one request at a time: the level counts again only after the completion. A request that
 * was forwarded stays pending even when the level goes away (section 6 of the specification).
 */
static void gateway_forward(struct plic *plic, struct source *src)
{
	if (src->state != STATE_LINE)
		return;
	src->state = STATE_LINE | STATE_PENDING;
	/* Before priority and enable bits are looked at; the partner is in plic_hot.c. */
	atomic_thread_fence(memory_order_seq_cst);
	pending_changed(plic, src);
}

static void plic_set_line(struct irqchip *chip, unsigned int irq, bool level)
{
	struct plic *plic = container_of(chip, struct plic, chip);
	struct source *src;

	if (irq >= SOURCES)
		return;
	src = &plic->source[irq];
	hot_lock(&chip->lock);
	if (level)
		src->state |= STATE_LINE;
	else
		src->state &= ~STATE_LINE;
	gateway_forward(plic, src);
	hot_unlock(&chip->lock);
}

/* Claims ignore the threshold (section 8). */
static uint32_t claim(struct plic *plic, const struct context *ctx)
{
	uint32_t irq = ctx->ready ? ctx->best : 0;
	struct source *src = &plic->source[irq];

	if (irq) {
		src->state = (src->state & STATE_LINE) | STATE_CLAIMED;
		pending_changed(plic, src);
	}
	return irq;
}

/* A completion for a source that this context has not enabled is ignored (section 9). */
static void complete(struct plic *plic, const struct context *ctx, uint32_t irq)
{
	struct source *src;

	if (irq >= SOURCES || !(enabled(ctx, irq / 32) >> irq % 32 & 1))
		return;
	src = &plic->source[irq];
	src->state &= ~STATE_CLAIMED;
	gateway_forward(plic, src);
}

static uint32_t read_pending(const struct plic *plic, unsigned int word)
{
	uint32_t val = 0;

	for (unsigned int bit = 0; bit < 32; bit++)
		if (plic->source[word * 32 + bit].state & STATE_PENDING)
			val |= 1U << bit;
	return val;
}

/* The context of an access behind base, and where in it; NULL: M-mode, or no such hart. */
static struct context *context_at(struct plic *plic, uint64_t off, uint64_t stride, uint64_t *reg)
{
	uint64_t index = off / stride;

	*reg = off % stride;
	if (!(index & 1) || index / 2 >= plic->dev.vm->vcpu_count)
		return NULL;
	return &plic->context[index / 2];
}

static uint32_t read_context(struct plic *plic, uint64_t off)
{
	uint64_t reg;
	struct context *ctx = context_at(plic, off, CONTEXT_STRIDE, &reg);

	if (ctx && reg == CONTEXT_THRESHOLD)
		return ctx->threshold;
	if (ctx && reg == CONTEXT_CLAIM)
		return claim(plic, ctx);
	return 0;
}

static void write_context(struct plic *plic, uint64_t off, uint32_t val)
{
	uint64_t reg;
	struct context *ctx = context_at(plic, off, CONTEXT_STRIDE, &reg);

	if (ctx && reg == CONTEXT_THRESHOLD) {
		ctx->threshold = val & PRIORITY_MASK;
		update_outputs(plic);
	} else if (ctx && reg == CONTEXT_CLAIM) {
		complete(plic, ctx, val);
	}
}

static _Atomic uint32_t *enable_word(struct plic *plic, uint64_t off)
{
	uint64_t reg;
	struct context *ctx = context_at(plic, off, ENABLE_STRIDE, &reg);

	return ctx && reg / 4 < WORDS ? &ctx->enable[reg / 4] : NULL;
}

static int plic_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	struct plic *plic = container_of(dev, struct plic, dev);

	if (len != 4)
		return -EINVAL;
	*val = 0;
	hot_lock(&plic->chip.lock);
	if (off >= CONTEXT_BASE) {
		*val = read_context(plic, off - CONTEXT_BASE);
	} else if (off >= ENABLE_BASE) {
		const _Atomic uint32_t *word = enable_word(plic, off - ENABLE_BASE);

		*val = word ? *word : 0;
	} else if (off >= PENDING_BASE) {
		if ((off - PENDING_BASE) / 4 < WORDS)
			*val = read_pending(plic, (unsigned int)(off - PENDING_BASE) / 4);
	} else if (off / 4 < SOURCES) {
		*val = plic->source[off / 4].priority;
	}
	hot_unlock(&plic->chip.lock);
	return 0;
}

static void find_owner(struct plic *plic, unsigned int irq)
{
	unsigned int owners = 0;

	plic->source[irq].owner = OWNER_NONE;
	for (unsigned int hart = 0; hart < plic->dev.vm->vcpu_count; hart++) {
		if (!(enabled(&plic->context[hart], irq / 32) >> irq % 32 & 1))
			continue;
		plic->source[irq].owner = owners++ ? OWNER_NONE : hart;
	}
}

static void write_enable(struct plic *plic, uint64_t off, uint32_t val)
{
	_Atomic uint32_t *word = enable_word(plic, off);
	unsigned int first = off % ENABLE_STRIDE / 4 * 32;
	uint32_t changed;

	if (!word)
		return;
	/* There is no source 0. */
	val = first ? val : val & ~1U;
	changed = *word ^ val;
	*word = val;
	for (; changed; changed &= changed - 1)
		find_owner(plic, first + (unsigned int)__builtin_ctz(changed));
	update_outputs(plic);
}

static int plic_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct plic *plic = container_of(dev, struct plic, dev);

	if (len != 4)
		return -EINVAL;
	hot_lock(&plic->chip.lock);
	if (off >= CONTEXT_BASE) {
		write_context(plic, off - CONTEXT_BASE, (uint32_t)val);
	} else if (off >= ENABLE_BASE) {
		write_enable(plic, off - ENABLE_BASE, (uint32_t)val);
	} else if (off >= 4 && off / 4 < SOURCES) {
		plic->source[off / 4].priority = (uint32_t)val & PRIORITY_MASK;
		update_outputs(plic);
	}
	hot_unlock(&plic->chip.lock);
	return 0;
}

static void clear_sources(struct plic *plic)
{
	memset(plic->source, 0, sizeof(plic->source));
	for (unsigned int irq = 0; irq < SOURCES; irq++)
		plic->source[irq].owner = OWNER_NONE;
}

/* The devices lower their lines in their own resets, before or after this one. */
static void plic_reset(struct device *dev)
{
	struct plic *plic = container_of(dev, struct plic, dev);

	hot_lock(&plic->chip.lock);
	clear_sources(plic);
	for (unsigned int hart = 0; hart < VM_MAX_VCPUS; hart++) {
		memset(plic->context[hart].enable, 0, sizeof(plic->context[hart].enable));
		plic->context[hart].threshold = 0;
	}
	update_outputs(plic);
	hot_unlock(&plic->chip.lock);
}

static int plic_fdt(const struct device *dev, void *fdt)
{
	fdt32_t contexts[VM_MAX_VCPUS][4];
	unsigned int harts = dev->vm->vcpu_count;
	int err;

	for (unsigned int hart = 0; hart < harts; hart++) {
		contexts[hart][0] = cpu_to_fdt32(FDT_TREE_PHANDLE_CPU(hart));
		contexts[hart][1] = cpu_to_fdt32(NO_CONTEXT);
		contexts[hart][2] = cpu_to_fdt32(FDT_TREE_PHANDLE_CPU(hart));
		contexts[hart][3] = cpu_to_fdt32(S_EXTERNAL);
	}
	err = fdt_tree_begin(fdt, "plic", dev->base);
	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_PLIC);
	err = err ?: fdt_property_u32(fdt, "riscv,ndev", SOURCES - 1);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err
		?: fdt_property(fdt, "interrupts-extended", contexts,
				(int)(harts * sizeof(contexts[0])));
	err = err ?: fdt_property(fdt, "interrupt-controller", NULL, 0);
	err = err ?: FDT_TREE_STRINGS(fdt, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
	err = err ?: fdt_property_u32(fdt, "#address-cells", 0);
	err = err ?: fdt_property_u32(fdt, "#interrupt-cells", 1);
	return err ?: fdt_end_node(fdt);
}

static void plic_destroy(struct device *dev)
{
	struct plic *plic = container_of(dev, struct plic, dev);

	hot_lock_destroy(&plic->chip.lock);
	free(plic);
}

static const struct device_ops plic_ops = {
	.name = "plic",
	.reset = plic_reset,
	.read = plic_read,
	.write = plic_write,
	.hot_load = plic_hot_load,
	.hot_store = plic_hot_store,
	.fdt = plic_fdt,
	.destroy = plic_destroy,
};

int plic_create(struct vm *vm)
{
	struct plic *plic = aligned_alloc(_Alignof(struct plic), sizeof(*plic));
	int err;

	if (!plic)
		return -ENOMEM;
	memset(plic, 0, sizeof(*plic));
	plic->dev = (struct device){
		.ops = &plic_ops, .vm = vm, .base = BOARD_PLIC_BASE, .size = BOARD_PLIC_SIZE};
	plic->chip = (struct irqchip){.set_line = plic_set_line,
				      .hot_line = plic_hot_line,
				      .phandle = FDT_TREE_PHANDLE_PLIC,
				      .cells = 1};
	hot_lock_init(&plic->chip.lock);
	clear_sources(plic);
	for (unsigned int hart = 0; hart < VM_MAX_VCPUS; hart++)
		plic->context[hart].claim =
			CONTEXT_BASE + (2 * hart + 1) * CONTEXT_STRIDE + CONTEXT_CLAIM;
	err = bus_add(&vm->bus, &plic->dev);
	if (err) {
		plic_destroy(&plic->dev);
		return err;
	}
	irqchip_register(vm, &plic->chip);
	return 0;
}
