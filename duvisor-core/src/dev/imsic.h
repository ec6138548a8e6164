/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The incoming MSI controller: a page of guest-physical addresses for each vCPU (AIA specification 1.0, chapter 3). */
#ifndef DUVISOR_DEV_IMSIC_H
#define DUVISOR_DEV_IMSIC_H

#include <stdint.h>

struct vcpu;
struct vm;

/* Interrupt hart with identity id. Numbers that do not exist are ignored. Any member thread; does not block. */
void imsic_send(struct vm *vm, uint32_t hart, uint32_t id);

/*
 * The CSR instruction insn of VS-mode was refused by the hart because the vCPU has no guest interrupt file: do
 * what it says with the file in memory. -EINVAL: it is not one of those, or the register does not exist.
 * The vCPU's own thread.
 */
int imsic_csr_access(struct vcpu *vcpu, uint64_t insn);

#endif
