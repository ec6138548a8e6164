/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels, initrds and trees as files: what is loaded where, and everything that can be wrong with them. */
#include "fake_board.h"

#include <elf.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "loader.h"

#define MIB (1ULL << 20)
#define IMAGE_SIZE 5000

static char folder[] = "/tmp/duvisor-loader-XXXXXX";
static char kernel_path[64];
static char initrd_path[64];
static char dtb_path[64];

/* What was said on stderr by the last load(). */
static char said[1024];

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", folder);
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", folder);
	snprintf(dtb_path, sizeof(dtb_path), "%s/dtb", folder);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	unlink(kernel_path);
	unlink(initrd_path);
	unlink(dtb_path);
	return rmdir(folder);
}

static int setup(void **state)
{
	(void)state;
	board_setup(1);
	board.config.kernel = kernel_path;
	return devices_create(&board.vm);
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* Run fn with stderr going to `said`. */
static int captured(int (*fn)(void))
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	int result;
	size_t n;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	result = fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(said, 1, sizeof(said) - 1, file);
	said[n] = '\0';
	fclose(file);
	return result;
}

static int do_load(void)
{
	int result = loader_open(&board.vm.loader, &board.config);

	if (result)
		return result;
	result = loader_load(&board.vm);
	loader_close(board.vm.loader);
	return result;
}

static int do_check(void)
{
	struct loader *loader = NULL;
	int result = loader_open(&loader, &board.config);

	loader_close(loader);
	return result;
}

static void assert_loads(void)
{
	int result = captured(do_load);

	if (result)
		fail_msg("does not load: %s", said);
	assert_string_equal(said, "");
}

/* One line that names the file and contains text, and the exit code of a wrong usage. */
static void assert_refused(const char *text)
{
	assert_int_equal(captured(do_load), VM_EXIT_USAGE);
	if (!strstr(said, text) || strchr(said, '\n') != said + strlen(said) - 1)
		fail_msg("expected one line with \"%s\", got: %s", text, said);
	assert_non_null(strstr(said, folder));
}

struct image {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint32_t version;
	uint32_t reserved1;
	uint64_t reserved2;
	char magic[8];
	char magic2[4];
	uint32_t pe_offset;
	uint8_t body[IMAGE_SIZE - 64];
};

static struct image image;

/* An Image whose contents can be recognized. */
static void make_image(void)
{
	memset(&image, 0, sizeof(image));
	image.text_offset = 2 * MIB;
	image.image_size = IMAGE_SIZE + 3000;
	memcpy(image.magic, "RISCV\0\0\0", 8);
	memcpy(image.magic2, "RSC\x05", 4);
	for (size_t i = 0; i < sizeof(image.body); i++)
		image.body[i] = (uint8_t)(i * 7 + 1);
}

static void assert_image_at(gpa_t gpa)
{
	assert_int_equal(board.vm.boot.entry, gpa);
	assert_memory_equal(memory_at(&board.vm.mem, gpa, sizeof(image)), &image, sizeof(image));
}

static const char *prop(const char *path, const char *name)
{
	const void *fdt = memory_at(&board.vm.mem, board.vm.boot.dtb, 64);
	const void *value = fdt_getprop(fdt, fdt_path_offset(fdt, path), name, NULL);

	assert_non_null(value);
	return value;
}

static uint64_t prop64(const char *path, const char *name)
{
	fdt64_t value;

	memcpy(&value, prop(path, name), sizeof(value));
	return fdt64_to_cpu(value);
}

static void test_image(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	assert_image_at(MEMORY_BASE + 2 * MIB);
	assert_true(board.vm.boot.dtb > board.vm.boot.entry);
	assert_int_equal(board.vm.boot.dtb % 8, 0);
	assert_int_equal(fdt_check_header(memory_at(&board.vm.mem, board.vm.boot.dtb, 64)), 0);
	/* And again, as a reboot does, after the file has changed. */
	image.body[0] ^= 0xff;
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	assert_image_at(MEMORY_BASE + 2 * MIB);
}

static void test_image_at_base(void **state)
{
	(void)state;
	make_image();
	image.text_offset = 0;
	image.image_size = 0; /* as kernels of old */
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	assert_image_at(MEMORY_BASE);
}

static size_t gzip(const void *data, size_t len, uint8_t *out, size_t size)
{
	z_stream stream = {0};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	stream.next_in = (uint8_t *)(uintptr_t)data;
	stream.avail_in = (uInt)len;
	stream.next_out = out;
	stream.avail_out = (uInt)size;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return size - stream.avail_out;
}

static void test_gzip(void **state)
{
	uint8_t packed[2 * IMAGE_SIZE];
	size_t len;

	(void)state;
	make_image();
	len = gzip(&image, sizeof(image), packed, sizeof(packed));
	write_file(kernel_path, packed, len);
	assert_loads();
	assert_image_at(MEMORY_BASE + 2 * MIB);
	/* Each truncation is noticed; the trailer is a check sum and a length. */
	for (size_t cut = 2; cut < len; cut += cut < len - 9 ? 37 : 1) {
		write_file(kernel_path, packed, cut);
		assert_refused("truncated");
	}
	packed[len - 6] ^= 1;
	write_file(kernel_path, packed, len);
	assert_refused("damaged");
	packed[len - 6] ^= 1;
	packed[3] = 0xff;
	write_file(kernel_path, packed, len);
	assert_refused("damaged");
}

static void test_gzip_of_something_else(void **state)
{
	uint8_t packed[2 * IMAGE_SIZE];
	size_t len;

	(void)state;
	len = gzip("hello", 5, packed, sizeof(packed));
	write_file(kernel_path, packed, len);
	assert_refused("contains no RISC-V Image");
}

/* Little on disk, more than all memory unpacked. */
static void test_gzip_bomb(void **state)
{
	size_t size = FAKE_RAM + MIB;
	uint8_t *data = calloc(1, size);
	uint8_t *packed = malloc(size);
	size_t len;

	(void)state;
	assert_non_null(data);
	assert_non_null(packed);
	make_image();
	memcpy(data, &image, sizeof(image));
	len = gzip(data, size, packed, size);
	assert_true(len < MIB);
	write_file(kernel_path, packed, len);
	assert_refused("does not fit");
	free(packed);
	free(data);
}

static void test_zboot(void **state)
{
	uint8_t file[512 + 2 * IMAGE_SIZE] = "MZ";
	const uint32_t offset = 512;
	size_t len;

	(void)state;
	make_image();
	memcpy(file + 4, "zimg", 4);
	memcpy(file + 8, &offset, 4);
	strcpy((char *)file + 24, "gzip");
	len = gzip(&image, sizeof(image), file + offset, sizeof(file) - offset);
	write_file(kernel_path, file, offset + len);
	assert_loads();
	assert_image_at(MEMORY_BASE + 2 * MIB);
	strcpy((char *)file + 24, "zstd22");
	write_file(kernel_path, file, offset + len);
	assert_refused("packed with 'zstd22'");
	memset(file + 24, 'z', 40 - 24 + 16);
	write_file(kernel_path, file, offset + len);
	assert_refused("packed with 'zzzz");
	strcpy((char *)file + 24, "gzip");
	memset(file + 8, 0xff, 4);
	write_file(kernel_path, file, offset + len);
	assert_refused("truncated");
}

static void test_image_that_does_not_fit(void **state)
{
	static const struct {
		uint64_t offset;
		uint64_t size;
	} lies[] = {
		{0, FAKE_RAM},
		{0, FAKE_RAM + 1},
		{2 * MIB, FAKE_RAM - MIB},
		{FAKE_RAM, 1},
		{FAKE_RAM - 1, 0},
		{~0ULL, 1},
		{0, ~0ULL},
		{1ULL << 63, 1ULL << 63},
		{~0ULL - MEMORY_BASE + 1, 100},
		{2 * MIB, ~0ULL - MIB},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		make_image();
		image.text_offset = lies[i].offset;
		image.image_size = lies[i].size;
		write_file(kernel_path, &image, sizeof(image));
		/* Some lies make the file look far too short; then that is said. */
		assert_refused(lies[i].size / 2 > IMAGE_SIZE ? "is truncated" : "does not fit");
	}
}

/* The last bytes below the device tree are too few for the header, or just enough. */
static void test_image_at_the_end_of_memory(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	image.image_size = 0;
	image.text_offset = board.vm.boot.dtb - MEMORY_BASE - sizeof(image);
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	assert_image_at(board.vm.boot.dtb - sizeof(image));
	image.text_offset++;
	write_file(kernel_path, &image, sizeof(image));
	assert_refused("does not fit");
	image.text_offset = board.vm.boot.dtb - MEMORY_BASE - 32;
	write_file(kernel_path, &image, sizeof(image));
	assert_refused("does not fit");
}

/* The same lies where the length of the file says nothing. */
static void test_gzip_that_does_not_fit(void **state)
{
	static const uint64_t sizes[] = {FAKE_RAM, FAKE_RAM - 2 * MIB, ~0ULL, 1ULL << 63};
	uint8_t packed[2 * IMAGE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_image();
		image.image_size = sizes[i];
		write_file(kernel_path, packed,
			   gzip(&image, sizeof(image), packed, sizeof(packed)));
		assert_refused("does not fit");
	}
}

static void test_truncated_image(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, image.image_size / 2 - 1);
	assert_refused("is truncated: it has 3999 bytes and needs 8000 in memory");
	write_file(kernel_path, &image, image.image_size / 2);
	assert_loads();
}

static void test_image_longer_than_memory(void **state)
{
	(void)state;
	make_image();
	image.image_size = 0;
	write_file(kernel_path, &image, sizeof(image));
	assert_int_equal(truncate(kernel_path, (off_t)(2 * FAKE_RAM)), 0);
	assert_refused("does not fit");
}

/* An EFI stub's section table says how long the file must be. */
static void test_truncated_image_with_efi_stub(void **state)
{
	uint8_t *bytes = (uint8_t *)&image;
	const uint32_t raw_size = 4000;
	const uint32_t raw_offset = IMAGE_SIZE - 4000;

	(void)state;
	make_image();
	memcpy(bytes, "MZ", 2);
	image.pe_offset = 64;
	memset(bytes + 64, 0, 300);
	memcpy(bytes + 64, "PE\0\0", 4);
	bytes[64 + 6] = 2;   /* sections */
	bytes[64 + 20] = 16; /* size of the optional header */
	memcpy(bytes + 64 + 24 + 16 + 40 + 16, &raw_size, 4);
	memcpy(bytes + 64 + 24 + 16 + 40 + 20, &raw_offset, 4);
	write_file(kernel_path, &image, sizeof(image));
	assert_loads();
	write_file(kernel_path, &image, sizeof(image) - 1);
	assert_refused("truncated: it has 4999 of 5000 bytes");
	write_file(kernel_path, &image, 100);
	assert_refused("truncated");
	image.pe_offset = 0xfffffff0;
	write_file(kernel_path, &image, sizeof(image));
	assert_refused("truncated");
	image.pe_offset = 64;
	bytes[64 + 7] = 0xff; /* more sections than the file can hold */
	write_file(kernel_path, &image, sizeof(image));
	assert_refused("truncated");
}

static void test_no_kernel_at_all(void **state)
{
	static const char text[] = "#!/bin/sh\necho this is no kernel\n";

	(void)state;
	write_file(kernel_path, text, sizeof(text));
	assert_refused("is not a kernel that can be loaded");
	write_file(kernel_path, "", 0);
	assert_refused("is empty");
	write_file(kernel_path, "M", 1);
	assert_refused("is not a kernel that can be loaded");
	unlink(kernel_path);
	assert_refused("cannot be opened: No such file or directory");
	board.config.kernel = folder;
	assert_refused("is a directory");
	board.config.kernel = kernel_path;
	assert_int_equal(mkfifo(kernel_path, 0600), 0);
	assert_refused("is not a regular file");
	unlink(kernel_path);
}

struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	uint8_t text[256];
	uint8_t data[256];
};

static struct elf elf;

static void make_elf(void)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.header.e_type = ET_EXEC;
	elf.header.e_machine = EM_RISCV;
	elf.header.e_entry = 0xffffffff80000010;
	elf.header.e_phoff = offsetof(struct elf, segment);
	elf.header.e_phentsize = sizeof(Elf64_Phdr);
	elf.header.e_phnum = 3;
	elf.segment[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_filesz = ~0ULL, .p_memsz = ~0ULL};
	elf.segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				      .p_offset = offsetof(struct elf, text),
				      .p_vaddr = 0xffffffff80000000,
				      .p_paddr = MEMORY_BASE + MIB,
				      .p_filesz = sizeof(elf.text),
				      .p_memsz = sizeof(elf.text)};
	elf.segment[2] = (Elf64_Phdr){.p_type = PT_LOAD,
				      .p_offset = offsetof(struct elf, data),
				      .p_vaddr = 0xffffffff80100000,
				      .p_paddr = MEMORY_BASE + 2 * MIB,
				      .p_filesz = sizeof(elf.data),
				      .p_memsz = 4096};
	memset(elf.text, 0x11, sizeof(elf.text));
	memset(elf.data, 0x22, sizeof(elf.data));
}

static void write_elf(void)
{
	write_file(kernel_path, &elf, sizeof(elf));
}

static void test_elf(void **state)
{
	const uint8_t *ram = memory_at(&board.vm.mem, MEMORY_BASE, FAKE_RAM);

	(void)state;
	make_elf();
	write_elf();
	/* What a guest left there before a warm reboot. */
	memset(memory_at(&board.vm.mem, MEMORY_BASE + 2 * MIB, 4096), 0xee, 4096);
	assert_loads();
	assert_int_equal(board.vm.boot.entry, MEMORY_BASE + MIB + 0x10);
	assert_memory_equal(ram + MIB, elf.text, sizeof(elf.text));
	assert_memory_equal(ram + 2 * MIB, elf.data, sizeof(elf.data));
	for (size_t i = sizeof(elf.data); i < 4096; i++)
		assert_int_equal(ram[2 * MIB + i], 0);
}

/* Linux's vmlinux is linked at physical address 0. */
static void test_elf_at_zero(void **state)
{
	(void)state;
	make_elf();
	elf.segment[1].p_paddr = 0;
	elf.segment[2].p_paddr = MIB;
	write_elf();
	assert_loads();
	assert_int_equal(board.vm.boot.entry, MEMORY_BASE + 2 * MIB + 0x10);
	assert_memory_equal(memory_at(&board.vm.mem, MEMORY_BASE + 3 * MIB, 256), elf.data, 256);
}

static void test_elf_of_another_kind(void **state)
{
	(void)state;
	make_elf();
	elf.header.e_machine = EM_X86_64;
	write_elf();
	assert_refused("not for 64-bit RISC-V");
	make_elf();
	elf.header.e_ident[EI_CLASS] = ELFCLASS32;
	write_elf();
	assert_refused("not for 64-bit RISC-V");
	make_elf();
	elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
	write_elf();
	assert_refused("not for 64-bit RISC-V");
	make_elf();
	elf.header.e_type = ET_DYN;
	write_elf();
	assert_refused("not an executable at a fixed address");
}

static void test_elf_damaged(void **state)
{
	static const uint64_t wild[] = {0, 100, ~0ULL, ~0ULL - 56, 1ULL << 63, 1ULL << 40};

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(wild); i++) {
		make_elf();
		elf.header.e_phoff = wild[i] == 100 ? sizeof(elf) - 100 : wild[i];
		write_elf();
		assert_refused("truncated or damaged");
		make_elf();
		elf.segment[1].p_offset = wild[i] == 100 ? sizeof(elf) : wild[i];
		write_elf();
		assert_refused("truncated or damaged");
	}
	make_elf();
	elf.header.e_phnum = 0xffff;
	write_elf();
	assert_refused("truncated or damaged");
	make_elf();
	elf.header.e_phnum = 0;
	write_elf();
	assert_refused("truncated or damaged");
	make_elf();
	elf.header.e_phentsize = 55;
	write_elf();
	assert_refused("truncated or damaged");
	make_elf();
	elf.segment[1].p_memsz = elf.segment[1].p_filesz - 1;
	write_elf();
	assert_refused("truncated or damaged");
	make_elf();
	elf.segment[2].p_filesz = elf.segment[2].p_memsz = 257;
	write_elf();
	assert_refused("truncated or damaged");
}

static void test_elf_truncated(void **state)
{
	(void)state;
	make_elf();
	for (size_t len = SELFMAG; len < sizeof(elf); len += 9) {
		write_file(kernel_path, &elf, len);
		assert_refused("");
	}
}

static void test_elf_outside_memory(void **state)
{
	static const struct {
		uint64_t paddr;
		uint64_t memsz;
	} wild[] = {
		{MEMORY_BASE - 1, 256},
		{MEMORY_BASE - 4096, 8192},
		{MEMORY_BASE, FAKE_RAM},
		{MEMORY_BASE + FAKE_RAM - 256, 256},
		{MEMORY_BASE + FAKE_RAM, 256},
		{1, 256},
		{~0ULL - 255, 256},
		{~0ULL - 254, 256},
		{MEMORY_BASE, ~0ULL},
		{MEMORY_BASE, ~0ULL - MEMORY_BASE + 1},
		{MEMORY_BASE, 1ULL << 63},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		make_elf();
		elf.segment[1].p_paddr = wild[i].paddr;
		elf.segment[1].p_memsz = wild[i].memsz;
		write_elf();
		assert_refused("does not fit");
	}
}

static void test_elf_without_entry(void **state)
{
	(void)state;
	make_elf();
	elf.header.e_entry = MEMORY_BASE + MIB;
	write_elf();
	assert_refused("has no entry point");
	make_elf();
	elf.segment[1].p_type = elf.segment[2].p_type = PT_NULL;
	write_elf();
	assert_refused("has no entry point");
}

static void test_initrd(void **state)
{
	uint8_t data[10000];
	uint64_t start;

	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	memset(data, 0x5a, sizeof(data));
	write_file(initrd_path, data, sizeof(data));
	board.config.initrd = initrd_path;
	assert_loads();
	start = prop64("/chosen", "linux,initrd-start");
	assert_int_equal(prop64("/chosen", "linux,initrd-end"), start + sizeof(data));
	assert_int_equal(start % 4096, 0);
	assert_memory_equal(memory_at(&board.vm.mem, start, sizeof(data)), data, sizeof(data));
	assert_true(start + sizeof(data) <= board.vm.boot.dtb);
	assert_true(start >= MEMORY_BASE + 2 * MIB + image.image_size);
}

static void test_initrd_that_does_not_fit(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	board.config.initrd = initrd_path;
	write_file(initrd_path, "x", 1);
	assert_int_equal(truncate(initrd_path, (off_t)FAKE_RAM), 0);
	assert_refused("initrd");
	assert_non_null(strstr(said, "does not fit into 8 MiB of memory: use a larger --mem"));
	/* One byte more than the device tree leaves; exactly so much. */
	board.config.initrd = NULL;
	assert_loads();
	board.config.initrd = initrd_path;
	assert_int_equal(truncate(initrd_path, (off_t)(board.vm.boot.dtb - MEMORY_BASE + 1)), 0);
	assert_refused("initrd");
	assert_int_equal(truncate(initrd_path, (off_t)(board.vm.boot.dtb - MEMORY_BASE)), 0);
	assert_refused("kernel");
	/* It fits, but not together with the kernel. */
	assert_int_equal(truncate(initrd_path, (off_t)(FAKE_RAM - 2 * MIB)), 0);
	assert_refused("kernel");
	assert_non_null(strstr(said, "does not fit"));
	/* Sparse and huge. */
	assert_int_equal(truncate(initrd_path, (off_t)1 << 42), 0);
	assert_refused("initrd");
	write_file(initrd_path, "", 0);
	assert_refused("is empty");
	unlink(initrd_path);
	assert_refused("initrd");
}

static void test_dtb_of_the_user(void **state)
{
	uint8_t dtb[2048];

	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	assert_int_equal(fdt_create_empty_tree(dtb, sizeof(dtb)), 0);
	assert_int_equal(fdt_setprop_u32(dtb, 0, "#address-cells", 2), 0);
	assert_int_equal(fdt_setprop_u32(dtb, 0, "#size-cells", 2), 0);
	assert_int_equal(fdt_setprop_string(dtb, 0, "model", "his"), 0);
	write_file(dtb_path, dtb, sizeof(dtb));
	board.config.dtb = dtb_path;
	board.config.cmdline = "quiet";
	assert_loads();
	assert_string_equal(prop("/", "model"), "his");
	assert_string_equal(prop("/chosen", "bootargs"), "quiet");
	write_file(dtb_path, dtb, 100);
	assert_refused("is no device tree that can be used");
	write_file(dtb_path, "garbage", 7);
	assert_refused("is no device tree that can be used");
	assert_int_equal(truncate(dtb_path, 3 << 20), 0);
	assert_refused("is larger than the 2 MiB");
}

static void test_dump_dtb(void **state)
{
	uint8_t dtb[16384];
	FILE *file;
	size_t n;

	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	board.config.dump_dtb = dtb_path;
	assert_loads();
	file = fopen(dtb_path, "rb");
	assert_non_null(file);
	n = fread(dtb, 1, sizeof(dtb), file);
	fclose(file);
	assert_int_equal(n, fdt_totalsize(dtb));
	assert_memory_equal(dtb, memory_at(&board.vm.mem, board.vm.boot.dtb, n), n);
	board.config.dump_dtb = folder;
	assert_refused("cannot write the device tree");
}

static int do_load_again(void)
{
	return loader_load(&board.vm);
}

/* What is loaded at a reboot is what the files hold by then, through what was opened at the start. */
static void test_files_stay_open(void **state)
{
	static uint8_t junk[65536];
	struct stat st;

	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	write_file(initrd_path, "first", 5);
	write_file(dtb_path, junk, sizeof(junk));
	board.config.initrd = initrd_path;
	board.config.dump_dtb = dtb_path;
	assert_int_equal(loader_open(&board.vm.loader, &board.config), 0);
	assert_int_equal(captured(do_load_again), 0);
	write_file(initrd_path, "the second", 10);
	assert_int_equal(captured(do_load_again), 0);
	assert_memory_equal(memory_at(&board.vm.mem, prop64("/chosen", "linux,initrd-start"), 10),
			    "the second", 10);
	assert_int_equal(stat(dtb_path, &st), 0);
	assert_int_equal(st.st_size, fdt_totalsize(memory_at(&board.vm.mem, board.vm.boot.dtb, 8)));
	unlink(kernel_path);
	assert_int_equal(captured(do_load_again), 0);
	assert_int_equal(truncate(initrd_path, 0), 0);
	assert_int_equal(captured(do_load_again), VM_EXIT_USAGE);
	assert_non_null(strstr(said, "is empty"));
	loader_close(board.vm.loader);
}

static void test_tiny_memory(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	/* No room for anything: as if RAM were 4 KiB. */
	board.vm.mem.size = 4096;
	assert_int_equal(captured(do_load), VM_EXIT_USAGE);
	assert_non_null(strstr(said, "not even enough for the device tree"));
	board.vm.mem.size = FAKE_RAM;
}

static void test_early_check(void **state)
{
	(void)state;
	make_image();
	write_file(kernel_path, &image, sizeof(image));
	assert_int_equal(captured(do_check), 0);
	board.config.initrd = "/nonexistent/initrd";
	assert_int_equal(captured(do_check), VM_EXIT_USAGE);
	assert_string_equal(said,
			    "duvisor: initrd '/nonexistent/initrd' cannot be opened: "
			    "No such file or directory\n");
	board.config.initrd = NULL;
	write_file(kernel_path, "no", 2);
	assert_int_equal(captured(do_check), VM_EXIT_USAGE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_image),
		TEST(test_image_at_base),
		TEST(test_gzip),
		TEST(test_gzip_of_something_else),
		TEST(test_gzip_bomb),
		TEST(test_zboot),
		TEST(test_image_that_does_not_fit),
		TEST(test_image_at_the_end_of_memory),
		TEST(test_gzip_that_does_not_fit),
		TEST(test_truncated_image),
		TEST(test_image_longer_than_memory),
		TEST(test_truncated_image_with_efi_stub),
		TEST(test_no_kernel_at_all),
		TEST(test_elf),
		TEST(test_elf_at_zero),
		TEST(test_elf_of_another_kind),
		TEST(test_elf_damaged),
		TEST(test_elf_truncated),
		TEST(test_elf_outside_memory),
		TEST(test_elf_without_entry),
		TEST(test_initrd),
		TEST(test_initrd_that_does_not_fit),
		TEST(test_dtb_of_the_user),
		TEST(test_dump_dtb),
		TEST(test_files_stay_open),
		TEST(test_tiny_memory),
		TEST(test_early_check),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
