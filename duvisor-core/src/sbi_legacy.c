/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SBI chapter "Legacy Extensions": what old kernels and small payloads still use. Those that take a
 * hart mask by virtual address (0x04 to 0x07) are not there; probing says so.
 */
#include "console.h"
#include "hart.h"
#include "sbi.h"
#include "vcpu.h"
#include "vm.h"

enum {
	SET_TIMER = 0x00,
	CONSOLE_PUTCHAR = 0x01,
	CONSOLE_GETCHAR = 0x02,
	CLEAR_IPI = 0x03,
	SHUTDOWN = 0x08,
};

static uint64_t legacy_probe(uint64_t eid)
{
	return eid <= CLEAR_IPI || eid == SHUTDOWN;
}

static int64_t getchar_legacy(struct vcpu *vcpu)
{
	uint8_t byte;

	return console_read(vcpu->vm->console, &byte, 1) ? byte : -1;
}

static int64_t clear_ipi(void)
{
	bool pending = hart_read_huvip() & HUVIP_VSSIP;

	hart_clear_huvip(HUVIP_VSSIP);
	return pending;
}

static int legacy_call(struct vcpu *vcpu, struct sbi_call *call)
{
	uint8_t byte = (uint8_t)call->arg[0];

	switch (call->eid) {
	case SET_TIMER:
		sbi_time_set(call->arg[0]);
		break;
	case CONSOLE_PUTCHAR:
		if (!console_write(vcpu->vm->console, &byte, 1))
			return VCPU_RESUME_SAME; /* it blocks */
		break;
	case CONSOLE_GETCHAR:
		call->error = getchar_legacy(vcpu);
		break;
	case CLEAR_IPI:
		call->error = clear_ipi();
		break;
	case SHUTDOWN:
		vm_request_stop(vcpu->vm, VM_STOP_POWER_OFF, 0);
		return VCPU_STOP;
	default:
		call->error = SBI_ERR_NOT_SUPPORTED;
	}
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_legacy = {
	.name = "legacy",
	.first = 0x00,
	.last = 0x0f,
	.legacy = true,
	.probe = legacy_probe,
	.call = legacy_call,
};
