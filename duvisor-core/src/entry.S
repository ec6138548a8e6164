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
#include "sbi_eid.h"

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
 *
 * What is frequent and simple is done right here, with no more registers saved than it needs. Such an exit looks at no
 * requests: who makes one rings afterwards, and a bell that rings ends the huret at once (docs/isa.md, POST-3).
 */
	.balign	4
	.globl	hart_exit
	.type	hart_exit, @function
hart_exit:
	csrrw	a0, CSR_HUSCRATCH, a0
	sd	t0, VCPU_GPR(5)(a0)
	csrr	t0, CSR_HUCAUSE
	addi	t0, t0, -DV_CAUSE_VS_ECALL
	beqz	t0, .Lecall
	addi	t0, t0, DV_CAUSE_VS_ECALL - DV_CAUSE_LOAD_GUEST_PAGE_FAULT
	beqz	t0, .Lload
	addi	t0, t0, DV_CAUSE_LOAD_GUEST_PAGE_FAULT - DV_CAUSE_STORE_GUEST_PAGE_FAULT
	beqz	t0, .Lstore
	addi	t0, t0, DV_CAUSE_STORE_GUEST_PAGE_FAULT - DV_CAUSE_HOST_INTERRUPT
	sltiu	t0, t0, DV_CAUSE_DOORBELL - DV_CAUSE_HOST_INTERRUPT + 1
	beqz	t0, .Lexit

	/* The host took the hart for a moment, or somebody rang. Only a request concerns us. */
	lw	t0, VCPU_REQUEST(a0)
	bnez	t0, .Lexit
	ld	t0, VCPU_GPR(5)(a0)
	csrrw	a0, CSR_HUSCRATCH, a0
	.insn	DV_INSN_HURET

/*
 * SBI calls (a7 = extension, a6 = function) that need no C. A call changes a0 and a1 anyhow, so one more register is
 * mostly enough to work with. Anything unusual is left to sbi_ecall_fast(), with a1 as it came.
 */
.Lecall:
	li	t0, SBI_EID_BASE
	bne	a7, t0, .Lnot_base
	sltiu	t0, a6, SBI_BASE_FUNCTIONS
	beqz	t0, .Lexit
	addi	t0, a6, -SBI_BASE_PROBE_EXTENSION
	beqz	t0, .Lexit
	lla	t0, sbi_base_value
	slli	a1, a6, 3
	add	t0, t0, a1
	ld	a1, 0(t0)

	/* a1 = the value that the call returns. Here, and where hot accesses end, the pc moves on as in advance(). */
.Lecall_value:
	csrr	t0, CSR_HUEPC
	addi	t0, t0, 4
	csrw	CSR_HUEPC, t0
	ld	t0, VCPU_GPR(5)(a0)
	csrw	CSR_HUSCRATCH, a0
	li	a0, 0
	.insn	DV_INSN_HURET

.Lnot_base:
	li	t0, SBI_EID_IPI
	beq	a7, t0, .Lipi
	li	t0, SBI_EID_TIME
	bne	a7, t0, .Lexit

	/* set_timer(stime), as sbi_time_set() */
	bnez	a6, .Lexit
	csrr	t0, CSR_HUSCRATCH
	csrw	CSR_HUVSTIMECMP, t0
	li	a1, 0
	j	.Lecall_value

	/* send_ipi(mask, base), as vcpu_send_ipi(), if there is one target: mask = 1. */
.Lipi:
	bnez	a6, .Lexit
	csrr	t0, CSR_HUSCRATCH
	addi	t0, t0, -1
	bnez	t0, .Lexit
	lwu	t0, VCPU_HART_ID(a0)
	bne	a1, t0, .Lipi_other
	csrsi	CSR_HUVIP, HUVIP_VSSIP
	li	a1, 0
	j	.Lecall_value

	/*
	 * Post first, then look whether it sleeps: vcpu_wait_for_interrupt() does the reverse. t1 = the vCPU of
	 * the hart id in a1; where there is none, no post matches. The call's function is 0, so a6 is free.
	 */
.Lipi_other:
	sd	t1, VCPU_GPR(6)(a0)
	srli	t1, a1, HART_ID_SHIFT
	bnez	t1, .Lexit_t1
	ld	t0, VCPU_VM(a0)
	add	t1, t0, a1
	lbu	t1, VM_HART(t1)
	li	a6, HUVIP_VSSIP
	.insn	r 0x73, 0, DV_FUNCT7_HUPOST, a6, t1, a6
	beqz	a6, .Lexit_t1
	li	a6, 0
	fence	rw, rw
	slli	t1, t1, 3
	add	t0, t0, t1
	ld	t0, VM_VCPU(t0)
	lw	t0, VCPU_SLEEPING(t0)
	bnez	t0, .Lexit_t1
	ld	t1, VCPU_GPR(6)(a0)
	li	a1, 0
	j	.Lecall_value

/*
 * Loads and stores to hot registers (hot.h). First the device: a0 = it, a1 = the offset in it, t2 = the vcpu.
 * ra, sp, a0, a2 and a3 are saved only when there is one. Then the device's function is
 * called; it may change a0 to a3, t0, t1 and ra.
 */
	.macro	find_hot_device
	sd	t2, VCPU_GPR(7)(a0)
	sd	t1, VCPU_GPR(6)(a0)
	sd	a1, VCPU_GPR(11)(a0)
	mv	t2, a0
	csrr	a1, CSR_HUGPA
	srli	t0, a1, HOT_SHIFT_PAGE - 3
	srli	t1, a1, HOT_SHIFT_AREA - 3
	xor	t1, t1, t0
	andi	t1, t1, (HOT_PLACES - 1) << 3
	add	t1, t1, t2
	ld	a0, VCPU_HOT(t1)
	ld	t0, DEVICE_BASE(a0)
	ld	t1, DEVICE_SIZE(a0)
	sub	a1, a1, t0
	bgeu	a1, t1, .Lnot_hot
	.endm

	/* a0 = device, a1 = offset, a2 = length, t0 = hutinst; .Ldeclined if a device is not to be asked. */
	.macro	decode_hot_access opcode
	csrr	t0, CSR_HUTINST
	csrr	t1, CSR_HUSCRATCH
	sd	t1, VCPU_GPR(10)(t2)
	sd	ra, VCPU_GPR(1)(t2)
	sd	sp, VCPU_GPR(2)(t2)
	sd	a2, VCPU_GPR(12)(t2)
	sd	a3, VCPU_GPR(13)(t2)
	ld	sp, VCPU_HOST_SP(t2)
	/* The length is 1 << (funct3 & 3). */
	srli	t1, t0, 12
	andi	t1, t1, 3
	li	a2, 1
	sll	a2, a2, t1
	/* Misaligned: by its address, or the second half of an access that begins elsewhere. */
	addi	t1, a2, -1
	and	t1, t1, a1
	srliw	a3, t0, 15
	andi	a3, a3, 31
	or	t1, t1, a3
	/* An ordinary access has this opcode, bit 1 apart: no float, atomic, pseudoinstruction. */
	andi	a3, t0, 0x7d
	xori	a3, a3, \opcode & 0x7d
	or	t1, t1, a3
	bnez	t1, .Ldeclined
	.endm

	/*
	 * A table of 32 pairs of instructions, one pair for each register. In t1 comes the register's number
	 * times 8. `saved` is for those that are in vcpu->gpr, `live` for those that are still the guest's.
	 */
	.macro	for_register_t1 saved, live, reg, next, scratch
	lla	\scratch, 1f
	add	\scratch, \scratch, t1
	jr	\scratch
	.balign	8
1:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	.if	\n == 1 || \n == 2 || (\n >= 5 && \n <= 7) || (\n >= 10 && \n <= 13)
	\saved	\reg, VCPU_GPR(\n)(t2)
	.else
	\live	\reg, x\n
	.endif
	j	\next
	.endr
	.endm

	/* What `live` is in a load: x0 stays what it is. */
	.macro	move_to from, to
	mv	\to, \from
	.endm

	.option	push
	.option	norvc

.Lload:
	find_hot_device
	decode_hot_access 0x03
	ld	t1, DEVICE_HOT_LOAD(a0)
	jalr	t1
	bnez	a1, .Ldeclined

	/*
	 * lb, lh, lw extend the sign from bit 7, 15, 31: the shift is -8 << funct3 (0 for the rest), modulo 64 as shifts
	 * are. Above funct3 are zeroes: the access was not declined.
	 */
	csrr	t0, CSR_HUTINST
	srli	a2, t0, 12
	li	a1, -8
	sll	a1, a1, a2
	sll	a0, a0, a1
	sra	a0, a0, a1
	/* rd is in bits 11 to 7. */
	srli	t1, t0, 7 - 3
	andi	t1, t1, 31 << 3
	for_register_t1	sd, move_to, a0, .Laccess_done, a1

.Lstore:
	find_hot_device
	decode_hot_access 0x23
	/* rs2 is in bits 24 to 20. */
	srli	t1, t0, 20 - 3
	andi	t1, t1, 31 << 3
	for_register_t1	ld, mv, a3, .Lstore_value, t0
.Lstore_value:
	ld	t1, DEVICE_HOT_STORE(a0)
	jalr	t1
	bnez	a0, .Ldeclined

	csrr	t0, CSR_HUTINST
	/* Bit 1 of hutinst (t0) says 4 bytes, else it was a compressed instruction of 2. */
.Laccess_done:
	csrr	t1, CSR_HUEPC
	andi	t0, t0, 2
	addi	t0, t0, 2
	add	t1, t1, t0
	csrw	CSR_HUEPC, t1
	ld	ra, VCPU_GPR(1)(t2)
	ld	sp, VCPU_GPR(2)(t2)
	ld	t0, VCPU_GPR(5)(t2)
	ld	t1, VCPU_GPR(6)(t2)
	ld	a1, VCPU_GPR(11)(t2)
	ld	a2, VCPU_GPR(12)(t2)
	ld	a3, VCPU_GPR(13)(t2)
	csrw	CSR_HUSCRATCH, t2
	ld	a0, VCPU_GPR(10)(t2)
	ld	t2, VCPU_GPR(7)(t2)
	.insn	DV_INSN_HURET
	.option	pop

	/* The long way after all: the registers back to the guest's. */
.Ldeclined:
	ld	ra, VCPU_GPR(1)(t2)
	ld	sp, VCPU_GPR(2)(t2)
	ld	a2, VCPU_GPR(12)(t2)
	ld	a3, VCPU_GPR(13)(t2)
.Lnot_hot:
	mv	a0, t2
	ld	a1, VCPU_GPR(11)(a0)
	ld	t2, VCPU_GPR(7)(a0)
.Lexit_t1:
	ld	t1, VCPU_GPR(6)(a0)

	/* t0 is saved. What else C may change: it keeps s0 to s11, so they can stay the guest's for now. */
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
