/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "unix_socket.h"

/* How often a pseudoterminal without a client is looked at: the kernel tells nobody that one has opened it. */
#define PTY_CHECK_NS 200000000L

void outlet_init(struct outlet *outlet, const struct outlet_ops *ops, void *opaque)
{
	*outlet = (struct outlet){
		.listener = -1, .client = -1, .timer = -1, .ops = ops, .opaque = opaque};
}

static void client_event(void *opaque, int fd, short revents)
{
	struct outlet *outlet = opaque;

	(void)fd;
	outlet->ops->event(outlet->opaque, revents);
}

void outlet_set_events(struct outlet *outlet, short events)
{
	if (outlet->io && outlet->client >= 0)
		io_set_events(outlet->io, outlet->client, events);
}

static void remove_client(struct outlet *outlet)
{
	if (outlet->io && outlet->client >= 0)
		io_remove(outlet->io, outlet->client);
}

static void listen_on(struct outlet *outlet, bool on)
{
	if (outlet->io && !outlet->shared)
		io_set_events(outlet->io, outlet->listener, on ? POLLIN : 0);
}

void outlet_unwatch(struct outlet *outlet)
{
	remove_client(outlet);
	listen_on(outlet, false);
}

bool outlet_has_rest(const struct outlet *outlet)
{
	struct pollfd input = {.fd = outlet->client, .events = POLLIN};
	uint8_t byte;

	if (!outlet->shared)
		return recv(outlet->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
	return poll(&input, 1, 0) > 0 && input.revents & POLLIN;
}

void outlet_drop(struct outlet *outlet)
{
	if (outlet->client < 0)
		return;
	remove_client(outlet);
	listen_on(outlet, true);
	/* The pseudoterminal stays, for the next one. */
	if (!outlet->shared)
		close(outlet->client);
	outlet->client = -1;
}

static int take_client(struct outlet *outlet, int fd)
{
	int err;

	outlet_drop(outlet);
	err = io_add(outlet->io, fd, 0, client_event, outlet);
	if (err) {
		if (!outlet->shared)
			close(fd);
		return err;
	}
	outlet->client = fd;
	outlet->ops->arrived(outlet->opaque);
	return 0;
}

static void listener_event(void *opaque, int fd, short revents)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	if (client >= 0)
		take_client(opaque, client);
}

/* Has somebody opened the other side of the pseudoterminal? */
static void timer_event(void *opaque, int fd, short revents)
{
	struct outlet *outlet = opaque;
	struct pollfd master = {.fd = outlet->listener};
	uint64_t expirations;

	(void)revents;
	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	if (outlet->client < 0 && poll(&master, 1, 0) >= 0 && !(master.revents & POLLHUP))
		take_client(outlet, outlet->listener);
}

int outlet_open_socket(struct outlet *outlet, const char *who, const char *path)
{
	outlet->listener = unix_listen(path, 1);
	if (outlet->listener >= 0)
		return 0;
	log_error("cannot make the socket '%s' of %s: %s", path, who, strerror(-outlet->listener));
	return -1;
}

static int set_raw(int fd)
{
	struct termios mode;

	if (tcgetattr(fd, &mode))
		return -errno;
	cfmakeraw(&mode);
	return tcsetattr(fd, TCSANOW, &mode) ? -errno : 0;
}

/* The other side is opened once, so that it exists, is raw, and hangs up from now on while nobody has it open. */
static int prepare_pty(struct outlet *outlet, const char *name)
{
	int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	const struct itimerspec period = {.it_interval = {.tv_nsec = PTY_CHECK_NS},
					  .it_value = {.tv_nsec = PTY_CHECK_NS}};
	int err;

	if (slave < 0)
		return -errno;
	err = set_raw(slave);
	close(slave);
	outlet->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (outlet->timer < 0 || timerfd_settime(outlet->timer, 0, &period, NULL))
		return -errno;
	return err;
}

static int link_pty(const char *name, const char *path)
{
	struct stat st;

	if (!*path)
		return 0;
	/* One that an earlier run has left; nothing else of the user's. */
	if (!lstat(path, &st) && S_ISLNK(st.st_mode))
		unlink(path);
	return symlink(name, path) ? -errno : 0;
}

static int open_pty(struct outlet *outlet, const char *who, const char *path)
{
	char name[64] = "";
	int err;

	outlet->shared = true;
	outlet->listener = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (outlet->listener < 0 || grantpt(outlet->listener) || unlockpt(outlet->listener) ||
	    ptsname_r(outlet->listener, name, sizeof(name)))
		return -errno;
	err = prepare_pty(outlet, name) ?: link_pty(name, path);
	if (!err)
		log_notice("%s is %s", who, name);
	return err;
}

int outlet_open_pty(struct outlet *outlet, const char *who, const char *path)
{
	int err = open_pty(outlet, who, path);

	if (err)
		log_error("cannot make a pseudoterminal%s%s for %s: %s", *path ? " at " : "", path,
			  who, strerror(-err));
	return err ? -1 : 0;
}

int outlet_open_file(struct outlet *outlet, const char *who, const char *path)
{
	outlet->shared = true;
	outlet->listener =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (outlet->listener >= 0)
		return 0;
	log_error("cannot write %s to '%s': %s", who, path, strerror(errno));
	return -1;
}

int outlet_attach(struct outlet *outlet, struct io *io)
{
	outlet->io = io;
	if (!outlet->shared)
		return io_add(io, outlet->listener, POLLIN, listener_event, outlet);
	if (outlet->timer >= 0)
		return io_add(io, outlet->timer, POLLIN, timer_event, outlet);
	return take_client(outlet, outlet->listener);
}

void outlet_detach(struct outlet *outlet)
{
	if (!outlet->io)
		return;
	outlet_drop(outlet);
	io_remove(outlet->io, outlet->timer);
	io_remove(outlet->io, outlet->listener);
	outlet->io = NULL;
}

void outlet_close(struct outlet *outlet)
{
	outlet_detach(outlet);
	if (outlet->timer >= 0)
		close(outlet->timer);
	if (outlet->listener >= 0)
		close(outlet->listener);
	outlet->timer = outlet->listener = -1;
}
