/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stage-2 tables, read back by a walker of their own that follows docs/isa.md and the privileged spec. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "duvisor/isa.h"
#include "gstage.h"
#include "gstage_pool.h"

#define KIB4 (1ULL << 12)
#define MIB2 (1ULL << 21)
#define GIB1 (1ULL << 30)

static size_t tables_left = SIZE_MAX;
static size_t tables_live;

static void *counting_get(void *opaque, size_t size)
{
	void *table = tables_left ? aligned_alloc(size, size) : NULL;

	assert_ptr_equal(opaque, &tables_left);
	if (table) {
		memset(table, 0, size);
		tables_left--;
		tables_live++;
	}
	return table;
}

static void counting_put(void *opaque, void *table, size_t size)
{
	(void)size;
	assert_ptr_equal(opaque, &tables_left);
	tables_live--;
	free(table);
}

static const struct gstage_alloc counting = {
	.get = counting_get, .put = counting_put, .opaque = &tables_left};

/* The hardware's view: from the value of hugatp alone. Returns the leaf and its HVA for gpa, or 0. */
static uint64_t walk(uint64_t hugatp, uint64_t gpa, uint64_t *hva)
{
	unsigned int level = hugatp >> 60 == HUGATP_MODE_SV39X4 ? 2 : 3;
	uint64_t table = (hugatp & HUGATP_VPN_MASK) << 12;
	uint64_t index = gpa >> (12 + 9 * level);

	assert_int_equal(table & 0x3fff, 0);
	assert_true(index < 2048);
	for (;; level--) {
		uint64_t pte = ((const uint64_t *)(uintptr_t)table)[index];
		uint64_t target = (pte >> 10 & HUGATP_VPN_MASK) << 12;
		uint64_t below = (1ULL << (12 + 9 * level)) - 1;

		if (!(pte & 1))
			return 0;
		assert_int_equal(pte >> 54, 0); /* PBMT, N and reserved bits */
		if (pte & 0xe) {
			assert_int_equal(target & below, 0); /* not a misaligned superpage */
			*hva = target | (gpa & below);
			return pte;
		}
		assert_int_equal(pte & 0x3fe, 0); /* U, A, D are reserved in pointers */
		assert_true(level > 0);
		table = target;
		index = gpa >> (12 + 9 * (level - 1)) & 511;
	}
}

static struct gstage setup(unsigned int levels)
{
	struct gstage gs;

	assert_int_equal(gstage_create(&gs, levels, &counting), 0);
	return gs;
}

static void teardown(struct gstage *gs)
{
	gstage_destroy(gs);
	assert_int_equal(tables_live, 0);
}

static void expect_mapped(const struct gstage *gs, uint64_t gpa, uint64_t hva, uint64_t leaf)
{
	uint64_t got = 0;
	uint64_t size = 0;
	uint64_t pte = walk(gstage_hugatp(gs), gpa, &got);

	assert_int_equal(pte & 0x3ff, 0xdf); /* V R W X U A D */
	assert_int_equal(got, hva);
	assert_int_equal(gstage_lookup(gs, gpa, &size), pte);
	assert_int_equal(size, leaf);
}

static void expect_unmapped(const struct gstage *gs, uint64_t gpa)
{
	uint64_t hva;

	assert_int_equal(walk(gstage_hugatp(gs), gpa, &hva), 0);
	assert_int_equal(gstage_lookup(gs, gpa, &hva), 0);
}

static int map(struct gstage *gs, uint64_t gpa, uint64_t hva, uint64_t size, uint64_t max_leaf)
{
	return gstage_map(gs, gpa, (void *)(uintptr_t)hva, size, GSTAGE_RWX, max_leaf);
}

static void test_largest_leaves(void **state)
{
	struct gstage gs = setup(3);
	/* From the last page before a 2 MiB boundary, over one 1 GiB leaf, to one page after it. */
	uint64_t gpa = 0x80000000 - MIB2 - KIB4;
	uint64_t hva = 0x3f00000000 + gpa % GIB1;

	(void)state;
	assert_int_equal(map(&gs, gpa, hva, KIB4 + MIB2 + GIB1 + MIB2 + KIB4, GIB1), 0);
	expect_unmapped(&gs, gpa - 1);
	expect_mapped(&gs, gpa, hva, KIB4);
	expect_mapped(&gs, gpa + KIB4 + 5, hva + KIB4 + 5, MIB2);
	expect_mapped(&gs, 0x80000000, 0x3f40000000, GIB1);
	expect_mapped(&gs, 0xbfffffff, 0x3f7fffffff, GIB1);
	expect_mapped(&gs, 0xc0000000, 0x3f80000000, MIB2);
	expect_mapped(&gs, 0xc0200fff, 0x3f80200fff, KIB4);
	expect_unmapped(&gs, 0xc0201000);
	teardown(&gs);
}

static void test_leaf_limits(void **state)
{
	struct gstage gs = setup(3);

	(void)state;
	assert_int_equal(map(&gs, 0x80000000, 0x40000000, GIB1, MIB2), 0);
	expect_mapped(&gs, 0x80000000, 0x40000000, MIB2);
	assert_int_equal(map(&gs, 0x40000000, 0x10000000, MIB2, KIB4), 0);
	expect_mapped(&gs, 0x401ff000, 0x101ff000, KIB4);
	/* Not congruent: only small leaves fit. */
	assert_int_equal(map(&gs, 0xc0000000, 0x50001000, MIB2, GIB1), 0);
	expect_mapped(&gs, 0xc0000000, 0x50001000, KIB4);
	teardown(&gs);
}

static void test_four_levels(void **state)
{
	struct gstage gs = setup(4);
	uint64_t top = (1ULL << 50) - GIB1;

	(void)state;
	assert_int_equal(gstage_hugatp(&gs) >> 60, HUGATP_MODE_SV48X4);
	assert_int_equal(map(&gs, top, 0x7f0000000000, GIB1, GIB1), 0);
	expect_mapped(&gs, top + 1, 0x7f0000000001, GIB1);
	assert_int_equal(map(&gs, 1ULL << 50, 0x10000000, KIB4, GIB1), -EINVAL);
	teardown(&gs);
}

static void test_levels_for(void **state)
{
	(void)state;
	assert_int_equal(gstage_levels_for(0), 3);
	assert_int_equal(gstage_levels_for(1ULL << 41), 3);
	assert_int_equal(gstage_levels_for((1ULL << 41) + 1), 4);
	assert_int_equal(gstage_levels_for(1ULL << 50), 4);
	assert_int_equal(gstage_levels_for((1ULL << 50) + 1), 0);
}

static void test_refused(void **state)
{
	struct gstage gs = setup(3);
	void *hva = (void *)0x10000000;

	(void)state;
	assert_int_equal(gstage_map(&gs, 0x1001, hva, KIB4, GSTAGE_RWX, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, hva, 1, GSTAGE_RWX, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, (void *)1, KIB4, GSTAGE_RWX, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, hva, KIB4, 0, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, hva, KIB4, 1, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, hva, KIB4, GSTAGE_WRITE, GIB1), -EINVAL);
	assert_int_equal(gstage_map(&gs, 0x1000, hva, KIB4, GSTAGE_RWX, 1), -EINVAL);
	assert_int_equal(map(&gs, 1ULL << 41, 0x10000000, KIB4, GIB1), -EINVAL);
	assert_int_equal(map(&gs, KIB4, 0x10000000, -KIB4, GIB1), -EINVAL);
	assert_int_equal(gstage_unmap(&gs, 0x1001, KIB4), -EINVAL);
	assert_int_equal(tables_live, 1);
	teardown(&gs);
	assert_int_equal(gstage_create(&gs, 2, &counting), -EINVAL);
	assert_int_equal(gstage_create(&gs, 5, &counting), -EINVAL);
}

static void test_no_overlap(void **state)
{
	struct gstage gs = setup(3);

	(void)state;
	assert_int_equal(map(&gs, 0x80000000, 0x80000000, GIB1, GIB1), 0);
	assert_int_equal(map(&gs, 0x80200000, 0x10000000, MIB2, GIB1), -EEXIST);
	assert_int_equal(map(&gs, 0x80000000, 0x40000000, GIB1, GIB1), -EEXIST);
	assert_int_equal(map(&gs, 0x40001000, 0x10000000, KIB4, GIB1), 0);
	assert_int_equal(map(&gs, 0x40000000, 0x40000000, MIB2, GIB1), -EEXIST);
	assert_int_equal(map(&gs, 0x40001000, 0x10000000, KIB4, GIB1), -EEXIST);
	expect_mapped(&gs, 0x80200000, 0x80200000, GIB1);
	expect_mapped(&gs, 0x40001000, 0x10000000, KIB4);
	teardown(&gs);
}

static void test_unmap_splits(void **state)
{
	struct gstage gs = setup(3);

	(void)state;
	assert_int_equal(map(&gs, 0x80000000, 0x1c0000000, GIB1, GIB1), 0);
	assert_int_equal(gstage_unmap(&gs, 0x80201000, KIB4), 0);
	expect_mapped(&gs, 0x801fffff, 0x1c01fffff, MIB2);
	expect_mapped(&gs, 0x80200fff, 0x1c0200fff, KIB4);
	expect_unmapped(&gs, 0x80201000);
	expect_mapped(&gs, 0x80202000, 0x1c0202000, KIB4);
	expect_mapped(&gs, 0xbfffffff, 0x1ffffffff, MIB2);
	/* A hole is no obstacle, nor is what never was mapped. */
	assert_int_equal(gstage_unmap(&gs, 0x70000000, 0x80000000), 0);
	expect_unmapped(&gs, 0x80000000);
	expect_unmapped(&gs, 0xbfffffff);
	/* The place can be used again. */
	assert_int_equal(map(&gs, 0x80201000, 0x10000000, KIB4, GIB1), 0);
	expect_mapped(&gs, 0x80201000, 0x10000000, KIB4);
	teardown(&gs);
}

static void test_out_of_tables(void **state)
{
	struct gstage gs = {0};

	(void)state;
	tables_left = 0;
	assert_int_equal(gstage_create(&gs, 3, &counting), -ENOMEM);
	tables_left = 2;
	gs = setup(3);
	assert_int_equal(map(&gs, 0x80000000, 0x10000000, KIB4, GIB1), -ENOMEM);
	tables_left = 0;
	assert_int_equal(map(&gs, 0xc0000000, 0x40000000, GIB1, GIB1), 0);
	assert_int_equal(gstage_unmap(&gs, 0xc0000000, KIB4), -ENOMEM);
	expect_mapped(&gs, 0xc0000000, 0x40000000, GIB1);
	teardown(&gs);
	tables_left = SIZE_MAX;
}

/* Random operations on a small space, compared page by page with an array. */
static void test_random(void **state)
{
	enum { PAGES = 3 * 512 };
	static uint64_t model[PAGES];
	struct gstage gs = setup(3);
	unsigned int seed = 1;

	(void)state;
	for (int step = 0; step < 3000; step++) {
		size_t first = (size_t)rand_r(&seed) % PAGES;
		size_t count = (size_t)rand_r(&seed) % (PAGES - first) + 1;
		uint64_t hva = 0x100000000 + ((uint64_t)rand_r(&seed) % 4 * KIB4) + first * KIB4;
		uint64_t gpa = 0x80000000 + first * KIB4;

		if (rand_r(&seed) % 4) {
			size_t free_pages = 0;

			while (free_pages < count && !model[first + free_pages])
				free_pages++;
			if (!free_pages)
				continue;
			assert_int_equal(map(&gs, gpa, hva, free_pages * KIB4, GIB1), 0);
			for (size_t i = 0; i < free_pages; i++)
				model[first + i] = hva + i * KIB4;
		} else {
			assert_int_equal(gstage_unmap(&gs, gpa, count * KIB4), 0);
			memset(&model[first], 0, count * sizeof(model[0]));
		}
		for (size_t i = step % 7; i < PAGES; i += 7) {
			uint64_t got = 0;

			walk(gstage_hugatp(&gs), 0x80000000 + i * KIB4, &got);
			assert_int_equal(got, model[i]);
		}
	}
	teardown(&gs);
}

/* The pool has what the worst case takes: every page of RAM mapped on its own. */
static void test_pool(void **state)
{
	const uint64_t size = 2 * GIB1 + 3 * MIB2 + KIB4;
	struct gstage_pool pool;
	struct gstage gs;

	(void)state;
	assert_int_equal(gstage_pool_create(&pool, size, KIB4), 0);
	assert_int_equal(gstage_create(&gs, 3, &pool.alloc), 0);
	for (uint64_t offset = 0; offset < size; offset += KIB4)
		assert_int_equal(map(&gs, 0x80000000 + offset, 0x3f00000000 + offset, KIB4, KIB4),
				 0);
	expect_mapped(&gs, 0x80000000, 0x3f00000000, KIB4);
	expect_mapped(&gs, 0x80000000 + size - KIB4, 0x3f00000000 + size - KIB4, KIB4);
	gstage_destroy(&gs);
	gstage_pool_destroy(&pool);
}

/* It ends, and says so. */
static void test_pool_is_bounded(void **state)
{
	struct gstage_pool pool;
	struct gstage gs;
	uint64_t gpa = 0;
	int err;

	(void)state;
	assert_int_equal(gstage_pool_create(&pool, MIB2, KIB4), 0);
	assert_int_equal(gstage_create(&gs, 3, &pool.alloc), 0);
	do {
		err = map(&gs, gpa, 0x3f00000000, KIB4, KIB4);
		gpa += MIB2;
	} while (!err && gpa < GIB1);
	assert_int_equal(err, -ENOMEM);
	assert_true(gpa > 8 * MIB2);
	gstage_destroy(&gs);
	gstage_pool_destroy(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_largest_leaves),  cmocka_unit_test(test_leaf_limits),
		cmocka_unit_test(test_four_levels),     cmocka_unit_test(test_levels_for),
		cmocka_unit_test(test_refused),         cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_unmap_splits),    cmocka_unit_test(test_out_of_tables),
		cmocka_unit_test(test_random),          cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
