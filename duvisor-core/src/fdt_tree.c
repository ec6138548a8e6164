/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fdt_tree.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "dev/board.h"
#include "device.h"
#include "vcpu.h"
#include "vm.h"

#define NODE_NAME_SIZE 48
#define RNG_SEED_SIZE 64

#define FIXED_SIZE 8192 /* everything but what depends on the user */
#define CPU_SIZE 1024   /* a CPU's nodes without the ISA strings */

#define CONSOLE_PATH "/soc/serial@10000000"

/* What the reset device wants to see for them (sifive_test.c). */
#define RESET_VALUE 0x7777
#define POWEROFF_VALUE 0x5555

size_t fdt_tree_size_bound(const struct vm *vm)
{
	size_t cpu = CPU_SIZE + strlen(vm->isa.isa) + vm->isa.extensions_size;
	size_t cmdline = vm->config->cmdline ? strlen(vm->config->cmdline) : 0;

	return FIXED_SIZE + vm->vcpu_count * cpu + cmdline;
}

int fdt_tree_begin(void *fdt, const char *name, uint64_t base)
{
	char node[NODE_NAME_SIZE];

	snprintf(node, sizeof(node), "%s@%llx", name, (unsigned long long)base);
	return fdt_begin_node(fdt, node);
}

int fdt_tree_reg(void *fdt, uint64_t base, uint64_t size)
{
	fdt64_t reg[] = {cpu_to_fdt64(base), cpu_to_fdt64(size)};

	return fdt_property(fdt, "reg", reg, sizeof(reg));
}

int fdt_tree_irq(void *fdt, const struct device *dev)
{
	const struct irqchip *chip = dev->vm->irqchip;
	fdt32_t line[2] = {cpu_to_fdt32(dev->irq), cpu_to_fdt32(chip->type)};
	int err = fdt_property(fdt, "interrupts", line, (int)(chip->cells * sizeof(line[0])));

	return err ?: fdt_property_u32(fdt, "interrupt-parent", chip->phandle);
}

static int cells(void *fdt, uint32_t address, uint32_t size)
{
	int err = fdt_property_u32(fdt, "#address-cells", address);

	return err ?: fdt_property_u32(fdt, "#size-cells", size);
}

/* Random numbers for the guest: it is early, and it has no other source yet. */
static int write_seeds(void *fdt)
{
	uint8_t rng[RNG_SEED_SIZE];
	uint64_t kaslr;
	int err = 0;

	/* Without entropy the host would be in deeper trouble; the guest then has none from us. */
	if (getrandom(rng, sizeof(rng), GRND_NONBLOCK) == (ssize_t)sizeof(rng))
		err = fdt_property(fdt, "rng-seed", rng, sizeof(rng));
	if (!err && getrandom(&kaslr, sizeof(kaslr), GRND_NONBLOCK) == (ssize_t)sizeof(kaslr))
		err = fdt_property_u64(fdt, "kaslr-seed", kaslr);
	return err;
}

static bool has_device(const struct vm *vm, gpa_t base)
{
	return bus_find(&vm->bus, base, 1) != NULL;
}

static int write_chosen(const struct vm *vm, const struct fdt_tree_boot *boot, void *fdt)
{
	const char *cmdline = vm->config->cmdline;
	int err = fdt_begin_node(fdt, "chosen");

	if (has_device(vm, BOARD_UART_BASE))
		err = err ?: fdt_property_string(fdt, "stdout-path", CONSOLE_PATH);
	err = err ?: fdt_property_string(fdt, "bootargs", cmdline ? cmdline : "");
	if (boot->initrd_size) {
		err = err ?: fdt_property_u64(fdt, "linux,initrd-start", boot->initrd);
		err = err
			?: fdt_property_u64(fdt, "linux,initrd-end",
					    boot->initrd + boot->initrd_size);
	}
	err = err ?: write_seeds(fdt);
	return err ?: fdt_end_node(fdt);
}

static int write_aliases(const struct vm *vm, void *fdt)
{
	int err;

	if (!has_device(vm, BOARD_UART_BASE))
		return 0;
	err = fdt_begin_node(fdt, "aliases");
	err = err ?: fdt_property_string(fdt, "serial0", CONSOLE_PATH);
	return err ?: fdt_end_node(fdt);
}

static int write_memory(const struct vm *vm, void *fdt)
{
	int err = fdt_tree_begin(fdt, "memory", vm->mem.base);

	err = err ?: fdt_property_string(fdt, "device_type", "memory");
	err = err ?: fdt_tree_reg(fdt, vm->mem.base, vm->mem.size);
	return err ?: fdt_end_node(fdt);
}

static int write_intc(void *fdt, unsigned int cpu)
{
	int err = fdt_begin_node(fdt, "interrupt-controller");

	err = err ?: fdt_property_u32(fdt, "#address-cells", 0);
	err = err ?: fdt_property_u32(fdt, "#interrupt-cells", 1);
	err = err ?: fdt_property(fdt, "interrupt-controller", NULL, 0);
	err = err ?: fdt_property_string(fdt, "compatible", "riscv,cpu-intc");
	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_CPU(cpu));
	return err ?: fdt_end_node(fdt);
}

static int write_block_size(void *fdt, const char *name, uint32_t size)
{
	return size ? fdt_property_u32(fdt, name, size) : 0;
}

static int write_cpu(const struct vm *vm, void *fdt, unsigned int cpu)
{
	const struct guest_isa *isa = &vm->isa;
	unsigned int hart = vm->vcpu[cpu]->hart_id;
	int err = fdt_tree_begin(fdt, "cpu", hart);

	err = err ?: fdt_property_string(fdt, "device_type", "cpu");
	err = err ?: fdt_property_u32(fdt, "reg", hart);
	err = err ?: fdt_property_string(fdt, "status", "okay");
	err = err ?: fdt_property_string(fdt, "compatible", "riscv");
	/* Older guests know the first, newer ones may be built to know only the others. */
	err = err ?: fdt_property_string(fdt, "riscv,isa", isa->isa);
	err = err ?: fdt_property_string(fdt, "riscv,isa-base", "rv64i");
	err = err
		?: fdt_property(fdt, "riscv,isa-extensions", isa->extensions,
				(int)isa->extensions_size);
	err = err ?: fdt_property_string(fdt, "mmu-type", isa->mmu_type);
	err = err ?: write_block_size(fdt, "riscv,cbom-block-size", isa->cbom_block_size);
	err = err ?: write_block_size(fdt, "riscv,cboz-block-size", isa->cboz_block_size);
	err = err ?: write_intc(fdt, cpu);
	return err ?: fdt_end_node(fdt);
}

static int write_cpus(const struct vm *vm, void *fdt)
{
	int err = fdt_begin_node(fdt, "cpus");

	err = err ?: cells(fdt, 1, 0);
	err = err ?: fdt_property_u32(fdt, "timebase-frequency", vm->isa.timebase_frequency);
	for (unsigned int cpu = 0; cpu < vm->vcpu_count; cpu++)
		err = err ?: write_cpu(vm, fdt, cpu);
	return err ?: fdt_end_node(fdt);
}

static int write_soc(const struct vm *vm, void *fdt)
{
	int err = fdt_begin_node(fdt, "soc");

	err = err ?: cells(fdt, 2, 2);
	err = err ?: fdt_property_string(fdt, "compatible", "simple-bus");
	err = err ?: fdt_property(fdt, "ranges", NULL, 0);
	for (unsigned int i = 0; i < vm->bus.count; i++) {
		const struct device *dev = vm->bus.dev[i];

		if (dev->ops->fdt)
			err = err ?: dev->ops->fdt(dev, fdt);
	}
	return err ?: fdt_end_node(fdt);
}

static int write_syscon(void *fdt, const char *name, const char *compatible, uint32_t value)
{
	int err = fdt_begin_node(fdt, name);

	err = err ?: fdt_property_u32(fdt, "value", value);
	err = err ?: fdt_property_u32(fdt, "offset", 0);
	err = err ?: fdt_property_u32(fdt, "regmap", FDT_TREE_PHANDLE_TEST);
	err = err ?: fdt_property_string(fdt, "compatible", compatible);
	return err ?: fdt_end_node(fdt);
}

static int write_root(const struct vm *vm, const struct fdt_tree_boot *boot, void *fdt)
{
	int err = fdt_begin_node(fdt, "");

	err = err ?: cells(fdt, 2, 2);
	err = err ?: FDT_TREE_STRINGS(fdt, "compatible", "duvisor,virt\0riscv-virtio");
	err = err ?: fdt_property_string(fdt, "model", "duvisor,virt");
	err = err ?: write_chosen(vm, boot, fdt);
	err = err ?: write_aliases(vm, fdt);
	err = err ?: write_memory(vm, fdt);
	err = err ?: write_cpus(vm, fdt);
	err = err ?: write_soc(vm, fdt);
	if (has_device(vm, BOARD_TEST_BASE)) {
		err = err ?: write_syscon(fdt, "poweroff", "syscon-poweroff", POWEROFF_VALUE);
		err = err ?: write_syscon(fdt, "reboot", "syscon-reboot", RESET_VALUE);
	}
	return err ?: fdt_end_node(fdt);
}

int fdt_tree_generate(const struct vm *vm, const struct fdt_tree_boot *boot, void *buf, size_t size)
{
	int err = fdt_create(buf, (int)size);

	err = err ?: fdt_finish_reservemap(buf);
	err = err ?: write_root(vm, boot, buf);
	err = err ?: fdt_finish(buf);
	return err ?: (int)fdt_totalsize(buf);
}

/* Every node that says it is memory, whatever its name. */
static int delete_memory(void *fdt)
{
	int node;

	while ((node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory",
						     sizeof("memory"))) >= 0) {
		int err = fdt_del_node(fdt, node);

		if (err)
			return err;
	}
	return node == -FDT_ERR_NOTFOUND ? 0 : node;
}

static int replace_memory(const struct vm *vm, void *fdt)
{
	char name[NODE_NAME_SIZE];
	int err = delete_memory(fdt);
	int node;

	if (err)
		return err;
	snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)vm->mem.base);
	node = fdt_add_subnode(fdt, 0, name);
	if (node < 0)
		return node;
	err = fdt_setprop_string(fdt, node, "device_type", "memory");
	return err ?: fdt_appendprop_addrrange(fdt, 0, node, "reg", vm->mem.base, vm->mem.size);
}

static int replace_seeds(void *fdt, int chosen)
{
	uint8_t rng[RNG_SEED_SIZE];
	uint64_t kaslr;
	int err = 0;

	if (getrandom(rng, sizeof(rng), GRND_NONBLOCK) == (ssize_t)sizeof(rng))
		err = fdt_setprop(fdt, chosen, "rng-seed", rng, sizeof(rng));
	if (!err && getrandom(&kaslr, sizeof(kaslr), GRND_NONBLOCK) == (ssize_t)sizeof(kaslr))
		err = fdt_setprop_u64(fdt, chosen, "kaslr-seed", kaslr);
	return err;
}

static int replace_chosen(const struct vm *vm, const struct fdt_tree_boot *boot, void *fdt)
{
	const char *cmdline = vm->config->cmdline;
	int chosen = fdt_path_offset(fdt, "/chosen");
	int err = 0;

	if (chosen == -FDT_ERR_NOTFOUND)
		chosen = fdt_add_subnode(fdt, 0, "chosen");
	if (chosen < 0)
		return chosen;
	if (cmdline)
		err = fdt_setprop_string(fdt, chosen, "bootargs", cmdline);
	if (boot->initrd_size) {
		err = err ?: fdt_setprop_u64(fdt, chosen, "linux,initrd-start", boot->initrd);
		err = err
			?: fdt_setprop_u64(fdt, chosen, "linux,initrd-end",
					   boot->initrd + boot->initrd_size);
	}
	return err ?: replace_seeds(fdt, chosen);
}

int fdt_tree_adapt(const struct vm *vm, const struct fdt_tree_boot *boot, const void *in,
		   size_t size_in, void *buf, size_t size)
{
	int err = fdt_check_full(in, size_in);

	err = err ?: fdt_open_into(in, buf, (int)size);
	err = err ?: replace_memory(vm, buf);
	err = err ?: replace_chosen(vm, boot, buf);
	err = err ?: fdt_pack(buf);
	return err ?: (int)fdt_totalsize(buf);
}
