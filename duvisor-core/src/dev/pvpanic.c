/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvpanic in its MMIO form (QEMU, docs/specs/pvpanic.rst): one register by which the guest's kernel says that it
 * has panicked. Reading it tells which events we know.
 */
#include <libfdt.h>

#include "board.h"
#include "device.h"
#include "fdt_tree.h"
#include "vm.h"

#define PANICKED (1U << 0)
#define CRASH_LOADED (1U << 1) /* it goes on to a crash kernel of its own */
#define KNOWN_EVENTS (PANICKED | CRASH_LOADED)

static int pvpanic_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	(void)dev;
	(void)len;
	*val = off ? 0 : KNOWN_EVENTS;
	return 0;
}

static int pvpanic_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	(void)len;
	if (off)
		return 0;
	if (val & PANICKED)
		vm_request_stop(dev->vm, VM_STOP_PANIC, 0);
	else if (val & CRASH_LOADED)
		log_guest(&dev->vm->log_limit, LOG_WARN,
			  "the guest panicked and boots its crash kernel");
	return 0;
}

static int pvpanic_fdt(const struct device *dev, void *fdt)
{
	int err = fdt_tree_begin(fdt, "pvpanic", dev->base);

	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: fdt_property_string(fdt, "compatible", "qemu,pvpanic-mmio");
	return err ?: fdt_end_node(fdt);
}

static const struct device_ops pvpanic_ops = {
	.name = "pvpanic",
	.read = pvpanic_read,
	.write = pvpanic_write,
	.fdt = pvpanic_fdt,
};

int pvpanic_create(struct vm *vm)
{
	return device_create(vm, &pvpanic_ops, BOARD_PVPANIC_BASE, BOARD_PVPANIC_SIZE);
}
