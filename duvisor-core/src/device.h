/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device is to the rest of the core: a range of guest-physical
 * addresses and a constant table of operations. A concrete device embeds
 * struct device as its first member and finds itself with container_of().
 */
#ifndef DUVISOR_DEVICE_H
#define DUVISOR_DEVICE_H

#include "hot.h"
#include "types.h"

struct device;
struct vm;

struct device_ops {
	const char *name;

	/*
	 * Back to the power-on state, before the first boot and at each reboot.
	 * All vCPUs are parked; called on the I/O thread. May be NULL.
	 */
	void (*reset)(struct device *dev);

	/*
	 * An access by the guest of len = 1, 2, 4 or 8 bytes at offset off, wholly inside
	 * the range, aligned to len. Called on vCPU threads, several at a time, and while
	 * the I/O thread uses the device too: the device locks itself. Must not block.
	 * Returns 0; -EAGAIN (writes only): not now, the guest executes the instruction again, other vCPUs and
	 * the I/O thread run meanwhile; or another negative errno, and then the guest gets an access fault.
	 * read stores the value in the low len bytes of *val; write gets it there, zero-extended.
	 */
	int (*read)(struct device *dev, uint64_t off, unsigned int len, uint64_t *val);
	int (*write)(struct device *dev, uint64_t off, unsigned int len, uint64_t val);

	/* Shortcuts for frequent registers (hot.h); both or none. */
	hot_load_fn *hot_load;
	hot_store_fn *hot_store;

	/*
	 * Write the device's node(s) into the device tree: fdt is a libfdt tree in
	 * sequential-write state with /soc open. Returns 0 or a libfdt error. May be NULL.
	 */
	int (*fdt)(const struct device *dev, void *fdt);

	/* Give back everything, the device itself included. The vCPUs are gone. NULL: it is only struct device. */
	void (*destroy)(struct device *dev);
};

struct device {
	const struct device_ops *ops;
	struct vm *vm;
	gpa_t base;
	uint64_t size;
	unsigned int irq; /* line of the interrupt controller, 0 = none */
	/* Those of ops, by bus_add(): at hand for entry.S. */
	hot_load_fn *hot_load;
	hot_store_fn *hot_store;
};

/* Create a device that is only struct device and put it on vm's bus, which owns it then. 0 or -errno. */
int device_create(struct vm *vm, const struct device_ops *ops, gpa_t base, uint64_t size);

/*
 * Create all devices of the board and put them on vm's bus. 0; -errno, or a vm_exit to end with if it is the
 * user's fault; said to the user.
 */
int devices_create(struct vm *vm);

#endif
