/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "Hart State Management Extension" */
#include "memory.h"
#include "sbi.h"
#include "vcpu.h"
#include "vm.h"

enum {
	HART_START,
	HART_STOP,
	HART_GET_STATUS,
	HART_SUSPEND,
};

#define SUSPEND_RETENTIVE 0x00000000U
#define SUSPEND_NON_RETENTIVE 0x80000000U

/* Where a hart may start: an instruction of RAM. */
static bool can_start_at(const struct vcpu *vcpu, uint64_t addr)
{
	return !(addr & 1) && memory_at(&vcpu->vm->mem, addr, 2);
}

static int64_t hart_start(const struct vcpu *vcpu, const struct sbi_call *call)
{
	struct vcpu *target = vm_hart(vcpu->vm, call->arg[0]);
	uint32_t stopped = VCPU_HSM_STOPPED;

	if (!target)
		return SBI_ERR_INVALID_PARAM;
	if (!can_start_at(vcpu, call->arg[1]))
		return SBI_ERR_INVALID_ADDRESS;
	/* Two callers may try at once: the one that gets it out of STOPPED owns the parameters. */
	if (!atomic_compare_exchange_strong(&target->hsm, &stopped, VCPU_HSM_START_PENDING))
		return SBI_ERR_ALREADY_AVAILABLE;
	target->start_pc = call->arg[1];
	target->start_opaque = call->arg[2];
	vcpu_kick(target, VCPU_REQ_START);
	return SBI_SUCCESS;
}

static int hart_stop(struct vcpu *vcpu)
{
	atomic_store(&vcpu->hsm, VCPU_HSM_STOPPED);
	return VCPU_RESUME_AT;
}

static int hart_suspend(struct vcpu *vcpu, struct sbi_call *call)
{
	uint32_t type = (uint32_t)call->arg[0];

	if (type != SUSPEND_RETENTIVE && type != SUSPEND_NON_RETENTIVE) {
		call->error = SBI_ERR_INVALID_PARAM;
		return VCPU_RESUME_NEXT;
	}
	if (type == SUSPEND_NON_RETENTIVE && !can_start_at(vcpu, call->arg[1])) {
		call->error = SBI_ERR_INVALID_ADDRESS;
		return VCPU_RESUME_NEXT;
	}
	atomic_store(&vcpu->hsm, VCPU_HSM_SUSPENDED);
	vcpu_wait_for_interrupt(vcpu);
	atomic_store(&vcpu->hsm, VCPU_HSM_STARTED);
	/* A fence, or a stop of the VM: it is served, then the call comes again. Only an interrupt ends a suspension. */
	if (!vcpu_interrupt_pending())
		return VCPU_RESUME_SAME;
	if (type == SUSPEND_RETENTIVE)
		return VCPU_RESUME_NEXT;
	vcpu_resume_suspended(vcpu, call->arg[1], call->arg[2]);
	return VCPU_RESUME_AT;
}

static int hsm_call(struct vcpu *vcpu, struct sbi_call *call)
{
	const struct vcpu *target;

	switch (call->fid) {
	case HART_START:
		call->error = hart_start(vcpu, call);
		break;
	case HART_STOP:
		return hart_stop(vcpu);
	case HART_GET_STATUS:
		target = vm_hart(vcpu->vm, call->arg[0]);
		if (target)
			call->value = atomic_load(&target->hsm);
		else
			call->error = SBI_ERR_INVALID_PARAM;
		break;
	case HART_SUSPEND:
		return hart_suspend(vcpu, call);
	default:
		call->error = SBI_ERR_NOT_SUPPORTED;
	}
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_hsm = {
	.name = "HSM",
	.first = 0x48534d,
	.last = 0x48534d,
	.call = hsm_call,
};
