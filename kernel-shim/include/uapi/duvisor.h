/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * The ABI of /dev/duvisor (docs/abi.md). open() makes a VM; the ioctls below
 * report what there is and make the calling thread a member of that VM;
 * close() undoes all.
 */
#ifndef _UAPI_DUVISOR_H
#define _UAPI_DUVISOR_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DUVISOR_ABI_VERSION 2
#define DUVISOR_DEVICE "/dev/duvisor"

/* struct duvisor_info.features */
#define DUVISOR_FEATURE_STIMECMP (1ULL << 0) /* guests have stimecmp (Sstc) */
#define DUVISOR_FEATURE_ZICBOZ (1ULL << 1) /* guests may execute cbo.zero */
#define DUVISOR_FEATURE_ZICBOM (1ULL << 2) /* guests may execute cbo.clean and cbo.flush */
#define DUVISOR_FEATURE_AIA (1ULL << 3) /* guests have the CSRs of Ssaia; huvsiselect exists */

struct duvisor_info {
	__u32 version; /* DUVISOR_ABI_VERSION of the module */
	__u32 max_vcpus; /* valid vCPU indices are 0 .. max_vcpus - 1 */
	__u64 features;
	__u64 reserved[6]; /* zero */
};

/*
 * A member that only posts to vCPUs (an I/O thread): it has no index and so
 * cannot be posted to. Any number of threads may be one.
 */
#define DUVISOR_INDEX_NONE 0xffffU

struct duvisor_attach {
	__u32 index; /* vCPU index, or DUVISOR_INDEX_NONE */
	__u32 flags; /* zero */
};

/* What this module offers. Never fails on an open VM. */
#define DUVISOR_GET_INFO _IOR('D', 0x00, struct duvisor_info)
/* Make the calling thread a member of this VM until it exits, detaches or the VM is closed. */
#define DUVISOR_ATTACH _IOW('D', 0x01, struct duvisor_attach)
/* Undo DUVISOR_ATTACH of the calling thread. */
#define DUVISOR_DETACH _IO('D', 0x02)

#endif
