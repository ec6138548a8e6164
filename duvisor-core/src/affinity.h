/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the host's CPUs each vCPU may run on, as the user says it. */
#ifndef DUVISOR_AFFINITY_H
#define DUVISOR_AFFINITY_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#define AFFINITY_VCPUS 64

struct affinity {
	cpu_set_t cpus[AFFINITY_VCPUS]; /* by vCPU; empty: wherever the process may run */
};

/*
 * Add what "VCPUS=CPUS" or "CPUS" (for all vCPUs) says, both lists as in 0-2,5. 0, or -1 with one line
 * in why: not a list, or a CPU that is not there or that this process may not use.
 */
int affinity_parse(struct affinity *affinity, const char *text, char *why, size_t size);

/* Has the process, as it was started, more than one CPU? On one, whoever looks for work keeps others from bringing it. */
bool affinity_has_many_cpus(void);

#endif
