/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest_isa.h"
#include "uapi/duvisor.h"

#define HOST "i\0m\0a\0f\0d\0c\0h\0v\0zicbom\0zicboz\0zicsr\0zbb\0sstc\0svpbmt\0svadu\0svinval\0xdv"

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

static void put(const char *dir, const char *name, const void *data, size_t size)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static void test_read_tree(void **state)
{
	char root[] = "/tmp/duvisor-test-XXXXXX";
	char path[64];
	char command[96];
	struct guest_isa isa;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(guest_isa_read(&isa, root, 0), -ENOENT);
	snprintf(path, sizeof(path), "%s/cpus", root);
	assert_int_equal(mkdir(path, 0700), 0);
	put(path, "timebase-frequency", "\0\x98\x96\x80", 4);
	assert_int_equal(guest_isa_read(&isa, root, 0), -ENOENT);
	snprintf(path, sizeof(path), "%s/cpus/cpu@1", root);
	assert_int_equal(mkdir(path, 0700), 0);
	put(path, "riscv,isa-extensions", HOST, sizeof(HOST));
	put(path, "mmu-type", "riscv,sv57", 11);
	put(path, "riscv,cbom-block-size", "\0\0\0@", 4);
	put(path, "riscv,cboz-block-size", "\0\0\0\x80", 4);
	assert_int_equal(guest_isa_read(&isa, root, DUVISOR_FEATURE_ZICBOM), 0);
	assert_int_equal(isa.timebase_frequency, 10000000);
	assert_string_equal(isa.mmu_type, "riscv,sv57");
	assert_string_equal(isa.isa, "rv64imafdc_zicbom_zicsr_zbb_svinval");
	assert_int_equal(isa.cbom_block_size, 64);
	assert_int_equal(isa.cboz_block_size, 0);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
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
