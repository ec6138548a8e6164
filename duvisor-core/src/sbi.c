/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sbi.h"

#include "vcpu.h"
#include "vm.h"

static const struct sbi_extension *const extensions[] = {
	&sbi_time, &sbi_ipi, &sbi_rfence, &sbi_base, &sbi_hsm, &sbi_srst, &sbi_dbcn, &sbi_legacy,
};

static const struct sbi_extension *find(uint64_t eid)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (eid >= extensions[i]->first && eid <= extensions[i]->last)
			return extensions[i];
	return NULL;
}

uint64_t sbi_probe(uint64_t eid)
{
	const struct sbi_extension *ext = find(eid);

	if (!ext)
		return 0;
	return ext->probe ? ext->probe(eid) : 1;
}

static int call_extension(struct vcpu *vcpu, const struct sbi_extension *ext)
{
	struct sbi_call call = {
		.eid = vcpu->gpr[REG_A7],
		.fid = vcpu->gpr[REG_A6],
		.arg = &vcpu->gpr[REG_A0],
	};
	int result = ext->call(vcpu, &call);

	if (result == VCPU_RESUME_NEXT) {
		vcpu->gpr[REG_A0] = (uint64_t)call.error;
		if (!ext->legacy)
			vcpu->gpr[REG_A1] = call.value;
	}
	return result;
}

int sbi_ecall(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	const struct sbi_extension *ext = find(vcpu->gpr[REG_A7]);

	(void)trap;
	if (ext)
		return call_extension(vcpu, ext);
	vcpu->gpr[REG_A0] = (uint64_t)SBI_ERR_NOT_SUPPORTED;
	vcpu->gpr[REG_A1] = 0;
	return VCPU_RESUME_NEXT;
}

bool sbi_ecall_fast(struct vcpu *vcpu)
{
	const struct sbi_extension *ext = find(vcpu->gpr[REG_A7]);

	return ext && ext->fast && call_extension(vcpu, ext) == VCPU_RESUME_NEXT;
}

static void for_all_harts(struct vcpu *vcpu, sbi_hart_fn *fn, const void *arg)
{
	for (unsigned int i = 0; i < vcpu->vm->vcpu_count; i++)
		fn(vcpu, vcpu->vm->vcpu[i], arg);
}

/* Every bit names a hart. No id is as large as the first base that could wrap around. */
static bool mask_is_good(const struct vm *vm, uint64_t mask, uint64_t base)
{
	for (; mask; mask &= mask - 1)
		if (base >= HART_ID_LIMIT || !vm_hart(vm, base + (uint64_t)__builtin_ctzll(mask)))
			return false;
	return true;
}

int64_t sbi_for_harts(struct vcpu *vcpu, uint64_t mask, uint64_t base, sbi_hart_fn *fn,
		      const void *arg)
{
	if (base == UINT64_MAX) {
		for_all_harts(vcpu, fn, arg);
		return SBI_SUCCESS;
	}
	if (!mask_is_good(vcpu->vm, mask, base))
		return SBI_ERR_INVALID_PARAM;
	for (; mask; mask &= mask - 1)
		fn(vcpu, vm_hart(vcpu->vm, base + (uint64_t)__builtin_ctzll(mask)), arg);
	return SBI_SUCCESS;
}
