/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process: the only place that decides how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "terminal.h"
#include "vm.h"

/* Whoever closed one of the first three must not get /dev/duvisor there. */
static int open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -errno;
	return 0;
}

static int run_attached(const struct vm_config *config, struct terminal *term)
{
	struct vm *vm;
	int result = vm_create(config, &vm);
	int err;

	if (result)
		return result;
	err = terminal_attach(term, vm);
	if (err) {
		log_error("cannot set up the terminal: %s", strerror(-err));
		result = VM_EXIT_HOST;
	} else {
		result = vm_run(vm);
	}
	terminal_detach(term);
	vm_destroy(vm);
	return result;
}

static int run(const struct options *options)
{
	struct terminal *term;
	int signal_number;
	int result;

	if (options->name)
		prctl(PR_SET_NAME, options->name);
	term = terminal_create(STDIN_FILENO, STDOUT_FILENO);
	if (!term)
		return VM_EXIT_HOST;
	result = run_attached(&options->config, term);
	signal_number = terminal_signal(term);
	terminal_destroy(term);
	if (signal_number) {
		/* End as whoever sent it expects: by it. */
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	return result;
}

/* Text to standard output; a full disk or a closed pipe is a failure like any other. */
static int finish_output(void)
{
	if (fflush(stdout) || ferror(stdout)) {
		log_error("cannot write to standard output: %s", strerror(errno));
		return VM_EXIT_HOST;
	}
	return VM_EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options options;

	if (open_standard_files())
		return VM_EXIT_HOST;
	if (options_parse(&options, argc, argv)) {
		log_error("%s", options.error);
		return VM_EXIT_USAGE;
	}
	log_set_level(options.loglevel);
	switch (options.command) {
	case OPTIONS_HELP:
		options_print_help(stdout);
		return finish_output();
	case OPTIONS_VERSION:
		printf("duvisor %s\n", DUVISOR_VERSION);
		return finish_output();
	default:
		return run(&options);
	}
}
