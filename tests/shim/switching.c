/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the module does at each context switch: state follows its thread and nobody else. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shimtest.h"

/* The registers that hold any value, with the bits that stick. */
#define PLAIN_CSRS(X)                                                                              \
	X(CSR_HUVSTVEC, ~3UL)                                                                      \
	X(CSR_HUVSSCRATCH, ~0UL)                                                                   \
	X(CSR_HUVSEPC, ~1UL)                                                                       \
	X(CSR_HUVSTVAL, ~0UL)                                                                      \
	X(CSR_HUVSTIMECMP, ~0UL)                                                                   \
	X(CSR_HUVSCOUNTEREN, 7UL)                                                                  \
	X(CSR_HUSTATUS,                                                                            \
	  HUSTATUS_GVA | HUSTATUS_SPV | HUSTATUS_SPVP | HUSTATUS_VTVM | HUSTATUS_VTW |             \
		  HUSTATUS_VTSR)                                                                   \
	X(CSR_HUEDELEG, (uint64_t)HUEDELEG_MASK)                                                   \
	X(CSR_HUTVEC, ~3UL)                                                                        \
	X(CSR_HUSCRATCH, ~0UL)                                                                     \
	X(CSR_HUEPC, ~1UL)                                                                         \
	X(CSR_HUTVAL, ~0UL)                                                                        \
	X(CSR_HUGPA, ~0UL)                                                                         \
	X(CSR_HUTINST, ~0UL)                                                                       \
	X(CSR_HUTIMEDELTA, ~0UL)                                                                   \
	X(CSR_HUCOUNTEREN, 7UL)

/* Those that only a host with AIA has. */
#define AIA_CSRS(X)                                                                                \
	X(CSR_HUVSISELECT, 0x1ffUL)                                                                \
	X(CSR_HUFILES, ~0xfc0UL)                                                                   \
	X(CSR_HUFILEGPA, HUFILEGPA_MASK)

static bool has_aia(void)
{
	static _Atomic int answer = -1;
	struct duvisor_info info = {0};
	int fd;

	if (answer < 0) {
		fd = vm_open();
		CHECK_EQ(ioctl(fd, DUVISOR_GET_INFO, &info), 0);
		close(fd);
		answer = !!(info.features & DUVISOR_FEATURE_AIA);
	}
	return answer;
}

/* And those with rules of their own: by a value that each can hold. */
static void write_all(uint64_t seed)
{
#define X(csr, mask) CSR_WRITE(csr, (seed * 0x9e3779b97f4a7c15 + (csr)) & (mask));
	PLAIN_CSRS(X)
	if (has_aia()) {
		AIA_CSRS(X)
	}
#undef X
	CSR_WRITE(CSR_HUVSSTATUS,
		  0x200000000 | (seed & 1 ? 0x2 : 0x100) | (seed & 2 ? 0x40000 : 0));
	CSR_WRITE(CSR_HUVSIE, seed & 1 ? 0x202 : 0x020);
	CSR_WRITE(CSR_HUVIP, seed & 2 ? HUVIP_VSSIP : HUVIP_VSEIP);
	CSR_WRITE(CSR_HUVSCAUSE, seed & 1 ? 13 : 15);
	CSR_WRITE(CSR_HUCAUSE, seed & 1 ? 21 : 10);
	CSR_WRITE(CSR_HUGATP, 8UL << 60 | (seed << 2 & 0xffffffffff));
	CSR_WRITE(CSR_HUVSATP, 8UL << 60 | (seed & 0xffff) << 44 | (seed & 0xfffff));
}

static void check_all(uint64_t seed)
{
#define X(csr, mask) CHECK_EQ(CSR_READ(csr), (seed * 0x9e3779b97f4a7c15 + (csr)) & (mask));
	PLAIN_CSRS(X)
	if (has_aia()) {
		AIA_CSRS(X)
	}
#undef X
	CHECK_EQ(CSR_READ(CSR_HUVSSTATUS) & 0x200040102,
		 0x200000000 | (seed & 1 ? 0x2 : 0x100) | (seed & 2 ? 0x40000 : 0));
	CHECK_EQ(CSR_READ(CSR_HUVSIE), seed & 1 ? 0x202 : 0x020);
	CHECK_EQ(CSR_READ(CSR_HUVIP) & (HUVIP_VSSIP | HUVIP_VSEIP),
		 seed & 2 ? HUVIP_VSSIP : HUVIP_VSEIP);
	CHECK_EQ(CSR_READ(CSR_HUVSCAUSE), seed & 1 ? 13 : 15);
	CHECK_EQ(CSR_READ(CSR_HUCAUSE), seed & 1 ? 21 : 10);
	CHECK_EQ(CSR_READ(CSR_HUGATP), 8UL << 60 | (seed << 2 & 0xffffffffff));
	CHECK_EQ(CSR_READ(CSR_HUVSATP), 8UL << 60 | (seed & 0xffff) << 44 | (seed & 0xfffff));
}

struct owner {
	int fd;
	unsigned int index;
	int cpu;
	uint64_t seed;
	unsigned int rounds;
	long switches;
	pthread_barrier_t *begin;
};

static void *own_registers(void *arg)
{
	struct owner *owner = arg;
	struct rusage usage;

	pin(owner->cpu);
	CHECK_EQ(vm_attach(owner->fd, owner->index), 0);
	/* Who is alone on the CPU has nobody to yield to. */
	pthread_barrier_wait(owner->begin);
	for (unsigned int i = 0; i < owner->rounds; i++) {
		write_all(owner->seed + i);
		sched_yield();
		check_all(owner->seed + i);
	}
	CHECK(!getrusage(RUSAGE_THREAD, &usage));
	owner->switches = usage.ru_nvcsw + usage.ru_nivcsw;
	return NULL;
}

static void owners_on_one_cpu(int fd0, int fd1, int fd2)
{
	pthread_barrier_t begin;
	struct owner owners[] = {
		{.fd = fd0, .index = 0, .seed = 0x1000, .rounds = 2000, .begin = &begin},
		{.fd = fd1, .index = 1, .seed = 0x2001, .rounds = 2000, .begin = &begin},
		{.fd = fd2,
		 .index = DUVISOR_INDEX_NONE,
		 .seed = 0x3002,
		 .rounds = 2000,
		 .begin = &begin},
	};
	pthread_t threads[3];

	CHECK(!pthread_barrier_init(&begin, NULL, 3));
	for (int i = 0; i < 3; i++)
		threads[i] = start(own_registers, &owners[i]);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CHECK(owners[i].switches > 1000);
	}
}

TEST(registers_of_one_vm_stay_apart)
{
	int fd = vm_open();

	owners_on_one_cpu(fd, fd, fd);
}

TEST(registers_of_many_vms_stay_apart)
{
	owners_on_one_cpu(vm_open(), vm_open(), vm_open());
}

TEST(registers_follow_their_thread_to_other_cpus)
{
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	for (int i = 0; i < 200; i++) {
		write_all((uint64_t)i);
		pin(i & 1);
		check_all((uint64_t)i);
		sleep_ms(i % 3 == 0);
		check_all((uint64_t)i);
	}
}

TEST(registers_are_zero_for_a_new_vcpu_after_others)
{
	int fd = vm_open();

	pin(0);
	owners_on_one_cpu(fd, fd, fd);
	CHECK_EQ(vm_attach(fd, 0), 0);
#define X(csr, mask) CHECK_EQ(CSR_READ(csr), (csr) == CSR_HUVSTIMECMP ? (mask) : 0);
	PLAIN_CSRS(X)
#undef X
	CHECK_EQ(CSR_READ(CSR_HUVIP) & (HUVIP_VSSIP | HUVIP_VSEIP), 0);
	CHECK_EQ(CSR_READ(CSR_HUVSIE), 0);
	CHECK_EQ(CSR_READ(CSR_HUGATP), 0);
	CHECK_EQ(CSR_READ(CSR_HUVSATP), 0);
#define X(csr, mask) CHECK_EQ(CSR_READ(csr), 0);
	if (has_aia()) {
		AIA_CSRS(X)
	}
#undef X
}

#define CSRR_ZERO(number) (0x2073U | (uint32_t)(number) << 20)

static bool is_xdv_user_csr(unsigned int csr, bool aia)
{
	static const uint16_t list[] = {CSR_HUVSSTATUS,    CSR_HUVSIE,      CSR_HUVSTVEC,
					CSR_HUVSCOUNTEREN, CSR_HUVSENVCFG,  CSR_HUVSSCRATCH,
					CSR_HUVSEPC,       CSR_HUVSCAUSE,   CSR_HUVSTVAL,
					CSR_HUVSTIMECMP,   CSR_HUVSATP,     CSR_HUSTATUS,
					CSR_HUEDELEG,      CSR_HUTVEC,      CSR_HUSCRATCH,
					CSR_HUEPC,         CSR_HUCAUSE,     CSR_HUTVAL,
					CSR_HUGPA,         CSR_HUTINST,     CSR_HUGATP,
					CSR_HUTIMEDELTA,   CSR_HUCOUNTEREN, CSR_HUVIP,
					CSR_HUDOORBELL};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == csr)
			return true;
#define X(number, mask) || csr == (number)
	return aia && (false AIA_CSRS(X));
#undef X
}

static void *see_nothing(void *unused)
{
	(void)unused;
	pin(0);
	for (unsigned int csr = 0; csr < 4096; csr++)
		CHECK(!is_xdv_user_csr(csr, true) || insn_is_illegal(CSRR_ZERO(csr)));
	return NULL;
}

TEST(registers_are_invisible_to_others_on_the_hart)
{
	pin(0);
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	/* This thread and one that is no member take turns. */
	pthread_join(start(see_nothing, NULL), NULL);
	CHECK(is_member());
}

TEST(member_gains_exactly_the_user_registers)
{
	static bool plain[4096];
	bool aia = has_aia();

	for (unsigned int csr = 0; csr < 4096; csr++)
		plain[csr] = !insn_is_illegal(CSRR_ZERO(csr));
	CHECK(plain[0xc01] && plain[0x001]); /* time, fflags */
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	for (unsigned int csr = 0; csr < 4096; csr++) {
		bool readable = !insn_is_illegal(CSRR_ZERO(csr));

		if (readable != (plain[csr] || is_xdv_user_csr(csr, aia)))
			fail(__FILE__, __LINE__, "CSR %#x: %d", csr, readable);
	}
}

/* --- guests that compete --- */

struct competitor {
	struct guest *guest;
	uint64_t multiplier;
	unsigned int rounds, index;
	int fd;
};

static void *compete(void *arg)
{
	struct competitor *self = arg;
	struct guest *guest = self->guest;

	pin(0);
	CHECK_EQ(vm_attach(self->fd, self->index), 0);
	guest_load_vcpu(guest, GUEST_BASE);
	CSR_WRITE(CSR_HUVSSCRATCH, self->multiplier);
	for (; !finished(); self->rounds++) {
		guest->frame.gpr[A0] = 50000;
		guest->frame.gpr[A1] = self->multiplier;
		guest->frame.gpr[A2] = self->rounds;
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A2], compute(50000, self->multiplier, self->rounds));
		CHECK_EQ(guest->frame.gpr[A3], self->multiplier);
	}
	CHECK(self->rounds > 5);
	CHECK(guest->host_interrupts > 5);
	/* Each time that the vCPU comes back, the doorbell says so. */
	CHECK(guest->doorbells > 0);
	return NULL;
}

static void competition(bool one_vm)
{
	struct competitor all[4] = {0};
	pthread_t threads[4];
	int fd = vm_open();

	finish_in(1000);
	for (unsigned int i = 0; i < 4; i++) {
		all[i].guest = guest_new(guest_compute);
		all[i].multiplier = 5 + 8 * i;
		all[i].index = i;
		all[i].fd = one_vm ? fd : vm_open();
		threads[i] = start(compete, &all[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

TEST(guests_of_one_vm_share_a_hart)
{
	competition(true);
}

TEST(guests_of_many_vms_share_a_hart)
{
	competition(false);
}

/* One guest-physical address, another page for each vCPU: what the hart cached for one is not for the other. */
static void *load_own_page(void *arg)
{
	struct competitor *self = arg;
	struct guest *guest = self->guest;

	pin(0);
	CHECK_EQ(vm_attach(self->fd, self->index), 0);
	guest_load_vcpu(guest, GUEST_BASE);
	*(uint64_t *)(void *)(guest->memory + 0x1000) = self->multiplier;
	guest->frame.gpr[A2] = GUEST_BASE + 0x1000;
	for (int i = 0; i < 2000; i++) {
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A3], self->multiplier);
		sched_yield();
	}
	return NULL;
}

TEST(translations_of_one_vm_stay_apart)
{
	struct competitor all[2] = {0};
	pthread_t threads[2];
	int fd = vm_open();

	for (unsigned int i = 0; i < 2; i++) {
		all[i].guest = guest_new(guest_load);
		all[i].multiplier = 77 + i;
		all[i].index = i;
		all[i].fd = fd;
		threads[i] = start(load_own_page, &all[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* --- interrupts and posts --- */

TEST(pending_interrupts_wait_with_their_vcpu)
{
	struct guest *guest = guest_new(guest_timer);

	guest_boot(guest);
	CSR_WRITE(CSR_HUVSTVEC, GUEST_BASE + 48);
	CSR_WRITE(CSR_HUVSSTATUS, 0x200000002);
	CSR_WRITE(CSR_HUVSIE, 0x222);
	CSR_WRITE(CSR_HUVIP, HUVIP_VSSIP);
	CSR_WRITE(CSR_HUVSTIMECMP, 0); /* long past: pends, too */
	/* The host sleeps, others run: none of these is theirs. */
	for (int i = 0; i < 50; i++)
		sleep_ms(2);
	CHECK(CSR_READ(CSR_HUVIP) & HUVIP_VSSIP);
	CHECK_EQ(CSR_READ(CSR_HUVSTIMECMP), 0);
	CSR_WRITE(CSR_HUEPC, GUEST_BASE + 36);
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A0], 1UL << 63 | 1);
}

struct target {
	int fd, cpu;
	unsigned int index;
	volatile bool ready, sleep, stop;
	volatile uint64_t request, done;
};

static void *be_target(void *arg)
{
	struct target *target = arg;

	pin(target->cpu);
	CHECK_EQ(vm_attach(target->fd, target->index), 0);
	CHECK_EQ(CSR_READ(CSR_HUDOORBELL), 1);
	CSR_WRITE(CSR_HUDOORBELL, 0);
	target->ready = true;
	while (target->sleep && !target->stop) {
		sleep_ms(1);
		/* Whoever posted meanwhile is not missed: the module rings at each return. */
		target->done += CSR_READ(CSR_HUDOORBELL);
		CSR_WRITE(CSR_HUDOORBELL, 0);
	}
	while (!target->stop)
		;
	return NULL;
}

static pthread_t start_target(struct target *target)
{
	pthread_t thread = start(be_target, target);

	while (!target->ready)
		sleep_ms(1);
	return thread;
}

static void stop_target(struct target *target, pthread_t thread)
{
	target->stop = true;
	pthread_join(thread, NULL);
}

TEST(post_reaches_the_vcpu_where_it_runs)
{
	struct target target = {.fd = vm_open(), .cpu = 1, .index = 9};
	pthread_t thread;

	pin(0);
	CHECK_EQ(vm_attach(target.fd, 3), 0);
	CHECK_EQ(hupost(9, HUPOST_DOORBELL), 0);
	thread = start_target(&target);
	/* It may lose its CPU for a moment, never for long. */
	for (uint64_t end = now() + 1000000000; !hupost(9, HUPOST_DOORBELL);)
		CHECK(now() < end);
	CHECK_EQ(hupost(10, HUPOST_DOORBELL), 0);
	CHECK_EQ(hupost(DUVISOR_INDEX_NONE, HUPOST_DOORBELL), 0);
	stop_target(&target, thread);
	/* Joined is not yet gone, but soon. */
	for (uint64_t end = now() + 1000000000; hupost(9, HUPOST_DOORBELL);)
		CHECK(now() < end);
	/* Oneself is always there. */
	CSR_WRITE(CSR_HUDOORBELL, 0);
	CHECK_EQ(hupost(3, HUPOST_DOORBELL | HUVIP_VSEIP), 1);
	CHECK_EQ(CSR_READ(CSR_HUDOORBELL), 1);
	CHECK(CSR_READ(CSR_HUVIP) & HUVIP_VSEIP);
}

TEST(post_to_a_sleeper_says_so_and_the_doorbell_rings_later)
{
	struct target target = {.fd = vm_open(), .cpu = 1, .index = 9, .sleep = true};
	pthread_t thread = start_target(&target);
	unsigned int missed = 0;

	pin(0);
	CHECK_EQ(vm_attach(target.fd, DUVISOR_INDEX_NONE), 0);
	for (uint64_t end = now() + 5000000000; missed < 100; sleep_ms(1)) {
		missed += !hupost(9, HUPOST_DOORBELL);
		CHECK(now() < end);
	}
	CHECK(target.done > 10);
	stop_target(&target, thread);
}

TEST(member_without_index_cannot_be_posted_to)
{
	struct target target = {.fd = vm_open(), .cpu = 1, .index = DUVISOR_INDEX_NONE};
	pthread_t thread = start_target(&target);

	pin(0);
	CHECK_EQ(vm_attach(target.fd, 0), 0);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(hupost(DUVISOR_INDEX_NONE, HUPOST_DOORBELL), 0);
		CHECK_EQ(hupost(0xffff0000 | DUVISOR_INDEX_NONE, HUPOST_DOORBELL), 0);
	}
	stop_target(&target, thread);
}

/* A vCPU that is switched all the time answers requests that come with a post. */
static void *answer(void *arg)
{
	struct target *target = arg;

	pin(target->cpu);
	CHECK_EQ(vm_attach(target->fd, target->index), 0);
	target->ready = true;
	for (unsigned int i = 0; !target->stop; i++) {
		if (i % 7 == 0)
			sched_yield();
		if (CSR_READ(CSR_HUVIP) & HUVIP_VSSIP) {
			__asm__ volatile("csrc %0, %1" : : "i"(CSR_HUVIP), "r"(HUVIP_VSSIP));
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			target->done = target->request;
		}
	}
	return NULL;
}

static void *disturb(void *arg)
{
	struct target *target = arg;

	pin(target->cpu);
	while (!target->stop)
		sched_yield();
	return NULL;
}

TEST(no_post_is_lost_to_a_context_switch)
{
	struct target target = {.fd = vm_open(), .cpu = 1, .index = 1};
	pthread_t answerer = start(answer, &target), disturber = start(disturb, &target);
	unsigned int delivered = 0, refused = 0;

	while (!target.ready)
		sleep_ms(1);
	pin(0);
	CHECK_EQ(vm_attach(target.fd, 0), 0);
	/* Where the emulator itself waits for a CPU, each switch can take as long as its time slices. */
	for (uint64_t end = now() + 60000000000; delivered < 20000 && (now() < end || !refused);) {
		target.request++;
		while (!hupost(1, HUVIP_VSSIP))
			refused++;
		delivered++;
		for (uint64_t late = now() + 3000000000; target.done != target.request;)
			if (now() > late)
				fail(__FILE__, __LINE__, "post %u was lost", delivered);
	}
	/* Both answers have been given, so the switch was really met. */
	note("%u delivered, %u refused", delivered, refused);
	CHECK(refused > 0);
	target.stop = true;
	pthread_join(answerer, NULL);
	pthread_join(disturber, NULL);
}

TEST(what_the_process_may_not_the_guest_may_not)
{
	static const struct {
		uint32_t insn;
		const char *name;
	} insns[] = {{0xc0002573, "rdcycle a0"}, {0xc0202573, "rdinstret a0"}};
	struct guest *guest = guest_new(guest_probe);
	uint32_t *code = (uint32_t *)(void *)guest->memory;

	guest_boot(guest);
	CSR_WRITE(CSR_HUCOUNTEREN, 0xffffffff);
	code[0] = 0xc0102573; /* rdtime a0: the control */
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	for (size_t i = 0; i < 2; i++) {
		bool forbidden = insn_is_illegal(insns[i].insn);

		code[0] = insns[i].insn;
		__builtin___clear_cache((char *)code, (char *)(code + 1));
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), forbidden ? DV_CAUSE_VIRTUAL_INST : DV_CAUSE_VS_ECALL);
		note("%s: %s", insns[i].name, forbidden ? "forbidden to both" : "allowed to both");
	}
}
