/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compiled to assembly only: the build takes the lines marked with @ and makes asm_offsets.h of them, so
 * that entry.S can never disagree with struct vcpu.
 */
#include "device.h"
#include "vcpu.h"
#include "vm.h"

#define VALUE(name, value) __asm__ volatile("@#define " name " %0" : : "i"(value))
#define OFFSET(name, type, member) VALUE(name, offsetof(struct type, member))

void asm_offsets(void);

void asm_offsets(void)
{
	OFFSET("VCPU_GPR_BASE", vcpu, gpr);
	OFFSET("VCPU_HOST_SP", vcpu, host_sp);
	OFFSET("VCPU_REQUEST", vcpu, request);
	OFFSET("VCPU_HART_ID", vcpu, hart_id);
	OFFSET("VCPU_VM", vcpu, vm);
	OFFSET("VCPU_HOT", vcpu, hot);
	OFFSET("VCPU_SLEEPING", vcpu, sleeping);
	OFFSET("VM_VCPU", vm, vcpu);
	OFFSET("VM_HART", vm, hart);
	VALUE("HART_ID_SHIFT", HART_ID_SHIFT);
	OFFSET("DEVICE_BASE", device, base);
	OFFSET("DEVICE_SIZE", device, size);
	OFFSET("DEVICE_HOT_LOAD", device, hot_load);
	OFFSET("DEVICE_HOT_STORE", device, hot_store);
	VALUE("HOT_PLACES", HOT_PLACES);
	VALUE("HOT_SHIFT_PAGE", HOT_SHIFT_PAGE);
	VALUE("HOT_SHIFT_AREA", HOT_SHIFT_AREA);
	__asm__ volatile("@#define VCPU_GPR(n) (VCPU_GPR_BASE + 8 * (n))");
}
