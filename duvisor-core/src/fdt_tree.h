/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flattened device tree that the guest is given: generated from the VM, or a file of the user's
 * with what only we know filled in. (The name keeps clear of libfdt's own fdt.h and fdt_ prefix.)
 */
#ifndef DUVISOR_FDT_TREE_H
#define DUVISOR_FDT_TREE_H

#include "types.h"

struct device;
struct vm;

/* What the loader has decided. */
struct fdt_tree_boot {
	gpa_t initrd; /* meaningless if initrd_size is 0 */
	uint64_t initrd_size;
};

/* An upper bound for the size of a generated tree of this VM. */
size_t fdt_tree_size_bound(const struct vm *vm);

/*
 * Generate the tree into buf. Returns its size, or a negative libfdt error.
 */
int fdt_tree_generate(const struct vm *vm, const struct fdt_tree_boot *boot, void *buf,
		      size_t size);

/*
 * Take the size_in bytes at in, a file from the user and so not to be trusted, and write it to buf with these
 * replaced: /memory by the RAM that there is; in /chosen bootargs if the user gave a command line,
 * linux,initrd-* if he gave an initrd, and the seeds for random numbers. Returns as above.
 */
int fdt_tree_adapt(const struct vm *vm, const struct fdt_tree_boot *boot, const void *in,
		   size_t size_in, void *buf, size_t size);

/* For the fdt operation of devices; all return a libfdt error. */

#define FDT_TREE_PHANDLE_PLIC 1
#define FDT_TREE_PHANDLE_TEST 2
#define FDT_TREE_PHANDLE_WDT_CLOCK 3
#define FDT_TREE_PHANDLE_IMSIC 4
#define FDT_TREE_PHANDLE_APLIC 5
#define FDT_TREE_PHANDLE_CPU(cpu) (0x100 + (cpu)) /* by index in vm->vcpu */

/* Open the node name@base. */
int fdt_tree_begin(void *fdt, const char *name, uint64_t base);
/* reg, with two cells each. */
int fdt_tree_reg(void *fdt, uint64_t base, uint64_t size);
/* interrupt-parent and interrupts: the device's line of the interrupt controller. */
int fdt_tree_irq(void *fdt, const struct device *dev);
/* A list of strings, given as one literal with NULs between them. */
#define FDT_TREE_STRINGS(fdt, name, list) fdt_property(fdt, name, list, (int)sizeof(list))

#endif
