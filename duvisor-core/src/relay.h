/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A console that clients attach to and leave again (outlet.h): a pseudoterminal or a Unix socket. It stands between the terminal code,
 * which talks to one end of a socket pair, and the client, and keeps the last RELAY_HISTORY bytes of output, with
 * which it greets a client. Output without a client is kept only there; with one, a client
 * that does not read holds up the guest's console, as a terminal does.
 */
#ifndef DUVISOR_RELAY_H
#define DUVISOR_RELAY_H

#include <stdbool.h>

#include "io.h"

#define RELAY_HISTORY 65536

struct relay;

/* A pseudoterminal, its name said on standard error, and linked from path unless that is empty. NULL: said to the user. */
struct relay *relay_create_pty(const char *path);
/* A socket at path, for one client at a time; a new one takes over. NULL: said to the user. */
struct relay *relay_create_socket(const char *path);

/* The terminal's end; the relay owns it. */
int relay_terminal_fd(const struct relay *relay);

/* Serve clients from io. 0 or -ENOSPC. */
int relay_attach(struct relay *relay, struct io *io);
/* Pass on what the terminal wrote last, for a while, and stop. */
void relay_detach(struct relay *relay);
void relay_destroy(struct relay *relay);

#endif
