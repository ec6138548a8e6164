/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "iov.h"

#include <string.h>

/* Take up to len bytes off the front piece; their place in *place. */
static size_t take(struct iov_cursor *at, size_t len, void **place)
{
	struct iovec *front = at->iov;

	if (len > front->iov_len)
		len = front->iov_len;
	*place = front->iov_base;
	front->iov_base = (char *)front->iov_base + len;
	front->iov_len -= len;
	if (!front->iov_len) {
		at->iov++;
		at->count--;
	}
	return len;
}

size_t iov_read(struct iov_cursor *at, void *buf, size_t len)
{
	size_t done = 0;
	void *place;

	while (done < len && at->count) {
		size_t n = take(at, len - done, &place);

		memcpy((char *)buf + done, place, n);
		done += n;
	}
	return done;
}

size_t iov_write(struct iov_cursor *at, const void *buf, size_t len)
{
	size_t done = 0;
	void *place;

	while (done < len && at->count) {
		size_t n = take(at, len - done, &place);

		memcpy(place, (const char *)buf + done, n);
		done += n;
	}
	return done;
}

size_t iov_skip(struct iov_cursor *at, size_t len)
{
	size_t done = 0;
	void *place;

	while (done < len && at->count)
		done += take(at, len - done, &place);
	return done;
}

void iov_copy_to(const struct iovec *iov, size_t off, const void *from, size_t len)
{
	for (; len; iov++) {
		size_t n;

		if (off >= iov->iov_len) {
			off -= iov->iov_len;
			continue;
		}
		n = iov->iov_len - off < len ? iov->iov_len - off : len;
		memcpy((char *)iov->iov_base + off, from, n);
		from = (const char *)from + n;
		len -= n;
		off = 0;
	}
}

size_t iov_left(const struct iov_cursor *at)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < at->count; i++)
		sum += at->iov[i].iov_len;
	return sum;
}

unsigned char *iov_take_last_byte(struct iov_cursor *at)
{
	struct iovec *last;

	if (!at->count)
		return NULL;
	last = &at->iov[at->count - 1];
	last->iov_len--;
	if (!last->iov_len)
		at->count--;
	return (unsigned char *)last->iov_base + last->iov_len;
}
