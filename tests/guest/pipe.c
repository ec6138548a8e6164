/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pipe through a socket, for scripts in guest and host: standard input goes there, what comes back to standard output,
 * until both directions have ended.
 *
 *   pipe connect|listen PORT          virtio socket: port of the host, port of this guest
 *   pipe connect|listen PATH          Unix socket
 *   pipe fetch PATH SIZE              the same, but leaves when all is said and SIZE bytes have come back
 *   pipe dial PATH PORT               Unix socket of a hypervisor: asks it for the guest's port first
 *
 * "listen" serves one connection.
 */
#include <err.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_un path;
	struct sockaddr_vm port;
};

static socklen_t parse(union address *address, const char *text, bool listens)
{
	memset(address, 0, sizeof(*address));
	if (strchr(text, '/')) {
		address->path.sun_family = AF_UNIX;
		snprintf(address->path.sun_path, sizeof(address->path.sun_path), "%s", text);
		return sizeof(address->path);
	}
	address->port.svm_family = AF_VSOCK;
	address->port.svm_cid = listens ? VMADDR_CID_ANY : VMADDR_CID_HOST;
	address->port.svm_port = (unsigned int)strtoul(text, NULL, 10);
	return sizeof(address->port);
}

static int open_socket(const char *text, bool listens)
{
	union address address;
	socklen_t size = parse(&address, text, listens);
	int fd = socket(address.any.sa_family, SOCK_STREAM, 0);

	if (fd < 0)
		err(1, "socket");
	if (!listens) {
		if (connect(fd, &address.any, size))
			err(1, "connect to %s", text);
		return fd;
	}
	if (bind(fd, &address.any, size) || listen(fd, 1))
		err(1, "listen at %s", text);
	fd = accept(fd, NULL, NULL);
	if (fd < 0)
		err(1, "accept");
	return fd;
}

/* The answer's line is read byte by byte: what follows is data. */
static void ask_for_port(int fd, const char *port)
{
	char line[32] = "";

	if (dprintf(fd, "CONNECT %s\n", port) < 0)
		err(1, "write");
	for (size_t n = 0; n < sizeof(line) - 1 && !strchr(line, '\n'); n++)
		if (read(fd, line + n, 1) != 1)
			errx(1, "refused");
	if (strncmp(line, "OK ", 3) != 0)
		errx(1, "bad answer: %s", line);
}

/* To the end, or so many bytes. */
static void copy(int from, int to, size_t limit)
{
	char buf[16384];
	ssize_t have = 1;

	while (limit && have > 0) {
		have = read(from, buf, limit < sizeof(buf) ? limit : sizeof(buf));
		for (ssize_t done = 0, n; done < have; done += n) {
			n = write(to, buf + done, (size_t)(have - done));
			if (n < 0)
				err(1, "write");
		}
		limit -= have > 0 ? (size_t)have : 0;
	}
	if (have < 0)
		err(1, "read");
}

int main(int argc, char **argv)
{
	size_t limit = SIZE_MAX;
	int status = 0;
	pid_t child;
	int fd;

	if (argc < 3)
		errx(2, "usage: pipe connect|listen|fetch|dial ADDRESS [PORT|SIZE]");
	fd = open_socket(argv[2], !strcmp(argv[1], "listen"));
	if (argc > 3 && !strcmp(argv[1], "fetch"))
		limit = strtoul(argv[3], NULL, 10);
	else if (argc > 3)
		ask_for_port(fd, argv[3]);
	/* A process for each direction: none may wait for the other. */
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		copy(STDIN_FILENO, fd, SIZE_MAX);
		shutdown(fd, SHUT_WR);
		return 0;
	}
	copy(fd, STDOUT_FILENO, limit);
	return waitpid(child, &status, 0) != child || status;
}
