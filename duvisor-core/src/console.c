/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define OUTPUT_SIZE 16384
#define INPUT_SIZE 4096

/* Free-running counters: head - tail bytes are in the ring. Sizes are powers of two. */
struct ring {
	size_t head;
	size_t tail;
	size_t size;
	uint8_t *data;
};

struct console {
	pthread_mutex_t lock; /* protects all that follows, but never held for more than a copy */
	struct ring output;
	struct ring input;
	struct console_size size;
	bool armed;   /* the terminal waits for output_fd */
	bool starved; /* it had more input than there was room for */
	int output_fd;
	void (*listener)(void *opaque);
	void *listener_opaque;
	uint8_t output_data[OUTPUT_SIZE];
	uint8_t input_data[INPUT_SIZE];
};

static size_t ring_used(const struct ring *ring)
{
	return ring->head - ring->tail;
}

static size_t ring_space(const struct ring *ring)
{
	return ring->size - ring_used(ring);
}

static size_t ring_put(struct ring *ring, const uint8_t *buf, size_t len)
{
	if (len > ring_space(ring))
		len = ring_space(ring);
	for (size_t i = 0; i < len; i++)
		ring->data[ring->head++ & (ring->size - 1)] = buf[i];
	return len;
}

static size_t ring_get(struct ring *ring, uint8_t *buf, size_t len)
{
	if (len > ring_used(ring))
		len = ring_used(ring);
	for (size_t i = 0; i < len; i++)
		buf[i] = ring->data[ring->tail++ & (ring->size - 1)];
	return len;
}

struct console *console_create(void)
{
	struct console *con = calloc(1, sizeof(*con));

	if (!con)
		return NULL;
	con->output_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (con->output_fd < 0) {
		free(con);
		return NULL;
	}
	pthread_mutex_init(&con->lock, NULL);
	con->output = (struct ring){.size = OUTPUT_SIZE, .data = con->output_data};
	con->input = (struct ring){.size = INPUT_SIZE, .data = con->input_data};
	con->armed = true;
	return con;
}

void console_destroy(struct console *con)
{
	if (!con)
		return;
	close(con->output_fd);
	pthread_mutex_destroy(&con->lock);
	free(con);
}

size_t console_write(struct console *con, const void *buf, size_t len)
{
	bool wake;

	pthread_mutex_lock(&con->lock);
	len = ring_put(&con->output, buf, len);
	wake = con->armed && len;
	if (wake)
		con->armed = false;
	pthread_mutex_unlock(&con->lock);
	/* Only the first byte after a pause costs a system call. */
	if (wake)
		eventfd_write(con->output_fd, 1);
	return len;
}

size_t console_write_space(struct console *con)
{
	size_t space;

	pthread_mutex_lock(&con->lock);
	space = ring_space(&con->output);
	pthread_mutex_unlock(&con->lock);
	return space;
}

size_t console_read(struct console *con, void *buf, size_t len)
{
	bool wake;

	pthread_mutex_lock(&con->lock);
	len = ring_get(&con->input, buf, len);
	wake = con->starved && con->armed && len;
	if (wake)
		con->armed = con->starved = false;
	pthread_mutex_unlock(&con->lock);
	if (wake)
		eventfd_write(con->output_fd, 1);
	return len;
}

size_t console_read_pending(struct console *con)
{
	size_t used;

	pthread_mutex_lock(&con->lock);
	used = ring_used(&con->input);
	pthread_mutex_unlock(&con->lock);
	return used;
}

void console_set_listener(struct console *con, void (*fn)(void *opaque), void *opaque)
{
	con->listener = fn;
	con->listener_opaque = opaque;
}

static void notify(struct console *con)
{
	if (con->listener)
		con->listener(con->listener_opaque);
}

struct console_size console_get_size(struct console *con)
{
	struct console_size size;

	pthread_mutex_lock(&con->lock);
	size = con->size;
	pthread_mutex_unlock(&con->lock);
	return size;
}

void console_set_size(struct console *con, struct console_size size)
{
	pthread_mutex_lock(&con->lock);
	con->size = size;
	pthread_mutex_unlock(&con->lock);
	notify(con);
}

int console_output_fd(const struct console *con)
{
	return con->output_fd;
}

size_t console_fetch(struct console *con, void *buf, size_t len)
{
	eventfd_t ignored;

	pthread_mutex_lock(&con->lock);
	len = ring_get(&con->output, buf, len);
	if (!len && !con->armed) {
		/* Emptied under the lock: whoever writes next finds it armed and wakes us. */
		eventfd_read(con->output_fd, &ignored);
		con->armed = true;
	}
	pthread_mutex_unlock(&con->lock);
	if (len)
		notify(con);
	return len;
}

size_t console_feed(struct console *con, const void *buf, size_t len)
{
	pthread_mutex_lock(&con->lock);
	len = ring_put(&con->input, buf, len);
	pthread_mutex_unlock(&con->lock);
	if (len)
		notify(con);
	return len;
}

size_t console_feed_space(struct console *con)
{
	size_t space;

	pthread_mutex_lock(&con->lock);
	space = ring_space(&con->input);
	con->starved = !space;
	pthread_mutex_unlock(&con->lock);
	return space;
}
