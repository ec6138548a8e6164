/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "child.h"

/* If a shell has taken the terminal over already, it has its own idea of the settings. */
static bool may_set(int tty)
{
	pid_t foreground = tcgetpgrp(tty);

	return foreground < 0 || foreground == getpgrp();
}

/* Holds nothing but the terminal and the pipe, so that nobody waits for this process by accident. */
static void guard_main(int tty, int pipe, const struct termios *saved)
{
	char byte;

	/* Nothing but the end of the pipe counts; no SIGTTOU either, so that setting is allowed. */
	child_begin("duvisor-tty");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fd != tty && fd != pipe)
			close(fd);
	while (read(pipe, &byte, 1) > 0)
		;
	if (may_set(tty))
		tcsetattr(tty, TCSANOW, saved);
}

int terminal_guard_start(struct terminal_guard *guard, int tty, const struct termios *saved)
{
	int ends[2];
	int err;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	guard->pid = fork();
	if (guard->pid < 0) {
		err = -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	if (!guard->pid) {
		close(ends[1]);
		guard_main(tty, ends[0], saved);
		_exit(0);
	}
	close(ends[0]);
	guard->pipe = ends[1];
	return 0;
}

void terminal_guard_end(struct terminal_guard *guard)
{
	if (guard->pid <= 0)
		return;
	close(guard->pipe);
	child_wait(guard->pid);
	guard->pid = 0;
}
