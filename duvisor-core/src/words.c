/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "words.h"

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

const char *words_value(const char *word, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(word, key, len) && word[len] == '=' ? word + len + 1 : NULL;
}
