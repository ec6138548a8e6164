/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "types.h"
#include "unix_socket.h"

#define CHUNK 4096
#define LAST_WORDS_MS 2000
/* How often a pseudoterminal without a client is looked at: the kernel tells nobody that one has opened it. */
#define PTY_CHECK_NS 200000000L

struct relay {
	struct io *io; /* NULL: not attached */
	int inner;     /* our end of the pair */
	int terminal;  /* the other one */
	int listener;  /* socket: where clients come from; pty: the master */
	int client;    /* -1: none; pty: the master */
	int timer;     /* pty only, else -1 */
	bool is_pty;
	uint64_t head;   /* bytes of output so far; the last of them are in history */
	uint64_t cursor; /* how many of them the client has */
	size_t typed;    /* bytes of input that the terminal has not taken */
	uint8_t input[CHUNK];
	uint8_t history[RELAY_HISTORY];
};

static void update_events(struct relay *relay)
{
	bool room = relay->client < 0 || relay->head - relay->cursor < RELAY_HISTORY;
	short events = relay->typed ? 0 : POLLIN;

	if (!relay->io)
		return;
	io_set_events(relay->io, relay->inner, (room ? POLLIN : 0) | (relay->typed ? POLLOUT : 0));
	if (relay->client < 0)
		return;
	if (relay->cursor < relay->head)
		events |= POLLOUT;
	io_set_events(relay->io, relay->client, events);
}

static void client_event(void *opaque, int fd, short revents);

static void drop_client(struct relay *relay)
{
	if (relay->client < 0)
		return;
	if (relay->io)
		io_remove(relay->io, relay->client);
	/* The pseudoterminal stays, for the next one. */
	if (!relay->is_pty)
		close(relay->client);
	relay->client = -1;
}

/* Greet with what there was, as far as it is known. */
static void take_client(struct relay *relay, int fd)
{
	drop_client(relay);
	if (io_add(relay->io, fd, 0, client_event, relay)) {
		if (!relay->is_pty)
			close(fd);
		return;
	}
	relay->client = fd;
	relay->cursor = relay->head < RELAY_HISTORY ? 0 : relay->head - RELAY_HISTORY;
}

/* Keep len bytes of output; there is room for them before the client's cursor. */
static void remember(struct relay *relay, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		relay->history[relay->head++ % RELAY_HISTORY] = buf[i];
}

/* One piece of output from the terminal. False: there is none, or no room. */
static bool fetch(struct relay *relay)
{
	uint64_t behind = relay->client < 0 ? 0 : relay->head - relay->cursor;
	size_t room = RELAY_HISTORY - (size_t)behind;
	uint8_t buf[CHUNK];
	ssize_t n = 0;

	if (room)
		n = recv(relay->inner, buf, room < sizeof(buf) ? room : sizeof(buf), MSG_DONTWAIT);
	if (n <= 0)
		return false;
	remember(relay, buf, (size_t)n);
	return true;
}

/* One piece of output to the client. False: it takes no more now, or has it all. */
static bool show(struct relay *relay)
{
	size_t at = relay->cursor % RELAY_HISTORY;
	uint64_t len = relay->head - relay->cursor;
	ssize_t n;

	if (relay->client < 0 || !len)
		return false;
	if (len > RELAY_HISTORY - at)
		len = RELAY_HISTORY - at;
	n = write(relay->client, relay->history + at, (size_t)len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		drop_client(relay);
	if (n <= 0)
		return false;
	relay->cursor += (uint64_t)n;
	return true;
}

static void pass_output(struct relay *relay)
{
	while (show(relay) || fetch(relay))
		;
	update_events(relay);
}

/* What was typed goes to the terminal as it takes it. */
static void pass_input(struct relay *relay)
{
	ssize_t n;

	if (!relay->typed)
		return;
	n = send(relay->inner, relay->input, relay->typed, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return;
	relay->typed -= (size_t)n;
	memmove(relay->input, relay->input + n, relay->typed);
}

static void inner_event(void *opaque, int fd, short revents)
{
	struct relay *relay = opaque;

	(void)fd;
	(void)revents;
	pass_input(relay);
	pass_output(relay);
}

static void read_client(struct relay *relay)
{
	ssize_t n = read(relay->client, relay->input, sizeof(relay->input));

	if (n > 0)
		relay->typed = (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		drop_client(relay);
}

static void client_event(void *opaque, int fd, short revents)
{
	struct relay *relay = opaque;

	(void)fd;
	if (revents & (POLLIN | POLLHUP | POLLERR) && !relay->typed)
		read_client(relay);
	else if (revents & (POLLHUP | POLLERR))
		drop_client(relay);
	pass_input(relay);
	pass_output(relay);
}

static void listener_event(void *opaque, int fd, short revents)
{
	struct relay *relay = opaque;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	if (client >= 0)
		take_client(relay, client);
	pass_output(relay);
}

/* Has somebody opened the other side of the pseudoterminal? */
static void timer_event(void *opaque, int fd, short revents)
{
	struct relay *relay = opaque;
	struct pollfd master = {.fd = relay->listener};
	uint64_t expirations;

	(void)revents;
	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	if (relay->client < 0 && poll(&master, 1, 0) >= 0 && !(master.revents & POLLHUP))
		take_client(relay, relay->listener);
	pass_output(relay);
}

static struct relay *allocate(void)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int pair[2];

	if (!relay)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		free(relay);
		return NULL;
	}
	relay->inner = pair[0];
	relay->terminal = pair[1];
	relay->listener = relay->client = relay->timer = -1;
	return relay;
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
static int prepare_pty(struct relay *relay, const char *name)
{
	int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	const struct itimerspec period = {.it_interval = {.tv_nsec = PTY_CHECK_NS},
					  .it_value = {.tv_nsec = PTY_CHECK_NS}};
	int err;

	if (slave < 0)
		return -errno;
	err = set_raw(slave);
	close(slave);
	relay->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (relay->timer < 0 || timerfd_settime(relay->timer, 0, &period, NULL))
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

static int open_pty(struct relay *relay, const char *path)
{
	char name[64] = "";
	int err;

	relay->is_pty = true;
	relay->listener = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (relay->listener < 0 || grantpt(relay->listener) || unlockpt(relay->listener) ||
	    ptsname_r(relay->listener, name, sizeof(name)))
		return -errno;
	err = prepare_pty(relay, name) ?: link_pty(name, path);
	if (!err)
		log_notice("the guest's console is %s", name);
	return err;
}

struct relay *relay_create_pty(const char *path)
{
	struct relay *relay = allocate();
	int err = relay ? open_pty(relay, path) : -ENOMEM;

	if (!err)
		return relay;
	log_error("cannot make a pseudoterminal%s%s: %s", *path ? " at " : "", path,
		  strerror(-err));
	relay_destroy(relay);
	return NULL;
}

static int open_socket(struct relay *relay, const char *path)
{
	relay->listener = unix_listen(path, 1);
	return relay->listener < 0 ? relay->listener : 0;
}

struct relay *relay_create_socket(const char *path)
{
	struct relay *relay = allocate();
	int err = relay ? open_socket(relay, path) : -ENOMEM;

	if (!err)
		return relay;
	log_error("cannot make the console's socket '%s': %s", path, strerror(-err));
	relay_destroy(relay);
	return NULL;
}

int relay_terminal_fd(const struct relay *relay)
{
	return relay->terminal;
}

int relay_attach(struct relay *relay, struct io *io)
{
	int err = io_add(io, relay->inner, POLLIN, inner_event, relay);

	if (relay->is_pty)
		err = err ?: io_add(io, relay->timer, POLLIN, timer_event, relay);
	else
		err = err ?: io_add(io, relay->listener, POLLIN, listener_event, relay);
	relay->io = io;
	return err;
}

void relay_detach(struct relay *relay)
{
	struct io *io = relay->io;
	struct pollfd room;

	if (!io)
		return;
	pass_output(relay);
	room = (struct pollfd){.fd = relay->client, .events = POLLOUT};
	while (relay->client >= 0 && relay->cursor < relay->head &&
	       poll(&room, 1, LAST_WORDS_MS) > 0)
		pass_output(relay);
	drop_client(relay);
	io_remove(io, relay->inner);
	io_remove(io, relay->timer);
	io_remove(io, relay->listener);
	relay->io = NULL;
}

void relay_destroy(struct relay *relay)
{
	if (!relay)
		return;
	relay_detach(relay);
	if (relay->timer >= 0)
		close(relay->timer);
	if (relay->listener >= 0)
		close(relay->listener);
	close(relay->inner);
	close(relay->terminal);
	free(relay);
}
