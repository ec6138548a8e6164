/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* The first device that ends above gpa, by binary search; bus->count if there is none. */
static unsigned int first_above(const struct bus *bus, gpa_t gpa)
{
	unsigned int low = 0;
	unsigned int high = bus->count;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (bus->dev[mid]->base + (bus->dev[mid]->size - 1) < gpa)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct bus *bus, struct device *dev)
{
	gpa_t last = dev->base + (dev->size - 1);
	unsigned int i;

	if (!dev->size || last < dev->base)
		return -EINVAL;
	if (bus->count == BUS_MAX_DEVICES)
		return -ENOSPC;
	i = first_above(bus, dev->base);
	if (i < bus->count && bus->dev[i]->base <= last)
		return -EBUSY;
	memmove(&bus->dev[i + 1], &bus->dev[i], (bus->count - i) * sizeof(bus->dev[0]));
	bus->dev[i] = dev;
	dev->hot_load = dev->ops->hot_load;
	dev->hot_store = dev->ops->hot_store;
	bus->count++;
	return 0;
}

struct device *bus_find(const struct bus *bus, gpa_t gpa, uint64_t len)
{
	unsigned int i = first_above(bus, gpa);
	struct device *dev;

	if (i == bus->count)
		return NULL;
	dev = bus->dev[i];
	if (gpa < dev->base || len > dev->size || gpa - dev->base > dev->size - len)
		return NULL;
	return dev;
}

static struct device *find_for_access(const struct bus *bus, gpa_t gpa, unsigned int len)
{
	if (gpa & (len - 1))
		return NULL;
	return bus_find(bus, gpa, len);
}

int bus_read(const struct bus *bus, gpa_t gpa, unsigned int len, uint64_t *val)
{
	struct device *dev = find_for_access(bus, gpa, len);

	return dev ? dev->ops->read(dev, gpa - dev->base, len, val) : -ENXIO;
}

int bus_write(const struct bus *bus, gpa_t gpa, unsigned int len, uint64_t val)
{
	struct device *dev = find_for_access(bus, gpa, len);

	return dev ? dev->ops->write(dev, gpa - dev->base, len, val) : -ENXIO;
}

void bus_reset(const struct bus *bus)
{
	for (unsigned int i = 0; i < bus->count; i++)
		if (bus->dev[i]->ops->reset)
			bus->dev[i]->ops->reset(bus->dev[i]);
}

void bus_destroy(struct bus *bus)
{
	while (bus->count) {
		struct device *dev = bus->dev[--bus->count];

		if (dev->ops->destroy)
			dev->ops->destroy(dev);
		else
			free(dev);
	}
}
