/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device on a fake board, driven by its registers as virtio 1.2, section 3.1.1 and 4.2.3 tell a driver to. The
 * test's only thread plays the vCPU and, in virtio_serve(), the I/O thread.
 */
#ifndef TESTS_FAKE_VIRTIO_H
#define TESTS_FAKE_VIRTIO_H

#include "fake_board.h"
#include "fake_driver.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <time.h>

#include "dev/board.h"

#define QUEUE_RESET 0x0c0
#define RINGS_OF(queue) (MEMORY_BASE + 0x10000ULL * (queue))
#define VIRTIO_DATA (MEMORY_BASE + 0x400000)

static bool virtio_lines[64];

static void virtio_set_line(struct irqchip *chip, unsigned int irq, bool level)
{
	(void)chip;
	assert_true(irq > 0 && irq < ARRAY_SIZE(virtio_lines));
	virtio_lines[irq] = level;
}

static uint64_t virtio_hot_line(struct irqchip *chip, uint64_t irq, bool level)
{
	virtio_set_line(chip, (unsigned int)irq, level);
	return 0;
}

static struct irqchip virtio_chip = {.set_line = virtio_set_line, .hot_line = virtio_hot_line};

static inline uint32_t reg_in(unsigned int slot, unsigned int reg)
{
	return (uint32_t)guest_read(BOARD_VIRTIO_BASE(slot) + reg, 4);
}

static inline void reg_out(unsigned int slot, unsigned int reg, uint32_t val)
{
	guest_write(BOARD_VIRTIO_BASE(slot) + reg, 4, val);
}

/* What the I/O thread does until there is nothing to do: at least one turn; a turn takes so long. */
static inline void virtio_serve_turns(uint64_t turn_ns)
{
	struct io *io = &board.vm.io;
	bool worked;

	do {
		worked = false;
		io->now += turn_ns;
		for (unsigned int i = 0; i < io->poller_count; i++)
			worked |= io->poller[i].ops->poll(io->poller[i].opaque);
	} while (worked);
}

static inline void virtio_serve(void)
{
	virtio_serve_turns(1000000);
}

static inline uint64_t virtio_offered(unsigned int slot)
{
	uint64_t low;

	reg_out(slot, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = reg_in(slot, VIRTIO_MMIO_DEVICE_FEATURES);
	reg_out(slot, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return low | (uint64_t)reg_in(slot, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

static inline void virtio_accept(unsigned int slot, uint64_t features)
{
	reg_out(slot, VIRTIO_MMIO_STATUS, 0);
	reg_out(slot, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	reg_out(slot, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned int sel = 0; sel < 2; sel++) {
		reg_out(slot, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		reg_out(slot, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * sel)));
	}
	reg_out(slot, VIRTIO_MMIO_STATUS,
		reg_in(slot, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void virtio_set_queue(unsigned int slot, unsigned int queue,
				    const struct virtq_setup *s)
{
	reg_out(slot, VIRTIO_MMIO_QUEUE_SEL, queue);
	assert_int_equal(reg_in(slot, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_true(s->size <= reg_in(slot, VIRTIO_MMIO_QUEUE_NUM_MAX));
	reg_out(slot, VIRTIO_MMIO_QUEUE_NUM, s->size);
	reg_out(slot, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)s->desc);
	reg_out(slot, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(s->desc >> 32));
	reg_out(slot, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)s->driver);
	reg_out(slot, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(s->driver >> 32));
	reg_out(slot, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)s->device);
	reg_out(slot, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(s->device >> 32));
	reg_out(slot, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(reg_in(slot, VIRTIO_MMIO_QUEUE_READY), 1);
}

/* From reset to DRIVER_OK, with count queues of `size` entries each; d has one driver per queue. */
static inline void virtio_start_sized(unsigned int slot, uint64_t features, struct driver *d,
				      unsigned int count, uint16_t size)
{
	const struct virtq_setup options = {
		.size = size,
		.packed = features >> VIRTIO_F_RING_PACKED & 1,
		.indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1,
	};

	virtio_accept(slot, features | 1ULL << VIRTIO_F_VERSION_1);
	assert_true(reg_in(slot, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned int i = 0; i < count; i++) {
		driver_init(&d[i], &board.vm.mem, RINGS_OF(i), &options);
		virtio_set_queue(slot, i, &d[i].setup);
	}
	reg_out(slot, VIRTIO_MMIO_STATUS,
		reg_in(slot, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_serve();
}

static inline void virtio_start(unsigned int slot, uint64_t features, struct driver *d,
				unsigned int count)
{
	virtio_start_sized(slot, features, d, count, 64);
}

/* A write that has to wait for the I/O thread: the guest executes it again until then. */
static inline void reg_out_again(unsigned int slot, unsigned int reg, uint32_t val)
{
	while (bus_write(&board.vm.bus, BOARD_VIRTIO_BASE(slot) + reg, 4, val) == -EAGAIN)
		virtio_serve();
}

/* Add a chain, notify, and wait until it is used; the length that the device reports. */
static inline uint32_t virtio_request(unsigned int slot, unsigned int queue, struct driver *d,
				      const struct buffer *b, unsigned int count)
{
	uint16_t id = driver_add(d, b, count);
	time_t end = time(NULL) + 20;
	uint32_t len = 0;
	uint16_t got;

	reg_out(slot, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	do {
		virtio_serve();
		assert_true(time(NULL) < end);
	} while (!driver_get(d, &got, &len));
	assert_int_equal(got, id);
	return len;
}

static inline void virtio_board_setup(unsigned int cpus)
{
	memset(virtio_lines, 0, sizeof(virtio_lines));
	board_setup(cpus);
	irqchip_register(&board.vm, &virtio_chip);
}

#endif
