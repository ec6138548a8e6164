/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rx_buffers.h"

#include <string.h>

bool rx_buffers_have_room(const struct rx_buffers *rx)
{
	return rx->count < VIRTQ_MAX_SIZE && rx->pieces + VIRTQ_MAX_SEGMENTS <= RX_MAX_PIECES;
}

void rx_buffers_add(struct rx_buffers *rx, const struct virtq_chain *chain)
{
	memcpy(&rx->iov[rx->pieces], &chain->iov[chain->out], chain->in * sizeof(rx->iov[0]));
	rx->buffer[rx->count++] = (struct rx_buffer){
		.id = chain->id, .slots = chain->slots, .pieces = chain->in, .len = chain->in_len};
	rx->pieces += chain->in;
	rx->room += chain->in_len;
}

unsigned int rx_buffers_needed(const struct rx_buffers *rx, size_t len)
{
	unsigned int count = 0;

	for (size_t sum = 0; sum < len; count++)
		sum += rx->buffer[count].len;
	return count;
}

unsigned int rx_buffers_pieces(const struct rx_buffers *rx, size_t len, size_t *room)
{
	unsigned int count = 0;

	for (*room = 0; *room < len && count < rx->pieces; count++)
		*room += rx->iov[count].iov_len;
	return count;
}

void rx_buffers_drop(struct rx_buffers *rx, unsigned int count)
{
	unsigned int pieces = 0;

	for (unsigned int i = 0; i < count; i++) {
		pieces += rx->buffer[i].pieces;
		rx->room -= rx->buffer[i].len;
	}
	rx->count -= count;
	rx->pieces -= pieces;
	memmove(rx->buffer, &rx->buffer[count], rx->count * sizeof(rx->buffer[0]));
	memmove(rx->iov, &rx->iov[pieces], rx->pieces * sizeof(rx->iov[0]));
}
