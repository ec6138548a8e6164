/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "RFENCE Extension". The HFENCE functions are for guests with the H extension: ours have none. */
#include "hart.h"
#include "sbi.h"
#include "vcpu.h"

#define PAGE_SIZE 4096ULL
/* Beyond this many pages one fence of everything is cheaper. */
#define MAX_PAGES 64

enum {
	REMOTE_FENCE_I,
	REMOTE_SFENCE_VMA,
	REMOTE_SFENCE_VMA_ASID,
};

struct fence {
	uint64_t fid;
	uint64_t start;
	uint64_t pages; /* 0: the whole address space */
	uint64_t asid;
};

static void fence_here(const struct fence *f)
{
	if (f->fid == REMOTE_FENCE_I) {
		hart_fence_i();
		return;
	}
	if (!f->pages && f->fid == REMOTE_SFENCE_VMA)
		hart_fence_vs_all();
	else if (!f->pages)
		hart_fence_vs_asid(f->asid);
	for (uint64_t i = 0; i < f->pages; i++) {
		uint64_t gva = f->start + i * PAGE_SIZE;

		if (f->fid == REMOTE_SFENCE_VMA)
			hart_fence_vs_page(gva);
		else
			hart_fence_vs_page_asid(gva, f->asid);
	}
}

static void fence(struct vcpu *caller, struct vcpu *target, const void *arg)
{
	if (target == caller)
		fence_here(arg);
	else
		vcpu_fence_remote(target);
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

static int rfence_call(struct vcpu *vcpu, struct sbi_call *call)
{
	struct fence f = {
		.fid = call->fid,
		.start = call->arg[2] & ~(PAGE_SIZE - 1),
		.pages = count_pages(call->arg[2], call->arg[3]),
		.asid = call->arg[4],
	};

	if (call->fid > REMOTE_SFENCE_VMA_ASID)
		call->error = SBI_ERR_NOT_SUPPORTED;
	else
		call->error = sbi_for_harts(vcpu, call->arg[0], call->arg[1], fence, &f);
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_rfence = {
	.name = "RFENCE",
	.first = 0x52464e43,
	.last = 0x52464e43,
	.fast = true,
	.call = rfence_call,
};
