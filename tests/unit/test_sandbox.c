/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filter is the kernel's to run, so each case is a child that enters the sandbox and tries one thing. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "sandbox.h"

#define ALLOWED 0
#define REFUSED (128 + SIGSYS)

static int attempt(void (*what)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		if (sandbox_enter(SANDBOX_HYPERVISOR))
			syscall(SYS_exit_group, 99);
		what();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void nothing(void)
{
}

static void open_to_read(void)
{
	syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
}

static void look_for_a_file(void)
{
	struct stat st;

	syscall(SYS_newfstatat, AT_FDCWD, "/dev/null", &st, 0);
}

static void map_memory(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_code(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void protect_code(void)
{
	syscall(SYS_mprotect, NULL, 0, PROT_READ | PROT_EXEC);
}

static void execute(void)
{
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void start_process(void)
{
	syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void open_socket(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void kill_others(void)
{
	syscall(SYS_kill, 1, 0);
}

static void kill_their_threads(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
}

static void watch_others(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void other_ioctl(void)
{
	syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI: type for the user */, "x");
}

/* As a stop by SIGTSTP and what follows on a terminal do it (terminal.c). */
static void stop_and_continue(void)
{
	struct termios settings;
	int group;

	syscall(SYS_kill, getpid(), SIGCONT);
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGCONT);
	syscall(SYS_ioctl, -1, TIOCGPGRP, &group);
	syscall(SYS_getpgid, 0);
	syscall(SYS_ioctl, -1, TCGETS, &settings);
	syscall(SYS_ioctl, -1, TCSETS, &settings);
}

static void test_what_is_needed(void **state)
{
	(void)state;
	assert_int_equal(attempt(nothing), ALLOWED);
	assert_int_equal(attempt(map_memory), ALLOWED);
	assert_int_equal(attempt(stop_and_continue), ALLOWED);
}

static void test_what_is_not(void **state)
{
	static void (*const refused[])(void) = {
		open_to_read, look_for_a_file, map_code,           protect_code,
		execute,      kill_others,     kill_their_threads, start_process,
		open_socket,  watch_others,    other_ioctl,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		assert_int_equal(attempt(refused[i]), REFUSED);
}

static _Atomic int step;

static void *wait_and_execute(void *arg)
{
	(void)arg;
	step = 1;
	while (step != 2)
		;
	execute();
	return NULL;
}

/* Threads that were there before are inside as well. */
static void test_all_threads(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, wait_and_execute, NULL))
			syscall(SYS_exit_group, 99);
		while (step != 1)
			;
		if (sandbox_enter(SANDBOX_HYPERVISOR))
			syscall(SYS_exit_group, 99);
		step = 2;
		for (;;)
			syscall(SYS_sched_yield);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_needed),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_all_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
