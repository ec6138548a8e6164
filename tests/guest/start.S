/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of a bare S-mode test guest: a0 = hart id, a1 = device tree. */
	.section .text.start, "ax", @progbits
	.globl	_start
_start:
	.option	push
	.option	norelax
	lla	gp, __global_pointer$
	.option	pop
	lla	sp, stack_top
	lla	t0, bss_start
	lla	t1, bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, 0(t0)
	addi	t0, t0, 8
	j	1b
2:	lla	t0, trap
	csrw	stvec, t0
	call	main
	tail	guest_exit

/* A trap that no test expects: report where and end with failure. */
	.balign	4
	.globl	trap
trap:
	csrr	a0, scause
	csrr	a1, sepc
	csrr	a2, stval
	tail	guest_trap
