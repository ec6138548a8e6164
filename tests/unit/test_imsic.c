/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interrupt file in memory, and the CSR instructions that reach it. */
#include "fake_vm.h"

#include <errno.h>

#include "dev/board.h"
#include "dev/imsic.h"
#include "dev/imsic_file.h"

#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIP(n) (0x80 + (n))
#define EIE(n) (0xc0 + (n))

#define EPC 0xffffffff80001234
#define SIREG 0x151
#define STOPEI 0x15c

static struct fake_vm f;
static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_setup(&f, 2);
	assert_int_equal(imsic_create(&f.vm), 0);
	bus_reset(&f.vm.bus);
	vcpu = fake_vm_boot(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_teardown(&f);
	return 0;
}

static uint64_t get(struct imsic_file *file, uint64_t select)
{
	uint64_t old = 0;

	assert_int_equal(imsic_file_access(file, select, &old, 0, 0), 0);
	return old;
}

static void set(struct imsic_file *file, uint64_t select, uint64_t value)
{
	uint64_t old;

	assert_int_equal(imsic_file_access(file, select, &old, value, UINT64_MAX), 0);
}

static void test_identities(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	set(file, EIDELIVERY, 1);
	for (uint32_t id = 0; id < 300; id++) {
		bool exists = id && id <= IMSIC_MAX_ID;

		/* Not enabled: it pends, and that is all. */
		assert_false(imsic_file_send(file, id));
		assert_int_equal(imsic_file_top(file), 0);
		if (!exists)
			continue;
		assert_int_equal(get(file, EIP(id / 64 * 2)), 1ULL << id % 64);
		set(file, EIE(id / 64 * 2), 1ULL << id % 64);
		assert_true(imsic_file_output(file));
		assert_int_equal(imsic_file_top(file), id << 16 | id);
		assert_int_equal(imsic_file_claim(file), id << 16 | id);
		assert_false(imsic_file_output(file));
		assert_int_equal(imsic_file_claim(file), 0);
		/* Enabled: it interrupts at once. */
		assert_true(imsic_file_send(file, id));
		imsic_file_claim(file);
		set(file, EIE(id / 64 * 2), 0);
	}
}

static void test_the_lowest_comes_first(void **state)
{
	static const uint32_t ids[] = {255, 3, 64, 127, 1, 128, 63};
	static const uint32_t order[] = {1, 3, 63, 64, 127, 128, 255};
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	set(file, EIDELIVERY, 1);
	for (unsigned int w = 0; w < IMSIC_WORDS; w++)
		set(file, EIE(2 * w), UINT64_MAX);
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		imsic_file_send(file, ids[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(imsic_file_claim(file) >> 16, order[i]);
}

static void test_threshold(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	set(file, EIDELIVERY, 1);
	set(file, EIE(0), UINT64_MAX);
	set(file, EITHRESHOLD, 10);
	assert_false(imsic_file_send(file, 10));
	assert_int_equal(imsic_file_top(file), 0);
	assert_true(imsic_file_send(file, 9));
	assert_int_equal(imsic_file_claim(file) >> 16, 9);
	assert_false(imsic_file_output(file));
	/* 0: no threshold. */
	set(file, EITHRESHOLD, 0);
	assert_true(imsic_file_output(file));
}

/* eidelivery stops the signal, not the register. */
static void test_delivery(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	set(file, EIE(0), UINT64_MAX);
	assert_false(imsic_file_send(file, 5));
	assert_int_equal(imsic_file_top(file) >> 16, 5);
	set(file, EIDELIVERY, 1);
	assert_true(imsic_file_output(file));
}

static void test_registers(void **state)
{
	static const uint64_t none[] = {0,       0x2f,  0x30,   0x6f,       0x71,
					0x73,    0x7f,  EIP(1), EIP(63),    EIE(1),
					EIE(63), 0x100, 0x1000, 1ULL << 32, ~0ULL};
	struct imsic_file *file = vcpu->imsic;
	uint64_t old;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(imsic_file_access(file, none[i], &old, ~0ULL, ~0ULL), -EINVAL);
	/* There is no identity 0, and none above the last. */
	set(file, EIE(0), UINT64_MAX);
	assert_int_equal(get(file, EIE(0)), UINT64_MAX - 1);
	set(file, EIP(0), UINT64_MAX);
	assert_int_equal(get(file, EIP(0)), UINT64_MAX - 1);
	set(file, EIE(2 * IMSIC_WORDS), UINT64_MAX);
	assert_int_equal(get(file, EIE(2 * IMSIC_WORDS)), 0);
	set(file, EIE(62), UINT64_MAX);
	assert_int_equal(get(file, EIE(62)), 0);
	/* Values that are not legal change nothing. */
	set(file, EIDELIVERY, 1);
	set(file, EIDELIVERY, 0x40000000);
	assert_int_equal(get(file, EIDELIVERY), 1);
	set(file, EITHRESHOLD, IMSIC_MAX_ID);
	set(file, EITHRESHOLD, IMSIC_MAX_ID + 1);
	assert_int_equal(get(file, EITHRESHOLD), IMSIC_MAX_ID);
	/* Only the bits of the mask. */
	set(file, EIE(2), 0xff);
	assert_int_equal(imsic_file_access(file, EIE(2), &old, 0xf00, 0xf0f), 0);
	assert_int_equal(old, 0xff);
	assert_int_equal(get(file, EIE(2)), 0xff0);
}

static void test_pages(void **state)
{
	gpa_t page0 = BOARD_IMSIC_BASE, page1 = BOARD_IMSIC_BASE + 0x1000;
	uint64_t val;

	(void)state;
	assert_int_equal(bus_write(&f.vm.bus, page1, 4, 7), 0);
	assert_int_equal(get(f.vm.vcpu[1]->imsic, EIP(0)), 1 << 7);
	assert_int_equal(get(vcpu->imsic, EIP(0)), 0);
	assert_int_equal(bus_write(&f.vm.bus, page0, 4, 8), 0);
	assert_int_equal(get(vcpu->imsic, EIP(0)), 1 << 8);
	/* Big-endian messages are not for this hart; nor is anything behind them. */
	assert_int_equal(bus_write(&f.vm.bus, page0 + 4, 4, 9), 0);
	assert_int_equal(bus_write(&f.vm.bus, page0 + 0xffc, 4, 9), 0);
	assert_int_equal(get(vcpu->imsic, EIP(0)), 1 << 8);
	assert_int_equal(bus_read(&f.vm.bus, page0, 4, &val), 0);
	assert_int_equal(val, 0);
	assert_int_equal(bus_write(&f.vm.bus, page0, 8, 9), -EINVAL);
	assert_int_equal(bus_write(&f.vm.bus, page0, 1, 9), -EINVAL);
	assert_int_equal(bus_read(&f.vm.bus, page0, 2, &val), -EINVAL);
	assert_int_equal(bus_write(&f.vm.bus, page1 + 0x1000, 4, 9), -ENXIO);
	/* Numbers that do not exist. */
	imsic_send(&f.vm, 2, 9);
	imsic_send(&f.vm, UINT32_MAX, 9);
	imsic_send(&f.vm, 0, 256);
	assert_int_equal(get(vcpu->imsic, EIP(0)), 1 << 8);
}

/* ---- CSR instructions ---- */

#define FUNCT3(op, immediate) ((op) | ((immediate) ? 4 : 0))
#define CSR_INSN(csr, f3, rd, rs1)                                                                 \
	((uint64_t)(csr) << 20 | (uint64_t)(rs1) << 15 | (uint64_t)(f3) << 12 | (rd) << 7 | 0x73)
enum { RW = 1, RS = 2, RC = 3 };

static void execute(uint64_t insn, uint64_t privilege)
{
	fake_run(vcpu,
		 (struct vcpu_trap){.cause = DV_CAUSE_VIRTUAL_INST,
				    .epc = EPC,
				    .tval = insn,
				    .status = privilege});
}

static uint64_t csr(unsigned int number, unsigned int f3, unsigned int rs1)
{
	vcpu->gpr[5] = 0xdead;
	execute(CSR_INSN(number, f3, 5, rs1), HUSTATUS_SPVP);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	return vcpu->gpr[5];
}

static uint64_t sireg(uint64_t select, unsigned int f3, uint64_t operand)
{
	hart_write_huvsiselect(select);
	vcpu->gpr[6] = operand;
	return csr(SIREG, f3, f3 & 4 ? (unsigned int)operand : 6);
}

static void test_sireg(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	assert_int_equal(sireg(EIDELIVERY, RW | 4, 1), 0);
	assert_int_equal(sireg(EIDELIVERY, RS | 4, 0), 1);
	assert_int_equal(sireg(EIE(0), RW, 0xf0), 0);
	assert_int_equal(sireg(EIE(0), RS, 0x0c), 0xf0);
	assert_int_equal(sireg(EIE(0), RC, 0x30), 0xfc);
	assert_int_equal(sireg(EIE(0), RS | 4, 2), 0xcc);
	assert_int_equal(sireg(EIE(0), RC | 4, 4), 0xce);
	assert_int_equal(get(file, EIE(0)), 0xca);
	/* x0 as the destination stays zero. */
	hart_write_huvsiselect(EIE(0));
	execute(CSR_INSN(SIREG, RS, 0, 0), HUSTATUS_SPVP);
	assert_int_equal(vcpu->gpr[0], 0);
	/* Priorities of major interrupts are zero, for good. */
	assert_int_equal(sireg(0x30, RW, ~0ULL), 0);
	assert_int_equal(sireg(0x3e, RS, 0), 0);
}

static void test_stopei(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	set(file, EIDELIVERY, 1);
	set(file, EIE(0), UINT64_MAX);
	imsic_file_send(file, 3);
	imsic_file_send(file, 4);
	vcpu_sync_ext_irq(vcpu);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, HUVIP_VSEIP);
	/* Reading claims nothing, csrrs of x0 and csrrci 0 only read. */
	assert_int_equal(csr(STOPEI, RS, 0), 3 << 16 | 3);
	assert_int_equal(csr(STOPEI, RC | 4, 0), 3 << 16 | 3);
	/* Any write claims, whatever is written. */
	assert_int_equal(csr(STOPEI, RW, 0), 3 << 16 | 3);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, HUVIP_VSEIP);
	vcpu->gpr[7] = 0;
	assert_int_equal(csr(STOPEI, RS, 7), 4 << 16 | 4);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, 0);
	assert_int_equal(csr(STOPEI, RW, 0), 0);
}

/* What enables makes pending interrupts arrive, without a message. */
static void test_enabling_interrupts(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	imsic_file_send(file, 70);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, 0);
	sireg(EIDELIVERY, RW | 4, 1);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, 0);
	sireg(EIE(2), RW, 1 << 6);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, HUVIP_VSEIP);
	sireg(EITHRESHOLD, RW | 4, 30);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, 0);
}

static void expect_illegal(uint64_t insn, uint64_t privilege)
{
	hart_write_huvstvec(0x4000);
	execute(insn, privilege);
	assert_int_equal(hart_read_huepc(), 0x4000);
	assert_int_equal(hart_read_huvscause(), DV_CAUSE_ILLEGAL_INST);
	assert_int_equal(hart_read_huvstval(), insn);
}

static void test_refused(void **state)
{
	(void)state;
	hart_write_huvsiselect(EIE(0));
	/* User mode of the guest. */
	expect_illegal(CSR_INSN(SIREG, RS, 5, 0), 0);
	expect_illegal(CSR_INSN(STOPEI, RW, 5, 0), 0);
	assert_int_equal(get(vcpu->imsic, EIE(0)), 0);
	/* Other CSRs, other instructions. */
	expect_illegal(CSR_INSN(0x150, RS, 5, 0), HUSTATUS_SPVP);
	expect_illegal(CSR_INSN(0x251, RS, 5, 0), HUSTATUS_SPVP);
	expect_illegal(CSR_INSN(0x25c, RS, 5, 0), HUSTATUS_SPVP);
	expect_illegal(CSR_INSN(SIREG, 0, 5, 0), HUSTATUS_SPVP);
	expect_illegal(CSR_INSN(SIREG, 4, 5, 0), HUSTATUS_SPVP);
	expect_illegal(CSR_INSN(SIREG, RS, 5, 0) & ~1ULL, HUSTATUS_SPVP);
	expect_illegal(0, HUSTATUS_SPVP);
	/* Registers that do not exist. */
	hart_write_huvsiselect(EIE(1));
	expect_illegal(CSR_INSN(SIREG, RS, 5, 0), HUSTATUS_SPVP);
	hart_write_huvsiselect(0x31);
	expect_illegal(CSR_INSN(SIREG, RS, 5, 0), HUSTATUS_SPVP);
	hart_write_huvsiselect(0);
	expect_illegal(CSR_INSN(SIREG, RW, 5, 6), HUSTATUS_SPVP);
}

/* ---- messages to another vCPU ---- */

static void test_send(void **state)
{
	struct vcpu *other = f.vm.vcpu[1];

	(void)state;
	set(other->imsic, EIDELIVERY, 1);
	set(other->imsic, EIE(0), 1 << 9);
	/* Not enabled: nobody is disturbed. */
	hart_fake_resident[1] = 1;
	imsic_send(&f.vm, 1, 8);
	assert_int_equal(hart_fake_posted[1], 0);
	assert_int_equal(other->request, 0);
	/* It runs: a post is all. */
	imsic_send(&f.vm, 1, 9);
	assert_int_equal(hart_fake_posted[1], HUVIP_VSEIP);
	assert_int_equal(other->request, 0);
	/* It sleeps, or is elsewhere: it must look itself. */
	atomic_store(&other->sleeping, 1);
	imsic_send(&f.vm, 1, 9);
	assert_int_equal(other->request, VCPU_REQ_EXT_IRQ);
	other->request = 0;
	atomic_store(&other->sleeping, 0);
	hart_fake_resident[1] = 0;
	imsic_send(&f.vm, 1, 9);
	assert_int_equal(other->request, VCPU_REQ_EXT_IRQ);
}

static void test_reset(void **state)
{
	(void)state;
	set(vcpu->imsic, EIDELIVERY, 1);
	set(vcpu->imsic, EIE(0), UINT64_MAX);
	set(vcpu->imsic, EITHRESHOLD, 40);
	imsic_send(&f.vm, 0, 9);
	bus_reset(&f.vm.bus);
	assert_int_equal(get(vcpu->imsic, EIDELIVERY), 0);
	assert_int_equal(get(vcpu->imsic, EIE(0)), 0);
	assert_int_equal(get(vcpu->imsic, EIP(0)), 0);
	assert_int_equal(get(vcpu->imsic, EITHRESHOLD), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_lowest_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threshold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivery, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sireg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopei, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enabling_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
