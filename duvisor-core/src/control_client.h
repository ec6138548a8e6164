/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `duvisor control`: ask a running VM at its control socket (control.h). */
#ifndef DUVISOR_CONTROL_CLIENT_H
#define DUVISOR_CONTROL_CLIENT_H

#include <stdbool.h>

/* Its exit codes: part of the interface, documented in the manual page. */
enum control_exit {
	CONTROL_EXIT_OK = 0,
	CONTROL_EXIT_REFUSED = 1, /* the VM says no, or nobody answers */
	CONTROL_EXIT_USAGE = 2,   /* there is no such command; options.c says it */
};

struct control_call {
	const char *path;
	const char *command;
	const char *argument; /* NULL: none */
	bool json;            /* print the answer as it is */
};

/* Print the answer, or on standard error why there is none. */
enum control_exit control_call(const struct control_call *call);

#endif
