/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive buffers of a network device (virtio 1.2, section 5.1.6.3), taken from the ring before a frame is there: it
 * is read straight into them. They are used in the order in which they were added. The I/O thread only.
 */
#ifndef DUVISOR_VIRTIO_RX_BUFFERS_H
#define DUVISOR_VIRTIO_RX_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/queue.h"

/* Two chains of the most pieces. A frame of the greatest length needs some twenty pieces of Linux's. */
#define RX_MAX_PIECES (2 * VIRTQ_MAX_SEGMENTS)

struct rx_buffer {
	uint16_t id; /* these two for virtio_push() */
	uint16_t slots;
	unsigned int pieces;
	size_t len; /* bytes */
};

/* All zero: empty. To be read outside of rx_buffers.c. */
struct rx_buffers {
	unsigned int count;
	unsigned int pieces;
	size_t room; /* bytes in all */
	struct rx_buffer buffer[VIRTQ_MAX_SIZE];
	struct iovec iov[RX_MAX_PIECES + 1]; /* the pieces of all, and one for the caller */
};

/* Whether a chain of any shape can be added. */
bool rx_buffers_have_room(const struct rx_buffers *rx);

/* What the device may write of a chain, at the end. */
void rx_buffers_add(struct rx_buffers *rx, const struct virtq_chain *chain);

/* How many of the first buffers len bytes fill; len is at most the room. */
unsigned int rx_buffers_needed(const struct rx_buffers *rx, size_t len);

/* How many of the first pieces len bytes fill, or all if that is more than the room; the bytes in them in *room. */
unsigned int rx_buffers_pieces(const struct rx_buffers *rx, size_t len, size_t *room);

/* Forget the first count buffers. */
void rx_buffers_drop(struct rx_buffers *rx, unsigned int count);

#endif
