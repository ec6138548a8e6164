/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unix sockets that users of the VM connect to. */
#ifndef DUVISOR_UNIX_SOCKET_H
#define DUVISOR_UNIX_SOCKET_H

/*
 * A non-blocking stream socket that listens at path; one that a killed process has left there is replaced. The
 * descriptor, which is the caller's, or -errno.
 */
int unix_listen(const char *path, int backlog);

/* The same, connected to who listens there; never waits. */
int unix_connect(const char *path);

#endif
