/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of the I/O thread (the main thread): everything that waits for the outside
 * world. It is a member of the VM, so handlers may kick vCPUs and raise interrupt lines.
 */
#ifndef DUVISOR_IO_H
#define DUVISOR_IO_H

#include <poll.h>
#include <stdbool.h>

#define IO_MAX_HANDLERS 32

/* fd had revents; called on the I/O thread. May add and remove handlers. */
typedef void io_fn(void *opaque, int fd, short revents);

struct io {
	unsigned int count;
	struct pollfd poll[IO_MAX_HANDLERS];
	struct {
		io_fn *fn;
		void *opaque;
	} handler[IO_MAX_HANDLERS];
};

/* Only on the I/O thread, or before vm_run(). */

/* Call fn when fd has one of events (POLLIN, POLLOUT). 0, or -ENOSPC. */
int io_add(struct io *io, int fd, short events, io_fn *fn, void *opaque);
/* Wait for other events from now on; 0 = for none (errors and hang-ups are always told). */
void io_set_events(struct io *io, int fd, short events);
void io_remove(struct io *io, int fd);

/* Wait until something happens and call the handlers of all that is ready. 0 or -errno. */
int io_poll(struct io *io);

#endif
