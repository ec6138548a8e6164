/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "size.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int size_number(const char *text, uint64_t *value, const char **end)
{
	char *after;

	errno = 0;
	if (*text < '0' || *text > '9')
		return -1;
	*value = strtoull(text, &after, 10);
	*end = after;
	return errno ? -1 : 0;
}

/* The shift of a unit, -1 if there is no such unit. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (!*unit)
		return 20;
	at = strchr(letters, *unit & ~0x20);
	if (!at || !*at || unit[1])
		return -1;
	return 10 * (int)(at - letters + 1);
}

int size_parse(const char *text, uint64_t *size)
{
	const char *unit = "";
	uint64_t value = 0;
	bool found = !size_number(text, &value, &unit) || errno == ERANGE;
	int shift = found ? unit_shift(unit) : -1;

	if (shift < 0)
		return -EINVAL;
	if (value > SIZE_LIMIT >> shift)
		return -ERANGE;
	*size = value << shift;
	return 0;
}
