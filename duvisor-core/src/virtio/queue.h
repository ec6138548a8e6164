/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues as the device sees them (virtio 1.2, sections 2.6 to 2.8): functions over guest memory and a small
 * cursor, without a system call, a lock or an allocation. The guest is not trusted: it may write
 * to the rings at any time, so each descriptor is copied once, and only the copy is checked and used.
 */
#ifndef DUVISOR_VIRTIO_QUEUE_H
#define DUVISOR_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "memory.h"
#include "types.h"
#include "virtio/iov.h"

#define VIRTQ_MAX_SIZE 256     /* entries of a ring */
#define VIRTQ_MAX_SEGMENTS 256 /* descriptors of a chain, those in an indirect table included */

/* What the driver chose. The areas have their names of section 2.6; split rings call them
 * descriptor table, available ring, used ring. */
struct virtq_setup {
	gpa_t desc;
	gpa_t driver;
	gpa_t device;
	uint16_t size;
	bool packed;      /* VIRTIO_F_RING_PACKED */
	bool indirect;    /* VIRTIO_F_INDIRECT_DESC */
	bool event_index; /* VIRTIO_F_EVENT_IDX */
};

/* All members are private to queue.c. */
struct virtq {
	const struct memory *mem;
	struct virtq_setup setup;
	uint8_t *desc;
	uint8_t *driver;
	uint8_t *device;
	uint16_t next_avail; /* split: free-running; packed: slot */
	uint16_t next_used;
	bool avail_wrap; /* packed only */
	bool used_wrap;
	uint16_t unsignalled; /* used since virtq_should_signal() was asked last */
	bool notify_off; /* what the driver was told last; meaningless for split with event index */
};

/* One buffer: what the device may read in iov[0..out), what it may write in iov[out..out + in). */
struct virtq_chain {
	uint16_t id;    /* for virtq_push() */
	uint16_t slots; /* likewise */
	unsigned int out;
	unsigned int in;
	uint64_t out_len; /* bytes; both together are at most 4 GiB */
	uint64_t in_len;
	struct iovec iov[VIRTQ_MAX_SEGMENTS];
};

/* Its two halves, from their beginnings: what the device may read, and what it may write. */
static inline struct iov_cursor virtq_out(struct virtq_chain *chain)
{
	return (struct iov_cursor){.iov = chain->iov, .count = chain->out};
}

static inline struct iov_cursor virtq_in(struct virtq_chain *chain)
{
	return (struct iov_cursor){.iov = chain->iov + chain->out, .count = chain->in};
}

/*
 * Start a queue at its beginning. -EINVAL: the size is none that the format allows; -EFAULT: an area is misaligned or
 * not all of it is RAM. Writes nothing to guest memory.
 */
int virtq_start(struct virtq *vq, const struct memory *mem, const struct virtq_setup *setup);

/* Has the driver made a buffer available that virtq_pop() has not returned yet? */
bool virtq_has_work(const struct virtq *vq);

/*
 * Take the next buffer: 1, or 0 if there is none. A negative errno if the driver broke the rules; then the queue must
 * not be used any more: -EPROTO bad ring index or flags, -ELOOP chain too long, -EFAULT not RAM, -E2BIG over 4 GiB.
 */
int virtq_pop(struct virtq *vq, struct virtq_chain *chain);

/* All of the ring has been taken and not been given back: the driver can add nothing. */
bool virtq_is_with_device(const struct virtq *vq);

/* Undo the last virtq_pop(), which must have returned this chain with nothing pushed or popped since. */
void virtq_unpop(struct virtq *vq, const struct virtq_chain *chain);

/* Give a buffer back, in any order, with its first `written` device-writable bytes written. */
void virtq_push(struct virtq *vq, uint16_t id, uint16_t slots, uint32_t written);

/* Does the driver want an interrupt for what was pushed since this was asked last? */
bool virtq_should_signal(struct virtq *vq);

/* Tell the driver that it need not notify; a hint only. */
void virtq_notify_off(struct virtq *vq);
/* Ask for a notification of the next buffer. True: one is there already, and there may be none for it. */
bool virtq_notify_on(struct virtq *vq);

#endif
