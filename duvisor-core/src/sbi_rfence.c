/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "RFENCE Extension". The HFENCE functions are for guests with the H extension: ours have none. */
#include "fence.h"
#include "sbi.h"
#include "vcpu.h"

#define PAGE_SIZE 4096ULL
/* Beyond this many pages one fence of everything is cheaper. */
#define MAX_PAGES 64

static void post(struct vcpu *caller, struct vcpu *target, const void *arg)
{
	if (target == caller)
		fence_perform(arg);
	else
		vcpu_fence_post(target, arg);
}

static void wait(struct vcpu *caller, struct vcpu *target, const void *arg)
{
	(void)arg;
	if (target != caller)
		vcpu_fence_wait(caller, target);
}

static uint64_t count_pages(uint64_t start, uint64_t size)
{
	uint64_t pages;

	if ((!start && !size) || size > MAX_PAGES * PAGE_SIZE)
		return 0;
	pages = ((start & (PAGE_SIZE - 1)) + size + PAGE_SIZE - 1) / PAGE_SIZE;
	/* size = 0 elsewhere names no address; one page too many does no harm. */
	return pages ? pages : 1;
}

/* All targets are told first, so that they work at the same time, and then waited for. */
static int64_t fence_harts(struct vcpu *vcpu, uint64_t mask, uint64_t base,
			   const struct fence *fence)
{
	int64_t error = sbi_for_harts(vcpu, mask, base, post, fence);

	return error ? error : sbi_for_harts(vcpu, mask, base, wait, fence);
}

static int rfence_call(struct vcpu *vcpu, struct sbi_call *call)
{
	const struct fence fence = {
		.kind = (enum fence_kind)call->fid,
		.start = call->arg[2] & ~(PAGE_SIZE - 1),
		.pages = count_pages(call->arg[2], call->arg[3]),
		.asid = call->arg[4],
	};

	if (call->fid > FENCE_VMA_ASID)
		call->error = SBI_ERR_NOT_SUPPORTED;
	else
		call->error = fence_harts(vcpu, call->arg[0], call->arg[1], &fence);
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_rfence = {
	.name = "RFENCE",
	.first = 0x52464e43,
	.last = 0x52464e43,
	.fast = true,
	.call = rfence_call,
};
