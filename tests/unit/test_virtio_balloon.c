/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balloon: what the guest gives up or reports is gone, to the page, and nothing else is. */
#include "fake_virtio.h"

#include <linux/virtio_balloon.h>
#include <sys/mman.h>

#define SLOT 0
#define INFLATE 0
#define REPORTING 2
#define LIST VIRTIO_DATA
#define PAGES (MEMORY_BASE + 0x500000)
#define PAGE 4096

static struct driver driver[3];

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

static void start(bool prealloc)
{
	virtio_board_setup(1);
	board.config.prealloc = prealloc;
	board.config.balloon_size = 2 << 20;
	assert_int_equal(virtio_balloon_create(&board.vm), 0);
	virtio_start(SLOT, 1ULL << VIRTIO_BALLOON_F_REPORTING, driver, 3);
	for (unsigned int i = 0; i < 8; i++)
		memset(at(PAGES + i * PAGE), 0x11, PAGE);
}

/* Which of the eight pages has the host taken? */
static unsigned int taken(void)
{
	unsigned char in_core[8];
	unsigned int mask = 0;

	assert_int_equal(mincore(at(PAGES), sizeof(in_core) * PAGE, in_core), 0);
	for (unsigned int i = 0; i < 8; i++)
		mask |= in_core[i] & 1 ? 0 : 1U << i;
	return mask;
}

static void test_inflate(void **state)
{
	uint32_t first = PAGES >> VIRTIO_BALLOON_PFN_SHIFT;
	const uint32_t pfn[] = {first + 1, first + 2, 0, ~0U, first + 5, 0x80000 - 1};
	const struct buffer b = {LIST, sizeof(pfn), false};

	(void)state;
	start(false);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG), 512);
	memcpy(at(LIST), pfn, sizeof(pfn));
	assert_int_equal(virtio_request(SLOT, INFLATE, &driver[INFLATE], &b, 1), 0);
	assert_int_equal(taken(), 1 << 1 | 1 << 2 | 1 << 5);
	/* Touched again, they are there, and zero. */
	assert_int_equal(at(PAGES + PAGE)[7], 0);
	assert_int_equal(at(PAGES)[7], 0x11);
	reg_out(SLOT, VIRTIO_MMIO_CONFIG + 4, 3);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG + 4), 3);
	reg_out(SLOT, VIRTIO_MMIO_CONFIG, 3);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG), 512);
	board_teardown();
}

/* Whole pages only: what is before and behind is the guest's still. */
static void test_reports(void **state)
{
	const struct buffer b[] = {{PAGES + 100, 2 * PAGE, true},
				   {PAGES + 4 * PAGE, 3 * PAGE, true}};

	(void)state;
	start(false);
	virtio_request(SLOT, REPORTING, &driver[REPORTING], b, 2);
	assert_int_equal(taken(), 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6);
	assert_int_equal(at(PAGES)[100], 0x11);
	board_teardown();
}

static void test_preallocated_memory_stays(void **state)
{
	const struct buffer b = {PAGES, 4 * PAGE, true};

	(void)state;
	start(true);
	virtio_request(SLOT, REPORTING, &driver[REPORTING], &b, 1);
	assert_int_equal(taken(), 0);
	assert_int_equal(at(PAGES)[0], 0x11);
	board_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_preallocated_memory_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
