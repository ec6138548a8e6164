/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "memory.h"

#define MIB (1ULL << 20)

static const struct memory_options plain;

static void test_door(void **state)
{
	struct memory mem;

	(void)state;
	assert_int_equal(memory_create(&mem, 16 * MIB, &plain), 0);
	assert_ptr_equal(memory_at(&mem, MEMORY_BASE, 1), mem.hva);
	assert_ptr_equal(memory_at(&mem, MEMORY_BASE, 16 * MIB), mem.hva);
	assert_ptr_equal(memory_at(&mem, MEMORY_BASE + 16 * MIB - 8, 8), mem.hva + 16 * MIB - 8);
	assert_null(memory_at(&mem, MEMORY_BASE - 1, 1));
	assert_null(memory_at(&mem, MEMORY_BASE - 1, 2));
	assert_null(memory_at(&mem, MEMORY_BASE, 16 * MIB + 1));
	assert_null(memory_at(&mem, MEMORY_BASE + 16 * MIB - 7, 8));
	assert_null(memory_at(&mem, MEMORY_BASE + 16 * MIB, 1));
	assert_null(memory_at(&mem, 0, 1));
	/* Sums that wrap around. */
	assert_null(memory_at(&mem, MEMORY_BASE + 1, -1ULL));
	assert_null(memory_at(&mem, -1ULL, 2));
	assert_null(memory_at(&mem, MEMORY_BASE + 8 * MIB, -(MEMORY_BASE + 8 * MIB)));
	memory_destroy(&mem);
}

static void test_congruent_and_zero(void **state)
{
	struct memory mem;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		const struct memory_options options = {.pages = i & 1 ? MEMORY_PAGES_SMALL
								      : MEMORY_PAGES_TRANSPARENT,
						       .prealloc = i & 2};

		assert_int_equal(memory_create(&mem, 4 * MIB, &options), 0);
		assert_int_equal((uintptr_t)mem.hva % (1 << 30), MEMORY_BASE % (1 << 30));
		for (uint64_t off = 0; off < 4 * MIB; off += 4096) {
			assert_int_equal(mem.hva[off], 0);
			mem.hva[off] = 1;
		}
		memory_clear(&mem);
		for (uint64_t off = 0; off < 4 * MIB; off += 4096)
			assert_int_equal(mem.hva[off], 0);
		memory_destroy(&mem);
	}
}

static void test_refused(void **state)
{
	const struct memory_options reserved = {.pages = MEMORY_PAGES_RESERVED};
	struct sysinfo info;
	struct memory mem;
	uint64_t too_much;

	(void)state;
	assert_int_equal(sysinfo(&info), 0);
	too_much = ((info.totalram + info.totalswap) * info.mem_unit + 4096) & ~4095ULL;
	assert_int_equal(memory_create(&mem, too_much, &plain), -ENOMEM);
	assert_int_equal(memory_create(&mem, 0, &plain), -EINVAL);
	assert_int_equal(memory_create(&mem, 4097, &plain), -EINVAL);
	assert_int_equal(memory_create(&mem, -4096ULL, &plain), -ENOMEM);
	assert_int_equal(memory_create(&mem, 3 * MIB, &reserved), -EINVAL);
	assert_null(mem.hva);
	memory_destroy(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_door),
		cmocka_unit_test(test_congruent_and_zero),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
