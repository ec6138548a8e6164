// SPDX-License-Identifier: GPL-2.0-or-later
/* The shortest life of a guest: one byte, then power-off. For what it costs to start one. */
#include "guest.h"

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	guest_print("\n");
	return 0;
}
