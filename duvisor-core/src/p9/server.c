/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "p9/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "p9/ops.h"
#include "types.h"

#define TVERSION 100

/* The request of each type; the reply has the next number. */
static const struct {
	int (*answer)(struct p9_server *server, struct p9_in *in, struct p9_out *out);
	bool writes; /* a read-only share refuses it unseen */
} table[] = {
	[8] = {p9_statfs, false},   [12] = {p9_lopen, false},         [14] = {p9_lcreate, true},
	[16] = {p9_symlink, true},  [18] = {p9_mknod, true},          [22] = {p9_readlink, false},
	[24] = {p9_getattr, false}, [26] = {p9_setattr, true},        [40] = {p9_readdir, false},
	[50] = {p9_fsync, false},   [52] = {p9_lock, false},          [54] = {p9_getlock, false},
	[70] = {p9_link, true},     [72] = {p9_mkdir, true},          [74] = {p9_renameat, true},
	[76] = {p9_unlinkat, true}, [TVERSION] = {p9_version, false}, [104] = {p9_attach, false},
	[108] = {p9_flush, false},  [110] = {p9_walk, false},         [116] = {p9_read, false},
	[118] = {p9_write, true},   [120] = {p9_clunk, false},        [122] = {p9_remove, false},
};

struct p9_server *p9_server_create(int root, int own_files, bool read_only)
{
	struct p9_server *server = calloc(1, sizeof(*server));

	if (server)
		*server = (struct p9_server){.root = root,
					     .own_files = own_files,
					     .read_only = read_only,
					     .max_message = P9_MAX_MESSAGE};
	return server;
}

void p9_server_destroy(struct p9_server *server)
{
	p9_fid_remove_all(&server->fids);
	close(server->root);
	close(server->own_files);
	free(server);
}

static int carry_out(struct p9_server *server, uint8_t type, struct p9_in *in, struct p9_out *out)
{
	int err;

	if (type >= ARRAY_SIZE(table) || !table[type].answer)
		return -EOPNOTSUPP;
	if (table[type].writes && server->read_only)
		return -EROFS;
	err = table[type].answer(server, in, out);
	if (err)
		return err;
	return out->bad ? -EMSGSIZE : 0;
}

uint32_t p9_answer(struct p9_server *server, const uint8_t *message, uint32_t len, uint8_t *reply)
{
	struct p9_in in = {.at = message, .left = len};
	struct p9_out out = {.at = reply + P9_HEADER, .left = server->max_message - P9_HEADER};
	uint32_t size = p9_take32(&in);
	uint8_t type = p9_take8(&in);
	uint16_t tag = p9_take16(&in);
	int err;

	if (in.bad || size != len)
		return 0;
	err = carry_out(server, type, &in, &out);
	if (err) {
		out = (struct p9_out){.at = reply + P9_HEADER, .left = 4};
		p9_give32(&out, (uint32_t)-err);
		type = P9_RLERROR - 1;
	}
	len = (uint32_t)(out.at - reply);
	p9_put_number(reply, len, 4);
	reply[4] = type + 1;
	p9_put_number(reply + 5, tag, 2);
	return len;
}
