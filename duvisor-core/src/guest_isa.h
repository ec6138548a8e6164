/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest is told about its harts: derived from what the host's device tree says about its own. */
#ifndef DUVISOR_GUEST_ISA_H
#define DUVISOR_GUEST_ISA_H

#include "types.h"

struct guest_isa {
	char isa[256];            /* "rv64imafdc_zicsr_...", for riscv,isa */
	char extensions[512];     /* "i\0m\0...", for riscv,isa-extensions */
	size_t extensions_size;   /* its bytes, the last NUL included */
	char mmu_type[16];        /* "riscv,sv39" etc. */
	uint32_t cbom_block_size; /* 0: the guest has no Zicbom */
	uint32_t cboz_block_size; /* 0: the guest has no Zicboz */
	uint32_t timebase_frequency;
};

/*
 * Fill isa and extensions from the host's riscv,isa-extensions (size bytes of NUL-terminated
 * names), leaving out everything that a guest does not have. -EINVAL: no I or S-mode timer there.
 */
int guest_isa_filter(struct guest_isa *isa, const char *host, size_t size, uint64_t shim_features);

/* Fill everything from /proc/device-tree (or, in tests, another directory). 0 or -errno, said to the user. */
int guest_isa_read(struct guest_isa *isa, const char *device_tree, uint64_t shim_features);

#endif
