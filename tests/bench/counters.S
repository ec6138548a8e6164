/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For Linux under QEMU's KVM, which sets scounteren to 0 where KVM has 7, as firmware has: a kernel without an SBI PMU
 * leaves it so, and programs die by SIGILL when they read the time. This goes first, and then to the kernel.
 */
#define KERNEL 0x80200000

	.globl	_start
_start:
	li	t0, 7
	csrw	scounteren, t0
	li	t0, KERNEL
	jr	t0
