/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "Base Extension" */
#include "sbi.h"
#include "vcpu.h"

#define SPEC_VERSION (2U << 24)

/*
 * Implementation IDs 0 to 11 are taken (table "SBI Implementation IDs"), and numbers are handed out one after the
 * other. Until we are given one, we use a number far from them: "duv" in ASCII.
 */
#define IMPLEMENTATION_ID 0x647576
#define IMPLEMENTATION_VERSION 1

enum {
	GET_SPEC_VERSION,
	GET_IMPL_ID,
	GET_IMPL_VERSION,
	PROBE_EXTENSION,
	GET_MVENDORID,
	GET_MARCHID,
	GET_MIMPID,
};

static int base_call(struct vcpu *vcpu, struct sbi_call *call)
{
	(void)vcpu;
	switch (call->fid) {
	case GET_SPEC_VERSION:
		call->value = SPEC_VERSION;
		break;
	case GET_IMPL_ID:
		call->value = IMPLEMENTATION_ID;
		break;
	case GET_IMPL_VERSION:
		call->value = IMPLEMENTATION_VERSION;
		break;
	case PROBE_EXTENSION:
		call->value = sbi_probe(call->arg[0]);
		break;
	case GET_MVENDORID:
	case GET_MARCHID:
	case GET_MIMPID:
		/* Zero is always legal, and keeps a guest from working around errata of one host. */
		call->value = 0;
		break;
	default:
		call->error = SBI_ERR_NOT_SUPPORTED;
	}
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_base = {
	.name = "base",
	.first = 0x10,
	.last = 0x10,
	.fast = true,
	.call = base_call,
};
