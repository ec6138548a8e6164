/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be asked of a running VM: one JSON object in, one out. Knows nothing of sockets. The client uses the same table.
 */
#ifndef DUVISOR_CONTROL_COMMAND_H
#define DUVISOR_CONTROL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_LINE 8192 /* of a request or an answer, its newline included, at most */

struct vm;

/* The VM that is asked, and what the caller must do. */
struct control_context {
	struct vm *vm;
	const char *name; /* the VM's, NULL: none */
	bool stop;        /* the user wants the VM to end */
};

/*
 * Do what the line, len bytes without its newline, asks for, and write the answer, one line that ends with '\n' and
 * then '\0', to answer, which has room for CONTROL_LINE + 1 bytes. Its length. line[len] is written to.
 */
size_t control_answer(struct control_context *context, char *line, size_t len, char *answer);

/* False: there is no such command. *argument: the name of the one that it takes, or NULL. */
bool control_known(const char *command, const char **argument);

/* All commands, as one line. */
#define CONTROL_COMMANDS "balloon SIZE, counters, help, hint, status, stop"

#endif
