/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SiFive's test finisher, as on QEMU's virt board: a write to its only register powers
 * off, reports a failure, or resets. Linux uses it through syscon-poweroff and syscon-reboot.
 */
#include <errno.h>
#include <libfdt.h>

#include "board.h"
#include "device.h"
#include "fdt_tree.h"
#include "vm.h"

#define STATUS_FAIL 0x3333
#define STATUS_PASS 0x5555
#define STATUS_RESET 0x7777

static int test_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	(void)dev;
	(void)off;
	if (len != 2 && len != 4)
		return -EINVAL;
	*val = 0;
	return 0;
}

static int test_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	unsigned int code = (unsigned int)(val >> 16) & 0xffff;

	if (len != 2 && len != 4)
		return -EINVAL;
	if (off)
		return 0;
	switch (val & 0xffff) {
	case STATUS_FAIL:
		vm_request_stop(dev->vm, VM_STOP_GUEST_FAILURE, code);
		break;
	case STATUS_PASS:
		vm_request_stop(dev->vm, VM_STOP_POWER_OFF, code);
		break;
	case STATUS_RESET:
		vm_request_stop(dev->vm, VM_STOP_REBOOT_COLD, code);
		break;
	default:
		log_guest(&dev->vm->log_limit, LOG_WARN,
			  "guest wrote the unknown status 0x%llx to the test device",
			  (unsigned long long)val);
		break;
	}
	return 0;
}

static int test_fdt(const struct device *dev, void *fdt)
{
	int err = fdt_tree_begin(fdt, "test", dev->base);

	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_TEST);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: FDT_TREE_STRINGS(fdt, "compatible", "sifive,test1\0sifive,test0\0syscon");
	return err ?: fdt_end_node(fdt);
}

static const struct device_ops test_ops = {
	.name = "test",
	.read = test_read,
	.write = test_write,
	.fdt = test_fdt,
};

int sifive_test_create(struct vm *vm)
{
	return device_create(vm, &test_ops, BOARD_TEST_BASE, BOARD_TEST_SIZE);
}
