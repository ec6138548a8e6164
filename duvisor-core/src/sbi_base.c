/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "Base Extension" */
#include "sbi.h"
#include "sbi_eid.h"
#include "vcpu.h"

#define SPEC_VERSION (2U << 24)

/*
 * Implementation IDs 0 to 11 are taken (table "SBI Implementation IDs"), and numbers are handed out one after the
 * other. Until we are given one, we use a number far from them: "duv" in ASCII.
 */
#define IMPLEMENTATION_ID 0x647576
#define IMPLEMENTATION_VERSION 1

/* The vendor's three stay zero, which is always legal and keeps a guest from working around errata of one host. */
const uint64_t sbi_base_value[SBI_BASE_FUNCTIONS] = {
	SPEC_VERSION,
	IMPLEMENTATION_ID,
	IMPLEMENTATION_VERSION,
};

static int base_call(struct vcpu *vcpu, struct sbi_call *call)
{
	(void)vcpu;
	if (call->fid == SBI_BASE_PROBE_EXTENSION)
		call->value = sbi_probe(call->arg[0]);
	else if (call->fid < SBI_BASE_FUNCTIONS)
		call->value = sbi_base_value[call->fid];
	else
		call->error = SBI_ERR_NOT_SUPPORTED;
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_base = {
	.name = "base",
	.first = SBI_EID_BASE,
	.last = SBI_EID_BASE,
	.fast = true,
	.call = base_call,
};
