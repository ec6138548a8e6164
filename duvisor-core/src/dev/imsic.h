/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The incoming MSI controller: a page of guest-physical addresses for each vCPU (AIA specification 1.0, chapter 3). */
#ifndef DUVISOR_DEV_IMSIC_H
#define DUVISOR_DEV_IMSIC_H

#include <stdint.h>

struct vm;

/* Interrupt hart with identity id. Numbers that do not exist are ignored. Any member thread; does not block. */
void imsic_send(struct vm *vm, uint32_t hart, uint32_t id);

#endif
