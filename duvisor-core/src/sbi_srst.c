/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "System Reset Extension" */
#include "sbi.h"
#include "vcpu.h"
#include "vm.h"

enum {
	SHUTDOWN,
	COLD_REBOOT,
	WARM_REBOOT,
};

enum {
	NO_REASON,
	SYSTEM_FAILURE,
};

static enum vm_stop stop_for(uint32_t type, uint32_t reason)
{
	switch (type) {
	case SHUTDOWN:
		return reason == SYSTEM_FAILURE ? VM_STOP_GUEST_FAILURE : VM_STOP_POWER_OFF;
	case COLD_REBOOT:
		return VM_STOP_REBOOT_COLD;
	case WARM_REBOOT:
		return VM_STOP_REBOOT_WARM;
	default:
		return VM_STOP_NONE;
	}
}

static int srst_call(struct vcpu *vcpu, struct sbi_call *call)
{
	/* Both parameters are 32 bits wide. */
	uint32_t reason = (uint32_t)call->arg[1];
	enum vm_stop stop = stop_for((uint32_t)call->arg[0], reason);

	if (call->fid != 0) {
		call->error = SBI_ERR_NOT_SUPPORTED;
		return VCPU_RESUME_NEXT;
	}
	if (stop == VM_STOP_NONE || reason > SYSTEM_FAILURE) {
		call->error = SBI_ERR_INVALID_PARAM;
		return VCPU_RESUME_NEXT;
	}
	vm_request_stop(vcpu->vm, stop, reason);
	return VCPU_STOP;
}

const struct sbi_extension sbi_srst = {
	.name = "SRST",
	.first = 0x53525354,
	.last = 0x53525354,
	.call = srst_call,
};
