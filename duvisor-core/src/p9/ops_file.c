/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "p9/ops.h"

/* Flags of the protocol are Linux', as most architectures have them. All others are the guest's kernel's own business. */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_DSYNC | O_SYNC | O_DIRECTORY)
/* Never wait for who is at the other end, and never take a terminal. */
#define CAREFULLY (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

#define LOCK_SUCCESS 0
#define LOCK_UNLOCKED 2

/* Of an entry of Rreaddir: qid[13] offset[8] type[1] name[s] */
#define ENTRY_SIZE 24U

void p9_link_name(char name[P9_LINK_SIZE], int fd)
{
	snprintf(name, P9_LINK_SIZE, "%d", fd);
}

int p9_reopen(struct p9_server *server, int path, int flags)
{
	char name[P9_LINK_SIZE];
	struct stat st;
	int fd;

	if (fstatat(path, "", &st, AT_EMPTY_PATH))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EACCES;
	p9_link_name(name, path);
	/* This link is to be followed: it is the object itself. */
	fd = openat(server->own_files, name, (flags | CAREFULLY) & ~O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int set_file(struct p9_fid *fid, int fd)
{
	if (fd < 0)
		return fd;
	if (fid->file >= 0)
		close(fid->file);
	fid->file = fd;
	return 0;
}

/* qid[13] iounit[4]: 0, as much as fits into a message. */
static int give_opened(struct p9_out *out, const struct p9_fid *fid)
{
	int err = p9_give_qid(out, fid->path);

	p9_give32(out, 0);
	return err;
}

/* Tlopen: fid[4] flags[4] */
int p9_lopen(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	struct p9_fid *fid = p9_take_fid(server, in);
	int flags = (int)p9_take32(in) & OPEN_FLAGS;
	int err;

	if (in->bad)
		return -EPROTO;
	if (!fid)
		return -EBADF;
	if (server->read_only && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	err = set_file(fid, p9_reopen(server, fid->path, flags));
	return err ?: give_opened(out, fid);
}

/* Somebody else was faster to make it, which the guest may not mind. */
static int open_existing(struct p9_server *server, int directory, const char *name, int flags)
{
	int path = p9_look_up(directory, name);
	int fd;

	if (path < 0)
		return path;
	fd = p9_reopen(server, path, flags);
	close(path);
	return fd;
}

/* Tlcreate: fid[4] name[s] flags[4] mode[4] gid[4]. The name of the directory is the file's then. */
int p9_lcreate(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	struct p9_fid *fid = p9_take_fid(server, in);
	char name[P9_NAME_SIZE];
	int err = p9_take_name(in, name);
	int flags = (int)p9_take32(in);
	mode_t mode = p9_take32(in) & P9_MODE_MASK;
	int path, fd;

	if (err || in->bad)
		return err ?: -EPROTO;
	if (!fid)
		return -EBADF;
	fd = openat(fid->path, name,
		    (flags & OPEN_FLAGS & ~O_DIRECTORY) | O_CREAT | O_EXCL | CAREFULLY, mode);
	if (fd < 0)
		fd = -errno;
	if (fd == -EEXIST && !(flags & O_EXCL))
		fd = open_existing(server, fid->path, name, flags & OPEN_FLAGS);
	if (fd < 0)
		return fd;
	path = p9_reopen(server, fd, O_PATH);
	if (path < 0) {
		close(fd);
		return path;
	}
	close(fid->path);
	fid->path = path;
	return set_file(fid, fd) ?: give_opened(out, fid);
}

/* At most what was asked for and what fits. */
static size_t room(const struct p9_out *out, uint32_t count)
{
	return count < out->left ? count : out->left;
}

/* Tread: fid[4] offset[8] count[4] */
int p9_read(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	uint64_t offset = p9_take64(in);
	uint32_t count = p9_take32(in);
	uint8_t *length = p9_give(out, 4);
	ssize_t n;

	if (in->bad)
		return -EPROTO;
	if (!fid || fid->file < 0)
		return -EBADF;
	if (out->bad)
		return -EMSGSIZE;
	n = pread(fid->file, out->at, room(out, count), (off_t)offset);
	if (n < 0)
		return -errno;
	p9_put_number(length, (uint64_t)n, 4);
	p9_give(out, (size_t)n);
	return 0;
}

/* Twrite: fid[4] offset[8] count[4] data */
int p9_write(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	uint64_t offset = p9_take64(in);
	uint32_t count = p9_take32(in);
	const uint8_t *data = p9_take(in, count);
	ssize_t n;

	if (!data)
		return -EPROTO;
	if (!fid || fid->file < 0)
		return -EBADF;
	n = pwrite(fid->file, data, count, (off_t)offset);
	if (n < 0)
		return -errno;
	p9_give32(out, (uint32_t)n);
	return 0;
}

struct linux_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t size;
	uint8_t type;
	char name[];
};

static uint8_t kind(uint8_t type)
{
	if (type == DT_DIR)
		return 0x80;
	return type == DT_LNK ? 0x02 : 0;
}

static void give_entry(struct p9_out *out, const struct linux_dirent *entry, size_t name)
{
	p9_give8(out, kind(entry->type));
	p9_give32(out, 0);
	p9_give64(out, entry->ino);
	p9_give64(out, (uint64_t)entry->next);
	p9_give8(out, entry->type);
	p9_give_string(out, entry->name, name);
}

/* As many of the entries as fit into limit bytes. */
static void give_entries(struct p9_out *out, const uint8_t *entries, size_t size, size_t limit)
{
	for (size_t at = 0; at < size;) {
		const struct linux_dirent *entry = (const void *)(entries + at);
		size_t name = strlen(entry->name);

		if (ENTRY_SIZE + name > limit)
			return;
		limit -= ENTRY_SIZE + name;
		give_entry(out, entry, name);
		at += entry->size;
	}
}

/* Treaddir: fid[4] offset[8] count[4]. Offsets are the host's own. */
int p9_readdir(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	uint64_t offset = p9_take64(in);
	uint32_t count = p9_take32(in);
	uint8_t *length = p9_give(out, 4);
	uint8_t entries[16384] __attribute__((aligned(8)));
	const uint8_t *begin = out->at;
	long n;

	if (in->bad)
		return -EPROTO;
	if (!fid || fid->file < 0)
		return -EBADF;
	if (out->bad)
		return -EMSGSIZE;
	if (lseek(fid->file, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	n = syscall(SYS_getdents64, fid->file, entries, sizeof(entries));
	if (n < 0)
		return -errno;
	give_entries(out, entries, (size_t)n, room(out, count));
	p9_put_number(length, (uint64_t)(out->at - begin), 4);
	/* Nothing would be the end of the directory. */
	return n && out->at == begin ? -EINVAL : 0;
}

/* Tfsync: fid[4] datasync[4] */
int p9_fsync(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	uint32_t data_only = p9_take32(in);

	(void)out;
	if (in->bad)
		return -EPROTO;
	if (!fid || fid->file < 0)
		return -EBADF;
	return (data_only ? fdatasync(fid->file) : fsync(fid->file)) ? -errno : 0;
}

/* Tlock: the guest's kernel has seen to it among its processes before it asks, and nobody else asks here. */
int p9_lock(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	if (!p9_take_fid(server, in))
		return -EBADF;
	p9_give8(out, LOCK_SUCCESS);
	return 0;
}

/* Tgetlock: fid[4] type[1] start[8] length[8] proc_id[4] client_id[s]; the reply is the same without fid. */
int p9_getlock(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	uint64_t start, length;
	uint32_t process;
	char client[P9_NAME_SIZE];

	p9_take8(in);
	start = p9_take64(in);
	length = p9_take64(in);
	process = p9_take32(in);
	p9_take_string(in, client, sizeof(client));
	if (in->bad)
		return -EPROTO;
	if (!fid)
		return -EBADF;
	p9_give8(out, LOCK_UNLOCKED);
	p9_give64(out, start);
	p9_give64(out, length);
	p9_give32(out, process);
	p9_give_string(out, client, strlen(client));
	return 0;
}
