/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console device (virtio 1.2, section 5.3): the guest's console, with the size of the user's terminal, and ports with names.
 * With names it has several ports, of which the first stays the console's place also where there is none.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "dev/board.h"
#include "virtio/console.h"

/* What one port may move at a turn. */
#define MAX_BYTES 262144
#define MAX_CHAINS VIRTQ_MAX_SIZE

static struct vconsole *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct vconsole, virtio);
}

/* --- data --- */

/* What is left of the held buffer, as far as it is taken; how much that was. */
static size_t write_held(struct vport *port, size_t limit)
{
	size_t done = 0;

	while (port->left.count && done < limit) {
		const struct iovec *front = port->left.iov;
		size_t len = front->iov_len < limit - done ? front->iov_len : limit - done;
		size_t n = port->ops->write(port, front->iov_base, len);

		if (!n)
			break;
		iov_skip(&port->left, n);
		done += n;
	}
	return done;
}

static bool hold_next(struct vport *port)
{
	if (port->tx_held)
		return true;
	if (!virtio_pop(&port->con->virtio, vport_tx(port), &port->tx))
		return false;
	port->left = virtq_out(&port->tx);
	port->tx_held = true;
	return true;
}

/* Backpressure: while nobody takes them, the guest's buffers wait in the ring. */
static void send_output(struct vport *port)
{
	struct virtio *dev = &port->con->virtio;
	size_t room = MAX_BYTES;

	for (unsigned int i = 0; i < MAX_CHAINS && hold_next(port); i++) {
		room -= write_held(port, room);
		if (port->left.count)
			break;
		port->tx_held = false;
		virtio_push(dev, vport_tx(port), port->tx.id, port->tx.slots, 0);
	}
	port->con->more |= !room;
	dev->queue[vport_tx(port)].wanted = !port->tx_held;
	virtio_signal(dev, vport_tx(port));
}

/* Fill one buffer with what there is. False: there is no buffer, or nothing after all. */
static bool receive_some(struct vport *port)
{
	struct vconsole *con = port->con;
	struct virtio *dev = &con->virtio;
	unsigned int queue = vport_rx(port);
	struct iov_cursor room;
	uint32_t done = 0;

	if (!virtio_pop(dev, queue, &con->chain))
		return false;
	room = virtq_in(&con->chain);
	while (room.count && done < MAX_BYTES) {
		size_t len = room.iov->iov_len < MAX_BYTES ? room.iov->iov_len : MAX_BYTES;
		size_t n = port->ops->read(port, room.iov->iov_base, len);

		if (!n)
			break;
		iov_skip(&room, n);
		done += (uint32_t)n;
	}
	if (!done && room.count) {
		virtq_unpop(&dev->queue[queue].vq, &con->chain);
		return false;
	}
	/* A driver that gives buffers of no size gets them back and learns nothing. */
	virtio_push(dev, queue, con->chain.id, con->chain.slots, done);
	return true;
}

static void receive_input(struct vport *port)
{
	struct virtio *dev = &port->con->virtio;
	bool accepts = vport_accepts(port);

	for (unsigned int i = 0; i < MAX_CHAINS && accepts && port->ops->readable(port); i++)
		if (!receive_some(port))
			break;
	/* Without input, new buffers are nothing to wake for. */
	dev->queue[vport_rx(port)].wanted = accepts && port->ops->readable(port);
	virtio_signal(dev, vport_rx(port));
}

void vport_pump(struct vport *port)
{
	const struct virtio_queue *queue = port->con->virtio.queue;
	bool input;

	if (queue[vport_tx(port)].active)
		send_output(port);
	if (queue[vport_rx(port)].active)
		receive_input(port);
	input = queue[vport_rx(port)].active && vport_accepts(port);
	port->ops->wait(port, input && !port->ops->readable(port), port->tx_held);
}

static void pump_all(struct vconsole *con)
{
	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++)
		if (con->port[i])
			vport_pump(con->port[i]);
}

/* --- the port that is the guest's console --- */

static struct console *console_of(const struct vport *port)
{
	return port->con->virtio.dev.vm->console;
}

static size_t terminal_write(struct vport *port, const void *buf, size_t len)
{
	return console_write(console_of(port), buf, len);
}

static size_t terminal_read(struct vport *port, void *buf, size_t len)
{
	return console_read(console_of(port), buf, len);
}

static bool terminal_readable(const struct vport *port)
{
	return console_read_pending(console_of(port)) != 0;
}

static bool terminal_attached(const struct vport *port)
{
	(void)port;
	return true;
}

/* console_changed() is called in any case. */
static void terminal_wait(struct vport *port, bool input, bool room)
{
	(void)port;
	(void)input;
	(void)room;
}

static void terminal_destroy_port(struct vport *port)
{
	console_set_listener(console_of(port), NULL, NULL);
}

static const struct vport_ops terminal_ops = {
	.write = terminal_write,
	.read = terminal_read,
	.readable = terminal_readable,
	.attached = terminal_attached,
	.wait = terminal_wait,
	.destroy = terminal_destroy_port,
};

static void update_size(struct vconsole *con)
{
	struct console_size size = console_get_size(con->virtio.dev.vm->console);
	struct virtio *dev = &con->virtio;
	bool changed;

	pthread_mutex_lock(&dev->lock);
	changed = con->config.cols != size.columns || con->config.rows != size.rows;
	con->config.cols = size.columns;
	con->config.rows = size.rows;
	pthread_mutex_unlock(&dev->lock);
	if (!changed)
		return;
	virtio_config_changed(dev);
	vport_resized(&con->console);
}

/* The terminal has typed, taken output, or changed its size; on the I/O thread. */
static void console_changed(void *opaque)
{
	struct vconsole *con = opaque;

	update_size(con);
	vport_pump(&con->console);
}

/* --- the device --- */

static void vconsole_kick(struct virtio *dev, unsigned int index)
{
	struct vconsole *con = from_virtio(dev);
	struct vport *port;

	if (index == VCONSOLE_CONTROL_TX) {
		vconsole_take_messages(con);
		return;
	}
	if (index == VCONSOLE_CONTROL_RX) {
		vconsole_send_messages(con);
		con->more = true; /* who has been told of a client may get what it says */
		return;
	}
	port = con->port[index < VCONSOLE_CONTROL_RX ? 0 : index / 2 - 1];
	if (port)
		vport_pump(port);
	else
		dev->queue[index].wanted = false; /* the console's, and there is none */
}

static bool vconsole_poll(struct virtio *dev)
{
	struct vconsole *con = from_virtio(dev);

	if (!con->more)
		return false;
	con->more = false;
	if (con->port[0])
		update_size(con);
	if (vconsole_multiport(con))
		vconsole_send_messages(con);
	pump_all(con);
	return true;
}

static void vconsole_start(struct virtio *dev)
{
	from_virtio(dev)->more = true;
}

static void vconsole_stop_queue(struct virtio *dev, unsigned int index)
{
	struct vconsole *con = from_virtio(dev);

	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++)
		if (con->port[i] && index == vport_tx(con->port[i]))
			con->port[i]->tx_held = false;
	con->more = true; /* do not wait for what this queue was for */
}

/* The driver that knew of the ports is gone. */
static void vconsole_reset(struct virtio *dev)
{
	struct vconsole *con = from_virtio(dev);

	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++) {
		struct vport *port = con->port[i];

		if (!port)
			continue;
		port->ready = port->open = false;
		port->owed = 0;
	}
	con->more = true;
}

/* Section 5.3.4: a character for emergencies, before there are queues. */
static void vconsole_write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	uint8_t c = (uint8_t)val;

	if (from_virtio(dev)->port[0] && len == 4 &&
	    off == offsetof(struct virtio_console_config, emerg_wr))
		console_write(dev->dev.vm->console, &c, 1);
}

static void vconsole_destroy(struct virtio *dev)
{
	struct vconsole *con = from_virtio(dev);

	for (unsigned int i = 0; i < VCONSOLE_PORTS; i++)
		if (con->port[i])
			con->port[i]->ops->destroy(con->port[i]);
	free(con);
}

static const struct virtio_ops vconsole_ops = {
	.name = "virtio-console",
	.start = vconsole_start,
	.stop_queue = vconsole_stop_queue,
	.kick = vconsole_kick,
	.poll = vconsole_poll,
	.write_config = vconsole_write_config,
	.reset = vconsole_reset,
	.destroy = vconsole_destroy,
};

static void add_console(struct vconsole *con)
{
	con->console = (struct vport){.con = con, .ops = &terminal_ops};
	con->port[0] = &con->console;
	console_set_listener(con->virtio.dev.vm->console, console_changed, con);
}

static int add_ports(struct vconsole *con, const struct vm_config *config)
{
	int err = 0;

	if (config->virtio_console)
		add_console(con);
	for (unsigned int i = 0; !err && i < config->port_count; i++)
		err = vport_create(con, 1 + i, &config->port[i]);
	return err;
}

static int init(struct vconsole *con, struct vm *vm)
{
	const struct vm_config *config = vm->config;
	struct virtio_init init = {.ops = &vconsole_ops,
				   .id = VIRTIO_ID_CONSOLE,
				   .config = &con->config,
				   .config_size = sizeof(con->config),
				   .queue_count = 2};

	if (config->virtio_console)
		init.features |=
			1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE;
	if (config->port_count) {
		init.features |= 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
		init.queue_count = 4 + 2 * config->port_count;
		con->config.max_nr_ports = 1 + config->port_count;
	}
	return add_ports(con, config) ?: virtio_init(&con->virtio, vm, &init);
}

int virtio_console_create(struct vm *vm)
{
	struct vconsole *con = calloc(1, sizeof(*con));
	int err;

	if (!con)
		return -ENOMEM;
	con->virtio.dev.vm = vm;
	err = init(con, vm);
	if (err)
		vconsole_destroy(&con->virtio);
	return err;
}
