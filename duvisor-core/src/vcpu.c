/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dev/board.h"
#include "dev/imsic_file.h"
#include "exit.h"
#include "hart.h"
#include "insn.h"
#include "sbi.h"
#include "vm.h"

#define NSEC_PER_SEC 1000000000ULL
/* Sleep at most this long in one go, so that no sum below can overflow. */
#define MAX_SLEEP_SEC (365ULL * 24 * 3600)

/* vsstatus, as sstatus (priv spec, "Virtual Supervisor Status Register") */
#define VSSTATUS_SIE (1ULL << 1)
#define VSSTATUS_SPIE (1ULL << 5)
#define VSSTATUS_SPP (1ULL << 8)
#define VSSTATUS_UXL_64 (2ULL << 32)

#define VSIE_TIMER (1ULL << 5)

/* cycle, time, instret */
#define COUNTEREN_BASIC 0x7

/* There is no compressed one. */
#define ECALL_LENGTH 4

/*
 * How often a vCPU that waits for another looks into memory before it asks whether that one is on a hart at all. A post
 * may keep the other hart from its work.
 */
#define LOOKS_PER_POST 256

#define DUMP_SIZE 4096

static _Thread_local struct vcpu *self;

struct vcpu *vcpu_self(void)
{
	return self;
}

int vcpu_create(struct vm *vm, unsigned int index, struct vcpu **vcpu_out)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->hart_id = hart_ids_of(&vm->config->hart_ids, index);
	for (unsigned int i = 0; i < HOT_PLACES; i++)
		vcpu->hot[i] = &hot_nothing;
	vcpu->hsm = VCPU_HSM_STOPPED;
	/* The first thing that the thread does is to park. */
	vcpu->request = VCPU_REQ_STOP;
	*vcpu_out = vcpu;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	free(vcpu);
}

/*
 * Sleep and wake. A sleeper announces itself in `sleeping`, then lets the kernel compare request with zero;
 * a waker sets request, then looks at `sleeping`. All four are sequentially consistent, so at least
 * one of them sees the other. The answer of hupost is no help here: a vCPU that is in the
 * kernel on its way to sleep is still resident.
 */

static void futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *until)
{
	/* FUTEX_WAIT_BITSET takes an absolute time; any return is good enough. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, until, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

static void wake(struct vcpu *vcpu)
{
	atomic_store_explicit(&vcpu->woken_at, hart_time(), memory_order_relaxed);
	futex_wake(&vcpu->request);
}

void vcpu_kick(struct vcpu *vcpu, uint32_t bits)
{
	atomic_fetch_or(&vcpu->request, bits);
	if (vcpu == self)
		return; /* looks before it enters */
	if (atomic_load(&vcpu->sleeping))
		wake(vcpu);
	else
		hart_post(vcpu->index, HUPOST_DOORBELL);
}

void vcpu_sync_ext_irq(const struct vcpu *vcpu)
{
	/* In this order: who posts between the two has changed what is looked at before, and is seen by the second. */
	hart_clear_huvip(HUVIP_VSEIP);
	atomic_thread_fence(memory_order_seq_cst);
	if (vcpu->imsic ? imsic_file_output(vcpu->imsic) : atomic_load(&vcpu->ext_irq) != 0)
		hart_set_huvip(HUVIP_VSEIP);
}

/*
 * A post is enough for a vCPU that runs. One that is about to sleep may have looked at huvip already;
 * it set `sleeping` before it looked, so we see that after the post.
 */
static void post_or_kick(struct vcpu *vcpu, unsigned int post, uint32_t request)
{
	if (hart_post(vcpu->index, post) && !atomic_load(&vcpu->sleeping))
		return;
	vcpu_kick(vcpu, request);
}

void vcpu_set_ext_irq(struct vcpu *vcpu, bool level)
{
	if (atomic_exchange(&vcpu->ext_irq, level) == level)
		return;
	if (vcpu == self)
		vcpu_sync_ext_irq(vcpu);
	else if (level)
		post_or_kick(vcpu, HUVIP_VSEIP, VCPU_REQ_EXT_IRQ);
	else
		vcpu_kick(vcpu, VCPU_REQ_EXT_IRQ);
}

void vcpu_send_ipi(struct vcpu *vcpu)
{
	post_or_kick(vcpu, HUVIP_VSSIP, VCPU_REQ_SOFT_IRQ);
}

void vcpu_send_ext_irq(struct vcpu *vcpu)
{
	post_or_kick(vcpu, HUVIP_VSEIP, VCPU_REQ_EXT_IRQ);
}

uint64_t vcpu_guest_time(void)
{
	return hart_time() + hart_read_hutimedelta();
}

/* What ends a WFI (priv spec, "Wait for Interrupt"). */
bool vcpu_interrupt_pending(void)
{
	uint64_t enabled = hart_read_huvsie();

	/* vsie has the S-level bit positions, huvip those of the VS level: one to the left. */
	if (hart_read_huvip() >> 1 & enabled)
		return true;
	return enabled & VSIE_TIMER && vcpu_guest_time() >= hart_read_huvstimecmp();
}

static void add_ticks(struct timespec *at, uint64_t ticks, uint64_t frequency)
{
	/* Rounded up: to wake early would only mean to sleep again. */
	uint64_t nsec = (ticks % frequency * NSEC_PER_SEC + frequency - 1) / frequency;

	nsec += (uint64_t)at->tv_nsec;
	at->tv_sec += (time_t)(ticks / frequency + nsec / NSEC_PER_SEC);
	at->tv_nsec = (long)(nsec % NSEC_PER_SEC);
}

/* When the guest's timer will interrupt it, on the host's monotonic clock. False: never. */
static bool timer_deadline(const struct vcpu *vcpu, struct timespec *at)
{
	uint64_t frequency = vcpu->vm->isa.timebase_frequency;
	uint64_t due = hart_read_huvstimecmp();
	uint64_t now = vcpu_guest_time();
	uint64_t ticks = due > now ? due - now : 0;

	if (!(hart_read_huvsie() & VSIE_TIMER) || ticks / frequency > MAX_SLEEP_SEC)
		return false;
	clock_gettime(CLOCK_MONOTONIC, at);
	add_ticks(at, ticks, frequency);
	return true;
}

static void set_sleeping(struct vcpu *vcpu, uint32_t value)
{
	atomic_store(&vcpu->sleeping, value);
	if (vcpu->imsic)
		atomic_store(&vcpu->imsic->notify, value);
	/* Whatever comes next is a look for work: a plain load or a CSR, which the store alone does not order. */
	atomic_thread_fence(memory_order_seq_cst);
}

static void learn_wake_up(struct vcpu *vcpu)
{
	uint64_t woken_at = atomic_load_explicit(&vcpu->woken_at, memory_order_relaxed);

	if (woken_at)
		idle_woken(vcpu, hart_time() - woken_at);
}

static void sleep_until_interrupt(struct vcpu *vcpu)
{
	struct timespec at;
	bool timed;

	set_sleeping(vcpu, 1);
	/* While the vCPU was on no hart, messages went to its interrupt file and nowhere else. */
	if (vcpu->imsic)
		vcpu_sync_ext_irq(vcpu);
	if (!vcpu_interrupt_pending()) {
		timed = timer_deadline(vcpu, &at);
		atomic_store_explicit(&vcpu->woken_at, 0, memory_order_relaxed);
		futex_wait(&vcpu->request, 0, timed ? &at : NULL);
		learn_wake_up(vcpu);
	}
	set_sleeping(vcpu, 0);
}

void vcpu_wait_for_interrupt(struct vcpu *vcpu)
{
	uint64_t start;

	if (vcpu->vm->config->idle != IDLE_POLL) {
		sleep_until_interrupt(vcpu);
		return;
	}
	start = hart_time();
	if (!idle_poll(vcpu))
		sleep_until_interrupt(vcpu);
	idle_learn(vcpu, start);
}

/* Nothing but a request can wake a stopped hart. */
static void wait_for_request(struct vcpu *vcpu)
{
	set_sleeping(vcpu, 1);
	futex_wait(&vcpu->request, 0, NULL);
	set_sleeping(vcpu, 0);
}

void vcpu_set_start_state(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[REG_A0] = vcpu->hart_id;
	vcpu->gpr[REG_A1] = opaque;

	hart_write_huvsstatus(VSSTATUS_UXL_64);
	hart_write_huvsie(0);
	hart_write_huvstvec(0);
	/* As firmware leaves it: an operating system without a PMU driver never sets it. */
	hart_write_huvscounteren(COUNTEREN_BASIC);
	hart_write_huvsenvcfg(0);
	hart_write_huvsscratch(0);
	hart_write_huvsepc(0);
	hart_write_huvscause(0);
	hart_write_huvstval(0);
	hart_write_huvstimecmp(UINT64_MAX);
	hart_write_huvsatp(0);
	hart_write_huvip(0);
	if (vcpu->imsic)
		hart_write_huvsiselect(0);
	vcpu_sync_ext_irq(vcpu);

	hart_write_hustatus(HUSTATUS_SPV | HUSTATUS_SPVP |
			    (vcpu->vm->config->idle == IDLE_NATIVE ? 0 : HUSTATUS_VTW));
	hart_write_huepc(pc);
	hart_fence_vs_all();
}

void vcpu_resume_suspended(struct vcpu *vcpu, uint64_t pc, uint64_t opaque)
{
	uint64_t pending = hart_read_huvip();
	uint64_t due = hart_read_huvstimecmp();

	vcpu_set_start_state(vcpu, pc, opaque);
	/* What woke the hart must still be there when it enables interrupts again. */
	hart_set_huvip(pending & HUVIP_VSSIP);
	hart_write_huvstimecmp(due);
}

void vcpu_reset(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	bool first = vcpu->index == 0;

	/* Hart 0 is started as another hart would start it. */
	vcpu->start_pc = vm->boot.entry;
	vcpu->start_opaque = vm->boot.dtb;
	atomic_store(&vcpu->hsm, first ? VCPU_HSM_START_PENDING : VCPU_HSM_STOPPED);
	atomic_store(&vcpu->request, first ? VCPU_REQ_START : 0);
}

/* What the vCPU's own hart needs once per boot. */
static void reset_hart(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;

	hart_write_huedeleg(HUEDELEG_MASK);
	/* Without stimecmp there is no time either: it exits. */
	hart_write_hucounteren(COUNTEREN_BASIC & ~(vm->config->no_sstc ? COUNTEREN_TM : 0U));
	hart_write_hutimedelta(vm->time_delta);
	hart_write_hugatp(gstage_hugatp(&vm->gstage));
	hart_fence_stage2();
	hart_fence_i();
	if (vcpu->imsic) {
		hart_write_hufilegpa(BOARD_IMSIC_BASE);
		hart_write_hufiles((uintptr_t)vm->vcpu[0]->imsic | vm->vcpu_count);
	}
	vcpu->boot = vm->boots;
}

static bool park(struct vcpu *vcpu)
{
	if (!vm_park(vcpu->vm))
		return false;
	if (vcpu->boot != vcpu->vm->boots)
		reset_hart(vcpu);
	return true;
}

void vcpu_fence_post(struct vcpu *vcpu, const struct fence *fence)
{
	fence_post(&vcpu->fences, fence);
	vcpu_kick(vcpu, VCPU_REQ_FENCE);
}

/*
 * The target clears its request bit outside the guest and fences before it enters again, so a clear bit
 * is enough. A sleeper looks before it enters; one that is not resident finds its doorbell rung
 * when it comes back (docs/isa.md, section 8). Meanwhile the target may be waiting for us just like this.
 */
void vcpu_fence_wait(struct vcpu *vcpu, const struct vcpu *target)
{
	for (unsigned int looks = 1; atomic_load(&target->request) & VCPU_REQ_FENCE; looks++) {
		if (atomic_load(&target->sleeping))
			return;
		if (looks % LOOKS_PER_POST == 0 && !hart_post(target->index, 0))
			return;
		if (atomic_load(&vcpu->request) & VCPU_REQ_FENCE) {
			atomic_fetch_and(&vcpu->request, ~(uint32_t)VCPU_REQ_FENCE);
			fence_take(&vcpu->fences);
		}
	}
}

static void serve(struct vcpu *vcpu, uint32_t requests)
{
	if (requests & VCPU_REQ_EXT_IRQ)
		vcpu_sync_ext_irq(vcpu);
	if (requests & VCPU_REQ_SOFT_IRQ)
		hart_set_huvip(HUVIP_VSSIP);
	if (requests & VCPU_REQ_FENCE)
		fence_take(&vcpu->fences);
	if (requests & VCPU_REQ_START) {
		vcpu_set_start_state(vcpu, vcpu->start_pc, vcpu->start_opaque);
		atomic_store(&vcpu->hsm, VCPU_HSM_STARTED);
	}
}

bool vcpu_prepare(struct vcpu *vcpu)
{
	for (;;) {
		uint32_t requests = atomic_load(&vcpu->request);

		if (requests)
			requests = atomic_exchange(&vcpu->request, 0);
		if (requests & VCPU_REQ_STOP) {
			/* If the VM goes on after all, the rest is still to be served. */
			atomic_fetch_or(&vcpu->request, requests & ~(uint32_t)VCPU_REQ_STOP);
			if (!park(vcpu))
				return false;
			continue;
		}
		serve(vcpu, requests);
		if (atomic_load(&vcpu->hsm) == VCPU_HSM_STARTED)
			return true;
		wait_for_request(vcpu);
	}
}

void vcpu_inject(struct vcpu *vcpu, const struct vcpu_trap *trap)
{
	uint64_t status = hart_read_huvsstatus();
	uint64_t entered = status & ~(VSSTATUS_SPP | VSSTATUS_SPIE | VSSTATUS_SIE);

	(void)vcpu;
	if (trap->status & HUSTATUS_SPVP)
		entered |= VSSTATUS_SPP;
	if (status & VSSTATUS_SIE)
		entered |= VSSTATUS_SPIE;
	hart_write_huvsstatus(entered);
	hart_write_huvsepc(trap->epc);
	hart_write_huvscause(trap->cause);
	hart_write_huvstval(trap->tval);
	/* Exceptions go to BASE in direct and in vectored mode. */
	hart_write_huepc(hart_read_huvstvec() & ~3ULL);
	hart_write_hustatus(trap->status | HUSTATUS_SPVP);
}

static unsigned int instruction_length(const struct vcpu_trap *trap)
{
	switch (trap->cause) {
	case DV_CAUSE_LOAD_GUEST_PAGE_FAULT:
	case DV_CAUSE_STORE_GUEST_PAGE_FAULT:
		return insn_length(trap->inst);
	default:
		return ECALL_LENGTH; /* and that of wfi */
	}
}

static void read_trap(struct vcpu_trap *trap)
{
	trap->cause = hart_read_hucause();
	trap->epc = hart_read_huepc();
	trap->tval = hart_read_hutval();
	trap->gpa = hart_read_hugpa();
	trap->inst = hart_read_hutinst();
	trap->status = hart_read_hustatus();
}

static void crash(struct vcpu *vcpu, const struct vcpu_trap *trap, int err)
{
	log_error("hart %u: exit with cause %" PRIu64 " cannot be handled: %s", vcpu->hart_id,
		  trap->cause, strerror(-err));
	vcpu_dump(vcpu, trap);
	vm_request_stop(vcpu->vm, VM_STOP_CRASH, 0);
}

/* The only place where the guest's pc moves on. */
static void advance(uint64_t epc, unsigned int length)
{
	hart_write_huepc(epc + length);
}

void vcpu_handle_exit(struct vcpu *vcpu)
{
	struct vcpu_trap trap;
	unsigned int length;
	int result;

	read_trap(&trap);
	length = instruction_length(&trap);
	result = exit_dispatch(vcpu, &trap);
	switch (result) {
	case VCPU_RESUME_NEXT:
		advance(trap.epc, length);
		break;
	case VCPU_INJECT:
		vcpu_inject(vcpu, &trap);
		break;
	case VCPU_RESUME_SAME:
	case VCPU_RESUME_AT:
	case VCPU_STOP:
		break;
	default:
		crash(vcpu, &trap, result);
	}
}

struct vcpu *vcpu_resume(struct vcpu *vcpu)
{
	return vcpu_prepare(vcpu) ? vcpu : NULL;
}

struct vcpu *vcpu_exit(struct vcpu *vcpu)
{
	vcpu_handle_exit(vcpu);
	/* Mostly nobody wants anything; who does so after this look rings (hart_exit in entry.S). */
	if (!atomic_load_explicit(&vcpu->request, memory_order_relaxed) &&
	    atomic_load_explicit(&vcpu->hsm, memory_order_relaxed) == VCPU_HSM_STARTED)
		return vcpu;
	return vcpu_resume(vcpu);
}

bool vcpu_exit_fast(struct vcpu *vcpu)
{
	if (!sbi_ecall_fast(vcpu))
		return false;
	advance(hart_read_huepc(), ECALL_LENGTH);
	return true;
}

/*
 * At hutvec sp is the guest's, so no signal may ever be delivered to this thread. The C library keeps some
 * for itself and would not block them, hence the bare system call.
 */
static void block_all_signals(void)
{
	uint64_t all = ~0ULL;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

/* Put the thread where the user wants it, and name it for ps. 0 or -errno. */
static int place_thread(const struct vcpu *vcpu)
{
	const cpu_set_t *cpus = &vcpu->vm->config->affinity.cpus[vcpu->index];
	char name[16];

	snprintf(name, sizeof(name), "vcpu-%u", vcpu->index);
	prctl(PR_SET_NAME, name);
	if (CPU_COUNT(cpus) && sched_setaffinity(0, sizeof(*cpus), cpus))
		return -errno;
	return 0;
}

static void *thread_main(void *arg)
{
	struct vcpu *vcpu = arg;
	int err;

	block_all_signals();
	prctl(PR_SET_TIMERSLACK, 1UL);
	err = place_thread(vcpu);
	if (!err)
		err = shim_attach(&vcpu->vm->shim, vcpu->index);
	if (err) {
		log_error("cannot make a thread vCPU %u: %s", vcpu->index, strerror(-err));
		vm_vcpu_failed(vcpu->vm);
		return NULL;
	}
	self = vcpu;
	hart_init();
	if (vcpu_prepare(vcpu))
		hart_run(vcpu);
	self = NULL;
	shim_detach(&vcpu->vm->shim);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	return -pthread_create(&vcpu->thread, NULL, thread_main, vcpu);
}

void vcpu_join(struct vcpu *vcpu)
{
	pthread_join(vcpu->thread, NULL);
}

static const char *const gpr_name[32] = {
	"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
	"a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
	"s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

void vcpu_dump(const struct vcpu *vcpu, const struct vcpu_trap *trap)
{
	char text[DUMP_SIZE];
	FILE *out = fmemopen(text, sizeof(text), "w");

	if (!out)
		return;
	fprintf(out, "hart %u\n", vcpu->hart_id);
	for (unsigned int i = 1; i < ARRAY_SIZE(gpr_name); i++)
		fprintf(out, "%6s %016" PRIx64 "%s", gpr_name[i], vcpu->gpr[i], i % 4 ? "" : "\n");
	fprintf(out,
		"\n exit: cause %" PRIu64 " pc %016" PRIx64 " tval %016" PRIx64 " gpa %" PRIx64,
		trap->cause, trap->epc, trap->tval, trap->gpa);
	fprintf(out, " inst %" PRIx64 " hustatus %" PRIx64 "\n", trap->inst, trap->status);
	fprintf(out, " vsstatus %" PRIx64 " vstvec %" PRIx64 " vsepc %" PRIx64 " vscause %" PRIx64,
		hart_read_huvsstatus(), hart_read_huvstvec(), hart_read_huvsepc(),
		hart_read_huvscause());
	fprintf(out, " vstval %" PRIx64 " vsatp %" PRIx64 " vsie %" PRIx64 " hvip %" PRIx64 "\n",
		hart_read_huvstval(), hart_read_huvsatp(), hart_read_huvsie(), hart_read_huvip());
	fclose(out);
	fputs(text, stderr);
}
