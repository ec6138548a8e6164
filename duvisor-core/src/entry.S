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

#define FRAME_SIZE 128

	/* Alignment must be exact as assembled: hutvec has no low bits. */
	.option	norelax
	.text

/*
 * void hart_enter(struct vcpu *vcpu)
 *
 * Saves what C expects to survive a call (and gp and tp, which C takes for constant), then gives
 * the hart to the guest. hart_exit returns to the caller.
 */
	.globl	hart_enter
	.type	hart_enter, @function
hart_enter:
	addi	sp, sp, -FRAME_SIZE
	sd	ra, 0(sp)
	sd	gp, 8(sp)
	sd	tp, 16(sp)
	sd	s0, 24(sp)
	sd	s1, 32(sp)
	sd	s2, 40(sp)
	sd	s3, 48(sp)
	sd	s4, 56(sp)
	sd	s5, 64(sp)
	sd	s6, 72(sp)
	sd	s7, 80(sp)
	sd	s8, 88(sp)
	sd	s9, 96(sp)
	sd	s10, 104(sp)
	sd	s11, 112(sp)
	sd	sp, VCPU_HOST_SP(a0)
	csrw	CSR_HUSCRATCH, a0

	ld	x1, VCPU_GPR(1)(a0)
	ld	x2, VCPU_GPR(2)(a0)
	ld	x3, VCPU_GPR(3)(a0)
	ld	x4, VCPU_GPR(4)(a0)
	ld	x5, VCPU_GPR(5)(a0)
	ld	x6, VCPU_GPR(6)(a0)
	ld	x7, VCPU_GPR(7)(a0)
	ld	x8, VCPU_GPR(8)(a0)
	ld	x9, VCPU_GPR(9)(a0)
	ld	x11, VCPU_GPR(11)(a0)
	ld	x12, VCPU_GPR(12)(a0)
	ld	x13, VCPU_GPR(13)(a0)
	ld	x14, VCPU_GPR(14)(a0)
	ld	x15, VCPU_GPR(15)(a0)
	ld	x16, VCPU_GPR(16)(a0)
	ld	x17, VCPU_GPR(17)(a0)
	ld	x18, VCPU_GPR(18)(a0)
	ld	x19, VCPU_GPR(19)(a0)
	ld	x20, VCPU_GPR(20)(a0)
	ld	x21, VCPU_GPR(21)(a0)
	ld	x22, VCPU_GPR(22)(a0)
	ld	x23, VCPU_GPR(23)(a0)
	ld	x24, VCPU_GPR(24)(a0)
	ld	x25, VCPU_GPR(25)(a0)
	ld	x26, VCPU_GPR(26)(a0)
	ld	x27, VCPU_GPR(27)(a0)
	ld	x28, VCPU_GPR(28)(a0)
	ld	x29, VCPU_GPR(29)(a0)
	ld	x30, VCPU_GPR(30)(a0)
	ld	x31, VCPU_GPR(31)(a0)
	ld	x10, VCPU_GPR(10)(a0)
	.insn	DV_INSN_HURET
	.size	hart_enter, . - hart_enter

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
	beqz	t0, .Lexit_to_c

	/*
	 * The host took the hart for a moment, or somebody rang. Only a request concerns us; one that
	 * is made after this load rings the doorbell, which ends the huret below at once (docs/isa.md, POST-3).
	 */
	lw	t0, VCPU_REQUEST(a0)
	bnez	t0, .Lexit_to_c
	ld	t0, VCPU_GPR(5)(a0)
	csrrw	a0, CSR_HUSCRATCH, a0
	.insn	DV_INSN_HURET

.Lexit_to_c:
	sd	x1, VCPU_GPR(1)(a0)
	sd	x2, VCPU_GPR(2)(a0)
	sd	x3, VCPU_GPR(3)(a0)
	sd	x4, VCPU_GPR(4)(a0)
	sd	x6, VCPU_GPR(6)(a0)
	sd	x7, VCPU_GPR(7)(a0)
	sd	x8, VCPU_GPR(8)(a0)
	sd	x9, VCPU_GPR(9)(a0)
	sd	x11, VCPU_GPR(11)(a0)
	sd	x12, VCPU_GPR(12)(a0)
	sd	x13, VCPU_GPR(13)(a0)
	sd	x14, VCPU_GPR(14)(a0)
	sd	x15, VCPU_GPR(15)(a0)
	sd	x16, VCPU_GPR(16)(a0)
	sd	x17, VCPU_GPR(17)(a0)
	sd	x18, VCPU_GPR(18)(a0)
	sd	x19, VCPU_GPR(19)(a0)
	sd	x20, VCPU_GPR(20)(a0)
	sd	x21, VCPU_GPR(21)(a0)
	sd	x22, VCPU_GPR(22)(a0)
	sd	x23, VCPU_GPR(23)(a0)
	sd	x24, VCPU_GPR(24)(a0)
	sd	x25, VCPU_GPR(25)(a0)
	sd	x26, VCPU_GPR(26)(a0)
	sd	x27, VCPU_GPR(27)(a0)
	sd	x28, VCPU_GPR(28)(a0)
	sd	x29, VCPU_GPR(29)(a0)
	sd	x30, VCPU_GPR(30)(a0)
	sd	x31, VCPU_GPR(31)(a0)
	csrr	t0, CSR_HUSCRATCH
	sd	t0, VCPU_GPR(10)(a0)

	ld	sp, VCPU_HOST_SP(a0)
	ld	ra, 0(sp)
	ld	gp, 8(sp)
	ld	tp, 16(sp)
	ld	s0, 24(sp)
	ld	s1, 32(sp)
	ld	s2, 40(sp)
	ld	s3, 48(sp)
	ld	s4, 56(sp)
	ld	s5, 64(sp)
	ld	s6, 72(sp)
	ld	s7, 80(sp)
	ld	s8, 88(sp)
	ld	s9, 96(sp)
	ld	s10, 104(sp)
	ld	s11, 112(sp)
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
