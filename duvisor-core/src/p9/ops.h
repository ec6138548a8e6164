/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a 9P2000.L server does, one function for each type of message. in is behind the header, and so is out. Each returns 0 or
 * -errno, which the guest gets; -EPROTO for a message that is cut short or has a name in it that is none.
 */
#ifndef DUVISOR_P9_OPS_H
#define DUVISOR_P9_OPS_H

#include "p9/fid.h"
#include "p9/wire.h"

struct p9_server {
	int root;
	int own_files;
	bool read_only;
	uint32_t max_message; /* as agreed with the guest */
	struct p9_fids fids;
};

typedef int p9_op(struct p9_server *server, struct p9_in *in, struct p9_out *out);

/* ops_session.c: names of objects */
p9_op p9_version, p9_attach, p9_walk, p9_clunk, p9_remove, p9_flush;
/* ops_file.c: contents */
p9_op p9_lopen, p9_lcreate, p9_read, p9_write, p9_readdir, p9_fsync, p9_lock, p9_getlock;
/* ops_tree.c: what there is, and its attributes */
p9_op p9_statfs, p9_getattr, p9_setattr, p9_symlink, p9_readlink, p9_mknod, p9_link, p9_mkdir,
	p9_renameat, p9_unlinkat;

#define P9_NAME_SIZE 256

/* Permissions that guests can give: nothing in the share becomes a program that runs with its owner's rights. */
#define P9_MODE_MASK 01777U

/* The next number of a message as a name in use; NULL: it is not. */
struct p9_fid *p9_take_fid(struct p9_server *server, struct p9_in *in);

/* The next string as the name of something in a directory. 0 or -errno. */
int p9_take_name(struct p9_in *in, char name[P9_NAME_SIZE]);

/* Identity and kind of what fd is: qid[13]. 0 or -errno. */
int p9_give_qid(struct p9_out *out, int fd);

/* What a directory has by this name, not followed: an O_PATH descriptor or -errno. */
int p9_look_up(int directory, const char *name);

/* Open what the O_PATH descriptor is, which must be a file or a directory. A descriptor or -errno. */
int p9_reopen(struct p9_server *server, int path, int flags);

/* The name that /proc/self/fd has for it. */
#define P9_LINK_SIZE 16
void p9_link_name(char name[P9_LINK_SIZE], int fd);

#endif
