/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exits, one by one: what the guest finds in its registers when it goes on. */
#include "fake_vm.h"

#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "insn.h"

#define EPC 0xffffffff80001234
#define VSTVEC 0xffffffff80002000
#define WFI 0x10500073

#define VSSTATUS_SIE (1ULL << 1)
#define VSSTATUS_SPIE (1ULL << 5)
#define VSSTATUS_SPP (1ULL << 8)

static struct fake_vm f;
static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_setup(&f, 1);
	vcpu = fake_vm_boot(&f);
	hart_write_huvstvec(VSTVEC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_teardown(&f);
	return 0;
}

static void test_start_state(void **state)
{
	(void)state;
	assert_int_equal(vcpu->gpr[REG_A0], 0);
	assert_int_equal(vcpu->gpr[REG_A1], f.vm.boot.dtb);
	assert_int_equal(hart_read_huepc(), MEMORY_BASE);
	assert_int_equal(hart_read_hustatus(), HUSTATUS_SPV | HUSTATUS_SPVP | HUSTATUS_VTW);
	assert_int_equal(hart_read_huedeleg(), HUEDELEG_MASK);
	assert_int_equal(hart_read_huvsatp(), 0);
	assert_int_equal(hart_read_huvstimecmp(), UINT64_MAX);
	assert_int_equal(hart_read_hugatp(), gstage_hugatp(&f.vm.gstage));
	assert_true(hart_fake()->fences >= 2);
}

static void expect_injected(uint64_t cause, uint64_t tval, uint64_t vsstatus)
{
	assert_int_equal(hart_read_huvscause(), cause);
	assert_int_equal(hart_read_huvsepc(), EPC);
	assert_int_equal(hart_read_huvstval(), tval);
	assert_int_equal(hart_read_huvsstatus(), vsstatus);
	assert_int_equal(hart_read_huepc(), VSTVEC);
	assert_int_equal(hart_read_hustatus() & HUSTATUS_SPVP, HUSTATUS_SPVP);
}

static void test_injection(void **state)
{
	uint64_t other = 3ULL << 13 | 2ULL << 32 | 1ULL << 18; /* FS, UXL, SUM stay */

	(void)state;
	hart_write_huvsstatus(other | VSSTATUS_SIE);
	fake_run(vcpu,
		 (struct vcpu_trap){
			 .cause = 13, .epc = EPC, .tval = 0xdead, .status = HUSTATUS_SPVP});
	expect_injected(13, 0xdead, other | VSSTATUS_SPP | VSSTATUS_SPIE);
	/* From VU-mode, with interrupts off before: SPP and SPIE must become 0. */
	hart_write_huvsstatus(other | VSSTATUS_SPP | VSSTATUS_SPIE);
	fake_run(vcpu, (struct vcpu_trap){.cause = 8, .epc = EPC});
	expect_injected(8, 0, other);
	/* Vectored mode does not apply to exceptions. */
	hart_write_huvstvec(VSTVEC | 1);
	fake_run(vcpu, (struct vcpu_trap){.cause = 3, .epc = EPC, .tval = 5});
	expect_injected(3, 5, other);
}

static void test_every_cause(void **state)
{
	/* Those that hardware may give to the guest itself, and access faults. */
	static const unsigned int reflected[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 18};
	uint64_t seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reflected); i++) {
		hart_write_huvsstatus(0);
		fake_run(vcpu, (struct vcpu_trap){.cause = reflected[i], .epc = EPC, .tval = 9});
		expect_injected(reflected[i], 9, 0);
		seen |= 1ULL << reflected[i];
	}
	for (unsigned int cause = 48; cause <= 51; cause++) {
		fake_run(vcpu, (struct vcpu_trap){.cause = cause, .epc = EPC});
		assert_int_equal(hart_read_huepc(), EPC);
		seen |= 1ULL << cause;
	}
	seen |= 1ULL << 10 | 1ULL << 20 | 1ULL << 21 | 1ULL << 22 | 1ULL << 23;
	for (unsigned int cause = 0; cause < 64; cause++) {
		if (seen >> cause & 1)
			continue;
		f.vm.phase = VM_RUNNING;
		f.vm.stop = VM_STOP_NONE;
		fake_run(vcpu, (struct vcpu_trap){.cause = cause, .epc = EPC});
		assert_int_equal(f.vm.stop, VM_STOP_CRASH);
	}
	/* A number that no table has. */
	f.vm.phase = VM_RUNNING;
	f.vm.stop = VM_STOP_NONE;
	fake_run(vcpu, (struct vcpu_trap){.cause = 1ULL << 63, .epc = EPC});
	assert_int_equal(f.vm.stop, VM_STOP_CRASH);
}

static void test_exit_from_hypervisor_is_a_crash(void **state)
{
	(void)state;
	fake_run_raw(vcpu, &(struct vcpu_trap){.cause = 13, .epc = EPC});
	assert_int_equal(f.vm.stop, VM_STOP_CRASH);
}

static void test_virtual_instruction(void **state)
{
	(void)state;
	fake_run(vcpu, (struct vcpu_trap){.cause = 22, .epc = EPC, .tval = 0x10200073});
	expect_injected(2, 0x10200073, 2ULL << 32);
	/* WFI with something pending does not sleep. */
	hart_write_huvsie(1 << 9);
	hart_set_huvip(HUVIP_VSEIP);
	fake_run(vcpu,
		 (struct vcpu_trap){.cause = 22, .epc = EPC, .tval = WFI, .status = HUSTATUS_SPVP});
	assert_int_equal(hart_read_huepc(), EPC + 4);
	/* A user process cannot halt its hart. */
	fake_run(vcpu, (struct vcpu_trap){.cause = 22, .epc = EPC, .tval = WFI});
	expect_injected(2, WFI, 2ULL << 32);
}

#define RDTIME_A0 0xc0102573
#define STIMECMP_READ 0x14d02573

static void read_time(uint64_t insn, uint64_t status)
{
	hart_write_huvsstatus(0);
	vcpu->gpr[REG_A0] = 1;
	fake_run(vcpu, (struct vcpu_trap){.cause = 22, .epc = EPC, .tval = insn, .status = status});
}

static void test_time_without_sstc(void **state)
{
	(void)state;
	/* A guest with Sstc never exits for it. */
	read_time(RDTIME_A0, HUSTATUS_SPVP);
	expect_injected(2, RDTIME_A0, VSSTATUS_SPP);
	f.config.no_sstc = true;
	hart_write_hutimedelta(1000);
	read_time(RDTIME_A0, HUSTATUS_SPVP);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	assert_int_equal(vcpu->gpr[REG_A0], hart_time() + 1000);
	read_time(0xc0107573, HUSTATUS_SPVP); /* csrrci a0, time, 0 */
	assert_int_equal(vcpu->gpr[REG_A0], hart_time() + 1000);
	read_time(0xc0102073, HUSTATUS_SPVP); /* into x0 */
	assert_int_equal(vcpu->gpr[0], 0);
	/* The timer register does not exist; nor do writes of the time, or other counters. */
	read_time(STIMECMP_READ, HUSTATUS_SPVP);
	expect_injected(2, STIMECMP_READ, VSSTATUS_SPP);
	read_time(0xc010a573, HUSTATUS_SPVP); /* csrrs a0, time, x1 */
	expect_injected(2, 0xc010a573, VSSTATUS_SPP);
	read_time(0xc0302573, HUSTATUS_SPVP);
	expect_injected(2, 0xc0302573, VSSTATUS_SPP);
	/* A process of the guest reads it if the guest's kernel lets it. */
	hart_write_huvscounteren(5);
	read_time(RDTIME_A0, 0);
	expect_injected(2, RDTIME_A0, 0);
	hart_write_huvscounteren(2);
	read_time(RDTIME_A0, 0);
	assert_int_equal(vcpu->gpr[REG_A0], hart_time() + 1000);
}

/* A device that remembers, at 0x10000000. */
static uint64_t device_value;
static int device_result;

static int device_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	(void)dev;
	(void)len;
	*val = device_value + off;
	return device_result;
}

static int device_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	(void)dev;
	(void)len;
	device_value = val + off;
	return device_result;
}

static void device_destroy(struct device *dev)
{
	free(dev);
}

static const struct device_ops device_ops = {
	.name = "test",
	.read = device_read,
	.write = device_write,
	.destroy = device_destroy,
};

static void add_device(void)
{
	struct device *dev = calloc(1, sizeof(*dev));

	assert_non_null(dev);
	*dev = (struct device){.ops = &device_ops, .base = 0x10000000, .size = 0x100};
	assert_int_equal(bus_add(&f.vm.bus, dev), 0);
	device_result = 0;
}

static void mmio(uint64_t cause, uint64_t gpa, uint64_t inst)
{
	hart_write_huvsstatus(0);
	fake_run(vcpu,
		 (struct vcpu_trap){
			 .cause = cause, .epc = EPC, .tval = 0x77, .gpa = gpa, .inst = inst});
}

static void test_mmio(void **state)
{
	(void)state;
	add_device();
	device_value = 0x8000;
	mmio(21, 0x10000010, 0x00001503); /* lh a0 */
	assert_int_equal(vcpu->gpr[REG_A0], 0xffffffffffff8010);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	mmio(21, 0x10000010, 0x00002501); /* c.lw a0 */
	assert_int_equal(vcpu->gpr[REG_A0], 0x8010);
	assert_int_equal(hart_read_huepc(), EPC + 2);
	vcpu->gpr[REG_A1] = 0x123456789;
	mmio(23, 0x10000020, 0x00b02023); /* sw a1 */
	assert_int_equal(device_value, 0x23456789 + 0x20);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	hart_fake()->fp[3] = 0x4045000000000000;
	mmio(23, 0x10000020, 0x00303025); /* c.fsd f3 */
	assert_int_equal(device_value, 0x4045000000000020);
	assert_int_equal(hart_read_huepc(), EPC + 2);
}

static hot_value hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	(void)dev;
	(void)off;
	(void)len;
	return HOT_DECLINED;
}

/* entry.S finds a device in the vCPU's places once it was used, if it has hot registers. */
static void test_hot_places(void **state)
{
	struct device other = {.base = 0x20000000, .size = 0x100};
	gpa_t gpa = 0x10000010;

	(void)state;
	add_device();
	mmio(21, gpa, 0x00001503);
	assert_ptr_equal(vcpu->hot[hot_place(gpa)], &hot_nothing);
	assert_ptr_equal(vcpu->recent[hot_place(gpa)], f.vm.bus.dev[0]);
	/* The place is another's now, then of a device with hot registers. */
	vcpu->recent[hot_place(gpa)] = &other;
	f.vm.bus.dev[0]->hot_load = hot_load;
	mmio(21, gpa + 0x1000, 0x00001503); /* nothing there */
	mmio(21, gpa, 0x00001503);
	for (unsigned int i = 0; i < HOT_PLACES; i++)
		assert_ptr_equal(vcpu->hot[i],
				 i == hot_place(gpa) ? f.vm.bus.dev[0] : &hot_nothing);
}

static void test_mmio_refused(void **state)
{
	(void)state;
	add_device();
	vcpu->gpr[REG_A0] = 1;
	/* Nothing there; half there; misaligned; second half of a misaligned one. */
	mmio(21, 0x20000000, 0x00003503);
	expect_injected(5, 0x77, 0);
	mmio(23, 0x100000fc, 0x00b03023);
	expect_injected(7, 0x77, 0);
	mmio(21, 0x10000001, 0x00001503);
	expect_injected(5, 0x77, 0);
	mmio(21, 0x10000000, 0x00023503);
	expect_injected(5, 0x77, 0);
	/* AMO, LR, a page table of the guest in a device, a fetch. */
	mmio(23, 0x10000000, 0x0000202f);
	expect_injected(7, 0x77, 0);
	mmio(21, 0x10000000, 0x1000202f);
	expect_injected(5, 0x77, 0);
	mmio(21, 0x10000000, INSN_PSEUDO_READ);
	expect_injected(5, 0x77, 0);
	mmio(23, 0x10000000, INSN_PSEUDO_WRITE);
	expect_injected(7, 0x77, 0);
	mmio(20, 0x10000000, 0);
	expect_injected(1, 0x77, 0);
	mmio(20, 0x10000000, INSN_PSEUDO_READ);
	expect_injected(1, 0x77, 0);
	device_result = -EIO;
	mmio(21, 0x10000000, 0x00003503);
	expect_injected(5, 0x77, 0);
	assert_int_equal(vcpu->gpr[REG_A0], 1);
}

static void test_lazy_ram(void **state)
{
	uint64_t size = 0;
	uint64_t pte;

	(void)state;
	f.config.lazy_map = true;
	mmio(20, MEMORY_BASE + 0x3456, 0);
	assert_int_equal(hart_read_huepc(), EPC);
	pte = gstage_lookup(&f.vm.gstage, MEMORY_BASE + 0x3000, &size);
	assert_int_equal(size, 4096);
	assert_int_equal(pte >> 10 << 12, (uintptr_t)f.vm.mem.hva + 0x3000);
	assert_int_equal(gstage_lookup(&f.vm.gstage, MEMORY_BASE + 0x4000, &size), 0);
	/* Once more (another vCPU was faster): no harm. The last byte of RAM, and one behind it. */
	mmio(21, MEMORY_BASE + 0x3456, 0x00003503);
	assert_int_equal(hart_read_huepc(), EPC);
	mmio(23, MEMORY_BASE + FAKE_RAM - 1, 0x00b00023);
	assert_int_equal(f.vm.stop, VM_STOP_NONE);
	mmio(23, MEMORY_BASE + FAKE_RAM, 0x00b00023);
	expect_injected(7, 0x77, 0);
}

static void test_ram_fault_without_lazy_is_a_crash(void **state)
{
	(void)state;
	mmio(21, MEMORY_BASE, 0x00003503);
	assert_int_equal(f.vm.stop, VM_STOP_CRASH);
}

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_start_state),
		ROW(test_injection),
		ROW(test_every_cause),
		ROW(test_exit_from_hypervisor_is_a_crash),
		ROW(test_virtual_instruction),
		ROW(test_time_without_sstc),
		ROW(test_mmio),
		ROW(test_hot_places),
		ROW(test_mmio_refused),
		ROW(test_lazy_ram),
		ROW(test_ram_fault_without_lazy_is_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
