/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the loop looks on before it sleeps. */
#include "unit.h"

#include <string.h>
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

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_one_look_where_looking_on_does_not_pay),
		ROW(test_work_is_found_while_it_looks_on),
		ROW(test_looking_on_ends_in_time),
		ROW(test_looking_on_ends_where_another_has_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
