/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What unit tests can do with the hart that hart_fake.c pretends: look, and play the guest. */
#ifndef DUVISOR_HART_FAKE_H
#define DUVISOR_HART_FAKE_H

#include "hart.h"

/* One per thread, as one hart is under each vCPU thread. Indexed by CSR number. */
struct hart_fake {
	uint64_t csr[0x1000];
	uint64_t fp[32];
	unsigned int fences;      /* hart_fence_*() of any kind */
	unsigned int fence_pages; /* of them, of single pages */
	unsigned int fence_asids; /* of them, of single address spaces */
	unsigned int fence_insns; /* of them, FENCE.I */
};

/* What any guest does when it is entered; returns at the exit, whose CSRs it has set. */
extern void (*hart_fake_guest)(struct vcpu *vcpu, struct hart_fake *hart);

struct hart_fake *hart_fake(void);

/* A clock that all fake harts share; it stands still unless moved. */
void hart_fake_set_time(uint64_t time);

/* What hart_post() has done: which bits came to which index, and whether it says "resident". */
#define HART_FAKE_VCPUS 8
extern _Atomic uint32_t hart_fake_posted[HART_FAKE_VCPUS];
extern _Atomic uint32_t hart_fake_resident[HART_FAKE_VCPUS];

#endif
