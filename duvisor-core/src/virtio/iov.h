/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A position in a list of memory pieces: what is read or written moves it on. */
#ifndef DUVISOR_VIRTIO_IOV_H
#define DUVISOR_VIRTIO_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* The pieces are the caller's and are cut as they are used up. */
struct iov_cursor {
	struct iovec *iov;
	unsigned int count;
};

/* All return how many bytes there were, at most len. */
size_t iov_read(struct iov_cursor *at, void *buf, size_t len);
size_t iov_write(struct iov_cursor *at, const void *buf, size_t len);
size_t iov_skip(struct iov_cursor *at, size_t len);

/* Copy len bytes to the place off bytes into pieces that are long enough and stay as they are. */
void iov_copy_to(const struct iovec *iov, size_t off, const void *from, size_t len);

/* How many bytes are left. */
size_t iov_left(const struct iov_cursor *at);

/* Cut the last byte off; its place, or NULL if there is none. */
unsigned char *iov_take_last_byte(struct iov_cursor *at);

#endif
