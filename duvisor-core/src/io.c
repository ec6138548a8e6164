/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "affinity.h"
#include "clock.h"

#define NS_PER_US 1000ULL
#define SPIN_MIN_NS 10000ULL
/* While there is always work in memory, look at the files this often. */
#define LOOK_NS 10000000ULL
/* Firmware may have to emulate the time CSR: read it this seldom while going round. */
#define CLOCK_TURNS 16

static uint64_t coarse_now(struct io *io)
{
	if (io->turns++ % CLOCK_TURNS == 0)
		io->now = clock_fast_ns(io->frequency);
	return io->now;
}

static void woken(void *opaque, int fd, short revents)
{
	eventfd_t ignored;

	(void)opaque;
	(void)revents;
	eventfd_read(fd, &ignored);
}

int io_init(struct io *io, uint32_t frequency, uint32_t spin_max_us)
{
	*io = (struct io){.frequency = frequency,
			  .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (io->wake_fd < 0)
		return -errno;
	io->spin_max_ns = affinity_cpu_count() > 1 ? spin_max_us * NS_PER_US : 0;
	return io_add(io, io->wake_fd, POLLIN, woken, io);
}

void io_destroy(struct io *io)
{
	if (io->wake_fd < 0)
		return;
	io_remove(io, io->wake_fd);
	close(io->wake_fd);
	io->wake_fd = -1;
}

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

int io_add_poller(struct io *io, const struct io_poller_ops *ops, void *opaque)
{
	if (io->poller_count == IO_MAX_POLLERS)
		return -ENOSPC;
	io->poller[io->poller_count].ops = ops;
	io->poller[io->poller_count].opaque = opaque;
	io->poller_count++;
	return 0;
}

void io_remove_poller(struct io *io, const void *opaque)
{
	for (unsigned int i = 0; i < io->poller_count; i++) {
		if (io->poller[i].opaque != opaque)
			continue;
		io->poller[i] = io->poller[--io->poller_count];
		return;
	}
}

/*
 * The loop sets `sleeping`, then looks for work for the last time; a waker brings work, then looks at `sleeping`. All
 * of it is sequentially consistent, so at least one of them sees the other.
 */
void io_wake(struct io *io)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&io->sleeping) || !atomic_exchange(&io->sleeping, 0))
		return;
	atomic_fetch_add_explicit(&io->wake_ups, 1, memory_order_relaxed);
	eventfd_write(io->wake_fd, 1);
}

static bool run_pollers(struct io *io)
{
	bool worked = false;

	for (unsigned int i = 0; i < io->poller_count; i++)
		worked |= io->poller[i].ops->poll(io->poller[i].opaque);
	return worked;
}

static bool arm_pollers(struct io *io)
{
	bool work = false;

	for (unsigned int i = 0; i < io->poller_count; i++)
		work |= io->poller[i].ops->arm(io->poller[i].opaque);
	return work;
}

/* timeout as poll() has it. */
static int look_at_files(struct io *io, int timeout)
{
	struct pollfd ready[IO_MAX_HANDLERS];
	unsigned int count = io->count;

	if (poll(io->poll, count, timeout) < 0)
		return errno == EINTR ? 0 : -errno;
	memcpy(ready, io->poll, count * sizeof(ready[0]));
	/* Handlers may add and remove, so each is looked up again by what was ready. */
	for (unsigned int i = 0; i < count; i++) {
		int now = ready[i].revents ? find(io, ready[i].fd) : -1;

		if (now >= 0)
			io->handler[now].fn(io->handler[now].opaque, ready[i].fd, ready[i].revents);
	}
	return 0;
}

/* There was work at this time. */
static int note_work(struct io *io, uint64_t now)
{
	io->worked_at = now;
	if (now - io->looked_at < LOOK_NS)
		return 0;
	io->looked_at = now;
	return look_at_files(io, 0);
}

/* Look on for spin_ns after the last work, while no other thread wants the hart. True: there was more. */
static bool spin(struct io *io)
{
	uint64_t last, now;

	if (run_pollers(io))
		return true;
	/* Read anew: what came before may have been long work. */
	io->now = last = now = clock_fast_ns(io->frequency);
	while (now - io->worked_at < io->spin_ns && now - last < CLOCK_AWAY_US * NS_PER_US) {
		last = now;
		if (run_pollers(io))
			return true;
		now = coarse_now(io);
	}
	return false;
}

/* Work that came soon after we slept would have been worth waiting for; none in all the time was not. */
static void adapt_spin(struct io *io, uint64_t slept)
{
	if (slept < io->spin_max_ns) {
		io->spin_ns = io->spin_ns ? io->spin_ns * 2 : SPIN_MIN_NS;
		if (io->spin_ns > io->spin_max_ns)
			io->spin_ns = io->spin_max_ns;
	} else {
		io->spin_ns /= 2;
	}
}

static int sleep_for_files(struct io *io)
{
	uint64_t since = clock_fast_ns(io->frequency);
	int err = 0;

	atomic_store(&io->sleeping, 1);
	if (!arm_pollers(io))
		err = look_at_files(io, -1);
	atomic_store(&io->sleeping, 0);
	io->now = io->looked_at = clock_fast_ns(io->frequency);
	adapt_spin(io, io->now - since);
	return err;
}

int io_poll(struct io *io)
{
	if (!io->poller_count)
		return look_at_files(io, -1);
	if (spin(io))
		return note_work(io, coarse_now(io));
	return sleep_for_files(io);
}
