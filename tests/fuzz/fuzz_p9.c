/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server of a shared directory under a guest that says anything: the input is a choice and then messages, each a type, a
 * length and what is behind the header. Root of the tree is a directory made anew for each input; the first name, 0, is attached.
 * Beside what the sanitizers see: each reply is well-formed, nothing beside the directory is touched, no descriptor is lost.
 */
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p9/server.h"
#include "p9/wire.h"

#define TAG 0x1234
#define TATTACH 104
#define WRONG_SIZE 0x8000 /* of the length: the message says another one */
#define MAX_BODY 0x0fff
#define NOBODY                                                                                     \
	65534 /* whom root becomes for the files, so that no mistake of the server costs more than a test */
#define MAX_TRIES (PATH_MAX / 2)
#define MAX_FILES 256 /* that one input can lose */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[64]; /* has the tree and a witness, nothing else */
static uint8_t *reply;

static void check(bool good)
{
	if (!good)
		abort();
}

static void become(unsigned int user)
{
	if (geteuid())
		return;
	setfsgid(user);
	setfsuid(user);
}

/* Directories may have got any mode. */
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (kind == FTW_DNR)
		chmod(path, 0700);
	else if (remove(path) && kind == FTW_DP)
		chmod(path, 0700);
	return 0;
}

static void remove_tree(const char *path)
{
	for (int i = 0; i < MAX_TRIES && !access(path, F_OK); i++)
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	check(access(path, F_OK));
}

static void remove_place(void)
{
	remove_tree(place);
}

static void make_file(int directory, const char *name, const char *content)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	check(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

static void begin(void)
{
	int at;

	if (reply)
		return;
	reply = malloc(P9_MAX_MESSAGE);
	snprintf(place, sizeof(place), "%s/duvisor-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	check(reply && mkdtemp(place));
	atexit(remove_place);
	check(!chmod(place, 0777));
	become(NOBODY);
	at = open(place, O_RDONLY | O_DIRECTORY);
	make_file(at, "witness", "unchanged");
	become(0);
	close(at);
}

/* The tree's descriptor. */
static int make_tree(void)
{
	int at = open(place, O_RDONLY | O_DIRECTORY);
	int tree;

	check(!mkdirat(at, "tree", 0755));
	tree = openat(at, "tree", O_RDONLY | O_DIRECTORY);
	close(at);
	make_file(tree, "f", "content");
	check(!mkdirat(tree, "d", 0755));
	make_file(tree, "d/g", "");
	check(!symlinkat("../witness", tree, "l"));
	return tree;
}

static void end(void)
{
	char path[PATH_MAX], content[16] = "";
	struct stat st;
	int fd;

	become(0);
	snprintf(path, sizeof(path), "%s/tree", place);
	remove_tree(path);
	/* No entry but the witness, and that as it was. */
	check(!stat(place, &st) && st.st_nlink == 2);
	snprintf(path, sizeof(path), "%s/witness", place);
	fd = open(path, O_RDONLY);
	check(fd >= 0 && read(fd, content, sizeof(content)) == 9 && !strcmp(content, "unchanged"));
	check(!fstat(fd, &st) && st.st_nlink == 1 && (st.st_mode & 07777) == 0644);
	close(fd);
}

static unsigned int count_files(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < MAX_FILES; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void say(struct p9_server *server, uint8_t type, const uint8_t *body, uint32_t len,
		bool wrong_size)
{
	uint32_t size = P9_HEADER + len;
	uint8_t *message = malloc(size);
	uint32_t answered;

	check(message);
	p9_put_number(message, size + wrong_size, 4);
	message[4] = type;
	p9_put_number(message + 5, TAG, 2);
	if (len)
		memcpy(message + P9_HEADER, body, len);
	answered = p9_answer(server, message, size, reply);
	free(message);
	if (wrong_size) {
		check(!answered);
		return;
	}
	check(answered >= P9_HEADER && answered <= P9_MAX_MESSAGE);
	check(reply[0] + (reply[1] << 8) + (reply[2] << 16) == (int)answered && !reply[3]);
	check(reply[4] == (uint8_t)(type + 1) || (reply[4] == P9_RLERROR && answered == 11));
	check(reply[5] == (TAG & 0xff) && reply[6] == TAG >> 8);
}

static void say_all(struct p9_server *server, const uint8_t *data, size_t size)
{
	while (size >= 3) {
		uint16_t word = (uint16_t)(data[1] | data[2] << 8);
		uint32_t len = word & MAX_BODY;

		if (len > size - 3)
			len = (uint32_t)(size - 3);
		say(server, data[0], data + 3, len, word & WRONG_SIZE);
		data += 3 + len;
		size -= 3 + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* fid 0, no afid, no names, nobody in particular */
	static const uint8_t attach[16] = {[4] = 0xff, 0xff, 0xff, 0xff};
	struct p9_server *server;
	unsigned int files;
	int own_files, tree;

	if (!size)
		return 0;
	begin();
	files = count_files();
	become(NOBODY);
	tree = make_tree();
	own_files = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	server = p9_server_create(tree, own_files, data[0] & 1);
	check(server);
	say(server, TATTACH, attach, sizeof(attach), false);
	say_all(server, data + 1, size - 1);
	p9_server_destroy(server);
	end();
	check(count_files() == files);
	return 0;
}
