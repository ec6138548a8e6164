/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "Timer Extension"; guests with Sstc do not need it. */
#include "hart.h"
#include "sbi.h"
#include "sbi_eid.h"
#include "vcpu.h"

void sbi_time_set(uint64_t stime)
{
	/* Also clears the pending interrupt, as the specification wants: pending is stime <= time. */
	hart_write_huvstimecmp(stime);
}

static int time_call(struct vcpu *vcpu, struct sbi_call *call)
{
	(void)vcpu;
	if (call->fid == 0)
		sbi_time_set(call->arg[0]);
	else
		call->error = SBI_ERR_NOT_SUPPORTED;
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_time = {
	.name = "TIME",
	.first = SBI_EID_TIME,
	.last = SBI_EID_TIME,
	.fast = true,
	.call = time_call,
};
