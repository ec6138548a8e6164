/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "bus.h"
#include "device.h"

struct note {
	struct device dev;
	uint64_t off;
	uint64_t value;
	unsigned int len;
	unsigned int resets;
	unsigned int *destroyed;
};

static struct note *note_of(struct device *dev)
{
	return container_of(dev, struct note, dev);
}

static void note_reset(struct device *dev)
{
	note_of(dev)->resets++;
}

static int note_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	note_of(dev)->off = off;
	note_of(dev)->len = len;
	*val = 0x1000 + off;
	return off == 8 ? -EIO : 0;
}

static int note_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	note_of(dev)->off = off;
	note_of(dev)->len = len;
	note_of(dev)->value = val;
	return 0;
}

static void note_destroy(struct device *dev)
{
	(*note_of(dev)->destroyed)++;
	free(note_of(dev));
}

static const struct device_ops note_ops = {
	.name = "note",
	.reset = note_reset,
	.read = note_read,
	.write = note_write,
	.destroy = note_destroy,
};

static unsigned int destroyed;

static struct note *add(struct bus *bus, gpa_t base, uint64_t size, int want)
{
	struct note *note = calloc(1, sizeof(*note));

	assert_non_null(note);
	note->dev = (struct device){.ops = &note_ops, .base = base, .size = size};
	note->destroyed = &destroyed;
	assert_int_equal(bus_add(bus, &note->dev), want);
	if (!want)
		return note;
	free(note);
	return NULL;
}

static void test_sorted_lookup(void **state)
{
	struct bus bus = {0};
	struct note *c = add(&bus, 0x3000, 0x1000, 0);
	struct note *a = add(&bus, 0x1000, 0x100, 0);
	struct note *b = add(&bus, 0x1100, 0x100, 0);
	/* Up to the very end of the address space. */
	struct note *d = add(&bus, -0x1000ULL, 0x1000, 0);

	(void)state;
	assert_ptr_equal(bus_find(&bus, 0x1000, 1), &a->dev);
	assert_ptr_equal(bus_find(&bus, 0x10ff, 1), &a->dev);
	assert_ptr_equal(bus_find(&bus, 0x1100, 8), &b->dev);
	assert_ptr_equal(bus_find(&bus, 0x3ff8, 8), &c->dev);
	assert_ptr_equal(bus_find(&bus, -8ULL, 8), &d->dev);
	assert_null(bus_find(&bus, 0xfff, 1));
	assert_null(bus_find(&bus, 0x10fc, 8)); /* over a border between two devices */
	assert_null(bus_find(&bus, 0x1200, 1));
	assert_null(bus_find(&bus, 0x2fff, 2));
	assert_null(bus_find(&bus, 0x3ffc, 8));
	assert_null(bus_find(&bus, 0x4000, 1));
	assert_null(bus_find(&bus, -4ULL, 8)); /* wraps around */
	assert_null(bus_find(&bus, 0x1000, -1ULL));
	bus_destroy(&bus);
}

static void test_overlap_refused(void **state)
{
	struct bus bus = {0};

	(void)state;
	add(&bus, 0x2000, 0x1000, 0);
	add(&bus, 0x2000, 0x1000, -EBUSY);
	add(&bus, 0x1fff, 2, -EBUSY);
	add(&bus, 0x2fff, 1, -EBUSY);
	add(&bus, 0x1000, 0x10000, -EBUSY);
	add(&bus, 0x2800, 1, -EBUSY);
	add(&bus, 0x5000, 0, -EINVAL);
	add(&bus, -1ULL, 2, -EINVAL);
	add(&bus, 0x1fff, 1, 0);
	add(&bus, 0x3000, 1, 0);
	assert_int_equal(bus.count, 3);
	bus_destroy(&bus);
}

static void test_full(void **state)
{
	struct bus bus = {0};

	(void)state;
	for (unsigned int i = 0; i < BUS_MAX_DEVICES; i++)
		add(&bus, i * 0x1000ULL, 0x1000, 0);
	add(&bus, 0x10000000, 0x1000, -ENOSPC);
	destroyed = 0;
	bus_destroy(&bus);
	assert_int_equal(destroyed, BUS_MAX_DEVICES);
	assert_int_equal(bus.count, 0);
}

static void test_access(void **state)
{
	struct bus bus = {0};
	struct note *note = add(&bus, 0x10000000, 0x100, 0);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(bus_read(&bus, 0x10000004, 4, &value), 0);
	assert_int_equal(value, 0x1004);
	assert_int_equal(note->len, 4);
	assert_int_equal(bus_write(&bus, 0x100000f8, 8, 77), 0);
	assert_int_equal(note->off, 0xf8);
	assert_int_equal(note->value, 77);
	assert_int_equal(bus_read(&bus, 0x10000008, 1, &value), -EIO);
	assert_int_equal(bus_read(&bus, 0x10000001, 4, &value), -ENXIO); /* misaligned */
	assert_int_equal(bus_read(&bus, 0x10000100, 4, &value), -ENXIO);
	assert_int_equal(bus_write(&bus, 0xffffffff, 1, 0), -ENXIO);
	assert_int_equal(note->value, 77);
	bus_reset(&bus);
	assert_int_equal(note->resets, 1);
	bus_destroy(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_lookup),
		cmocka_unit_test(test_overlap_refused),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
