/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the APLIC is made of: for aplic.c and its hot line only. */
#ifndef DUVISOR_DEV_APLIC_H
#define DUVISOR_DEV_APLIC_H

#include <stdbool.h>

#include "device.h"
#include "irqchip.h"

#define SOURCES 97 /* source 0 does not exist */
#define WORDS ((SOURCES + 31) / 32)

/* Guest index 0 only: the harts of a guest have no guests. */
#define TARGET_HART_SHIFT 18
#define TARGET_EIID 0x7ffU
#define TARGET_MASK (0x3fffU << TARGET_HART_SHIFT | TARGET_EIID)

enum mode {
	INACTIVE = 0,
	DETACHED = 1,
	EDGE_RISE = 4,
	EDGE_FALL = 5,
	LEVEL_HIGH = 6,
	LEVEL_LOW = 7
};

struct source {
	/* Hot code finds a source with a shift if its size is a power of two. */
	_Alignas(16) uint32_t mode; /* enum mode */
	uint32_t target;
	bool line; /* the wire */
	bool pending;
	bool enabled;
};

struct aplic {
	struct device dev;
	struct irqchip chip;
	/* chip.lock protects what follows. */
	bool on;                          /* domaincfg.IE */
	struct source source[WORDS * 32]; /* those that do not exist stay inactive */
};

hot_line_fn aplic_hot_line;

#endif
