// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Run a command and say, on standard error, what its start and its life cost:
 *
 *   launch: first-byte-ns 1234 cpu-ns 2345 wall-ns 3456 rss-kib 789
 *
 * first-byte-ns is from before fork to the first byte that it prints; with the payload start_time.elf that
 * is the guest's first instructions. rss-kib is the largest resident set.
 *
 * usage: launch COMMAND [ARGUMENT...]
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t nanoseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

int main(int argc, char **argv)
{
	uint64_t begin = now(), first = 0;
	struct rusage usage;
	char text[4096];
	int pipe_fd[2], status;
	ssize_t got;
	pid_t child;

	if (argc < 2 || pipe(pipe_fd))
		err(125, "launch");
	child = fork();
	if (!child) {
		dup2(pipe_fd[1], 1);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		execvp(argv[1], argv + 1);
		err(127, "%s", argv[1]);
	}
	close(pipe_fd[1]);
	while ((got = read(pipe_fd[0], text, sizeof(text))) > 0) {
		if (!first)
			first = now() - begin;
		if (write(1, text, (size_t)got) < 0)
			err(125, "write");
	}
	if (wait4(child, &status, 0, &usage) != child)
		err(125, "wait4");
	fprintf(stderr, "launch: first-byte-ns %lu cpu-ns %lu wall-ns %lu rss-kib %ld\n", first,
		nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime), now() - begin,
		usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
