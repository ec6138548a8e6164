/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_command.h"
#include "io.h"
#include "log.h"
#include "quit.h"
#include "types.h"
#include "unix_socket.h"
#include "vm.h"

static const char too_long[] = "{\"ok\":false,\"error\":\"the line is too long\"}\n";

struct client {
	struct control *control;
	int fd; /* -1: none */
	uint64_t heard_at;
	bool ended;    /* nothing is read any more; it goes when it has the answer */
	size_t have;   /* bytes in line */
	size_t unsent; /* bytes of the answer, from sent */
	size_t sent;
	char line[CONTROL_LINE + 1];
	char answer[CONTROL_LINE + 1];
};

struct control {
	struct control_context context;
	struct quit quit;
	int listener;
	uint64_t heard; /* counts what was heard of all clients */
	struct client client[CONTROL_CLIENTS];
};

static struct io *io_of(const struct control *control)
{
	return &control->context.vm->io;
}

static void drop(struct client *client)
{
	io_remove(io_of(client->control), client->fd);
	close(client->fd);
	client->fd = -1;
}

/* False: the client takes no more now, or is gone. */
static bool flush(struct client *client)
{
	ssize_t n = 0;

	while (client->unsent && n >= 0) {
		n = send(client->fd, client->answer + client->sent, client->unsent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			drop(client);
		if (n > 0) {
			client->sent += (size_t)n;
			client->unsent -= (size_t)n;
		}
	}
	return !client->unsent;
}

static void set_answer(struct client *client, size_t len)
{
	client->sent = 0;
	client->unsent = len;
}

/* Answer the first whole line. False: there is none. */
static bool answer_line(struct client *client)
{
	struct control *control = client->control;
	char *end = memchr(client->line, '\n', client->have);
	size_t len = end ? (size_t)(end - client->line) : 0;

	if (!end)
		return false;
	set_answer(client, control_answer(&control->context, client->line, len, client->answer));
	client->have -= len + 1;
	memmove(client->line, end + 1, client->have);
	return true;
}

/* A line that has filled its buffer will not become a good one. */
static void give_up(struct client *client)
{
	memcpy(client->answer, too_long, sizeof(too_long));
	set_answer(client, sizeof(too_long) - 1);
	client->have = 0;
	client->ended = true;
}

/* Answers to all that is there, as far as the client takes them. */
static void serve(struct client *client)
{
	struct control *control = client->control;

	while (flush(client)) {
		if (answer_line(client))
			continue;
		if (client->have < CONTROL_LINE)
			break;
		give_up(client);
	}
	/* It has its answer, or at least what its socket takes. */
	if (control->context.stop)
		quit_now(&control->quit);
	if (client->fd < 0)
		return;
	if (client->ended && !client->unsent)
		drop(client);
	else
		io_set_events(io_of(control), client->fd, client->unsent ? POLLOUT : POLLIN);
}

static void hear(struct client *client)
{
	ssize_t n = recv(client->fd, client->line + client->have, CONTROL_LINE - client->have,
			 MSG_DONTWAIT);

	client->heard_at = ++client->control->heard;
	if (n > 0)
		client->have += (size_t)n;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		client->ended = true;
}

static void client_event(void *opaque, int fd, short revents)
{
	struct client *client = opaque;

	(void)fd;
	(void)revents;
	if (!client->unsent && !client->ended)
		hear(client);
	serve(client);
}

/* A place for a new one. */
static struct client *make_room(struct control *control)
{
	struct client *quietest = &control->client[0];

	for (size_t i = 0; i < ARRAY_SIZE(control->client); i++) {
		struct client *client = &control->client[i];

		if (client->fd < 0)
			return client;
		if (client->heard_at < quietest->heard_at)
			quietest = client;
	}
	drop(quietest);
	return quietest;
}

static void listener_event(void *opaque, int fd, short revents)
{
	struct control *control = opaque;
	int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	(void)revents;
	if (accepted < 0)
		return;
	client = make_room(control);
	client->ended = false;
	client->have = client->unsent = 0;
	client->heard_at = ++control->heard;
	if (io_add(io_of(control), accepted, POLLIN, client_event, client))
		close(accepted);
	else
		client->fd = accepted;
}

struct control *control_create(const char *path, const char *name)
{
	struct control *control = calloc(1, sizeof(*control));
	int err = control ? 0 : -ENOMEM;

	if (control) {
		control->context.name = name;
		control->quit.fd = -1;
		control->listener = unix_listen(path, CONTROL_CLIENTS);
		for (size_t i = 0; i < ARRAY_SIZE(control->client); i++)
			control->client[i] = (struct client){.control = control, .fd = -1};
		err = control->listener < 0 ? control->listener : 0;
	}
	if (!err)
		return control;
	log_error("cannot make the control socket '%s': %s", path, strerror(-err));
	free(control);
	return NULL;
}

int control_attach(struct control *control, struct vm *vm)
{
	control->context.vm = vm;
	return quit_attach(&control->quit, vm)
		?: io_add(&vm->io, control->listener, POLLIN, listener_event, control);
}

void control_detach(struct control *control)
{
	if (!control->context.vm)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(control->client); i++)
		if (control->client[i].fd >= 0)
			drop(&control->client[i]);
	io_remove(io_of(control), control->listener);
	quit_detach(&control->quit);
	control->context.vm = NULL;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	control_detach(control);
	close(control->listener);
	free(control);
}
