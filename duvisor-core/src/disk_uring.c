/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads, writes and flushes by io_uring. A kernel thread takes requests out of the ring (SQPOLL) if the host has a CPU for
 * it, and results are read from the completion ring: while the disk is busy, neither costs a system call. Without that thread one
 * call hands over all requests that are there.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "types.h"

/* How long the kernel's thread stays awake without work. It occupies a CPU meanwhile. */
#define SQ_IDLE_MS 2

struct disk_uring {
	struct io_uring ring;
	unsigned int unfinished;
	bool uncommitted;
};

static int create_ring(struct disk_uring *uring, unsigned int depth, bool sqpoll)
{
	struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SQPOLL,
					 .sq_thread_idle = SQ_IDLE_MS};
	int err = -EPERM;

	if (sqpoll)
		err = io_uring_queue_init_params(depth, &uring->ring, &params);
	if (!err)
		return 0;
	params = (struct io_uring_params){.flags = IORING_SETUP_R_DISABLED};
	return io_uring_queue_init_params(depth, &uring->ring, &params);
}

/* The ring must not be a way around the sandbox (sandbox.c): these operations and no others. */
static int restrict_ring(const struct disk_uring *uring)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
	};
	int fd = uring->ring.ring_fd;

	/* By their numbers: not every liburing that has these functions exports them. */
	if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    ARRAY_SIZE(allowed)) ||
	    syscall(SYS_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

/* Only there to end the sleep: the poller reaps. */
static void completed(void *opaque, int fd, short revents)
{
	(void)opaque;
	(void)fd;
	(void)revents;
}

int disk_uring_create(struct disk *disk, unsigned int depth, bool sqpoll)
{
	struct disk_uring *uring = calloc(1, sizeof(*uring));
	int err;

	if (!uring)
		return -ENOMEM;
	err = create_ring(uring, depth, sqpoll);
	if (err) {
		free(uring);
		return err;
	}
	err = restrict_ring(uring);
	if (!err)
		err = io_add(disk->io, uring->ring.ring_fd, POLLIN, completed, disk);
	if (err) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return err;
	}
	disk->uring = uring;
	return 0;
}

bool disk_uring_has_sqpoll(const struct disk *disk)
{
	return disk->uring->ring.flags & IORING_SETUP_SQPOLL;
}

void disk_uring_destroy(struct disk *disk)
{
	io_remove(disk->io, disk->uring->ring.ring_fd);
	io_uring_queue_exit(&disk->uring->ring);
	free(disk->uring);
}

static void prepare(const struct disk *disk, struct io_uring_sqe *sqe,
		    const struct disk_request *request)
{
	switch (request->op) {
	case DISK_READ:
		io_uring_prep_readv(sqe, disk->fd, request->iov, request->iov_count,
				    request->offset);
		break;
	case DISK_FLUSH:
		io_uring_prep_fsync(sqe, disk->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_writev(sqe, disk->fd, request->iov, request->iov_count,
				     request->offset);
		if (request->op == DISK_WRITE_DURABLE)
			sqe->rw_flags = RWF_DSYNC;
		break;
	}
}

void disk_uring_submit(struct disk *disk, struct disk_request *request)
{
	struct disk_uring *uring = disk->uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	/* The caller keeps to the depth of the ring, but the kernel may be late in taking entries out. */
	while (!sqe) {
		disk_uring_commit(disk);
		sched_yield();
		sqe = io_uring_get_sqe(&uring->ring);
	}
	prepare(disk, sqe, request);
	io_uring_sqe_set_data(sqe, request);
	uring->unfinished++;
	uring->uncommitted = true;
}

void disk_uring_commit(struct disk *disk)
{
	struct disk_uring *uring = disk->uring;
	int ret;

	if (!uring->uncommitted)
		return;
	/* A system call only without SQPOLL, or to wake the kernel's thread. */
	ret = io_uring_submit(&uring->ring);
	/* Out of memory for a moment: the next turn of the loop tries again. */
	uring->uncommitted = ret < 0;
	if (ret < 0 && ret != -EAGAIN && ret != -EBUSY && ret != -EINTR)
		log_warn("io_uring: %d", ret);
}

static int result_of(const struct disk_request *request, int res)
{
	if (res < 0)
		return res;
	return request->op == DISK_FLUSH || (uint64_t)res == request->len ? 0 : -EIO;
}

bool disk_uring_reap(struct disk *disk)
{
	struct disk_uring *uring = disk->uring;
	struct io_uring_cqe *cqe;
	bool any = false;

	if (!uring->unfinished)
		return false;
	disk_uring_commit(disk);
	/* Looks at the ring in memory; asks the kernel only if that says so (it never overflows here). */
	while (uring->unfinished && io_uring_cq_ready(&uring->ring) &&
	       !io_uring_peek_cqe(&uring->ring, &cqe)) {
		struct disk_request *request = io_uring_cqe_get_data(cqe);
		int result = result_of(request, cqe->res);

		io_uring_cqe_seen(&uring->ring, cqe);
		uring->unfinished--;
		request->done(request, result);
		any = true;
	}
	return any;
}

void disk_uring_drain(struct disk *disk)
{
	struct disk_uring *uring = disk->uring;
	struct io_uring_cqe *cqe;

	while (uring->unfinished) {
		disk_uring_commit(disk);
		/* Interrupted or done: look. */
		io_uring_wait_cqe(&uring->ring, &cqe);
		disk_uring_reap(disk);
	}
}
