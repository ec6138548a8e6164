/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart ids that the guest knows its vCPUs by, as the user gives them. Everything but SBI, the device tree
 * and messages counts vCPUs from 0 in the order of the list.
 */
#ifndef DUVISOR_HART_IDS_H
#define DUVISOR_HART_IDS_H

#include <stddef.h>
#include <stdint.h>

#define HART_IDS_VCPUS 64
#define HART_ID_LIMIT 1024 /* ids are below; entry.S knows it as a shift */
#define HART_ID_SHIFT 10

/* In a table of vCPUs by hart id: there is none. No post ever matches it (docs/isa.md, POST-1). */
#define HART_ID_NONE 0xffU

struct hart_ids {
	unsigned int count; /* 0: the ids are the vCPUs' own numbers */
	uint16_t id[HART_IDS_VCPUS];
};

/* Read a list as in 0,2,5-7. 0, or -1 with one line in why: not a list, an id twice, too many, too large. */
int hart_ids_parse(struct hart_ids *ids, const char *text, char *why, size_t size);

/* The id of a vCPU below count (or any, if that is 0). */
unsigned int hart_ids_of(const struct hart_ids *ids, unsigned int vcpu);

/* Fill the table that is asked for the vCPU of an id: its number, or HART_ID_NONE. */
void hart_ids_tabulate(const struct hart_ids *ids, unsigned int vcpus,
		       uint8_t table[HART_ID_LIMIT]);

#endif
