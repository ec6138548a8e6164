/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One interrupt file of an IMSIC in memory (AIA specification 1.0, chapter 3): what a vCPU has while no
 * guest interrupt file of the hardware is its own.
 *
 * Any thread sends to it; only the vCPU's own thread uses its registers. No locks: a sender sets a pending bit and
 * then looks whether it counts, the vCPU enables and then looks what pends, so one of them sees both.
 */
#ifndef DUVISOR_DEV_IMSIC_FILE_H
#define DUVISOR_DEV_IMSIC_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Interrupt identities are 1 to this. */
#define IMSIC_MAX_ID 255
#define IMSIC_WORDS ((IMSIC_MAX_ID + 1) / 64)

struct imsic_file {
	_Atomic uint64_t eip[IMSIC_WORDS]; /* pending */
	_Atomic uint64_t eie[IMSIC_WORDS]; /* enabled */
	_Atomic uint32_t delivery;         /* eidelivery: 0 or 1 */
	_Atomic uint32_t
		threshold; /* eithreshold: identities from here on do not interrupt; 0: all do */
};

void imsic_file_reset(struct imsic_file *file);

/*
 * Identity id arrives. True: the file now signals an interrupt to its hart. An identity that does not
 * exist is ignored, as the specification says.
 */
bool imsic_file_send(struct imsic_file *file, uint32_t id);

/* Does the file signal an interrupt to its hart? */
bool imsic_file_output(const struct imsic_file *file);

/* The value of stopei: the lowest pending and enabled identity in both fields, or 0. */
uint64_t imsic_file_top(const struct imsic_file *file);

/* The same, and that identity is no longer pending: what a write of stopei does. */
uint64_t imsic_file_claim(struct imsic_file *file);

/*
 * The register that siselect = select names: *old is its value before, the bits of mask become those of
 * value. -EINVAL: there is no such register.
 */
int imsic_file_access(struct imsic_file *file, uint64_t select, uint64_t *old, uint64_t value,
		      uint64_t mask);

#endif
