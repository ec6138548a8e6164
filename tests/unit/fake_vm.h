/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM without devices and kernel, for tests that drive one vCPU by hand on the fake
 * hart. The calling thread plays the vCPU's.
 */
#ifndef TESTS_FAKE_VM_H
#define TESTS_FAKE_VM_H

#include "unit.h"

#include <string.h>

#include "hart_fake.h"
#include "vcpu.h"
#include "vm.h"

#define FAKE_RAM (4ULL << 20)
#define FAKE_FREQUENCY 10000000

struct fake_vm {
	struct vm_config config;
	struct vm vm;
};

static inline void fake_vm_setup(struct fake_vm *f, unsigned int cpus)
{
	const struct memory_options plain = {0};

	memset(f, 0, sizeof(*f));
	memset(hart_fake(), 0, sizeof(*hart_fake()));
	hart_fake_set_time(0);
	for (unsigned int i = 0; i < HART_FAKE_VCPUS; i++) {
		hart_fake_posted[i] = 0;
		hart_fake_resident[i] = 0;
	}
	f->vm.config = &f->config;
	f->vm.isa.timebase_frequency = FAKE_FREQUENCY;
	f->vm.shim.fd = -1;
	f->vm.stop_fd = -1;
	f->vm.phase = VM_RUNNING;
	f->vm.boots = 1;
	pthread_mutex_init(&f->vm.lock, NULL);
	pthread_mutex_init(&f->vm.gstage_lock, NULL);
	pthread_cond_init(&f->vm.changed, NULL);
	assert_int_equal(memory_create(&f->vm.mem, FAKE_RAM, &plain), 0);
	assert_int_equal(gstage_pool_create(&f->vm.gstage_pool, f->vm.mem.size, GSTAGE_PAGE_SIZE),
			 0);
	assert_int_equal(gstage_create(&f->vm.gstage, 3, &f->vm.gstage_pool.alloc), 0);
	hart_ids_tabulate(&f->config.hart_ids, cpus, f->vm.hart);
	f->vm.console = console_create();
	assert_non_null(f->vm.console);
	for (unsigned int i = 0; i < cpus; i++, f->vm.vcpu_count++)
		assert_int_equal(vcpu_create(&f->vm, i, &f->vm.vcpu[i]), 0);
	f->vm.boot = (struct vm_boot){.entry = MEMORY_BASE, .dtb = MEMORY_BASE + 0x100000};
}

/* Bring hart 0 through its reset, as its thread does first. */
static inline struct vcpu *fake_vm_boot(struct fake_vm *f)
{
	/* Each thread parks first; nobody else is there to be waited for. */
	for (unsigned int i = 0; i < f->vm.vcpu_count; i++)
		vcpu_reset(f->vm.vcpu[i]);
	atomic_fetch_or(&f->vm.vcpu[0]->request, VCPU_REQ_STOP);
	assert_true(vcpu_prepare(f->vm.vcpu[0]));
	return f->vm.vcpu[0];
}

static inline void fake_vm_teardown(struct fake_vm *f)
{
	while (f->vm.vcpu_count)
		vcpu_destroy(f->vm.vcpu[--f->vm.vcpu_count]);
	console_destroy(f->vm.console);
	bus_destroy(&f->vm.bus);
	gstage_destroy(&f->vm.gstage);
	gstage_pool_destroy(&f->vm.gstage_pool);
	memory_destroy(&f->vm.mem);
	pthread_cond_destroy(&f->vm.changed);
	pthread_mutex_destroy(&f->vm.gstage_lock);
	pthread_mutex_destroy(&f->vm.lock);
}

/* The hart reports this exit; it is handled. */
static inline void fake_run_raw(struct vcpu *vcpu, const struct vcpu_trap *trap)
{
	struct hart_fake *hart = hart_fake();

	hart->csr[CSR_HUCAUSE] = trap->cause;
	hart->csr[CSR_HUEPC] = trap->epc;
	hart->csr[CSR_HUTVAL] = trap->tval;
	hart->csr[CSR_HUGPA] = trap->gpa;
	hart->csr[CSR_HUTINST] = trap->inst;
	hart->csr[CSR_HUSTATUS] = trap->status;
	vcpu_handle_exit(vcpu);
}

static inline void fake_run(struct vcpu *vcpu, struct vcpu_trap trap)
{
	trap.status |= HUSTATUS_SPV;
	fake_run_raw(vcpu, &trap);
}

#endif
