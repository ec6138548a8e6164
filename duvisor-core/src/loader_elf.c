/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ELF files: 64-bit RISC-V executables, segments to their physical addresses. */
#include <elf.h>
#include <endian.h>
#include <string.h>

#include "loader.h"

/*
 * An executable that is linked at physical address 0 (Linux's vmlinux) goes where the Image of that
 * kernel would go.
 */
#define ZERO_BASED_OFFSET 0x200000

struct segment {
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;
	uint64_t memsz;
};

static int check_header(struct loader_file *file, const Elf64_Ehdr *header)
{
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    le16toh(header->e_machine) != EM_RISCV)
		return loader_file_error(file, "is an ELF file, but not for 64-bit RISC-V");
	if (le16toh(header->e_type) != ET_EXEC)
		return loader_file_error(file,
					 "is an ELF file, but not an executable "
					 "at a fixed address");
	if (le16toh(header->e_phentsize) != sizeof(Elf64_Phdr) || !header->e_phnum)
		return loader_file_error(file, "is truncated or damaged");
	return 0;
}

/* The i-th program header; memsz is 0 if there is nothing to load. */
static int read_segment(struct loader_file *file, const Elf64_Ehdr *header, unsigned int i,
			struct segment *segment)
{
	uint64_t off = le64toh(header->e_phoff) + (uint64_t)i * sizeof(Elf64_Phdr);
	Elf64_Phdr phdr;

	if (loader_file_read_at(file, off, &phdr, sizeof(phdr)))
		return -1;
	*segment = (struct segment){
		.offset = le64toh(phdr.p_offset),
		.vaddr = le64toh(phdr.p_vaddr),
		.paddr = le64toh(phdr.p_paddr),
		.filesz = le64toh(phdr.p_filesz),
		.memsz = le32toh(phdr.p_type) == PT_LOAD ? le64toh(phdr.p_memsz) : 0,
	};
	if (segment->memsz && segment->filesz > segment->memsz)
		return loader_file_error(file, "is truncated or damaged");
	return 0;
}

/* What to add to the physical addresses. */
static int find_bias(struct loader_file *file, const Elf64_Ehdr *header,
		     const struct loader_kernel *kernel, uint64_t *bias)
{
	*bias = 0;
	for (unsigned int i = 0; i < le16toh(header->e_phnum); i++) {
		struct segment segment = {0};

		if (read_segment(file, header, i, &segment))
			return -1;
		if (segment.memsz && !segment.paddr)
			*bias = kernel->mem->base + ZERO_BASED_OFFSET;
	}
	return 0;
}

static int load_segment(struct loader_file *file, const struct loader_kernel *kernel,
			const struct segment *segment, uint64_t bias)
{
	gpa_t start = segment->paddr + bias;
	gpa_t end = start + segment->memsz;
	uint8_t *dst = memory_at(kernel->mem, start, segment->memsz);

	if (start < bias || end < start || end > kernel->limit || !dst)
		return loader_file_error(file,
					 "does not fit: it wants %llu bytes at 0x%llx, and "
					 "0x%llx to 0x%llx are free",
					 (unsigned long long)segment->memsz,
					 (unsigned long long)start,
					 (unsigned long long)kernel->mem->base,
					 (unsigned long long)kernel->limit);
	if (loader_file_read_at(file, segment->offset, dst, segment->filesz))
		return -1;
	memset(dst + segment->filesz, 0, segment->memsz - segment->filesz);
	return 0;
}

/* The entry point is a virtual address: translate it by the segment that it is in. */
static void take_entry(const Elf64_Ehdr *header, const struct segment *segment, uint64_t bias,
		       gpa_t *entry, bool *found)
{
	uint64_t into = le64toh(header->e_entry) - segment->vaddr;

	if (*found || into >= segment->memsz)
		return;
	*entry = segment->paddr + bias + into;
	*found = true;
}

int loader_elf_load(struct loader_file *file, struct loader_kernel *kernel)
{
	Elf64_Ehdr header;
	bool found = false;
	uint64_t bias;

	if (loader_file_read_at(file, 0, &header, sizeof(header)) || check_header(file, &header) ||
	    find_bias(file, &header, kernel, &bias))
		return -1;
	for (unsigned int i = 0; i < le16toh(header.e_phnum); i++) {
		struct segment segment = {0};

		if (read_segment(file, &header, i, &segment))
			return -1;
		if (!segment.memsz)
			continue;
		if (load_segment(file, kernel, &segment, bias))
			return -1;
		take_entry(&header, &segment, bias, &kernel->entry, &found);
	}
	if (!found)
		return loader_file_error(file, "has no entry point in any of its segments");
	return 0;
}
