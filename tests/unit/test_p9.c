/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server of a shared directory, message by message: what it does to a real directory, and what it refuses. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p9/server.h"
#include "p9/wire.h"
#include "types.h"

enum {
	TSTATFS = 8,
	TLOPEN = 12,
	TLCREATE = 14,
	TSYMLINK = 16,
	TMKNOD = 18,
	TREADLINK = 22,
	TGETATTR = 24,
	TSETATTR = 26,
	TREADDIR = 40,
	TFSYNC = 50,
	TLOCK = 52,
	TLINK = 70,
	TMKDIR = 72,
	TRENAMEAT = 74,
	TUNLINKAT = 76,
	TVERSION = 100,
	TATTACH = 104,
	TFLUSH = 108,
	TWALK = 110,
	TREAD = 116,
	TWRITE = 118,
	TCLUNK = 120,
	TREMOVE = 122,
};

#define ROOT 1
#define NO_FID 0xffffffffU
#define TAG 0x1234

static char place[] = "/tmp/duvisor-p9-XXXXXX";
static struct p9_server *server;
static uint8_t message[P9_MAX_MESSAGE], reply[P9_MAX_MESSAGE];
static struct p9_out out;
static struct p9_in in;

static void begin(uint8_t type)
{
	out = (struct p9_out){.at = message, .left = sizeof(message)};
	p9_give32(&out, 0);
	p9_give8(&out, type);
	p9_give16(&out, TAG);
}

static void text(const char *string)
{
	p9_give_string(&out, string, strlen(string));
}

/* The error number of the reply, or 0: then `in` is behind its header. */
static uint32_t ask(void)
{
	uint32_t len = (uint32_t)(out.at - message);
	uint32_t answered;
	uint8_t type;

	p9_put_number(message, len, 4);
	answered = p9_answer(server, message, len, reply);
	in = (struct p9_in){.at = reply, .left = answered};
	assert_int_equal(p9_take32(&in), answered);
	type = p9_take8(&in);
	assert_int_equal(p9_take16(&in), TAG);
	if (type == P9_RLERROR) {
		assert_int_equal(in.left, 4);
		return p9_take32(&in);
	}
	assert_int_equal(type, message[4] + 1);
	return 0;
}

static uint32_t walk(uint32_t from, uint32_t to, const char *name)
{
	begin(TWALK);
	p9_give32(&out, from);
	p9_give32(&out, to);
	p9_give16(&out, name ? 1 : 0);
	if (name)
		text(name);
	return ask();
}

static uint32_t lopen(uint32_t fid, int flags)
{
	begin(TLOPEN);
	p9_give32(&out, fid);
	p9_give32(&out, (uint32_t)flags);
	return ask();
}

static uint32_t lcreate(uint32_t fid, const char *name, int flags, uint32_t mode)
{
	begin(TLCREATE);
	p9_give32(&out, fid);
	text(name);
	p9_give32(&out, (uint32_t)flags);
	p9_give32(&out, mode);
	p9_give32(&out, 0);
	return ask();
}

static uint32_t write_at(uint32_t fid, uint64_t offset, const char *data)
{
	begin(TWRITE);
	p9_give32(&out, fid);
	p9_give64(&out, offset);
	p9_give32(&out, (uint32_t)strlen(data));
	memcpy(p9_give(&out, strlen(data)), data, strlen(data));
	return ask();
}

static uint32_t read_at(uint32_t fid, uint64_t offset, uint32_t count)
{
	begin(TREAD);
	p9_give32(&out, fid);
	p9_give64(&out, offset);
	p9_give32(&out, count);
	return ask();
}

static uint32_t clunk(uint32_t fid)
{
	begin(TCLUNK);
	p9_give32(&out, fid);
	return ask();
}

/* A message of a name in a directory and numbers behind it. */
static uint32_t name_and(uint8_t type, uint32_t fid, const char *name, unsigned int numbers,
			 uint32_t first)
{
	begin(type);
	p9_give32(&out, fid);
	text(name);
	for (unsigned int i = 0; i < numbers; i++)
		p9_give32(&out, i ? 0 : first);
	return ask();
}

static uint32_t symlink_to(const char *name, const char *target)
{
	begin(TSYMLINK);
	p9_give32(&out, ROOT);
	text(name);
	text(target);
	p9_give32(&out, 0);
	return ask();
}

static uint32_t set_attribute(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size)
{
	begin(TSETATTR);
	p9_give32(&out, fid);
	p9_give32(&out, valid);
	p9_give32(&out, mode);
	p9_give64(&out, 0);
	p9_give64(&out, size);
	for (int i = 0; i < 4; i++)
		p9_give64(&out, 0);
	return ask();
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/share/%s", place, name);
	return path;
}

static void put_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static void start(bool read_only)
{
	int root = open(path_of(""), O_RDONLY | O_DIRECTORY);
	int own_files = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);

	server = p9_server_create(root, own_files, read_only);
	assert_non_null(server);
	begin(TVERSION);
	p9_give32(&out, 65536);
	text("9P2000.L");
	assert_int_equal(ask(), 0);
	assert_int_equal(p9_take32(&in), 65536);
	begin(TATTACH);
	p9_give32(&out, ROOT);
	p9_give32(&out, NO_FID);
	text("root");
	text("");
	p9_give32(&out, 0);
	assert_int_equal(ask(), 0);
	assert_int_equal(p9_take8(&in), 0x80);
}

static int setup(void **state)
{
	char path[256];

	(void)state;
	strcpy(place + strlen(place) - 6, "XXXXXX");
	assert_non_null(mkdtemp(place));
	snprintf(path, sizeof(path), "%s/secret", place);
	put_file(path, "secret");
	assert_int_equal(mkdir(path_of(""), 0777), 0);
	put_file(path_of("file"), "content");
	start(false);
	return 0;
}

static int teardown(void **state)
{
	char command[300];

	(void)state;
	p9_server_destroy(server);
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}

static void test_version(void **state)
{
	(void)state;
	begin(TVERSION);
	p9_give32(&out, 0xffffffff);
	text("9P2000");
	assert_int_equal(ask(), 0);
	assert_int_equal(p9_take32(&in), P9_MAX_MESSAGE);
	assert_int_equal(p9_take16(&in), 7);
	assert_memory_equal(p9_take(&in, 7), "unknown", 7);
	/* The session before is over. */
	assert_int_equal(clunk(ROOT), EBADF);
	begin(TVERSION);
	p9_give32(&out, 100);
	text("9P2000.L");
	assert_int_equal(ask(), EMSGSIZE);
}

static void test_files(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(walk(ROOT, 2, NULL), 0);
	assert_int_equal(lcreate(2, "new", O_RDWR, 04755), 0);
	assert_int_equal(write_at(2, 3, "hello"), 0);
	assert_int_equal(p9_take32(&in), 5);
	assert_int_equal(read_at(2, 2, 100), 0);
	assert_int_equal(p9_take32(&in), 6);
	assert_memory_equal(p9_take(&in, 6), "\0hello", 6);
	assert_int_equal(stat(path_of("new"), &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(st.st_mode & S_ISUID, 0);
	begin(TFSYNC);
	p9_give32(&out, 2);
	p9_give32(&out, 1);
	assert_int_equal(ask(), 0);
	assert_int_equal(set_attribute(2, 1 | 8, 0600, 4), 0);
	assert_int_equal(stat(path_of("new"), &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(set_attribute(2, 1, 04755, 0), EPERM);
	/* Made by two: as O_EXCL says. */
	assert_int_equal(walk(ROOT, 3, NULL), 0);
	assert_int_equal(lcreate(3, "new", O_RDWR | O_EXCL, 0644), EEXIST);
	assert_int_equal(lcreate(3, "new", O_RDWR, 0644), 0);
	assert_int_equal(clunk(3), 0);
	assert_int_equal(clunk(2), 0);
	assert_int_equal(clunk(2), EBADF);
}

static void test_tree(void **state)
{
	(void)state;
	assert_int_equal(name_and(TMKDIR, ROOT, "d", 2, 0755), 0);
	assert_int_equal(walk(ROOT, 2, "d"), 0);
	assert_int_equal(walk(ROOT, 3, "file"), 0);
	begin(TLINK);
	p9_give32(&out, 2);
	p9_give32(&out, 3);
	text("same");
	assert_int_equal(ask(), 0);
	begin(TRENAMEAT);
	p9_give32(&out, ROOT);
	text("file");
	p9_give32(&out, 2);
	text("moved");
	assert_int_equal(ask(), 0);
	/* A name of the guest's goes with what it names. */
	assert_int_equal(lopen(3, O_RDONLY), 0);
	assert_int_equal(read_at(3, 0, 100), 0);
	assert_int_equal(p9_take32(&in), 7);
	assert_int_equal(name_and(TUNLINKAT, ROOT, "d", 1, 0x200), ENOTEMPTY);
	assert_int_equal(name_and(TUNLINKAT, 2, "moved", 1, 0), 0);
	assert_int_equal(name_and(TUNLINKAT, 2, "same", 1, 0), 0);
	assert_int_equal(name_and(TUNLINKAT, ROOT, "d", 1, 0x200), 0);
	assert_int_equal(access(path_of("d"), F_OK), -1);
}

/* Each entry once, however small the pieces are. */
static void test_readdir(void **state)
{
	unsigned int seen = 0;
	uint64_t offset = 0;
	uint32_t length;
	char name[32];

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "file number %d", i);
		put_file(path_of(name), "");
	}
	assert_int_equal(walk(ROOT, 2, NULL), 0);
	assert_int_equal(lopen(2, O_RDONLY | O_DIRECTORY), 0);
	do {
		begin(TREADDIR);
		p9_give32(&out, 2);
		p9_give64(&out, offset);
		p9_give32(&out, 100);
		assert_int_equal(ask(), 0);
		length = p9_take32(&in);
		assert_int_equal(length, in.left);
		while (in.left) {
			p9_take(&in, 13);
			offset = p9_take64(&in);
			p9_take8(&in);
			p9_take_string(&in, name, sizeof(name));
			assert_false(in.bad);
			seen += !strncmp(name, "file number", 11);
		}
	} while (length);
	assert_int_equal(seen, 50);
	begin(TREADDIR);
	p9_give32(&out, 2);
	p9_give64(&out, 0);
	p9_give32(&out, 10);
	assert_int_equal(ask(), EINVAL);
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = {"",    ".", "..", "/", "../secret", "d/../../secret",
					    "/etc"};
	char long_name[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(walk(ROOT, 2, names[i]), EINVAL);
		assert_int_equal(lcreate(ROOT, names[i], O_RDWR, 0644), EINVAL);
		assert_int_equal(name_and(TMKDIR, ROOT, names[i], 2, 0755), EINVAL);
		assert_int_equal(name_and(TUNLINKAT, ROOT, names[i], 1, 0), EINVAL);
		assert_int_equal(symlink_to(names[i], "x"), EINVAL);
	}
	memset(long_name, 'x', sizeof(long_name));
	long_name[299] = 0;
	assert_int_equal(walk(ROOT, 2, long_name), EPROTO);
	/* A 0 inside would be another name to the host. */
	begin(TWALK);
	p9_give32(&out, ROOT);
	p9_give32(&out, 2);
	p9_give16(&out, 1);
	p9_give_string(&out, "file\0x", 6);
	assert_int_equal(ask(), EPROTO);
}

static void test_links_are_text(void **state)
{
	char target[32];

	(void)state;
	assert_int_equal(symlink_to("up", "../secret"), 0);
	assert_int_equal(symlink_to("root", "/"), 0);
	assert_int_equal(walk(ROOT, 2, "up"), 0);
	assert_int_equal(p9_take16(&in), 1);
	assert_int_equal(p9_take8(&in), 0x02);
	assert_int_equal(lopen(2, O_RDONLY), EACCES);
	assert_int_equal(set_attribute(2, 8, 0, 0), EACCES);
	assert_int_equal(set_attribute(2, 1, 0777, 0), EOPNOTSUPP);
	begin(TREADLINK);
	p9_give32(&out, 2);
	assert_int_equal(ask(), 0);
	p9_take_string(&in, target, sizeof(target));
	assert_string_equal(target, "../secret");
	assert_int_equal(walk(2, 3, "x"), ENOTDIR);
	assert_int_equal(walk(ROOT, 4, "root"), 0);
	assert_int_equal(walk(4, 5, "etc"), ENOTDIR);
	assert_int_equal(lcreate(4, "x", O_RDWR, 0644), ENOTDIR);
	/* To create over a link is no way through it, either. */
	assert_int_equal(walk(ROOT, 6, NULL), 0);
	assert_int_equal(lcreate(6, "up", O_RDWR | O_TRUNC, 0644), EACCES);
}

/* The host is never kept waiting by what is no file. */
static void test_only_files_are_opened(void **state)
{
	(void)state;
	assert_int_equal(name_and(TMKNOD, ROOT, "pipe", 4, S_IFIFO | 0600), 0);
	assert_int_equal(walk(ROOT, 2, "pipe"), 0);
	assert_int_equal(lopen(2, O_RDONLY), EACCES);
	assert_int_equal(lopen(2, O_WRONLY), EACCES);
	assert_int_equal(walk(ROOT, 3, NULL), 0);
	assert_int_equal(lcreate(3, "pipe", O_RDONLY, 0644), EACCES);
	assert_int_equal(name_and(TMKNOD, ROOT, "null", 4, S_IFCHR | 0600), EPERM);
	assert_int_equal(name_and(TMKNOD, ROOT, "disk", 4, S_IFBLK | 0600), EPERM);
}

static void test_read_only(void **state)
{
	(void)state;
	p9_server_destroy(server);
	start(true);
	assert_int_equal(walk(ROOT, 2, "file"), 0);
	assert_int_equal(lopen(2, O_RDWR), EROFS);
	assert_int_equal(lopen(2, O_WRONLY), EROFS);
	assert_int_equal(lopen(2, O_RDONLY | O_TRUNC), EROFS);
	assert_int_equal(lopen(2, O_RDONLY), 0);
	assert_int_equal(write_at(2, 0, "x"), EROFS);
	assert_int_equal(set_attribute(2, 1, 0600, 0), EROFS);
	assert_int_equal(lcreate(ROOT, "new", O_RDONLY, 0600), EROFS);
	assert_int_equal(name_and(TMKDIR, ROOT, "d", 2, 0755), EROFS);
	assert_int_equal(name_and(TUNLINKAT, ROOT, "file", 1, 0), EROFS);
	assert_int_equal(symlink_to("l", "x"), EROFS);
	assert_int_equal(read_at(2, 0, 10), 0);
	assert_int_equal(p9_take32(&in), 7);
}

static void test_names_have_a_limit(void **state)
{
	uint32_t id, err = 0;

	(void)state;
	for (id = 100; !err && id < 100 + 2 * P9_MAX_FIDS; id++)
		err = walk(ROOT, id, NULL);
	/* Of ours, or of the host's: files that a process may have. */
	assert_true(err == ENFILE || err == EMFILE);
	assert_true(id - 100 <= P9_MAX_FIDS);
	assert_int_equal(clunk(100), 0);
	assert_int_equal(walk(ROOT, 100, "file"), 0);
	assert_int_equal(walk(ROOT, 100, "file"), EBADF);
	assert_int_equal(walk(100, 100, NULL), 0);
}

static void test_a_walk_is_whole_or_nothing(void **state)
{
	(void)state;
	begin(TWALK);
	p9_give32(&out, ROOT);
	p9_give32(&out, 2);
	p9_give16(&out, 2);
	text("file");
	text("x");
	assert_int_equal(ask(), 0);
	assert_int_equal(p9_take16(&in), 1);
	assert_int_equal(clunk(2), EBADF);
	begin(TWALK);
	p9_give32(&out, ROOT);
	p9_give32(&out, 2);
	p9_give16(&out, 60000);
	assert_int_equal(ask(), EPROTO);
}

/* Each known message, cut at each place, and of each length that it does not have. */
static void test_messages_that_are_cut(void **state)
{
	static const uint8_t types[] = {TSTATFS,   TLOPEN,   TLCREATE, TSYMLINK, TMKNOD,
					TREADLINK, TGETATTR, TSETATTR, TREADDIR, TFSYNC,
					TLOCK,     54,       TLINK,    TMKDIR,   TRENAMEAT,
					TUNLINKAT, TVERSION, TATTACH,  TFLUSH,   TWALK,
					TREAD,     TWRITE,   TCLUNK,   TREMOVE};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (uint32_t len = 0; len < 80; len++) {
			begin(types[i]);
			memset(p9_give(&out, len), 0xff, len);
			/* Nothing is called that: no reply but an error, or what needs no name. */
			if (types[i] != TFLUSH)
				assert_int_not_equal(ask(), 0);
		}
	begin(TFLUSH);
	p9_put_number(message, 8, 4);
	assert_int_equal(p9_answer(server, message, 7, reply), 0);
	assert_int_equal(p9_answer(server, message, 3, reply), 0);
	for (unsigned int type = 0; type < 256; type += 3) {
		begin((uint8_t)type);
		if (type & 1)
			assert_int_equal(ask(), EOPNOTSUPP);
	}
}

/* A reply is never longer than was agreed, whatever is asked for. */
static void test_replies_fit(void **state)
{
	(void)state;
	begin(TVERSION);
	p9_give32(&out, 4096);
	text("9P2000.L");
	assert_int_equal(ask(), 0);
	begin(TATTACH);
	p9_give32(&out, ROOT);
	p9_give32(&out, NO_FID);
	text("");
	text("");
	p9_give32(&out, 0);
	assert_int_equal(ask(), 0);
	assert_int_equal(truncate(path_of("file"), 100000), 0);
	assert_int_equal(walk(ROOT, 2, "file"), 0);
	assert_int_equal(lopen(2, O_RDONLY), 0);
	assert_int_equal(read_at(2, 0, 0xffffffff), 0);
	assert_int_equal(p9_take32(&in), 4096 - 11);
	assert_int_equal(read_at(2, 1ULL << 63, 10), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readdir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_that_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_files_are_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_have_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_walk_is_whole_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages_that_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replies_fit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
