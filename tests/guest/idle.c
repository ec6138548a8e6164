// SPDX-License-Identifier: GPL-2.0-or-later
/* Says that it runs, then waits for an interrupt that never comes: what an idle VM costs is the host's to see. */
#include "guest.h"

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	guest_print("idle\n");
	for (;;)
		__asm__ volatile("wfi");
}
