/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small devices: real-time clock, test finisher, pvpanic, watchdog; and which devices a board has. */
#include "fake_board.h"

#include <time.h>
#include <unistd.h>

#include "dev/board.h"

#define NS_PER_S 1000000000ULL

static bool rtc_line;

static void set_line(struct irqchip *chip, unsigned int irq, bool level)
{
	(void)chip;
	assert_int_equal(irq, 11);
	rtc_line = level;
}

static struct irqchip chip = {.set_line = set_line};

static int setup(void **state)
{
	(void)state;
	rtc_line = false;
	board_setup(1);
	irqchip_register(&board.vm, &chip);
	assert_int_equal(goldfish_rtc_create(&board.vm), 0);
	assert_int_equal(pvpanic_create(&board.vm), 0);
	assert_int_equal(dw_wdt_create(&board.vm), 0);
	return sifive_test_create(&board.vm);
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static uint32_t rtc_in(unsigned int reg)
{
	return (uint32_t)guest_read(BOARD_RTC_BASE + reg, 4);
}

static void rtc_out(unsigned int reg, uint64_t val)
{
	guest_write(BOARD_RTC_BASE + reg, 4, val & 0xffffffff);
}

static uint64_t rtc_time(void)
{
	uint64_t low = rtc_in(0x00);

	return (uint64_t)rtc_in(0x04) << 32 | low;
}

static void rtc_set_alarm(uint64_t when)
{
	rtc_out(0x0c, when >> 32);
	rtc_out(0x08, when);
}

static uint64_t host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void test_rtc_is_the_hosts(void **state)
{
	uint64_t before = host_time();
	uint64_t time = rtc_time();

	(void)state;
	assert_true(time >= before);
	assert_true(time <= host_time());
}

static void test_rtc_can_be_set(void **state)
{
	const uint64_t when = 86400 * NS_PER_S;

	(void)state;
	rtc_out(0x04, when >> 32);
	rtc_out(0x00, when);
	assert_true(rtc_time() >= when);
	assert_true(rtc_time() < when + 60 * NS_PER_S);
	/* And stays so over a reboot. */
	bus_reset(&board.vm.bus);
	assert_true(rtc_time() >= when);
	assert_true(rtc_time() < when + 60 * NS_PER_S);
}

static void test_rtc_alarm(void **state)
{
	(void)state;
	rtc_out(0x10, 1);
	rtc_set_alarm(rtc_time() + 20000000);
	assert_int_equal(rtc_in(0x18), 1);
	assert_false(rtc_line);
	while (!rtc_line)
		assert_int_equal(io_poll(&board.vm.io), 0);
	assert_true(rtc_time() >= ((uint64_t)rtc_in(0x0c) << 32 | rtc_in(0x08)));
	assert_int_equal(rtc_in(0x18), 0);
	rtc_out(0x1c, 1);
	assert_false(rtc_line);
}

static void test_rtc_alarm_of_the_past(void **state)
{
	(void)state;
	rtc_set_alarm(rtc_time() - 1);
	assert_int_equal(rtc_in(0x18), 0);
	assert_false(rtc_line);
	rtc_out(0x10, 1);
	assert_true(rtc_line);
	rtc_out(0x10, 0);
	assert_false(rtc_line);
}

static void test_rtc_alarm_can_be_cleared(void **state)
{
	(void)state;
	rtc_out(0x10, 1);
	rtc_set_alarm(rtc_time() + 1000000);
	rtc_out(0x14, 1);
	assert_int_equal(rtc_in(0x18), 0);
	usleep(3000);
	/* Nothing to wait for: the timer must not be readable. */
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	assert_false(rtc_line);
}

/* The end of time must not become the past by an overflow, whatever the guest's time. */
static void test_rtc_far_alarms(void **state)
{
	static const uint64_t times[] = {0, 1, 1ULL << 63, ~0ULL - 600 * NS_PER_S};

	(void)state;
	rtc_out(0x10, 1);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		rtc_out(0x04, times[i] >> 32);
		rtc_out(0x00, times[i]);
		rtc_set_alarm(~0ULL);
		assert_int_equal(rtc_in(0x18), 1);
		assert_int_equal(io_look(&board.vm.io, 0), 0);
		assert_false(rtc_line);
	}
}

static void test_rtc_alarm_follows_the_time(void **state)
{
	uint64_t now = rtc_time();

	(void)state;
	rtc_out(0x10, 1);
	rtc_set_alarm(now + 3600 * NS_PER_S);
	assert_false(rtc_line);
	now += 3601 * NS_PER_S;
	rtc_out(0x04, now >> 32);
	rtc_out(0x00, now);
	assert_true(rtc_line);
}

static void test_rtc_reset(void **state)
{
	(void)state;
	rtc_out(0x10, 1);
	rtc_set_alarm(1);
	assert_true(rtc_line);
	bus_reset(&board.vm.bus);
	assert_false(rtc_line);
	assert_int_equal(rtc_in(0x10), 0);
	assert_int_equal(rtc_in(0x08), 0);
	assert_int_equal(rtc_in(0x18), 0);
}

static void test_rtc_widths(void **state)
{
	uint64_t val;

	(void)state;
	assert_int_equal(bus_read(&board.vm.bus, BOARD_RTC_BASE, 8, &val), -22);
	assert_int_equal(bus_read(&board.vm.bus, BOARD_RTC_BASE, 1, &val), -22);
	assert_int_equal(bus_write(&board.vm.bus, BOARD_RTC_BASE, 2, 0), -22);
	assert_int_equal(rtc_in(0x24), 0);
	rtc_out(0xffc, 1);
}

static void assert_finish(uint64_t val, unsigned int len, enum vm_stop stop, unsigned int code)
{
	board.stop = VM_STOP_NONE;
	guest_write(BOARD_TEST_BASE, len, val);
	assert_int_equal(board.stop, stop);
	if (stop != VM_STOP_NONE)
		assert_int_equal(board.stop_code, code);
}

static void test_finisher(void **state)
{
	(void)state;
	assert_finish(0x5555, 4, VM_STOP_POWER_OFF, 0);
	assert_finish(0x5555, 2, VM_STOP_POWER_OFF, 0);
	assert_finish(0x7777, 4, VM_STOP_REBOOT_COLD, 0);
	assert_finish(0x3333, 4, VM_STOP_GUEST_FAILURE, 0);
	assert_finish(0x002a3333, 4, VM_STOP_GUEST_FAILURE, 42);
	assert_finish(0xffff3333, 4, VM_STOP_GUEST_FAILURE, 0xffff);
	assert_finish(0x1234, 4, VM_STOP_NONE, 0);
	assert_finish(0, 4, VM_STOP_NONE, 0);
	assert_int_equal(guest_read(BOARD_TEST_BASE, 4), 0);
}

static void test_finisher_has_one_register(void **state)
{
	uint64_t val;

	(void)state;
	guest_write(BOARD_TEST_BASE + 4, 4, 0x5555);
	assert_int_equal(bus_write(&board.vm.bus, BOARD_TEST_BASE, 1, 0x55), -22);
	assert_int_equal(bus_write(&board.vm.bus, BOARD_TEST_BASE, 8, 0x5555), -22);
	assert_int_equal(bus_read(&board.vm.bus, BOARD_TEST_BASE, 8, &val), -22);
	assert_int_equal(board.stop, VM_STOP_NONE);
}

static void assert_devices(bool nodefaults, bool serial, unsigned int count)
{
	board_setup(2);
	board.config.nodefaults = nodefaults;
	board.config.serial = serial;
	assert_int_equal(devices_create(&board.vm), 0);
	assert_int_equal(board.vm.bus.count, count);
	assert_non_null(bus_find(&board.vm.bus, BOARD_PLIC_BASE, 4));
	assert_int_equal(bus_find(&board.vm.bus, BOARD_UART_BASE, 1) != NULL, serial);
	assert_int_equal(bus_find(&board.vm.bus, BOARD_RTC_BASE, 4) != NULL, !nodefaults);
	assert_int_equal(bus_find(&board.vm.bus, BOARD_TEST_BASE, 4) != NULL, !nodefaults);
	assert_int_equal(bus_find(&board.vm.bus, BOARD_PVPANIC_BASE, 1) != NULL, !nodefaults);
	board_teardown();
}

static void test_which_devices(void **state)
{
	(void)state;
	assert_devices(false, true, 7);
	assert_devices(false, false, 6);
	assert_devices(true, true, 2);
	assert_devices(true, false, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void test_panic(void **state)
{
	(void)state;
	assert_int_equal(guest_read(BOARD_PVPANIC_BASE, 1), 3);
	assert_int_equal(guest_read(BOARD_PVPANIC_BASE + 1, 1), 0);
	guest_write(BOARD_PVPANIC_BASE + 1, 1, 1);
	guest_write(BOARD_PVPANIC_BASE, 1, 2);
	guest_write(BOARD_PVPANIC_BASE, 1, 0xfc);
	assert_int_equal(board.stop, VM_STOP_NONE);
	guest_write(BOARD_PVPANIC_BASE, 1, 1);
	assert_int_equal(board.stop, VM_STOP_PANIC);
}

static uint32_t wdt_in(unsigned int reg)
{
	return (uint32_t)guest_read(BOARD_WDT_BASE + reg, 4);
}

static void wdt_out(unsigned int reg, uint64_t val)
{
	guest_write(BOARD_WDT_BASE + reg, 4, val);
}

/* Let the I/O thread's loop take the one event that must come. */
static void wdt_wait(void)
{
	assert_int_equal(io_poll(&board.vm.io), 0);
}

static void test_watchdog_bites(void **state)
{
	(void)state;
	assert_int_equal(wdt_in(0x00), 0);
	assert_int_equal(wdt_in(0x08), 65536);
	wdt_out(0x00, 1);
	assert_int_equal(wdt_in(0x00), 1);
	assert_in_range(wdt_in(0x08), 32768, 65535);
	/* There is no way back. */
	wdt_out(0x00, 0);
	assert_int_equal(wdt_in(0x00), 1);
	while (board.stop == VM_STOP_NONE)
		wdt_wait();
	assert_int_equal(board.stop, VM_STOP_WATCHDOG);
	assert_int_equal(wdt_in(0x08), 0);
}

static void test_watchdog_is_kicked(void **state)
{
	const struct timespec later = {.tv_nsec = 600000000};

	(void)state;
	wdt_out(0x00, 1);
	nanosleep(&later, NULL);
	wdt_out(0x0c, 0x75); /* not the key */
	assert_in_range(wdt_in(0x08), 1, 26214);
	wdt_out(0x0c, 0x76);
	assert_in_range(wdt_in(0x08), 32768, 65536);
	/* The timer expires at the old deadline, which is not the guest's any more. */
	wdt_wait();
	assert_int_equal(board.stop, VM_STOP_NONE);
	wdt_wait();
	assert_int_equal(board.stop, VM_STOP_WATCHDOG);
}

/* After a stop of the whole process the guest has as much time as it asked for. */
static void test_watchdog_forgives_the_host(void **state)
{
	const struct timespec later = {.tv_sec = 2, .tv_nsec = 100000000};

	(void)state;
	wdt_out(0x00, 1);
	nanosleep(&later, NULL);
	wdt_wait();
	assert_int_equal(board.stop, VM_STOP_NONE);
	wdt_wait();
	assert_int_equal(board.stop, VM_STOP_WATCHDOG);
}

static void test_watchdog_timeouts(void **state)
{
	(void)state;
	for (unsigned int range = 0; range < 16; range++) {
		wdt_out(0x04, range | 0xf0);
		assert_int_equal(wdt_in(0x04), range);
		assert_int_equal(wdt_in(0x08), 65536U << range);
	}
	/* Enabled with the longest one, then made shorter. */
	wdt_out(0x00, 1);
	wdt_out(0x04, 0);
	wdt_out(0x0c, 0x76);
	wdt_wait();
	assert_int_equal(board.stop, VM_STOP_WATCHDOG);
}

static void test_watchdog_reset(void **state)
{
	(void)state;
	wdt_out(0x04, 3);
	wdt_out(0x00, 1);
	bus_reset(&board.vm.bus);
	assert_int_equal(wdt_in(0x00), 0);
	assert_int_equal(wdt_in(0x04), 0);
	assert_int_equal(wdt_in(0xf4), 1 << 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rtc_is_the_hosts),
		TEST(test_rtc_can_be_set),
		TEST(test_rtc_alarm),
		TEST(test_rtc_alarm_of_the_past),
		TEST(test_rtc_alarm_can_be_cleared),
		TEST(test_rtc_far_alarms),
		TEST(test_rtc_alarm_follows_the_time),
		TEST(test_rtc_reset),
		TEST(test_rtc_widths),
		TEST(test_finisher),
		TEST(test_finisher_has_one_register),
		TEST(test_panic),
		TEST(test_watchdog_bites),
		TEST(test_watchdog_is_kicked),
		TEST(test_watchdog_forgives_the_host),
		TEST(test_watchdog_timeouts),
		TEST(test_watchdog_reset),
		cmocka_unit_test(test_which_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
