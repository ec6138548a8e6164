/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io.h"

#include <errno.h>

static int find(const struct io *io, int fd)
{
	for (unsigned int i = 0; i < io->count; i++)
		if (io->poll[i].fd == fd)
			return (int)i;
	return -1;
}

int io_add(struct io *io, int fd, short events, io_fn *fn, void *opaque)
{
	if (io->count == IO_MAX_HANDLERS)
		return -ENOSPC;
	io->poll[io->count] = (struct pollfd){.fd = fd, .events = events};
	io->handler[io->count].fn = fn;
	io->handler[io->count].opaque = opaque;
	io->count++;
	return 0;
}

void io_set_events(struct io *io, int fd, short events)
{
	int i = find(io, fd);

	if (i >= 0)
		io->poll[i].events = events;
}

void io_remove(struct io *io, int fd)
{
	int i = find(io, fd);

	if (i < 0)
		return;
	io->count--;
	io->poll[i] = io->poll[io->count];
	io->handler[i] = io->handler[io->count];
}

int io_poll(struct io *io)
{
	struct pollfd ready[IO_MAX_HANDLERS];
	unsigned int count = io->count;

	if (poll(io->poll, count, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned int i = 0; i < count; i++)
		ready[i] = io->poll[i];
	/* Handlers may add and remove, so each is looked up again by what was ready. */
	for (unsigned int i = 0; i < count; i++) {
		int now = ready[i].revents ? find(io, ready[i].fd) : -1;

		if (now >= 0)
			io->handler[now].fn(io->handler[now].opaque, ready[i].fd, ready[i].revents);
	}
	return 0;
}
