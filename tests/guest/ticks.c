// SPDX-License-Identifier: GPL-2.0-or-later
/* Prints a line each 20 ms for ten seconds: its life can be watched from outside. */
#include "guest.h"

#define TICKS_PER_LINE 200000ul
#define LINES 500

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	for (int i = 0; i < LINES; i++) {
		uint64_t end = csr_read(time) + TICKS_PER_LINE;

		guest_print("tick\n");
		while (csr_read(time) < end)
			;
	}
	return 0;
}
