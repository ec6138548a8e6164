/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt files as software uses them: messages, and telling the vCPU. What harts do with them is the ISA tests' subject. */
#include "fake_vm.h"

#include <errno.h>

#include "dev/board.h"
#include "dev/imsic.h"
#include "dev/imsic_file.h"

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

static void enable(struct imsic_file *file, uint32_t id)
{
	atomic_fetch_or(&file->eie[id / 64], 1ULL << id % 64);
}

static void test_identities(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	atomic_store(&file->delivery, 1);
	for (uint32_t id = 0; id < 300; id++) {
		bool exists = id && id <= IMSIC_MAX_ID;

		/* Not enabled: it pends, and that is all. */
		assert_false(imsic_file_send(file, id));
		if (!exists)
			continue;
		assert_int_equal(file->eip[id / 64], 1ULL << id % 64);
		enable(file, id);
		assert_true(imsic_file_output(file));
		atomic_store(&file->eip[id / 64], 0);
		assert_false(imsic_file_output(file));
		/* Enabled: it interrupts at once. */
		assert_true(imsic_file_send(file, id));
		atomic_store(&file->eip[id / 64], 0);
		atomic_store(&file->eie[id / 64], 0);
	}
}

static void test_threshold(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	atomic_store(&file->delivery, 1);
	atomic_store(&file->eie[0], UINT64_MAX);
	atomic_store(&file->threshold, 10);
	assert_false(imsic_file_send(file, 10));
	assert_true(imsic_file_send(file, 9));
	atomic_store(&file->eip[0], 1 << 10);
	assert_false(imsic_file_output(file));
	/* 0: no threshold. */
	atomic_store(&file->threshold, 0);
	assert_true(imsic_file_output(file));
}

/* The guest owns the memory's contents, so there can be anything in it. */
static void test_delivery(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	atomic_store(&file->eie[0], UINT64_MAX);
	assert_false(imsic_file_send(file, 5));
	atomic_store(&file->delivery, 1);
	assert_true(imsic_file_output(file));
	atomic_store(&file->delivery, 2);
	assert_false(imsic_file_output(file));
}

static void test_pages(void **state)
{
	gpa_t page0 = BOARD_IMSIC_BASE, page1 = BOARD_IMSIC_BASE + 0x1000;
	uint64_t val;

	(void)state;
	assert_int_equal(bus_write(&f.vm.bus, page1, 4, 7), 0);
	assert_int_equal(f.vm.vcpu[1]->imsic->eip[0], 1 << 7);
	assert_int_equal(vcpu->imsic->eip[0], 0);
	assert_int_equal(bus_write(&f.vm.bus, page0, 4, 8), 0);
	assert_int_equal(vcpu->imsic->eip[0], 1 << 8);
	/* Big-endian messages are not for this hart; nor is anything behind them. */
	assert_int_equal(bus_write(&f.vm.bus, page0 + 4, 4, 9), 0);
	assert_int_equal(bus_write(&f.vm.bus, page0 + 0xffc, 4, 9), 0);
	assert_int_equal(vcpu->imsic->eip[0], 1 << 8);
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
	assert_int_equal(vcpu->imsic->eip[0], 1 << 8);
}

/* ---- messages to another vCPU ---- */

static void test_send(void **state)
{
	struct vcpu *other = f.vm.vcpu[1];

	(void)state;
	atomic_store(&other->imsic->delivery, 1);
	enable(other->imsic, 9);
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

/* The hart is told where the files are, and a sleeper that its senders are to wake it. */
static void test_lent_to_the_hart(void **state)
{
	(void)state;
	assert_int_equal(hart_read_hufilegpa(), BOARD_IMSIC_BASE);
	assert_int_equal(hart_read_hufiles(), (uintptr_t)vcpu->imsic | 2);
	assert_ptr_equal(f.vm.vcpu[1]->imsic, vcpu->imsic + 1);
}

/* A message that was stored while the vCPU was on no hart was not posted, but a sleeper finds it. */
static void test_sleeper_looks(void **state)
{
	(void)state;
	atomic_store(&vcpu->imsic->delivery, 1);
	enable(vcpu->imsic, 9);
	atomic_store(&vcpu->imsic->eip[0], 1 << 9);
	hart_write_huvsie(1 << 9);
	vcpu_wait_for_interrupt(vcpu);
	assert_int_equal(hart_read_huvip() & HUVIP_VSEIP, HUVIP_VSEIP);
	assert_int_equal(vcpu->imsic->notify, 0);
}

/* The exit of a sender: the message is there already, its receiver asleep. */
static void test_message_exit(void **state)
{
	struct vcpu *other = f.vm.vcpu[1];

	(void)state;
	atomic_store(&other->sleeping, 1);
	fake_run(vcpu, (struct vcpu_trap){.cause = DV_CAUSE_MESSAGE, .epc = 0x4002, .tval = 1});
	assert_int_equal(other->request, VCPU_REQ_EXT_IRQ);
	assert_int_equal(hart_read_huepc(), 0x4002);
}

static void test_reset(void **state)
{
	struct imsic_file *file = vcpu->imsic;

	(void)state;
	atomic_store(&file->delivery, 1);
	atomic_store(&file->eie[0], UINT64_MAX);
	atomic_store(&file->threshold, 40);
	imsic_send(&f.vm, 0, 9);
	bus_reset(&f.vm.bus);
	assert_int_equal(file->delivery, 0);
	assert_int_equal(file->eie[0], 0);
	assert_int_equal(file->eip[0], 0);
	assert_int_equal(file->threshold, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threshold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivery, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lent_to_the_hart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleeper_looks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_message_exit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
