/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The argument of --network. */
#ifndef DUVISOR_NETWORK_H
#define DUVISOR_NETWORK_H

#include <stddef.h>

struct vm_network;

/* Parse "mode=user,tcp=8080:80" and the like; 0, or -1 with the reason in why. */
int network_parse(struct vm_network *network, const char *arg, char *why, size_t size);

#endif
