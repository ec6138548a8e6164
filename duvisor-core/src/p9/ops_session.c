/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p9/ops.h"

#define MIN_MESSAGE 4096U
#define VERSION "9P2000.L"
#define MAX_WALK 16

/* The kinds in a qid. */
#define QID_DIRECTORY 0x80
#define QID_SYMLINK 0x02

struct p9_fid *p9_take_fid(struct p9_server *server, struct p9_in *in)
{
	uint32_t id = p9_take32(in);

	return in->bad ? NULL : p9_fid_find(&server->fids, id);
}

int p9_take_name(struct p9_in *in, char name[P9_NAME_SIZE])
{
	p9_take_string(in, name, P9_NAME_SIZE);
	if (in->bad)
		return -EPROTO;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

static uint8_t kind(mode_t mode)
{
	if (S_ISDIR(mode))
		return QID_DIRECTORY;
	return S_ISLNK(mode) ? QID_SYMLINK : 0;
}

int p9_give_qid(struct p9_out *out, int fd)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH))
		return -errno;
	p9_give8(out, kind(st.st_mode));
	p9_give32(out, (uint32_t)st.st_mtime);
	p9_give64(out, st.st_ino);
	return 0;
}

int p9_look_up(int directory, const char *name)
{
	int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Tversion: msize[4] version[s]. It begins a new session. */
int p9_version(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	uint32_t size = p9_take32(in);
	char version[32];
	bool known;

	p9_take_string(in, version, sizeof(version));
	if (in->bad)
		return -EPROTO;
	if (size < MIN_MESSAGE)
		return -EMSGSIZE;
	p9_fid_remove_all(&server->fids);
	server->max_message = size < P9_MAX_MESSAGE ? size : P9_MAX_MESSAGE;
	known = !strcmp(version, VERSION);
	p9_give32(out, server->max_message);
	p9_give_string(out, known ? VERSION : "unknown", strlen(known ? VERSION : "unknown"));
	return 0;
}

/* Have id mean fd, and tell what that is. fd is used up. */
static int name_it(struct p9_server *server, struct p9_out *out, uint32_t id, int fd)
{
	int err = p9_give_qid(out, fd) ?: p9_fid_add(&server->fids, id, fd);

	if (err)
		close(fd);
	return err;
}

/* Tattach: fid[4] afid[4] uname[s] aname[s] n_uname[4]. There is one tree, and one user: who started the hypervisor. */
int p9_attach(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	uint32_t id = p9_take32(in);
	char ignored[P9_NAME_SIZE];
	int fd;

	p9_take32(in);
	p9_take_string(in, ignored, sizeof(ignored));
	p9_take_string(in, ignored, sizeof(ignored));
	if (in->bad)
		return -EPROTO;
	fd = openat(server->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : name_it(server, out, id, fd);
}

/*
 * Go down by `count` names from the directory, which is used up. How far that went is in *done, with the qids in out.
 * Returns the last descriptor, or -errno if not even the first name was there.
 */
static int walk_names(struct p9_in *in, struct p9_out *out, int fd, unsigned int count,
		      unsigned int *done)
{
	char name[P9_NAME_SIZE];

	for (*done = 0; *done < count; ++*done) {
		int err = p9_take_name(in, name);
		int next = err ?: p9_look_up(fd, name);

		err = next < 0 ? next : p9_give_qid(out, next);
		if (err && next >= 0)
			close(next);
		if (err) {
			if (*done && err != -EPROTO)
				return fd;
			close(fd);
			return err;
		}
		close(fd);
		fd = next;
	}
	return fd;
}

/* The second name of a walk: a new one, or the first one itself, which moves then. fd is used up. */
static int rename_fid(struct p9_server *server, struct p9_fid *from, uint32_t id, int fd)
{
	int err = 0;

	if (id == from->id && from->file < 0) {
		close(from->path);
		from->path = fd;
		return 0;
	}
	err = p9_fid_add(&server->fids, id, fd);
	if (err)
		close(fd);
	return err;
}

/* Twalk: fid[4] newfid[4] nwname[2] nwname*(wname[s]). The new name is only made if the walk reached its end. */
int p9_walk(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	struct p9_fid *from = p9_take_fid(server, in);
	uint32_t id = p9_take32(in);
	uint16_t count = p9_take16(in);
	uint8_t *reached = p9_give(out, 2);
	unsigned int done;
	int fd;

	if (in->bad || count > MAX_WALK)
		return -EPROTO;
	if (!from)
		return -EBADF;
	fd = fcntl(from->path, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	fd = walk_names(in, out, fd, count, &done);
	if (fd < 0)
		return fd;
	p9_put_number(reached, done, 2);
	if (done == count)
		return rename_fid(server, from, id, fd);
	close(fd);
	return 0;
}

/* Tclunk: fid[4] */
int p9_clunk(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	struct p9_fid *fid = p9_take_fid(server, in);

	(void)out;
	if (!fid)
		return -EBADF;
	p9_fid_remove(&server->fids, fid);
	return 0;
}

/* Tremove: fid[4]. The name is forgotten in any case; what it named goes by Tunlinkat only, which clients try first. */
int p9_remove(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	return p9_clunk(server, in, out) ?: -EOPNOTSUPP;
}

/* Tflush: oldtag[2]. Requests are answered in their order, so the old one has been. */
int p9_flush(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	(void)server;
	(void)out;
	p9_take16(in);
	return in->bad ? -EPROTO : 0;
}
