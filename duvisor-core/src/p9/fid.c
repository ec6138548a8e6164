/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "p9/fid.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "p9/server.h"

static struct p9_fid **bucket_of(struct p9_fids *fids, uint32_t id)
{
	return &fids->bucket[id % P9_FID_BUCKETS];
}

struct p9_fid *p9_fid_find(const struct p9_fids *fids, uint32_t id)
{
	struct p9_fid *fid = fids->bucket[id % P9_FID_BUCKETS];

	while (fid && fid->id != id)
		fid = fid->next;
	return fid;
}

int p9_fid_add(struct p9_fids *fids, uint32_t id, int path)
{
	struct p9_fid **bucket = bucket_of(fids, id);
	struct p9_fid *fid;

	if (p9_fid_find(fids, id))
		return -EBADF;
	if (fids->count == P9_MAX_FIDS)
		return -ENFILE;
	fid = malloc(sizeof(*fid));
	if (!fid)
		return -ENOMEM;
	*fid = (struct p9_fid){.next = *bucket, .id = id, .path = path, .file = -1};
	*bucket = fid;
	fids->count++;
	return 0;
}

static void release(struct p9_fid *fid)
{
	close(fid->path);
	if (fid->file >= 0)
		close(fid->file);
	free(fid);
}

void p9_fid_remove(struct p9_fids *fids, struct p9_fid *fid)
{
	struct p9_fid **at = bucket_of(fids, fid->id);

	while (*at != fid)
		at = &(*at)->next;
	*at = fid->next;
	fids->count--;
	release(fid);
}

void p9_fid_remove_all(struct p9_fids *fids)
{
	for (unsigned int i = 0; i < P9_FID_BUCKETS; i++) {
		struct p9_fid *next = fids->bucket[i];

		while (next) {
			struct p9_fid *fid = next;

			next = fid->next;
			release(fid);
		}
	}
	*fids = (struct p9_fids){0};
}
