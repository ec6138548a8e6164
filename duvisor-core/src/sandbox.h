/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the process may still ask of the kernel once everything is open and the guest is about to run. */
#ifndef DUVISOR_SANDBOX_H
#define DUVISOR_SANDBOX_H

/* Each kind of process has a table of its own. */
enum sandbox {
	SANDBOX_HYPERVISOR,
	SANDBOX_SHARE,           /* p9/process.h */
	SANDBOX_VSOCK_CONNECTOR, /* vsock_connector.h */
};

/*
 * From now on, in all threads, any system call that is not in its table ends the process with one line and as
 * SIGSYS would, and no program that it starts could have more rights. A kernel without seccomp filters: a
 * warning. 0 or -errno.
 */
int sandbox_enter(enum sandbox which);

#endif
