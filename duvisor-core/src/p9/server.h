/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 9P2000.L server: one request after the other on one directory tree. Whoever asks is not trusted. Nothing
 * above the root is reached: names are single components without a meaning of their own, symbolic links are never
 * followed, and of what is in the tree only files and directories are opened.
 */
#ifndef DUVISOR_P9_SERVER_H
#define DUVISOR_P9_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/* Names that one guest can hold at a time, each with up to two open files of the host. */
#define P9_MAX_FIDS 4096U

struct p9_server;

/*
 * root: the directory, opened with O_PATH at least. own_files: /proc/self/fd of the process that will call p9_answer().
 * Both are the server's then. NULL: no memory.
 */
struct p9_server *p9_server_create(int root, int own_files, bool read_only);
void p9_server_destroy(struct p9_server *server);

/*
 * Carry a message of len bytes out and write the reply, of up to P9_MAX_MESSAGE bytes. Returns its length; 0: the message
 * is not one.
 */
uint32_t p9_answer(struct p9_server *server, const uint8_t *message, uint32_t len, uint8_t *reply);

#endif
