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

int sbi_ecall(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	struct sbi_call call = {.eid = vcpu->gpr[REG_A7], .fid = vcpu->gpr[REG_A6]};
	const struct sbi_extension *ext = find(call.eid);
	int result = VCPU_RESUME_NEXT;

	(void)trap;
	for (unsigned int i = 0; i < ARRAY_SIZE(call.arg); i++)
		call.arg[i] = vcpu->gpr[REG_A0 + i];
	if (ext)
		result = ext->call(vcpu, &call);
	else
		call.error = SBI_ERR_NOT_SUPPORTED;
	if (result == VCPU_RESUME_NEXT) {
		vcpu->gpr[REG_A0] = (uint64_t)call.error;
		if (!ext || !ext->legacy)
			vcpu->gpr[REG_A1] = call.value;
	}
	return result;
}

static struct vcpu *hart(const struct vm *vm, uint64_t id)
{
	return id < vm->vcpu_count ? vm->vcpu[id] : NULL;
}

int64_t sbi_for_harts(struct vcpu *vcpu, uint64_t mask, uint64_t base,
		      void (*fn)(struct vcpu *caller, struct vcpu *target, const void *arg),
		      const void *arg)
{
	const struct vm *vm = vcpu->vm;

	if (base == UINT64_MAX) {
		for (unsigned int i = 0; i < vm->vcpu_count; i++)
			fn(vcpu, vm->vcpu[i], arg);
		return SBI_SUCCESS;
	}
	/* A sum that wraps around must not name a hart. */
	for (unsigned int i = 0; i < 64; i++)
		if (mask >> i & 1 && (base + i < base || !hart(vm, base + i)))
			return SBI_ERR_INVALID_PARAM;
	for (unsigned int i = 0; i < 64; i++)
		if (mask >> i & 1)
			fn(vcpu, vm->vcpu[base + i], arg);
	return SBI_SUCCESS;
}
