/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the host's CPUs each vCPU may run on, as the user says it. */
#ifndef DUVISOR_AFFINITY_H
#define DUVISOR_AFFINITY_H

#include <sched.h>
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

/*
 * How many CPUs the calling thread may use, at least 1. Where there are not more than threads that look for work all the
 * time, they keep each other, and others, from bringing it.
 */
unsigned int affinity_cpu_count(void);

#endif
