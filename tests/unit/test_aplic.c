/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The APLIC against chapter 4 of the AIA specification, and what the tree says of it. */
#include "fake_board.h"

#include <errno.h>
#include <libfdt.h>

#include "dev/board.h"
#include "dev/imsic_file.h"
#include "fdt_tree.h"

#define REG(off) (BOARD_APLIC_BASE + (off))
#define DOMAINCFG REG(0)
#define SOURCECFG(irq) REG(4ULL * (irq))
#define SETIP(word) REG(0x1c00 + 4ULL * (word))
#define SETIPNUM REG(0x1cdc)
#define IN_CLRIP(word) REG(0x1d00 + 4ULL * (word))
#define CLRIPNUM REG(0x1ddc)
#define SETIE(word) REG(0x1e00 + 4ULL * (word))
#define SETIENUM REG(0x1edc)
#define CLRIE(word) REG(0x1f00 + 4ULL * (word))
#define CLRIENUM REG(0x1fdc)
#define SETIPNUM_LE REG(0x2000)
#define GENMSI REG(0x3000)
#define TARGET(irq) REG(0x3000 + 4ULL * (irq))

enum { DETACHED = 1, EDGE_RISE = 4, EDGE_FALL = 5, LEVEL_HIGH = 6, LEVEL_LOW = 7 };

#define LAST 96
#define CPUS 3

static int setup(void **state)
{
	(void)state;
	board_setup(CPUS);
	assert_int_equal(imsic_create(&board.vm), 0);
	assert_int_equal(aplic_create(&board.vm), 0);
	bus_reset(&board.vm.bus);
	guest_write(DOMAINCFG, 4, 1 << 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static void line(unsigned int irq, bool level)
{
	board_set_line(irq, level);
}

/* How often identity id has arrived at hart since this was asked last: 0 or 1. */
static bool arrived(unsigned int hart, unsigned int id)
{
	uint64_t bit = 1ULL << id % 64;

	return atomic_fetch_and(&board.vm.vcpu[hart]->imsic->eip[id / 64], ~bit) & bit;
}

static bool nothing_arrived(void)
{
	for (unsigned int hart = 0; hart < CPUS; hart++) {
		for (unsigned int w = 0; w < IMSIC_WORDS; w++) {
			if (board.vm.vcpu[hart]->imsic->eip[w])
				return false;
		}
	}
	return true;
}

static void configure(unsigned int irq, unsigned int mode, unsigned int hart, unsigned int id)
{
	guest_write(SOURCECFG(irq), 4, mode);
	guest_write(TARGET(irq), 4, hart << 18 | id);
	guest_write(SETIENUM, 4, irq);
}

static bool is_pending(unsigned int irq)
{
	return guest_read(SETIP(irq / 32), 4) >> irq % 32 & 1;
}

static void test_level(void **state)
{
	(void)state;
	configure(10, LEVEL_HIGH, 1, 33);
	assert_true(nothing_arrived());
	line(10, true);
	assert_true(arrived(1, 33));
	/* Forwarded: no longer pending, and high is no news. */
	assert_false(is_pending(10));
	line(10, true);
	assert_true(nothing_arrived());
	/* The driver asks whether it is still high. */
	guest_write(SETIPNUM_LE, 4, 10);
	assert_true(arrived(1, 33));
	line(10, false);
	guest_write(SETIPNUM_LE, 4, 10);
	assert_true(nothing_arrived());
	line(10, true);
	assert_true(arrived(1, 33));
}

/* A level that goes away before it could be sent was never there. */
static void test_level_is_not_remembered(void **state)
{
	(void)state;
	configure(10, LEVEL_HIGH, 0, 5);
	guest_write(CLRIENUM, 4, 10);
	line(10, true);
	assert_true(is_pending(10));
	line(10, false);
	assert_false(is_pending(10));
	guest_write(SETIENUM, 4, 10);
	assert_true(nothing_arrived());
}

static void test_edges(void **state)
{
	(void)state;
	configure(3, EDGE_RISE, 0, 5);
	line(3, true);
	assert_true(arrived(0, 5));
	line(3, false);
	assert_true(nothing_arrived());
	/* An edge is remembered. */
	guest_write(CLRIENUM, 4, 3);
	line(3, true);
	line(3, false);
	assert_true(is_pending(3));
	guest_write(SETIENUM, 4, 3);
	assert_true(arrived(0, 5));

	configure(4, EDGE_FALL, 0, 6);
	line(4, true);
	assert_true(nothing_arrived());
	line(4, false);
	assert_true(arrived(0, 6));
}

static void test_low_level(void **state)
{
	(void)state;
	line(7, true);
	configure(7, LEVEL_LOW, 2, 9);
	assert_true(nothing_arrived());
	line(7, false);
	assert_true(arrived(2, 9));
	guest_write(SETIPNUM, 4, 7);
	assert_true(arrived(2, 9));
	line(7, true);
	guest_write(SETIPNUM, 4, 7);
	assert_true(nothing_arrived());
}

/* What was high before it was configured must not be lost. */
static void test_high_before_it_is_configured(void **state)
{
	(void)state;
	line(10, true);
	configure(10, LEVEL_HIGH, 0, 40);
	assert_true(arrived(0, 40));
}

static void test_detached(void **state)
{
	(void)state;
	configure(5, DETACHED, 0, 11);
	line(5, true);
	line(5, false);
	assert_true(nothing_arrived());
	guest_write(SETIPNUM, 4, 5);
	assert_true(arrived(0, 11));
}

static void test_inactive(void **state)
{
	static const uint32_t modes[] = {0, 2, 3, 1 << 10 | 6, 1 << 10};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		configure(5, LEVEL_HIGH, 0, 11);
		guest_write(CLRIENUM, 4, 5);
		line(5, true);
		guest_write(SOURCECFG(5), 4, modes[i]);
		assert_int_equal(guest_read(SOURCECFG(5), 4), 0);
		assert_false(is_pending(5));
		guest_write(SETIENUM, 4, 5);
		guest_write(SETIPNUM, 4, 5);
		guest_write(TARGET(5), 4, 77);
		assert_int_equal(guest_read(SETIE(0), 4), 0);
		assert_int_equal(guest_read(TARGET(5), 4), 0);
		assert_true(nothing_arrived());
		line(5, false);
	}
}

static void test_domain_off(void **state)
{
	(void)state;
	assert_int_equal(guest_read(DOMAINCFG, 4), 0x80000104);
	guest_write(DOMAINCFG, 4, 0);
	assert_int_equal(guest_read(DOMAINCFG, 4), 0x80000004);
	configure(10, LEVEL_HIGH, 0, 5);
	configure(11, EDGE_RISE, 1, 6);
	line(10, true);
	line(11, true);
	assert_true(nothing_arrived());
	guest_write(DOMAINCFG, 4, 1 << 8 | 1 << 2);
	assert_true(arrived(0, 5));
	assert_true(arrived(1, 6));
	/* Messages of software do not ask the domain. */
	guest_write(DOMAINCFG, 4, 0);
	guest_write(GENMSI, 4, 2U << 18 | 200);
	assert_true(arrived(2, 200));
	assert_int_equal(guest_read(GENMSI, 4), 0);
}

static void test_bitmaps(void **state)
{
	(void)state;
	for (unsigned int irq = 0; irq <= 127; irq++)
		if (irq)
			guest_write(SOURCECFG(irq), 4, DETACHED);
	for (unsigned int w = 0; w < 4; w++) {
		/* Source 0 and those above the last do not exist. */
		uint32_t exist = w == 0 ? 0xfffffffe : w == 3 ? 1 : 0xffffffff;

		guest_write(SETIP(w), 4, 0xffffffff);
		assert_int_equal(guest_read(SETIP(w), 4), exist);
		guest_write(IN_CLRIP(w), 4, 0xff00ff00);
		assert_int_equal(guest_read(SETIP(w), 4), exist & 0x00ff00ff);
		guest_write(IN_CLRIP(w), 4, 0xffffffff);
		guest_write(SETIE(w), 4, 0xffffffff);
		assert_int_equal(guest_read(SETIE(w), 4), exist);
		guest_write(CLRIE(w), 4, 0x0f0f0f0f);
		assert_int_equal(guest_read(SETIE(w), 4), exist & 0xf0f0f0f0);
		assert_int_equal(guest_read(CLRIE(w), 4), 0);
		guest_write(CLRIE(w), 4, 0xffffffff);
	}
	guest_write(SETIPNUM, 4, LAST);
	assert_true(is_pending(LAST));
	guest_write(CLRIPNUM, 4, LAST);
	assert_false(is_pending(LAST));
	guest_write(SETIPNUM, 4, 0);
	guest_write(SETIPNUM, 4, LAST + 1);
	guest_write(SETIPNUM, 4, 0xffffffff);
	assert_true(nothing_arrived());
	/* in_clrip reads the wires as their modes mean them. */
	guest_write(SOURCECFG(40), 4, LEVEL_LOW);
	guest_write(SOURCECFG(41), 4, LEVEL_HIGH);
	line(41, true);
	assert_int_equal(guest_read(IN_CLRIP(1), 4), 3 << 8);
	line(40, true);
	assert_int_equal(guest_read(IN_CLRIP(1), 4), 2 << 8);
}

static void test_hostile_numbers(void **state)
{
	uint64_t val;

	(void)state;
	/* A hart, an identity, that are not there. */
	configure(10, LEVEL_HIGH, CPUS, 5);
	configure(11, EDGE_RISE, 0x3fff, 5);
	configure(12, EDGE_RISE, 0, 0x7ff);
	for (unsigned int irq = 10; irq <= 12; irq++)
		line(irq, true);
	guest_write(GENMSI, 4, 0xffffffff);
	assert_true(nothing_arrived());
	/* The guest index is not kept. */
	guest_write(TARGET(10), 4, 0xffffffff);
	assert_int_equal(guest_read(TARGET(10), 4), 0xfffc07ff);
	/* Lines that are not there. */
	irqchip_set_line(&board.vm, 0, true);
	irqchip_set_line(&board.vm, LAST + 1, true);
	irqchip_set_line(&board.vm, 1000, true);
	/* Every word of the range, and then other sizes. */
	for (uint64_t off = 0; off < BOARD_APLIC_SIZE; off += 4) {
		guest_write(REG(off), 4, 0xffffffff);
		guest_read(REG(off), 4);
	}
	assert_int_equal(bus_read(&board.vm.bus, DOMAINCFG, 8, &val), -EINVAL);
	assert_int_equal(bus_write(&board.vm.bus, DOMAINCFG, 1, 0), -EINVAL);
}

static void test_reset(void **state)
{
	(void)state;
	configure(10, LEVEL_HIGH, 1, 33);
	bus_reset(&board.vm.bus);
	assert_int_equal(guest_read(DOMAINCFG, 4), 0x80000004);
	assert_int_equal(guest_read(SOURCECFG(10), 4), 0);
	assert_int_equal(guest_read(TARGET(10), 4), 0);
	assert_int_equal(guest_read(SETIE(0), 4), 0);
}

static uint32_t cell(const void *fdt, int node, const char *name, int index)
{
	int len;
	const fdt32_t *prop = fdt_getprop(fdt, node, name, &len);

	assert_non_null(prop);
	assert_true(len >= (index + 1) * 4);
	return fdt32_to_cpu(prop[index]);
}

static void test_tree(void **state)
{
	const struct fdt_tree_boot boot = {0};
	size_t size = fdt_tree_size_bound(&board.vm);
	char *fdt = malloc(size);
	int imsics, aplic, uart;

	(void)state;
	assert_non_null(fdt);
	assert_int_equal(uart16550_create(&board.vm), 0);
	assert_true(fdt_tree_generate(&board.vm, &boot, fdt, size) > 0);
	imsics = fdt_path_offset(fdt, "/soc/imsics@28000000");
	aplic = fdt_path_offset(fdt, "/soc/aplic@d000000");
	uart = fdt_path_offset(fdt, "/soc/serial@10000000");
	assert_true(imsics > 0 && aplic > 0 && uart > 0);
	assert_true(fdt_path_offset(fdt, "/soc/plic@c000000") < 0);
	assert_int_equal(fdt_node_check_compatible(fdt, imsics, "riscv,imsics"), 0);
	assert_int_equal(fdt_node_check_compatible(fdt, aplic, "riscv,aplic"), 0);
	for (int hart = 0; hart < CPUS; hart++) {
		assert_int_equal(cell(fdt, imsics, "interrupts-extended", 2 * hart),
				 FDT_TREE_PHANDLE_CPU((uint32_t)hart));
		assert_int_equal(cell(fdt, imsics, "interrupts-extended", 2 * hart + 1), 9);
	}
	assert_int_equal(cell(fdt, imsics, "riscv,num-ids", 0), IMSIC_MAX_ID);
	assert_int_equal(cell(fdt, imsics, "reg", 3), CPUS * 0x1000);
	assert_int_equal(cell(fdt, aplic, "riscv,num-sources", 0), LAST);
	assert_int_equal(cell(fdt, aplic, "msi-parent", 0), cell(fdt, imsics, "phandle", 0));
	assert_int_equal(cell(fdt, uart, "interrupt-parent", 0), cell(fdt, aplic, "phandle", 0));
	assert_int_equal(cell(fdt, uart, "interrupts", 0), BOARD_UART_IRQ);
	assert_int_equal(cell(fdt, uart, "interrupts", 1), 4);
	free(fdt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_is_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_high_before_it_is_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detached, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inactive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bitmaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
