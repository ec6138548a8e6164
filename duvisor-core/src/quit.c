/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quit.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io.h"
#include "vm.h"

/* The event stays. */
static void quit_event(void *opaque, int fd, short revents)
{
	const struct quit *quit = opaque;

	(void)fd;
	(void)revents;
	vm_request_stop(quit->vm, VM_STOP_USER_QUIT, 0);
}

int quit_attach(struct quit *quit, struct vm *vm)
{
	int err;

	quit->vm = vm;
	quit->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (quit->fd < 0)
		return -errno;
	err = io_add(&vm->io, quit->fd, POLLIN, quit_event, quit);
	if (err) {
		close(quit->fd);
		quit->fd = -1;
	}
	return err;
}

void quit_now(const struct quit *quit)
{
	eventfd_write(quit->fd, 1);
}

void quit_detach(struct quit *quit)
{
	if (quit->fd < 0)
		return;
	io_remove(&quit->vm->io, quit->fd);
	close(quit->fd);
	quit->fd = -1;
}
