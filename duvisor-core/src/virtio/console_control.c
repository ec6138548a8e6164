/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control queues of the console device (virtio 1.2, section 5.3.6.2): which ports there are, and who is at either end. What
 * is owed to the driver are bits per port, made into messages as it gives buffers, so there is no list that could grow.
 * Messages of the driver that mean nothing change nothing.
 */
#include <string.h>

#include "console.h"
#include "log.h"
#include "virtio/console.h"

/* In the order in which they are sent: a name before somebody comes, and who has left before who is there now. */
enum owed { ADD, CONSOLE, RESIZE, NAME, CLOSE, OPEN, OWED_COUNT };
#define OWE(what) (1U << (what))

#define MAX_MESSAGES VIRTQ_MAX_SIZE /* at a turn */

struct message {
	struct virtio_console_control head;
	union {
		struct {
			uint16_t cols;
			uint16_t rows;
		} size;
		char name[VM_PORT_NAME_SIZE];
	};
};

static void owe(struct vport *port, uint32_t what)
{
	port->owed |= what;
	port->con->more = true;
}

void vport_arrived(struct vport *port)
{
	if (port->ready)
		owe(port, OWE(OPEN));
	port->con->more = true;
}

/* What the driver was not told need not be taken back. */
void vport_left(struct vport *port)
{
	bool untold = port->owed & OWE(OPEN);

	port->owed &= ~OWE(OPEN);
	if (port->ready && !untold)
		owe(port, OWE(CLOSE));
}

void vport_resized(struct vport *port)
{
	if (port->ready)
		owe(port, OWE(RESIZE));
}

bool vport_accepts(const struct vport *port)
{
	if (!vconsole_multiport(port->con))
		return !port->id;
	return port->ready && port->open && !(port->owed & (OWE(OPEN) | OWE(CLOSE)));
}

/* --- from the driver --- */

static void driver_ready(struct vconsole *con)
{
	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++)
		if (con->port[i])
			owe(con->port[i], OWE(ADD));
}

static void port_ready(struct vport *port, bool ready)
{
	port->ready = ready;
	port->owed = 0;
	if (!ready)
		return;
	owe(port, port->name ? OWE(NAME) : OWE(CONSOLE) | OWE(RESIZE));
	if (port->ops->attached(port))
		owe(port, OWE(OPEN));
}

static struct vport *find_port(struct vconsole *con, uint32_t id)
{
	return id < VCONSOLE_PORTS ? con->port[id] : NULL;
}

/* False: it means nothing. */
static bool take_message(struct vconsole *con, const struct virtio_console_control *message)
{
	struct vport *port = find_port(con, message->id);

	if (message->event == VIRTIO_CONSOLE_DEVICE_READY) {
		/* With 0 it has failed, and will reset us. */
		if (message->value)
			driver_ready(con);
		return true;
	}
	if (!port)
		return false;
	switch (message->event) {
	case VIRTIO_CONSOLE_PORT_READY:
		port_ready(port, message->value);
		return true;
	case VIRTIO_CONSOLE_PORT_OPEN:
		port->open = message->value;
		con->more = true;
		return true;
	default:
		return false;
	}
}

void vconsole_take_messages(struct vconsole *con)
{
	struct virtio *dev = &con->virtio;

	for (unsigned int i = 0; i < MAX_MESSAGES; i++) {
		struct virtio_console_control message;
		struct iov_cursor from;

		if (!virtio_pop(dev, VCONSOLE_CONTROL_TX, &con->chain))
			break;
		from = virtq_out(&con->chain);
		if (iov_read(&from, &message, sizeof(message)) != sizeof(message) ||
		    !take_message(con, &message))
			log_guest(&dev->dev.vm->log_limit, LOG_WARN,
				  "virtio-console: the guest's driver sent a control message that "
				  "means nothing");
		virtio_push(dev, VCONSOLE_CONTROL_TX, con->chain.id, con->chain.slots, 0);
	}
	virtio_signal(dev, VCONSOLE_CONTROL_TX);
}

/* --- to the driver --- */

/* Sets the rest of the message and returns its length. */
static size_t add_size(const struct vport *port, struct message *message)
{
	struct console_size size = console_get_size(port->con->virtio.dev.vm->console);

	message->size.cols = size.columns;
	message->size.rows = size.rows;
	return sizeof(message->size);
}

static size_t add_name(const struct vport *port, struct message *message)
{
	size_t len = strlen(port->name);

	memcpy(message->name, port->name, len);
	return len;
}

static size_t compose(const struct vport *port, enum owed what, struct message *message)
{
	static const struct {
		uint16_t event;
		uint16_t value;
		size_t (*add)(const struct vport *port, struct message *message);
	} kinds[OWED_COUNT] = {
		[ADD] = {VIRTIO_CONSOLE_PORT_ADD, 0, NULL},
		[CONSOLE] = {VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL},
		[RESIZE] = {VIRTIO_CONSOLE_RESIZE, 0, add_size},
		[NAME] = {VIRTIO_CONSOLE_PORT_NAME, 1, add_name},
		[CLOSE] = {VIRTIO_CONSOLE_PORT_OPEN, 0, NULL},
		[OPEN] = {VIRTIO_CONSOLE_PORT_OPEN, 1, NULL},
	};

	message->head = (struct virtio_console_control){
		.id = port->id, .event = kinds[what].event, .value = kinds[what].value};
	return sizeof(message->head) + (kinds[what].add ? kinds[what].add(port, message) : 0);
}

/* The first message that is owed of the port. False: there is no buffer for it. A buffer too small gets what fits. */
static bool send_message(struct vport *port)
{
	struct vconsole *con = port->con;
	enum owed what = (enum owed)__builtin_ctz(port->owed);
	struct message message;
	struct iov_cursor to;
	size_t len;

	if (!virtio_pop(&con->virtio, VCONSOLE_CONTROL_RX, &con->chain))
		return false;
	len = compose(port, what, &message);
	port->owed &= ~OWE(what);
	to = virtq_in(&con->chain);
	len = iov_write(&to, &message, len);
	virtio_push(&con->virtio, VCONSOLE_CONTROL_RX, con->chain.id, con->chain.slots,
		    (uint32_t)len);
	return true;
}

void vconsole_send_messages(struct vconsole *con)
{
	struct virtio *dev = &con->virtio;
	bool starved = false;

	if (!dev->queue[VCONSOLE_CONTROL_RX].active)
		return;
	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++)
		while (con->port[i] && con->port[i]->owed && !starved)
			starved = !send_message(con->port[i]);
	/* With nothing to say, new buffers are nothing to wake for. */
	dev->queue[VCONSOLE_CONTROL_RX].wanted = starved;
	virtio_signal(dev, VCONSOLE_CONTROL_RX);
}
