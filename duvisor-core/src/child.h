/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small processes beside this one that do what it cannot, or will not live to do. */
#ifndef DUVISOR_CHILD_H
#define DUVISOR_CHILD_H

#include <sys/types.h>

/* In a child, first of all: its name; and signals are for the process that it serves, so none reaches it. */
void child_begin(const char *name);

/* Until it has ended. */
void child_wait(pid_t pid);

#endif
