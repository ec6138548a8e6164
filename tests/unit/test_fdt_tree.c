/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device tree, read back with libfdt as a guest would. */
#include "fake_board.h"

#include <libfdt.h>
#include <stdio.h>
#include <unistd.h>

#include "dev/board.h"
#include "fdt_tree.h"

#define BLOB_SIZE (256 * 1024)

static uint8_t blob[BLOB_SIZE];

static const struct fdt_tree_boot initrd = {.initrd = 0x80400000, .initrd_size = 0x12345};
static const struct fdt_tree_boot no_initrd;

static int setup(void **state)
{
	(void)state;
	board_setup(3);
	return devices_create(&board.vm);
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static void generate(const struct fdt_tree_boot *boot)
{
	int size = fdt_tree_generate(&board.vm, boot, blob, sizeof(blob));

	assert_true(size > 0);
	assert_true((size_t)size <= fdt_tree_size_bound(&board.vm));
	assert_int_equal(fdt_check_full(blob, (size_t)size), 0);
}

static int node(const char *path)
{
	int offset = fdt_path_offset(blob, path);

	if (offset < 0)
		fail_msg("no node %s", path);
	return offset;
}

static const char *string(const char *path, const char *name)
{
	const char *value = fdt_getprop(blob, node(path), name, NULL);

	if (!value)
		fail_msg("no property %s in %s", name, path);
	return value;
}

static uint32_t cell(const char *path, const char *name, int index)
{
	int len;
	const fdt32_t *value = fdt_getprop(blob, node(path), name, &len);

	if (!value || len < 4 * (index + 1))
		fail_msg("no cell %d of %s in %s", index, name, path);
	return fdt32_to_cpu(value[index]);
}

static uint64_t cell64(const char *path, const char *name, int index)
{
	return (uint64_t)cell(path, name, index) << 32 | cell(path, name, index + 1);
}

static void assert_absent(const char *path, const char *name)
{
	assert_null(fdt_getprop(blob, node(path), name, NULL));
}

static void test_root_and_memory(void **state)
{
	(void)state;
	generate(&no_initrd);
	assert_int_equal(cell("/", "#address-cells", 0), 2);
	assert_int_equal(cell("/", "#size-cells", 0), 2);
	assert_true(fdt_stringlist_contains(string("/", "compatible"), 25 + 3, "riscv-virtio"));
	assert_string_equal(string("/memory@80000000", "device_type"), "memory");
	assert_int_equal(cell64("/memory@80000000", "reg", 0), 0x80000000);
	assert_int_equal(cell64("/memory@80000000", "reg", 2), FAKE_RAM);
}

static void test_chosen(void **state)
{
	int len;

	(void)state;
	board.config.cmdline = "console=ttyS0 quiet";
	generate(&initrd);
	assert_string_equal(string("/chosen", "bootargs"), "console=ttyS0 quiet");
	assert_string_equal(string("/chosen", "stdout-path"), "/soc/serial@10000000");
	assert_string_equal(string("/aliases", "serial0"), "/soc/serial@10000000");
	assert_int_equal(cell64("/chosen", "linux,initrd-start", 0), 0x80400000);
	assert_int_equal(cell64("/chosen", "linux,initrd-end", 0), 0x80412345);
	assert_non_null(fdt_getprop(blob, node("/chosen"), "rng-seed", &len));
	assert_int_equal(len, 64);
	assert_non_null(fdt_getprop(blob, node("/chosen"), "kaslr-seed", &len));
	assert_int_equal(len, 8);
}

static void test_seeds_differ(void **state)
{
	uint8_t first[64];

	(void)state;
	generate(&no_initrd);
	memcpy(first, string("/chosen", "rng-seed"), sizeof(first));
	generate(&no_initrd);
	assert_memory_not_equal(first, string("/chosen", "rng-seed"), sizeof(first));
	assert_absent("/chosen", "linux,initrd-start");
}

static void test_cpus(void **state)
{
	char path[64];

	(void)state;
	board.vm.isa.cboz_block_size = 64;
	generate(&no_initrd);
	assert_int_equal(cell("/cpus", "timebase-frequency", 0), 10000000);
	for (unsigned int hart = 0; hart < 3; hart++) {
		int len;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", hart);
		assert_int_equal(cell(path, "reg", 0), hart);
		assert_string_equal(string(path, "riscv,isa"), "rv64ima_sstc");
		assert_string_equal(string(path, "riscv,isa-base"), "rv64i");
		fdt_getprop(blob, node(path), "riscv,isa-extensions", &len);
		assert_int_equal(
			fdt_stringlist_search(blob, node(path), "riscv,isa-extensions", "sstc"), 3);
		assert_string_equal(string(path, "mmu-type"), "riscv,sv39");
		assert_int_equal(cell(path, "riscv,cboz-block-size", 0), 64);
		assert_absent(path, "riscv,cbom-block-size");
		strcat(path, "/interrupt-controller");
		assert_string_equal(string(path, "compatible"), "riscv,cpu-intc");
		assert_int_equal(cell(path, "phandle", 0), FDT_TREE_PHANDLE_CPU(hart));
	}
	assert_int_equal(fdt_path_offset(blob, "/cpus/cpu@3"), -FDT_ERR_NOTFOUND);
}

/* Names and reg are hart ids; everything that refers to a hart goes by its number. */
static void test_hart_ids(void **state)
{
	static const unsigned int ids[] = {5, 1023, 0};
	char path[64];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		board.vm.vcpu[i]->hart_id = ids[i];
	generate(&no_initrd);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/cpus/cpu@%x", ids[i]);
		assert_int_equal(cell(path, "reg", 0), ids[i]);
		strcat(path, "/interrupt-controller");
		assert_int_equal(cell(path, "phandle", 0),
				 cell("/soc/plic@c000000", "interrupts-extended", 4 * (int)i + 2));
	}
	assert_int_equal(fdt_path_offset(blob, "/cpus/cpu@1"), -FDT_ERR_NOTFOUND);
}

static void test_plic(void **state)
{
	const char *path = "/soc/plic@c000000";
	int len;

	(void)state;
	generate(&no_initrd);
	assert_string_equal(string(path, "compatible"), "sifive,plic-1.0.0");
	assert_int_equal(cell64(path, "reg", 0), 0x0c000000);
	assert_int_equal(cell64(path, "reg", 2), 0x600000);
	assert_int_equal(cell(path, "riscv,ndev", 0), 95);
	fdt_getprop(blob, node(path), "interrupts-extended", &len);
	assert_int_equal(len, 3 * 16);
	for (int hart = 0; hart < 3; hart++) {
		/* An M-mode context that is not there, then the S-mode one. */
		assert_int_equal(cell(path, "interrupts-extended", 4 * hart + 1), 0xffffffff);
		assert_int_equal(cell(path, "interrupts-extended", 4 * hart + 2),
				 FDT_TREE_PHANDLE_CPU((unsigned int)hart));
		assert_int_equal(cell(path, "interrupts-extended", 4 * hart + 3), 9);
	}
}

static void assert_interrupt(const char *path, unsigned int irq)
{
	assert_int_equal(cell(path, "interrupts", 0), irq);
	assert_int_equal(cell(path, "interrupt-parent", 0),
			 fdt_get_phandle(blob, node("/soc/plic@c000000")));
}

static void test_devices(void **state)
{
	(void)state;
	generate(&no_initrd);
	assert_string_equal(string("/soc/serial@10000000", "compatible"), "ns16550a");
	assert_int_equal(cell("/soc/serial@10000000", "clock-frequency", 0), 3686400);
	assert_int_equal(cell64("/soc/serial@10000000", "reg", 2), 0x100);
	assert_interrupt("/soc/serial@10000000", 10);
	assert_string_equal(string("/soc/rtc@101000", "compatible"), "google,goldfish-rtc");
	assert_interrupt("/soc/rtc@101000", 11);
	assert_int_equal(
		fdt_stringlist_search(blob, node("/soc/test@100000"), "compatible", "syscon"), 2);
	assert_int_equal(cell("/reboot", "regmap", 0),
			 fdt_get_phandle(blob, node("/soc/test@100000")));
	assert_int_equal(cell("/reboot", "value", 0), 0x7777);
	assert_int_equal(cell("/poweroff", "value", 0), 0x5555);
	assert_string_equal(string("/soc/pvpanic@102000", "compatible"), "qemu,pvpanic-mmio");
	assert_int_equal(fdt_path_offset(blob, "/soc/watchdog@103000"), -FDT_ERR_NOTFOUND);
}

static void test_watchdog_without_panic(void **state)
{
	(void)state;
	board_setup(1);
	board.config.watchdog = board.config.ignore_panic = true;
	assert_int_equal(devices_create(&board.vm), 0);
	generate(&no_initrd);
	assert_int_equal(fdt_path_offset(blob, "/soc/pvpanic@102000"), -FDT_ERR_NOTFOUND);
	assert_string_equal(string("/soc/watchdog@103000", "compatible"), "snps,dw-wdt");
	assert_int_equal(cell("/soc/watchdog@103000", "clocks", 0),
			 fdt_get_phandle(blob, node("/soc/watchdog-clock")));
	assert_int_equal(cell("/soc/watchdog-clock", "clock-frequency", 0), 65536);
	board_teardown();
}

static void test_only_what_is_there(void **state)
{
	(void)state;
	board_setup(1);
	board.config.serial = false;
	board.config.nodefaults = true;
	assert_int_equal(devices_create(&board.vm), 0);
	generate(&no_initrd);
	assert_absent("/chosen", "stdout-path");
	assert_int_equal(fdt_path_offset(blob, "/aliases"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(blob, "/soc/serial@10000000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(blob, "/soc/rtc@101000"), -FDT_ERR_NOTFOUND);
	assert_int_equal(fdt_path_offset(blob, "/reboot"), -FDT_ERR_NOTFOUND);
	board_teardown();
}

static void test_bound_holds_for_the_largest_tree(void **state)
{
	static char cmdline[4096];

	(void)state;
	board_setup(VM_MAX_VCPUS);
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	board.config.cmdline = cmdline;
	memset(board.vm.isa.isa, 'a', sizeof(board.vm.isa.isa) - 1);
	board.vm.isa.extensions_size = sizeof(board.vm.isa.extensions);
	board.vm.isa.cbom_block_size = board.vm.isa.cboz_block_size = 64;
	assert_int_equal(devices_create(&board.vm), 0);
	generate(&initrd);
	/* A buffer that is too small is an error and not an overflow. */
	assert_int_equal(fdt_tree_generate(&board.vm, &initrd, blob, 1000), -FDT_ERR_NOSPACE);
	board_teardown();
}

/* dtc knows more rules than libfdt: it must read the tree without a word. */
static void test_dtc_has_no_complaints(void **state)
{
	char path[] = "/tmp/duvisor-dtb-XXXXXX";
	char command[128];
	char line[256];
	FILE *dtc;
	int fd = mkstemp(path);
	int size;

	(void)state;
	assert_true(fd >= 0);
	board.config.cmdline = "quiet";
	generate(&initrd);
	size = (int)fdt_totalsize(blob);
	assert_int_equal(write(fd, blob, (size_t)size), size);
	close(fd);
	snprintf(command, sizeof(command), "dtc -I dtb -O dtb -o /dev/null %s 2>&1", path);
	dtc = popen(command, "r");
	assert_non_null(dtc);
	if (fgets(line, sizeof(line), dtc))
		fail_msg("dtc: %s", line);
	assert_int_equal(pclose(dtc), 0);
	unlink(path);
}

/* A user's tree: some memory that is not ours, a command line, a device of his own. */
static size_t user_tree(uint8_t *buf, size_t size)
{
	int err = fdt_create_empty_tree(buf, (int)size);
	int offset;

	err |= fdt_setprop_u32(buf, 0, "#address-cells", 2);
	err |= fdt_setprop_u32(buf, 0, "#size-cells", 2);
	for (int i = 0; i < 2; i++) {
		offset = fdt_add_subnode(buf, 0, i ? "memory@90000000" : "memory@80000000");
		err |= fdt_setprop_string(buf, offset, "device_type", "memory");
	}
	offset = fdt_add_subnode(buf, 0, "chosen");
	err |= fdt_setprop_string(buf, offset, "bootargs", "his own");
	err |= fdt_setprop_u64(buf, offset, "linux,initrd-start", 1);
	offset = fdt_add_subnode(buf, 0, "gadget");
	err |= fdt_setprop_u32(buf, offset, "answer", 42);
	err |= fdt_pack(buf);
	assert_int_equal(err, 0);
	return fdt_totalsize(buf);
}

static void test_adapt(void **state)
{
	uint8_t in[4096];
	size_t size = user_tree(in, sizeof(in));

	(void)state;
	assert_true(fdt_tree_adapt(&board.vm, &no_initrd, in, size, blob, sizeof(blob)) > 0);
	/* Kept where nothing was asked for ... */
	assert_string_equal(string("/chosen", "bootargs"), "his own");
	assert_int_equal(cell64("/chosen", "linux,initrd-start", 0), 1);
	assert_int_equal(cell("/gadget", "answer", 0), 42);
	/* ... and the memory is what there is. */
	assert_int_equal(cell64("/memory@80000000", "reg", 0), 0x80000000);
	assert_int_equal(cell64("/memory@80000000", "reg", 2), FAKE_RAM);
	assert_int_equal(fdt_path_offset(blob, "/memory@90000000"), -FDT_ERR_NOTFOUND);
	string("/chosen", "rng-seed");
	/* Replaced where it was. */
	board.config.cmdline = "mine";
	assert_true(fdt_tree_adapt(&board.vm, &initrd, in, size, blob, sizeof(blob)) > 0);
	assert_string_equal(string("/chosen", "bootargs"), "mine");
	assert_int_equal(cell64("/chosen", "linux,initrd-start", 0), 0x80400000);
	assert_int_equal(cell64("/chosen", "linux,initrd-end", 0), 0x80412345);
}

static void test_adapt_adds_chosen(void **state)
{
	uint8_t in[4096];

	(void)state;
	assert_int_equal(fdt_create_empty_tree(in, sizeof(in)), 0);
	assert_int_equal(fdt_setprop_u32(in, 0, "#address-cells", 2), 0);
	assert_int_equal(fdt_setprop_u32(in, 0, "#size-cells", 2), 0);
	board.config.cmdline = "mine";
	assert_true(fdt_tree_adapt(&board.vm, &no_initrd, in, sizeof(in), blob, sizeof(blob)) > 0);
	assert_string_equal(string("/chosen", "bootargs"), "mine");
}

/* Every truncation and every single damaged byte: an error or a tree, never a crash. */
static void test_adapt_survives_anything(void **state)
{
	uint8_t in[4096];
	size_t size = user_tree(in, sizeof(in));

	(void)state;
	board.config.cmdline = "mine";
	for (size_t len = 0; len < size; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, in, len);
		assert_true(fdt_tree_adapt(&board.vm, &initrd, cut, len, blob, sizeof(blob)) < 0);
		free(cut);
	}
	for (size_t i = 0; i < size; i++) {
		static const uint8_t damage[] = {0x01, 0x80, 0xff};

		for (size_t d = 0; d < sizeof(damage); d++) {
			in[i] ^= damage[d];
			fdt_tree_adapt(&board.vm, &initrd, in, size, blob, sizeof(blob));
			in[i] ^= damage[d];
		}
	}
	assert_true(fdt_tree_adapt(&board.vm, &initrd, in, size, blob, 64) < 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_root_and_memory),
		TEST(test_chosen),
		TEST(test_seeds_differ),
		TEST(test_cpus),
		TEST(test_hart_ids),
		TEST(test_plic),
		TEST(test_devices),
		cmocka_unit_test(test_watchdog_without_panic),
		cmocka_unit_test(test_only_what_is_there),
		cmocka_unit_test(test_bound_holds_for_the_largest_tree),
		TEST(test_dtc_has_no_complaints),
		TEST(test_adapt),
		TEST(test_adapt_adds_chosen),
		TEST(test_adapt_survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
