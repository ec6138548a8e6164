/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A hart for unit tests: CSRs are words, posts are noted, the guest is a function. */
#include "hart_fake.h"

#include <stdatomic.h>

#include "vcpu.h"

static _Thread_local struct hart_fake fake;
static _Atomic uint64_t clock_now;
void (*hart_fake_guest)(struct vcpu *vcpu, struct hart_fake *hart);
_Atomic uint32_t hart_fake_posted[HART_FAKE_VCPUS];
_Atomic uint32_t hart_fake_resident[HART_FAKE_VCPUS];

struct hart_fake *hart_fake(void)
{
	return &fake;
}

void hart_fake_set_time(uint64_t time)
{
	atomic_store(&clock_now, time);
}

#define HART_DEFINE_CSR(name, number)                                                              \
	uint64_t hart_read_##name(void)                                                            \
	{                                                                                          \
		return fake.csr[number];                                                           \
	}                                                                                          \
	void hart_write_##name(uint64_t value)                                                     \
	{                                                                                          \
		fake.csr[number] = value;                                                          \
	}
HART_CSRS(HART_DEFINE_CSR)

void hart_set_huvip(uint64_t bits)
{
	fake.csr[CSR_HUVIP] |= bits;
}

void hart_clear_huvip(uint64_t bits)
{
	fake.csr[CSR_HUVIP] &= ~bits;
}

void hart_init(void)
{
	fake.csr[CSR_HUTVEC] = 4;
}

/* As entry.S does it. */
void hart_run(struct vcpu *vcpu)
{
	while (vcpu) {
		hart_fake_guest(vcpu, &fake);
		if (fake.csr[CSR_HUCAUSE] != DV_CAUSE_VS_ECALL || !vcpu_exit_fast(vcpu))
			vcpu = vcpu_exit(vcpu);
		else if (atomic_load(&vcpu->request))
			vcpu = vcpu_resume(vcpu);
	}
}

unsigned int hart_post(unsigned int index, unsigned int bits)
{
	if (index >= HART_FAKE_VCPUS || !atomic_load(&hart_fake_resident[index]))
		return 0;
	atomic_fetch_or(&hart_fake_posted[index], bits);
	return 1;
}

void hart_fence_stage2(void)
{
	fake.fences++;
}

void hart_fence_vs_all(void)
{
	fake.fences++;
}

void hart_fence_vs_page(uint64_t gva)
{
	(void)gva;
	fake.fences++;
	fake.fence_pages++;
}

void hart_fence_vs_asid(uint64_t asid)
{
	(void)asid;
	fake.fences++;
	fake.fence_asids++;
}

void hart_fence_vs_page_asid(uint64_t gva, uint64_t asid)
{
	(void)gva;
	(void)asid;
	fake.fences++;
	fake.fence_pages++;
	fake.fence_asids++;
}

void hart_fence_i(void)
{
	fake.fences++;
	fake.fence_insns++;
}

uint64_t hart_time(void)
{
	return atomic_load(&clock_now);
}

uint64_t hart_read_fp(unsigned int n)
{
	return fake.fp[n];
}

void hart_write_fp(unsigned int n, uint64_t value)
{
	fake.fp[n] = value;
}
