/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into a guest and back, for tests; deliberately not the hypervisor's own, so that a bug
 * there cannot hide one in the module.
 */
#include "duvisor/isa.h"

	.macro each_gpr op, base
	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\op	x\n, 8 * \n(\base)
	.endr
	.endm

	.macro each_saved op, base
	.set	at, 256
	.irp r, ra, sp, gp, tp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
	\op	\r, at(\base)
	.set	at, at + 8
	.endr
	.endm

	.text
	.option	norelax

/*
 * int dv_enter(struct frame *frame): give the hart to the guest, with frame->gpr, until it exits.
 * Returns 0. If the thread loses the hart meanwhile, the exit path dies of SIGILL; a handler that sends the
 * thread to dv_lost with a0 = frame makes this return -1.
 */
	.globl	dv_enter
	.type	dv_enter, @function
dv_enter:
	each_saved sd, a0
	lla	t0, dv_exit
	csrw	CSR_HUTVEC, t0
	csrw	CSR_HUSCRATCH, a0
	each_gpr ld, a0
	ld	a0, 80(a0)
	.insn	DV_INSN_HURET

	.balign	4
dv_exit:
	csrrw	a0, CSR_HUSCRATCH, a0
	each_gpr sd, a0
	csrr	t0, CSR_HUSCRATCH
	sd	t0, 80(a0)
	each_saved ld, a0
	li	a0, 0
	ret

	.globl	dv_lost
dv_lost:
	each_saved ld, a0
	li	a0, -1
	ret
	.size	dv_enter, . - dv_enter

/*
 * int dv_hlv(struct frame *frame, uint64_t gva): load as the guest would, into frame->gpr[11]. Returns
 * 1, or after an exit from HU (EXIT-3) 0.
 */
	.globl	dv_hlv
	.type	dv_hlv, @function
dv_hlv:
	each_saved sd, a0
	lla	t0, dv_exit
	csrw	CSR_HUTVEC, t0
	csrw	CSR_HUSCRATCH, a0
	.insn	r 0x73, 4, 0x36, a1, a1, x0
	sd	a1, 88(a0)
	li	a0, 1
	ret
	.size	dv_hlv, . - dv_hlv

/* Programs for guests: copied to the start of their memory. a0-a7 are theirs. */
	.macro guest name
	.balign	4
	.globl	guest_\name
guest_\name:
	.endm

	.macro done
	.globl	guest_end
guest_end:
	.endm

	.option	norvc
/* Ask for one more than was given, for ever. */
guest hello
	addi	a0, a0, 1
	ecall
	j	guest_hello

/* Store a1 at a0, load from a2 into a3, ecall; again. */
guest access
	sd	a1, 0(a0)
	ld	a3, 0(a2)
	ecall
	j	guest_access

guest load
	ld	a3, 0(a2)
	ecall
	j	guest_load

guest fetch
	jr	a2

/* a0 rounds of a generator with the multiplier a1 on a2, with a3 = sscratch afterwards. */
guest compute
1:	mul	a2, a2, a1
	addi	a2, a2, 1
	addi	a0, a0, -1
	bnez	a0, 1b
	csrr	a3, sscratch
	ecall
	j	guest_compute

/* The same for a KVM guest, which tells the result by a store on no memory, at a4. */
guest kvm_compute
1:	mul	a2, a2, a1
	addi	a2, a2, 1
	addi	a0, a0, -1
	bnez	a0, 1b
	sd	a2, 0(a4)
	j	guest_kvm_compute

/* Count in memory at a0, for ever. */
guest spin
	ld	a1, 0(a0)
	addi	a1, a1, 1
	sd	a1, 0(a0)
	j	guest_spin

/* Arm the timer a0 ticks from now and count in a1 until its interrupt has come (to a trap handler right here). */
guest timer
	auipc	t0, 0
	addi	t0, t0, 48
	csrw	stvec, t0
	rdtime	t0
	add	t0, t0, a0
	csrw	0x14d, t0	/* stimecmp */
	li	t1, 32		/* sie.STIE, sstatus.SIE */
	csrs	sie, t1
	csrsi	sstatus, 2
1:	addi	a1, a1, 1
	j	1b
	nop
	csrr	a0, scause
	ecall
	j	.

/* One instruction, patched in by the test at its place. */
guest probe
	nop
	ecall
	j	guest_probe
	done

	.section .note.GNU-stack, "", @progbits
