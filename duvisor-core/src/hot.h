/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot registers: what a device can answer at once, called from entry.S with a handful of registers
 * saved instead of all that C may change.
 *
 * The functions are in files of their own (..._hot.c) that are compiled to use no register but a0 to a3, t0, t1, ra and
 * sp (t2 is the vCPU, see hot_vcpu.h): a test looks at each of their instructions. So they call nothing but each other, through
 * pointers, wait for nothing (hot_lock.h) and keep little at hand. Whatever is not simple they
 * decline, having changed nothing that the ordinary operation, which is called next, would not change as well.
 */
#ifndef DUVISOR_HOT_H
#define DUVISOR_HOT_H

#include <stdbool.h>

#include "types.h"

struct device;
struct irqchip;

/*
 * What a load gives: in the low half the value, zero-extended from the access' length; a one in the high half if it
 * is declined. Not a structure, which the compiler would build on the stack.
 */
typedef unsigned __int128 hot_value;

#define HOT_DECLINED ((hot_value)1 << 64)

/*
 * The arguments are those of device_ops' read and write, but for what is above the low len bytes of
 * a value to be stored: that is undefined.
 */
typedef hot_value hot_load_fn(struct device *dev, uint64_t off, uint64_t len);
typedef uint64_t hot_store_fn(struct device *dev, uint64_t off, uint64_t len, uint64_t val);

/* A device's line has this level, for a hot store to call; the line exists. Not 0: declined, and nothing has changed. */
typedef uint64_t hot_line_fn(struct irqchip *chip, uint64_t irq, bool level);

/*
 * Where entry.S looks for the device of an address: one of a few places in struct vcpu, picked by the bits that tell
 * pages and devices of the board apart. exit_dispatch() fills it when an access comes by the long way.
 */
#define HOT_PLACES 32
#define HOT_SHIFT_PAGE 12
#define HOT_SHIFT_AREA 24

static inline unsigned int hot_place(gpa_t gpa)
{
	return (gpa >> HOT_SHIFT_PAGE ^ gpa >> HOT_SHIFT_AREA) % HOT_PLACES;
}

/* A device without an address: what an empty place holds. */
extern const struct device hot_nothing;

#endif
