/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gstage_pool.h"

#include <errno.h>
#include <sys/mman.h>

#define ENTRIES 512

/*
 * What no size tells: a table of each level where RAM begins and ends off a boundary, and the same for
 * each of a few ranges of devices.
 */
#define EXTRA_TABLES 64

static void *get(void *opaque, size_t size)
{
	struct gstage_pool *pool = opaque;
	uintptr_t base = (uintptr_t)pool->base;
	size_t at = ((base + pool->used + size - 1) & ~(size - 1)) - base;

	if (size > pool->size || at > pool->size - size)
		return NULL;
	pool->used = at + size;
	return pool->base + at;
}

/* Tables go all at once; and a VM that unmaps what it mapped reuses the tables that are linked. */
static void put(void *opaque, void *table, size_t size)
{
	(void)opaque;
	(void)table;
	(void)size;
}

static size_t tables_for(uint64_t ram_size, uint64_t max_leaf)
{
	size_t tables = EXTRA_TABLES;

	for (uint64_t span = max_leaf * ENTRIES; ram_size / span; span *= ENTRIES)
		tables += ram_size / span;
	return tables;
}

int gstage_pool_create(struct gstage_pool *pool, uint64_t ram_size, uint64_t max_leaf)
{
	/* Twice the root: the kernel aligns to pages only. */
	size_t size = 2 * GSTAGE_ROOT_SIZE + tables_for(ram_size, max_leaf) * GSTAGE_PAGE_SIZE;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	*pool = (struct gstage_pool){
		.alloc = {.get = get, .put = put, .opaque = pool},
		.base = at,
		.size = size,
	};
	return 0;
}

void gstage_pool_destroy(struct gstage_pool *pool)
{
	if (pool->base)
		munmap(pool->base, pool->size);
	pool->base = NULL;
}
