/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files the loop tells of, and how long it looks on before it sleeps. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"

static struct io io;

static struct {
	unsigned int looks;
	unsigned int work_at; /* which look finds something; 0: none */
	unsigned int us;      /* that a look takes */
	bool armed;
} poller;

static bool look(void *opaque)
{
	(void)opaque;
	if (poller.us)
		usleep(poller.us);
	return ++poller.looks == poller.work_at;
}

/* Says that there is work, so that the loop does not sleep. */
static bool arm(void *opaque)
{
	(void)opaque;
	return poller.armed = true;
}

static int setup(void **state)
{
	static const struct io_poller_ops ops = {look, arm};

	(void)state;
	memset(&poller, 0, sizeof(poller));
	return io_init(&io, 10000000, 0) || io_add_poller(&io, &ops, NULL);
}

static int teardown(void **state)
{
	(void)state;
	io_remove_poller(&io, NULL);
	io_destroy(&io);
	return 0;
}

/* One turn just after work, after which it would look on for this long. */
static void turn(uint64_t spin_ns)
{
	poller.looks = 0;
	poller.armed = false;
	io.spin_ns = spin_ns;
	io.worked_at = clock_fast_ns(io.frequency);
	assert_int_equal(io_poll(&io), 0);
}

static void test_one_look_where_looking_on_does_not_pay(void **state)
{
	(void)state;
	turn(0);
	assert_int_equal(poller.looks, 1);
	assert_true(poller.armed);
}

static void test_work_is_found_while_it_looks_on(void **state)
{
	(void)state;
	poller.work_at = 200;
	/* This thread may lose its CPU, which ends a turn; not each time. */
	for (int i = 0; i < 100 && poller.looks != 200; i++)
		turn(1000000000);
	assert_int_equal(poller.looks, 200);
	assert_false(poller.armed);
}

static void test_looking_on_ends_in_time(void **state)
{
	(void)state;
	turn(50000);
	assert_true(poller.armed);
	assert_true(clock_fast_ns(io.frequency) - io.worked_at >= 50000);
}

static void test_looking_on_ends_where_another_has_the_cpu(void **state)
{
	uint64_t took;

	(void)state;
	poller.us = 1000;
	turn(60000000000);
	took = clock_fast_ns(io.frequency) - io.worked_at;
	assert_true(poller.armed);
	assert_true(took < 30000000000);
}

/* A file that is told of. */
struct told {
	int fd;
	unsigned int times;
	short revents;
	int remove; /* this one from then on no more; -1: all stay */
};

static void note(void *opaque, int fd, short revents)
{
	struct told *told = opaque;

	assert_int_equal(fd, told->fd);
	told->times++;
	told->revents = revents;
	if (told->remove >= 0)
		io_remove(&io, told->remove);
}

static void add(int fd, struct told *told)
{
	assert_true(fd >= 0);
	*told = (struct told){.fd = fd, .remove = -1};
	assert_int_equal(io_add(&io, fd, POLLIN, note, told), 0);
}

static void drop(const struct told *told)
{
	io_remove(&io, told->fd);
	close(told->fd);
}

static void test_what_is_waited_for_can_change(void **state)
{
	struct told file;

	(void)state;
	add(eventfd(1, EFD_NONBLOCK), &file);
	assert_int_equal(io_look(&io, 0), 1);
	assert_int_equal(file.revents, POLLIN);
	io_set_events(&io, file.fd, POLLOUT);
	assert_int_equal(io_look(&io, 0), 1);
	assert_int_equal(file.revents, POLLOUT);
	io_set_events(&io, file.fd, 0);
	assert_int_equal(io_look(&io, 0), 0);
	io_set_events(&io, file.fd, POLLIN | POLLOUT);
	assert_int_equal(io_look(&io, 0), 1);
	assert_int_equal(file.revents, POLLIN | POLLOUT);
	assert_int_equal(file.times, 3);
	drop(&file);
}

/* Whoever of two that are ready comes first removes the other. */
static void test_a_handler_may_remove_one_that_is_ready(void **state)
{
	struct told a, b;

	(void)state;
	add(eventfd(1, EFD_NONBLOCK), &a);
	add(eventfd(1, EFD_NONBLOCK), &b);
	a.remove = b.fd;
	b.remove = a.fd;
	assert_int_equal(io_look(&io, 0), 2);
	assert_int_equal(a.times + b.times, 1);
	assert_int_equal(io_look(&io, 0), 1);
	assert_int_equal(a.times + b.times, 2);
	drop(&a);
	drop(&b);
}

/* A hang-up is told of even where nothing is waited for. */
static void test_hang_up(void **state)
{
	struct told file;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	add(ends[0], &file);
	io_set_events(&io, file.fd, 0);
	assert_int_equal(io_look(&io, 0), 0);
	close(ends[1]);
	assert_int_equal(io_look(&io, 0), 1);
	assert_int_equal(file.revents, POLLHUP);
	drop(&file);
}

/* The kernel has no way to wait for a regular file; it is ready, and whoever waits is not kept from others. */
static void test_a_regular_file_is_always_ready(void **state)
{
	FILE *temporary = tmpfile();
	struct told file, other;

	(void)state;
	assert_non_null(temporary);
	add(dup(fileno(temporary)), &file);
	add(eventfd(1, EFD_NONBLOCK), &other);
	assert_int_equal(io_look(&io, -1), 2);
	assert_int_equal(file.revents, POLLIN);
	io_set_events(&io, file.fd, 0);
	assert_int_equal(io_look(&io, -1), 1);
	assert_int_equal(file.times, 1);
	assert_int_equal(other.times, 2);
	drop(&other);
	assert_int_equal(io_look(&io, 0), 0);
	io_set_events(&io, file.fd, POLLIN);
	assert_int_equal(io_look(&io, -1), 1);
	drop(&file);
	assert_int_equal(io_look(&io, 0), 0);
	fclose(temporary);
}

/* One call ends one sleep, also the next time. */
static void test_a_wake_up_ends_one_sleep(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		io_wake(&io);
		assert_int_equal(io_look(&io, 0), 0);
		io.sleeping = 1;
		io_wake(&io);
		io_wake(&io);
		assert_int_equal(io_look(&io, -1), 1);
		assert_int_equal(io_look(&io, 0), 0);
	}
	assert_int_equal(io.wake_ups, 3);
}

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_one_look_where_looking_on_does_not_pay),
		ROW(test_work_is_found_while_it_looks_on),
		ROW(test_looking_on_ends_in_time),
		ROW(test_looking_on_ends_where_another_has_the_cpu),
		ROW(test_what_is_waited_for_can_change),
		ROW(test_a_handler_may_remove_one_that_is_ready),
		ROW(test_hang_up),
		ROW(test_a_regular_file_is_always_ready),
		ROW(test_a_wake_up_ends_one_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
