/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stage-2 page tables: guest-physical to host-virtual (docs/isa.md section 5), in the format of
 * Sv39x4 or Sv48x4. Pure code over memory of this process; knows no hart and no device.
 */
#ifndef DUVISOR_GSTAGE_H
#define DUVISOR_GSTAGE_H

#include <stdbool.h>

#include "types.h"

#define GSTAGE_PAGE_SHIFT 12
#define GSTAGE_PAGE_SIZE (1ULL << GSTAGE_PAGE_SHIFT)
#define GSTAGE_ROOT_SIZE (4 * GSTAGE_PAGE_SIZE)

enum gstage_perm {
	GSTAGE_READ = 1 << 1,
	GSTAGE_WRITE = 1 << 2,
	GSTAGE_EXEC = 1 << 3,
	GSTAGE_RWX = GSTAGE_READ | GSTAGE_WRITE | GSTAGE_EXEC,
};

/* Where tables come from: size bytes, aligned to size, zeroed; NULL if there are none. */
struct gstage_alloc {
	void *(*get)(void *opaque, size_t size);
	void (*put)(void *opaque, void *table, size_t size);
	void *opaque;
};

struct gstage {
	const struct gstage_alloc *alloc;
	unsigned int levels; /* 3: Sv39x4, 4: Sv48x4 */
	uint64_t *root;      /* 16 KiB */
};

/* The fewest levels that reach guest-physical addresses up to end - 1, or 0. */
unsigned int gstage_levels_for(gpa_t end);

int gstage_create(struct gstage *gs, unsigned int levels, const struct gstage_alloc *alloc);
void gstage_destroy(struct gstage *gs);

/* The value of hugatp that names these tables. */
uint64_t gstage_hugatp(const struct gstage *gs);

/*
 * Map size bytes at gpa to hva with the largest leaves that fit and lie wholly inside; max_leaf
 * (4 KiB, 2 MiB, 1 GiB) limits them. All aligned to 4 KiB. -EINVAL, -ENOMEM, or -EEXIST if something is
 * mapped there already; what was mapped before the error stays.
 */
int gstage_map(struct gstage *gs, gpa_t gpa, void *hva, uint64_t size, unsigned int perm,
	       uint64_t max_leaf);

/*
 * Remove what maps size bytes at gpa. A leaf that lies only partly inside is split first. The caller fences.
 * -EINVAL, or -ENOMEM if a split found no table.
 */
int gstage_unmap(struct gstage *gs, gpa_t gpa, uint64_t size);

/* The leaf entry for gpa and the size it maps, or 0 if there is none. */
uint64_t gstage_lookup(const struct gstage *gs, gpa_t gpa, uint64_t *leaf_size);

#endif
