/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM beside us: on the same hart, in the same process, in the same thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shimtest.h"

#define MMIO 0x10000000UL
#define REG(name)                                                                                  \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_CORE | KVM_REG_RISCV_CORE_REG(name))

struct machine {
	int vcpu;
	struct kvm_run *run;
};

static void set_reg(const struct machine *machine, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	CHECK(!ioctl(machine->vcpu, KVM_SET_ONE_REG, &reg));
}

static struct machine machine_new(void)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = GUEST_BASE,
						     .memory_size = GUEST_SIZE};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;
	struct machine machine;
	void *memory;

	if (kvm < 0)
		skip("no /dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	CHECK(vm >= 0);
	memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	memcpy(memory, guest_kvm_compute, (size_t)(guest_end - guest_kvm_compute));
	region.userspace_addr = (uintptr_t)memory;
	CHECK(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
	machine.vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	CHECK(machine.vcpu >= 0);
	machine.run = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
			   PROT_READ | PROT_WRITE, MAP_SHARED, machine.vcpu, 0);
	CHECK(machine.run != MAP_FAILED);
	set_reg(&machine, REG(regs.pc), GUEST_BASE);
	set_reg(&machine, REG(regs.a4), MMIO);
	return machine;
}

static void machine_compute(const struct machine *machine, uint64_t rounds, uint64_t multiplier,
			    uint64_t value)
{
	uint64_t result;

	set_reg(machine, REG(regs.a0), rounds);
	set_reg(machine, REG(regs.a1), multiplier);
	set_reg(machine, REG(regs.a2), value);
	while (ioctl(machine->vcpu, KVM_RUN, 0))
		CHECK(errno == EINTR);
	CHECK_EQ(machine->run->exit_reason, KVM_EXIT_MMIO);
	CHECK_EQ(machine->run->mmio.phys_addr, MMIO);
	CHECK_EQ(machine->run->mmio.len, 8);
	memcpy(&result, machine->run->mmio.data, sizeof(result));
	CHECK_EQ(result, compute(rounds, multiplier, value));
}

TEST(kvm_works_at_all)
{
	struct machine machine = machine_new();

	machine_compute(&machine, 100000, 5, 3);
}

TEST(kvm_run_in_a_member_ends_its_membership)
{
	struct machine machine = machine_new();
	struct guest *guest = guest_new(guest_hello);
	int fd = guest_boot(guest);

	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	machine_compute(&machine, 100000, 5, 3);
	CHECK(!is_member());
	/* Long enough to be preempted in the guest. */
	machine_compute(&machine, 20000000, 13, 4);
	CHECK(!is_member());
	CHECK_EQ(vm_attach(fd, 0), 0);
	guest_load_vcpu(guest, GUEST_BASE);
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
}

TEST(kvm_load_without_entry_in_a_member_ends_its_membership)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t mask;
	} none = {.head.len = sizeof(none.mask)};
	struct machine machine = machine_new();
	int fd = vm_open();
	sigset_t set;

	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK(is_member());
	/* A signal that only KVM_RUN lets through: it loads KVM's registers and enters no guest. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL) && !raise(SIGUSR1));
	CHECK(!ioctl(machine.vcpu, KVM_SET_SIGNAL_MASK, &none));
	CHECK(ioctl(machine.vcpu, KVM_RUN, 0) < 0 && errno == EINTR);
	CHECK(!is_member());
	CHECK_EQ(vm_detach(fd), 0);
	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK(is_member());
}

TEST(kvm_in_one_thread_leaves_the_others_alone)
{
	struct machine machine = machine_new();
	struct guest *guest = guest_new(guest_hello);

	pin(0);
	guest_boot(guest);
	for (int i = 0; i < 20; i++) {
		/* Another process, same hart. */
		pid_t child = fork();
		int status;

		CHECK(child >= 0);
		if (!child) {
			struct machine other = machine_new();

			machine_compute(&other, 1000000, 21, (uint64_t)i);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK_EQ(status, 0);
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	}
	(void)machine;
}

static void run_kvm_for(unsigned int ms)
{
	struct machine machine = machine_new();
	struct rusage usage;
	uint64_t round;

	finish_in(ms);
	pin(0);
	for (round = 0; !finished(); round++)
		machine_compute(&machine, 100000, 29, round);
	CHECK(round > 5);
	CHECK(!getrusage(RUSAGE_SELF, &usage));
	CHECK(usage.ru_nivcsw > 5);
}

TEST(kvm_and_dv_guests_share_a_hart)
{
	struct guest *guest = guest_new(guest_compute);
	uint64_t round;
	struct rusage usage;
	int status;
	pid_t children[2];

	pin(0);
	guest_boot(guest);
	CSR_WRITE(CSR_HUVSSCRATCH, 0x5ca7c4);
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (!children[i]) {
			run_kvm_for(3000);
			_exit(0);
		}
	}
	finish_in(3000);
	for (round = 0; !finished(); round++) {
		guest->frame.gpr[A0] = 100000;
		guest->frame.gpr[A1] = 5;
		guest->frame.gpr[A2] = round;
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(guest->frame.gpr[A2], compute(100000, 5, round));
		CHECK_EQ(guest->frame.gpr[A3], 0x5ca7c4);
	}
	CHECK(round > 5);
	CHECK(guest->host_interrupts > 5);
	CHECK(!getrusage(RUSAGE_SELF, &usage));
	CHECK(usage.ru_nivcsw > 5);
	for (int i = 0; i < 2; i++) {
		CHECK(waitpid(children[i], &status, 0) == children[i]);
		CHECK_EQ(status, 0);
	}
}

TEST(kvm_guest_killed_beside_a_dv_guest)
{
	struct guest *guest = guest_new(guest_hello);
	int status;

	pin(0);
	guest_boot(guest);
	for (int i = 0; i < 5; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (!child)
			run_kvm_for(UINT_MAX);
		sleep_ms(100);
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child);
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	}
}
