/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hart_ids.h"

#include <stdio.h>
#include <string.h>

#include "words.h"

_Static_assert(HART_ID_LIMIT == 1 << HART_ID_SHIFT, "one limit, said twice");
_Static_assert(HART_IDS_VCPUS <= HART_ID_NONE, "a table of bytes holds each vCPU");

static int fail(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return -1;
}

static int add(struct hart_ids *ids, unsigned int id, char *why, size_t size)
{
	for (unsigned int i = 0; i < ids->count; i++)
		if (ids->id[i] == id)
			return fail(why, size, "an id is there twice");
	if (ids->count == HART_IDS_VCPUS)
		return fail(why, size, "there are more than 64");
	ids->id[ids->count++] = (uint16_t)id;
	return 0;
}

static int parse_range(struct hart_ids *ids, const char **at, char *why, size_t size)
{
	unsigned int first;
	unsigned int last;
	int err = 0;

	if (!words_range(at, HART_ID_LIMIT, &first, &last))
		return fail(why, size, "give a list as in 0,2,5-7");
	if (last == HART_ID_LIMIT)
		return fail(why, size, "ids are below 1024");
	for (unsigned int id = first; id <= last && !err; id++)
		err = add(ids, id, why, size);
	return err;
}

int hart_ids_parse(struct hart_ids *ids, const char *text, char *why, size_t size)
{
	const char *at = text;

	ids->count = 0;
	for (;;) {
		if (parse_range(ids, &at, why, size))
			return -1;
		if (!*at)
			return 0;
		if (*at++ != ',')
			return fail(why, size, "give a list as in 0,2,5-7");
	}
}

unsigned int hart_ids_of(const struct hart_ids *ids, unsigned int vcpu)
{
	return ids->count ? ids->id[vcpu] : vcpu;
}

void hart_ids_tabulate(const struct hart_ids *ids, unsigned int vcpus, uint8_t table[HART_ID_LIMIT])
{
	memset(table, HART_ID_NONE, HART_ID_LIMIT);
	for (unsigned int i = 0; i < vcpus; i++)
		table[hart_ids_of(ids, i)] = (uint8_t)i;
}
