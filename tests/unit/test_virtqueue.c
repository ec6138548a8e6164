/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtqueues of both formats against a driver of the test's own, and against drivers that break the rules. */
#include "fake_driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RAM (1ULL << 20)
#define RINGS MEMORY_BASE
#define DATA (MEMORY_BASE + 0x80000)
#define SIZE 8

/* Exactly the guest's memory: one byte beside it, and the address sanitizer ends the test. */
static struct memory mem;
static struct virtq vq;
static struct virtq_chain chain;
static struct driver driver;

static int setup(void **state)
{
	(void)state;
	mem = (struct memory){.base = MEMORY_BASE, .size = RAM, .hva = calloc(1, RAM)};
	return mem.hva ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(mem.hva);
	return 0;
}

static void start(bool packed, bool indirect, bool event_index)
{
	const struct virtq_setup options = {
		.size = SIZE, .packed = packed, .indirect = indirect, .event_index = event_index};

	driver_init(&driver, &mem, RINGS, &options);
	assert_int_equal(virtq_start(&vq, &mem, &driver.setup), 0);
}

static const struct {
	bool packed;
	bool indirect;
	bool event_index;
} kinds[] = {{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1},
	     {1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}};

#define FOR_EACH_KIND(k) for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)

static void start_kind(size_t k)
{
	start(kinds[k].packed, kinds[k].indirect, kinds[k].event_index);
}

static void assert_segment(unsigned int i, gpa_t addr, uint64_t len)
{
	assert_ptr_equal(chain.iov[i].iov_base, memory_at(&mem, addr, len));
	assert_int_equal(chain.iov[i].iov_len, len);
}

static void test_chain_comes_and_goes(void **state)
{
	const struct buffer three[] = {
		{DATA, 16, false}, {DATA + 0x100, 512, true}, {DATA + 0x1000, 1, true}};
	uint16_t id;
	uint32_t len;

	(void)state;
	FOR_EACH_KIND(k)
	{
		start_kind(k);
		assert_false(virtq_has_work(&vq));
		assert_int_equal(virtq_pop(&vq, &chain), 0);
		/* Often enough to go round the ring, and round the wrap counters. */
		for (unsigned int round = 0; round < 5 * SIZE; round++) {
			uint16_t added = driver_add(&driver, three, 3);

			assert_true(virtq_has_work(&vq));
			assert_int_equal(virtq_pop(&vq, &chain), 1);
			assert_int_equal(chain.out, 1);
			assert_int_equal(chain.in, 2);
			assert_int_equal(chain.out_len, 16);
			assert_int_equal(chain.in_len, 513);
			assert_segment(0, DATA, 16);
			assert_segment(1, DATA + 0x100, 512);
			assert_segment(2, DATA + 0x1000, 1);
			assert_false(virtq_has_work(&vq));
			assert_false(driver_get(&driver, &id, &len));
			virtq_push(&vq, chain.id, chain.slots, 513);
			assert_true(driver_get(&driver, &id, &len));
			assert_int_equal(id, added);
			assert_int_equal(len, 513);
			assert_false(driver_get(&driver, &id, &len));
		}
	}
}

/* A full ring, answered backwards. */
static void test_out_of_order(void **state)
{
	struct {
		uint16_t id;
		uint16_t slots;
	} taken[SIZE];
	uint16_t added[SIZE];
	uint16_t id;
	uint32_t len;

	(void)state;
	FOR_EACH_KIND(k)
	{
		start_kind(k);
		for (unsigned int round = 0; round < 3; round++) {
			for (unsigned int i = 0; i < SIZE; i++)
				added[i] =
					driver_add(&driver, &(struct buffer){DATA + i, 1, true}, 1);
			for (unsigned int i = 0; i < SIZE; i++) {
				assert_int_equal(virtq_pop(&vq, &chain), 1);
				assert_segment(0, DATA + i, 1);
				taken[i].id = chain.id;
				taken[i].slots = chain.slots;
			}
			assert_int_equal(virtq_pop(&vq, &chain), 0);
			for (unsigned int i = SIZE; i-- > 0;)
				virtq_push(&vq, taken[i].id, taken[i].slots, i + 1);
			for (unsigned int i = SIZE; i-- > 0;) {
				assert_true(driver_get(&driver, &id, &len));
				assert_int_equal(id, added[i]);
				assert_int_equal(len, i + 1);
			}
		}
	}
}

static void test_unpop(void **state)
{
	(void)state;
	FOR_EACH_KIND(k)
	{
		start_kind(k);
		for (unsigned int round = 0; round < 3 * SIZE; round++) {
			const struct buffer two[] = {{DATA, 4, false}, {DATA + round, 8, true}};
			uint16_t id;
			uint32_t len;

			driver_add(&driver, two, 2);
			assert_int_equal(virtq_pop(&vq, &chain), 1);
			virtq_unpop(&vq, &chain);
			assert_true(virtq_has_work(&vq));
			assert_int_equal(virtq_pop(&vq, &chain), 1);
			assert_segment(1, DATA + round, 8);
			virtq_push(&vq, chain.id, chain.slots, 0);
			assert_true(driver_get(&driver, &id, &len));
		}
	}
}

static void test_empty_pieces_do_not_count(void **state)
{
	const struct buffer b[] = {{DATA, 0, false}, {DATA, 5, false}, {~0ULL, 0, true}};

	(void)state;
	FOR_EACH_KIND(k)
	{
		start_kind(k);
		driver_add(&driver, b, 3);
		assert_int_equal(virtq_pop(&vq, &chain), 1);
		assert_int_equal(chain.out, 1);
		assert_int_equal(chain.in, 0);
	}
}

static uint16_t *driver_area(void)
{
	return driver_at(&driver, driver.setup.driver);
}

static uint16_t *device_area(void)
{
	return driver_at(&driver, driver.setup.device);
}

static void serve_one(void)
{
	uint16_t id;
	uint32_t len;

	driver_add(&driver, &(struct buffer){DATA, 1, true}, 1);
	assert_int_equal(virtq_pop(&vq, &chain), 1);
	virtq_push(&vq, chain.id, chain.slots, 1);
	assert_true(driver_get(&driver, &id, &len));
}

static void test_interrupts_without_event_index(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		/* Where the flags are, and what "no interrupts" is. */
		unsigned int at = packed ? 1 : 0;

		start(packed, false, false);
		assert_false(virtq_should_signal(&vq));
		serve_one();
		assert_true(virtq_should_signal(&vq));
		assert_false(virtq_should_signal(&vq));
		driver_area()[at] = 1;
		serve_one();
		assert_false(virtq_should_signal(&vq));
		driver_area()[at] = 0;
		serve_one();
		assert_true(virtq_should_signal(&vq));
	}
}

/* The driver wants to hear of its n-th used buffer from now on, and of no other. */
static void want_event(unsigned int ahead)
{
	unsigned int slot = driver.used + ahead - 1;
	bool wrap = driver.used_wrap;

	if (!driver.setup.packed) {
		driver_area()[2 + SIZE] = (uint16_t)slot;
		return;
	}
	if (slot >= SIZE) {
		slot -= SIZE;
		wrap = !wrap;
	}
	driver_area()[0] = (uint16_t)(slot | wrap << 15);
	driver_area()[1] = VRING_PACKED_EVENT_FLAG_DESC;
}

static void test_interrupts_with_event_index(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		start(packed, false, true);
		for (unsigned int round = 0; round < 50; round++) {
			want_event(3);
			for (unsigned int i = 1; i <= 5; i++) {
				serve_one();
				assert_int_equal(virtq_should_signal(&vq), i == 3);
			}
			want_event(2);
			/* Asked only after a batch that had the event in it. */
			for (unsigned int i = 0; i < 4; i++)
				serve_one();
			assert_true(virtq_should_signal(&vq));
		}
	}
}

static void test_notifications(void **state)
{
	(void)state;
	start(false, false, false);
	virtq_notify_off(&vq);
	assert_int_equal(device_area()[0], VRING_USED_F_NO_NOTIFY);
	assert_false(virtq_notify_on(&vq));
	assert_int_equal(device_area()[0], 0);

	start(false, false, true);
	serve_one();
	assert_false(virtq_notify_on(&vq));
	assert_int_equal(device_area()[2 + 4 * SIZE], 1); /* avail_event */

	start(true, false, false);
	virtq_notify_off(&vq);
	assert_int_equal(device_area()[1], VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_false(virtq_notify_on(&vq));
	assert_int_equal(device_area()[1], VRING_PACKED_EVENT_FLAG_ENABLE);

	start(true, false, true);
	for (unsigned int i = 0; i < SIZE + 1; i++)
		serve_one();
	assert_false(virtq_notify_on(&vq));
	assert_int_equal(device_area()[1], VRING_PACKED_EVENT_FLAG_DESC);
	assert_int_equal(device_area()[0], 1); /* the second lap: wrap counter 0 */
}

/* Work that came before the driver could know: the device is told to look again. */
static void test_notify_on_sees_late_work(void **state)
{
	(void)state;
	FOR_EACH_KIND(k)
	{
		start_kind(k);
		virtq_notify_off(&vq);
		driver_add(&driver, &(struct buffer){DATA, 1, true}, 1);
		assert_true(virtq_notify_on(&vq));
	}
}

static void test_bad_setups(void **state)
{
	static const struct {
		int err;
		struct virtq_setup setup;
	} bad[] = {
		{-EINVAL, {RINGS, RINGS + 0x2000, RINGS + 0x3000, 0, 0, 0, 0}},
		{-EINVAL, {RINGS, RINGS + 0x2000, RINGS + 0x3000, 3, 0, 0, 0}},
		{-EINVAL, {RINGS, RINGS + 0x2000, RINGS + 0x3000, 512, 0, 0, 0}},
		{-EINVAL, {RINGS, RINGS + 0x2000, RINGS + 0x3000, 512, 1, 0, 0}},
		{-EFAULT, {RINGS + 8, RINGS + 0x2000, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2001, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2000, RINGS + 0x3002, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2002, RINGS + 0x3000, 8, 1, 0, 0}},
		{-EFAULT, {RINGS - 16, RINGS + 0x2000, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS + RAM - 112, RINGS, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + RAM - 20, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2000, RINGS + RAM - 68, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2000, 0, 8, 0, 0, 0}},
		{-EFAULT, {~0ULL - 15, RINGS + 0x2000, RINGS + 0x3000, 8, 0, 0, 0}},
		{-EFAULT, {RINGS, RINGS + 0x2000, RINGS + RAM - 2, 8, 1, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (virtq_start(&vq, &mem, &bad[i].setup) != bad[i].err)
			fail_msg("setup %zu", i);
}

/* What no driver may do: one chain of raw descriptors each, in both formats. */
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define TABLE (MEMORY_BASE + 0x40000)

struct raw {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static const struct {
	const char *name;
	int split;
	int packed;
	bool no_indirect;
	struct raw desc[3];
	struct raw table[3];
} broken[] = {
	{"not RAM", -EFAULT, -EFAULT, false, {{0x1000, 16, 0, 0}}, {{0}}},
	{"over the end of RAM", -EFAULT, -EFAULT, false, {{RINGS + RAM - 8, 16, 0, 0}}, {{0}}},
	{"wraps", -EFAULT, -EFAULT, false, {{~0ULL - 4, 16, 0, 0}}, {{0}}},
	{"4 GiB - 1", -EFAULT, -EFAULT, false, {{RINGS, ~0U, 0, 0}}, {{0}}},
	{"next outside", -EPROTO, 1, false, {{DATA, 1, NEXT, 8}, {DATA, 1, 0, 0}}, {{0}}},
	{"readable behind writable",
	 -EPROTO,
	 -EPROTO,
	 false,
	 {{DATA, 1, NEXT | WRITE, 1}, {DATA, 1, 0, 0}},
	 {{0}}},
	{"indirect not negotiated",
	 -EPROTO,
	 -EPROTO,
	 true,
	 {{TABLE, 16, INDIRECT, 0}},
	 {{DATA, 1, 0, 0}}},
	{"indirect with next",
	 -EPROTO,
	 -EPROTO,
	 false,
	 {{TABLE, 16, INDIRECT | NEXT, 1}, {DATA, 1, 0, 0}},
	 {{DATA, 1, 0, 0}}},
	{"indirect of no length", -EPROTO, -EPROTO, false, {{TABLE, 0, INDIRECT, 0}}, {{0}}},
	{"indirect of half a descriptor",
	 -EPROTO,
	 -EPROTO,
	 false,
	 {{TABLE, 24, INDIRECT, 0}},
	 {{0}}},
	{"indirect outside RAM", -EPROTO, -EPROTO, false, {{TABLE + RAM, 16, INDIRECT, 0}}, {{0}}},
	{"indirect too long",
	 -ELOOP,
	 -ELOOP,
	 false,
	 {{RINGS + 0x8000, 16 * 257, INDIRECT, 0}},
	 {{0}}},
	{"indirect in indirect",
	 -EPROTO,
	 1,
	 false,
	 {{TABLE, 16, INDIRECT, 0}},
	 {{TABLE, 16, INDIRECT, 0}}},
	{"indirect loop",
	 -ELOOP,
	 1,
	 false,
	 {{TABLE, 32, INDIRECT, 0}},
	 {{DATA, 1, NEXT, 1}, {DATA, 1, NEXT, 0}}},
	{"indirect's next outside",
	 -EPROTO,
	 1,
	 false,
	 {{TABLE, 16, INDIRECT, 0}},
	 {{DATA, 1, NEXT, 1}}},
};

/* Where a table must be whatever it is called: a long chain for "indirect too long". */
static void fill_long_table(bool packed)
{
	struct vring_desc *table = driver_at(&driver, RINGS + 0x8000);

	for (unsigned int i = 0; i < 257; i++)
		table[i] = (struct vring_desc){.addr = DATA,
					       .len = 1,
					       .flags = packed ? 0 : NEXT,
					       .next = packed ? 0 : (uint16_t)(i + 1)};
}

static void put_raw(size_t i, bool packed)
{
	struct vring_desc *desc = driver_at(&driver, driver.setup.desc);
	struct vring_desc *table = driver_at(&driver, TABLE);
	struct vring_packed_desc *packed_desc = (void *)desc;
	struct vring_packed_desc *packed_table = (void *)table;
	uint16_t *avail = driver_area();

	for (unsigned int n = 0; n < 3; n++) {
		const struct raw *d = &broken[i].desc[n];
		const struct raw *t = &broken[i].table[n];

		if (packed) {
			packed_desc[n] = (struct vring_packed_desc){
				d->addr, d->len, 0, d->flags | 1 << VRING_PACKED_DESC_F_AVAIL};
			packed_table[n] = (struct vring_packed_desc){t->addr, t->len, 0, t->flags};
		} else {
			desc[n] = (struct vring_desc){d->addr, d->len, d->flags, d->next};
			table[n] = (struct vring_desc){t->addr, t->len, t->flags, t->next};
		}
	}
	if (!packed) {
		avail[2] = 0;
		avail[1] = 1;
	}
}

static void test_broken_chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		for (int packed = 0; packed < 2; packed++) {
			int want = packed ? broken[i].packed : broken[i].split;
			int got;

			start(packed, !broken[i].no_indirect, false);
			fill_long_table(packed);
			put_raw(i, packed);
			got = virtq_pop(&vq, &chain);
			if (got != want)
				fail_msg("%s (%s): %d", broken[i].name, packed ? "packed" : "split",
					 got);
		}
	}
}

static void test_loop_in_the_ring(void **state)
{
	struct vring_desc *desc;
	struct vring_packed_desc *packed;

	(void)state;
	start(false, false, false);
	driver_add(&driver, &(struct buffer){DATA, 1, false}, 1);
	desc = driver_at(&driver, driver.setup.desc);
	desc[0].flags = NEXT;
	desc[0].next = 0;
	assert_int_equal(virtq_pop(&vq, &chain), -ELOOP);

	/* All slots of a packed ring say that there is one more. */
	start(true, false, false);
	packed = driver_at(&driver, driver.setup.desc);
	for (unsigned int i = 0; i < SIZE; i++)
		packed[i] = (struct vring_packed_desc){DATA, 1, 0,
						       NEXT | 1 << VRING_PACKED_DESC_F_AVAIL};
	assert_int_equal(virtq_pop(&vq, &chain), -ELOOP);
}

static void test_bad_available_ring(void **state)
{
	(void)state;
	start(false, false, false);
	driver_area()[1] = SIZE + 1;
	assert_int_equal(virtq_pop(&vq, &chain), -EPROTO);
	start(false, false, false);
	driver_area()[1] = 1;
	driver_area()[2] = SIZE;
	assert_int_equal(virtq_pop(&vq, &chain), -EPROTO);
}

/* Normal descriptors and then an indirect one: allowed in a split ring (section 2.7.5.3.2). */
static void test_indirect_at_the_end(void **state)
{
	struct vring_desc *desc;
	struct vring_desc *table;

	(void)state;
	start(false, true, false);
	desc = driver_at(&driver, driver.setup.desc);
	table = driver_at(&driver, TABLE);
	desc[0] = (struct vring_desc){DATA, 16, NEXT, 1};
	desc[1] = (struct vring_desc){TABLE, 16, INDIRECT, 0};
	table[0] = (struct vring_desc){DATA + 16, 3, WRITE, 0};
	driver_area()[1] = 1;
	assert_int_equal(virtq_pop(&vq, &chain), 1);
	assert_segment(0, DATA, 16);
	assert_segment(1, DATA + 16, 3);
	assert_int_equal(chain.in, 1);
}

static atomic_bool stop_scribbling;

/* Changes every byte of the rings all the time. */
static void *scribble(void *arg)
{
	uint32_t random = 12345;

	(void)arg;
	while (!atomic_load(&stop_scribbling)) {
		for (unsigned int i = 0; i < 0x8000; i += 2) {
			random = random * 1664525 + 1013904223;
			__atomic_store_n((uint16_t *)(void *)(mem.hva + i),
					 (uint16_t)(random >> (random >> 30 ? 16 : 28)),
					 __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* Descriptors that change under our feet: whatever comes, the pieces are in memory and add up. */
static void test_changing_descriptors(void **state)
{
	unsigned int popped = 0;
	pthread_t thread;

	(void)state;
	atomic_store(&stop_scribbling, false);
	assert_int_equal(pthread_create(&thread, NULL, scribble, NULL), 0);
	for (unsigned int i = 0; i < 200000; i++) {
		size_t k = i % ARRAY_SIZE(kinds);
		uint64_t sum = 0;

		driver.setup.packed = kinds[k].packed;
		driver.setup.indirect = kinds[k].indirect;
		assert_int_equal(virtq_start(&vq, &mem, &driver.setup), 0);
		if (virtq_pop(&vq, &chain) != 1)
			continue;
		popped++;
		for (unsigned int n = 0; n < chain.out + chain.in; n++) {
			uint64_t at = (uint64_t)((uint8_t *)chain.iov[n].iov_base - mem.hva);

			assert_true(at < RAM && chain.iov[n].iov_len <= RAM - at);
			sum += chain.iov[n].iov_len;
		}
		assert_int_equal(sum, chain.out_len + chain.in_len);
		virtq_push(&vq, chain.id, chain.slots, 1);
		virtq_should_signal(&vq);
	}
	atomic_store(&stop_scribbling, true);
	pthread_join(thread, NULL);
	assert_true(popped > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_comes_and_goes),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_empty_pieces_do_not_count),
		cmocka_unit_test(test_interrupts_without_event_index),
		cmocka_unit_test(test_interrupts_with_event_index),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_notify_on_sees_late_work),
		cmocka_unit_test(test_bad_setups),
		cmocka_unit_test(test_broken_chains),
		cmocka_unit_test(test_loop_in_the_ring),
		cmocka_unit_test(test_bad_available_ring),
		cmocka_unit_test(test_indirect_at_the_end),
		cmocka_unit_test(test_changing_descriptors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
