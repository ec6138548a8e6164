/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "irqchip.h"

#include "vm.h"

void irqchip_register(struct vm *vm, struct irqchip *chip)
{
	vm->irqchip = chip;
}

void irqchip_set_line(struct vm *vm, unsigned int irq, bool level)
{
	if (irq && vm->irqchip)
		vm->irqchip->set_line(vm->irqchip, irq, level);
}
