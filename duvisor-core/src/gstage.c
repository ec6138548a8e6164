/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gstage.h"

#include <errno.h>

#include "duvisor/isa.h"

#define PTE_V (1ULL << 0)
#define PTE_U (1ULL << 4)
#define PTE_A (1ULL << 6)
#define PTE_D (1ULL << 7)
#define PTE_PERM (GSTAGE_READ | GSTAGE_WRITE | GSTAGE_EXEC)
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK HUGATP_VPN_MASK

#define INDEX_BITS 9
#define TABLE_SIZE GSTAGE_PAGE_SIZE
#define ROOT_EXTRA_BITS 2 /* the "x4" of Sv39x4: a root of four pages */
#define ROOT_SIZE GSTAGE_ROOT_SIZE
#define MAX_LEAF_LEVEL 2 /* 1 GiB */

static unsigned int level_shift(unsigned int level)
{
	return GSTAGE_PAGE_SHIFT + INDEX_BITS * level;
}

static uint64_t level_span(unsigned int level)
{
	return 1ULL << level_shift(level);
}

/* One past the last gpa that these many levels reach. */
static uint64_t gpa_limit(unsigned int levels)
{
	return 1ULL << (level_shift(levels) + ROOT_EXTRA_BITS);
}

static uint64_t *entry_of(const struct gstage *gs, uint64_t *table, unsigned int level, gpa_t gpa)
{
	uint64_t index = gpa >> level_shift(level);

	if (level < gs->levels - 1)
		index &= (1ULL << INDEX_BITS) - 1;
	return &table[index];
}

static bool is_leaf(uint64_t pte)
{
	return pte & PTE_PERM;
}

static void *pte_hva(uint64_t pte)
{
	return (void *)(uintptr_t)((pte >> PTE_PPN_SHIFT & PTE_PPN_MASK) << GSTAGE_PAGE_SHIFT);
}

static uint64_t make_pte(const void *hva, uint64_t flags)
{
	return (uint64_t)(uintptr_t)hva >> GSTAGE_PAGE_SHIFT << PTE_PPN_SHIFT | flags;
}

/*
 * Harts walk the tables while we change them: an entry becomes visible only after what it
 * names is complete.
 */
static void set_entry(uint64_t *entry, uint64_t pte)
{
	__atomic_store_n(entry, pte, __ATOMIC_RELEASE);
}

unsigned int gstage_levels_for(gpa_t end)
{
	for (unsigned int levels = 3; levels <= 4; levels++)
		if (end <= gpa_limit(levels))
			return levels;
	return 0;
}

int gstage_create(struct gstage *gs, unsigned int levels, const struct gstage_alloc *alloc)
{
	if (levels < 3 || levels > 4)
		return -EINVAL;
	gs->alloc = alloc;
	gs->levels = levels;
	gs->root = alloc->get(alloc->opaque, ROOT_SIZE);
	return gs->root ? 0 : -ENOMEM;
}

static void free_table(struct gstage *gs, uint64_t *table, size_t size, unsigned int level)
{
	for (size_t i = 0; level > 0 && i < size / sizeof(*table); i++)
		if (table[i] && !is_leaf(table[i]))
			free_table(gs, pte_hva(table[i]), TABLE_SIZE, level - 1);
	gs->alloc->put(gs->alloc->opaque, table, size);
}

void gstage_destroy(struct gstage *gs)
{
	if (gs->root)
		free_table(gs, gs->root, ROOT_SIZE, gs->levels - 1);
	gs->root = NULL;
}

uint64_t gstage_hugatp(const struct gstage *gs)
{
	uint64_t mode = gs->levels == 3 ? HUGATP_MODE_SV39X4 : HUGATP_MODE_SV48X4;

	return mode << HUGATP_MODE_SHIFT | (uint64_t)(uintptr_t)gs->root >> GSTAGE_PAGE_SHIFT;
}

static uint64_t *get_table(const struct gstage *gs)
{
	return gs->alloc->get(gs->alloc->opaque, TABLE_SIZE);
}

/* Link a new table to the empty entry. */
static uint64_t *add_table(struct gstage *gs, uint64_t *entry)
{
	uint64_t *table = get_table(gs);

	if (table)
		set_entry(entry, make_pte(table, PTE_V));
	return table;
}

struct mapping {
	uint64_t flags;
	uint64_t max_leaf;
};

/* A part of a range that lies in one entry of a table at this level. */
static uint64_t part_size(unsigned int level, gpa_t gpa, uint64_t size)
{
	uint64_t rest = level_span(level) - (gpa & (level_span(level) - 1));

	return size < rest ? size : rest;
}

static int map_table(struct gstage *gs, uint64_t *table, unsigned int level, gpa_t gpa,
		     uint8_t *hva, uint64_t size, const struct mapping *m)
{
	while (size) {
		uint64_t *entry = entry_of(gs, table, level, gpa);
		uint64_t span = level_span(level);
		uint64_t part = part_size(level, gpa, size);
		int err;

		if (*entry && is_leaf(*entry))
			return -EEXIST;
		/* A table that is there may be empty; if it is not, the levels below will say so. */
		if (!*entry && part == span && span <= m->max_leaf && level <= MAX_LEAF_LEVEL &&
		    !((uintptr_t)hva & (span - 1))) {
			set_entry(entry, make_pte(hva, m->flags));
		} else {
			uint64_t *next = *entry ? pte_hva(*entry) : add_table(gs, entry);

			if (!next)
				return -ENOMEM;
			err = map_table(gs, next, level - 1, gpa, hva, part, m);
			if (err)
				return err;
		}
		gpa += part;
		hva += part;
		size -= part;
	}
	return 0;
}

static bool range_ok(const struct gstage *gs, gpa_t gpa, uint64_t size)
{
	uint64_t limit = gpa_limit(gs->levels);

	return !((gpa | size) & (GSTAGE_PAGE_SIZE - 1)) && gpa <= limit && size <= limit - gpa;
}

int gstage_map(struct gstage *gs, gpa_t gpa, void *hva, uint64_t size, unsigned int perm,
	       uint64_t max_leaf)
{
	struct mapping m = {
		/* A and D are set from the start: nobody looks at them, and hardware need not. */
		.flags = perm | PTE_V | PTE_U | PTE_A | PTE_D,
		.max_leaf = max_leaf,
	};

	if (!range_ok(gs, gpa, size) || (uintptr_t)hva & (GSTAGE_PAGE_SIZE - 1))
		return -EINVAL;
	if (!perm || perm & ~PTE_PERM || max_leaf < GSTAGE_PAGE_SIZE)
		return -EINVAL;
	/* Write without read is reserved (priv spec, table "Encoding of PTE R/W/X fields"). */
	if (perm & GSTAGE_WRITE && !(perm & GSTAGE_READ))
		return -EINVAL;
	return map_table(gs, gs->root, gs->levels - 1, gpa, hva, size, &m);
}

/* Replace a leaf by a table of leaves that map the same. */
static int split_leaf(struct gstage *gs, uint64_t *entry, unsigned int level)
{
	uint64_t *table = get_table(gs);
	uint64_t flags = *entry & ((1ULL << PTE_PPN_SHIFT) - 1);
	uint8_t *hva = pte_hva(*entry);

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < TABLE_SIZE / sizeof(*table); i++)
		table[i] = make_pte(hva + i * level_span(level - 1), flags);
	set_entry(entry, make_pte(table, PTE_V));
	return 0;
}

static int unmap_table(struct gstage *gs, uint64_t *table, unsigned int level, gpa_t gpa,
		       uint64_t size)
{
	while (size) {
		uint64_t *entry = entry_of(gs, table, level, gpa);
		uint64_t part = part_size(level, gpa, size);
		int err;

		if (*entry && is_leaf(*entry) && part == level_span(level)) {
			set_entry(entry, 0);
		} else if (*entry) {
			err = is_leaf(*entry) ? split_leaf(gs, entry, level) : 0;
			if (!err)
				err = unmap_table(gs, pte_hva(*entry), level - 1, gpa, part);
			if (err)
				return err;
		}
		gpa += part;
		size -= part;
	}
	return 0;
}

int gstage_unmap(struct gstage *gs, gpa_t gpa, uint64_t size)
{
	if (!range_ok(gs, gpa, size))
		return -EINVAL;
	return unmap_table(gs, gs->root, gs->levels - 1, gpa, size);
}

uint64_t gstage_lookup(const struct gstage *gs, gpa_t gpa, uint64_t *leaf_size)
{
	uint64_t *table = gs->root;

	if (gpa >= gpa_limit(gs->levels))
		return 0;
	for (unsigned int level = gs->levels; level-- > 0;) {
		uint64_t pte = *entry_of(gs, table, level, gpa);

		if (!pte)
			return 0;
		if (is_leaf(pte)) {
			*leaf_size = level_span(level);
			return pte;
		}
		table = pte_hva(pte);
	}
	return 0;
}
