/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The balloon: what the guest gives up or reports is gone, to the page, and nothing else is. */
#include "fake_virtio.h"

#include <linux/virtio_balloon.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>

#include "virtio/balloon.h"

#define SLOT 0
/* The queues of a driver that has accepted everything. */
#define INFLATE 0
#define STATISTICS 2
#define HINTS 3
#define REPORTING 4
#define QUEUES 5
#define EVERYTHING                                                                                 \
	(1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |                  \
	 1ULL << VIRTIO_BALLOON_F_FREE_PAGE_HINT)
#define CONFIG(member)                                                                             \
	(VIRTIO_MMIO_CONFIG + (unsigned int)offsetof(struct virtio_balloon_config, member))
#define COMMAND CONFIG(free_page_hint_cmd_id)
#define LIST VIRTIO_DATA
#define PAGES (MEMORY_BASE + 0x500000)
#define PAGE 4096

static struct driver driver[QUEUES];

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

static void start_with(uint64_t features, unsigned int queues, bool prealloc)
{
	virtio_board_setup(1);
	board.config.prealloc = prealloc;
	board.config.balloon_size = 2 << 20;
	assert_int_equal(virtio_balloon_create(&board.vm), 0);
	virtio_start(SLOT, features, driver, queues);
	for (unsigned int i = 0; i < 8; i++)
		memset(at(PAGES + i * PAGE), 0x11, PAGE);
}

static void start(bool prealloc)
{
	start_with(EVERYTHING, QUEUES, prealloc);
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

/* A driver's queues are numbered without those that it did not accept. */
static void test_reports_of_a_driver_that_accepts_less(void **state)
{
	const struct buffer b = {PAGES, PAGE, true};

	(void)state;
	start_with(1ULL << VIRTIO_BALLOON_F_REPORTING, 3, false);
	virtio_request(SLOT, 2, &driver[2], &b, 1);
	assert_int_equal(taken(), 1);
	assert_int_equal(balloon_start_hinting(&board.vm), -ENOTCONN);
	board_teardown();
}

static struct balloon_status status(void)
{
	struct balloon_status now;

	assert_true(balloon_get_status(&board.vm, &now));
	return now;
}

/* Has the device changed its configuration since this was asked last? */
static bool config_changed(void)
{
	uint32_t why = reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS);

	reg_out(SLOT, VIRTIO_MMIO_INTERRUPT_ACK, why);
	return why & VIRTIO_MMIO_INT_CONFIG;
}

static void test_target(void **state)
{
	(void)state;
	start(false);
	config_changed();
	assert_int_equal(balloon_set_target(&board.vm, 4 << 20), 0);
	assert_true(config_changed());
	assert_int_equal(reg_in(SLOT, CONFIG(num_pages)), 1024);
	assert_int_equal(status().target, 4 << 20);
	reg_out(SLOT, CONFIG(actual), 77);
	assert_int_equal(status().actual, 77 * PAGE);
	assert_int_equal(balloon_set_target(&board.vm, FAKE_RAM), -ERANGE);
	assert_int_equal(balloon_set_target(&board.vm, UINT64_MAX), -ERANGE);
	assert_int_equal(balloon_set_target(&board.vm, 0), 0);
	assert_int_equal(reg_in(SLOT, CONFIG(num_pages)), 0);
	assert_true(config_changed());
	board_teardown();
	assert_int_equal(balloon_set_target(&board.vm, 0), -ENODEV);
	assert_int_equal(balloon_start_hinting(&board.vm), -ENODEV);
	assert_false(balloon_get_status(&board.vm, &(struct balloon_status){0}));
}

/* The driver offers a chain in the hinting queue; its notification lasts until the device is through with it. */
static void hint(const struct buffer *b, unsigned int count)
{
	uint16_t id = driver_add(&driver[HINTS], b, count);
	uint32_t len;
	uint16_t got;

	reg_out_again(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, HINTS);
	assert_true(driver_get(&driver[HINTS], &got, &len));
	assert_int_equal(got, id);
	assert_int_equal(len, 0);
}

static void hint_command(uint32_t command)
{
	const struct buffer b = {LIST, sizeof(command), false};

	memcpy(at(LIST), &command, sizeof(command));
	hint(&b, 1);
}

static void hint_pages(unsigned int first, unsigned int count)
{
	const struct buffer b = {PAGES + first * PAGE, count * PAGE, true};

	hint(&b, 1);
}

static uint32_t begin(void)
{
	assert_int_equal(balloon_start_hinting(&board.vm), 0);
	assert_true(config_changed());
	assert_int_equal(status().hinting, BALLOON_HINTING_ASKED);
	return reg_in(SLOT, COMMAND);
}

static const uint64_t rings[] = {
	0,
	1ULL << VIRTIO_RING_F_EVENT_IDX,
	1ULL << VIRTIO_F_RING_PACKED,
	1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_EVENT_IDX,
};

static void test_hinting(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		uint32_t command;

		start_with(EVERYTHING | rings[i], QUEUES, false);
		assert_int_equal(reg_in(SLOT, COMMAND), VIRTIO_BALLOON_CMD_ID_STOP);
		command = begin();
		assert_true(command > VIRTIO_BALLOON_CMD_ID_DONE);
		hint_command(command);
		assert_int_equal(status().hinting, BALLOON_HINTING_RUNNING);
		hint_pages(1, 2);
		hint_pages(5, 1);
		assert_int_equal(reg_in(SLOT, COMMAND), command);
		hint_command(VIRTIO_BALLOON_CMD_ID_STOP);
		assert_true(config_changed());
		assert_int_equal(reg_in(SLOT, COMMAND), VIRTIO_BALLOON_CMD_ID_DONE);
		assert_int_equal(taken(), 1 << 1 | 1 << 2 | 1 << 5);
		assert_int_equal(status().hinting, BALLOON_HINTING_DONE);
		assert_int_equal(status().hinted, 3 * PAGE);
		assert_int_equal(status().reported, 0);
		/* All pages are the guest's again. */
		hint_pages(0, 8);
		hint_command(command);
		hint_pages(0, 8);
		assert_int_equal(taken(), 1 << 1 | 1 << 2 | 1 << 5);
		assert_true(begin() != command);
		board_teardown();
	}
}

/* Would the driver notify the device of the next buffer (sections 2.7.7 and 2.8.10)? */
static bool is_told(const struct driver *d, uint64_t features)
{
	const uint16_t *device = driver_at(d, d->setup.device);
	bool event_index = features >> VIRTIO_RING_F_EVENT_IDX & 1;

	if (features >> VIRTIO_F_RING_PACKED & 1)
		return device[1] == VRING_PACKED_EVENT_FLAG_ENABLE ||
			(device[1] == VRING_PACKED_EVENT_FLAG_DESC &&
			 device[0] == (d->avail | (d->avail_wrap ? 1 << 15 : 0)));
	return event_index ? device[2 + 4 * d->setup.size] == d->avail : !(device[0] & 1);
}

/* Until the page is the host's, the guest does not get beyond its notification, and there always is one. */
static void test_notification_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rings); i++) {
		struct driver *d = &driver[HINTS];

		start_with(EVERYTHING | rings[i], QUEUES, false);
		hint_command(begin());
		for (unsigned int page = 0; page < 8; page++) {
			const struct buffer b = {PAGES + page * PAGE, PAGE, true};

			assert_true(is_told(d, rings[i]));
			driver_add(d, &b, 1);
			assert_int_equal(
				bus_write(&board.vm.bus,
					  BOARD_VIRTIO_BASE(SLOT) + VIRTIO_MMIO_QUEUE_NOTIFY, 4,
					  HINTS),
				-EAGAIN);
			/* That of another queue goes through. */
			reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, INFLATE);
			reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 9999);
			virtio_serve();
			assert_int_equal(taken(), (2U << page) - 1);
			reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, HINTS);
		}
		/* A stopped queue holds nobody up. */
		reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, HINTS);
		board_teardown();
	}
}

static void test_hinting_out_of_turn(void **state)
{
	const struct buffer both[] = {{LIST, 4, false}, {PAGES, PAGE, true}};
	uint32_t first;
	uint32_t second;

	(void)state;
	start(false);
	/* Nobody has asked. */
	hint_pages(0, 8);
	hint_command(VIRTIO_BALLOON_CMD_ID_STOP);
	hint_command(VIRTIO_BALLOON_CMD_ID_DONE);
	hint_command(2);
	hint_pages(0, 8);
	assert_int_equal(status().hinting, BALLOON_HINTING_NONE);
	/* Before the driver has begun; ids that are not the one; ids of no length. */
	first = begin();
	hint_pages(0, 8);
	hint_command(VIRTIO_BALLOON_CMD_ID_STOP);
	hint_command(VIRTIO_BALLOON_CMD_ID_DONE);
	hint_command(first + 1);
	hint_command(~first);
	memcpy(at(LIST), &first, sizeof(first));
	for (uint32_t len = 1; len < 64; len++)
		if (len != 4)
			hint(&(struct buffer){LIST, len, false}, 1);
	hint_pages(0, 8);
	assert_int_equal(status().hinting, BALLOON_HINTING_ASKED);
	assert_int_equal(taken(), 0);
	/* Another run makes this one count no more, its end included. */
	hint_command(first);
	second = begin();
	assert_true(second != first);
	hint_command(VIRTIO_BALLOON_CMD_ID_STOP);
	hint_command(first);
	hint_pages(0, 8);
	assert_int_equal(taken(), 0);
	/* In one chain. */
	memcpy(at(LIST), &second, sizeof(second));
	hint(both, 2);
	assert_int_equal(taken(), 1);
	hint_command(12345);
	hint_pages(1, 1);
	assert_int_equal(taken(), 1);
	assert_int_equal(status().hinted, PAGE);
	board_teardown();
}

static void test_hint_that_is_no_memory(void **state)
{
	const struct buffer b = {MEMORY_BASE + FAKE_RAM - PAGE, 2 * PAGE, true};

	(void)state;
	start(false);
	hint_command(begin());
	driver_add(&driver[HINTS], &b, 1);
	reg_out_again(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, HINTS);
	assert_true(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(status().hinting, BALLOON_HINTING_NONE);
	assert_int_equal(balloon_start_hinting(&board.vm), -ENOTCONN);
	/* After the reset, all begins anew. */
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	virtio_start(SLOT, EVERYTHING, driver, QUEUES);
	assert_int_equal(reg_in(SLOT, COMMAND), VIRTIO_BALLOON_CMD_ID_STOP);
	hint_pages(0, 8);
	assert_int_equal(taken(), 0);
	hint_command(begin());
	hint_pages(0, 8);
	assert_int_equal(taken(), 0xff);
	board_teardown();
}

static void test_hinting_of_preallocated_memory(void **state)
{
	(void)state;
	start(true);
	assert_int_equal(balloon_start_hinting(&board.vm), -EPERM);
	board_teardown();
}

/* Offer count statistics, of which the last bytes may be cut off. */
static void offer_statistics(const struct virtio_balloon_stat *stat, size_t size)
{
	const struct buffer b = {LIST, (uint32_t)size, false};

	memcpy(at(LIST), stat, size);
	driver_add(&driver[STATISTICS], &b, 1);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, STATISTICS);
	virtio_serve();
}

/* The device holds the buffer until it wants new numbers. */
static bool statistics_are_wanted(void)
{
	uint32_t len;
	uint16_t id;

	return driver_get(&driver[STATISTICS], &id, &len);
}

static void test_statistics(void **state)
{
	const struct virtio_balloon_stat stats[] = {
		{VIRTIO_BALLOON_S_MEMTOT, 100 << 20},
		{VIRTIO_BALLOON_S_MEMFREE, 50 << 20},
		{0xffff, ~0ULL},
		{VIRTIO_BALLOON_S_AVAIL, 60 << 20},
		{VIRTIO_BALLOON_S_CACHES, 10 << 20},
	};

	(void)state;
	start(false);
	assert_false(status().has_guest);
	offer_statistics(stats, sizeof(stats) - 1);
	assert_false(statistics_are_wanted());
	assert_true(status().has_guest);
	assert_true(statistics_are_wanted());
	assert_false(statistics_are_wanted());
	assert_int_equal(status().guest_total, 100 << 20);
	assert_int_equal(status().guest_free, 50 << 20);
	assert_int_equal(status().guest_available, 60 << 20);
	assert_int_equal(status().guest_caches, 0);
	assert_false(statistics_are_wanted());
	offer_statistics(stats, sizeof(stats));
	assert_int_equal(status().guest_caches, 10 << 20);
	assert_true(statistics_are_wanted());
	/* Two at a time: one comes back at once. */
	offer_statistics(stats, 0);
	offer_statistics(stats, 5);
	assert_true(statistics_are_wanted());
	assert_false(statistics_are_wanted());
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	assert_false(status().has_guest);
	board_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_preallocated_memory_stays),
		cmocka_unit_test(test_reports_of_a_driver_that_accepts_less),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_hinting),
		cmocka_unit_test(test_notification_waits),
		cmocka_unit_test(test_hinting_out_of_turn),
		cmocka_unit_test(test_hint_that_is_no_memory),
		cmocka_unit_test(test_hinting_of_preallocated_memory),
		cmocka_unit_test(test_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
