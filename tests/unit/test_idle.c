/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Idle policies: how long a vCPU polls, what it learns, when WFI makes an exit. */
#include "fake_vm.h"

#include <pthread.h>
#include <unistd.h>

#define TICKS_PER_US (FAKE_FREQUENCY / 1000000)

static struct fake_vm f;
static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_setup(&f, 1);
	f.config.idle = IDLE_POLL;
	vcpu = fake_vm_boot(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_teardown(&f);
	return 0;
}

static _Atomic bool awake;

/* Another thread plays the vCPU's; the clock stands still unless a test moves it. */
static void *wait_once(void *unused)
{
	hart_write_huvsie(0);
	vcpu_wait_for_interrupt(vcpu);
	awake = true;
	return unused;
}

static pthread_t start_waiting(void)
{
	pthread_t thread;

	awake = false;
	assert_int_equal(pthread_create(&thread, NULL, wait_once, NULL), 0);
	return thread;
}

static void expect_asleep(void)
{
	for (int i = 0; !vcpu->sleeping && i < 5000; i++)
		usleep(1000);
	assert_int_equal(vcpu->sleeping, 1);
	usleep(20000);
	assert_false(awake);
}

static void expect_polling(void)
{
	usleep(50000);
	assert_int_equal(vcpu->sleeping, 0);
	assert_false(awake);
}

static pthread_t start_polling(unsigned int window_us)
{
	pthread_t thread;

	vcpu->idle.window = window_us * TICKS_PER_US;
	thread = start_waiting();
	expect_polling();
	return thread;
}

static void wake(pthread_t thread)
{
	vcpu_kick(vcpu, VCPU_REQ_FENCE);
	pthread_join(thread, NULL);
	vcpu->request = 0;
}

static void test_first_wait_sleeps(void **state)
{
	pthread_t thread = start_waiting();

	(void)state;
	expect_asleep();
	wake(thread);
	/* It was short, so the next one polls. */
	assert_int_equal(vcpu->idle.window, 10 * TICKS_PER_US);
}

static void test_polls_until_something_comes(void **state)
{
	(void)state;
	wake(start_polling(10));
	assert_int_equal(vcpu->idle.window, 10 * TICKS_PER_US);
}

static void test_sleeps_when_the_window_is_over(void **state)
{
	pthread_t thread = start_polling(10);

	(void)state;
	/* However late it began to poll. */
	for (uint64_t us = 10; !vcpu->sleeping && us < 50000; us += 10) {
		hart_fake_set_time(us * TICKS_PER_US);
		usleep(1000);
	}
	expect_asleep();
	wake(thread);
}

static void test_sleeps_when_it_was_off_the_hart(void **state)
{
	pthread_t thread = start_polling(400);

	(void)state;
	hart_fake_set_time(50 * TICKS_PER_US); /* as an interrupt of the host takes */
	expect_polling();
	hart_fake_set_time(200 * TICKS_PER_US);
	expect_asleep();
	wake(thread);
}

/* Where to wake a thread takes long, it polls for longer, and long waits are longer, too. */
static void test_learns_from_waits(void **state)
{
	static const struct {
		unsigned int wake_up_us;
		unsigned int window_us;
		unsigned int waited_us;
		unsigned int learned_us;
	} rows[] = {
		{0, 0, 5, 10},        {0, 10, 5, 10},       {0, 10, 10, 20},
		{0, 80, 500, 160},    {0, 80, 501, 40},     {0, 20, 501, 10},
		{0, 10, 501, 0},      {0, 0, 1000000, 0},   {1, 0, 5, 10},
		{1, 80, 501, 40},     {200, 0, 5, 200},     {200, 0, 800, 200},
		{200, 300, 800, 600}, {200, 600, 700, 800}, {200, 800, 801, 400},
		{200, 200, 801, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu->idle.wake_up = rows[i].wake_up_us * TICKS_PER_US;
		vcpu->idle.window = rows[i].window_us * TICKS_PER_US;
		hart_fake_set_time(rows[i].waited_us * TICKS_PER_US);
		idle_learn(vcpu, 0);
		assert_int_equal(vcpu->idle.window, rows[i].learned_us * TICKS_PER_US);
	}
}

static void test_window_is_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		hart_fake_set_time(300 * TICKS_PER_US);
		idle_learn(vcpu, 0);
		assert_in_range(vcpu->idle.window, 1, 500 * TICKS_PER_US);
	}
	assert_int_equal(vcpu->idle.window, 320 * TICKS_PER_US);
	hart_fake_set_time(500 * TICKS_PER_US);
	idle_learn(vcpu, 0);
	assert_int_equal(vcpu->idle.window, 500 * TICKS_PER_US);
}

static void test_a_wake_up_is_a_mean(void **state)
{
	(void)state;
	idle_woken(vcpu, 80 * TICKS_PER_US);
	assert_int_equal(vcpu->idle.wake_up, 10 * TICKS_PER_US);
	for (int i = 0; i < 100; i++)
		idle_woken(vcpu, 80 * TICKS_PER_US);
	assert_in_range(vcpu->idle.wake_up, 79 * TICKS_PER_US, 80 * TICKS_PER_US);
	/* The machine was suspended. */
	for (int i = 0; i < 100; i++)
		idle_woken(vcpu, 1000000000ULL * TICKS_PER_US);
	assert_in_range(vcpu->idle.wake_up, 499 * TICKS_PER_US, 500 * TICKS_PER_US);
}

static void test_measures_from_the_kick(void **state)
{
	pthread_t thread = start_waiting();

	(void)state;
	expect_asleep();
	assert_int_equal(vcpu->woken_at, 0);
	assert_int_equal(vcpu->idle.wake_up, 0);
	vcpu->idle.wake_up = 80 * TICKS_PER_US;
	hart_fake_set_time(7 * TICKS_PER_US);
	wake(thread);
	assert_int_equal(vcpu->woken_at, 7 * TICKS_PER_US);
	/* The clock stands still, so this one took no time. */
	assert_int_equal(vcpu->idle.wake_up, 70 * TICKS_PER_US);
}

static void test_pending_interrupt_needs_no_wait(void **state)
{
	(void)state;
	vcpu->idle.window = 100 * TICKS_PER_US;
	hart_write_huvsie(1 << 1);
	hart_set_huvip(HUVIP_VSSIP);
	assert_true(idle_poll(vcpu));
	hart_clear_huvip(HUVIP_VSSIP);
	vcpu->idle.window = 0;
	assert_false(idle_poll(vcpu));
}

static void test_only_sleep_never_polls(void **state)
{
	pthread_t thread;

	(void)state;
	f.config.idle = IDLE_SLEEP;
	vcpu->idle.window = 100 * TICKS_PER_US;
	thread = start_waiting();
	expect_asleep();
	wake(thread);
}

static void test_native_wfi_makes_no_exit(void **state)
{
	(void)state;
	assert_int_equal(hart_read_hustatus() & HUSTATUS_VTW, HUSTATUS_VTW);
	f.config.idle = IDLE_NATIVE;
	vcpu_set_start_state(vcpu, MEMORY_BASE, 0);
	assert_int_equal(hart_read_hustatus() & HUSTATUS_VTW, 0);
}

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_first_wait_sleeps),
		ROW(test_polls_until_something_comes),
		ROW(test_sleeps_when_the_window_is_over),
		ROW(test_sleeps_when_it_was_off_the_hart),
		ROW(test_learns_from_waits),
		ROW(test_window_is_bounded),
		ROW(test_a_wake_up_is_a_mean),
		ROW(test_measures_from_the_kick),
		ROW(test_pending_interrupt_needs_no_wait),
		ROW(test_only_sleep_never_polls),
		ROW(test_native_wfi_makes_no_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
