/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM: anonymous memory of this process, and the one checked door
 * through which the core reaches it.
 */
#ifndef DUVISOR_MEMORY_H
#define DUVISOR_MEMORY_H

#include <stdbool.h>

#include "types.h"

/* As on QEMU's virt board. */
#define MEMORY_BASE 0x80000000ULL

struct memory {
	gpa_t base;
	uint64_t size;
	uint8_t *hva; /* congruent to base modulo 1 GiB, for the largest stage-2 leaves */
};

enum memory_pages {
	MEMORY_PAGES_TRANSPARENT, /* huge ones where the host has them at hand */
	MEMORY_PAGES_SMALL,       /* no more than what the guest touches */
	MEMORY_PAGES_RESERVED,    /* huge ones that the host has set aside */
};

struct memory_options {
	bool prealloc; /* populate and lock now */
	enum memory_pages pages;
};

/* Allocate size bytes (a multiple of 4 KiB) of RAM at MEMORY_BASE. 0 or -errno, said to the user. */
int memory_create(struct memory *mem, uint64_t size, const struct memory_options *options);
void memory_destroy(struct memory *mem);

/* Forget the contents (cold reboot): RAM reads as zero afterwards. */
void memory_clear(const struct memory *mem);

/*
 * The HVA of len bytes of RAM at gpa, or NULL if not all of them are RAM. The guest
 * can change what it points to at any time: copy once, check the copy, use the copy.
 */
void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len);

#endif
