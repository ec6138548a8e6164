/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into the guest and back. The guest owns every general register while it runs, sp, gp and
 * tp included, so this is the only code that runs with a stranger's registers; it touches memory
 * only through huscratch, which holds the vcpu while the hart is in the guest.
 *
 * Floating-point registers belong to the guest always: nothing here or in the C code uses them.
 */
#include "asm_offsets.h"
#include "duvisor/isa.h"

/*
 * The frame of hart_run: ra and s0 to s11, which its caller expects back; gp and tp, which C takes
 * for constant; the vcpu.
 */
#define FRAME_SIZE 128
#define FRAME_GP 104
#define FRAME_TP 112
#define FRAME_VCPU 120

	/* Alignment must be exact as assembled: hutvec has no low bits. */
	.option	norelax
	.text

/* Load or store s0 to s11: the caller's in the frame, the guest's in the vcpu that a0 is. */
	.macro	caller_s op
	\op	s0, 8(sp)
	\op	s1, 16(sp)
	\op	s2, 24(sp)
	\op	s3, 32(sp)
	\op	s4, 40(sp)
	\op	s5, 48(sp)
	\op	s6, 56(sp)
	\op	s7, 64(sp)
	\op	s8, 72(sp)
	\op	s9, 80(sp)
	\op	s10, 88(sp)
	\op	s11, 96(sp)
	.endm
	.macro	guest_s op
	\op	s0, VCPU_GPR(8)(a0)
	\op	s1, VCPU_GPR(9)(a0)
	\op	s2, VCPU_GPR(18)(a0)
	\op	s3, VCPU_GPR(19)(a0)
	\op	s4, VCPU_GPR(20)(a0)
	\op	s5, VCPU_GPR(21)(a0)
	\op	s6, VCPU_GPR(22)(a0)
	\op	s7, VCPU_GPR(23)(a0)
	\op	s8, VCPU_GPR(24)(a0)
	\op	s9, VCPU_GPR(25)(a0)
	\op	s10, VCPU_GPR(26)(a0)
	\op	s11, VCPU_GPR(27)(a0)
	.endm

/*
 * void hart_run(struct vcpu *vcpu)
 *
 * Gives the hart to the guest, again and again, until C wants no more of it. Between the exits the
 * frame stays: C is called with it as the top of the stack, so nothing of the caller is saved twice.
 */
	.globl	hart_run
	.type	hart_run, @function
hart_run:
	addi	sp, sp, -FRAME_SIZE
	sd	ra, 0(sp)
	caller_s	sd
	sd	gp, FRAME_GP(sp)
	sd	tp, FRAME_TP(sp)
	sd	a0, FRAME_VCPU(sp)
	sd	sp, VCPU_HOST_SP(a0)

	/* a0 = vcpu: load everything and go. */
.Lenter:
	guest_s	ld

	/* a0 = vcpu, s0 to s11 are the guest's already. */
.Lenter_saved:
	csrw	CSR_HUSCRATCH, a0
	ld	t0, VCPU_GPR(5)(a0)
	ld	ra, VCPU_GPR(1)(a0)
	ld	sp, VCPU_GPR(2)(a0)
	ld	gp, VCPU_GPR(3)(a0)
	ld	tp, VCPU_GPR(4)(a0)
	ld	t1, VCPU_GPR(6)(a0)
	ld	t2, VCPU_GPR(7)(a0)
	ld	a1, VCPU_GPR(11)(a0)
	ld	a2, VCPU_GPR(12)(a0)
	ld	a3, VCPU_GPR(13)(a0)
	ld	a4, VCPU_GPR(14)(a0)
	ld	a5, VCPU_GPR(15)(a0)
	ld	a6, VCPU_GPR(16)(a0)
	ld	a7, VCPU_GPR(17)(a0)
	ld	t3, VCPU_GPR(28)(a0)
	ld	t4, VCPU_GPR(29)(a0)
	ld	t5, VCPU_GPR(30)(a0)
	ld	t6, VCPU_GPR(31)(a0)
	ld	a0, VCPU_GPR(10)(a0)
	.insn	DV_INSN_HURET
	.size	hart_run, . - hart_run

/*
 * hutvec: every exit arrives here, with all GPRs the guest's. The host's interrupts and page faults are
 * taken with this address as their sepc, so a context switch, and with it anything
 * that another thread does, can happen at any instruction.
 */
	.balign	4
	.globl	hart_exit
	.type	hart_exit, @function
hart_exit:
	csrrw	a0, CSR_HUSCRATCH, a0
	sd	t0, VCPU_GPR(5)(a0)
	csrr	t0, CSR_HUCAUSE
	addi	t0, t0, -DV_CAUSE_HOST_INTERRUPT
	sltiu	t0, t0, DV_CAUSE_DOORBELL - DV_CAUSE_HOST_INTERRUPT + 1
	beqz	t0, .Lexit

	/*
	 * The host took the hart for a moment, or somebody rang. Only a request concerns us; one that
	 * is made after this load rings the doorbell, which ends the huret below at once (docs/isa.md, POST-3).
	 */
	lw	t0, VCPU_REQUEST(a0)
	bnez	t0, .Lexit
	ld	t0, VCPU_GPR(5)(a0)
	csrrw	a0, CSR_HUSCRATCH, a0
	.insn	DV_INSN_HURET

	/* What C may change: it keeps s0 to s11, so they can stay the guest's for now. */
.Lexit:
	sd	ra, VCPU_GPR(1)(a0)
	sd	sp, VCPU_GPR(2)(a0)
	sd	gp, VCPU_GPR(3)(a0)
	sd	tp, VCPU_GPR(4)(a0)
	sd	t1, VCPU_GPR(6)(a0)
	sd	t2, VCPU_GPR(7)(a0)
	sd	a1, VCPU_GPR(11)(a0)
	sd	a2, VCPU_GPR(12)(a0)
	sd	a3, VCPU_GPR(13)(a0)
	sd	a4, VCPU_GPR(14)(a0)
	sd	a5, VCPU_GPR(15)(a0)
	sd	a6, VCPU_GPR(16)(a0)
	sd	a7, VCPU_GPR(17)(a0)
	sd	t3, VCPU_GPR(28)(a0)
	sd	t4, VCPU_GPR(29)(a0)
	sd	t5, VCPU_GPR(30)(a0)
	sd	t6, VCPU_GPR(31)(a0)
	csrr	t0, CSR_HUSCRATCH
	sd	t0, VCPU_GPR(10)(a0)
	ld	sp, VCPU_HOST_SP(a0)
	ld	gp, FRAME_GP(sp)
	ld	tp, FRAME_TP(sp)

	/* An ecall may be one of the hot ones, which need no more than that. */
	csrr	t0, CSR_HUCAUSE
	li	t1, DV_CAUSE_VS_ECALL
	bne	t0, t1, .Lexit_full
	call	vcpu_exit_fast
	mv	t0, a0
	ld	a0, FRAME_VCPU(sp)
	beqz	t0, .Lexit_full
	lw	t0, VCPU_REQUEST(a0)
	beqz	t0, .Lenter_saved
	guest_s	sd
	call	vcpu_resume
	bnez	a0, .Lenter
	j	.Lleave

.Lexit_full:
	guest_s	sd
	call	vcpu_exit
	bnez	a0, .Lenter

.Lleave:
	ld	ra, 0(sp)
	caller_s	ld
	addi	sp, sp, FRAME_SIZE
	ret
	.size	hart_exit, . - hart_exit

/*
 * uint64_t hart_read_fp(unsigned int n), void hart_write_fp(unsigned int n, uint64_t value)
 *
 * The one exception to "no floating-point instruction": a guest's flw/fld/fsw/fsd on a device moves the
 * guest's own register, and there is no other way to reach it. Both functions jump into a
 * table of fmv.x.d a0, f<n> respectively fmv.d.x f<n>, a1, each followed by ret; the words are spelled out because
 * the rest of the program is assembled without F and D. The section has a name of its own so
 * that the test which proves the absence of such instructions can name the exception.
 */
#define FMV_X_D_A0 0xe2000553 /* | n << 15 */
#define FMV_D_X_A1 0xf2058053 /* | n << 7 */

	.section .text.guest_fp, "ax", @progbits
	.balign	4
	.option	push
	.option	norvc
	.globl	hart_read_fp
	.type	hart_read_fp, @function
hart_read_fp:
	andi	a0, a0, 31
	slli	a0, a0, 3
	lla	t0, .Lread_fp
	add	t0, t0, a0
	jr	t0
.Lread_fp:
	.set	n, 0
	.rept	32
	.insn	FMV_X_D_A0 + (n << 15)
	ret
	.set	n, n + 1
	.endr
	.size	hart_read_fp, . - hart_read_fp

	.globl	hart_write_fp
	.type	hart_write_fp, @function
hart_write_fp:
	andi	a0, a0, 31
	slli	a0, a0, 3
	lla	t0, .Lwrite_fp
	add	t0, t0, a0
	jr	t0
.Lwrite_fp:
	.set	n, 0
	.rept	32
	.insn	FMV_D_X_A1 + (n << 7)
	ret
	.set	n, n + 1
	.endr
	.size	hart_write_fp, . - hart_write_fp
	.option	pop

	.section .note.GNU-stack, "", @progbits
