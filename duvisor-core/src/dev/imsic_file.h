/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One interrupt file of an IMSIC in memory, as the hart knows it (docs/isa.md, section 9.2). The vCPU it belongs to uses
 * its registers, and other vCPUs store to its page, without an exit; here is what software does with it.
 */
#ifndef DUVISOR_DEV_IMSIC_FILE_H
#define DUVISOR_DEV_IMSIC_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "duvisor/isa.h"

/* Interrupt identities are 1 to this. */
#define IMSIC_MAX_ID XDV_FILE_MAX_ID
#define IMSIC_WORDS ((IMSIC_MAX_ID + 1) / 64)

struct imsic_file {
	_Alignas(XDV_FILE_SIZE) _Atomic uint64_t eip[IMSIC_WORDS]; /* pending */
	_Atomic uint64_t eie[IMSIC_WORDS];                         /* enabled */
	_Atomic uint32_t delivery;                                 /* eidelivery: 0 or 1 */
	_Atomic uint32_t
		threshold; /* eithreshold: identities from here on do not interrupt; 0: all do */
	_Atomic uint32_t notify; /* not 0: the vCPU sleeps, so senders exit to wake it */
};

void imsic_file_reset(struct imsic_file *file);

/*
 * Identity id arrives, from any thread. True: the file now signals an interrupt to its vCPU, which must be told. An
 * identity that does not exist is ignored, as the specification says. No locks: a sender sets a pending bit and then looks
 * whether it counts, the hart enables and then looks what pends, so one of them sees both.
 */
bool imsic_file_send(struct imsic_file *file, uint32_t id);

/* Does the file signal an interrupt to its vCPU? */
bool imsic_file_output(const struct imsic_file *file);

#endif
