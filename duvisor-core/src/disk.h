/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk image (a raw file or a block device) and asynchronous requests on it. Two engines do the work: io_uring where
 * the host has it, and a thread that makes ordinary system calls. All functions but one: the I/O thread.
 */
#ifndef DUVISOR_DISK_H
#define DUVISOR_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "io.h"

#define DISK_SECTOR 512

struct disk_options {
	const char *path;
	bool read_only;
	bool direct;   /* O_DIRECT */
	bool no_uring; /* for tests and comparisons */
	bool sqpoll;   /* a kernel thread may look for requests all the time */
};

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_WRITE_DURABLE, /* is on stable storage when it is done */
	DISK_FLUSH,
	DISK_DISCARD,      /* the contents are not needed any more */
	DISK_WRITE_ZEROES, /* reads as zero afterwards */
	DISK_UNMAP_ZEROES, /* the same, and may free the space */
};

/* Owned by the caller; must stay, with all that it points to, until done is called. */
struct disk_request {
	enum disk_op op;
	const struct iovec *iov; /* READ, WRITE */
	unsigned int iov_count;
	uint64_t offset; /* bytes */
	uint64_t len;    /* bytes; of iov, or to discard or zero */
	/* result: 0 or -errno; not all of it read or written is -EIO. May submit. */
	void (*done)(struct disk_request *request, int result);

	/* Private to the worker. */
	struct disk_request *next;
	int result;
};

struct disk_uring;
struct disk_worker;

struct disk {
	int fd;
	bool read_only;
	bool at_once;            /* writes may be done by disk_submit() */
	uint64_t at_once_again;  /* but not before; clock_fast_ns() */
	uint64_t size;           /* bytes, when it was opened */
	unsigned int block_size; /* requests must be aligned to it; at least DISK_SECTOR */
	struct io *io;
	struct disk_uring *uring;   /* reads, writes, flushes; NULL: the worker does them */
	struct disk_worker *worker; /* all that has many ways to be done */
};

/*
 * Open and lock an image, with an engine for up to depth requests; completions wake io. 0; else a negative
 * errno, said to the user in one line.
 */
int disk_open(struct disk *disk, const struct disk_options *options, unsigned int depth,
	      struct io *io);
void disk_close(struct disk *disk);

/*
 * Hand over; done may be called before it returns, or it may wait until disk_commit(). The caller keeps the number of
 * unfinished requests to depth.
 */
void disk_submit(struct disk *disk, struct disk_request *request);
void disk_commit(struct disk *disk);

/* Call done for all that are finished, which shows in memory. True: there were any. */
bool disk_reap(struct disk *disk);

/* Wait until nothing is unfinished. */
void disk_drain(struct disk *disk);

/* The whole request by blocking system calls; its result. Any thread. */
int disk_perform(const struct disk *disk, const struct disk_request *request);

/* The engines: disk_uring.c, disk_worker.c. Their functions are as those above. */

/* 0 or -errno. The kernel's completions end the sleep of disk->io. */
int disk_uring_create(struct disk *disk, unsigned int depth, bool sqpoll);
/* A kernel thread takes requests without a system call. */
bool disk_uring_has_sqpoll(const struct disk *disk);
void disk_uring_destroy(struct disk *disk);
void disk_uring_submit(struct disk *disk, struct disk_request *request);
void disk_uring_commit(struct disk *disk);
bool disk_uring_reap(struct disk *disk);
void disk_uring_drain(struct disk *disk);

int disk_worker_create(struct disk *disk);
void disk_worker_destroy(struct disk *disk);
void disk_worker_submit(struct disk *disk, struct disk_request *request);
bool disk_worker_reap(struct disk *disk);
void disk_worker_drain(struct disk *disk);

#endif
