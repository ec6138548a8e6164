/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket, and the address that it is for. */
static int open_socket(struct sockaddr_un *address, const char *path)
{
	int fd;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!*path || strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
}

static int bind_to(int fd, const struct sockaddr_un *address)
{
	return bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
}

/* A socket that nobody listens to is what a killed process has left. */
static int remove_dead_socket(const struct sockaddr_un *address)
{
	/* Whoever listens may be too busy to be waited for. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	/* Connected, or nothing that could be: it is somebody else's. */
	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		err = -EADDRINUSE;
	else
		err = connect_to(fd, address);
	if (err == -ECONNREFUSED)
		err = unlink(address->sun_path) ? -errno : 0;
	else
		err = -EADDRINUSE;
	close(fd);
	return err;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, int backlog)
{
	int err = bind_to(fd, address);

	if (err == -EADDRINUSE)
		err = remove_dead_socket(address) ?: bind_to(fd, address);
	if (!err && listen(fd, backlog))
		err = -errno;
	return err;
}

/* The descriptor, or the error of what was tried with it. */
static int finish(int fd, int err)
{
	if (!err)
		return fd;
	close(fd);
	return err;
}

int unix_listen(const char *path, int backlog)
{
	struct sockaddr_un address;
	int fd = open_socket(&address, path);

	return fd < 0 ? fd : finish(fd, bind_and_listen(fd, &address, backlog));
}

int unix_connect(const char *path)
{
	struct sockaddr_un address;
	int fd = open_socket(&address, path);

	return fd < 0 ? fd : finish(fd, connect_to(fd, &address));
}
