/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "console.h"

static bool readable(const struct console *con)
{
	struct pollfd p = {.fd = console_output_fd(con), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void count(void *opaque)
{
	++*(unsigned int *)opaque;
}

static void test_output(void **state)
{
	struct console *con = console_create();
	unsigned int events = 0;
	char buf[16];

	(void)state;
	console_set_listener(con, count, &events);
	assert_false(readable(con));
	assert_int_equal(console_write(con, "hello", 5), 5);
	assert_true(readable(con));
	assert_int_equal(console_fetch(con, buf, 3), 3);
	assert_memory_equal(buf, "hel", 3);
	assert_true(readable(con));
	assert_int_equal(console_fetch(con, buf, sizeof(buf)), 2);
	assert_int_equal(events, 2);
	/* Empty: armed again only now. */
	assert_int_equal(console_fetch(con, buf, sizeof(buf)), 0);
	assert_false(readable(con));
	assert_int_equal(console_write(con, "x", 1), 1);
	assert_true(readable(con));
	console_destroy(con);
}

static void test_full_output_refuses(void **state)
{
	struct console *con = console_create();
	size_t total = console_write_space(con);
	size_t taken = 0;
	char buf[1000];

	(void)state;
	memset(buf, 'a', sizeof(buf));
	for (size_t n = 1; n; taken += n)
		n = console_write(con, buf, sizeof(buf));
	assert_int_equal(taken, total);
	assert_int_equal(console_write_space(con), 0);
	assert_int_equal(console_fetch(con, buf, 10), 10);
	assert_int_equal(console_write(con, "0123456789AB", 12), 10);
	for (size_t n = 1; n; taken -= n)
		n = console_fetch(con, buf, sizeof(buf));
	assert_int_equal(taken, 0);
	console_destroy(con);
}

static void test_input(void **state)
{
	struct console *con = console_create();
	size_t space = console_feed_space(con);
	unsigned int events = 0;
	char buf[8];

	(void)state;
	console_set_listener(con, count, &events);
	assert_int_equal(console_read(con, buf, sizeof(buf)), 0);
	assert_int_equal(console_feed(con, "abc", 3), 3);
	assert_int_equal(events, 1);
	assert_int_equal(console_read_pending(con), 3);
	assert_int_equal(console_read(con, buf, 2), 2);
	assert_memory_equal(buf, "ab", 2);
	for (size_t i = 1; i < space; i++)
		assert_int_equal(console_feed(con, "z", 1), 1);
	assert_int_equal(console_feed(con, "z", 1), 0);
	assert_int_equal(console_feed_space(con), 0);
	assert_int_equal(console_read(con, buf, 1), 1);
	assert_int_equal(buf[0], 'c');
	console_destroy(con);
}

enum { STREAM = 1 << 20 };

static void *producer(void *arg)
{
	for (unsigned int i = 0; i < STREAM;) {
		unsigned char byte = (unsigned char)(i * 7 >> 3);

		i += (unsigned int)console_write(arg, &byte, 1);
	}
	return NULL;
}

/* No byte lost, none twice, and no sleep without a wake-up. */
static void test_stream_between_threads(void **state)
{
	struct console *con = console_create();
	pthread_t thread;
	unsigned int got = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, producer, con), 0);
	while (got < STREAM) {
		struct pollfd p = {.fd = console_output_fd(con), .events = POLLIN};
		unsigned char buf[333];
		size_t n;

		assert_int_equal(poll(&p, 1, 10000), 1);
		while ((n = console_fetch(con, buf, sizeof(buf))))
			for (size_t i = 0; i < n; i++, got++)
				assert_int_equal(buf[i], (unsigned char)(got * 7 >> 3));
	}
	pthread_join(thread, NULL);
	console_destroy(con);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_full_output_refuses),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_stream_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
