/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entropy device (virtio 1.2, section 5.4): the host's random numbers. */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dev/board.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"

/* What the kernel gives without being interrupted by a signal (getrandom(2)). */
#define CHUNK 256U
/* Per request: a driver that wants more asks again, and others get their turn. */
#define MAX_LENGTH 4096U

static uint32_t fill(struct iov_cursor *in)
{
	uint8_t bytes[CHUNK];
	uint32_t done = 0;
	size_t left;

	while (done < MAX_LENGTH && (left = iov_left(in))) {
		size_t want = left < sizeof(bytes) ? left : sizeof(bytes);

		/* Cannot happen once the host is up; the guest takes what it got. */
		if (getrandom(bytes, want, GRND_NONBLOCK) != (ssize_t)want)
			break;
		done += (uint32_t)iov_write(in, bytes, want);
	}
	return done;
}

static void rng_kick(struct virtio *dev, unsigned int index)
{
	struct virtq_chain chain;

	while (virtio_pop(dev, index, &chain)) {
		struct iov_cursor in = virtq_in(&chain);

		virtio_push(dev, index, chain.id, chain.slots, fill(&in));
	}
	virtio_signal(dev, index);
}

static void rng_destroy(struct virtio *dev)
{
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.kick = rng_kick,
	.destroy = rng_destroy,
};

int virtio_rng_create(struct vm *vm)
{
	const struct virtio_init init = {.ops = &rng_ops, .id = VIRTIO_ID_RNG, .queue_count = 1};
	struct virtio *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	err = virtio_init(dev, vm, &init);
	if (err)
		free(dev);
	return err;
}
