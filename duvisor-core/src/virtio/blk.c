/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The block device (virtio 1.2, section 5.2) on a disk image. */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "affinity.h"
#include "dev/board.h"
#include "disk.h"
#include "log.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

#define DEPTH 128 /* requests at a time, over all queues */
#define MAX_QUEUES 8U
#define MAX_ZERO_SECTORS (1U << 21) /* 1 GiB per request: an end in sight */

/* Header and status take a descriptor each. */
#define SEG_MAX (VIRTQ_MAX_SEGMENTS - 2)

/* The largest that the fields of the geometry can say, for those who still look at it. */
#define HEADS 255U
#define SECTORS 63U
#define MAX_CYLINDERS 65535U

struct blk_request {
	struct disk_request disk;
	struct blk *blk;
	struct blk_request *next_free;
	unsigned int queue;
	uint8_t *status;
	struct virtq_chain chain;
};

struct blk {
	struct virtio virtio;
	struct virtio_blk_config config;
	struct disk disk;
	char serial[VIRTIO_BLK_ID_BYTES];
	struct blk_request *free;
	uint32_t finished; /* queues with requests finished since they were signalled */
	struct blk_request request[DEPTH];
};

static struct blk *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct blk, virtio);
}

static void set_wanted(struct blk *blk, bool wanted)
{
	for (unsigned int i = 0; i < blk->virtio.queue_count; i++)
		blk->virtio.queue[i].wanted = wanted;
}

static struct blk_request *get_request(struct blk *blk)
{
	struct blk_request *request = blk->free;

	if (request)
		blk->free = request->next_free;
	return request;
}

static void put_request(struct blk *blk, struct blk_request *request)
{
	request->next_free = blk->free;
	blk->free = request;
}

static void complete(struct blk_request *request, uint8_t status)
{
	struct blk *blk = request->blk;

	*request->status = status;
	virtio_push(&blk->virtio, request->queue, request->chain.id, request->chain.slots,
		    (uint32_t)request->chain.in_len);
	blk->finished |= 1U << request->queue;
	put_request(blk, request);
}

static void disk_done(struct disk_request *disk, int result)
{
	struct blk_request *request = container_of(disk, struct blk_request, disk);

	complete(request, result ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

static void signal_finished(struct blk *blk)
{
	for (unsigned int i = 0; blk->finished; i++, blk->finished >>= 1)
		if (blk->finished & 1)
			virtio_signal(&blk->virtio, i);
}

static bool in_range(const struct blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t capacity = blk->disk.size / DISK_SECTOR;

	return !(len % DISK_SECTOR) && sector <= capacity && len / DISK_SECTOR <= capacity - sector;
}

/* Section 5.2.6.2: without a way to flush, and when the driver asks for it, writes are durable when done. */
static enum disk_op write_op(const struct blk *blk)
{
	bool cached = virtio_has(&blk->virtio, VIRTIO_BLK_F_CONFIG_WCE)
		? __atomic_load_n(&blk->config.wce, __ATOMIC_RELAXED)
		: virtio_has(&blk->virtio, VIRTIO_BLK_F_FLUSH);

	return cached ? DISK_WRITE : DISK_WRITE_DURABLE;
}

static void submit(struct blk_request *request, enum disk_op op, uint64_t sector, uint64_t len)
{
	request->disk.op = op;
	request->disk.offset = sector * DISK_SECTOR;
	request->disk.len = len;
	request->disk.done = disk_done;
	disk_submit(&request->blk->disk, &request->disk);
}

static void start_transfer(struct blk_request *request, enum disk_op op, uint64_t sector,
			   const struct iov_cursor *data)
{
	uint64_t len = iov_left(data);

	if (!in_range(request->blk, sector, len) ||
	    (op != DISK_READ && request->blk->disk.read_only)) {
		complete(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (!len) {
		complete(request, VIRTIO_BLK_S_OK);
		return;
	}
	request->disk.iov = data->iov;
	request->disk.iov_count = data->count;
	submit(request, op, sector, len);
}

static void start_zeroing(struct blk_request *request, uint32_t type, struct iov_cursor *data)
{
	struct virtio_blk_discard_write_zeroes seg;
	bool zeroes = type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint32_t known = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	enum disk_op op = DISK_DISCARD;
	uint64_t len;

	/* One segment, as the configuration says; unknown flags are refused (section 5.2.6.2). */
	if (iov_read(data, &seg, sizeof(seg)) != sizeof(seg) || iov_left(data) ||
	    seg.flags & ~known) {
		complete(request, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	len = (uint64_t)seg.num_sectors * DISK_SECTOR;
	if (!in_range(request->blk, seg.sector, len) || seg.num_sectors > MAX_ZERO_SECTORS ||
	    request->blk->disk.read_only) {
		complete(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (!len) {
		complete(request, VIRTIO_BLK_S_OK);
		return;
	}
	if (zeroes)
		op = seg.flags ? DISK_UNMAP_ZEROES : DISK_WRITE_ZEROES;
	submit(request, op, seg.sector, len);
}

static void give_id(struct blk_request *request, struct iov_cursor *in)
{
	iov_write(in, request->blk->serial, sizeof(request->blk->serial));
	complete(request, VIRTIO_BLK_S_OK);
}

static void dispatch(struct blk_request *request, const struct virtio_blk_outhdr *header,
		     struct iov_cursor *out, struct iov_cursor *in)
{
	switch (header->type) {
	case VIRTIO_BLK_T_IN:
		start_transfer(request, DISK_READ, header->sector, in);
		break;
	case VIRTIO_BLK_T_OUT:
		start_transfer(request, write_op(request->blk), header->sector, out);
		break;
	case VIRTIO_BLK_T_FLUSH:
		submit(request, DISK_FLUSH, 0, 0);
		break;
	case VIRTIO_BLK_T_GET_ID:
		give_id(request, in);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		start_zeroing(request, header->type, out);
		break;
	default:
		complete(request, VIRTIO_BLK_S_UNSUPP);
	}
}

/* Framing is free (section 2.6.4): header and status may share descriptors with data. False: not even that. */
static bool start_request(struct blk_request *request)
{
	struct virtq_chain *chain = &request->chain;
	struct iov_cursor out = virtq_out(chain);
	struct iov_cursor in = virtq_in(chain);
	struct virtio_blk_outhdr header;

	request->status = iov_take_last_byte(&in);
	if (!request->status || iov_read(&out, &header, sizeof(header)) != sizeof(header))
		return false;
	dispatch(request, &header, &out, &in);
	return true;
}

static void blk_kick(struct virtio *dev, unsigned int index)
{
	struct blk *blk = from_virtio(dev);
	struct blk_request *request;

	/* Some are done when they have been started: others want their turn. */
	for (unsigned int i = 0; i < DEPTH && (request = get_request(blk)); i++) {
		if (!virtio_pop(dev, index, &request->chain)) {
			put_request(blk, request);
			break;
		}
		request->queue = index;
		if (!start_request(request)) {
			put_request(blk, request);
			virtio_fail(dev, "a disk request without header or status");
			break;
		}
	}
	/* Later: see blk_poll(). */
	if (!blk->free)
		set_wanted(blk, false);
	disk_commit(&blk->disk);
	signal_finished(blk);
}

static bool blk_poll(struct virtio *dev)
{
	struct blk *blk = from_virtio(dev);

	if (!disk_reap(&blk->disk))
		return false;
	signal_finished(blk);
	set_wanted(blk, true);
	return true;
}

static void blk_stop_queue(struct virtio *dev, unsigned int index)
{
	struct blk *blk = from_virtio(dev);

	(void)index;
	disk_drain(&blk->disk);
	signal_finished(blk);
	set_wanted(blk, true);
}

/* Section 5.2.5: only writeback can be written. */
static void blk_write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	struct blk *blk = from_virtio(dev);

	if (off == offsetof(struct virtio_blk_config, wce) && len == 1)
		__atomic_store_n(&blk->config.wce, val & 1, __ATOMIC_RELAXED);
}

static void blk_reset(struct virtio *dev)
{
	from_virtio(dev)->config.wce = 1;
}

static void blk_destroy(struct virtio *dev)
{
	struct blk *blk = from_virtio(dev);

	disk_close(&blk->disk);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.stop_queue = blk_stop_queue,
	.kick = blk_kick,
	.poll = blk_poll,
	.write_config = blk_write_config,
	.reset = blk_reset,
	.destroy = blk_destroy,
};

static uint64_t feature_bits(const struct disk *disk)
{
	uint64_t bits = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_GEOMETRY |
		1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_TOPOLOGY |
		1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_CONFIG_WCE |
		1ULL << VIRTIO_BLK_F_MQ;

	if (disk->read_only)
		return bits | 1ULL << VIRTIO_BLK_F_RO;
	return bits | 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
}

static void fill_config(struct blk *blk, unsigned int queues)
{
	uint64_t sectors = blk->disk.size / DISK_SECTOR;
	uint64_t cylinders = sectors / HEADS / SECTORS;
	uint32_t block_sectors = blk->disk.block_size / DISK_SECTOR;

	blk->config = (struct virtio_blk_config){
		.capacity = sectors,
		.seg_max = SEG_MAX,
		.geometry = {.cylinders = (uint16_t)(cylinders < MAX_CYLINDERS ? cylinders
									       : MAX_CYLINDERS),
			     .heads = HEADS,
			     .sectors = SECTORS},
		.blk_size = blk->disk.block_size,
		.wce = 1,
		.num_queues = (uint16_t)queues,
		.max_discard_sectors = MAX_ZERO_SECTORS,
		.max_discard_seg = 1,
		.discard_sector_alignment = block_sectors,
		.max_write_zeroes_sectors = MAX_ZERO_SECTORS,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
}

static int create(struct vm *vm, const struct vm_disk *wanted)
{
	const struct disk_options options = {.path = wanted->path,
					     .read_only = wanted->read_only,
					     .direct = wanted->direct,
					     .no_uring = wanted->no_uring,
					     /* Beside the vCPUs and the I/O thread. */
					     .sqpoll = affinity_cpu_count() > vm->vcpu_count + 1};
	unsigned int queues = vm->vcpu_count < MAX_QUEUES ? vm->vcpu_count : MAX_QUEUES;
	struct blk *blk = calloc(1, sizeof(*blk));
	struct virtio_init init;
	int err;

	if (!blk)
		return -ENOMEM;
	if (disk_open(&blk->disk, &options, DEPTH, &vm->io)) {
		free(blk);
		return VM_EXIT_USAGE;
	}
	for (unsigned int i = 0; i < DEPTH; i++) {
		blk->request[i].blk = blk;
		put_request(blk, &blk->request[i]);
	}
	memcpy(blk->serial, wanted->serial, sizeof(blk->serial));
	fill_config(blk, queues);
	init = (struct virtio_init){.ops = &blk_ops,
				    .id = VIRTIO_ID_BLOCK,
				    .features = feature_bits(&blk->disk),
				    .config = &blk->config,
				    .config_size = sizeof(blk->config),
				    .queue_count = queues};
	err = virtio_init(&blk->virtio, vm, &init);
	if (err)
		blk_destroy(&blk->virtio);
	return err;
}

int virtio_blk_create(struct vm *vm)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < vm->config->disk_count; i++)
		err = create(vm, &vm->config->disk[i]);
	return err;
}
