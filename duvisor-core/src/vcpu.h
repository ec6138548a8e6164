/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual CPU: the guest's registers, a thread, its run loop, and the protocol by which
 * other threads make it notice something.
 */
#ifndef DUVISOR_VCPU_H
#define DUVISOR_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "hot.h"
#include "fence.h"
#include "idle.h"
#include "types.h"

struct imsic_file;
struct vm;

/* Bits of vcpu->request: what the vCPU must look at before it enters the guest again. */
enum vcpu_request {
	VCPU_REQ_EXT_IRQ = 1 << 0,  /* ext_irq changed, or something arrived in imsic */
	VCPU_REQ_SOFT_IRQ = 1 << 1, /* an IPI that could not be posted */
	VCPU_REQ_FENCE = 1 << 2,    /* fences are waiting in `fences` */
	VCPU_REQ_START = 1 << 3,    /* HSM hart_start */
	VCPU_REQ_STOP = 1 << 4,     /* the VM is to be parked */
};

/* HSM states (SBI 2.0, section 9), as hart_get_status returns them. */
enum vcpu_hsm {
	VCPU_HSM_STARTED = 0,
	VCPU_HSM_STOPPED = 1,
	VCPU_HSM_START_PENDING = 2,
	VCPU_HSM_STOP_PENDING = 3,
	VCPU_HSM_SUSPENDED = 4,
	VCPU_HSM_SUSPEND_PENDING = 5,
	VCPU_HSM_RESUME_PENDING = 6,
};

/* What an exit was, copied from the hart once. */
struct vcpu_trap {
	uint64_t cause; /* of the exit; a handler that returns VCPU_INJECT puts the guest's here */
	uint64_t epc;
	uint64_t tval; /* ... and the guest's stval here */
	uint64_t gpa;
	uint64_t inst;
	uint64_t status; /* hustatus */
};

/* What an exit handler wants done; only the run loop does it. */
enum vcpu_result {
	VCPU_RESUME_SAME, /* execute the same instruction again */
	VCPU_RESUME_NEXT, /* go on behind it */
	VCPU_RESUME_AT,   /* the handler has set pc and registers itself (start, resume) */
	VCPU_INJECT,      /* take the exception trap->cause / trap->tval into VS-mode */
	VCPU_STOP,        /* vm_request_stop() has been called */
};                        /* or a negative errno: a broken invariant; dump and crash */

#define REG_RA 1
#define REG_SP 2
#define REG_GP 3
#define REG_TP 4
#define REG_A0 10
#define REG_A1 11
#define REG_A2 12
#define REG_A6 16
#define REG_A7 17

struct vcpu {
	/* Used by entry.S (asm_offsets.c). */
	uint64_t gpr[32]; /* the guest's, while the hart is not in the guest; gpr[0] is 0 */
	uint64_t host_sp;
	_Atomic uint32_t request; /* also the futex that the vCPU sleeps on */
	uint32_t hart_id;         /* what the guest calls it */
	unsigned int index;       /* in vm->vcpu, and what posts call it */
	struct vm *vm;
	const struct device *hot[HOT_PLACES]; /* the vCPU's own */
	/* Used by the entry.S of another vCPU, too. */
	_Atomic uint32_t sleeping; /* 1: in, or about to go into, futex_wait on request */
	_Atomic uint32_t
		ext_irq;      /* level of the external interrupt line; RISC-V has no atomic bytes */
	_Atomic uint32_t hsm; /* enum vcpu_hsm */

	struct fence_queue fences;
	struct idle idle;
	_Atomic uint64_t woken_at; /* host's time of the last kick in this sleep; 0: none */

	/* Parameters of VCPU_REQ_START; owned by whoever moved hsm to START_PENDING. */
	uint64_t start_pc;
	uint64_t start_opaque;

	struct device *recent[HOT_PLACES]; /* as hot, but of any kind; NULL: none yet */
	unsigned int boot;                 /* the vm->boots that it was reset for */
	struct imsic_file *imsic;          /* owned by the IMSIC; NULL: there is a PLIC */
	pthread_t thread;
};

/* The vCPU that the calling thread is, or NULL. */
struct vcpu *vcpu_self(void);

int vcpu_create(struct vm *vm, unsigned int index, struct vcpu **vcpu_out);
void vcpu_destroy(struct vcpu *vcpu);

/* Start the thread, which parks in vm_park() first; wait for its end. */
int vcpu_start(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);

/*
 * To the state before a boot: hart 0 about to start at vm->boot, the others stopped. By
 * the I/O thread, while all vCPUs are parked: once one of them runs, it may start another.
 */
void vcpu_reset(struct vcpu *vcpu);

/*
 * Set request bits and make the vCPU notice: in the guest it exits, asleep it wakes, else it
 * looks before it enters. Any member thread; no lock needed.
 */
void vcpu_kick(struct vcpu *vcpu, uint32_t bits);

/*
 * The level of the S-mode external interrupt line, as the interrupt controller computes it. Any member thread;
 * the caller's lock orders its calls for one vCPU.
 */
void vcpu_set_ext_irq(struct vcpu *vcpu, bool level);

/* Something arrived in the vCPU's interrupt file that it should be interrupted for. Any member thread. */
void vcpu_send_ext_irq(struct vcpu *vcpu);

/* The guest's software interrupt (an IPI). Any member thread. */
void vcpu_send_ipi(struct vcpu *vcpu);

/*
 * Have the vCPU perform a fence before it executes another guest instruction; and wait until the target executes none
 * without it. No system call, unless it sleeps. By another vCPU's thread, which is vcpu_fence_wait()'s first.
 */
void vcpu_fence_post(struct vcpu *vcpu, const struct fence *fence);
void vcpu_fence_wait(struct vcpu *vcpu, const struct vcpu *target);

/*
 * What follows is for the vCPU's own thread.
 */

/* Give the hart the external interrupt's level as controller or interrupt file have it now. */
void vcpu_sync_ext_irq(const struct vcpu *vcpu);

/* What the guest reads as its time, in ticks. */
uint64_t vcpu_guest_time(void);

/* An interrupt is pending and enabled, whatever vsstatus.SIE says. */
bool vcpu_interrupt_pending(void);

/*
 * Wait as --idle says until an interrupt is pending and enabled, or a request came; not at all if so
 * already.
 */
void vcpu_wait_for_interrupt(struct vcpu *vcpu);

/*
 * Registers and VS state as SBI defines them at the start of a hart (SBI, tables "HSM Hart Start Register
 * State" and "HSM Hart Resume Register State"): S-mode at pc, a0 = hart id, a1 = opaque.
 */
void vcpu_set_start_state(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* The same after a suspension that kept nothing, but for what SBI does not mention: the timer and the IPIs. */
void vcpu_resume_suspended(struct vcpu *vcpu, uint64_t pc, uint64_t opaque);

/* Take the exception in VS-mode. Nothing else does so. */
void vcpu_inject(struct vcpu *vcpu, const struct vcpu_trap *trap);

/* All registers, to stderr. */
void vcpu_dump(const struct vcpu *vcpu, const struct vcpu_trap *trap);

/* Serve requests until the guest may be entered (may sleep and park). False: the thread must end. */
bool vcpu_prepare(struct vcpu *vcpu);

/* Handle the exit that the hart reports, and do what its handler wants. */
void vcpu_handle_exit(struct vcpu *vcpu);

/*
 * Called by hart_run(). The first two have all registers in vcpu->gpr and return the vcpu to go
 * on with, or NULL to end.
 */
struct vcpu *vcpu_exit(struct vcpu *vcpu);
struct vcpu *vcpu_resume(struct vcpu *vcpu);

/*
 * A VS-mode ecall with only the caller-saved registers in vcpu->gpr: s0 to s11 are the guest's still.
 * True: dealt with. False: nothing has been done, call vcpu_exit().
 */
bool vcpu_exit_fast(struct vcpu *vcpu);

#endif
