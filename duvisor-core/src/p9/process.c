/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "p9/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "p9/server.h"
#include "p9/wire.h"
#include "sandbox.h"

/* --- in the server --- */

static bool reply(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Of a message whose first len bytes are there; 0: it is none. */
static uint32_t size_of(const uint8_t *message, uint32_t len)
{
	struct p9_in in = {.at = message, .left = P9_HEADER};
	uint32_t size = p9_take32(&in);

	return size < P9_HEADER || size > P9_MAX_MESSAGE || len > size ? 0 : size;
}

/* There is one at a time, so whatever comes belongs to it. 0: there is nobody any more, or what came is none. */
static uint32_t receive_message(int fd, uint8_t *message)
{
	uint32_t len = 0, size = P9_HEADER;

	while (size && len < size) {
		ssize_t n = recv(fd, message + len, P9_MAX_MESSAGE - len, 0);

		if (n <= 0)
			return 0;
		len += (uint32_t)n;
		if (len >= P9_HEADER)
			size = size_of(message, len);
	}
	return size;
}

static void serve(struct p9_server *server, int fd, uint8_t *message, uint8_t *answer)
{
	uint32_t size;

	do {
		size = receive_message(fd, message);
		if (size)
			size = p9_answer(server, message, size, answer);
	} while (size && reply(fd, answer, size));
}

/* Whoever started it, what it may do to files is what their owner may. */
static void give_up_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	syscall(SYS_capset, &header, none);
}

static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Behind this it sees no file but the directory's, where it may do that: where root started it. */
static void enter(int root)
{
	if (!fchdir(root))
		(void)!chroot(".");
	give_up_capabilities();
}

static void close_range_of(unsigned int first, unsigned int last)
{
	if (first <= last)
		syscall(SYS_close_range, first, last, 0U);
}

/* It holds nothing but the two, and ends with the socket. */
static void keep_only(int low, int high)
{
	if (low > high) {
		keep_only(high, low);
		return;
	}
	if (low)
		close_range_of(0, (unsigned int)low - 1);
	close_range_of((unsigned int)low + 1, (unsigned int)high - 1);
	close_range_of((unsigned int)high + 1, ~0U);
}

static void server_main(int fd, int root, bool read_only, bool no_sandbox)
{
	uint8_t *buffers = malloc(2 * (size_t)P9_MAX_MESSAGE);
	struct p9_server *server;
	int own_files;

	child_begin("duvisor-share");
	keep_only(fd, root);
	allow_many_files();
	umask(0);
	own_files = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	server = own_files < 0 ? NULL : p9_server_create(root, own_files, read_only);
	enter(root);
	if (buffers && server && (no_sandbox || !sandbox_enter(SANDBOX_SHARE)))
		serve(server, fd, buffers, buffers + P9_MAX_MESSAGE);
	_exit(0);
}

/* --- in the hypervisor --- */

static int start(struct p9_process *process, int root, bool read_only, bool no_sandbox)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	process->pid = fork();
	if (!process->pid)
		server_main(ends[1], root, read_only, no_sandbox);
	close(ends[1]);
	if (process->pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK)) {
		int err = -errno;

		close(ends[0]);
		return err;
	}
	process->fd = ends[0];
	return 0;
}

int p9_process_start(struct p9_process *process, const char *directory, bool read_only,
		     bool no_sandbox)
{
	int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	*process = (struct p9_process){.fd = -1};
	if (root < 0)
		return -errno;
	err = start(process, root, read_only, no_sandbox);
	close(root);
	return err;
}

void p9_process_end(struct p9_process *process)
{
	if (process->fd >= 0)
		close(process->fd);
	process->fd = -1;
	if (process->pid > 0)
		child_wait(process->pid);
	process->pid = 0;
}
