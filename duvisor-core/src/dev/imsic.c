/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IMSIC, laid out as the supervisor level's on QEMU's virt board: the page of hart n is the n-th, and a
 * guest, having no guests, has no pages between them.
 */
#include "dev/imsic.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "bus.h"
#include "device.h"
#include "dev/imsic_file.h"
#include "fdt_tree.h"
#include "vcpu.h"
#include "vm.h"

#define PAGE_SIZE 0x1000ULL
#define SETEIPNUM_LE 0

/* interrupts-extended: the supervisor external interrupt. */
#define S_EXTERNAL 9U

struct imsic {
	_Alignas(PAGE_SIZE) struct imsic_file file[VM_MAX_VCPUS]; /* as hufiles wants them */
	struct device dev;
};

void imsic_send(struct vm *vm, uint32_t hart, uint32_t id)
{
	struct vcpu *vcpu;

	if (hart >= vm->vcpu_count)
		return;
	vcpu = vm->vcpu[hart];
	if (imsic_file_send(vcpu->imsic, id))
		vcpu_send_ext_irq(vcpu);
}

/* All registers read as zero; those that do not exist ignore writes (section 3.5). */
static int imsic_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	(void)dev;
	(void)off;
	if (len != 4)
		return -EINVAL;
	*val = 0;
	return 0;
}

static int imsic_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	if (len != 4)
		return -EINVAL;
	if (off % PAGE_SIZE == SETEIPNUM_LE)
		imsic_send(dev->vm, (uint32_t)(off / PAGE_SIZE), (uint32_t)val);
	return 0;
}

static void imsic_reset(struct device *dev)
{
	struct imsic *imsic = container_of(dev, struct imsic, dev);

	for (unsigned int hart = 0; hart < VM_MAX_VCPUS; hart++)
		imsic_file_reset(&imsic->file[hart]);
}

static int imsic_fdt(const struct device *dev, void *fdt)
{
	fdt32_t harts[VM_MAX_VCPUS][2];
	unsigned int count = dev->vm->vcpu_count;
	int err = fdt_tree_begin(fdt, "imsics", dev->base);

	for (unsigned int hart = 0; hart < count; hart++) {
		harts[hart][0] = cpu_to_fdt32(FDT_TREE_PHANDLE_CPU(hart));
		harts[hart][1] = cpu_to_fdt32(S_EXTERNAL);
	}
	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_IMSIC);
	err = err ?: fdt_property_u32(fdt, "riscv,num-ids", IMSIC_MAX_ID);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err
		?: fdt_property(fdt, "interrupts-extended", harts, (int)(count * sizeof(harts[0])));
	err = err ?: fdt_property(fdt, "msi-controller", NULL, 0);
	err = err ?: fdt_property_u32(fdt, "#msi-cells", 0);
	err = err ?: fdt_property(fdt, "interrupt-controller", NULL, 0);
	err = err ?: fdt_property_u32(fdt, "#interrupt-cells", 0);
	err = err ?: fdt_property_string(fdt, "compatible", "riscv,imsics");
	return err ?: fdt_end_node(fdt);
}

static void imsic_destroy(struct device *dev)
{
	free(container_of(dev, struct imsic, dev));
}

static const struct device_ops imsic_ops = {
	.name = "imsic",
	.reset = imsic_reset,
	.read = imsic_read,
	.write = imsic_write,
	.fdt = imsic_fdt,
	.destroy = imsic_destroy,
};

int imsic_create(struct vm *vm)
{
	struct imsic *imsic = aligned_alloc(PAGE_SIZE, sizeof(*imsic));
	int err;

	if (!imsic)
		return -ENOMEM;
	memset(imsic, 0, sizeof(*imsic));
	imsic->dev = (struct device){.ops = &imsic_ops,
				     .vm = vm,
				     .base = BOARD_IMSIC_BASE,
				     .size = vm->vcpu_count * PAGE_SIZE};
	err = bus_add(&vm->bus, &imsic->dev);
	if (err) {
		free(imsic);
		return err;
	}
	for (unsigned int hart = 0; hart < vm->vcpu_count; hart++)
		vm->vcpu[hart]->imsic = &imsic->file[hart];
	return 0;
}
