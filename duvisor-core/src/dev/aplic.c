/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Advanced platform-level interrupt controller (AIA specification 1.0, chapter 4): one supervisor-level domain, at the
 * address and with the sources of QEMU's virt board, that turns each device line into a message to an IMSIC.
 * It delivers by messages only (domaincfg.DM is always 1), so there are no interrupt delivery structures.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "aplic.h"
#include "board.h"
#include "bus.h"
#include "device.h"
#include "dev/imsic.h"
#include "fdt_tree.h"
#include "irqchip.h"
#include "vm.h"

#define BITMAP_SIZE (4ULL * WORDS)

#define DOMAINCFG 0x0000
#define SOURCECFG 0x0004 /* of source 1; those of the others follow */
#define SETIP 0x1c00
#define SETIPNUM 0x1cdc
#define IN_CLRIP 0x1d00
#define CLRIPNUM 0x1ddc
#define SETIE 0x1e00
#define SETIENUM 0x1edc
#define CLRIE 0x1f00
#define CLRIENUM 0x1fdc
#define SETIPNUM_LE 0x2000
#define GENMSI 0x3000
#define TARGET 0x3004

#define DOMAINCFG_RDONLY 0x80000000U
#define DOMAINCFG_IE (1U << 8)
#define DOMAINCFG_DM (1U << 2)

#define SOURCECFG_D (1U << 10)
#define SOURCECFG_SM 0x7U

/* Cells of an interrupt specifier: source, and its type as in Linux' bindings. */
#define CELLS 2
#define TYPE_LEVEL_HIGH 4

/* What the wire means in the source's mode (section 4.5.2, "rectified input value"). */
static bool rectified(const struct source *src)
{
	switch (src->mode) {
	case EDGE_RISE:
	case LEVEL_HIGH:
		return src->line;
	case EDGE_FALL:
	case LEVEL_LOW:
		return !src->line;
	default:
		return false;
	}
}

static bool is_level(const struct source *src)
{
	return src->mode == LEVEL_HIGH || src->mode == LEVEL_LOW;
}

static void send(struct aplic *aplic, uint32_t target)
{
	imsic_send(aplic->dev.vm, target >> TARGET_HART_SHIFT, target & TARGET_EIID);
}

/* A source that is pending and enabled becomes a message, and is pending no longer (section 4.9.3). */
static void forward(struct aplic *aplic, struct source *src)
{
	if (!aplic->on || !src->pending || !src->enabled)
		return;
	src->pending = false;
	send(aplic, src->target);
}

static void forward_all(struct aplic *aplic)
{
	for (unsigned int irq = 1; irq < SOURCES; irq++)
		forward(aplic, &aplic->source[irq]);
}

/* The source's input may have changed from before to what it is now (section 4.7). */
static void input_changed(struct aplic *aplic, struct source *src, bool before)
{
	bool now = rectified(src);

	if (now && !before)
		src->pending = true;
	else if (!now && is_level(src))
		src->pending = false;
	forward(aplic, src);
}

static void aplic_set_line(struct irqchip *chip, unsigned int irq, bool level)
{
	struct aplic *aplic = container_of(chip, struct aplic, chip);
	struct source *src;
	bool before;

	if (!irq || irq >= SOURCES)
		return;
	hot_lock(&aplic->chip.lock);
	src = &aplic->source[irq];
	before = rectified(src);
	src->line = level;
	input_changed(aplic, src, before);
	hot_unlock(&aplic->chip.lock);
}

/* Software makes a source pending; that of a level must be asserted (section 4.7). */
static void set_pending(struct aplic *aplic, struct source *src)
{
	if (src->mode == INACTIVE || (is_level(src) && !rectified(src)))
		return;
	src->pending = true;
	forward(aplic, src);
}

static void clear_pending(struct aplic *aplic, struct source *src)
{
	(void)aplic;
	src->pending = false;
}

static void set_enabled(struct aplic *aplic, struct source *src)
{
	if (src->mode == INACTIVE)
		return;
	src->enabled = true;
	forward(aplic, src);
}

static void clear_enabled(struct aplic *aplic, struct source *src)
{
	(void)aplic;
	src->enabled = false;
}

static bool is_pending(const struct source *src)
{
	return src->pending;
}

static bool is_enabled(const struct source *src)
{
	return src->enabled;
}

/* The registers that name sources: one bit for each, or one by number. A bitmap at -1 does not exist. */
static const struct {
	int bitmap, number;
	bool (*read)(const struct source *src);
	void (*write)(struct aplic *aplic, struct source *src);
} groups[] = {
	{SETIP, SETIPNUM, is_pending, set_pending}, {IN_CLRIP, CLRIPNUM, rectified, clear_pending},
	{SETIE, SETIENUM, is_enabled, set_enabled}, {CLRIE, CLRIENUM, NULL, clear_enabled},
	{-1, SETIPNUM_LE, NULL, set_pending},
};

static bool in_bitmap(unsigned int group, uint64_t off)
{
	return groups[group].bitmap >= 0 && off >= (uint64_t)groups[group].bitmap &&
		off < (uint64_t)groups[group].bitmap + BITMAP_SIZE;
}

static uint32_t read_bitmap(const struct aplic *aplic, unsigned int group, unsigned int word)
{
	uint32_t val = 0;

	if (!groups[group].read)
		return 0;
	for (unsigned int bit = 0; bit < 32; bit++)
		if (groups[group].read(&aplic->source[word * 32 + bit]))
			val |= 1U << bit;
	return val;
}

static void write_bitmap(struct aplic *aplic, unsigned int group, unsigned int word, uint32_t val)
{
	for (unsigned int bit = word ? 0 : 1; bit < 32; bit++)
		if (val >> bit & 1)
			groups[group].write(aplic, &aplic->source[word * 32 + bit]);
}

static void write_group(struct aplic *aplic, uint64_t off, uint32_t val)
{
	for (unsigned int g = 0; g < ARRAY_SIZE(groups); g++) {
		if (in_bitmap(g, off))
			write_bitmap(aplic, g, (unsigned int)(off - (uint64_t)groups[g].bitmap) / 4,
				     val);
		else if (off == (uint64_t)groups[g].number && val && val < SOURCES)
			groups[g].write(aplic, &aplic->source[val]);
	}
}

static uint32_t read_group(const struct aplic *aplic, uint64_t off)
{
	for (unsigned int g = 0; g < ARRAY_SIZE(groups); g++)
		if (in_bitmap(g, off))
			return read_bitmap(aplic, g,
					   (unsigned int)(off - (uint64_t)groups[g].bitmap) / 4);
	return 0;
}

/* There is no domain below to delegate to, and modes 2 and 3 are reserved: both read as inactive. */
static uint32_t legal_mode(uint32_t val)
{
	uint32_t mode = val & SOURCECFG_SM;

	return val & SOURCECFG_D || mode == 2 || mode == 3 ? INACTIVE : mode;
}

static void write_sourcecfg(struct aplic *aplic, struct source *src, uint32_t val)
{
	bool before = is_level(src) && rectified(src);

	src->mode = legal_mode(val);
	if (src->mode == INACTIVE) {
		src->pending = src->enabled = false;
		src->target = 0;
	} else if (is_level(src)) {
		input_changed(aplic, src, before);
	}
}

static void write_domaincfg(struct aplic *aplic, uint32_t val)
{
	aplic->on = val & DOMAINCFG_IE;
	forward_all(aplic);
}

/* The source whose word off is, in an array that begins at base with source 1; NULL: none. */
static struct source *source_at(struct aplic *aplic, uint64_t off, uint64_t base)
{
	uint64_t irq = (off - base) / 4 + 1;

	return off >= base && irq < SOURCES ? &aplic->source[irq] : NULL;
}

static uint32_t read_register(struct aplic *aplic, uint64_t off)
{
	const struct source *src;

	if (off == DOMAINCFG)
		return DOMAINCFG_RDONLY | DOMAINCFG_DM | (aplic->on ? DOMAINCFG_IE : 0);
	src = source_at(aplic, off, SOURCECFG);
	if (src)
		return src->mode;
	src = source_at(aplic, off, TARGET);
	if (src)
		return src->target;
	return read_group(aplic, off);
}

static void write_register(struct aplic *aplic, uint64_t off, uint32_t val)
{
	struct source *src;

	if (off == DOMAINCFG)
		write_domaincfg(aplic, val);
	else if (off == GENMSI)
		send(aplic, val & TARGET_MASK);
	else if ((src = source_at(aplic, off, SOURCECFG)))
		write_sourcecfg(aplic, src, val);
	else if ((src = source_at(aplic, off, TARGET)))
		src->target = src->mode == INACTIVE ? 0 : val & TARGET_MASK;
	else
		write_group(aplic, off, val);
}

static int aplic_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	struct aplic *aplic = container_of(dev, struct aplic, dev);

	if (len != 4)
		return -EINVAL;
	hot_lock(&aplic->chip.lock);
	*val = read_register(aplic, off);
	hot_unlock(&aplic->chip.lock);
	return 0;
}

static int aplic_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct aplic *aplic = container_of(dev, struct aplic, dev);

	if (len != 4)
		return -EINVAL;
	hot_lock(&aplic->chip.lock);
	write_register(aplic, off, (uint32_t)val);
	hot_unlock(&aplic->chip.lock);
	return 0;
}

/* The devices lower their lines in their own resets, before or after this one. */
static void aplic_reset(struct device *dev)
{
	struct aplic *aplic = container_of(dev, struct aplic, dev);

	hot_lock(&aplic->chip.lock);
	aplic->on = false;
	memset(aplic->source, 0, sizeof(aplic->source));
	hot_unlock(&aplic->chip.lock);
}

static int aplic_fdt(const struct device *dev, void *fdt)
{
	int err = fdt_tree_begin(fdt, "aplic", dev->base);

	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_APLIC);
	err = err ?: fdt_property_u32(fdt, "riscv,num-sources", SOURCES - 1);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: fdt_property_u32(fdt, "msi-parent", FDT_TREE_PHANDLE_IMSIC);
	err = err ?: fdt_property(fdt, "interrupt-controller", NULL, 0);
	err = err ?: fdt_property_u32(fdt, "#interrupt-cells", CELLS);
	err = err ?: fdt_property_u32(fdt, "#address-cells", 0);
	err = err ?: fdt_property_string(fdt, "compatible", "riscv,aplic");
	return err ?: fdt_end_node(fdt);
}

static void aplic_destroy(struct device *dev)
{
	struct aplic *aplic = container_of(dev, struct aplic, dev);

	hot_lock_destroy(&aplic->chip.lock);
	free(aplic);
}

static const struct device_ops aplic_ops = {
	.name = "aplic",
	.reset = aplic_reset,
	.read = aplic_read,
	.write = aplic_write,
	.fdt = aplic_fdt,
	.destroy = aplic_destroy,
};

int aplic_create(struct vm *vm)
{
	struct aplic *aplic = calloc(1, sizeof(*aplic));
	int err;

	if (!aplic)
		return -ENOMEM;
	aplic->dev = (struct device){
		.ops = &aplic_ops, .vm = vm, .base = BOARD_APLIC_BASE, .size = BOARD_APLIC_SIZE};
	aplic->chip = (struct irqchip){.set_line = aplic_set_line,
				       .hot_line = aplic_hot_line,
				       .phandle = FDT_TREE_PHANDLE_APLIC,
				       .cells = CELLS,
				       .type = TYPE_LEVEL_HIGH};
	hot_lock_init(&aplic->chip.lock);
	err = bus_add(&vm->bus, &aplic->dev);
	if (err) {
		aplic_destroy(&aplic->dev);
		return err;
	}
	irqchip_register(vm, &aplic->chip);
	return 0;
}
