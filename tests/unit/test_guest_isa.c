/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_tree.h"

#include <errno.h>
#include <string.h>

#include "guest_isa.h"
#include "uapi/duvisor.h"

#define HOST FAKE_TREE_ISA

static int filter(struct guest_isa *isa, const char *list, size_t size, uint64_t features)
{
	memset(isa, 0xaa, sizeof(*isa));
	return guest_isa_filter(isa, list, size, features);
}

static void test_filter(void **state)
{
	static const char want[] = "i\0m\0a\0f\0d\0c\0zicsr\0zbb\0sstc\0svinval";
	struct guest_isa isa;

	(void)state;
	assert_int_equal(filter(&isa, HOST, sizeof(HOST), DUVISOR_FEATURE_STIMECMP), 0);
	assert_string_equal(isa.isa, "rv64imafdc_zicsr_zbb_sstc_svinval");
	assert_int_equal(isa.extensions_size, sizeof(want));
	assert_memory_equal(isa.extensions, want, sizeof(want));
}

static void test_features(void **state)
{
	struct guest_isa isa;

	(void)state;
	assert_int_equal(filter(&isa, HOST, sizeof(HOST), 0), 0);
	assert_string_equal(isa.isa, "rv64imafdc_zicsr_zbb_svinval");
	assert_int_equal(filter(&isa, HOST, sizeof(HOST),
				DUVISOR_FEATURE_ZICBOM | DUVISOR_FEATURE_ZICBOZ),
			 0);
	assert_string_equal(isa.isa, "rv64imafdc_zicbom_zicboz_zicsr_zbb_svinval");
}

static void test_hostile_lists(void **state)
{
	struct guest_isa isa;

	(void)state;
	assert_int_equal(filter(&isa, "", 0, 0), -EINVAL);
	assert_int_equal(filter(&isa, "i\0m", 4, 0), -EINVAL);
	/* The last name is not terminated: it does not count. */
	assert_int_equal(filter(&isa, "i\0m\0a", 5, 0), -EINVAL);
	/* Prefixes are not names. */
	assert_int_equal(filter(&isa, "i\0m\0a\0zb\0zicsrx", sizeof("i\0m\0a\0zb\0zicsrx"), 0), 0);
	assert_string_equal(isa.isa, "rv64ima");
}

static void test_read_tree(void **state)
{
	struct fake_tree tree;
	struct guest_isa isa;

	(void)state;
	fake_tree_root(&tree);
	assert_int_equal(guest_isa_read(&isa, tree.root, 0), -ENOENT);
	fake_tree_cpus(&tree);
	assert_int_equal(guest_isa_read(&isa, tree.root, 0), -ENOENT);
	fake_tree_cpu(&tree);
	assert_int_equal(guest_isa_read(&isa, tree.root, DUVISOR_FEATURE_ZICBOM), 0);
	assert_int_equal(isa.timebase_frequency, 10000000);
	assert_string_equal(isa.mmu_type, "riscv,sv57");
	assert_string_equal(isa.isa, "rv64imafdc_zicbom_zicsr_zbb_svinval");
	assert_int_equal(isa.cbom_block_size, 64);
	assert_int_equal(isa.cboz_block_size, 0);
	fake_tree_destroy(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_hostile_lists),
		cmocka_unit_test(test_read_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
