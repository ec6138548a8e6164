/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compiled to assembly only: the build takes the lines marked with @ and makes asm_offsets.h of them, so
 * that entry.S can never disagree with struct vcpu.
 */
#include "vcpu.h"

#define OFFSET(name, member)                                                                       \
	__asm__ volatile("@#define " name " %0" : : "i"(offsetof(struct vcpu, member)))

void asm_offsets(void);

void asm_offsets(void)
{
	OFFSET("VCPU_GPR_BASE", gpr);
	OFFSET("VCPU_HOST_SP", host_sp);
	OFFSET("VCPU_REQUEST", request);
	__asm__ volatile("@#define VCPU_GPR(n) (VCPU_GPR_BASE + 8 * (n))");
}
