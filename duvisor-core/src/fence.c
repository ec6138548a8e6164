/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence.h"

#include "hart.h"

#define PAGE_SIZE 4096ULL

/* A box goes round: a poster takes an empty one, fills it, and the owner empties it. */
enum { EMPTY, TAKEN, FULL };

void fence_perform(const struct fence *fence)
{
	if (fence->kind == FENCE_I) {
		hart_fence_i();
		return;
	}
	if (!fence->pages && fence->kind == FENCE_VMA)
		hart_fence_vs_all();
	else if (!fence->pages)
		hart_fence_vs_asid(fence->asid);
	for (uint64_t i = 0; i < fence->pages; i++) {
		uint64_t gva = fence->start + i * PAGE_SIZE;

		if (fence->kind == FENCE_VMA)
			hart_fence_vs_page(gva);
		else
			hart_fence_vs_page_asid(gva, fence->asid);
	}
}

void fence_post(struct fence_queue *queue, const struct fence *fence)
{
	for (size_t i = 0; i < FENCE_BOXES; i++) {
		struct fence_box *box = &queue->box[i];
		uint32_t empty = EMPTY;

		if (!atomic_compare_exchange_strong(&box->state, &empty, TAKEN))
			continue;
		box->fence = *fence;
		atomic_store_explicit(&box->state, FULL, memory_order_release);
		return;
	}
	atomic_store(&queue->all, 1);
}

/* A box that is TAKEN now is another caller's that has not told us yet: it will. */
void fence_take(struct fence_queue *queue)
{
	bool all = atomic_load(&queue->all) && atomic_exchange(&queue->all, 0);

	for (size_t i = 0; i < FENCE_BOXES; i++) {
		struct fence_box *box = &queue->box[i];
		struct fence fence;

		if (atomic_load_explicit(&box->state, memory_order_acquire) != FULL)
			continue;
		fence = box->fence;
		atomic_store_explicit(&box->state, EMPTY, memory_order_release);
		if (!all)
			fence_perform(&fence);
	}
	if (all) {
		hart_fence_vs_all();
		hart_fence_i();
	}
}
