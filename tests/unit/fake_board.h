/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM as devices and loader see it: memory, bus, console and event loop are the real ones;
 * what reaches a vCPU or ends the VM is only written down.
 */
#ifndef TESTS_FAKE_BOARD_H
#define TESTS_FAKE_BOARD_H

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "device.h"
#include "irqchip.h"
#include "vcpu.h"
#include "vm.h"

#define FAKE_RAM (8ULL << 20)

struct fake_board {
	struct vm_config config;
	struct vm vm;
	/* What was seen. */
	bool ext_irq[VM_MAX_VCPUS];
	unsigned int ext_irq_changes;
	unsigned int msi_sent[VM_MAX_VCPUS];
	enum vm_stop stop;
	unsigned int stop_code;
	struct vcpu *self; /* that the test's accesses are made by */
	bool without_hot;
};

static struct fake_board board;

void vcpu_set_ext_irq(struct vcpu *vcpu, bool level)
{
	board.ext_irq[vcpu->index] = level;
	board.ext_irq_changes++;
}

struct vcpu *vcpu_self(void)
{
	return board.self;
}

void vcpu_send_ext_irq(struct vcpu *vcpu)
{
	board.msi_sent[vcpu->index]++;
}

void vm_request_stop(struct vm *vm, enum vm_stop reason, unsigned int code)
{
	assert_ptr_equal(vm, &board.vm);
	if (board.stop == VM_STOP_NONE) {
		board.stop = reason;
		board.stop_code = code;
	}
}

static inline void board_setup(unsigned int cpus)
{
	static const char extensions[] = "i\0m\0a\0sstc";
	const struct memory_options plain = {0};

	memset(&board, 0, sizeof(board));
	board.config = (struct vm_config){.cpus = cpus, .serial = true, .ram_size = FAKE_RAM};
	board.vm.config = &board.config;
	strcpy(board.vm.isa.isa, "rv64ima_sstc");
	memcpy(board.vm.isa.extensions, extensions, sizeof(extensions));
	board.vm.isa.extensions_size = sizeof(extensions);
	strcpy(board.vm.isa.mmu_type, "riscv,sv39");
	board.vm.isa.timebase_frequency = 10000000;
	assert_int_equal(memory_create(&board.vm.mem, FAKE_RAM, &plain), 0);
	board.vm.console = console_create();
	assert_non_null(board.vm.console);
	assert_int_equal(io_init(&board.vm.io, board.vm.isa.timebase_frequency, 200), 0);
	for (unsigned int i = 0; i < cpus; i++) {
		board.vm.vcpu[i] = calloc(1, sizeof(struct vcpu));
		assert_non_null(board.vm.vcpu[i]);
		board.vm.vcpu[i]->index = i;
		board.vm.vcpu[i]->hart_id = i;
		board.vm.vcpu_count++;
	}
	board.self = board.vm.vcpu[0];
	board.without_hot = getenv("DUVISOR_TEST_WITHOUT_HOT") != NULL;
}

static inline void board_teardown(void)
{
	bus_destroy(&board.vm.bus);
	io_destroy(&board.vm.io);
	assert_int_equal(board.vm.io.count, 0);
	assert_int_equal(board.vm.io.poller_count, 0);
	console_destroy(board.vm.console);
	while (board.vm.vcpu_count)
		free(board.vm.vcpu[--board.vm.vcpu_count]);
	memory_destroy(&board.vm.mem);
}

/*
 * Accesses as a guest makes them; they must be answered. As entry.S does it, a hot register is asked first. Tests of
 * devices that have any run once more without it (meson.build).
 */
static inline uint64_t guest_read(gpa_t gpa, unsigned int len)
{
	struct device *dev = bus_find(&board.vm.bus, gpa, len);
	hot_value hot = HOT_DECLINED;
	uint64_t val = ~0ULL;

	if (!board.without_hot && dev && dev->ops->hot_load)
		hot = dev->ops->hot_load(dev, gpa - dev->base, len);
	if (!(hot >> 64))
		return (uint64_t)hot;
	assert_int_equal(bus_read(&board.vm.bus, gpa, len, &val), 0);
	return val;
}

static inline void guest_write(gpa_t gpa, unsigned int len, uint64_t val)
{
	struct device *dev = bus_find(&board.vm.bus, gpa, len);

	/* What is above the value's length is rubbish there. */
	if (!board.without_hot && dev && dev->ops->hot_store && len < 8 &&
	    !dev->ops->hot_store(dev, gpa - dev->base, len, val | ~0ULL << 8 * len))
		return;
	assert_int_equal(bus_write(&board.vm.bus, gpa, len, val), 0);
}

/* A line as a device's hot register moves it, or else as any other. */
static inline void board_set_line(unsigned int irq, bool level)
{
	if (board.without_hot || irqchip_hot_line(board.vm.irqchip, irq, level))
		irqchip_set_line(&board.vm, irq, level);
}

#endif
