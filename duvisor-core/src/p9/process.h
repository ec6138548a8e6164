/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server of a shared directory: a process of its own, as files are opened there, which the hypervisor's sandbox lets nobody do,
 * and as a file system may keep who asks it waiting. It has the directory and its end of a socket, and no more; messages and
 * replies are bytes on that socket, in turns.
 */
#ifndef DUVISOR_P9_PROCESS_H
#define DUVISOR_P9_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct p9_process {
	pid_t pid;
	int fd; /* a non-blocking stream socket */
};

/* Start it. 0 or -errno, which is the directory's if it cannot be used. */
int p9_process_start(struct p9_process *process, const char *directory, bool read_only,
		     bool no_sandbox);

/* End it and wait for its end. */
void p9_process_end(struct p9_process *process);

#endif
