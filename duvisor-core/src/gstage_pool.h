/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for stage-2 tables: one mapping, so that what a VM can need at most is known, and locked with the
 * rest under --prealloc. Tables are given out one after the other and returned all at once.
 */
#ifndef DUVISOR_GSTAGE_POOL_H
#define DUVISOR_GSTAGE_POOL_H

#include "gstage.h"

struct gstage_pool {
	struct gstage_alloc alloc; /* for gstage_create() */
	uint8_t *base;
	size_t size;
	size_t used;
};

/*
 * For one root, the tables that map ram_size bytes with leaves of max_leaf, and some for devices. The pages
 * are only reserved. 0 or -errno. It must not move, and the caller serialises what takes tables.
 */
int gstage_pool_create(struct gstage_pool *pool, uint64_t ram_size, uint64_t max_leaf);
void gstage_pool_destroy(struct gstage_pool *pool);

#endif
