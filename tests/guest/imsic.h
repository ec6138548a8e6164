/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This hart's interrupt file and the pages of all (AIA specification 1.0, chapter 3). */
#ifndef TESTS_IMSIC_H
#define TESTS_IMSIC_H

#include "guest.h"

#define IMSIC_BASE 0x28000000ul
#define IMSIC_PAGE 0x1000ul
#define IMSIC_EIDELIVERY 0x70
#define IMSIC_EITHRESHOLD 0x72
#define IMSIC_EIE0 0xc0

/* CSRs of Ssaia by number: assemblers need not know them. */
#define CSR_SISELECT 0x150
#define CSR_SIREG 0x151
#define CSR_STOPEI 0x15c

static inline void imsic_write(uint64_t select, uint64_t value)
{
	__asm__ volatile("csrw %0, %2\n\tcsrw %1, %3" ::"i"(CSR_SISELECT), "i"(CSR_SIREG),
			 "r"(select), "r"(value)
			 : "memory");
}

/* Deliver identities 1 to 63. */
static inline void imsic_enable(void)
{
	imsic_write(IMSIC_EITHRESHOLD, 0);
	imsic_write(IMSIC_EIE0, ~0ul);
	imsic_write(IMSIC_EIDELIVERY, 1);
}

/* The identity that has come, no longer pending, or 0. */
static inline uint64_t imsic_claim(void)
{
	uint64_t top;

	__asm__ volatile("csrrw %0, %1, zero" : "=r"(top) : "i"(CSR_STOPEI) : "memory");
	return top >> 16;
}

static inline void imsic_send(uint64_t hart, uint64_t id)
{
	*(volatile uint32_t *)(IMSIC_BASE + hart * IMSIC_PAGE) = (uint32_t)id;
}

#endif
