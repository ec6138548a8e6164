/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fences that other vCPUs ask for. Each vCPU has a few boxes, so that fences of many callers are batched into
 * one exit and pages are fenced one by one; when the boxes are full, the vCPU forgets everything.
 */
#ifndef DUVISOR_FENCE_H
#define DUVISOR_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "types.h"

/* As the functions of SBI's RFENCE extension are numbered. */
enum fence_kind {
	FENCE_I,
	FENCE_VMA,
	FENCE_VMA_ASID,
};

struct fence {
	enum fence_kind kind;
	uint64_t start; /* gva, a multiple of 4 KiB */
	uint64_t pages; /* 0: the whole address space */
	uint64_t asid;
};

#define FENCE_BOXES 8

struct fence_queue {
	_Atomic uint32_t all; /* there were more than the boxes hold */
	struct fence_box {
		_Atomic uint32_t state; /* private to fence.c; 0: empty */
		struct fence fence;
	} box[FENCE_BOXES];
};

/* On this hart, now. */
void fence_perform(const struct fence *fence);

/* Leave a fence for the queue's owner; tell it afterwards. Any thread, without a lock. */
void fence_post(struct fence_queue *queue, const struct fence *fence);

/* Perform all that was posted before the call. The owner's thread only. */
void fence_take(struct fence_queue *queue);

#endif
