// SPDX-License-Identifier: GPL-2.0-or-later
/* Powers off at once: the shortest life of a VM. */
#include "guest.h"

int main(long hart, void *fdt)
{
	(void)hart;
	(void)fdt;
	return 0;
}
