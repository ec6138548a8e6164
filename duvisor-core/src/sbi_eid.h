/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extension IDs that C and entry.S both know (SBI, chapters of the extensions). */
#ifndef DUVISOR_SBI_EID_H
#define DUVISOR_SBI_EID_H

#define SBI_EID_BASE 0x10
#define SBI_EID_TIME 0x54494d45
#define SBI_EID_IPI 0x735049

/* Functions of the base extension: all but the probe answer with a constant, sbi_base_value. */
#define SBI_BASE_PROBE_EXTENSION 3
#define SBI_BASE_FUNCTIONS 7

#endif
