/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process: the only place that decides how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "options.h"
#include "relay.h"
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

/* Where the console is shown: what the terminal code reads and writes, and the relay behind it, if any. */
struct place {
	int in;
	int out;
	struct relay *relay;
};

static int open_file_place(struct place *place, const char *path)
{
	place->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	place->out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (place->in >= 0 && place->out >= 0)
		return 0;
	log_error("cannot write the console to '%s': %s", path, strerror(errno));
	return -1;
}

/* 0, or -1: said to the user. */
static int open_place(struct place *place, const struct vm_console *console)
{
	*place = (struct place){.in = STDIN_FILENO, .out = STDOUT_FILENO};
	switch (console->end) {
	case VM_CONSOLE_STDIO:
		return 0;
	case VM_CONSOLE_FILE:
		return open_file_place(place, console->path);
	case VM_CONSOLE_PTY:
		place->relay = relay_create_pty(console->path);
		break;
	case VM_CONSOLE_SOCKET:
		place->relay = relay_create_socket(console->path);
		break;
	}
	if (!place->relay)
		return -1;
	place->in = place->out = relay_terminal_fd(place->relay);
	return 0;
}

/* What the user has of the VM from outside. */
struct ends {
	struct terminal *term;
	struct relay *relay;     /* NULL: none */
	struct control *control; /* NULL: none */
};

static int attach(struct vm *vm, const struct ends *ends)
{
	int err = ends->relay ? relay_attach(ends->relay, &vm->io) : 0;

	if (ends->control)
		err = err ?: control_attach(ends->control, vm);
	return err ?: terminal_attach(ends->term, vm);
}

static int run_attached(const struct vm_config *config, const struct ends *ends)
{
	struct vm *vm;
	int result = vm_create(config, &vm);
	int err;

	if (result)
		return result;
	err = attach(vm, ends);
	if (err) {
		log_error("cannot set up the terminal: %s", strerror(-err));
		result = VM_EXIT_HOST;
	} else {
		result = vm_run(vm);
	}
	terminal_detach(ends->term);
	if (ends->control)
		control_detach(ends->control);
	if (ends->relay)
		relay_detach(ends->relay);
	vm_destroy(vm);
	return result;
}

/* 0, or -1: said to the user. */
static int open_control(struct control **control, const struct options *options)
{
	*control = options->control ? control_create(options->control, options->name) : NULL;
	return options->control && !*control ? -1 : 0;
}

static int run(const struct options *options)
{
	struct ends ends;
	struct place place;
	int signal_number;
	int result;

	if (options->name)
		prctl(PR_SET_NAME, options->name);
	if (open_place(&place, &options->config.console) || open_control(&ends.control, options))
		return VM_EXIT_USAGE;
	ends.relay = place.relay;
	ends.term = terminal_create(place.in, place.out);
	if (!ends.term)
		return VM_EXIT_HOST;
	result = run_attached(&options->config, &ends);
	signal_number = terminal_signal(ends.term);
	terminal_destroy(ends.term);
	control_destroy(ends.control);
	relay_destroy(ends.relay);
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
	enum control_exit result;

	if (open_standard_files())
		return VM_EXIT_HOST;
	if (options_parse(&options, argc, argv)) {
		log_error("%s", options.error);
		return VM_EXIT_USAGE;
	}
	log_set_level(options.loglevel);
	switch (options.command) {
	case OPTIONS_CONTROL:
		result = control_call(&options.call);
		return finish_output() ? CONTROL_EXIT_REFUSED : result;
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
