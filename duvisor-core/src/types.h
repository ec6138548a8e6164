/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few types and helpers that every part of the core uses. */
#ifndef DUVISOR_TYPES_H
#define DUVISOR_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* A guest-physical address. An address of this process (HVA) is a pointer. */
typedef uint64_t gpa_t;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The structure of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
