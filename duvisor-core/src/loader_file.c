/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loader_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "log.h"

#define CHUNK_SIZE 16384
#define MESSAGE_SIZE 256

/* For inflateInit2(): the largest window, and gzip's framing only. */
#define GZIP_WINDOW (15 + 16)

struct loader_file {
	const char *what;
	const char *path;
	int fd;
	uint64_t size;
	uint64_t position; /* of what loader_file_next() reads from disk */
	bool gzip;
	bool ended; /* the compressed data are complete */
	z_stream stream;
	uint8_t chunk[CHUNK_SIZE];
};

int loader_file_error(const struct loader_file *file, const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	log_error("%s '%s' %s", file->what, file->path, message);
	return -1;
}

static int check_type(struct loader_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st))
		return loader_file_error(file, "cannot be used: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return loader_file_error(file, "is a directory");
	if (!S_ISREG(st.st_mode))
		return loader_file_error(file, "is not a regular file");
	if (!st.st_size)
		return loader_file_error(file, "is empty");
	file->size = (uint64_t)st.st_size;
	return 0;
}

struct loader_file *loader_file_open(const char *what, const char *path)
{
	struct loader_file *file = calloc(1, sizeof(*file));

	if (!file) {
		log_error("%s", strerror(ENOMEM));
		return NULL;
	}
	file->what = what;
	file->path = path;
	/* Not to be stopped by a FIFO without a writer. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		loader_file_error(file, "cannot be opened: %s", strerror(errno));
	if (file->fd < 0 || check_type(file)) {
		loader_file_close(file);
		return NULL;
	}
	return file;
}

static void stop_inflating(struct loader_file *file)
{
	if (file->gzip)
		inflateEnd(&file->stream);
	file->gzip = false;
}

void loader_file_close(struct loader_file *file)
{
	if (!file)
		return;
	stop_inflating(file);
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

void loader_file_finish(struct loader_file *file)
{
	stop_inflating(file);
}

int loader_file_refresh(struct loader_file *file)
{
	return check_type(file);
}

uint64_t loader_file_size(const struct loader_file *file)
{
	return file->size;
}

/* Read up to len bytes at off; fewer only at the end of the file. The number, or -1. */
static ssize_t read_some(const struct loader_file *file, uint64_t off, uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(file->fd, buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return loader_file_error(file, "cannot be read: %s", strerror(errno));
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int loader_file_read_at(const struct loader_file *file, uint64_t off, void *buf, size_t len)
{
	ssize_t n;

	if (off > file->size || len > file->size - off)
		return loader_file_error(file, "is truncated or damaged");
	n = read_some(file, off, buf, len);
	if (n < 0)
		return -1;
	/* It became shorter since it was opened. */
	return (size_t)n == len ? 0 : loader_file_error(file, "is truncated or damaged");
}

int loader_file_start(struct loader_file *file, uint64_t off, bool gzip)
{
	stop_inflating(file);
	file->position = off;
	file->ended = false;
	if (!gzip)
		return 0;
	file->stream = (z_stream){0};
	if (inflateInit2(&file->stream, GZIP_WINDOW) != Z_OK)
		return loader_file_error(file, "cannot be unpacked: %s", strerror(ENOMEM));
	file->gzip = true;
	return 0;
}

static int refill(struct loader_file *file)
{
	ssize_t n = read_some(file, file->position, file->chunk, sizeof(file->chunk));

	if (n < 0)
		return -1;
	if (!n)
		return loader_file_error(file, "is truncated: its compressed data end too early");
	file->position += (uint64_t)n;
	file->stream.next_in = file->chunk;
	file->stream.avail_in = (uInt)n;
	return 0;
}

static int inflate_step(struct loader_file *file)
{
	int result;

	if (!file->stream.avail_in && refill(file))
		return -1;
	result = inflate(&file->stream, Z_NO_FLUSH);
	if (result == Z_STREAM_END)
		file->ended = true;
	else if (result != Z_OK && result != Z_BUF_ERROR)
		return loader_file_error(file, "is damaged: %s",
					 file->stream.msg ? file->stream.msg
							  : "bad compressed data");
	return 0;
}

static int inflate_next(struct loader_file *file, uint8_t *buf, size_t len, size_t *got)
{
	*got = 0;
	while (*got < len && !file->ended) {
		/* zlib counts in 32 bits. */
		uInt want = len - *got > UINT_MAX ? UINT_MAX : (uInt)(len - *got);

		file->stream.next_out = buf + *got;
		file->stream.avail_out = want;
		if (inflate_step(file))
			return -1;
		*got += want - file->stream.avail_out;
	}
	return 0;
}

int loader_file_next(struct loader_file *file, void *buf, size_t len, size_t *got)
{
	ssize_t n;

	if (file->gzip)
		return inflate_next(file, buf, len, got);
	n = read_some(file, file->position, buf, len);
	if (n < 0)
		return -1;
	file->position += (uint64_t)n;
	*got = (size_t)n;
	return 0;
}
