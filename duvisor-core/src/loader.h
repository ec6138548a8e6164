/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel, initrd and device tree into RAM (loader_load() is in vm.h). The layout of RAM:
 *
 *   base                 Image at base + its text_offset, ELF segments where they want to be
 *   ...                  free
 *   initrd               page-aligned, as high as possible
 *   device tree          page-aligned, at the top
 */
#ifndef DUVISOR_LOADER_H
#define DUVISOR_LOADER_H

#include "loader_file.h"
#include "memory.h"

struct vm_config;

struct loader;

/*
 * Open the user's files, and say early what will not work: files that are not there or are none that can
 * be loaded. 0 or the vm_exit to end with, said to the user. The caller closes *loader_out.
 */
int loader_open(struct loader **loader_out, const struct vm_config *config);
void loader_close(struct loader *loader); /* may be NULL */

/* Where a kernel may go and where it starts. */
struct loader_kernel {
	const struct memory *mem;
	gpa_t limit; /* what is above is in use */
	gpa_t entry; /* result */
};

/* Load a kernel of whatever format. 0 or -1, said to the user. */
int loader_kernel_load(struct loader_file *file, struct loader_kernel *kernel);
/* Whether the format is one that loader_kernel_load() knows. 0 or -1, said to the user. */
int loader_kernel_check(struct loader_file *file);

/* An ELF file (loader_elf.c), whatever its header says. 0 or -1, said to the user. */
int loader_elf_load(struct loader_file *file, struct loader_kernel *kernel);

#endif
