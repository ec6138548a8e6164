/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port with a name: the guest's end of a byte stream whose other end is an outlet on the host. Bytes go straight from the
 * guest's buffers to the client and back. What a client has said before it left still reaches the guest, and
 * until then the next one waits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "outlet.h"
#include "virtio/console.h"

struct stream {
	struct vport port;
	struct outlet outlet;
	bool here;     /* there is a client */
	bool readable; /* there may be something to read */
	bool ended;    /* the client will not write any more */
	bool hung_up;  /* it does not read any more either */
};

static struct stream *from_port(const struct vport *port)
{
	return container_of(port, struct stream, port);
}

static void set_here(struct stream *s, bool here)
{
	if (s->here)
		vport_left(&s->port);
	s->here = here;
	s->readable = s->hung_up = false;
	s->ended = !outlet_is_read(&s->outlet);
	if (here)
		vport_arrived(&s->port);
}

static void drop(struct stream *s)
{
	outlet_drop(&s->outlet);
	set_here(s, false);
}

/* What it has said is read to the end, and only then it is gone. */
static void hang_up(struct stream *s)
{
	s->hung_up = s->readable = true;
	if (s->ended || !outlet_has_rest(&s->outlet))
		drop(s);
	else
		outlet_unwatch(&s->outlet);
}

static size_t stream_write(struct vport *port, const void *buf, size_t len)
{
	struct stream *s = from_port(port);
	ssize_t n;

	if (!s->here || s->hung_up)
		return 0;
	n = write(s->outlet.client, buf, len);
	if (n > 0)
		return (size_t)n;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* Of a client this is its way to leave. */
		if (!outlet_is_read(&s->outlet))
			log_error("cannot write what the guest's port '%s' says: %s", port->name,
				  strerror(errno));
		hang_up(s);
	}
	return 0;
}

static size_t stream_read(struct vport *port, void *buf, size_t len)
{
	struct stream *s = from_port(port);
	ssize_t n = s->readable ? read(s->outlet.client, buf, len) : 0;

	if (n > 0 || !s->readable)
		return (size_t)n;
	s->readable = n < 0 && errno == EINTR;
	s->ended |= !n || (errno != EAGAIN && errno != EINTR);
	if (s->hung_up && !s->readable)
		drop(s);
	return 0;
}

static bool stream_readable(const struct vport *port)
{
	return from_port(port)->readable;
}

static bool stream_attached(const struct vport *port)
{
	return from_port(port)->here;
}

static void stream_wait(struct vport *port, bool input, bool room)
{
	struct stream *s = from_port(port);

	outlet_set_events(&s->outlet, (input && !s->ended ? POLLIN : 0) | (room ? POLLOUT : 0));
}

static void stream_destroy(struct vport *port)
{
	struct stream *s = from_port(port);

	outlet_close(&s->outlet);
	free(s);
}

static const struct vport_ops stream_ops = {
	.write = stream_write,
	.read = stream_read,
	.readable = stream_readable,
	.attached = stream_attached,
	.wait = stream_wait,
	.destroy = stream_destroy,
};

static void client_arrived(void *opaque)
{
	struct stream *s = opaque;

	set_here(s, true);
}

static void client_event(void *opaque, short revents)
{
	struct stream *s = opaque;

	s->readable |= revents & POLLIN;
	if (revents & (POLLHUP | POLLERR))
		hang_up(s);
	vport_pump(&s->port);
}

static const struct outlet_ops outlet_ops = {.arrived = client_arrived, .event = client_event};

static int open_outlet(struct stream *s, const struct vm_port *config)
{
	char who[VM_PORT_NAME_SIZE + 32];

	snprintf(who, sizeof(who), "the guest's port '%s'", config->name);
	switch (config->place.end) {
	case VM_CONSOLE_PTY:
		return outlet_open_pty(&s->outlet, who, config->place.path);
	case VM_CONSOLE_SOCKET:
		return outlet_open_socket(&s->outlet, who, config->place.path);
	case VM_CONSOLE_FILE:
		return outlet_open_file(&s->outlet, who, config->place.path);
	default:
		return -1; /* the command line has no such port */
	}
}

int vport_create(struct vconsole *con, unsigned int id, const struct vm_port *config)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->port = (struct vport){.con = con, .id = id, .ops = &stream_ops, .name = config->name};
	con->port[id] = &s->port;
	outlet_init(&s->outlet, &outlet_ops, s);
	if (open_outlet(s, config))
		return VM_EXIT_USAGE;
	return outlet_attach(&s->outlet, &con->virtio.dev.vm->io);
}
