/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "p9/ops.h"

/* What Rgetattr has: all but btime, gen and data_version. */
#define BASIC_ATTRIBUTES 0x7ffU

/* The bits of Tsetattr's valid. */
enum {
	SET_MODE = 1 << 0,
	SET_UID = 1 << 1,
	SET_GID = 1 << 2,
	SET_SIZE = 1 << 3,
	SET_ATIME = 1 << 4,
	SET_MTIME = 1 << 5,
	SET_ATIME_TO = 1 << 7,
	SET_MTIME_TO = 1 << 8,
};

struct attributes {
	uint32_t valid;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	struct timespec times[2]; /* atime, mtime */
};

/* Tstatfs: fid[4] */
int p9_statfs(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	struct statfs fs;
	uint64_t id;

	if (!fid)
		return -EBADF;
	if (fstatfs(fid->path, &fs))
		return -errno;
	memcpy(&id, &fs.f_fsid, sizeof(id));
	p9_give32(out, (uint32_t)fs.f_type);
	p9_give32(out, (uint32_t)fs.f_bsize);
	p9_give64(out, fs.f_blocks);
	p9_give64(out, fs.f_bfree);
	p9_give64(out, fs.f_bavail);
	p9_give64(out, fs.f_files);
	p9_give64(out, fs.f_ffree);
	p9_give64(out, id);
	p9_give32(out, (uint32_t)fs.f_namelen);
	return 0;
}

static void give_time(struct p9_out *out, const struct timespec *time)
{
	p9_give64(out, (uint64_t)time->tv_sec);
	p9_give64(out, (uint64_t)time->tv_nsec);
}

/* Tgetattr: fid[4] request_mask[8] */
int p9_getattr(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	static const struct timespec none;
	const struct p9_fid *fid = p9_take_fid(server, in);
	struct stat st;
	int err;

	if (!fid)
		return -EBADF;
	if (fstatat(fid->path, "", &st, AT_EMPTY_PATH))
		return -errno;
	p9_give64(out, BASIC_ATTRIBUTES);
	err = p9_give_qid(out, fid->path);
	p9_give32(out, st.st_mode);
	p9_give32(out, st.st_uid);
	p9_give32(out, st.st_gid);
	p9_give64(out, st.st_nlink);
	p9_give64(out, st.st_rdev);
	p9_give64(out, (uint64_t)st.st_size);
	p9_give64(out, (uint64_t)st.st_blksize);
	p9_give64(out, (uint64_t)st.st_blocks);
	give_time(out, &st.st_atim);
	give_time(out, &st.st_mtim);
	give_time(out, &st.st_ctim);
	give_time(out, &none);
	p9_give64(out, 0);
	p9_give64(out, 0);
	return err;
}

static void take_time(struct p9_in *in, struct timespec *time, uint32_t valid, uint32_t change,
		      uint32_t to)
{
	time->tv_sec = (time_t)p9_take64(in);
	time->tv_nsec = (long)p9_take64(in);
	if (!(valid & change))
		time->tv_nsec = UTIME_OMIT;
	else if (!(valid & to))
		time->tv_nsec = UTIME_NOW;
	/* Any other number that is no time would be one of those two, or be refused by the kernel. */
}

static void take_attributes(struct p9_in *in, struct attributes *to)
{
	to->valid = p9_take32(in);
	to->mode = p9_take32(in);
	to->uid = p9_take32(in);
	to->gid = p9_take32(in);
	to->size = p9_take64(in);
	take_time(in, &to->times[0], to->valid, SET_ATIME, SET_ATIME_TO);
	take_time(in, &to->times[1], to->valid, SET_MTIME, SET_MTIME_TO);
}

static int set_mode(struct p9_server *server, int path, uint32_t mode)
{
	char name[P9_LINK_SIZE];
	struct stat st;

	if (fstatat(path, "", &st, AT_EMPTY_PATH))
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -EOPNOTSUPP;
	if (mode & (S_ISUID | S_ISGID) && !S_ISDIR(st.st_mode))
		return -EPERM;
	p9_link_name(name, path);
	return fchmodat(server->own_files, name, mode & P9_MODE_MASK, 0) ? -errno : 0;
}

static int set_owner(int path, const struct attributes *to)
{
	uid_t uid = to->valid & SET_UID ? to->uid : (uid_t)-1;
	gid_t gid = to->valid & SET_GID ? to->gid : (gid_t)-1;

	return fchownat(path, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

static int set_size(struct p9_server *server, int path, uint64_t size)
{
	int fd = p9_reopen(server, path, O_WRONLY);
	int err;

	if (fd < 0)
		return fd;
	err = ftruncate(fd, (off_t)size) ? -errno : 0;
	close(fd);
	return err;
}

/* Tsetattr: fid[4] valid[4] mode[4] uid[4] gid[4] size[8] atime_sec[8] atime_nsec[8] mtime_sec[8] mtime_nsec[8] */
int p9_setattr(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	struct attributes to;
	int err = 0;

	(void)out;
	take_attributes(in, &to);
	if (in->bad)
		return -EPROTO;
	if (!fid)
		return -EBADF;
	if (to.valid & SET_MODE)
		err = set_mode(server, fid->path, to.mode);
	if (!err && to.valid & (SET_UID | SET_GID))
		err = set_owner(fid->path, &to);
	if (!err && to.valid & SET_SIZE)
		err = set_size(server, fid->path, to.size);
	if (!err && to.valid & (SET_ATIME | SET_MTIME) &&
	    utimensat(fid->path, "", to.times, AT_EMPTY_PATH))
		err = -errno;
	return err;
}

/* The reply to what made something: its qid. */
static int give_made(struct p9_out *out, int directory, const char *name)
{
	int fd = p9_look_up(directory, name);
	int err;

	if (fd < 0)
		return fd;
	err = p9_give_qid(out, fd);
	close(fd);
	return err;
}

/* Tsymlink: fid[4] name[s] symtgt[s] gid[4]. The target is text, which means something to the guest only. */
int p9_symlink(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	char name[P9_NAME_SIZE], target[PATH_MAX];
	int err = p9_take_name(in, name);

	p9_take_string(in, target, sizeof(target));
	if (err || in->bad)
		return err ?: -EPROTO;
	if (!fid)
		return -EBADF;
	if (symlinkat(target, fid->path, name))
		return -errno;
	return give_made(out, fid->path, name);
}

/* Treadlink: fid[4] */
int p9_readlink(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	char target[PATH_MAX];
	ssize_t n;

	if (!fid)
		return -EBADF;
	n = readlinkat(fid->path, "", target, sizeof(target));
	if (n < 0)
		return -errno;
	p9_give_string(out, target, (size_t)n);
	return 0;
}

/* dfid[4] name[s] number[4], as several messages begin: a directory, a name in it, and a mode or flags. 0 or -errno. */
static int take_entry(struct p9_server *server, struct p9_in *in, int *directory,
		      char name[P9_NAME_SIZE], uint32_t *number)
{
	const struct p9_fid *fid = p9_take_fid(server, in);
	int err = p9_take_name(in, name);

	*number = p9_take32(in);
	if (err || in->bad)
		return err ?: -EPROTO;
	if (!fid)
		return -EBADF;
	*directory = fid->path;
	return 0;
}

/* Tmknod: dfid[4] name[s] mode[4] major[4] minor[4] gid[4]. No devices; pipes and sockets are names for the guest's own. */
int p9_mknod(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	char name[P9_NAME_SIZE];
	uint32_t mode;
	int directory;
	int err = take_entry(server, in, &directory, name, &mode);

	if (err)
		return err;
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EPERM;
	if (mknodat(directory, name, mode & (S_IFMT | P9_MODE_MASK), 0))
		return -errno;
	return give_made(out, directory, name);
}

/* Tlink: dfid[4] fid[4] name[s] */
int p9_link(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	const struct p9_fid *directory = p9_take_fid(server, in);
	const struct p9_fid *fid = p9_take_fid(server, in);
	char name[P9_NAME_SIZE], link[P9_LINK_SIZE];
	int err = p9_take_name(in, name);

	(void)out;
	if (err)
		return err;
	if (!directory || !fid)
		return -EBADF;
	p9_link_name(link, fid->path);
	if (linkat(server->own_files, link, directory->path, name, AT_SYMLINK_FOLLOW))
		return -errno;
	return 0;
}

/* Tmkdir: dfid[4] name[s] mode[4] gid[4] */
int p9_mkdir(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	char name[P9_NAME_SIZE];
	uint32_t mode;
	int directory;
	int err = take_entry(server, in, &directory, name, &mode);

	if (err)
		return err;
	if (mkdirat(directory, name, mode & P9_MODE_MASK))
		return -errno;
	return give_made(out, directory, name);
}

/* Trenameat: olddirfid[4] oldname[s] newdirfid[4] newname[s] */
int p9_renameat(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	char from_name[P9_NAME_SIZE], to_name[P9_NAME_SIZE];
	const struct p9_fid *from = p9_take_fid(server, in);
	int err = p9_take_name(in, from_name);
	const struct p9_fid *to = p9_take_fid(server, in);

	(void)out;
	err = err ?: p9_take_name(in, to_name);
	if (err)
		return err;
	if (!from || !to)
		return -EBADF;
	return renameat(from->path, from_name, to->path, to_name) ? -errno : 0;
}

/* Tunlinkat: dirfd[4] name[s] flags[4] */
int p9_unlinkat(struct p9_server *server, struct p9_in *in, struct p9_out *out)
{
	char name[P9_NAME_SIZE];
	uint32_t flags;
	int directory;
	int err = take_entry(server, in, &directory, name, &flags);

	(void)out;
	if (!err && unlinkat(directory, name, flags & AT_REMOVEDIR ? AT_REMOVEDIR : 0))
		err = -errno;
	return err;
}
