/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MMIO transport (virtio 1.2, section 4.2). The registers are the vCPUs'; rings are the I/O thread's. A vCPU that
 * changes what rings depend on sets `changed`, and the I/O thread brings its side in line (reconcile()).
 * Stopping a queue can mean to wait for a disk, which a vCPU must not do: its write is answered -EAGAIN until
 * that is over, and the guest executes the instruction again meanwhile.
 */
#include <errno.h>
#include <libfdt.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "dev/board.h"
#include "fdt_tree.h"
#include "io.h"
#include "irqchip.h"
#include "virtio/virtio.h"
#include "vm.h"

#define MAGIC 0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR 0x56554421 /* nobody gives out these numbers */

/* Added after the header of some hosts (section 4.2.2). */
#define QUEUE_RESET 0x0c0

#define RING_FEATURES                                                                              \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_RING_RESET | \
	 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX)

static struct virtio *from_device(struct device *dev)
{
	return container_of(dev, struct virtio, dev);
}

static uint64_t offered(const struct virtio *dev)
{
	return dev->features | RING_FEATURES;
}

/*
 * Raised by the I/O thread, acknowledged by vCPUs. Each sets the line to what it saw, then looks whether that is
 * still so: whoever sets it last has seen the last change. (Section 4.2.2, InterruptStatus.)
 */
static void update_line(struct virtio *dev)
{
	bool level;

	do {
		level = atomic_load(&dev->interrupt_status) != 0;
		irqchip_set_line(dev->dev.vm, dev->dev.irq, level);
	} while (level != (atomic_load(&dev->interrupt_status) != 0));
}

static void raise_interrupt(struct virtio *dev, uint32_t bit)
{
	if (atomic_fetch_or(&dev->interrupt_status, bit) & bit)
		return;
	dev->interrupts++;
	update_line(dev);
}

static void acknowledge(struct virtio *dev, uint32_t bits)
{
	atomic_fetch_and(&dev->interrupt_status, ~bits);
	update_line(dev);
}

/* --- the I/O thread's side --- */

static bool queue_waits(const struct virtio *dev, uint64_t index)
{
	return atomic_load_explicit(&dev->queue[index].waits, memory_order_relaxed);
}

/* All that queue->vq has behind it is served: that is what vCPUs may go by. */
static void set_waits(struct virtio *dev, unsigned int index, bool waits)
{
	struct virtio_queue *queue = &dev->queue[index];

	pthread_mutex_lock(&dev->lock);
	queue->served = queue->vq;
	atomic_store(&queue->waits, waits);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_wait_for(struct virtio *dev, unsigned int index)
{
	if (dev->queue[index].active)
		set_waits(dev, index, true);
}

static void stop_queue(struct virtio *dev, unsigned int index)
{
	struct virtio_queue *queue = &dev->queue[index];

	if (queue->active && dev->ops->stop_queue)
		dev->ops->stop_queue(dev, index);
	queue->active = false;
	if (queue_waits(dev, index))
		set_waits(dev, index, false);
}

static void stop_all(struct virtio *dev)
{
	for (unsigned int i = 0; i < dev->queue_count; i++)
		stop_queue(dev, i);
	dev->started = false;
}

static void set_needs_reset(struct virtio *dev)
{
	pthread_mutex_lock(&dev->lock);
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	pthread_mutex_unlock(&dev->lock);
	raise_interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_fail(struct virtio *dev, const char *why)
{
	log_guest(&dev->dev.vm->log_limit, LOG_WARN, "%s: the guest's driver broke the rules: %s",
		  dev->ops->name, why);
	stop_all(dev);
	set_needs_reset(dev);
}

/* Registers to their state after a reset (section 4.2.2.1); dev->lock held. */
static void clear_registers(struct virtio *dev)
{
	dev->status = 0;
	dev->device_features_sel = dev->driver_features_sel = dev->queue_sel = 0;
	dev->driver_features = 0;
	for (unsigned int i = 0; i < dev->queue_count; i++)
		dev->queue[i].regs = (struct virtio_queue_regs){0};
	atomic_store(&dev->interrupt_status, 0);
}

static void reset_now(struct virtio *dev)
{
	stop_all(dev);
	if (dev->ops->reset)
		dev->ops->reset(dev);
	pthread_mutex_lock(&dev->lock);
	clear_registers(dev);
	dev->resetting = false;
	pthread_mutex_unlock(&dev->lock);
	update_line(dev);
}

static void reset_queue(struct virtio *dev, unsigned int index)
{
	stop_queue(dev, index);
	pthread_mutex_lock(&dev->lock);
	dev->queue[index].regs = (struct virtio_queue_regs){0};
	pthread_mutex_unlock(&dev->lock);
}

static int start_queue(struct virtio *dev, unsigned int index, const struct virtio_queue_regs *regs)
{
	struct virtio_queue *queue = &dev->queue[index];
	const struct virtq_setup setup = {
		.desc = regs->desc,
		.driver = regs->driver,
		.device = regs->device,
		.size = regs->num > VIRTQ_MAX_SIZE ? 0 : (uint16_t)regs->num,
		.packed = virtio_has(dev, VIRTIO_F_RING_PACKED),
		.indirect = virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC),
		.event_index = virtio_has(dev, VIRTIO_RING_F_EVENT_IDX),
	};
	int err = virtq_start(&queue->vq, &dev->dev.vm->mem, &setup);

	queue->active = queue->wanted = !err;
	return err;
}

/* Copy of what the driver wants. */
static struct virtio_queue_regs queue_regs(struct virtio *dev, unsigned int index)
{
	struct virtio_queue_regs regs;

	pthread_mutex_lock(&dev->lock);
	regs = dev->queue[index].regs;
	pthread_mutex_unlock(&dev->lock);
	return regs;
}

static void start_ready_queues(struct virtio *dev)
{
	bool any = false;

	for (unsigned int i = 0; i < dev->queue_count; i++) {
		struct virtio_queue_regs regs = queue_regs(dev, i);

		if (regs.resetting)
			reset_queue(dev, i);
		else if (!regs.ready)
			stop_queue(dev, i);
		if (!regs.ready || regs.resetting || dev->queue[i].active)
			continue;
		if (start_queue(dev, i, &regs)) {
			virtio_fail(dev, "a queue is of no possible size, or not in memory");
			return;
		}
		any = true;
	}
	if (any && dev->ops->start)
		dev->ops->start(dev);
}

static void reconcile(struct virtio *dev)
{
	bool resetting;
	uint32_t status;

	pthread_mutex_lock(&dev->lock);
	resetting = dev->resetting;
	status = dev->status;
	pthread_mutex_unlock(&dev->lock);
	if (resetting) {
		reset_now(dev);
	} else if (status & VIRTIO_CONFIG_S_DRIVER_OK && !(status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
		/* Features cannot change any more: see write_features(). */
		dev->accepted = dev->driver_features;
		dev->started = true;
		start_ready_queues(dev);
	}
}

static bool kick_queues(struct virtio *dev)
{
	bool worked = false;

	for (unsigned int i = 0; i < dev->queue_count; i++) {
		struct virtio_queue *queue = &dev->queue[i];

		if (!queue->active || !queue->wanted || !virtq_has_work(&queue->vq))
			continue;
		if (!queue_waits(dev, i))
			virtq_notify_off(&queue->vq);
		dev->ops->kick(dev, i);
		worked = true;
		if (queue_waits(dev, i)) {
			/* First ask to be told of the next buffer, then let go of who told us of this one. */
			virtq_notify_on(&queue->vq);
			set_waits(dev, i, true);
		}
	}
	return worked;
}

static bool poll_device(void *opaque)
{
	struct virtio *dev = opaque;
	bool worked = false;

	if (atomic_load_explicit(&dev->changed, memory_order_relaxed) &&
	    atomic_exchange(&dev->changed, 0)) {
		reconcile(dev);
		worked = true;
	}
	worked |= kick_queues(dev);
	if (dev->ops->poll)
		worked |= dev->ops->poll(dev);
	return worked;
}

static bool arm_device(void *opaque)
{
	struct virtio *dev = opaque;
	bool work = false;

	for (unsigned int i = 0; i < dev->queue_count; i++)
		if (dev->queue[i].active && dev->queue[i].wanted)
			work |= virtq_notify_on(&dev->queue[i].vq);
	return work || atomic_load(&dev->changed);
}

static const struct io_poller_ops poller_ops = {.poll = poll_device, .arm = arm_device};

bool virtio_pop(struct virtio *dev, unsigned int index, struct virtq_chain *chain)
{
	struct virtio_queue *queue = &dev->queue[index];
	int ret = queue->active ? virtq_pop(&queue->vq, chain) : 0;

	if (ret < 0)
		virtio_fail(dev, strerror(-ret));
	return ret > 0;
}

void virtio_push(struct virtio *dev, unsigned int index, uint16_t id, uint16_t slots,
		 uint32_t written)
{
	if (!dev->queue[index].active)
		return;
	dev->buffers++;
	virtq_push(&dev->queue[index].vq, id, slots, written);
}

void virtio_signal(struct virtio *dev, unsigned int index)
{
	struct virtio_queue *queue = &dev->queue[index];

	if (queue->active && virtq_should_signal(&queue->vq))
		raise_interrupt(dev, VIRTIO_MMIO_INT_VRING);
}

void virtio_config_changed(struct virtio *dev)
{
	pthread_mutex_lock(&dev->lock);
	dev->generation++;
	pthread_mutex_unlock(&dev->lock);
	if (dev->started)
		raise_interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

/* --- the vCPUs' side: registers, dev->lock held unless noted --- */

static void tell_io_thread(struct virtio *dev)
{
	atomic_store(&dev->changed, 1);
	io_wake(&dev->dev.vm->io);
}

/* The queue that QueueSel names, or NULL. */
static struct virtio_queue_regs *selected(struct virtio *dev)
{
	return dev->queue_sel < dev->queue_count ? &dev->queue[dev->queue_sel].regs : NULL;
}

static uint32_t half(uint64_t value, uint32_t sel)
{
	return sel > 1 ? 0 : (uint32_t)(value >> (32 * sel));
}

static uint32_t read_queue_register(struct virtio *dev, uint64_t off)
{
	const struct virtio_queue_regs *regs = selected(dev);

	if (!regs)
		return 0;
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return VIRTQ_MAX_SIZE;
	case VIRTIO_MMIO_QUEUE_READY:
		return regs->ready;
	default: /* QUEUE_RESET */
		return regs->resetting;
	}
}

static uint32_t read_register(struct virtio *dev, uint64_t off)
{
	switch (off) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return half(offered(dev), dev->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
	case QUEUE_RESET:
		return read_queue_register(dev, off);
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX; /* no such region (section 4.2.2) */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->generation;
	default:
		return 0;
	}
}

/* Only between DRIVER and FEATURES_OK (section 3.1.1). */
static void write_features(struct virtio *dev, uint32_t val)
{
	unsigned int shift = 32 * dev->driver_features_sel;

	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK || dev->driver_features_sel > 1)
		return;
	dev->driver_features &= ~(0xffffffffULL << shift);
	dev->driver_features |= (uint64_t)val << shift;
}

static bool features_are_good(const struct virtio *dev)
{
	return !(dev->driver_features & ~offered(dev)) &&
		dev->driver_features >> VIRTIO_F_VERSION_1 & 1;
}

static int start_reset(struct virtio *dev)
{
	if (!dev->status && !dev->resetting)
		return 0; /* is done */
	if (!dev->resetting) {
		dev->resetting = true;
		tell_io_thread(dev);
	}
	return -EAGAIN;
}

static int write_status(struct virtio *dev, uint32_t val)
{
	uint32_t added = val & ~dev->status & 0xff;

	if (!val)
		return start_reset(dev);
	/* Left clear: we cannot work with these features (section 3.1.1, step 6). */
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !features_are_good(dev))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((dev->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= added & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		tell_io_thread(dev);
	return 0;
}

static void set_low(uint64_t *reg, uint32_t val)
{
	*reg = (*reg & ~0xffffffffULL) | val;
}

static void set_high(uint64_t *reg, uint32_t val)
{
	*reg = (*reg & 0xffffffffULL) | (uint64_t)val << 32;
}

/* To stop a queue, the driver writes 0 and may use the memory at once (section 4.2.2.2). */
static int write_ready(struct virtio *dev, struct virtio_queue_regs *regs, uint32_t val)
{
	bool running = dev->status & VIRTIO_CONFIG_S_DRIVER_OK;

	if (running && regs->ready && !(val & 1)) {
		regs->resetting = true;
		tell_io_thread(dev);
		return -EAGAIN;
	}
	regs->ready = val & 1;
	if (running)
		tell_io_thread(dev);
	return 0;
}

static void write_queue_reset(struct virtio *dev, struct virtio_queue_regs *regs, uint32_t val)
{
	if (!(val & 1) || !(dev->driver_features >> VIRTIO_F_RING_RESET & 1))
		return;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) {
		regs->resetting = true;
		tell_io_thread(dev);
	} else {
		*regs = (struct virtio_queue_regs){0};
	}
}

static void write_setup(struct virtio_queue_regs *regs, uint64_t off, uint32_t val)
{
	switch (off) {
	case VIRTIO_MMIO_QUEUE_NUM:
		regs->num = val;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&regs->desc, val);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&regs->desc, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&regs->driver, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&regs->driver, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&regs->device, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&regs->device, val);
		break;
	default:
		break;
	}
}

static int write_queue_register(struct virtio *dev, uint64_t off, uint32_t val)
{
	struct virtio_queue_regs *regs = selected(dev);

	if (!regs)
		return 0;
	if (regs->resetting)
		return off == VIRTIO_MMIO_QUEUE_READY ? -EAGAIN : 0;
	if (off == VIRTIO_MMIO_QUEUE_READY)
		return write_ready(dev, regs, val);
	if (off == QUEUE_RESET)
		write_queue_reset(dev, regs, val);
	else if (!regs->ready) /* else the driver must not change it (section 4.2.2.2) */
		write_setup(regs, off, val);
	return 0;
}

static int write_register(struct virtio *dev, uint64_t off, uint32_t val)
{
	/* A reset by one vCPU is over before another's write counts. */
	if (dev->resetting)
		return -EAGAIN;
	switch (off) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->device_features_sel = val;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_features(dev, val);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->driver_features_sel = val;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->queue_sel = val;
		break;
	case VIRTIO_MMIO_STATUS:
		return write_status(dev, val);
	default:
		return write_queue_register(dev, off, val);
	}
	return 0;
}

/* Any field, by accesses of its own size (section 4.2.2.2); behind the end it reads as zero. */
static int read_config(struct virtio *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	*val = 0;
	if (len > 4)
		return -EINVAL;
	if (off < dev->config_size)
		memcpy(val, (const uint8_t *)dev->config + off,
		       len < dev->config_size - off ? len : dev->config_size - off);
	return 0;
}

static int write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	if (len > 4)
		return -EINVAL;
	if (dev->ops->write_config && off + len <= dev->config_size)
		dev->ops->write_config(dev, off, len, val);
	return 0;
}

static int mmio_read(struct device *device, uint64_t off, unsigned int len, uint64_t *val)
{
	struct virtio *dev = from_device(device);
	int err = 0;

	/* The one that every interrupt handler reads: no lock. */
	if (off == VIRTIO_MMIO_INTERRUPT_STATUS && len == 4) {
		*val = atomic_load(&dev->interrupt_status);
		return 0;
	}
	if (off < VIRTIO_MMIO_CONFIG && len != 4)
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	if (off < VIRTIO_MMIO_CONFIG)
		*val = read_register(dev, off);
	else
		err = read_config(dev, off - VIRTIO_MMIO_CONFIG, len, val);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

/*
 * The driver has made something available in this queue: 0, or -EAGAIN if it has to wait until that is served. The
 * I/O thread sees a notification as no more than a call to look at all rings.
 */
static int notify(struct virtio *dev, uint64_t index)
{
	bool unserved;

	atomic_fetch_add_explicit(&dev->notifications, 1, memory_order_relaxed);
	io_wake(&dev->dev.vm->io);
	if (index >= dev->queue_count || !queue_waits(dev, index))
		return 0;
	pthread_mutex_lock(&dev->lock);
	unserved = queue_waits(dev, index) && virtq_has_work(&dev->queue[index].served);
	pthread_mutex_unlock(&dev->lock);
	return unserved ? -EAGAIN : 0;
}

static int mmio_write(struct device *device, uint64_t off, unsigned int len, uint64_t val)
{
	struct virtio *dev = from_device(device);
	int err;

	if (off < VIRTIO_MMIO_CONFIG && len != 4)
		return -EINVAL;
	/* The two of the hot path: no lock. */
	if (off == VIRTIO_MMIO_QUEUE_NOTIFY)
		return notify(dev, val);
	if (off == VIRTIO_MMIO_INTERRUPT_ACK) {
		acknowledge(dev, (uint32_t)val);
		return 0;
	}
	pthread_mutex_lock(&dev->lock);
	if (off < VIRTIO_MMIO_CONFIG)
		err = write_register(dev, off, (uint32_t)val);
	else
		err = write_config(dev, off - VIRTIO_MMIO_CONFIG, len, (uint32_t)val);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

static void mmio_reset(struct device *device)
{
	reset_now(from_device(device));
}

static int mmio_fdt(const struct device *device, void *fdt)
{
	int err = fdt_tree_begin(fdt, "virtio_mmio", device->base);

	err = err ?: fdt_tree_irq(fdt, device);
	err = err ?: fdt_tree_reg(fdt, device->base, device->size);
	err = err ?: fdt_property_string(fdt, "compatible", "virtio,mmio");
	return err ?: fdt_end_node(fdt);
}

/* Everything that virtio_init() made, but not dev itself. */
static void finish(struct virtio *dev)
{
	io_remove_poller(&dev->dev.vm->io, dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev->queue);
}

static void mmio_destroy(struct device *device)
{
	struct virtio *dev = from_device(device);

	stop_all(dev);
	finish(dev);
	dev->ops->destroy(dev);
}

static const struct device_ops mmio_ops = {
	.name = "virtio-mmio",
	.reset = mmio_reset,
	.read = mmio_read,
	.write = mmio_write,
	.hot_load = virtio_hot_load,
	.hot_store = virtio_hot_store,
	.fdt = mmio_fdt,
	.destroy = mmio_destroy,
};

/* The first slot of the board that is free; BOARD_VIRTIO_SLOTS if none is. */
static unsigned int free_slot(const struct vm *vm)
{
	unsigned int slot = 0;

	while (slot < BOARD_VIRTIO_SLOTS && bus_find(&vm->bus, BOARD_VIRTIO_BASE(slot), 1))
		slot++;
	return slot;
}

bool virtio_get_counters(const struct vm *vm, unsigned int slot, struct virtio_counters *counters)
{
	struct device *device =
		slot < BOARD_VIRTIO_SLOTS ? bus_find(&vm->bus, BOARD_VIRTIO_BASE(slot), 1) : NULL;
	const struct virtio *dev = device ? from_device(device) : NULL;

	if (!dev)
		return false;
	*counters = (struct virtio_counters){
		.name = dev->ops->name,
		.buffers = dev->buffers,
		.notifications = atomic_load_explicit(&dev->notifications, memory_order_relaxed),
		.interrupts = dev->interrupts,
	};
	return true;
}

int virtio_init(struct virtio *dev, struct vm *vm, const struct virtio_init *init)
{
	unsigned int slot = free_slot(vm);
	int err;

	if (slot == BOARD_VIRTIO_SLOTS)
		return -ENOSPC;
	dev->dev = (struct device){.ops = &mmio_ops,
				   .vm = vm,
				   .base = BOARD_VIRTIO_BASE(slot),
				   .size = BOARD_VIRTIO_SIZE,
				   .irq = BOARD_VIRTIO_IRQ(slot)};
	dev->ops = init->ops;
	dev->id = init->id;
	dev->features = init->features;
	dev->config = init->config;
	dev->config_size = init->config_size;
	dev->queue_count = init->queue_count;
	dev->queue = calloc(init->queue_count, sizeof(dev->queue[0]));
	if (!dev->queue)
		return -ENOMEM;
	pthread_mutex_init(&dev->lock, NULL);
	err = io_add_poller(&vm->io, &poller_ops, dev) ?: bus_add(&vm->bus, &dev->dev);
	if (err)
		finish(dev);
	return err;
}
