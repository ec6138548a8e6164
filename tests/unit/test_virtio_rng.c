/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers: as many as asked for, up to the limit, and not always the same. */
#include "fake_virtio.h"

#define DATA VIRTIO_DATA

static struct driver driver;

static uint32_t ask(uint32_t len)
{
	const struct buffer b[] = {{DATA, len / 3, true}, {DATA + len / 3, len - len / 3, true}};

	return virtio_request(0, 0, &driver, b, 2);
}

static void test_gives_random_bytes(void **state)
{
	uint8_t *data;
	uint8_t first[64];

	(void)state;
	virtio_board_setup(1);
	assert_int_equal(virtio_rng_create(&board.vm), 0);
	virtio_start(0, 0, &driver, 1);
	data = memory_at(&board.vm.mem, DATA, 8192);
	assert_int_equal(ask(64), 64);
	assert_int_equal(data[64], 0);
	memcpy(first, data, sizeof(first));
	assert_int_equal(ask(64), 64);
	assert_memory_not_equal(first, data, sizeof(first));
	assert_int_equal(ask(1000), 1000);
	assert_int_equal(ask(8192), 4096);
	board_teardown();
}

/* A buffer that can only be read gets nothing. */
static void test_readable_buffer(void **state)
{
	const struct buffer b = {DATA, 64, false};

	(void)state;
	virtio_board_setup(1);
	assert_int_equal(virtio_rng_create(&board.vm), 0);
	virtio_start(0, 1ULL << VIRTIO_F_RING_PACKED, &driver, 1);
	assert_int_equal(virtio_request(0, 0, &driver, &b, 1), 0);
	assert_int_equal(*(uint8_t *)memory_at(&board.vm.mem, DATA, 1), 0);
	board_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_random_bytes),
		cmocka_unit_test(test_readable_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
