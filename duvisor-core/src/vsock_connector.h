/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who makes the host's end of a guest's connection: a process of its own, as the sandbox lets nobody else make a socket, and
 * a seccomp filter cannot tell one path from another. It can be asked for a port, and for nothing else.
 */
#ifndef DUVISOR_VSOCK_CONNECTOR_H
#define DUVISOR_VSOCK_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vsock_connector {
	pid_t pid;
	int fd; /* -1: it is not there any more */
};

/* Start it; it connects to "PATH_PORT". The path is copied. 0 or -errno. */
int vsock_connector_start(struct vsock_connector *connector, const char *path, bool no_sandbox);

/* A non-blocking stream socket that is the caller's then; -errno: nobody listens there, or there is no connector. */
int vsock_connector_ask(struct vsock_connector *connector, uint32_t port);

/* End it and wait for its end. */
void vsock_connector_end(struct vsock_connector *connector);

#endif
