/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "types.h"

#define ZERO_CHUNK 65536

/* See write_at_once(). Whole pages of the host need not be read first; other devices wait while one request is copied. */
#define AT_ONCE_ALIGN 4096
#define AT_ONCE_MAX (128U << 10)
/* The kernel made us wait for the disk: the next ones may wait by themselves for a while. */
#define AT_ONCE_TOO_LONG_NS 8000000
#define AT_ONCE_PAUSE_NS 1000000000

/* Direct I/O of a file wants its file system's blocks; this fits them all (page size). */
#define DIRECT_BLOCK 4096

/* An open file description lock: it goes with the descriptor, however the process ends. */
static int set_lock(const struct disk *disk, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(disk->fd, F_OFD_SETLK, &lock);
}

static int lock_image(const struct disk *disk)
{
	if (!set_lock(disk, disk->read_only ? F_RDLCK : F_WRLCK))
		return 0;
	/* A file system without locks is the user's choice. */
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

static int measure_device(struct disk *disk)
{
	int block;

	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size))
		return -errno;
	if (!ioctl(disk->fd, BLKSSZGET, &block) && block >= DISK_SECTOR)
		disk->block_size = (unsigned int)block;
	return 0;
}

static int measure(struct disk *disk, bool direct)
{
	struct stat st;

	if (fstat(disk->fd, &st))
		return -errno;
	disk->block_size = DISK_SECTOR;
	if (S_ISBLK(st.st_mode))
		return measure_device(disk);
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	disk->size = (uint64_t)st.st_size;
	if (direct)
		disk->block_size = DIRECT_BLOCK;
	return 0;
}

static int open_image(struct disk *disk, const struct disk_options *options)
{
	int flags = options->read_only ? O_RDONLY : O_RDWR;
	int err;

	if (options->direct)
		flags |= O_DIRECT;
	disk->fd = open(options->path, flags | O_CLOEXEC | O_NONBLOCK);
	if (disk->fd < 0)
		return -errno;
	err = measure(disk, options->direct) ?: lock_image(disk);
	/* A part of a block at the end cannot be used. */
	disk->size -= disk->size % disk->block_size;
	return err ?: disk->size ? err : -ENODATA;
}

/* Why, in words that help more than strerror()'s. */
static const char *reason(int err, const struct disk_options *options)
{
	switch (err) {
	case -EBUSY:
		return "it is in use by another process";
	case -ENODATA:
		return "it is empty";
	case -EINVAL:
		return options->direct ? "it is no file or block device that can do direct I/O"
				       : "it is neither a file nor a block device";
	case -EROFS:
	case -EACCES:
		return options->read_only ? strerror(-err)
					  : "it cannot be written to; to read only, add ,ro";
	default:
		return strerror(-err);
	}
}

static int create_engines(struct disk *disk, const struct disk_options *options, unsigned int depth)
{
	int err = disk_worker_create(disk);

	if (err) {
		log_error("cannot start disk I/O: %s", strerror(-err));
		return err;
	}
	if (options->no_uring)
		return 0;
	err = disk_uring_create(disk, depth, options->sqpoll);
	if (err)
		log_info("no io_uring: %s; a thread does all disk I/O", strerror(-err));
	else
		disk->at_once = !options->direct && !disk_uring_has_sqpoll(disk);
	return 0;
}

int disk_open(struct disk *disk, const struct disk_options *options, unsigned int depth,
	      struct io *io)
{
	int err;

	*disk = (struct disk){.read_only = options->read_only, .io = io};
	err = open_image(disk, options);
	if (err)
		log_error("cannot use the disk image '%s': %s", options->path,
			  reason(err, options));
	else
		err = create_engines(disk, options, depth);
	if (err && disk->fd >= 0)
		close(disk->fd);
	return err;
}

void disk_close(struct disk *disk)
{
	disk_drain(disk);
	if (disk->uring)
		disk_uring_destroy(disk);
	disk_worker_destroy(disk);
	/* The kernel may hold the file a moment longer for requests that io_uring has reported as done. */
	set_lock(disk, F_UNLCK);
	close(disk->fd);
}

void disk_commit(struct disk *disk)
{
	if (disk->uring)
		disk_uring_commit(disk);
}

bool disk_reap(struct disk *disk)
{
	bool any = disk->uring && disk_uring_reap(disk);

	return disk_worker_reap(disk) || any;
}

void disk_drain(struct disk *disk)
{
	if (disk->uring)
		disk_uring_drain(disk);
	disk_worker_drain(disk);
}

/* One preadv() or pwritev() moves as much as fits, and all of it but at a broken or shortened image. */
static int transfer(const struct disk *disk, const struct disk_request *request)
{
	ssize_t n;

	if (request->op == DISK_READ)
		n = preadv(disk->fd, request->iov, (int)request->iov_count, (off_t)request->offset);
	else
		n = pwritev2(disk->fd, request->iov, (int)request->iov_count,
			     (off_t)request->offset,
			     request->op == DISK_WRITE_DURABLE ? RWF_DSYNC : 0);
	if (n < 0)
		return -errno;
	return (uint64_t)n == request->len ? 0 : -EIO;
}

/*
 * A write to the host's page cache is a copy, but may also wait: for the rest of a page that is not all written, or
 * because too much has been written already. io_uring hands each to a thread of the kernel's for that (block devices
 * and most file systems have no way to try), which costs more than the copy of a small one.
 */
static bool write_at_once(struct disk *disk, struct disk_request *request)
{
	uint64_t begin;
	uint64_t end;
	int result;

	if (!disk->at_once || request->op != DISK_WRITE || request->len > AT_ONCE_MAX ||
	    (request->offset | request->len) % AT_ONCE_ALIGN)
		return false;
	begin = clock_fast_ns(disk->io->frequency);
	if (begin < disk->at_once_again)
		return false;
	result = transfer(disk, request);
	end = clock_fast_ns(disk->io->frequency);
	if (end - begin > AT_ONCE_TOO_LONG_NS)
		disk->at_once_again = end + AT_ONCE_PAUSE_NS;
	request->done(request, result);
	return true;
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	if (write_at_once(disk, request))
		return;
	if (disk->uring && request->op <= DISK_FLUSH)
		disk_uring_submit(disk, request);
	else
		disk_worker_submit(disk, request);
}

static int write_zeroes(int fd, uint64_t offset, uint64_t len)
{
	static const char zeroes[ZERO_CHUNK] __attribute__((aligned(4096)));

	while (len) {
		size_t part = len < sizeof(zeroes) ? (size_t)len : sizeof(zeroes);
		ssize_t n = pwrite(fd, zeroes, part, (off_t)offset);

		if (n <= 0)
			return n ? -errno : -EIO;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int punch(const struct disk *disk, const struct disk_request *request, int mode)
{
	int ret = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)request->offset,
			    (off_t)request->len);

	return ret ? -errno : 0;
}

/* Whatever the image's file system can do, and plain writes where it can do nothing. */
static int zero(const struct disk *disk, const struct disk_request *request)
{
	int err = -EOPNOTSUPP;

	if (request->op == DISK_UNMAP_ZEROES)
		err = punch(disk, request, FALLOC_FL_PUNCH_HOLE);
	if (err)
		err = punch(disk, request, FALLOC_FL_ZERO_RANGE);
	return err ? write_zeroes(disk->fd, request->offset, request->len) : 0;
}

/* Only advice: where the host cannot do it, the space stays in use. */
static int discard(const struct disk *disk, const struct disk_request *request)
{
	int err = punch(disk, request, FALLOC_FL_PUNCH_HOLE);

	return err == -EOPNOTSUPP ? 0 : err;
}

int disk_perform(const struct disk *disk, const struct disk_request *request)
{
	switch (request->op) {
	case DISK_FLUSH:
		return fdatasync(disk->fd) ? -errno : 0;
	case DISK_DISCARD:
		return discard(disk, request);
	case DISK_WRITE_ZEROES:
	case DISK_UNMAP_ZEROES:
		return zero(disk, request);
	default:
		return transfer(disk, request);
	}
}
