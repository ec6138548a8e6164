/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "IPI Extension" */
#include "sbi.h"
#include "sbi_eid.h"
#include "vcpu.h"

static void send(struct vcpu *caller, struct vcpu *target, const void *arg)
{
	(void)caller;
	(void)arg;
	vcpu_send_ipi(target);
}

static int ipi_call(struct vcpu *vcpu, struct sbi_call *call)
{
	if (call->fid == 0)
		call->error = sbi_for_harts(vcpu, call->arg[0], call->arg[1], send, NULL);
	else
		call->error = SBI_ERR_NOT_SUPPORTED;
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_ipi = {
	.name = "IPI",
	.first = SBI_EID_IPI,
	.last = SBI_EID_IPI,
	.fast = true,
	.call = ipi_call,
};
