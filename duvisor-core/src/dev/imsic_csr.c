/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopei and sireg of a vCPU that has no guest interrupt file: they exit, and mean the file in memory. */
#include <errno.h>

#include "dev/imsic.h"
#include "dev/imsic_file.h"
#include "hart.h"
#include "vcpu.h"

#define OPCODE_SYSTEM 0x73
#define CSR_SIREG 0x151
#define CSR_STOPEI 0x15c

/* siselect of the priorities of major interrupts; in VS-mode they are not the hardware's to keep. */
#define IPRIO0 0x30
#define IPRIO15 0x3f

/* funct3, less the bit that makes the operand an immediate */
enum operation { NONE, WRITE, SET, CLEAR };

struct csr_insn {
	unsigned int csr;
	enum operation op;
	unsigned int rd;
	uint64_t operand;
	bool writes; /* csrrs and csrrc of x0 or immediate 0 do not (unpriv spec, "Zicsr") */
};

static int decode(const struct vcpu *vcpu, uint64_t insn, struct csr_insn *out)
{
	unsigned int rs1 = insn >> 15 & 31;
	bool immediate = insn >> 14 & 1;

	out->op = insn >> 12 & 3;
	if ((insn & ~0xffffff80ULL) != OPCODE_SYSTEM || out->op == NONE)
		return -EINVAL;
	out->csr = insn >> 20 & 0xfff;
	out->rd = insn >> 7 & 31;
	out->operand = immediate ? rs1 : vcpu->gpr[rs1];
	out->writes = out->op == WRITE || rs1;
	return 0;
}

static int access_sireg(struct vcpu *vcpu, const struct csr_insn *insn, uint64_t *old)
{
	uint64_t select = hart_read_huvsiselect();
	uint64_t mask = insn->op == WRITE ? UINT64_MAX : insn->operand;
	uint64_t value = insn->op == CLEAR ? 0 : insn->operand;

	if (select >= IPRIO0 && select <= IPRIO15 && !(select & 1)) {
		/* All priorities are equal, for good: legal (section 5.4.3 for what must be implemented). */
		*old = 0;
		return 0;
	}
	return imsic_file_access(vcpu->imsic, select, old, value, insn->writes ? mask : 0);
}

int imsic_csr_access(struct vcpu *vcpu, uint64_t code)
{
	struct csr_insn insn;
	uint64_t old = 0;
	int err = decode(vcpu, code, &insn);

	if (err)
		return err;
	if (insn.csr == CSR_SIREG)
		err = access_sireg(vcpu, &insn, &old);
	else if (insn.csr == CSR_STOPEI)
		old = insn.writes ? imsic_file_claim(vcpu->imsic) : imsic_file_top(vcpu->imsic);
	else
		err = -EINVAL;
	if (err)
		return err;
	if (insn.rd)
		vcpu->gpr[insn.rd] = old;
	if (insn.writes)
		vcpu_sync_ext_irq(vcpu);
	return 0;
}
