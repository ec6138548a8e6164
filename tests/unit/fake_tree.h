/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host's device tree of files, as /proc/device-tree shows it. */
#ifndef TESTS_FAKE_TREE_H
#define TESTS_FAKE_TREE_H

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAKE_TREE_ISA                                                                              \
	"i\0m\0a\0f\0d\0c\0h\0v\0zicbom\0zicboz\0zicsr\0zbb\0sstc\0svpbmt\0svadu\0svinval\0xdv"

struct fake_tree {
	char root[32];
};

static inline void fake_tree_directory(const struct fake_tree *tree, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static inline void fake_tree_put(const struct fake_tree *tree, const char *name, const void *data,
				 size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tree->root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static inline void fake_tree_root(struct fake_tree *tree)
{
	snprintf(tree->root, sizeof(tree->root), "/tmp/duvisor-test-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
}

static inline void fake_tree_cpus(const struct fake_tree *tree)
{
	fake_tree_directory(tree, "cpus");
	fake_tree_put(tree, "cpus/timebase-frequency", "\0\x98\x96\x80", 4);
}

static inline void fake_tree_cpu(const struct fake_tree *tree)
{
	fake_tree_directory(tree, "cpus/cpu@1");
	fake_tree_put(tree, "cpus/cpu@1/riscv,isa-extensions", FAKE_TREE_ISA,
		      sizeof(FAKE_TREE_ISA));
	fake_tree_put(tree, "cpus/cpu@1/mmu-type", "riscv,sv57", 11);
	fake_tree_put(tree, "cpus/cpu@1/riscv,cbom-block-size", "\0\0\0@", 4);
	fake_tree_put(tree, "cpus/cpu@1/riscv,cboz-block-size", "\0\0\0\x80", 4);
}

static inline void fake_tree_destroy(const struct fake_tree *tree)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", tree->root);
	assert_int_equal(system(command), 0);
}

#endif
