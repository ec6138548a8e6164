/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's names for what it uses of a share: numbers that it chooses. */
#ifndef DUVISOR_P9_FID_H
#define DUVISOR_P9_FID_H

#include <stdint.h>

#define P9_FID_BUCKETS 256U

struct p9_fid {
	struct p9_fid *next;
	uint32_t id;
	int path; /* O_PATH: the object itself, wherever it is moved to */
	int file; /* open for reading or writing; -1: not */
};

struct p9_fids {
	struct p9_fid *bucket[P9_FID_BUCKETS];
	unsigned int count;
};

/* NULL: there is none. */
struct p9_fid *p9_fid_find(const struct p9_fids *fids, uint32_t id);

/* A new name for what path is; the descriptor is the name's then. 0; -EBADF: it is in use; -ENFILE: too many; -ENOMEM. */
int p9_fid_add(struct p9_fids *fids, uint32_t id, int path);

/* Forget it, and close its files. */
void p9_fid_remove(struct p9_fids *fids, struct p9_fid *fid);
void p9_fid_remove_all(struct p9_fids *fids);

#endif
