/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balloon (virtio 1.2, section 5.5), which gives memory back to the host: what the guest reports as free, what it hints at, and
 * what it is asked to give up. The pages stay the guest's in stage 2; the host takes what is behind them, and the
 * next touch brings zeroes, by an ordinary page fault of the process.
 *
 * A driver may use a page again as soon as it has hinted at it (section 5.5.6.5), and Linux does so when memory is short. What it writes
 * then must not be lost, and whether it has written cannot be seen here. But Linux can reach the page again only after
 * its notification has returned, so that waits until the page is the host's (virtio_wait_for()).
 */
#include "virtio/balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "dev/board.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

/*
 * What queues there can be, in this order (section 5.5.2). Drivers count only those whose feature they have accepted, which
 * is the same as the section's fixed numbers for one that has accepted all.
 */
enum queue { INFLATE, DEFLATE, STATISTICS, HINTS, REPORTS, QUEUES };

#define ALWAYS (-1)

static const int feature_of[] = {
	[INFLATE] = ALWAYS,
	[DEFLATE] = ALWAYS,
	[STATISTICS] = VIRTIO_BALLOON_F_STATS_VQ,
	[HINTS] = VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	[REPORTS] = VIRTIO_BALLOON_F_REPORTING,
};

#define PFN_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define PAGE_SIZE (1ULL << PFN_SHIFT)
#define PFNS_AT_A_TIME 256

/* The statistics that are of use here are those with the first numbers (section 5.5.6.3). */
#define STATS (VIRTIO_BALLOON_S_CACHES + 1)
#define STATS_AT_MOST 64

struct balloon {
	struct virtio virtio;
	struct virtio_balloon_config config; /* protected by virtio.lock */
	uint32_t command;                    /* the last id of a hinting run */
	enum balloon_hinting hinting;
	uint64_t reported;
	uint64_t hinted;
	bool stats_held; /* this buffer of the statistics queue, which asks for new ones when it is used */
	uint16_t stats_id;
	uint16_t stats_slots;
	uint64_t stats_at; /* when they came, in ns; 0: never */
	uint64_t stats[STATS];
	struct virtq_chain chain;
};

static struct balloon *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct balloon, virtio);
}

static bool has_queue(const struct balloon *balloon, enum queue queue)
{
	return feature_of[queue] == ALWAYS ||
		virtio_has(&balloon->virtio, (unsigned int)feature_of[queue]);
}

/* The number of a queue that this driver has. */
static unsigned int index_of(const struct balloon *balloon, enum queue queue)
{
	unsigned int index = 0;

	for (enum queue before = INFLATE; before < queue; before++)
		index += has_queue(balloon, before);
	return index;
}

/* Which queue has this number; QUEUES: none of this driver's. */
static enum queue queue_at(const struct balloon *balloon, unsigned int index)
{
	enum queue queue = INFLATE;

	while (queue < QUEUES && (!has_queue(balloon, queue) || index_of(balloon, queue) != index))
		queue++;
	return queue;
}

/* How many bytes went back. Memory that is locked stays: the user wanted it to be there. */
static uint64_t give_back(const struct balloon *balloon, void *hva, size_t len)
{
	uintptr_t start = ((uintptr_t)hva + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	uintptr_t end = ((uintptr_t)hva + len) & ~(PAGE_SIZE - 1);

	if (balloon->virtio.dev.vm->config->prealloc || start >= end ||
	    madvise((void *)start, end - start, MADV_DONTNEED))
		return 0;
	return end - start;
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

/* The buffers are the free pages themselves (sections 5.5.6.5 and 5.5.6.7). */
static uint64_t give_back_buffers(const struct balloon *balloon)
{
	const struct virtq_chain *chain = &balloon->chain;
	uint64_t given = 0;

	for (unsigned int i = chain->out; i < chain->out + chain->in; i++)
		given += give_back(balloon, chain->iov[i].iov_base, chain->iov[i].iov_len);
	return given;
}

/* Tell the driver which run of hinting counts, or that none does. */
static void set_command(struct balloon *balloon, uint32_t command)
{
	pthread_mutex_lock(&balloon->virtio.lock);
	balloon->config.free_page_hint_cmd_id = command;
	pthread_mutex_unlock(&balloon->virtio.lock);
	virtio_config_changed(&balloon->virtio);
}

/* The driver begins the run of this id, or ends it; any other run is none of ours any more. */
static void hear_command(struct balloon *balloon, uint32_t command)
{
	if (balloon->hinting != BALLOON_HINTING_ASKED &&
	    balloon->hinting != BALLOON_HINTING_RUNNING)
		return;
	if (command == balloon->command) {
		balloon->hinting = BALLOON_HINTING_RUNNING;
	} else if (command == VIRTIO_BALLOON_CMD_ID_STOP &&
		   balloon->hinting == BALLOON_HINTING_RUNNING) {
		balloon->hinting = BALLOON_HINTING_DONE;
		set_command(balloon, VIRTIO_BALLOON_CMD_ID_DONE);
	} else {
		balloon->hinting = BALLOON_HINTING_ASKED;
	}
}

static void take_hint(struct balloon *balloon)
{
	struct iov_cursor out = virtq_out(&balloon->chain);
	uint32_t command;

	if (balloon->chain.out_len == sizeof(command) &&
	    iov_read(&out, &command, sizeof(command)) == sizeof(command))
		hear_command(balloon, command);
	if (balloon->hinting == BALLOON_HINTING_RUNNING)
		balloon->hinted += give_back_buffers(balloon);
}

/* Use the buffer that was held: the driver fills another one (section 5.5.6.3). */
static void ask_for_statistics(struct balloon *balloon)
{
	unsigned int index = index_of(balloon, STATISTICS);

	if (!balloon->stats_held)
		return;
	balloon->stats_held = false;
	virtio_push(&balloon->virtio, index, balloon->stats_id, balloon->stats_slots, 0);
	virtio_signal(&balloon->virtio, index);
}

static void take_statistics(struct balloon *balloon)
{
	struct iov_cursor out = virtq_out(&balloon->chain);
	struct virtio_balloon_stat stat;

	for (int i = 0; i < STATS_AT_MOST; i++) {
		if (iov_read(&out, &stat, sizeof(stat)) != sizeof(stat))
			break;
		if (stat.tag < STATS)
			balloon->stats[stat.tag] = stat.val;
	}
	balloon->stats_at = clock_ns(CLOCK_MONOTONIC);
	/* There should be no other one. */
	ask_for_statistics(balloon);
	balloon->stats_held = true;
	balloon->stats_id = balloon->chain.id;
	balloon->stats_slots = balloon->chain.slots;
}

/* Do what the buffer of this queue asks for. True: it stays with us. */
static bool serve(struct balloon *balloon, enum queue queue)
{
	switch (queue) {
	case INFLATE:
		inflate(balloon);
		break;
	case STATISTICS:
		take_statistics(balloon);
		return true;
	case HINTS:
		take_hint(balloon);
		break;
	case REPORTS:
		balloon->reported += give_back_buffers(balloon);
		break;
	default:
		break; /* pages that the guest takes back come by themselves */
	}
	return false;
}

static void balloon_kick(struct virtio *dev, unsigned int index)
{
	struct balloon *balloon = from_virtio(dev);
	enum queue queue = queue_at(balloon, index);

	/* As many as fit into a ring; then others have their turn. */
	for (int i = 0; i < VIRTQ_MAX_SIZE && virtio_pop(dev, index, &balloon->chain); i++)
		if (!serve(balloon, queue))
			virtio_push(dev, index, balloon->chain.id, balloon->chain.slots, 0);
	virtio_signal(dev, index);
}

static void balloon_start(struct virtio *dev)
{
	struct balloon *balloon = from_virtio(dev);

	if (has_queue(balloon, HINTS))
		virtio_wait_for(dev, index_of(balloon, HINTS));
}

static void balloon_stop_queue(struct virtio *dev, unsigned int index)
{
	struct balloon *balloon = from_virtio(dev);

	switch (queue_at(balloon, index)) {
	case STATISTICS:
		balloon->stats_held = false;
		break;
	case HINTS:
		balloon->hinting = BALLOON_HINTING_NONE;
		break;
	default:
		break;
	}
}

/* Only `actual` is the driver's. */
static void balloon_write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	if (off == offsetof(struct virtio_balloon_config, actual) && len == sizeof(val))
		from_virtio(dev)->config.actual = val;
}

static void balloon_reset(struct virtio *dev)
{
	struct balloon *balloon = from_virtio(dev);

	balloon->stats_at = 0;
	balloon->hinting = BALLOON_HINTING_NONE;
	pthread_mutex_lock(&dev->lock);
	balloon->config.actual = 0;
	balloon->config.free_page_hint_cmd_id = VIRTIO_BALLOON_CMD_ID_STOP;
	pthread_mutex_unlock(&dev->lock);
}

static void balloon_destroy(struct virtio *dev)
{
	dev->dev.vm->balloon = NULL;
	free(from_virtio(dev));
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.start = balloon_start,
	.stop_queue = balloon_stop_queue,
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
					    1ULL << VIRTIO_BALLOON_F_STATS_VQ |
					    1ULL << VIRTIO_BALLOON_F_FREE_PAGE_HINT |
					    1ULL << VIRTIO_BALLOON_F_REPORTING,
				    .config = &balloon->config,
				    .config_size = sizeof(balloon->config),
				    .queue_count = QUEUES};
	err = virtio_init(&balloon->virtio, vm, &init);
	if (err)
		free(balloon);
	else
		vm->balloon = balloon;
	return err;
}

/* --- what the user asks for --- */

bool balloon_get_status(struct vm *vm, struct balloon_status *status)
{
	struct balloon *balloon = vm->balloon;

	if (!balloon)
		return false;
	*status = (struct balloon_status){
		.reported = balloon->reported,
		.hinted = balloon->hinted,
		.hinting = balloon->hinting,
		.has_guest = balloon->stats_at,
		.guest_total = balloon->stats[VIRTIO_BALLOON_S_MEMTOT],
		.guest_free = balloon->stats[VIRTIO_BALLOON_S_MEMFREE],
		.guest_available = balloon->stats[VIRTIO_BALLOON_S_AVAIL],
		.guest_caches = balloon->stats[VIRTIO_BALLOON_S_CACHES],
		.guest_age_ms = (clock_ns(CLOCK_MONOTONIC) - balloon->stats_at) / 1000000,
	};
	pthread_mutex_lock(&balloon->virtio.lock);
	status->target = (uint64_t)balloon->config.num_pages << PFN_SHIFT;
	status->actual = (uint64_t)balloon->config.actual << PFN_SHIFT;
	pthread_mutex_unlock(&balloon->virtio.lock);
	ask_for_statistics(balloon);
	return true;
}

int balloon_set_target(struct vm *vm, uint64_t size)
{
	struct balloon *balloon = vm->balloon;

	if (!balloon)
		return -ENODEV;
	if (size >= vm->mem.size)
		return -ERANGE;
	pthread_mutex_lock(&balloon->virtio.lock);
	balloon->config.num_pages = (uint32_t)(size >> PFN_SHIFT);
	pthread_mutex_unlock(&balloon->virtio.lock);
	virtio_config_changed(&balloon->virtio);
	return 0;
}

int balloon_start_hinting(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (!balloon)
		return -ENODEV;
	if (vm->config->prealloc)
		return -EPERM;
	if (!has_queue(balloon, HINTS) || !balloon->virtio.queue[index_of(balloon, HINTS)].active)
		return -ENOTCONN;
	/* Each run has an id of its own, none that is reserved. */
	if (++balloon->command <= VIRTIO_BALLOON_CMD_ID_DONE)
		balloon->command = VIRTIO_BALLOON_CMD_ID_DONE + 1;
	balloon->hinting = BALLOON_HINTING_ASKED;
	set_command(balloon, balloon->command);
	return 0;
}
