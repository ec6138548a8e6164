/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space to change, in Sv39: the GiBs of the devices and of RAM are mapped 1:1, and between them is a
 * window of 512 pages, each of which shows one of two pages of memory. For one file of a guest.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "guest.h"

#define WINDOW 0x40000000ul
#define WINDOW_PAGES 512
#define PAGE 4096ul

/* Valid, readable, writable, executable, accessed and dirty. */
#define WINDOW_LEAF 0xcf

static uint64_t window_root[512] __attribute__((aligned(4096)));
static uint64_t window_middle[512] __attribute__((aligned(4096)));
static volatile uint64_t window_low[WINDOW_PAGES] __attribute__((aligned(4096)));
static uint64_t window_memory[2][512] __attribute__((aligned(4096)));

/* The page of the window shows this one of the two; a hart that has seen the other needs a fence. */
static inline void window_show(uint64_t page, uint64_t which)
{
	window_low[page] = PTE(window_memory[which], WINDOW_LEAF);
}

/* All pages show the first. Before a hart enters. */
static inline void window_init(void)
{
	window_root[0] = PTE(0, WINDOW_LEAF);
	window_root[1] = PTE(window_middle, 1);
	window_root[2] = PTE(0x80000000ul, WINDOW_LEAF);
	window_middle[0] = PTE(window_low, 1);
	window_memory[1][0] = 1;
	for (unsigned int i = 0; i < WINDOW_PAGES; i++)
		window_show(i, 0);
}

/* This hart is in the address space from now on; there is no fence in it. */
static inline void window_enter(uint64_t asid)
{
	csr_write(satp, 8ul << 60 | asid << 44 | (uint64_t)window_root >> 12);
}

static inline uint64_t window_address(uint64_t page)
{
	return WINDOW + page * PAGE;
}

/* Which of the two the hart sees there. */
static inline uint64_t window_seen(uint64_t page)
{
	return *(volatile uint64_t *)window_address(page);
}

#endif
