/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the host meets a stream of the guest's: a Unix socket or a pseudoterminal, which one client at a time attaches to and
 * leaves again, or a file. Knows who is there, not what is said.
 *
 * Socket and link stay behind at the end, because the sandbox lets nobody remove a file; the next run replaces them.
 */
#ifndef DUVISOR_OUTLET_H
#define DUVISOR_OUTLET_H

#include <stdbool.h>

#include "io.h"

/* All are called on the I/O thread. */
struct outlet_ops {
	/* There is a client; one that was there before is gone. */
	void (*arrived)(void *opaque);
	/* Its descriptor is ready for what outlet_set_events() asked for, or the other side has hung up. */
	void (*event)(void *opaque, short revents);
};

/* Members are to be read only. */
struct outlet {
	struct io *io; /* NULL: not attached */
	int listener;  /* socket: where clients come from; pty: the master; file: it */
	int client;    /* -1: none; pty and file: the same as listener */
	int timer;     /* pty only, else -1 */
	bool shared;   /* client is listener */
	const struct outlet_ops *ops;
	void *opaque;
};

/* Does the other side write as well? */
static inline bool outlet_is_read(const struct outlet *outlet)
{
	return !outlet->shared || outlet->timer >= 0;
}

/* There is nothing to give back yet. */
void outlet_init(struct outlet *outlet, const struct outlet_ops *ops, void *opaque);

/* Each 0, or -1: said to the user, to whom `who` names the stream. Only outlet_close() after that. */

/* For one client at a time; a new one takes over. */
int outlet_open_socket(struct outlet *outlet, const char *who, const char *path);
/* Its name is said on standard error, and linked from path unless that is empty. */
int outlet_open_pty(struct outlet *outlet, const char *who, const char *path);
/* To be appended to; made if there is none. It is the client, for ever. */
int outlet_open_file(struct outlet *outlet, const char *who, const char *path);

/* Serve clients from io. 0 or -ENOSPC. */
int outlet_attach(struct outlet *outlet, struct io *io);
void outlet_detach(struct outlet *outlet);
void outlet_close(struct outlet *outlet);

/* Wait for these events of the client, if there is one. */
void outlet_set_events(struct outlet *outlet, short events);
/* It has hung up, and that need not be told again; it may still be read, and until it is dropped the next one waits. */
void outlet_unwatch(struct outlet *outlet);
/* Has a client that has hung up left something to read? */
bool outlet_has_rest(const struct outlet *outlet);
/* Let the client go. */
void outlet_drop(struct outlet *outlet);

#endif
