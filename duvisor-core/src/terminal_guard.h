/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of its own that sets the terminal back when this one is gone: after a clean end, a crash of any thread
 * and kill -9 alike. vCPU threads block all signals, so no handler in this process could do that.
 */
#ifndef DUVISOR_TERMINAL_GUARD_H
#define DUVISOR_TERMINAL_GUARD_H

#include <sys/types.h>
#include <termios.h>

struct terminal_guard {
	pid_t pid;
	int pipe; /* closing it is the guard's signal */
};

/* Start it for terminal tty, to be set back to saved. 0 or -errno. */
int terminal_guard_start(struct terminal_guard *guard, int tty, const struct termios *saved);

/* Have the terminal set back now; returns when it is. */
void terminal_guard_end(struct terminal_guard *guard);

#endif
