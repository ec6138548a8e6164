/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SBI chapter "Debug Console Extension" */
#include "console.h"
#include "memory.h"
#include "sbi.h"
#include "vcpu.h"
#include "vm.h"

enum {
	CONSOLE_WRITE,
	CONSOLE_READ,
	CONSOLE_WRITE_BYTE,
};

/* The guest's buffer: a0 bytes at a2:a1. NULL if not all of it is RAM. */
static void *guest_buffer(const struct vcpu *vcpu, const struct sbi_call *call)
{
	if (call->arg[2])
		return NULL;
	return memory_at(&vcpu->vm->mem, call->arg[1], call->arg[0]);
}

static void transfer(struct vcpu *vcpu, struct sbi_call *call)
{
	struct console *con = vcpu->vm->console;
	void *buf = guest_buffer(vcpu, call);

	/* Partial transfers are allowed: the console's ring bounds what one call can cost. */
	if (!buf)
		call->error = SBI_ERR_INVALID_PARAM;
	else if (call->fid == CONSOLE_WRITE)
		call->value = console_write(con, buf, call->arg[0]);
	else
		call->value = console_read(con, buf, call->arg[0]);
}

static int dbcn_call(struct vcpu *vcpu, struct sbi_call *call)
{
	uint8_t byte = (uint8_t)call->arg[0];

	switch (call->fid) {
	case CONSOLE_WRITE:
	case CONSOLE_READ:
		transfer(vcpu, call);
		break;
	case CONSOLE_WRITE_BYTE:
		/* A blocking call: repeated, so that the vCPU stays open to requests meanwhile. */
		if (!console_write(vcpu->vm->console, &byte, 1))
			return VCPU_RESUME_SAME;
		break;
	default:
		call->error = SBI_ERR_NOT_SUPPORTED;
	}
	return VCPU_RESUME_NEXT;
}

const struct sbi_extension sbi_dbcn = {
	.name = "DBCN",
	.first = 0x4442434e,
	.last = 0x4442434e,
	.call = dbcn_call,
};
