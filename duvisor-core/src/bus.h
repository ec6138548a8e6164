/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of one VM, sorted by address. */
#ifndef DUVISOR_BUS_H
#define DUVISOR_BUS_H

#include <stdbool.h>

#include "types.h"

struct device;

#define BUS_MAX_DEVICES 64

/* Filled before the vCPUs run and constant while they do: so without a lock. */
struct bus {
	unsigned int count;
	struct device *dev[BUS_MAX_DEVICES];
};

/*
 * Add dev, whose base and size are set; the bus owns it from now on (only if this succeeds).
 * -EINVAL: empty or wraps around; -EBUSY: overlaps another device; -ENOSPC: the bus is full.
 */
int bus_add(struct bus *bus, struct device *dev);

/* The device whose range contains all len bytes at gpa, or NULL. */
struct device *bus_find(const struct bus *bus, gpa_t gpa, uint64_t len);

/* One access; -ENXIO if no device is there, else what the device says. */
int bus_read(const struct bus *bus, gpa_t gpa, unsigned int len, uint64_t *val);
int bus_write(const struct bus *bus, gpa_t gpa, unsigned int len, uint64_t val);

/* Reset, respectively destroy, every device. */
void bus_reset(const struct bus *bus);
void bus_destroy(struct bus *bus);

#endif
