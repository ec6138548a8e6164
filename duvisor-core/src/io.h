/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of the I/O thread (the main thread): everything that waits for the outside
 * world. It is a member of the VM, so handlers may kick vCPUs and raise interrupt lines.
 *
 * There are two kinds of events. Files are waited for in the kernel. Pollers look for work in memory that others
 * fill (rings of the guest, completion rings of the kernel): while there is work the loop goes round without a
 * system call, and it looks on for a moment after the last piece, for as long as that has paid lately. Only then it
 * sleeps, and whoever brings work to memory must wake it.
 */
#ifndef DUVISOR_IO_H
#define DUVISOR_IO_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define IO_MAX_HANDLERS 128
#define IO_MAX_POLLERS 32

/* fd had revents; called on the I/O thread. May add and remove handlers. */
typedef void io_fn(void *opaque, int fd, short revents);

struct io_poller_ops {
	/* Look and do what there is, without blocking. True: there was something. */
	bool (*poll)(void *opaque);
	/*
	 * The loop is about to sleep: have io_wake() called for the next piece of work. True: there is one
	 * already, do not sleep.
	 */
	bool (*arm)(void *opaque);
};

struct io_handler {
	int fd;
	short events; /* that are waited for from the next look on */
	short told;   /* the kernel was told of these */
	bool always; /* a regular file, or one like it: always ready, so there is no way to wait for it */
	io_fn *fn;
	void *opaque;
};

struct io {
	int epoll_fd;
	unsigned int count;
	struct io_handler handler[IO_MAX_HANDLERS];
	bool events_changed;

	unsigned int poller_count;
	struct {
		const struct io_poller_ops *ops;
		void *opaque;
	} poller[IO_MAX_POLLERS];

	int wake_fd;
	_Atomic uint32_t sleeping; /* 1: in, or about to go into, epoll_wait() */

	uint32_t frequency;
	uint64_t now; /* the host's time in ns, some turns of the loop old */
	uint32_t turns;
	uint64_t spin_ns;          /* how long to look on after the last work */
	uint64_t spin_max_ns;      /* 0 on a host with one CPU */
	uint64_t worked_at;        /* the host's time in ns */
	uint64_t looked_at;        /* when the files were polled last */
	_Atomic uint64_t wake_ups; /* how often the kernel was asked to wake the loop */
};

/* frequency: of the host's time CSR, in Hz. spin_max_us: look on for so long at most. 0, or a negative errno. */
int io_init(struct io *io, uint32_t frequency, uint32_t spin_max_us);
void io_destroy(struct io *io);

/* Only on the I/O thread, or before vm_run(). */

/*
 * Call fn when fd has one of events (POLLIN, POLLOUT). 0 or -errno. fd stays the caller's, who removes it here before
 * closing it: a child may still have the file, which would go on to tell.
 */
int io_add(struct io *io, int fd, short events, io_fn *fn, void *opaque);
/* Wait for other events from now on; 0 = for none (errors and hang-ups are always told). */
void io_set_events(struct io *io, int fd, short events);
void io_remove(struct io *io, int fd);

/* 0, or -ENOSPC. */
int io_add_poller(struct io *io, const struct io_poller_ops *ops, void *opaque);
void io_remove_poller(struct io *io, const void *opaque);

/*
 * Something is in memory for a poller. Any thread; a system call only if the loop sleeps. What was written before
 * is seen by the poller.
 */
void io_wake(struct io *io);

/*
 * Wait for files, for timeout as poll() has it, and call the handlers of those that are ready: the files' part of
 * io_poll(). How many were ready, or -errno.
 */
int io_look(struct io *io, int timeout);

/* Wait until something happens and call the handlers of all that is ready. 0 or -errno. */
int io_poll(struct io *io);

#endif
