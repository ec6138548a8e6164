/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a load or store did, from the transformed instruction that the hart leaves in hutinst
 * (priv spec, "Transformed Instruction or Pseudoinstruction for mtinst or htinst").
 */
#ifndef DUVISOR_INSN_H
#define DUVISOR_INSN_H

#include <stdbool.h>

#include "types.h"

struct vcpu;

struct insn_access {
	bool write;
	bool fp;             /* reg is a floating-point register */
	bool sign;           /* a load that sign-extends */
	uint8_t len;         /* bytes: 1, 2, 4, 8 */
	uint8_t reg;         /* rd of a load, rs2 of a store */
	uint8_t addr_offset; /* the faulting address minus the first one, of a misaligned access */
};

/* The two pseudoinstructions of RV64: the hart itself read or wrote an entry of a VS-stage page table. */
#define INSN_PSEUDO_READ 0x3000
#define INSN_PSEUDO_WRITE 0x3020

/* Length in bytes of the instruction that was transformed: bit 1 says whether it was compressed. */
unsigned int insn_length(uint64_t hutinst);

/* -EINVAL: not a plain load or store (AMO, LR/SC, cache block operation, pseudoinstruction, zero). */
int insn_decode(uint64_t hutinst, struct insn_access *access);

/* The value that a store stores, zero-extended from its length. */
uint64_t insn_store_value(const struct vcpu *vcpu, const struct insn_access *access);

/* Give a load its result; value holds it in the low bytes, whatever is above. */
void insn_load_result(struct vcpu *vcpu, const struct insn_access *access, uint64_t value);

#endif
