/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtio device is: a constant table of operations below the MMIO transport (virtio 1.2, section 4.2). A device is
 * one file that embeds struct virtio as its first member, and one row in dev/devices.c.
 *
 * Threads: vCPU threads only reach the transport's registers (and `config`). Rings, and all operations but
 * write_config, belong to the I/O thread, so a device needs no lock of its own.
 */
#ifndef DUVISOR_VIRTIO_H
#define DUVISOR_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "device.h"
#include "virtio/queue.h"

struct virtio;

struct virtio_ops {
	const char *name;

	/* The driver has set DRIVER_OK, or a reset queue is ready again: queues may be used. May be NULL. */
	void (*start)(struct virtio *dev);

	/*
	 * Stop using the queue: when this returns, nothing of the guest's memory that came from it is read or written
	 * any more. May wait for the host. The queue's state is lost afterwards. May be NULL.
	 */
	void (*stop_queue)(struct virtio *dev, unsigned int index);

	/* The driver has made buffers available in queue index, which is wanted. */
	void (*kick)(struct virtio *dev, unsigned int index);

	/* Other work, of the device's own, that shows in memory. True: there was some. May be NULL. */
	bool (*poll)(struct virtio *dev);

	/*
	 * The driver has written len (1, 2, 4) bytes of the configuration space at off; on a vCPU's thread, with
	 * dev->lock held. May be NULL: nothing can be written.
	 */
	void (*write_config)(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val);

	/* Back to power-on, queues already stopped. May be NULL. */
	void (*reset)(struct virtio *dev);

	/* Give back the device's own parts and the memory that contains dev; queues already stopped. */
	void (*destroy)(struct virtio *dev);
};

/* What the driver has written to the transport for one queue. */
struct virtio_queue_regs {
	uint32_t num;
	uint64_t desc;
	uint64_t driver;
	uint64_t device;
	bool ready;
	bool resetting; /* QueueReset was written and has not been done yet */
};

struct virtio_queue {
	struct virtq vq;
	bool active; /* vq is valid */
	bool wanted; /* call kick when there is something; the device may clear it */
	struct virtio_queue_regs regs; /* protected by dev->lock */
	_Atomic bool waits;            /* see virtio_wait_for(); written under dev->lock */
	struct virtq served;           /* vq when all before it had been served; likewise */
};

struct virtio {
	struct device dev;
	const struct virtio_ops *ops;
	uint32_t id;       /* virtio 1.2, section 5 */
	uint64_t features; /* offered by the device, those of the rings not included */
	uint64_t accepted; /* by the driver; constant while started */
	const void *config;
	unsigned int config_size;
	unsigned int queue_count;
	struct virtio_queue *queue;
	bool started; /* I/O thread */

	/* struct virtio_counters; the first two are the I/O thread's. */
	uint64_t buffers;
	uint64_t interrupts;
	_Atomic uint64_t notifications;

	_Atomic uint32_t interrupt_status;
	_Atomic uint32_t changed; /* the I/O thread must look at the registers */

	pthread_mutex_t
		lock; /* protects the queues' regs and what follows, and what config points to */
	uint32_t status;
	bool resetting; /* 0 was written to status and has not been done yet */
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	uint64_t driver_features;
	uint32_t generation;
};

/* What a device gives to virtio_init(). */
struct virtio_init {
	const struct virtio_ops *ops;
	uint32_t id;
	uint64_t features;
	const void *config; /* must live as long as the device */
	unsigned int config_size;
	unsigned int queue_count;
};

/*
 * Make dev the next virtio device of the board and put it on the bus. 0; -ENOMEM; -ENOSPC: the board has no slot left.
 * After an error the caller still owns dev; after success the bus does, and ends with ops->destroy.
 */
int virtio_init(struct virtio *dev, struct vm *vm, const struct virtio_init *init);

/* Registers of any such device, for vCPUs (hot.h). */
hot_load_fn virtio_hot_load;
hot_store_fn virtio_hot_store;

/* All that follows: the I/O thread. */

/* What a device has done since the VM began, resets included. */
struct virtio_counters {
	const char *name;       /* the kind of device */
	uint64_t buffers;       /* requests, frames... given back to the driver */
	uint64_t notifications; /* by the driver: exits */
	uint64_t interrupts;
};

/* False: there is no device in this slot of the board. */
bool virtio_get_counters(const struct vm *vm, unsigned int slot, struct virtio_counters *counters);

static inline bool virtio_has(const struct virtio *dev, unsigned int feature)
{
	return dev->accepted >> feature & 1;
}

/*
 * The next buffer of an active queue. False: there is none, or the driver broke the rules; then the device
 * is marked DEVICE_NEEDS_RESET (section 2.1.1) and all its queues are inactive.
 */
bool virtio_pop(struct virtio *dev, unsigned int index, struct virtq_chain *chain);

/* The device saw a request that it cannot go on from: mark it as virtio_pop() does. */
void virtio_fail(struct virtio *dev, const char *why);

/* Give a buffer back (nothing happens if the queue is not active any more), and interrupt if the driver asked for it. */
void virtio_push(struct virtio *dev, unsigned int index, uint16_t id, uint16_t slots,
		 uint32_t written);
void virtio_signal(struct virtio *dev, unsigned int index);

/*
 * From now on until this active queue stops, a notification of it returns to the guest only when all that was made
 * available before has been served by ops->kick, and the driver is never told that it need not notify.
 */
void virtio_wait_for(struct virtio *dev, unsigned int index);

/* The configuration space has changed; the caller does not hold dev->lock and has changed it under the lock. */
void virtio_config_changed(struct virtio *dev);

#endif
