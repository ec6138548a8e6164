/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vsock_connector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "sandbox.h"
#include "unix_socket.h"

/* It answers without waiting for anybody. If it does not, somebody has stopped or killed it. */
#define PATIENCE_S 5

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* --- in the connector --- */

/* 0 and a descriptor, or an error number. */
static int answer(int fd, int result)
{
	union control control = {0};
	int32_t error = result < 0 ? -result : 0;
	struct iovec iov = {.iov_base = &error, .iov_len = sizeof(error)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (!error) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &result, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Until the other end is closed. */
static void connector_main(int fd, const char *path)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint32_t port;
	int err = 0;

	while (!err && recv(fd, &port, sizeof(port), 0) == sizeof(port)) {
		int length = snprintf(name, sizeof(name), "%s_%u", path, port);
		int result = (size_t)length < sizeof(name) ? unix_connect(name) : -ENAMETOOLONG;

		err = answer(fd, result);
		if (result >= 0)
			close(result);
	}
}

/* It holds nothing but its end of the pair, and ends with it. */
static void become_connector(int fd)
{
	child_begin("duvisor-vsock");
	if (fd)
		syscall(SYS_close_range, 0U, (unsigned int)fd - 1, 0U);
	syscall(SYS_close_range, (unsigned int)fd + 1, ~0U, 0U);
}

/* --- in the hypervisor --- */

int vsock_connector_start(struct vsock_connector *connector, const char *path, bool no_sandbox)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int ends[2];
	int err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	connector->pid = fork();
	if (!connector->pid) {
		become_connector(ends[1]);
		if (no_sandbox || !sandbox_enter(SANDBOX_VSOCK_CONNECTOR))
			connector_main(ends[1], path);
		_exit(0);
	}
	if (connector->pid < 0 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		err = -errno;
	close(ends[1]);
	connector->fd = ends[0];
	if (err)
		vsock_connector_end(connector);
	return err;
}

static int receive(int fd, int *result)
{
	union control control;
	int32_t error = 0;
	struct iovec iov = {.iov_base = &error, .iov_len = sizeof(error)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	const struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(error))
		return -EPIPE;
	header = CMSG_FIRSTHDR(&message);
	*result = error ? -error : -EMFILE; /* of ours: then the kernel keeps it back */
	if (!error && header)
		memcpy(result, CMSG_DATA(header), sizeof(*result));
	return 0;
}

int vsock_connector_ask(struct vsock_connector *connector, uint32_t port)
{
	int result = -EPIPE;

	if (connector->fd < 0)
		return -EPIPE;
	if (send(connector->fd, &port, sizeof(port), MSG_NOSIGNAL) == sizeof(port) &&
	    !receive(connector->fd, &result))
		return result;
	/* A late answer would be taken for that of the next question. */
	log_error("vsock: the process that connects to the host is gone; the guest is refused from "
		  "now on");
	close(connector->fd);
	connector->fd = -1;
	return -EPIPE;
}

void vsock_connector_end(struct vsock_connector *connector)
{
	if (connector->fd >= 0)
		close(connector->fd);
	connector->fd = -1;
	if (connector->pid > 0)
		child_wait(connector->pid);
	connector->pid = 0;
}
