/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console device (virtio 1.2, section 5.3): one port, the guest's console, with the size of the user's terminal. */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "dev/board.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

#define RX 0
#define TX 1

#define CHUNK 1024

struct vconsole {
	struct virtio virtio;
	struct virtio_console_config config;
	struct virtq_chain rx;
	struct virtq_chain tx;
	struct iov_cursor left; /* what the terminal has not taken of tx yet */
	bool tx_held;           /* tx is valid and not given back */
};

static struct vconsole *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct vconsole, virtio);
}

/* As much as the terminal takes. True: all of it. */
static bool write_held(struct vconsole *con)
{
	struct console *out = con->virtio.dev.vm->console;

	while (con->left.count) {
		const struct iovec *front = con->left.iov;
		size_t n = console_write(out, front->iov_base, front->iov_len);

		if (!n)
			return false;
		iov_skip(&con->left, n);
	}
	return true;
}

/* Backpressure: while the terminal is busy, the guest's buffers wait in the ring. */
static void send_output(struct vconsole *con)
{
	struct virtio *dev = &con->virtio;

	for (;;) {
		if (!con->tx_held) {
			if (!virtio_pop(dev, TX, &con->tx))
				break;
			con->left = virtq_out(&con->tx);
			con->tx_held = true;
		}
		if (!write_held(con))
			break;
		con->tx_held = false;
		virtio_push(dev, TX, con->tx.id, con->tx.slots, 0);
	}
	dev->queue[TX].wanted = !con->tx_held;
	virtio_signal(dev, TX);
}

/* Fill one buffer with what was typed. False: there is no buffer. */
static bool receive_some(struct vconsole *con, struct console *in)
{
	struct iov_cursor room;
	uint8_t typed[CHUNK];
	uint32_t done = 0;
	size_t n;

	if (!virtio_pop(&con->virtio, RX, &con->rx))
		return false;
	room = virtq_in(&con->rx);
	while ((n = iov_left(&room))) {
		n = console_read(in, typed, n < sizeof(typed) ? n : sizeof(typed));
		if (!n)
			break;
		done += (uint32_t)iov_write(&room, typed, n);
	}
	virtio_push(&con->virtio, RX, con->rx.id, con->rx.slots, done);
	return true;
}

static void receive_input(struct vconsole *con)
{
	struct console *in = con->virtio.dev.vm->console;

	/* A driver that gives buffers of no size gets them back and learns nothing. */
	while (console_read_pending(in) && receive_some(con, in))
		;
	/* Without input, new buffers are nothing to wake for. */
	con->virtio.queue[RX].wanted = console_read_pending(in) != 0;
	virtio_signal(&con->virtio, RX);
}

static void vconsole_kick(struct virtio *dev, unsigned int index)
{
	if (index == TX)
		send_output(from_virtio(dev));
	else
		receive_input(from_virtio(dev));
}

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
	if (changed)
		virtio_config_changed(dev);
}

/* The terminal has typed, taken output, or changed its size; on the I/O thread. */
static void console_changed(void *opaque)
{
	struct vconsole *con = opaque;

	update_size(con);
	if (con->virtio.queue[TX].active && con->tx_held)
		send_output(con);
	if (con->virtio.queue[RX].active)
		receive_input(con);
}

static void vconsole_start(struct virtio *dev)
{
	console_changed(from_virtio(dev));
}

static void vconsole_stop_queue(struct virtio *dev, unsigned int index)
{
	if (index == TX)
		from_virtio(dev)->tx_held = false;
}

/* Section 5.3.4: a character for emergencies, before there are queues. */
static void vconsole_write_config(struct virtio *dev, uint64_t off, unsigned int len, uint32_t val)
{
	uint8_t c = (uint8_t)val;

	if (off == offsetof(struct virtio_console_config, emerg_wr) && len == 4)
		console_write(dev->dev.vm->console, &c, 1);
}

static void vconsole_destroy(struct virtio *dev)
{
	console_set_listener(dev->dev.vm->console, NULL, NULL);
	free(from_virtio(dev));
}

static const struct virtio_ops vconsole_ops = {
	.name = "virtio-console",
	.start = vconsole_start,
	.stop_queue = vconsole_stop_queue,
	.kick = vconsole_kick,
	.write_config = vconsole_write_config,
	.destroy = vconsole_destroy,
};

int virtio_console_create(struct vm *vm)
{
	struct vconsole *con = calloc(1, sizeof(*con));
	struct virtio_init init;
	int err;

	if (!con)
		return -ENOMEM;
	init = (struct virtio_init){.ops = &vconsole_ops,
				    .id = VIRTIO_ID_CONSOLE,
				    .features = 1ULL << VIRTIO_CONSOLE_F_SIZE |
					    1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE,
				    .config = &con->config,
				    .config_size = sizeof(con->config),
				    .queue_count = 2};
	err = virtio_init(&con->virtio, vm, &init);
	if (err)
		free(con);
	else
		console_set_listener(vm->console, console_changed, con);
	return err;
}
