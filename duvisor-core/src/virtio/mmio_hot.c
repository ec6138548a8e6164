/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three registers that a virtio driver uses while its device is busy (virtio 1.2, section 4.2.2). */
#include <linux/virtio_mmio.h>

#include "irqchip.h"
#include "virtio/virtio.h"
#include "vm.h"

hot_value virtio_hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	struct virtio *virtio = container_of(dev, struct virtio, dev);

	if (off != VIRTIO_MMIO_INTERRUPT_STATUS || len != 4)
		return HOT_DECLINED;
	return atomic_load_explicit(&virtio->interrupt_status, memory_order_acquire);
}

/*
 * As acknowledge() in mmio.c. The controller is kept over both steps: who raises the line again does so after the status is
 * what it will be, and looks once more then (update_line()).
 */
static inline uint64_t acknowledge(struct virtio *dev, uint32_t bits)
{
	struct irqchip *chip = irqchip_hot_enter(dev->dev.vm->irqchip);
	uint64_t declined = 0;

	if (!chip)
		return 1;
	if (!(atomic_load(&dev->interrupt_status) & ~bits))
		declined = chip->hot_line(chip, dev->dev.irq, false);
	if (!declined)
		atomic_fetch_and(&dev->interrupt_status, ~bits);
	hot_leave(&chip->lock);
	return declined;
}

/* As notify() in mmio.c, if nobody is to be woken or waited for. */
static inline uint64_t notify(struct virtio *dev, uint32_t index)
{
	if (index < dev->queue_count &&
	    atomic_load_explicit(&dev->queue[index].waits, memory_order_relaxed))
		return 1;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&dev->dev.vm->io.sleeping, memory_order_relaxed))
		return 1;
	atomic_fetch_add_explicit(&dev->notifications, 1, memory_order_relaxed);
	return 0;
}

uint64_t virtio_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct virtio *virtio = container_of(dev, struct virtio, dev);

	if (len != 4)
		return 1;
	if (off == VIRTIO_MMIO_QUEUE_NOTIFY)
		return notify(virtio, (uint32_t)val);
	if (off == VIRTIO_MMIO_INTERRUPT_ACK)
		return acknowledge(virtio, (uint32_t)val);
	return 1;
}
