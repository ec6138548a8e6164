/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hypervisor process that does its worst reaches nothing that it could not reach by plain loads
 * and stores. Each attack is first made on something it may reach, to show that it works at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shimtest.h"

#define SECRET 0x5ec2e7c0de5ec2e7UL

static bool died_of(int status, int signal)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static void *new_page(int protection)
{
	uint64_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	page[0] = SECRET;
	CHECK(!mprotect(page, 4096, protection));
	return page;
}

/* --- forged leaves, tables and roots --- */

enum access { LOAD, STORE, FETCH, HLV };
enum place { LEAF, LEVEL_0, LEVEL_1, ROOT, VS_ROOT, PLACES };

struct attack {
	uintptr_t hva;
	enum access access;
	enum place place;
};

/* One access of a guest, with the HVA forged into one place of its tables. Exits 0 if it succeeds. */
static void do_attack(void *arg)
{
	static const char *const program[] = {guest_load, guest_access, guest_fetch, guest_hello};
	const struct attack *attack = arg;
	struct guest *guest = guest_new(program[attack->access]);
	uint64_t *good = new_page(PROT_READ | PROT_WRITE);
	uintptr_t page = attack->hva & ~4095UL;

	guest_boot(guest);
	guest_map(guest, 0, PTE(good, PTE_ALL));
	switch (attack->place) {
	case LEAF:
		guest_map(guest, 0, PTE(page, PTE_ALL));
		break;
	case LEVEL_0:
		guest_tables[0][0] = PTE(page, PTE_V);
		break;
	case LEVEL_1:
		guest->root[MAP_BASE / GIB] = PTE(page, PTE_V);
		break;
	case ROOT:
		CSR_WRITE(CSR_HUGATP,
			  (uint64_t)HUGATP_MODE_SV39X4 << HUGATP_MODE_SHIFT |
				  (page >> 12 & HUGATP_VPN_MASK));
		break;
	default: /* the guest's own table lies there */
		guest_map(guest, 1, PTE(page, PTE_ALL));
		CSR_WRITE(CSR_HUVSATP, 8UL << 60 | (MAP_BASE + 4096) >> 12);
	}
	hufence();
	guest->frame.gpr[A0] = MAP_BASE + (attack->hva & 0xff8);
	guest->frame.gpr[A1] = SECRET;
	guest->frame.gpr[A2] = MAP_BASE + (attack->hva & 0xff8);
	if (attack->access == HLV) {
		CHECK_EQ(dv_hlv(&guest->frame, guest->frame.gpr[A2]), 1);
		guest->frame.gpr[A3] = guest->frame.gpr[A1];
	} else {
		CHECK_EQ(guest_run(guest),
			 attack->access == FETCH ? DV_CAUSE_ILLEGAL_INST : DV_CAUSE_VS_ECALL);
	}
	if (attack->access != FETCH)
		CHECK_EQ(guest->frame.gpr[A3], SECRET);
}

/* Does a plain load of the process reach it? */
static void plain_load(void *hva)
{
	(void)*(volatile uint64_t *)hva;
}

static const uintptr_t forged[] = {
	0x0,
	0x1000,
	0x10000000,         /* the UART, physically */
	0x80000000,         /* the firmware, physically */
	0x80200000,         /* the kernel, physically */
	0x4000000000,       /* the first address that no Sv39 process has */
	0x800000000000,     /* no Sv48 one */
	0xff60000000000000, /* the kernel's map of all memory */
	0xffffffd600000000, /* the same under Sv39 */
	0xffffffff80000000, /* the kernel's text */
	0x00ffffff80000000, /* as much of it as a table entry can hold */
	0xfffffffffffff000,
};

static void attack_all_addresses(enum access access, enum place place)
{
	struct attack attack = {.access = access, .place = place};

	/* What the attack does when the place is one the process has. */
	if (place == LEAF) {
		attack.hva = (uintptr_t)new_page(PROT_READ | PROT_WRITE);
		if (access == FETCH)
			*(uint64_t *)attack.hva = 0;
		CHECK_EQ(in_child(do_attack, &attack), 0);
	}
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		int status;

		attack.hva = forged[i];
		CHECK(died_of(in_child(plain_load, (void *)attack.hva), SIGSEGV));
		status = in_child(do_attack, &attack);
		if (!died_of(status, SIGSEGV))
			fail(__FILE__, __LINE__, "%#lx: status %#x", attack.hva, status);
	}
}

TEST(forged_leaf_load)
{
	attack_all_addresses(LOAD, LEAF);
}

TEST(forged_leaf_store)
{
	attack_all_addresses(STORE, LEAF);
}

TEST(forged_leaf_fetch)
{
	attack_all_addresses(FETCH, LEAF);
}

TEST(forged_leaf_hypervisor_load)
{
	attack_all_addresses(HLV, LEAF);
}

TEST(forged_tables)
{
	attack_all_addresses(LOAD, LEVEL_0);
	attack_all_addresses(LOAD, LEVEL_1);
	attack_all_addresses(HLV, LEVEL_0);
	attack_all_addresses(HLV, LEVEL_1);
}

TEST(forged_root)
{
	struct attack attack = {.place = ROOT};

	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		/* A root is 16 KiB; hugatp holds no other address. */
		attack.hva = forged[i] & ~16383UL;
		attack.access = i & 1 ? HLV : LOAD;
		CHECK(died_of(in_child(do_attack, &attack), SIGSEGV));
	}
}

TEST(forged_guest_table)
{
	attack_all_addresses(HLV, VS_ROOT);
}

/* --- permissions of the process are permissions of the guest --- */

TEST(page_protection_holds)
{
	static const struct {
		int protection;
		enum access access;
		int signal;
	} cases[] = {
		{PROT_READ | PROT_WRITE, LOAD, 0},
		{PROT_READ | PROT_WRITE, STORE, 0},
		{PROT_READ, LOAD, 0},
		{PROT_READ, STORE, SIGSEGV},
		{PROT_NONE, LOAD, SIGSEGV},
		{PROT_NONE, STORE, SIGSEGV},
		{PROT_NONE, FETCH, SIGSEGV},
		{PROT_NONE, HLV, SIGSEGV},
		{PROT_READ, HLV, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct attack attack = {.hva = (uintptr_t)new_page(cases[i].protection),
					.access = cases[i].access,
					.place = LEAF};
		int status = in_child(do_attack, &attack);

		if (cases[i].signal ? !died_of(status, cases[i].signal) : status != 0)
			fail(__FILE__, __LINE__, "case %zu: status %#x", i, status);
	}
}

TEST(vdso_can_be_read_not_written)
{
	struct attack attack = {.hva = getauxval(AT_SYSINFO_EHDR), .access = STORE, .place = LEAF};
	struct guest *guest;

	CHECK(attack.hva);
	CHECK(died_of(in_child(do_attack, &attack), SIGSEGV));
	guest = guest_new(guest_load);
	guest_boot(guest);
	guest_map(guest, 0, PTE(attack.hva, PTE_ALL));
	hufence();
	guest->frame.gpr[A2] = MAP_BASE;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3] & 0xffffffff, 0x464c457f); /* ELF */
}

TEST(private_file_page_is_copied_on_write)
{
	struct guest *guest = guest_new(guest_access);
	int fd = open("/proc/self/exe", O_RDONLY);
	uint64_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), word;

	CHECK(page != MAP_FAILED);
	guest_boot(guest);
	guest_map(guest, 0, PTE(page, PTE_ALL));
	hufence();
	guest->frame.gpr[A0] = guest->frame.gpr[A2] = MAP_BASE;
	guest->frame.gpr[A1] = SECRET;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3], SECRET);
	CHECK_EQ(page[0], SECRET);
	CHECK(pread(fd, &word, sizeof(word), 0) == sizeof(word));
	CHECK_EQ(word & 0xffffffff, 0x464c457f);
}

/* --- what is unmapped is gone, wherever it was cached --- */

static void load_unmapped(void *how)
{
	struct guest *guest = guest_new(guest_load);
	uint64_t *page = new_page(PROT_READ | PROT_WRITE);

	guest_boot(guest);
	guest_map(guest, 0, PTE(page, PTE_ALL));
	hufence();
	guest->frame.gpr[A2] = MAP_BASE;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3], SECRET); /* the control, and it is cached now */
	switch (*(const char *)how) {
	case 'u':
		CHECK(!munmap(page, 4096));
		break;
	case 'p':
		CHECK(!mprotect(page, 4096, PROT_NONE));
		break;
	case 'm':
		CHECK(mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
			     new_page(PROT_READ)) != MAP_FAILED);
		break;
	default:
		CHECK(!madvise(page, 4096, MADV_DONTNEED));
	}
	CSR_WRITE(CSR_HUEPC, GUEST_BASE);
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3], 0);
}

TEST(unmapped_page_is_gone)
{
	CHECK(died_of(in_child(load_unmapped, "u"), SIGSEGV));
	CHECK(died_of(in_child(load_unmapped, "p"), SIGSEGV));
	CHECK(died_of(in_child(load_unmapped, "m"), SIGSEGV));
	CHECK_EQ(in_child(load_unmapped, "z"), 0);
}

__attribute__((noreturn)) static void *store_for_ever(void *arg)
{
	struct guest *guest = arg;

	pin(1);
	guest_boot(guest);
	guest_map(guest, 0, guest_tables[1][0]);
	hufence();
	guest->frame.gpr[A0] = MAP_BASE;
	for (;;)
		(void)guest_run(guest);
}

static void unmap_under_guest(void *unmap)
{
	struct guest *guest = guest_new(guest_spin);
	volatile uint64_t *page = new_page(PROT_READ | PROT_WRITE);
	uint64_t seen;

	pin(0);
	guest_map(guest, 0, PTE(page, PTE_ALL));
	start(store_for_ever, guest);
	while (page[0] == SECRET)
		sched_yield();
	seen = page[0];
	if (unmap) {
		CHECK(!mprotect((void *)(uintptr_t)page, 4096, PROT_READ));
		seen = page[0];
	}
	sleep_ms(100);
	CHECK(page[0] != seen);
}

TEST(protection_changes_reach_a_guest_on_another_hart)
{
	CHECK_EQ(in_child(unmap_under_guest, NULL), 0); /* the control: it does store */
	CHECK(died_of(in_child(unmap_under_guest, "yes"), SIGSEGV));
}

/* A VMID is given to a new VM at once; what the old VM cached under it must not come with it. */
static void load_with_own_table(void *arg)
{
	struct guest *guest = guest_new(guest_load);
	uint64_t *page = new_page(PROT_READ | PROT_WRITE);

	page[0] = (uintptr_t)arg;
	guest_map(guest, 0, PTE(page, PTE_ALL));
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	CSR_WRITE(CSR_HUGATP,
		  (uint64_t)HUGATP_MODE_SV39X4 << HUGATP_MODE_SHIFT | (uintptr_t)guest->root >> 12);
	CSR_WRITE(CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP);
	CSR_WRITE(CSR_HUEPC, GUEST_BASE);
	/* No hufence: a new vCPU starts with nothing cached. */
	guest->frame.gpr[A2] = MAP_BASE;
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	CHECK_EQ(guest->frame.gpr[A3], (uintptr_t)arg);
}

TEST(vmid_comes_clean_to_the_next_vm)
{
	pin(0);
	for (uintptr_t i = 1; i <= 20; i++)
		CHECK_EQ(in_child(load_with_own_table, (void *)i), 0);
}

/* --- registers and instructions --- */

TEST(reserved_bits_are_never_held)
{
#define LIMITS(X)                                                                                  \
	X(CSR_HUSTATUS, 0x7001c0UL)                                                                \
	X(CSR_HUEDELEG, (uint64_t)HUEDELEG_MASK)                                                   \
	X(CSR_HUTVEC, ~3UL)                                                                        \
	X(CSR_HUEPC, ~1UL)                                                                         \
	X(CSR_HUCAUSE, 0x3fUL)                                                                     \
	X(CSR_HUGATP, 0xfUL << 60 | (HUGATP_VPN_MASK & ~3UL))                                      \
	X(CSR_HUCOUNTEREN, 0xffffffffUL)                                                           \
	X(CSR_HUVIP, (uint64_t)HUVIP_MASK)                                                         \
	X(CSR_HUDOORBELL, 1UL)                                                                     \
	X(CSR_HUVSIE, 0x222UL | 0x2000UL)                                                          \
	X(CSR_HUVSCOUNTEREN, 0xffffffffUL)
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
#define X(csr, mask)                                                                               \
	CSR_WRITE(csr, ~0UL);                                                                      \
	CHECK_EQ(CSR_READ(csr) & ~(mask), 0);                                                      \
	CSR_WRITE(csr, 0);
	LIMITS(X)
#undef X
	/* The control: bits that exist are held. */
	CSR_WRITE(CSR_HUSTATUS, ~0UL);
	CHECK_EQ(CSR_READ(CSR_HUSTATUS), 0x7001c0);
}

static void compute_alone(void *unused)
{
	(void)unused;
	pin(0);
	CHECK(!is_member());
	CHECK_EQ(compute(1000000, 5, 1) - compute(1000000, 5, 1), 0);
}

TEST(registers_full_of_ones_harm_nobody)
{
	pin(0);
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	for (int i = 0; i < 20; i++) {
		CSR_WRITE(CSR_HUVSSTATUS, ~0UL);
		CSR_WRITE(CSR_HUVSIE, ~0UL);
		CSR_WRITE(CSR_HUVSATP, ~0UL);
		CSR_WRITE(CSR_HUVSENVCFG, ~0UL);
		CSR_WRITE(CSR_HUVSCOUNTEREN, ~0UL);
		CSR_WRITE(CSR_HUVIP, ~0UL);
		CSR_WRITE(CSR_HUVSTIMECMP, 0);
		CSR_WRITE(CSR_HUTIMEDELTA, ~0UL);
		CSR_WRITE(CSR_HUCOUNTEREN, ~0UL);
		CSR_WRITE(CSR_HUEDELEG, ~0UL);
		sleep_ms(1);
		CHECK_EQ(in_child(compute_alone, NULL), 0);
		/* The control: they were all there, enabled and pending. */
		CHECK_EQ(CSR_READ(CSR_HUVSIE) & 0x222, 0x222);
		CHECK_EQ(CSR_READ(CSR_HUVIP) & (HUVIP_VSSIP | HUVIP_VSEIP),
			 HUVIP_VSSIP | HUVIP_VSEIP);
	}
}

TEST(hypervisor_code_has_no_supervisor_right)
{
	static const uint32_t forbidden[] = {
		0x10200073, /* sret */
		0x30200073, /* mret */
		0x12000073, /* sfence.vma */
		0x22000073, /* hfence.vvma */
		0x62000073, /* hfence.gvma */
		0x6c002573, /* csrr a0, hdvctl */
		0x6c051073, /* csrw hdvctl, a0 */
		0x68002573, /* csrr a0, hgatp */
		0x68051073, /* csrw hgatp, a0 */
		0x60002573, /* csrr a0, hstatus */
		0x60a02573, /* csrr a0, henvcfg */
		0x28002573, /* csrr a0, vsatp */
		0x18002573, /* csrr a0, satp */
		0x10002573, /* csrr a0, sstatus */
		0x10602573, /* csrr a0, scounteren */
		0x10a02573, /* csrr a0, senvcfg */
		0x30002573, /* csrr a0, mstatus */
	};

	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	CHECK(!insn_is_illegal(0x8c002573)); /* the control: csrr a0, hustatus */
	CHECK(!insn_is_illegal(0xce000073)); /* and hufence.g */
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (!insn_is_illegal(forbidden[i]))
			fail(__FILE__, __LINE__, "instruction %#x is legal", forbidden[i]);
}

/* The guest's probe: the exit that one instruction makes, DV_CAUSE_VS_ECALL if it just works. */
static uint64_t probe(struct guest *guest, uint32_t insn)
{
	*(uint32_t *)(void *)guest->memory = insn;
	__builtin___clear_cache((char *)guest->memory, (char *)guest->memory + 4);
	CSR_WRITE(CSR_HUEPC, GUEST_BASE);
	return guest_run(guest);
}

TEST(guest_reaches_no_register_of_the_host)
{
	struct guest *guest = guest_new(guest_probe);

	guest_boot(guest);
	CHECK_EQ(probe(guest, 0x14002573), DV_CAUSE_VS_ECALL); /* the control: sscratch */
	for (uint32_t csr = 0; csr < 4096; csr++) {
		uint64_t cause = probe(guest, 0x2573 | csr << 20);

		if ((csr >> 8 & 3) < 2 && (csr < 0x800 || csr > 0x8ff))
			continue; /* U or S level: the guest's own */
		if (cause != DV_CAUSE_ILLEGAL_INST && cause != DV_CAUSE_VIRTUAL_INST)
			fail(__FILE__, __LINE__, "CSR %#x: cause %lu", csr, cause);
	}
}

TEST(guest_reaches_no_instruction_of_the_host)
{
	static const uint32_t forbidden[] = {
		DV_INSN_HURET, 0x8e000073, /* hupost */
		0xcc000073,                /* hufence.v */
		0xce000073,                /* hufence.g */
		0x22000073,                /* hfence.vvma */
		0x62000073,                /* hfence.gvma */
		0x6c054573,                /* hlv.d */
		0x30200073,                /* mret */
		0x6c051073,                /* csrw hdvctl */
		0x68051073,                /* csrw hgatp */
	};
	struct guest *guest = guest_new(guest_probe);

	guest_boot(guest);
	CHECK_EQ(probe(guest, 0x12000073), DV_CAUSE_VS_ECALL); /* the control: sfence.vma */
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		uint64_t cause = probe(guest, forbidden[i]);

		if (cause != DV_CAUSE_ILLEGAL_INST && cause != DV_CAUSE_VIRTUAL_INST)
			fail(__FILE__, __LINE__, "instruction %#x: cause %lu", forbidden[i], cause);
	}
}

TEST(guest_cannot_widen_what_its_host_may_count)
{
	struct guest *guest = guest_new(guest_probe);

	guest_boot(guest);
	if (!insn_is_illegal(0xc0002573))
		skip("the host lets processes read cycle");
	CHECK_EQ(probe(guest, 0x10655073), DV_CAUSE_VS_ECALL); /* csrwi scounteren, 10 */
	CHECK_EQ(probe(guest, 0x10602573), DV_CAUSE_VS_ECALL); /* csrr a0, scounteren */
	CHECK(guest->frame.gpr[A0] != 0);                      /* it has one ... */
	CHECK_EQ(probe(guest, 0x1067f073), DV_CAUSE_VS_ECALL); /* csrci scounteren, 15 */
	CHECK(!insn_is_illegal(0xc0102573));                   /* ... that is not ours: rdtime */
	CHECK(insn_is_illegal(0xc0002573));
}

static void exit_to_nowhere(void *hutvec)
{
	struct guest *guest = guest_new(guest_hello);

	guest_boot(guest);
	CSR_WRITE(CSR_HUTVEC, (uintptr_t)hutvec);
	__asm__ volatile(".4byte %0" : : "i"(DV_INSN_HURET));
}

static void return_to_nowhere(void *pc)
{
	CHECK_EQ(vm_attach(vm_open(), 0), 0);
	CSR_WRITE(CSR_HUSTATUS, 0);
	CSR_WRITE(CSR_HUEPC, (uintptr_t)pc);
	__asm__ volatile(".4byte %0" : : "i"(DV_INSN_HURET));
}

__attribute__((aligned(4))) static void leave_well(void)
{
	_exit(0);
}

TEST(forged_pcs_are_ours_to_die_of)
{
	CHECK_EQ(in_child(exit_to_nowhere, leave_well), 0);
	CHECK_EQ(in_child(return_to_nowhere, leave_well), 0);
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		CHECK(died_of(in_child(exit_to_nowhere, (void *)forged[i]), SIGSEGV));
		CHECK(died_of(in_child(return_to_nowhere, (void *)forged[i]), SIGSEGV));
	}
}

/* --- other VMs --- */

struct victim {
	int ready[2], go[2];
	int fd;
	volatile bool reached;
};

/* Another process with a running vCPU; its second thread can post to it (the control). */
static void *post_from_within(void *arg)
{
	struct victim *victim = arg;

	pin(0);
	CHECK_EQ(vm_attach(victim->fd, DUVISOR_INDEX_NONE), 0);
	for (uint64_t end = now() + 1000000000; !hupost(5, HUPOST_DOORBELL);)
		CHECK(now() < end);
	victim->reached = true;
	return NULL;
}

static void be_victim(struct victim *victim)
{
	pthread_t friend;
	char byte;

	victim->fd = vm_open();
	pin(1);
	CHECK_EQ(vm_attach(victim->fd, 5), 0);
	/* No system call but in the end: the vCPU stays on its hart. */
	CHECK(write(victim->ready[1], "", 1) == 1);
	CHECK(!fcntl(victim->go[0], F_SETFL, O_NONBLOCK));
	for (uint64_t end = now() + 1500000000; now() < end;)
		CHECK_EQ(CSR_READ(CSR_HUVIP) & (HUVIP_VSSIP | HUVIP_VSEIP), 0);
	CHECK(read(victim->go[0], &byte, 1) == 1); /* the attack is over */
	friend = start(post_from_within, victim);
	while (!victim->reached)
		;
	pthread_join(friend, NULL);
}

TEST(posts_reach_no_other_vm)
{
	struct victim victim;
	int status;
	pid_t child;
	char byte;

	CHECK(!pipe(victim.ready) && !pipe(victim.go));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		be_victim(&victim);
		_exit(0);
	}
	pin(0);
	CHECK_EQ(vm_attach(vm_open(), DUVISOR_INDEX_NONE), 0);
	CHECK(read(victim.ready[0], &byte, 1) == 1);
	for (uint64_t index = 0; index < 0x20000; index++)
		CHECK_EQ(hupost(index, HUPOST_MASK), 0);
	for (unsigned int bit = 17; bit < 64; bit++)
		CHECK_EQ(hupost(1UL << bit | 5, ~0UL), 0);
	for (int i = 0; i < 100000; i++)
		CHECK_EQ(hupost(5, ~0UL), 0);
	CHECK(write(victim.go[1], "", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
}

TEST(a_strangers_guest_cannot_be_entered)
{
	/* The registers of a vCPU on this hart are no use to the next thread on it. */
	struct guest *guest = guest_new(guest_hello);

	pin(0);
	guest_boot(guest);
	CHECK(!insn_is_illegal(0x8c002573));
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		int status;

		CHECK(child >= 0);
		if (!child)
			_exit(!insn_is_illegal(DV_INSN_HURET) || !insn_is_illegal(0x6c054573) ||
			      !insn_is_illegal(0x8e000073) || !insn_is_illegal(0xce000073));
		CHECK(waitpid(child, &status, 0) == child);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
}
