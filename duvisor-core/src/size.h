/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes of memory as users write them: "512M". */
#ifndef DUVISOR_SIZE_H
#define DUVISOR_SIZE_H

#include <stdint.h>

#define SIZE_LIMIT (1ULL << 40)

/*
 * A decimal number and nothing else before *end. 0, or -1: there is none, or it is none of 64 bits.
 */
int size_number(const char *text, uint64_t *value, const char **end);

/* A number and K, M, G or T, M if none. 0; -EINVAL: it is nothing like that; -ERANGE: more than SIZE_LIMIT. */
int size_parse(const char *text, uint64_t *size);

#endif
