/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "outlet.h"
#include "types.h"

#define CHUNK 4096
#define LAST_WORDS_MS 2000
#define WHO "the guest's console"

struct relay {
	struct io *io; /* NULL: not attached */
	int inner;     /* our end of the pair */
	int terminal;  /* the other one */
	struct outlet outlet;
	uint64_t head;   /* bytes of output so far; the last of them are in history */
	uint64_t cursor; /* how many of them the client has */
	size_t typed;    /* bytes of input that the terminal has not taken */
	uint8_t input[CHUNK];
	uint8_t history[RELAY_HISTORY];
};

static bool has_client(const struct relay *relay)
{
	return relay->outlet.client >= 0;
}

static void update_events(struct relay *relay)
{
	bool room = !has_client(relay) || relay->head - relay->cursor < RELAY_HISTORY;
	short events = relay->typed ? 0 : POLLIN;

	if (!relay->io)
		return;
	io_set_events(relay->io, relay->inner, (room ? POLLIN : 0) | (relay->typed ? POLLOUT : 0));
	if (relay->cursor < relay->head)
		events |= POLLOUT;
	outlet_set_events(&relay->outlet, events);
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
	uint64_t behind = !has_client(relay) ? 0 : relay->head - relay->cursor;
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

	if (!has_client(relay) || !len)
		return false;
	if (len > RELAY_HISTORY - at)
		len = RELAY_HISTORY - at;
	n = write(relay->outlet.client, relay->history + at, (size_t)len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		outlet_drop(&relay->outlet);
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
	ssize_t n = read(relay->outlet.client, relay->input, sizeof(relay->input));

	if (n > 0)
		relay->typed = (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		outlet_drop(&relay->outlet);
}

static void client_event(void *opaque, short revents)
{
	struct relay *relay = opaque;

	if (revents & (POLLIN | POLLHUP | POLLERR) && !relay->typed)
		read_client(relay);
	else if (revents & (POLLHUP | POLLERR))
		outlet_drop(&relay->outlet);
	pass_input(relay);
	pass_output(relay);
}

/* Greet with what there was, as far as it is known. */
static void client_arrived(void *opaque)
{
	struct relay *relay = opaque;

	relay->cursor = relay->head < RELAY_HISTORY ? 0 : relay->head - RELAY_HISTORY;
	pass_output(relay);
}

static const struct outlet_ops outlet_ops = {.arrived = client_arrived, .event = client_event};

static struct relay *allocate(void)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int pair[2];

	if (!relay || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		log_error("cannot set up %s: %s", WHO, strerror(errno));
		free(relay);
		return NULL;
	}
	relay->inner = pair[0];
	relay->terminal = pair[1];
	outlet_init(&relay->outlet, &outlet_ops, relay);
	return relay;
}

typedef int open_fn(struct outlet *outlet, const char *who, const char *path);

static struct relay *create(open_fn *open, const char *path)
{
	struct relay *relay = allocate();

	if (!relay || !open(&relay->outlet, WHO, path))
		return relay;
	relay_destroy(relay);
	return NULL;
}

struct relay *relay_create_pty(const char *path)
{
	return create(outlet_open_pty, path);
}

struct relay *relay_create_socket(const char *path)
{
	return create(outlet_open_socket, path);
}

int relay_terminal_fd(const struct relay *relay)
{
	return relay->terminal;
}

int relay_attach(struct relay *relay, struct io *io)
{
	int err = io_add(io, relay->inner, POLLIN, inner_event, relay);

	relay->io = io;
	return err ?: outlet_attach(&relay->outlet, io);
}

void relay_detach(struct relay *relay)
{
	struct pollfd room;

	if (!relay->io)
		return;
	pass_output(relay);
	room = (struct pollfd){.fd = relay->outlet.client, .events = POLLOUT};
	while (has_client(relay) && relay->cursor < relay->head &&
	       poll(&room, 1, LAST_WORDS_MS) > 0)
		pass_output(relay);
	outlet_detach(&relay->outlet);
	io_remove(relay->io, relay->inner);
	relay->io = NULL;
}

void relay_destroy(struct relay *relay)
{
	if (!relay)
		return;
	relay_detach(relay);
	outlet_close(&relay->outlet);
	close(relay->inner);
	close(relay->terminal);
	free(relay);
}
