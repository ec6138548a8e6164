/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "affinity.h"
#include "clock.h"
#include "types.h"

#define NS_PER_US 1000ULL
#define SPIN_MIN_NS 10000ULL
/* While there is always work in memory, look at the files this often. */
#define LOOK_NS 10000000ULL
/* Firmware may have to emulate the time CSR: read it this seldom while going round. */
#define CLOCK_TURNS 16
/* Files that are told of at once; the others are by the next look. */
#define READY_FILES 32

/* So that handlers need not know which of the two calls it is. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
		       EPOLLHUP == POLLHUP,
	       "the same bits");

static uint64_t coarse_now(struct io *io)
{
	if (io->turns++ % CLOCK_TURNS == 0)
		io->now = clock_fast_ns(io->frequency);
	return io->now;
}

int io_init(struct io *io, uint32_t frequency, uint32_t spin_max_us)
{
	struct epoll_event wake;

	*io = (struct io){.frequency = frequency,
			  .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
			  .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (io->epoll_fd < 0 || io->wake_fd < 0)
		return -errno;
	/* With edges each write ends one sleep, and nobody needs to read: there is no handler. */
	wake = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = io->wake_fd};
	io->spin_max_ns = affinity_cpu_count() > 1 ? spin_max_us * NS_PER_US : 0;
	return epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, io->wake_fd, &wake) ? -errno : 0;
}

void io_destroy(struct io *io)
{
	if (io->wake_fd >= 0)
		close(io->wake_fd);
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	io->wake_fd = io->epoll_fd = -1;
}

static struct io_handler *find(struct io *io, int fd)
{
	for (unsigned int i = 0; i < io->count; i++)
		if (io->handler[i].fd == fd)
			return &io->handler[i];
	return NULL;
}

/* Let the kernel know what is waited for. 0 or -errno. */
static int tell(struct io *io, int operation, struct io_handler *handler)
{
	struct epoll_event event = {.events = (uint32_t)handler->events, .data.fd = handler->fd};

	handler->told = handler->events;
	return epoll_ctl(io->epoll_fd, operation, handler->fd, &event) ? -errno : 0;
}

int io_add(struct io *io, int fd, short events, io_fn *fn, void *opaque)
{
	struct io_handler *handler = &io->handler[io->count];
	int err;

	if (io->count == IO_MAX_HANDLERS)
		return -ENOSPC;
	*handler = (struct io_handler){.fd = fd, .events = events, .fn = fn, .opaque = opaque};
	err = tell(io, EPOLL_CTL_ADD, handler);
	handler->always = err == -EPERM;
	if (err && !handler->always)
		return err;
	io->count++;
	return 0;
}

void io_set_events(struct io *io, int fd, short events)
{
	struct io_handler *handler = find(io, fd);

	if (!handler || handler->events == events)
		return;
	handler->events = events;
	io->events_changed = true;
}

void io_remove(struct io *io, int fd)
{
	struct io_handler *handler = find(io, fd);

	if (!handler)
		return;
	if (!handler->always)
		epoll_ctl(io->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	*handler = io->handler[--io->count];
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

/* Only now: some change their mind a few times between two looks. */
static void tell_changes(struct io *io)
{
	if (!io->events_changed)
		return;
	io->events_changed = false;
	for (unsigned int i = 0; i < io->count; i++) {
		struct io_handler *handler = &io->handler[i];

		if (handler->events != handler->told && !handler->always)
			tell(io, EPOLL_CTL_MOD, handler);
	}
}

static void handle_ready(struct io *io, const struct epoll_event *ready, int count)
{
	/* Handlers may add and remove, so each is looked up by what was ready. */
	for (int i = 0; i < count; i++) {
		const struct io_handler *handler = find(io, ready[i].data.fd);

		if (handler)
			handler->fn(handler->opaque, handler->fd, (short)ready[i].events);
	}
}

/* Files that there is no way to wait for, as they are always ready: how many of them want to hear it. */
static int handle_always_ready(struct io *io)
{
	int count = 0;

	for (unsigned int i = 0; i < io->count; i++) {
		const struct io_handler *handler = &io->handler[i];

		if (!handler->always || !handler->events)
			continue;
		handler->fn(handler->opaque, handler->fd, handler->events);
		count++;
	}
	return count;
}

int io_look(struct io *io, int timeout)
{
	struct epoll_event ready[READY_FILES];
	int always = handle_always_ready(io);
	int count;

	tell_changes(io);
	count = epoll_wait(io->epoll_fd, ready, ARRAY_SIZE(ready), always ? 0 : timeout);
	if (count < 0)
		return errno == EINTR ? always : -errno;
	handle_ready(io, ready, count);
	return always + count;
}

/* There was work at this time. */
static int note_work(struct io *io, uint64_t now)
{
	io->worked_at = now;
	if (now - io->looked_at < LOOK_NS)
		return 0;
	io->looked_at = now;
	return io_look(io, 0);
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
		err = io_look(io, -1);
	atomic_store(&io->sleeping, 0);
	io->now = io->looked_at = clock_fast_ns(io->frequency);
	adapt_spin(io, io->now - since);
	return err;
}

int io_poll(struct io *io)
{
	int result;

	if (!io->poller_count)
		result = io_look(io, -1);
	else if (spin(io))
		result = note_work(io, coarse_now(io));
	else
		result = sleep_for_files(io);
	return result < 0 ? result : 0;
}
