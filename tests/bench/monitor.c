// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A second user-space monitor for KVM, to compare with: as small as one can be that runs the
 * payload of scripts/bench. What it costs is KVM itself and one ioctl; QEMU's own share is not in it.
 *
 * usage: monitor [--cpus N] [--mem MIB] [--prealloc] [--hugepages] [--aia] ELF
 *
 * Devices: SBI's debug console, and a board of words that remember, except for the UART's interrupt enable
 * register and the PLIC's claim register, which make one interrupt line. With --aia, which wants as many guest
 * interrupt files in the host, that line leads to KVM's own APLIC, and each vCPU has an interrupt file.
 */
#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_BASE 0x80000000ul
#define ALIGNMENT (1ul << 30)
#define MAX_CPUS 8

#define UART_IER 0x10000001ul
#define UART_IRQ 10
#define PLIC_CLAIM 0x0c201004ul
#define BOARD_WORDS 4096

/* Newer than some C library's headers. */
#ifndef KVM_REG_RISCV_SBI_EXT
#define KVM_REG_RISCV_SBI_EXT (0x08 << KVM_REG_RISCV_TYPE_SHIFT)
#define KVM_REG_RISCV_SBI_SINGLE 0
#define KVM_RISCV_SBI_EXT_DBCN 9
#endif

/* Of Linux 6.5 and later. */
#ifndef KVM_DEV_RISCV_AIA_GRP_CONFIG
#define KVM_DEV_TYPE_RISCV_AIA 11
#define KVM_DEV_RISCV_AIA_GRP_CONFIG 0
#define KVM_DEV_RISCV_AIA_CONFIG_MODE 0
#define KVM_DEV_RISCV_AIA_CONFIG_IDS 1
#define KVM_DEV_RISCV_AIA_CONFIG_SRCS 2
#define KVM_DEV_RISCV_AIA_CONFIG_HART_BITS 5
#define KVM_DEV_RISCV_AIA_MODE_HWACCEL 1
#define KVM_DEV_RISCV_AIA_GRP_ADDR 1
#define KVM_DEV_RISCV_AIA_ADDR_APLIC 0
#define KVM_DEV_RISCV_AIA_ADDR_IMSIC(vcpu) (1 + (vcpu))
#define KVM_DEV_RISCV_AIA_GRP_CTRL 2
#define KVM_DEV_RISCV_AIA_CTRL_INIT 0
#endif

#define APLIC_BASE 0x0d000000ul
#define IMSIC_BASE 0x28000000ul
#define IMSIC_PAGE 0x1000ul
#define AIA_IDS 63
#define AIA_HART_BITS 3

#define SBI_DBCN 0x4442434e
#define DBCN_WRITE_BYTE 2
#define SBI_NOT_SUPPORTED -2

#define REG(kind, name)                                                                            \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_##kind | KVM_REG_RISCV_##kind##_REG(name))

#define DBCN_ENABLED                                                                               \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | KVM_REG_RISCV_SBI_EXT | KVM_REG_RISCV_SBI_SINGLE |     \
	 KVM_RISCV_SBI_EXT_DBCN)

struct cpu {
	int fd;
	struct kvm_run *run;
	pthread_t thread;
};

struct machine {
	int kvm;
	int vm;
	uint8_t *ram;
	uint64_t size;
	unsigned int cpus;
	struct cpu cpu[MAX_CPUS];
	uint32_t board[BOARD_WORDS];
	uint32_t line;
	int aia;
};

/* As small as a device tree can be that has an IMSIC. */
static const char tree[] = "\xd0\x0d\xfe\xed"                 /* magic */
			   "\0\0\0\x6f"                       /* size of all */
			   "\0\0\0\x38"                       /* offset of the structure */
			   "\0\0\0\x64"                       /* offset of the strings */
			   "\0\0\0\x28"                       /* offset of the reserved memory */
			   "\0\0\0\x11"                       /* version 17 */
			   "\0\0\0\x10"                       /* for readers of version 16 */
			   "\0\0\0\0"                         /* boot CPU */
			   "\0\0\0\x0b"                       /* size of the strings */
			   "\0\0\0\x2c"                       /* size of the structure */
			   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" /* no reserved memory */
			   "\0\0\0\1\0\0\0\0"                 /* root node */
			   "\0\0\0\3\0\0\0\x0d\0\0\0\0"       /* property of 13 bytes, string 0 */
			   "riscv,imsics\0\0\0\0"
			   "\0\0\0\2\0\0\0\x09" /* end of node, end */
			   "compatible";

static int command(int fd, unsigned long request, const void *arg, const char *what)
{
	int result = ioctl(fd, request, arg);

	if (result < 0)
		err(1, "%s", what);
	return result;
}

static void set_reg(const struct cpu *cpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	command(cpu->fd, KVM_SET_ONE_REG, &reg, "KVM_SET_ONE_REG");
}

static uint64_t load(struct machine *machine, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Phdr part[16];
	Elf64_Ehdr head;
	size_t parts;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) || head.e_phnum > 16)
		err(1, "%s", path);
	parts = head.e_phnum * sizeof(part[0]);
	if (pread(fd, part, parts, (off_t)head.e_phoff) != (ssize_t)parts)
		err(1, "%s", path);
	for (int i = 0; i < head.e_phnum; i++) {
		if (part[i].p_type != PT_LOAD)
			continue;
		if (part[i].p_paddr < RAM_BASE || part[i].p_paddr - RAM_BASE > machine->size ||
		    part[i].p_filesz > machine->size - (part[i].p_paddr - RAM_BASE) ||
		    pread(fd, machine->ram + (part[i].p_paddr - RAM_BASE), part[i].p_filesz,
			  (off_t)part[i].p_offset) != (ssize_t)part[i].p_filesz)
			errx(1, "%s: does not fit", path);
	}
	close(fd);
	return head.e_entry;
}

static void map_ram(struct machine *machine, int flags, int hugepages)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = RAM_BASE,
						     .memory_size = machine->size};
	uint8_t *start = mmap(NULL, machine->size + ALIGNMENT, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *ram = (uint8_t *)(((uintptr_t)start + ALIGNMENT - 1) & -ALIGNMENT);

	if (start == MAP_FAILED)
		err(1, "mmap");
	machine->ram = mmap(ram, machine->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0);
	if (machine->ram == MAP_FAILED ||
	    (hugepages && madvise(machine->ram, machine->size, MADV_HUGEPAGE)))
		err(1, "guest memory");
	region.userspace_addr = (uintptr_t)machine->ram;
	command(machine->vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

static void set_line(struct machine *machine, uint32_t level)
{
	struct kvm_irq_level line = {.irq = UART_IRQ, .level = level};
	uint32_t irq = level ? (uint32_t)KVM_INTERRUPT_SET : (uint32_t)KVM_INTERRUPT_UNSET;

	if (level == machine->line)
		return;
	machine->line = level;
	if (machine->aia)
		command(machine->vm, KVM_IRQ_LINE, &line, "KVM_IRQ_LINE");
	else
		command(machine->cpu[0].fd, KVM_INTERRUPT, &irq, "KVM_INTERRUPT");
}

static void board_access(struct machine *machine, struct kvm_run *run)
{
	uint64_t addr = run->mmio.phys_addr;
	/* Page and word: what the payload uses does not collide. */
	uint32_t *word = &machine->board[((addr >> 12 & 3) * 1024 + (addr >> 2)) % BOARD_WORDS];

	if (!run->mmio.is_write) {
		uint32_t value = addr == PLIC_CLAIM ? machine->line * UART_IRQ : *word;

		memcpy(run->mmio.data, &value, run->mmio.len < 4 ? run->mmio.len : 4);
		return;
	}
	memcpy(word, run->mmio.data, run->mmio.len < 4 ? run->mmio.len : 4);
	if (addr == UART_IER)
		set_line(machine, run->mmio.data[0] != 0);
}

static void sbi_call(struct kvm_run *run)
{
	unsigned long *arg = run->riscv_sbi.args;

	run->riscv_sbi.ret[0] = (unsigned long)SBI_NOT_SUPPORTED;
	run->riscv_sbi.ret[1] = 0;
	if (run->riscv_sbi.extension_id == SBI_DBCN &&
	    run->riscv_sbi.function_id == DBCN_WRITE_BYTE && putchar((int)(arg[0] & 0xff)) >= 0)
		run->riscv_sbi.ret[0] = 0;
}

struct start {
	struct machine *machine;
	struct cpu *cpu;
};

/* Each vCPU on a hart of its own, if there are enough. */
static void pin(unsigned int index)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(index, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *run_cpu(void *arg)
{
	struct machine *machine = ((struct start *)arg)->machine;
	struct cpu *cpu = ((struct start *)arg)->cpu;

	pin((unsigned int)(cpu - machine->cpu));
	for (;;) {
		if (ioctl(cpu->fd, KVM_RUN, 0) && errno != EINTR)
			err(1, "KVM_RUN");
		switch (cpu->run->exit_reason) {
		case KVM_EXIT_MMIO:
			board_access(machine, cpu->run);
			break;
		case KVM_EXIT_RISCV_SBI:
			sbi_call(cpu->run);
			break;
		case KVM_EXIT_SYSTEM_EVENT:
			fflush(stdout);
			/* The reset's reason: the guest's own verdict. */
			_exit(cpu->run->system_event.data[0] != 0);
		case KVM_EXIT_INTR:
			break;
		default:
			errx(1, "exit reason %u", cpu->run->exit_reason);
		}
	}
}

static void create_cpu(struct machine *machine, unsigned int index)
{
	struct cpu *cpu = &machine->cpu[index];
	int size = command(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");

	cpu->fd = ioctl(machine->vm, KVM_CREATE_VCPU, (unsigned long)index);
	if (cpu->fd < 0)
		err(1, "KVM_CREATE_VCPU");
	cpu->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED)
		err(1, "mmap of a vCPU");
	/* The debug console is off until someone wants to serve it. */
	set_reg(cpu, DBCN_ENABLED, 1);
}

static void set_attr(int fd, uint32_t group, uint64_t attr, uint64_t value)
{
	struct kvm_device_attr arg = {.group = group, .attr = attr, .addr = (uintptr_t)&value};

	command(fd, KVM_SET_DEVICE_ATTR, &arg, "KVM_SET_DEVICE_ATTR");
}

static void create_aia(struct machine *machine)
{
	struct kvm_create_device device = {.type = KVM_DEV_TYPE_RISCV_AIA};
	int fd;

	command(machine->vm, KVM_CREATE_DEVICE, &device, "KVM_CREATE_DEVICE");
	fd = (int)device.fd;
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_CONFIG, KVM_DEV_RISCV_AIA_CONFIG_MODE,
		 KVM_DEV_RISCV_AIA_MODE_HWACCEL);
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_CONFIG, KVM_DEV_RISCV_AIA_CONFIG_IDS, AIA_IDS);
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_CONFIG, KVM_DEV_RISCV_AIA_CONFIG_SRCS, AIA_IDS);
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_CONFIG, KVM_DEV_RISCV_AIA_CONFIG_HART_BITS,
		 AIA_HART_BITS);
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_ADDR, KVM_DEV_RISCV_AIA_ADDR_APLIC, APLIC_BASE);
	for (unsigned int i = 0; i < machine->cpus; i++)
		set_attr(fd, KVM_DEV_RISCV_AIA_GRP_ADDR, KVM_DEV_RISCV_AIA_ADDR_IMSIC(i),
			 IMSIC_BASE + IMSIC_PAGE * i);
	set_attr(fd, KVM_DEV_RISCV_AIA_GRP_CTRL, KVM_DEV_RISCV_AIA_CTRL_INIT, 0);
}

/* Where memory ends. The guest's address of it, which is to be a multiple of 8. */
static uint64_t put_tree(struct machine *machine)
{
	uint64_t at = (machine->size - sizeof(tree)) & -8ul;

	memcpy(machine->ram + at, tree, sizeof(tree));
	return RAM_BASE + at;
}

static void start(struct machine *machine, uint64_t entry)
{
	static struct start starts[MAX_CPUS];

	set_reg(&machine->cpu[0], REG(CORE, regs.pc), entry);
	set_reg(&machine->cpu[0], REG(CORE, regs.a0), 0);
	if (machine->aia)
		set_reg(&machine->cpu[0], REG(CORE, regs.a1), put_tree(machine));
	for (unsigned int i = 0; i < machine->cpus; i++) {
		starts[i] = (struct start){.machine = machine, .cpu = &machine->cpu[i]};
		if (pthread_create(&machine->cpu[i].thread, NULL, run_cpu, &starts[i]))
			errx(1, "pthread_create");
	}
	pthread_join(machine->cpu[0].thread, NULL);
}

int main(int argc, char **argv)
{
	static struct machine machine = {.size = 256ul << 20, .cpus = 1};
	int flags = MAP_NORESERVE, hugepages = 0, i;

	for (i = 1; i < argc - 1; i++) {
		if (!strcmp(argv[i], "--cpus"))
			machine.cpus = (unsigned int)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--mem"))
			machine.size = strtoul(argv[++i], NULL, 10) << 20;
		else if (!strcmp(argv[i], "--prealloc"))
			flags = MAP_POPULATE;
		else if (!strcmp(argv[i], "--hugepages"))
			hugepages = 1;
		else if (!strcmp(argv[i], "--aia"))
			machine.aia = 1;
		else
			errx(2, "unknown option %s", argv[i]);
	}
	if (i != argc - 1 || !machine.cpus || machine.cpus > MAX_CPUS)
		errx(2,
		     "usage: monitor [--cpus N] [--mem MIB] [--prealloc] [--hugepages] [--aia] "
		     "ELF");
	setvbuf(stdout, NULL, _IOLBF, 0);
	machine.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (machine.kvm < 0)
		err(1, "/dev/kvm");
	machine.vm = command(machine.kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	map_ram(&machine, flags, hugepages);
	for (unsigned int n = 0; n < machine.cpus; n++)
		create_cpu(&machine, n);
	if (machine.aia)
		create_aia(&machine);
	start(&machine, load(&machine, argv[i]));
	return 0;
}
