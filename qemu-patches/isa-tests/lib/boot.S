/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start of all harts in M-mode, and the way into and out of lower modes.
 *
 * mscratch is the context of the code that runs below the test, or 0 while
 * the test itself runs: a trap then is a defect of the test.
 */
#define STACK_SIZE 0x8000
#define CONTEXT_SP (32 * 8)

	.section .text.boot, "ax"
	.globl _start
_start:
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	la	t0, m_trap
	csrw	mtvec, t0
	csrw	mscratch, zero
	csrr	a0, mhartid
	la	sp, stacks
	li	t0, STACK_SIZE
	addi	t1, a0, 1
	mul	t0, t0, t1
	add	sp, sp, t0
	bnez	a0, 3f
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, 0(t0)
	addi	t0, t0, 8
	j	1b
2:	li	t0, 1
	la	t1, bss_is_clear
	fence	rw, rw
	sw	t0, 0(t1)
	call	boot_hart
3:	la	t1, bss_is_clear
	lw	t0, 0(t1)
	beqz	t0, 3b
	fence	rw, rw
	call	boot_other_hart

	/* void enter_context(struct context *context): returns after a trap to M-mode. */
	.text
	.globl enter_context
enter_context:
	addi	sp, sp, -14 * 8
	sd	ra, 0(sp)
	sd	s0, 8(sp)
	sd	s1, 16(sp)
	sd	s2, 24(sp)
	sd	s3, 32(sp)
	sd	s4, 40(sp)
	sd	s5, 48(sp)
	sd	s6, 56(sp)
	sd	s7, 64(sp)
	sd	s8, 72(sp)
	sd	s9, 80(sp)
	sd	s10, 88(sp)
	sd	s11, 96(sp)
	sd	tp, 104(sp)
	sd	sp, CONTEXT_SP(a0)
	csrw	mscratch, a0
	.irp	n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	x\n, (\n * 8)(a0)
	.endr
	ld	a0, 80(a0)
	mret

	.align 2
	.globl m_trap
m_trap:
	csrrw	a0, mscratch, a0
	beqz	a0, 1f
	.irp	n, 1,2,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\n, (\n * 8)(a0)
	.endr
	csrrw	t0, mscratch, zero
	sd	t0, 80(a0)
	ld	sp, CONTEXT_SP(a0)
	.option push
	.option norelax
	la	gp, __global_pointer$
	.option pop
	ld	ra, 0(sp)
	ld	s0, 8(sp)
	ld	s1, 16(sp)
	ld	s2, 24(sp)
	ld	s3, 32(sp)
	ld	s4, 40(sp)
	ld	s5, 48(sp)
	ld	s6, 56(sp)
	ld	s7, 64(sp)
	ld	s8, 72(sp)
	ld	s9, 80(sp)
	ld	s10, 88(sp)
	ld	s11, 96(sp)
	ld	tp, 104(sp)
	addi	sp, sp, 14 * 8
	ret
1:	csrrw	a0, mscratch, zero
	la	sp, panic_stack + 0x1000
	la	gp, __global_pointer$
	call	unexpected_trap
2:	j	2b

	/* void spend(u64 n): the same number of other instructions for each n */
	.globl spend
	.balign 4
spend:
	la	t0, 1f
	slli	a0, a0, 2
	sub	t0, t0, a0
	jr	t0
	.rept	1024
	nop
	.endr
1:	ret

	/*
	 * Where traps to the modes below M arrive. Each is one ecall, so no GPR
	 * changes on the way to M-mode, which looks at the CSRs of the trap.
	 */
	.section .snippets, "ax"
	.align 12
	.globl hs_trap
hs_trap:
	ecall
	.align 2
	.globl hu_trap
hu_trap:
	ecall
	.align 2
	.globl vs_trap
vs_trap:
	ecall
	.align 2
	.globl do_huret
do_huret:
	.insn	4, 0x8c000073
	.align 2
	.globl do_sret
do_sret:
	sret

	.data
	.align 3
	.globl bss_is_clear
bss_is_clear:
	.word	0

	.bss
	.align 12
stacks:
	.space	4 * STACK_SIZE
panic_stack:
	.space	0x1000
