/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's wish that the VM ends. vm_request_stop() is dropped if the guest has just asked for a reboot; this is not, for it
 * asks again when the guest runs again.
 */
#ifndef DUVISOR_QUIT_H
#define DUVISOR_QUIT_H

struct vm;

struct quit {
	struct vm *vm;
	int fd; /* readable for ever once the VM is to end; -1: not attached */
};

/* 0 or -errno. */
int quit_attach(struct quit *quit, struct vm *vm);
void quit_now(const struct quit *quit);
void quit_detach(struct quit *quit);

#endif
