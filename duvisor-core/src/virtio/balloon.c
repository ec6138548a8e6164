/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balloon (virtio 1.2, section 5.5), which gives memory back to the host: what the guest reports as free, what it hints at, and
 * what it is asked to give up. The pages stay the guest's in stage 2; the host takes what is behind them, and the
 * next touch brings zeroes, by an ordinary page fault of the process.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/board.h"
#include "log.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

/* Section 5.5.2: with neither statistics nor hinting offered, reporting follows the first two. */
#define INFLATE 0
#define DEFLATE 1
#define REPORTING 2

#define PFN_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define PAGE_SIZE (1ULL << PFN_SHIFT)
#define PFNS_AT_A_TIME 256

struct balloon {
	struct virtio virtio;
	struct virtio_balloon_config config;
	struct virtq_chain chain;
};

static struct balloon *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct balloon, virtio);
}

/* Memory that is locked stays: the user wanted it to be there. */
static void give_back(const struct balloon *balloon, void *hva, size_t len)
{
	uintptr_t start = ((uintptr_t)hva + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	uintptr_t end = ((uintptr_t)hva + len) & ~(PAGE_SIZE - 1);

	if (!balloon->virtio.dev.vm->config->prealloc && start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

/* What the guest names can be anything: only RAM is touched. */
static void give_back_frames(const struct balloon *balloon, const uint32_t *pfn, size_t count)
{
	const struct memory *mem = &balloon->virtio.dev.vm->mem;

	for (size_t i = 0; i < count;) {
		size_t run = 1;
		void *hva;

		/* Neighbours in one call. */
		while (i + run < count && pfn[i + run] == pfn[i] + run)
			run++;
		hva = memory_at(mem, (gpa_t)pfn[i] << PFN_SHIFT, run * PAGE_SIZE);
		if (hva)
			give_back(balloon, hva, run * PAGE_SIZE);
		i += run;
	}
}

static void inflate(struct balloon *balloon)
{
	struct iov_cursor out = virtq_out(&balloon->chain);
	uint32_t pfn[PFNS_AT_A_TIME];
	size_t n;

	while ((n = iov_read(&out, pfn, sizeof(pfn))))
		give_back_frames(balloon, pfn, n / sizeof(pfn[0]));
}

/* Section 5.5.6.7: the buffers are the free pages themselves. */
static void report(struct balloon *balloon)
{
	const struct virtq_chain *chain = &balloon->chain;

	for (unsigned int i = chain->out; i < chain->out + chain->in; i++)
		give_back(balloon, chain->iov[i].iov_base, chain->iov[i].iov_len);
}

static void balloon_kick(struct virtio *dev, unsigned int index)
{
	struct balloon *balloon = from_virtio(dev);

	while (virtio_pop(dev, index, &balloon->chain)) {
		if (index == INFLATE)
			inflate(balloon);
		else if (index == REPORTING)
			report(balloon);
		/* Pages that the guest takes back come by themselves. */
		virtio_push(dev, index, balloon->chain.id, balloon->chain.slots, 0);
	}
	virtio_signal(dev, index);
}

/* Only `actual` is the driver's. */
static void balloon_write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	if (off == offsetof(struct virtio_balloon_config, actual) && len == sizeof(val))
		from_virtio(dev)->config.actual = val;
}

static void balloon_reset(struct virtio *dev)
{
	from_virtio(dev)->config.actual = 0;
}

static void balloon_destroy(struct virtio *dev)
{
	free(from_virtio(dev));
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.kick = balloon_kick,
	.write_config = balloon_write_config,
	.reset = balloon_reset,
	.destroy = balloon_destroy,
};

int virtio_balloon_create(struct vm *vm)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	struct virtio_init init;
	int err;

	if (!balloon)
		return -ENOMEM;
	balloon->config.num_pages = (uint32_t)(vm->config->balloon_size >> PFN_SHIFT);
	init = (struct virtio_init){.ops = &balloon_ops,
				    .id = VIRTIO_ID_BALLOON,
				    .features = 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
					    1ULL << VIRTIO_BALLOON_F_REPORTING,
				    .config = &balloon->config,
				    .config_size = sizeof(balloon->config),
				    .queue_count = 3};
	err = virtio_init(&balloon->virtio, vm, &init);
	if (err)
		free(balloon);
	return err;
}
