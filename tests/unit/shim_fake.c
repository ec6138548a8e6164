/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's half for unit tests: everybody may be anything. */
#include <errno.h>

#include "shim.h"
#include "uapi/duvisor.h"

int shim_open(struct shim *shim)
{
	shim->fd = -1;
	shim->max_vcpus = 8;
	shim->features = DUVISOR_FEATURE_STIMECMP;
	return 0;
}

void shim_close(struct shim *shim)
{
	shim->fd = -1;
}

int shim_attach(const struct shim *shim, unsigned int index)
{
	return index < shim->max_vcpus || index == SHIM_NO_INDEX ? 0 : -EINVAL;
}

int shim_detach(const struct shim *shim)
{
	(void)shim;
	return 0;
}
