/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments that are lists, "FILE,ro,serial=S": words between commas; a doubled comma is one of a word. */
#ifndef DUVISOR_WORDS_H
#define DUVISOR_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copy the next word into buf and move *at behind it and its comma (NULL: it was the last). False: there is none
 * left. A word that does not fit is cut and sets *too_long.
 */
bool words_next(const char **at, char *buf, size_t size, bool *too_long);

/*
 * Read a number, or two as in 5-7, the first not the larger one; *at moves behind. A number that is not below limit
 * is limit. False: there is no such thing.
 */
bool words_range(const char **at, unsigned int limit, unsigned int *first, unsigned int *last);

/* The value if word is "key=value", else NULL. */
const char *words_value(const char *word, const char *key);

#endif
