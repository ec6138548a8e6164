/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Unix socket at which clients ask things of the running VM (control_command.h), one JSON object per line, and read one line
 * for each. Served by the I/O thread, which waits for none of them: a client has one buffer for a line and one
 * for an answer, and the next line is looked at when it has taken the answer.
 *
 * The socket stays behind at the end, because the sandbox lets nobody remove a file; the next run replaces it.
 */
#ifndef DUVISOR_CONTROL_H
#define DUVISOR_CONTROL_H

#define CONTROL_CLIENTS 8 /* one more, and the one that has been quiet for the longest has to go */

struct control;
struct vm;

/* Listen at path. name is the VM's (NULL: none) and outlives this. NULL: said to the user. */
struct control *control_create(const char *path, const char *name);

/* Serve clients from vm->io. 0 or -errno. */
int control_attach(struct control *control, struct vm *vm);
void control_detach(struct control *control);
void control_destroy(struct control *control);

#endif
