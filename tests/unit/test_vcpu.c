/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests, kicks, sleep: the protocol between a vCPU and everybody who wants something of it. */
#include "fake_vm.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define VSIE_SOFT (1 << 1)
#define VSIE_TIMER (1 << 5)
#define VSIE_EXT (1 << 9)

static struct fake_vm f;
static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_setup(&f, 2);
	vcpu = fake_vm_boot(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_teardown(&f);
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A thread that plays a vCPU's: it waits for an interrupt with these CSRs. */
struct sleeper {
	pthread_t thread;
	uint64_t vsie;
	uint64_t vstimecmp;
	uint64_t huvip;
	_Atomic bool awake;
	uint64_t slept_us;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	uint64_t start = now_us();

	hart_write_huvsie(s->vsie);
	hart_write_huvstimecmp(s->vstimecmp);
	hart_write_huvip(s->huvip);
	vcpu_wait_for_interrupt(vcpu);
	s->slept_us = now_us() - start;
	s->awake = true;
	return NULL;
}

static void sleeper_start(struct sleeper *s)
{
	s->awake = false;
	assert_int_equal(pthread_create(&s->thread, NULL, sleeper_main, s), 0);
}

static void sleeper_end(struct sleeper *s)
{
	pthread_join(s->thread, NULL);
	assert_int_equal(vcpu->sleeping, 0);
}

static void expect_asleep(struct sleeper *s)
{
	for (int i = 0; !vcpu->sleeping && i < 5000; i++)
		usleep(1000);
	usleep(20000);
	assert_false(s->awake);
}

static void test_kick_wakes(void **state)
{
	struct sleeper s = {.vsie = VSIE_SOFT | VSIE_EXT, .vstimecmp = 0};

	(void)state;
	/* A timer that is due but not enabled is no reason to stay awake. */
	sleeper_start(&s);
	expect_asleep(&s);
	vcpu_kick(vcpu, VCPU_REQ_FENCE);
	sleeper_end(&s);
	assert_int_equal(vcpu->request, VCPU_REQ_FENCE);
	/* A sleeper is not in the guest: no doorbell. */
	assert_int_equal(hart_fake_posted[0], 0);
}

static void test_never(void **state)
{
	struct sleeper s = {.vsie = VSIE_TIMER, .vstimecmp = UINT64_MAX};

	(void)state;
	sleeper_start(&s);
	expect_asleep(&s);
	vcpu_kick(vcpu, VCPU_REQ_STOP);
	sleeper_end(&s);
}

static void test_timer_wakes(void **state)
{
	/* 30 ms from now. The guest's time is the host's plus hutimedelta, which is 0 in that thread. */
	struct sleeper s = {.vsie = VSIE_TIMER, .vstimecmp = 1000 + FAKE_FREQUENCY / 1000 * 30};

	(void)state;
	hart_fake_set_time(1000);
	sleeper_start(&s);
	sleeper_end(&s);
	assert_in_range(s.slept_us, 30000, 3000000);
}

static void test_does_not_sleep(void **state)
{
	struct sleeper rows[] = {
		{.vsie = VSIE_TIMER, .vstimecmp = 5000},
		{.vsie = VSIE_SOFT, .huvip = HUVIP_VSSIP, .vstimecmp = UINT64_MAX},
		{.vsie = VSIE_EXT, .huvip = HUVIP_VSEIP, .vstimecmp = UINT64_MAX},
		{.vsie = VSIE_TIMER, .huvip = HUVIP_VSTIP, .vstimecmp = UINT64_MAX},
	};

	(void)state;
	hart_fake_set_time(5000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		sleeper_start(&rows[i]);
		sleeper_end(&rows[i]);
	}
}

static void test_pending_but_disabled_sleeps(void **state)
{
	struct sleeper s = {
		.vsie = VSIE_SOFT, .huvip = HUVIP_VSEIP | HUVIP_VSTIP, .vstimecmp = UINT64_MAX};

	(void)state;
	sleeper_start(&s);
	expect_asleep(&s);
	vcpu_kick(vcpu, VCPU_REQ_STOP);
	sleeper_end(&s);
}

static void test_request_before_sleep(void **state)
{
	struct sleeper s = {.vstimecmp = UINT64_MAX};

	(void)state;
	vcpu_kick(vcpu, VCPU_REQ_FENCE);
	sleeper_start(&s);
	sleeper_end(&s);
}

static void test_kick_rings(void **state)
{
	(void)state;
	hart_fake_resident[0] = 1;
	vcpu_kick(vcpu, VCPU_REQ_FENCE);
	assert_int_equal(hart_fake_posted[0], HUPOST_DOORBELL);
	assert_int_equal(hart_fake_posted[1], 0);
	assert_int_equal(vcpu->request, VCPU_REQ_FENCE);
}

static void test_ext_irq_level(void **state)
{
	(void)state;
	/* To a vCPU that runs it is no exit. */
	hart_fake_resident[0] = 1;
	vcpu_set_ext_irq(vcpu, true);
	assert_int_equal(hart_fake_posted[0], HUVIP_VSEIP);
	assert_int_equal(vcpu->request, 0);
	/* The same level again is nothing new. */
	hart_fake_posted[0] = 0;
	vcpu_set_ext_irq(vcpu, true);
	assert_int_equal(hart_fake_posted[0], 0);
	assert_int_equal(vcpu->request, 0);
	/* Up and down before the vCPU looked: the last level counts. */
	vcpu_set_ext_irq(vcpu, false);
	assert_int_equal(hart_fake_posted[0], HUPOST_DOORBELL);
	vcpu_set_ext_irq(vcpu, true);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huvip(), HUVIP_VSEIP);
	vcpu_set_ext_irq(vcpu, false);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huvip(), 0);
	/* Nor is it lost where the vCPU is on no hart. */
	hart_fake_resident[0] = 0;
	vcpu_set_ext_irq(vcpu, true);
	assert_int_equal(vcpu->request, VCPU_REQ_EXT_IRQ);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huvip(), HUVIP_VSEIP);
}

static void test_ipi_to_sleeper(void **state)
{
	struct sleeper s = {.vsie = VSIE_SOFT, .vstimecmp = UINT64_MAX};

	(void)state;
	/* In the kernel on its way to sleep it is still resident, so the post alone would be lost. */
	hart_fake_resident[0] = 1;
	sleeper_start(&s);
	expect_asleep(&s);
	vcpu_send_ipi(vcpu);
	sleeper_end(&s);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huvip() & HUVIP_VSSIP, HUVIP_VSSIP);
}

enum { ROUNDS = 20000 };

static _Atomic unsigned int rounds_seen;

static void *sleep_often(void *arg)
{
	(void)arg;
	hart_write_huvsie(0);
	while (rounds_seen < ROUNDS) {
		vcpu_wait_for_interrupt(vcpu);
		if (atomic_exchange(&vcpu->request, 0))
			rounds_seen++;
	}
	return NULL;
}

/* Sleeper and waker race as fast as they can: one lost wake-up and this hangs. */
static void test_no_wakeup_is_lost(void **state)
{
	pthread_t thread;

	(void)state;
	rounds_seen = 0;
	assert_int_equal(pthread_create(&thread, NULL, sleep_often, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		vcpu_kick(vcpu, VCPU_REQ_FENCE);
		while (rounds_seen <= i)
			;
	}
	pthread_join(thread, NULL);
	assert_int_equal(rounds_seen, ROUNDS);
}

static void test_stopped_hart_waits(void **state)
{
	(void)state;
	/* hart_stop: the next thing that wakes the hart is hart_start, not an interrupt. */
	vcpu->hsm = VCPU_HSM_STOPPED;
	vcpu_set_ext_irq(vcpu, true);
	vcpu->hsm = VCPU_HSM_START_PENDING;
	vcpu->start_pc = MEMORY_BASE + 8;
	vcpu->start_opaque = 3;
	vcpu_kick(vcpu, VCPU_REQ_START);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huepc(), MEMORY_BASE + 8);
	assert_int_equal(vcpu->gpr[REG_A1], 3);
	assert_int_equal(hart_read_huvip(), HUVIP_VSEIP);
}

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_kick_wakes),
		ROW(test_never),
		ROW(test_timer_wakes),
		ROW(test_does_not_sleep),
		ROW(test_pending_but_disabled_sleeps),
		ROW(test_request_before_sleep),
		ROW(test_kick_rings),
		ROW(test_ext_irq_level),
		ROW(test_ipi_to_sleeper),
		ROW(test_no_wakeup_is_lost),
		ROW(test_stopped_hart_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
