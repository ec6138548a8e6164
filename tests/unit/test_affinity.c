/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "affinity.h"

static struct affinity affinity;
static char why[128];

static int parse(const char *text)
{
	return affinity_parse(&affinity, text, why, sizeof(why));
}

/* The first CPU that the test may run on, as text and number. */
static int first_cpu(char *text, size_t size)
{
	cpu_set_t allowed;
	int cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	snprintf(text, size, "%d", cpu);
	return cpu;
}

static int setup(void **state)
{
	(void)state;
	memset(&affinity, 0, sizeof(affinity));
	strcpy(why, "nothing");
	return 0;
}

static void test_some_vcpus(void **state)
{
	char cpu[16];
	char text[64];
	int number = first_cpu(cpu, sizeof(cpu));

	(void)state;
	snprintf(text, sizeof(text), "0,2-4,63=%s", cpu);
	assert_int_equal(parse(text), 0);
	for (int i = 0; i < AFFINITY_VCPUS; i++) {
		int count = i == 0 || (i >= 2 && i <= 4) || i == 63;

		assert_int_equal(CPU_COUNT(&affinity.cpus[i]), count);
		assert_int_equal(!!CPU_ISSET(number, &affinity.cpus[i]), count);
	}
}

static void test_all_vcpus(void **state)
{
	char text[64];
	char cpu[16];
	int number = first_cpu(cpu, sizeof(cpu));

	(void)state;
	snprintf(text, sizeof(text), "%s-%s,%s", cpu, cpu, cpu);
	assert_int_equal(parse(text), 0);
	for (int i = 0; i < AFFINITY_VCPUS; i++)
		assert_true(CPU_ISSET(number, &affinity.cpus[i]));
}

/* As isolated CPUs are: not in the mask that we have, but there. */
static void test_cpu_outside_of_the_mask(void **state)
{
	char text[16];
	cpu_set_t all;
	cpu_set_t one;
	cpu_set_t after;
	int last = CPU_SETSIZE - 1;
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		skip();
	while (!CPU_ISSET(first, &all))
		first++;
	while (!CPU_ISSET(last, &all))
		last--;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	snprintf(text, sizeof(text), "0=%d", last);
	assert_int_equal(parse(text), 0);
	assert_true(CPU_ISSET(last, &affinity.cpus[0]));
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&one, &after));
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void test_refused(void **state)
{
	static const char *const no_list[] = {
		"",
		"=",
		"0=",
		"=0",
		"a",
		"0=a",
		"0-",
		"1-0",
		"-1",
		"0,",
		",0",
		"0 ",
		" 0",
		"0=0=",
		"0==0",
		"0-=0",
		"0x1=0",
		"+0",
		"0;1=0",
		"1024",
		"0=0-1024",
		"99999999999999999999",
		"0-99999999999999999999=0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(no_list) / sizeof(*no_list); i++) {
		assert_int_equal(parse(no_list[i]), -1);
		assert_non_null(strstr(why, "give VCPUS=CPUS"));
	}
	assert_int_equal(parse("64=0"), -1);
	assert_string_equal(why, "there is no vCPU 64");
	assert_int_equal(parse("0=1023"), -1);
	assert_string_equal(why, "the host has no CPU 1023 for this process");
	for (int i = 0; i < AFFINITY_VCPUS; i++)
		assert_int_equal(CPU_COUNT(&affinity.cpus[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_some_vcpus, setup),
		cmocka_unit_test_setup(test_all_vcpus, setup),
		cmocka_unit_test_setup(test_cpu_outside_of_the_mask, setup),
		cmocka_unit_test_setup(test_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
