/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Supervisor Binary Interface 2.0 (RISC-V SBI specification): one file per extension, one row
 * per extension in sbi.c.
 */
#ifndef DUVISOR_SBI_H
#define DUVISOR_SBI_H

#include <stdbool.h>

#include "types.h"

struct vcpu;
struct vcpu_trap;

/* SBI, table "Standard SBI Errors" */
enum sbi_error {
	SBI_SUCCESS = 0,
	SBI_ERR_FAILED = -1,
	SBI_ERR_NOT_SUPPORTED = -2,
	SBI_ERR_INVALID_PARAM = -3,
	SBI_ERR_DENIED = -4,
	SBI_ERR_INVALID_ADDRESS = -5,
	SBI_ERR_ALREADY_AVAILABLE = -6,
};

struct sbi_call {
	uint64_t eid;
	uint64_t fid;
	const uint64_t *arg; /* a0 to a5, in the vCPU's registers: nobody else changes them */
	/* The answer: for a0 and a1 if the handler returns VCPU_RESUME_NEXT. */
	int64_t error;
	uint64_t value;
};

struct sbi_extension {
	const char *name;
	uint64_t first; /* EIDs */
	uint64_t last;
	bool legacy; /* error goes to a0, and a1 is left alone */
	/* The handler always returns VCPU_RESUME_NEXT and uses no register but a0 to a7. */
	bool fast;
	uint64_t (*probe)(uint64_t eid); /* NULL: all of first .. last are there */
	/*
	 * Serve a call; *call comes with SUCCESS and 0 as the answer. An unknown function is SBI_ERR_NOT_SUPPORTED.
	 * Returns enum vcpu_result; VCPU_RESUME_SAME repeats the call.
	 */
	int (*call)(struct vcpu *vcpu, struct sbi_call *call);
};

extern const struct sbi_extension sbi_base, sbi_time, sbi_ipi, sbi_rfence, sbi_hsm, sbi_srst,
	sbi_dbcn, sbi_legacy;

/* The exit handler of an ecall from VS-mode. */
int sbi_ecall(struct vcpu *vcpu, struct vcpu_trap *trap);

/*
 * The same for a vCPU of which only the caller-saved registers are in vcpu->gpr. False: not for a
 * fast extension, and nothing has been done.
 */
bool sbi_ecall_fast(struct vcpu *vcpu);

/* What sbi_probe_extension says: 0 or not. */
uint64_t sbi_probe(uint64_t eid);

/*
 * Call fn for every hart of a hart mask (SBI, "Hart list parameter"). SBI_ERR_INVALID_PARAM, and
 * nothing is called, if the mask names a hart that does not exist.
 */
typedef void sbi_hart_fn(struct vcpu *caller, struct vcpu *target, const void *arg);
int64_t sbi_for_harts(struct vcpu *vcpu, uint64_t mask, uint64_t base, sbi_hart_fn *fn,
		      const void *arg);

/* What the functions of the base extension answer, for entry.S too. */
extern const uint64_t sbi_base_value[];

/* TIME and the legacy call. */
void sbi_time_set(uint64_t stime);

#endif
