/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's end of the guest's console: standard input and output, raw mode, the Ctrl-A commands, and the
 * signals by which a process is told to end. Knows the console's rings, nothing of devices.
 */
#ifndef DUVISOR_TERMINAL_H
#define DUVISOR_TERMINAL_H

struct terminal;
struct vm;

/*
 * Early, before there are threads and guest memory: remember how the terminal is set, and if in is one,
 * start a small process that sets it back when this one ends, however that happens.
 * NULL: said to the user.
 */
struct terminal *terminal_create(int in, int out);

/* Connect it with vm's console: raw mode, handlers on vm->io, signals. 0 or -errno. */
int terminal_attach(struct terminal *term, struct vm *vm);

/* The guest has ended: show the rest of its output, disconnect, set the terminal back. */
void terminal_detach(struct terminal *term);

/* The signal that ended the VM, 0 if none did. */
int terminal_signal(const struct terminal *term);

void terminal_destroy(struct terminal *term);

#endif
