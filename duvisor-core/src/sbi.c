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

int64_t sbi_for_harts(struct vcpu *vcpu, uint64_t mask, uint64_t base,
		      void (*fn)(struct vcpu *caller, struct vcpu *target, const void *arg),
		      const void *arg)
{
	const struct vm *vm = vcpu->vm;
	uint64_t count = vm->vcpu_count;

	if (base == UINT64_MAX) {
		base = 0;
		mask = UINT64_MAX >> (64 - count);
	}
	/* Bits that would name a hart behind the last one. */
	if (mask && (base >= count || mask >> 1 >> (count - base - 1)))
		return SBI_ERR_INVALID_PARAM;
	for (; mask; mask >>= 1, base++)
		if (mask & 1)
			fn(vcpu, vm->vcpu[base], arg);
	return SBI_SUCCESS;
}
