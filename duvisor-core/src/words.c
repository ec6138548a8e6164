/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "words.h"

#include <stdlib.h>
#include <string.h>

bool words_next(const char **at, char *buf, size_t size, bool *too_long)
{
	const char *c = *at;
	size_t len = 0;

	if (!c)
		return false;
	*at = NULL;
	while (*c) {
		if (*c == ',' && c[1] != ',') {
			*at = c + 1;
			break;
		}
		c += *c == ',' ? 2 : 1;
		if (len + 1 < size)
			buf[len++] = c[-1];
		else
			*too_long = true;
	}
	buf[len] = '\0';
	return true;
}

static bool read_number(const char **at, unsigned int limit, unsigned int *number)
{
	unsigned long value;
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	value = strtoul(*at, &end, 10);
	*at = end;
	*number = value < limit ? (unsigned int)value : limit;
	return true;
}

bool words_range(const char **at, unsigned int limit, unsigned int *first, unsigned int *last)
{
	if (!read_number(at, limit, first))
		return false;
	*last = *first;
	if (**at != '-')
		return true;
	++*at;
	return read_number(at, limit, last) && *last >= *first;
}

const char *words_value(const char *word, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(word, key, len) && word[len] == '=' ? word + len + 1 : NULL;
}
