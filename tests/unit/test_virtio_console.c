/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console device: both directions in order, backpressure both ways, and the size of the terminal. */
#include "fake_virtio.h"

#include <linux/virtio_console.h>

#include "console.h"

#define SLOT 0
#define RX 0
#define TX 1
#define DATA VIRTIO_DATA
#define IN (VIRTIO_DATA + 0x80000)

static struct driver driver[2];

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

static void start(uint64_t features)
{
	virtio_board_setup(1);
	board.config.virtio_console = true;
	assert_int_equal(virtio_console_create(&board.vm), 0);
	virtio_start(SLOT, features | 1ULL << VIRTIO_CONSOLE_F_SIZE, driver, 2);
}

static void test_output(void **state)
{
	const struct buffer b[] = {{DATA, 5, false}, {DATA + 5, 6, false}};
	char got[32] = "";

	(void)state;
	start(1ULL << VIRTIO_F_RING_PACKED);
	memcpy(at(DATA), "hello world", 11);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], b, 2), 0);
	assert_int_equal(console_fetch(board.vm.console, got, sizeof(got)), 11);
	assert_string_equal(got, "hello world");
	board_teardown();
}

/* More than the console holds waits in the ring, and comes out in order. */
static void test_output_waits(void **state)
{
	const struct buffer b[] = {{DATA, 100000, false}};
	uint8_t got[1000];
	size_t seen = 0;
	uint32_t len;
	uint16_t id;

	(void)state;
	start(0);
	for (size_t i = 0; i < 100000; i++)
		at(DATA)[i] = (uint8_t)(i * 7 + i / 251);
	driver_add(&driver[TX], b, 1);
	virtio_serve();
	while (seen < 100000) {
		size_t n;

		assert_false(driver_get(&driver[TX], &id, &len));
		n = console_fetch(board.vm.console, got, sizeof(got));
		assert_true(n);
		for (size_t i = 0; i < n; i++, seen++)
			assert_int_equal(got[i], (uint8_t)(seen * 7 + seen / 251));
		if (seen > 100000 - 20000)
			break;
	}
	virtio_serve();
	while (console_fetch(board.vm.console, got, sizeof(got)))
		;
	assert_true(driver_get(&driver[TX], &id, &len));
	board_teardown();
}

static void test_input(void **state)
{
	const struct buffer b[] = {{IN, 3, true}, {IN + 3, 5, true}};
	uint32_t len;
	uint16_t id;

	(void)state;
	start(1ULL << VIRTIO_RING_F_EVENT_IDX);
	driver_add(&driver[RX], b, 2);
	virtio_serve();
	assert_false(driver_get(&driver[RX], &id, &len));
	assert_int_equal(console_feed(board.vm.console, "typed", 5), 5);
	assert_true(driver_get(&driver[RX], &id, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(at(IN), "typed", 5);
	/* Without a buffer it waits for one. */
	assert_int_equal(console_feed(board.vm.console, "0123456789", 10), 10);
	assert_false(driver_get(&driver[RX], &id, &len));
	assert_int_equal(virtio_request(SLOT, RX, &driver[RX], b, 2), 8);
	assert_memory_equal(at(IN), "01234567", 8);
	assert_int_equal(virtio_request(SLOT, RX, &driver[RX], b, 2), 2);
	board_teardown();
}

static void test_size(void **state)
{
	gpa_t config = BOARD_VIRTIO_BASE(SLOT) + VIRTIO_MMIO_CONFIG;
	uint32_t generation;

	(void)state;
	start(0);
	generation = reg_in(SLOT, VIRTIO_MMIO_CONFIG_GENERATION);
	console_set_size(board.vm.console, (struct console_size){.columns = 132, .rows = 43});
	assert_int_equal(guest_read(config, 2), 132);
	assert_int_equal(guest_read(config + 2, 2), 43);
	assert_int_not_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	board_teardown();
}

static void test_emergency_write(void **state)
{
	char got[4];

	(void)state;
	virtio_board_setup(1);
	board.config.virtio_console = true;
	assert_int_equal(virtio_console_create(&board.vm), 0);
	reg_out(SLOT, VIRTIO_MMIO_CONFIG + offsetof(struct virtio_console_config, emerg_wr), '!');
	assert_int_equal(console_fetch(board.vm.console, got, sizeof(got)), 1);
	assert_int_equal(got[0], '!');
	board_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),          cmocka_unit_test(test_output_waits),
		cmocka_unit_test(test_input),           cmocka_unit_test(test_size),
		cmocka_unit_test(test_emergency_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
