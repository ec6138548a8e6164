/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seam between devices that raise interrupts and the controller that routes them. */
#ifndef DUVISOR_IRQCHIP_H
#define DUVISOR_IRQCHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "hot.h"
#include "hot_lock.h"

struct vm;

/* Embedded in the interrupt controller's device, which makes and destroys the lock. */
struct irqchip {
	struct hot_lock lock; /* the controller's */
	/* Line irq (> 0) now has this level. Any member thread; must not block. */
	void (*set_line)(struct irqchip *chip, unsigned int irq, bool level);
	/* The same for hot code (hot.h), with the lock held; only of lines that devices were given. */
	hot_line_fn *hot_line;
	/* How the device tree names a line: the controller's node, cells of a specifier (1 or 2), the second cell. */
	uint32_t phandle, cells, type;
};

/* Called once, by the controller, when it is created. */
void irqchip_register(struct vm *vm, struct irqchip *chip);

/*
 * Device line irq (level-triggered) now has this level. Any member thread may call it,
 * with the lock of its device held. Without a controller, or with irq 0, nothing happens.
 */
void irqchip_set_line(struct vm *vm, unsigned int irq, bool level);

/*
 * The controller, if it could be entered; hot_leave(&chip->lock) must follow. NULL: there is none, or somebody else is in
 * it. Hot code only.
 */
static inline struct irqchip *irqchip_hot_enter(struct irqchip *chip)
{
	return chip && hot_enter(&chip->lock) ? chip : NULL;
}

/* irqchip_set_line() of hot code. Not 0: declined, and nothing has changed. */
static inline uint64_t irqchip_hot_line(struct irqchip *irqchip, uint64_t irq, bool level)
{
	struct irqchip *chip = irqchip_hot_enter(irqchip);
	uint64_t declined;

	if (!chip)
		return 1;
	declined = chip->hot_line(chip, irq, level);
	hot_leave(&chip->lock);
	return declined;
}

#endif
