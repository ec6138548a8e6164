/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exit.h"

#include <errno.h>
#include <inttypes.h>

#include "device.h"
#include "hart.h"
#include "insn.h"
#include "sbi.h"
#include "vcpu.h"
#include "vm.h"

/* Exceptions that the guest can be given but whose exits have no use for a name elsewhere. */
#define CAUSE_INST_ACCESS 1
#define CAUSE_LOAD_ACCESS 5
#define CAUSE_STORE_ACCESS 7

#define INSN_WFI 0x10500073
/* csrrs rd, time, x0; csrrc, csrrsi and csrrci differ in the two bits, and a write is never legal. */
#define INSN_RDTIME 0xc0102073
#define INSN_RDTIME_FORMS (5U << 12)
#define INSN_RD_SHIFT 7
#define INSN_RD_MASK (31U << INSN_RD_SHIFT)

typedef int exit_fn(struct vcpu *vcpu, struct vcpu_trap *trap);

/* The host had the hart for a moment, or somebody rang; the run loop looks at the requests. */
static int exit_nothing(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	(void)vcpu;
	(void)trap;
	return VCPU_RESUME_SAME;
}

/* An exception that is the guest's own affair but that hardware could not give to it. */
static int exit_reflect(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	(void)vcpu;
	(void)trap;
	return VCPU_INJECT;
}

static int inject_access_fault(struct vcpu_trap *trap)
{
	switch (trap->cause) {
	case DV_CAUSE_INST_GUEST_PAGE_FAULT:
		trap->cause = CAUSE_INST_ACCESS;
		break;
	case DV_CAUSE_LOAD_GUEST_PAGE_FAULT:
		trap->cause = CAUSE_LOAD_ACCESS;
		break;
	default:
		trap->cause = CAUSE_STORE_ACCESS;
	}
	return VCPU_INJECT;
}

static int refuse_access(struct vcpu *vcpu, struct vcpu_trap *trap, const char *what)
{
	log_guest(&vcpu->vm->log_limit, LOG_INFO,
		  "hart %u: %s at 0x%" PRIx64 " (pc 0x%" PRIx64 ", instruction 0x%" PRIx64
		  "): access fault",
		  vcpu->hart_id, what, trap->gpa, trap->epc, trap->inst);
	return inject_access_fault(trap);
}

const struct device hot_nothing = {0};

/*
 * The device of an aligned access, or NULL. It is kept at hand for the next one, and if it has hot registers, also where
 * entry.S looks by itself.
 */
static struct device *find_device(struct vcpu *vcpu, gpa_t gpa, unsigned int len)
{
	unsigned int place = hot_place(gpa);
	struct device *dev = vcpu->recent[place];

	if (gpa & (len - 1))
		return NULL;
	/* Aligned: it ends where the device's last 8 bytes do, at most. */
	if (dev && gpa - dev->base < (dev->size & ~7ULL))
		return dev;
	dev = bus_find(&vcpu->vm->bus, gpa, len);
	if (!dev)
		return NULL;
	vcpu->recent[place] = dev;
	if (dev->hot_load)
		vcpu->hot[place] = dev;
	return dev;
}

static int load_or_store(struct vcpu *vcpu, struct device *dev, gpa_t gpa,
			 const struct insn_access *access)
{
	uint64_t off = gpa - dev->base;
	uint64_t value = 0;
	int err;

	if (access->write)
		return dev->ops->write(dev, off, access->len, insn_store_value(vcpu, access));
	err = dev->ops->read(dev, off, access->len, &value);
	if (!err)
		insn_load_result(vcpu, access, value);
	return err;
}

static int access_device(struct vcpu *vcpu, struct vcpu_trap *trap,
			 const struct insn_access *access)
{
	struct device *dev = find_device(vcpu, trap->gpa, access->len);
	int err = dev ? load_or_store(vcpu, dev, trap->gpa, access) : -ENXIO;

	if (err == -EAGAIN) /* the device asks to be tried again, so that nobody has to block */
		return VCPU_RESUME_SAME;
	if (err)
		return refuse_access(vcpu, trap, access->write ? "bad write" : "bad read");
	return VCPU_RESUME_NEXT;
}

/*
 * Stage 2 has no entry: RAM that is mapped lazily, a device, or nothing. The fault of an implicit access
 * (to a VS-stage page table) has a pseudoinstruction, a fetch has none, and neither decodes.
 */
static int exit_guest_page_fault(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	struct insn_access access;

	if (memory_at(&vcpu->vm->mem, trap->gpa, 1)) {
		int err = vm_map_page(vcpu->vm, trap->gpa);

		return err ? err : VCPU_RESUME_SAME;
	}
	if (trap->cause == DV_CAUSE_INST_GUEST_PAGE_FAULT)
		return refuse_access(vcpu, trap, "instruction fetch");
	if (insn_decode(trap->inst, &access))
		return refuse_access(vcpu, trap, "neither load nor store");
	/* The first half was elsewhere: no device can have both. */
	if (access.addr_offset)
		return refuse_access(vcpu, trap, "misaligned access");
	return access_device(vcpu, trap, &access);
}

/* rdtime of a guest without stimecmp, which one bit of hucounteren refuses together with time. False: it is none. */
static bool read_time(struct vcpu *vcpu, const struct vcpu_trap *trap)
{
	unsigned int rd = (trap->tval & INSN_RD_MASK) >> INSN_RD_SHIFT;

	if (!vcpu->vm->config->no_sstc ||
	    (trap->tval & ~(uint64_t)(INSN_RDTIME_FORMS | INSN_RD_MASK)) != INSN_RDTIME)
		return false;
	/* What the guest's kernel lets its processes read is its own affair. */
	if (!(trap->status & HUSTATUS_SPVP) && !(hart_read_huvscounteren() & COUNTEREN_TM))
		return false;
	if (rd)
		vcpu->gpr[rd] = vcpu_guest_time();
	return true;
}

static int exit_virtual_instruction(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	/* In VU-mode it is an illegal instruction, as in U-mode of a hart without the H extension. */
	if (trap->tval == INSN_WFI && trap->status & HUSTATUS_SPVP) {
		vcpu_wait_for_interrupt(vcpu);
		return VCPU_RESUME_NEXT;
	}
	if (read_time(vcpu, trap))
		return VCPU_RESUME_NEXT;
	/* What a hart without the H extension would do; tval holds the instruction already. */
	trap->cause = DV_CAUSE_ILLEGAL_INST;
	return VCPU_INJECT;
}

/* A message has been stored, for a vCPU that is asleep. */
static int exit_message(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	if (trap->tval >= vcpu->vm->vcpu_count)
		return -EFAULT;
	vcpu_kick(vcpu->vm->vcpu[trap->tval], VCPU_REQ_EXT_IRQ);
	return VCPU_RESUME_SAME;
}

static exit_fn *const exit_table[] = {
	[DV_CAUSE_INST_MISALIGNED] = exit_reflect,
	[CAUSE_INST_ACCESS] = exit_reflect,
	[DV_CAUSE_ILLEGAL_INST] = exit_reflect,
	[DV_CAUSE_BREAKPOINT] = exit_reflect,
	[DV_CAUSE_LOAD_MISALIGNED] = exit_reflect,
	[CAUSE_LOAD_ACCESS] = exit_reflect,
	[DV_CAUSE_STORE_MISALIGNED] = exit_reflect,
	[CAUSE_STORE_ACCESS] = exit_reflect,
	[DV_CAUSE_VU_ECALL] = exit_reflect,
	[DV_CAUSE_VS_ECALL] = sbi_ecall,
	[DV_CAUSE_INST_PAGE_FAULT] = exit_reflect,
	[DV_CAUSE_LOAD_PAGE_FAULT] = exit_reflect,
	[DV_CAUSE_STORE_PAGE_FAULT] = exit_reflect,
	[DV_CAUSE_SOFTWARE_CHECK] = exit_reflect,
	[DV_CAUSE_INST_GUEST_PAGE_FAULT] = exit_guest_page_fault,
	[DV_CAUSE_LOAD_GUEST_PAGE_FAULT] = exit_guest_page_fault,
	[DV_CAUSE_VIRTUAL_INST] = exit_virtual_instruction,
	[DV_CAUSE_STORE_GUEST_PAGE_FAULT] = exit_guest_page_fault,
	[DV_CAUSE_HOST_INTERRUPT] = exit_nothing,
	[DV_CAUSE_HOST_FAULT] = exit_nothing,
	[DV_CAUSE_DOORBELL] = exit_nothing,
	[DV_CAUSE_MESSAGE] = exit_message,
};

int exit_dispatch(struct vcpu *vcpu, struct vcpu_trap *trap)
{
	/* SPV clear: the exit came from our own code (a faulting HLV); we execute none. */
	if (!(trap->status & HUSTATUS_SPV))
		return -EFAULT;
	if (trap->cause >= ARRAY_SIZE(exit_table) || !exit_table[trap->cause])
		return -ENOSYS;
	return exit_table[trap->cause](vcpu, trap);
}
