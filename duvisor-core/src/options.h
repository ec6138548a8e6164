/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line. One table says what there is; parser and help text come from it. */
#ifndef DUVISOR_OPTIONS_H
#define DUVISOR_OPTIONS_H

#include <stdio.h>

#include "control_client.h"
#include "log.h"
#include "vm.h"

#define OPTIONS_ERROR_SIZE 256

enum options_command { OPTIONS_RUN, OPTIONS_CONTROL, OPTIONS_HELP, OPTIONS_VERSION };

enum options_console { CONSOLE_DEFAULT, CONSOLE_SERIAL, CONSOLE_SBI, CONSOLE_VIRTIO };

struct options {
	enum options_command command;
	struct vm_config config;      /* strings are argv's */
	enum options_console console; /* what was asked for; config.serial is what it means */
	enum log_level loglevel;
	const char *name;         /* NULL: none */
	const char *control;      /* path of the socket; NULL: none */
	struct control_call call; /* OPTIONS_CONTROL */
	char error[OPTIONS_ERROR_SIZE];
};

/* Parse; 0, or -1 with one line in options->error that says what to do. */
int options_parse(struct options *options, int argc, char **argv);

void options_print_help(FILE *out);

/* For tests of the table: the i-th documented option, or NULL behind the last. */
const char *options_name(unsigned int i);

#endif
