/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "affinity.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

static bool parse_range(const char **at, cpu_set_t *set)
{
	unsigned int first;
	unsigned int last;

	if (!words_range(at, CPU_SETSIZE, &first, &last) || last == CPU_SETSIZE)
		return false;
	for (unsigned int i = first; i <= last; i++)
		CPU_SET(i, set);
	return true;
}

/* A list up to the character end. */
static bool parse_list(const char **at, char end, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (parse_range(at, set)) {
		if (**at == end)
			return true;
		if (**at != ',')
			return false;
		++*at;
	}
	return false;
}

static int missing_cpu(const cpu_set_t *wanted, const cpu_set_t *allowed)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, wanted) && !CPU_ISSET(i, allowed))
			return i;
	return -1;
}

/*
 * Whether a thread of ours may be put there. Isolated CPUs (isolcpus=) are in nobody's mask before he asks for
 * them, and they are what vCPUs want most: so ask.
 */
static bool can_run_on(int cpu, const cpu_set_t *now)
{
	cpu_set_t one;
	bool can;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	can = !sched_setaffinity(0, sizeof(one), &one);
	if (can)
		sched_setaffinity(0, sizeof(*now), now);
	return can;
}

/* The first CPU in wanted that the host does not have for us, -1 if there is none. */
static int unusable_cpu(const cpu_set_t *wanted)
{
	cpu_set_t now;

	if (sched_getaffinity(0, sizeof(now), &now))
		return -1; /* then the kernel will say */
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, wanted) && !CPU_ISSET(i, &now) && !can_run_on(i, &now))
			return i;
	return -1;
}

static void all_vcpus(cpu_set_t *set)
{
	CPU_ZERO(set);
	for (int i = 0; i < AFFINITY_VCPUS; i++)
		CPU_SET(i, set);
}

int affinity_parse(struct affinity *affinity, const char *text, char *why, size_t size)
{
	const char *at = text;
	cpu_set_t vcpus;
	cpu_set_t cpus;
	cpu_set_t all;
	int missing;

	all_vcpus(&all);
	vcpus = all;
	if ((strchr(text, '=') && (!parse_list(&at, '=', &vcpus) || !*at++)) ||
	    !parse_list(&at, '\0', &cpus)) {
		snprintf(why, size, "give VCPUS=CPUS, both as in 0-2,5");
		return -1;
	}
	missing = missing_cpu(&vcpus, &all);
	if (missing >= 0) {
		snprintf(why, size, "there is no vCPU %d", missing);
		return -1;
	}
	missing = unusable_cpu(&cpus);
	if (missing >= 0) {
		snprintf(why, size, "the host has no CPU %d for this process", missing);
		return -1;
	}
	for (int i = 0; i < AFFINITY_VCPUS; i++)
		if (CPU_ISSET(i, &vcpus))
			affinity->cpus[i] = cpus;
	return 0;
}

unsigned int affinity_cpu_count(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned int)CPU_COUNT(&cpus);
}
