/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The formats of a kernel: Linux Image (Documentation/arch/riscv/boot-image-header.rst), the same
 * in gzip or in an EFI zboot wrapper around gzip, and ELF.
 */
#include <elf.h>
#include <endian.h>
#include <string.h>

#include "loader.h"

#define MIB(bytes) ((unsigned long long)(((bytes) + 0xfffff) >> 20))

/* All fields little-endian. */
struct image_header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size; /* with BSS; 0 in very old kernels */
	uint64_t flags;
	uint32_t version;
	uint32_t reserved1;
	uint64_t reserved2;
	uint64_t magic;
	uint8_t magic2[4];
	uint32_t pe_offset;
};

_Static_assert(sizeof(struct image_header) == 64, "the header has a fixed size");

#define IMAGE_MAGIC2 "RSC\x05"

/* EFI zboot: where the packed kernel is (drivers/firmware/efi/libstub/zboot-header.S). */
struct zboot_header {
	uint8_t mz[4];
	uint8_t magic[4];
	uint32_t payload_offset;
	uint32_t payload_size;
	uint8_t reserved[8];
	char packing[32];
};

/* The parts of a PE file that tell how long it must be. */
#define PE_MAGIC "PE\0\0"
#define PE_HEADER_SIZE 24
#define PE_SECTION_COUNT 6
#define PE_OPTIONAL_SIZE 20
#define PE_SECTION_SIZE 40
#define PE_RAW_SIZE 16
#define PE_RAW_OFFSET 20

enum format { FORMAT_IMAGE, FORMAT_GZIP, FORMAT_ZBOOT, FORMAT_ELF, FORMAT_UNKNOWN };

static bool starts_with(const uint8_t *data, const char *magic, size_t len)
{
	return !memcmp(data, magic, len);
}

static bool is_image(const struct image_header *header)
{
	return !memcmp(header->magic2, IMAGE_MAGIC2, sizeof(header->magic2));
}

static enum format detect(const uint8_t *start)
{
	struct image_header header;

	memcpy(&header, start, sizeof(header));
	if (is_image(&header))
		return FORMAT_IMAGE;
	if (starts_with(start, "\x1f\x8b", 2))
		return FORMAT_GZIP;
	if (starts_with(start, ELFMAG, SELFMAG))
		return FORMAT_ELF;
	if (starts_with(start, "MZ", 2) && starts_with(start + 4, "zimg", 4))
		return FORMAT_ZBOOT;
	return FORMAT_UNKNOWN;
}

/* The start of the file; what is missing at the end of a very short one is zero. */
static int read_start(struct loader_file *file, uint8_t *start, enum format *format)
{
	size_t len = sizeof(struct image_header);

	memset(start, 0, len);
	if (loader_file_size(file) < len)
		len = (size_t)loader_file_size(file);
	if (loader_file_read_at(file, 0, start, len))
		return -1;
	*format = detect(start);
	if (*format == FORMAT_UNKNOWN)
		return loader_file_error(file,
					 "is not a kernel that can be loaded: "
					 "no RISC-V Image (plain or gzip) and no ELF file");
	return 0;
}

static uint32_t le32_at(const uint8_t *data)
{
	uint32_t val;

	memcpy(&val, data, sizeof(val));
	return le32toh(val);
}

static uint16_t le16_at(const uint8_t *data)
{
	uint16_t val;

	memcpy(&val, data, sizeof(val));
	return le16toh(val);
}

/* The end of the file as an EFI stub's PE section table says it, 0 if there is none. 0 or -1. */
static int read_pe_end(struct loader_file *file, const struct image_header *image, uint64_t *end)
{
	uint64_t pe = le32toh(image->pe_offset);
	uint8_t header[PE_HEADER_SIZE];
	uint8_t section[PE_SECTION_SIZE];
	uint64_t table;

	*end = 0;
	if (!starts_with((const uint8_t *)image, "MZ", 2))
		return 0;
	if (loader_file_read_at(file, pe, header, sizeof(header)))
		return -1;
	if (!starts_with(header, PE_MAGIC, 4))
		return 0;
	table = pe + PE_HEADER_SIZE + le16_at(header + PE_OPTIONAL_SIZE);
	for (unsigned int i = 0; i < le16_at(header + PE_SECTION_COUNT); i++) {
		uint64_t section_end;

		if (loader_file_read_at(file, table + (uint64_t)i * PE_SECTION_SIZE, section,
					sizeof(section)))
			return -1;
		section_end =
			(uint64_t)le32_at(section + PE_RAW_OFFSET) + le32_at(section + PE_RAW_SIZE);
		if (section_end > *end)
			*end = section_end;
	}
	return 0;
}

/*
 * An Image does not say how long its file is, only how much memory it takes. One with an EFI stub
 * says more; of others no kernel has more BSS than all else together. So a truncated
 * download is found here and not as a crash of the guest.
 */
static int check_length(struct loader_file *file, const struct image_header *image)
{
	uint64_t size = loader_file_size(file);
	uint64_t end;

	if (read_pe_end(file, image, &end))
		return -1;
	if (!end && size < le64toh(image->image_size) / 2)
		return loader_file_error(file,
					 "is truncated: it has %llu bytes and needs %llu in memory",
					 (unsigned long long)size,
					 (unsigned long long)le64toh(image->image_size));
	if (end > size)
		return loader_file_error(file, "is truncated: it has %llu of %llu bytes",
					 (unsigned long long)size, (unsigned long long)end);
	return 0;
}

/* Where the Image goes and how much room is there. */
static int place_image(struct loader_file *file, const struct image_header *header,
		       struct loader_kernel *kernel, uint64_t *space)
{
	uint64_t room = kernel->limit - kernel->mem->base;
	uint64_t offset = le64toh(header->text_offset);
	uint64_t size = le64toh(header->image_size);

	if (offset >= room || size > room - offset || room - offset < sizeof(*header))
		return loader_file_error(
			file,
			"does not fit: it needs %llu MiB of memory behind the first %llu MiB, "
			"and %llu MiB are free: use a larger --mem",
			MIB(size), MIB(offset), (unsigned long long)(room >> 20));
	*space = room - offset;
	kernel->entry = kernel->mem->base + offset;
	return 0;
}

/* What loader_file_next() delivers is an Image. */
static int load_image(struct loader_file *file, struct loader_kernel *kernel)
{
	struct image_header header;
	uint64_t space = 0;
	uint8_t *dst;
	size_t got;
	uint8_t more;

	if (loader_file_next(file, &header, sizeof(header), &got))
		return -1;
	if (got < sizeof(header) || !is_image(&header))
		return loader_file_error(file, "contains no RISC-V Image");
	if (place_image(file, &header, kernel, &space))
		return -1;
	dst = memory_at(kernel->mem, kernel->entry, space);
	if (!dst)
		return loader_file_error(file, "does not fit into memory");
	memcpy(dst, &header, sizeof(header));
	if (loader_file_next(file, dst + sizeof(header), space - sizeof(header), &got))
		return -1;
	if (got == space - sizeof(header)) {
		if (loader_file_next(file, &more, 1, &got))
			return -1;
		if (got)
			return loader_file_error(file,
						 "does not fit into memory: use a larger --mem");
	}
	return 0;
}

static int start_zboot(struct loader_file *file, const uint8_t *start)
{
	struct zboot_header header;

	memcpy(&header, start, sizeof(header));
	if (strncmp(header.packing, "gzip", sizeof(header.packing)) != 0)
		return loader_file_error(file,
					 "is packed with '%.16s', of which only gzip is known: "
					 "unpack it first",
					 header.packing);
	return loader_file_start(file, le32toh(header.payload_offset), true);
}

int loader_kernel_load(struct loader_file *file, struct loader_kernel *kernel)
{
	uint8_t start[sizeof(struct image_header)];
	struct image_header header;
	enum format format;
	int err = read_start(file, start, &format);

	if (err)
		return err;
	switch (format) {
	case FORMAT_ELF:
		return loader_elf_load(file, kernel);
	case FORMAT_GZIP:
		err = loader_file_start(file, 0, true);
		break;
	case FORMAT_ZBOOT:
		err = start_zboot(file, start);
		break;
	default:
		memcpy(&header, start, sizeof(header));
		err = check_length(file, &header);
		if (!err)
			err = loader_file_start(file, 0, false);
		break;
	}
	return err ? err : load_image(file, kernel);
}

int loader_kernel_check(struct loader_file *file)
{
	uint8_t start[sizeof(struct image_header)];
	enum format format;

	return read_start(file, start, &format);
}
