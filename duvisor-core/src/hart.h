/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to the hardware: everything that only a hart with Xdv can do. hart_dv.c and
 * entry.S are the real thing, hart_fake.c stands in for them in unit tests; which one it is, the linker decides.
 *
 * All of it acts on the hart that the calling thread runs on, so on the thread's own vCPU.
 */
#ifndef DUVISOR_HART_H
#define DUVISOR_HART_H

#include <stdint.h>

#include "duvisor/isa.h"

struct vcpu;

/* The CSRs of Xdv that the core uses: uint64_t hart_read_huepc(void), void hart_write_huepc(uint64_t), ... */
#define HART_CSRS(X)                                                                               \
	X(huvsstatus, CSR_HUVSSTATUS)                                                              \
	X(huvsie, CSR_HUVSIE)                                                                      \
	X(huvstvec, CSR_HUVSTVEC)                                                                  \
	X(huvscounteren, CSR_HUVSCOUNTEREN)                                                        \
	X(huvsenvcfg, CSR_HUVSENVCFG)                                                              \
	X(huvsscratch, CSR_HUVSSCRATCH)                                                            \
	X(huvsepc, CSR_HUVSEPC)                                                                    \
	X(huvscause, CSR_HUVSCAUSE)                                                                \
	X(huvstval, CSR_HUVSTVAL)                                                                  \
	X(huvstimecmp, CSR_HUVSTIMECMP)                                                            \
	X(huvsiselect, CSR_HUVSISELECT)                                                            \
	X(huvsatp, CSR_HUVSATP)                                                                    \
	X(hustatus, CSR_HUSTATUS)                                                                  \
	X(huedeleg, CSR_HUEDELEG)                                                                  \
	X(huepc, CSR_HUEPC)                                                                        \
	X(hucause, CSR_HUCAUSE)                                                                    \
	X(hutval, CSR_HUTVAL)                                                                      \
	X(hugpa, CSR_HUGPA)                                                                        \
	X(hutinst, CSR_HUTINST)                                                                    \
	X(hugatp, CSR_HUGATP)                                                                      \
	X(hutimedelta, CSR_HUTIMEDELTA)                                                            \
	X(hufiles, CSR_HUFILES)                                                                    \
	X(hufilegpa, CSR_HUFILEGPA)                                                                \
	X(hucounteren, CSR_HUCOUNTEREN)                                                            \
	X(huvip, CSR_HUVIP)

#define HART_DECLARE_CSR(name, number)                                                             \
	uint64_t hart_read_##name(void);                                                           \
	void hart_write_##name(uint64_t value);
HART_CSRS(HART_DECLARE_CSR)
#undef HART_DECLARE_CSR

/* Atomic with respect to posts: set, respectively clear, bits of huvip. */
void hart_set_huvip(uint64_t bits);
void hart_clear_huvip(uint64_t bits);

/* Point hutvec at the exit path. Once per vCPU thread, before the first hart_run(). */
void hart_init(void);

/*
 * Run the guest with vcpu->gpr until vcpu_exit() or vcpu_resume() says that it is over. What is called
 * at an exit (vcpu.h):
 * - nothing, after an exit for the host's sake that finds vcpu->request zero;
 * - vcpu_exit_fast() after an ecall, and vcpu_resume() if that has dealt with it but there are requests;
 * - vcpu_exit() otherwise.
 */
void hart_run(struct vcpu *vcpu);

/* hupost: 1 if the vCPU is resident on some hart, which now has these bits; else 0. */
unsigned int hart_post(unsigned int index, unsigned int bits);

/* Fences of this vCPU on this hart. */
void hart_fence_stage2(void);
void hart_fence_vs_all(void);
void hart_fence_vs_page(uint64_t gva);
void hart_fence_vs_asid(uint64_t asid);
void hart_fence_vs_page_asid(uint64_t gva, uint64_t asid);
void hart_fence_i(void);

/* In hucounteren and huvscounteren: time. In the former stimecmp as well (docs/isa.md, CNT-1). */
#define COUNTEREN_TM 0x2U

/* The host's time CSR. */
uint64_t hart_time(void);

/* The guest's floating-point register n, as 64 bits (a NaN-boxed single is its low half). */
uint64_t hart_read_fp(unsigned int n);
void hart_write_fp(unsigned int n, uint64_t value);

#endif
