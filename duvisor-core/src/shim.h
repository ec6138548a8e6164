/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's half of a VM: the only file that knows /dev/duvisor and its ioctls. */
#ifndef DUVISOR_SHIM_H
#define DUVISOR_SHIM_H

#include <stdint.h>

#define SHIM_NO_INDEX 0xffffU

struct shim {
	int fd;
	unsigned int max_vcpus;
	uint64_t features; /* DUVISOR_FEATURE_* */
};

/* Open the device and check its version. 0 or -errno, said to the user in one line. */
int shim_open(struct shim *shim);
void shim_close(struct shim *shim);

/*
 * Make the calling thread vCPU index of the VM, or with SHIM_NO_INDEX a thread that may
 * only post (kick vCPUs). From here until detach or exit it runs in HU-mode. 0 or -errno.
 */
int shim_attach(const struct shim *shim, unsigned int index);
int shim_detach(const struct shim *shim);

#endif
