/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "affinity.h"
#include "control_command.h"
#include "network.h"
#include "size.h"
#include "words.h"

#define DEFAULT_RAM (256ULL << 20)
#define DEFAULT_IO_POLL_US 50
#define MAX_IO_POLL_US 1000000U
#define MIN_RAM (2ULL << 20)
#define PAGE_SIZE 4096

/* Those below mean something else, the last one is "any". */
#define MIN_CID 3U
#define MAX_CID 0xfffffffeU

/* Linux takes 1023 bytes (COMMAND_LINE_SIZE) and cuts the rest off; other guests may take more. */
#define MAX_CMDLINE 4095
#define MAX_NAME 15 /* what the kernel keeps of a thread's name */

/* What getopt_long() returns for the i-th row. */
#define ROW_BASE 256

#define HELP_COLUMN 26

struct row {
	const char *name;
	char letter;      /* 0: none */
	const char *arg;  /* NULL: takes none */
	const char *help; /* NULL: not shown; lines are separated by \n */
	/* 0, or -1 with options->error filled. NULL: the option only sets what is at target. */
	int (*parse)(struct options *options, const char *arg);
	size_t target; /* in struct options: a const char *, or a bool if the option takes no argument */
};

#define CALL(function) function, 0
#define SET(member) NULL, offsetof(struct options, config.member)

__attribute__((format(printf, 2, 3))) static int error(struct options *options, const char *fmt,
						       ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(options->error, sizeof(options->error), fmt, args);
	va_end(args);
	return -1;
}

/* The index of the word among the names, some of which may be NULL; -1: it is none of them. */
static int find_name(const char *const *names, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (names[i] && !strcmp(word, names[i]))
			return (int)i;
	return -1;
}

/* As find_name(), and said to the user that it is no such thing. */
static int choose(struct options *options, const char *const *names, size_t count, const char *word,
		  const char *what, const char *known)
{
	int found = find_name(names, count, word);

	return found < 0 ? error(options, "unknown %s '%s': known are %s", what, word, known)
			 : found;
}

/* What the guest has. */
static bool parse_console_device(struct options *options, const char *word)
{
	static const char *const devices[] = {
		[CONSOLE_SERIAL] = "serial",
		[CONSOLE_SBI] = "sbi",
		[CONSOLE_VIRTIO] = "virtio",
	};
	int found = find_name(devices, ARRAY_SIZE(devices), word);

	if (found >= 0)
		options->console = (enum options_console)found;
	return found >= 0;
}

/* Where the user is. */
static bool parse_console_end(struct vm_console *console, const char *word)
{
	static const struct {
		const char *name;
		enum vm_console_end end;
		bool plain; /* may do without a path */
		bool path;
	} ends[] = {
		{"stdio", VM_CONSOLE_STDIO, true, false},
		{"pty", VM_CONSOLE_PTY, true, true},
		{"socket", VM_CONSOLE_SOCKET, false, true},
		{"file", VM_CONSOLE_FILE, false, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const char *path = ends[i].path ? words_value(word, ends[i].name) : NULL;

		if (!(path && *path) && !(ends[i].plain && !strcmp(word, ends[i].name)))
			continue;
		console->end = ends[i].end;
		snprintf(console->path, sizeof(console->path), "%s", path ? path : "");
		return true;
	}
	return false;
}

static int parse_console(struct options *options, const char *arg)
{
	char word[VM_PATH_SIZE];
	const char *at = arg;
	bool too_long = false;

	while (words_next(&at, word, sizeof(word), &too_long))
		if (too_long ||
		    (!parse_console_device(options, word) &&
		     !parse_console_end(&options->config.console, word)))
			return error(options,
				     "unknown console '%s': known are serial, sbi and virtio, and "
				     "stdio, pty, socket=PATH and file=PATH",
				     word);
	return 0;
}

static bool is_plain(const char *name, size_t limit)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(name);

	return len && len <= limit && strspn(name, plain) == len;
}

static int parse_port_name(struct options *options, struct vm_port *port, const char *name)
{
	if (!is_plain(name, sizeof(port->name) - 1))
		return error(options,
			     "bad name '%s' of a port: up to %zu letters, digits and ._- are "
			     "possible",
			     name, sizeof(port->name) - 1);
	for (unsigned int i = 0; i < options->config.port_count; i++)
		if (!strcmp(options->config.port[i].name, name))
			return error(options, "two ports have the name '%s'", name);
	memcpy(port->name, name, strlen(name) + 1);
	return 0;
}

static int parse_port_word(struct options *options, struct vm_port *port, const char *word)
{
	const char *name = words_value(word, "name");

	if (name)
		return parse_port_name(options, port, name);
	if (!parse_console_end(&port->place, word) || port->place.end == VM_CONSOLE_STDIO)
		return error(options,
			     "bad word '%s' for a port: known are name=NAME, and pty, pty=LINK, "
			     "socket=PATH or file=PATH",
			     word);
	return 0;
}

static int parse_port(struct options *options, const char *arg)
{
	struct vm_config *config = &options->config;
	struct vm_port *port = &config->port[config->port_count];
	char word[VM_PATH_SIZE];
	const char *at = arg;
	bool too_long = false;

	if (config->port_count == VM_MAX_PORTS)
		return error(options, "too many ports: %d are possible", VM_MAX_PORTS);
	while (words_next(&at, word, sizeof(word), &too_long))
		if (parse_port_word(options, port, word))
			return -1;
	if (too_long || !*port->name || port->place.end == VM_CONSOLE_STDIO)
		return error(options,
			     "bad port '%s': give name=NAME and pty, socket=PATH or file=PATH",
			     arg);
	config->port_count++;
	return 0;
}

static int parse_cpus(struct options *options, const char *arg)
{
	const char *end;
	uint64_t value;

	if (size_number(arg, &value, &end) || *end || value < 1 || value > VM_MAX_VCPUS)
		return error(options, "bad number of vCPUs '%s': 1 to %d are possible", arg,
			     VM_MAX_VCPUS);
	options->config.cpus = (unsigned int)value;
	return 0;
}

static int parse_control(struct options *options, const char *arg)
{
	options->control = arg;
	return 0;
}

static int parse_cpu_affinity(struct options *options, const char *arg)
{
	char why[128];

	if (affinity_parse(&options->config.affinity, arg, why, sizeof(why)))
		return error(options, "bad CPU affinity '%s': %s", arg, why);
	return 0;
}

static int parse_hart_ids(struct options *options, const char *arg)
{
	char why[128];

	if (hart_ids_parse(&options->config.hart_ids, arg, why, sizeof(why)))
		return error(options, "bad hart ids '%s': %s", arg, why);
	return 0;
}

static int parse_serial(struct options *options, struct vm_disk *disk, const char *serial)
{
	size_t len = strlen(serial);

	if (!len || len > sizeof(disk->serial))
		return error(options, "bad serial number '%s': 1 to %zu bytes are possible", serial,
			     sizeof(disk->serial));
	memset(disk->serial, 0, sizeof(disk->serial));
	memcpy(disk->serial, serial, len);
	return 0;
}

static int parse_disk_word(struct options *options, struct vm_disk *disk, const char *word)
{
	const char *value = words_value(word, "serial");

	if (value)
		return parse_serial(options, disk, value);
	if (!strcmp(word, "ro"))
		disk->read_only = true;
	else if (!strcmp(word, "direct"))
		disk->direct = true;
	else if (!strcmp(word, "thread"))
		disk->no_uring = true;
	else
		return error(options,
			     "bad word '%s' for a disk: known are ro, direct, serial=TEXT "
			     "(write ,, for a comma of the file's name)",
			     word);
	return 0;
}

static int parse_disk(struct options *options, const char *arg)
{
	struct vm_config *config = &options->config;
	struct vm_disk *disk = &config->disk[config->disk_count];
	char word[VM_PATH_SIZE];
	const char *at = arg;
	bool too_long = false;

	if (config->disk_count == VM_MAX_DISKS)
		return error(options, "too many disks: %d are possible", VM_MAX_DISKS);
	words_next(&at, disk->path, sizeof(disk->path), &too_long);
	if (!*disk->path || too_long)
		return error(options,
			     "bad disk '%s': give a file and, behind commas, ro, direct or "
			     "serial=TEXT",
			     arg);
	while (words_next(&at, word, sizeof(word), &too_long))
		if (parse_disk_word(options, disk, word))
			return -1;
	config->disk_count++;
	return 0;
}

static bool tag_is_free(const struct vm_config *config, const char *tag)
{
	for (unsigned int i = 0; i < config->share_count; i++)
		if (!strcmp(config->share[i].tag, tag))
			return false;
	return true;
}

static int parse_share_word(struct options *options, struct vm_share *share, const char *word)
{
	const char *tag = words_value(word, "tag");

	if (!strcmp(word, "ro"))
		share->read_only = true;
	else if (tag && *tag && strlen(tag) < sizeof(share->tag))
		memcpy(share->tag, tag, strlen(tag) + 1);
	else
		return error(options,
			     "bad word '%s' for a share: known are ro and tag=NAME, of up to %d "
			     "bytes",
			     word, VM_SHARE_TAG_SIZE);
	return 0;
}

static int parse_share(struct options *options, const char *arg)
{
	struct vm_config *config = &options->config;
	struct vm_share *share = &config->share[config->share_count];
	char word[VM_PATH_SIZE];
	const char *at = arg;
	bool too_long = false;

	if (config->share_count == VM_MAX_SHARES)
		return error(options, "too many shares: %d are possible", VM_MAX_SHARES);
	words_next(&at, share->path, sizeof(share->path), &too_long);
	if (!*share->path || too_long)
		return error(options,
			     "bad share '%s': give a directory and, behind commas, ro or tag=NAME",
			     arg);
	strcpy(share->tag, "share");
	while (words_next(&at, word, sizeof(word), &too_long))
		if (parse_share_word(options, share, word))
			return -1;
	if (!tag_is_free(config, share->tag))
		return error(options, "two shares have the tag '%s': give one tag=NAME",
			     share->tag);
	config->share_count++;
	return 0;
}

static int parse_help(struct options *options, const char *arg)
{
	(void)arg;
	options->command = OPTIONS_HELP;
	return 0;
}

static int parse_hugepages(struct options *options, const char *arg)
{
	static const char *const names[] = {
		[MEMORY_PAGES_TRANSPARENT] = "transparent",
		[MEMORY_PAGES_SMALL] = "off",
		[MEMORY_PAGES_RESERVED] = "reserved",
	};
	int found = choose(options, names, ARRAY_SIZE(names), arg, "kind of huge pages",
			   "transparent, reserved and off");

	if (found < 0)
		return found;
	options->config.hugepages = (enum memory_pages)found;
	return 0;
}

static int parse_idle(struct options *options, const char *arg)
{
	static const char *const names[] = {
		[IDLE_SLEEP] = "sleep",
		[IDLE_POLL] = "poll",
		[IDLE_NATIVE] = "native",
		[IDLE_AUTO] = "auto",
	};
	int found = choose(options, names, ARRAY_SIZE(names), arg, "idle policy",
			   "auto, sleep, poll and native");

	if (found < 0)
		return found;
	options->config.idle = (enum idle_policy)found;
	return 0;
}

static int parse_io_poll(struct options *options, const char *arg)
{
	const char *end;
	uint64_t value;

	if (size_number(arg, &value, &end) || *end || value > MAX_IO_POLL_US)
		return error(options, "bad time to poll for I/O '%s': 0 to %u microseconds", arg,
			     MAX_IO_POLL_US);
	options->config.io_poll_us = (uint32_t)value;
	return 0;
}

static int parse_irqchip(struct options *options, const char *arg)
{
	static const char *const names[] = {
		[VM_IRQCHIP_AUTO] = "auto",
		[VM_IRQCHIP_PLIC] = "plic",
		[VM_IRQCHIP_AIA] = "aia",
	};
	int found = choose(options, names, ARRAY_SIZE(names), arg, "interrupt controller",
			   "plic, aia and auto");

	if (found < 0)
		return found;
	options->config.irqchip = (enum vm_irqchip)found;
	return 0;
}

static int parse_loglevel(struct options *options, const char *arg)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warning",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};
	int found = choose(options, names, ARRAY_SIZE(names), arg, "log level",
			   "error, warning, info and debug");

	if (found < 0)
		return found;
	options->loglevel = (enum log_level)found;
	return 0;
}

static int parse_size(struct options *options, const char *arg, uint64_t *size)
{
	int err = size_parse(arg, size);

	if (err == -ERANGE)
		return error(options, "bad memory size '%s': at most %lluG are possible", arg,
			     SIZE_LIMIT >> 30);
	if (err)
		return error(options,
			     "bad memory size '%s': give a number and K, M or G (M if none)", arg);
	return 0;
}

static int check_page(struct options *options, const char *arg, uint64_t size)
{
	if (size % PAGE_SIZE)
		return error(options, "bad memory size '%s': it must be a multiple of 4K", arg);
	return 0;
}

static int parse_mem(struct options *options, const char *arg)
{
	uint64_t size = 0;

	if (parse_size(options, arg, &size))
		return -1;
	if (size < MIN_RAM)
		return error(options, "bad memory size '%s': at least %lluM are needed", arg,
			     MIN_RAM >> 20);
	options->config.ram_size = size;
	return check_page(options, arg, size);
}

static int parse_balloon(struct options *options, const char *arg)
{
	if (parse_size(options, arg, &options->config.balloon_size))
		return -1;
	return check_page(options, arg, options->config.balloon_size);
}

static int parse_name(struct options *options, const char *arg)
{
	if (!is_plain(arg, MAX_NAME))
		return error(options,
			     "bad name '%s': up to %d letters, digits and ._- are possible", arg,
			     MAX_NAME);
	options->name = arg;
	return 0;
}

static int parse_network(struct options *options, const char *arg)
{
	char why[128];

	if (network_parse(&options->config.network, arg, why, sizeof(why)))
		return error(options, "bad network '%s': %s", arg, why);
	return 0;
}

static int parse_panic(struct options *options, const char *arg)
{
	if (strcmp(arg, "stop") != 0 && strcmp(arg, "ignore") != 0)
		return error(options, "bad word '%s' for a panic: known are stop and ignore", arg);
	options->config.ignore_panic = !strcmp(arg, "ignore");
	return 0;
}

static int parse_params(struct options *options, const char *arg)
{
	if (strlen(arg) > MAX_CMDLINE)
		return error(options, "the kernel's command line is longer than %d bytes",
			     MAX_CMDLINE);
	options->config.cmdline = arg;
	return 0;
}

static int parse_cid(struct options *options, const char *value)
{
	const char *end = "";
	uint64_t cid = 0;

	if (size_number(value, &cid, &end) || *end || cid < MIN_CID || cid > MAX_CID)
		return error(options, "bad vsock CID '%s': %u to %u are possible", value, MIN_CID,
			     MAX_CID);
	options->config.vsock.cid = (uint32_t)cid;
	return 0;
}

static int parse_vsock_path(struct options *options, const char *path)
{
	struct vm_vsock *vsock = &options->config.vsock;

	if (!*path || strlen(path) >= sizeof(vsock->path))
		return error(options, "bad vsock socket '%s': a path of 1 to %zu bytes is possible",
			     path, sizeof(vsock->path) - 1);
	memcpy(vsock->path, path, strlen(path) + 1);
	return 0;
}

static int parse_vsock(struct options *options, const char *arg)
{
	char word[VM_PATH_SIZE];
	const char *at = arg;
	bool too_long = false;
	int err = 0;

	options->config.vsock = (struct vm_vsock){0};
	while (!err && words_next(&at, word, sizeof(word), &too_long)) {
		const char *cid = words_value(word, "cid");
		const char *path = words_value(word, "socket");

		if (!cid && !path)
			return error(options,
				     "bad word '%s' for vsock: known are cid=N and "
				     "socket=PATH",
				     word);
		err = cid ? parse_cid(options, cid) : parse_vsock_path(options, path);
	}
	if (!err && (!options->config.vsock.cid || !*options->config.vsock.path))
		return error(options, "bad vsock '%s': give cid=N and socket=PATH", arg);
	return err;
}

static int parse_version(struct options *options, const char *arg)
{
	(void)arg;
	options->command = OPTIONS_VERSION;
	return 0;
}

/* Sorted by name, as they are shown. */
static const struct row table[] = {
	{"balloon", 0, "SIZE", "ask the guest to give that much memory back (default 0)",
	 CALL(parse_balloon)},
	{"console", 0, "WORD[,WORD]",
	 "the guest's console: serial (default), virtio, or sbi, only the\nfirmware calls (hvc0 in "
	 "Linux); and where it is shown: stdio\n(default), pty[=LINK], socket=PATH or file=PATH",
	 CALL(parse_console)},
	{"control", 0, "PATH",
	 "make a socket at which 'duvisor control PATH' asks for status,\nmore or less memory, or "
	 "the "
	 "end",
	 CALL(parse_control)},
	{"cpu-affinity", 0, "VCPUS=CPUS",
	 "run these vCPUs on these CPUs of the host only, as in\n0-1=2,3; without VCPUS= all of "
	 "them; "
	 "may be given again",
	 CALL(parse_cpu_affinity)},
	{"cpus", 'c', "N", "number of vCPUs, 1 to 64 (default 1)", CALL(parse_cpus)},
	{"disk", 'd', "FILE[,ro][,direct][,serial=TEXT]",
	 "a raw disk image or block device, may be given again", CALL(parse_disk)},
	{"dtb", 0, "FILE",
	 "use this device tree; memory, seeds and, if they are given,\ncommand line and initrd are "
	 "filled in",
	 SET(dtb)},
	{"dump-dtb", 0, "FILE", "write the device tree that the guest gets to FILE", SET(dump_dtb)},
	{"hart-ids", 0, "LIST",
	 "what the guest calls its vCPUs, as in 0,2,5-7; the first one\nboots (default: 0 and up)",
	 CALL(parse_hart_ids)},
	{"help", 'h', NULL, "show this text and exit", CALL(parse_help)},
	{"hugepages", 0, "transparent|reserved|off",
	 "back the guest's memory by huge pages where the host has\nthem at hand (default), by "
	 "those "
	 "it has set aside, or not",
	 CALL(parse_hugepages)},
	{"idle", 0, "auto|sleep|poll|native",
	 "a vCPU with nothing to do sleeps, polls for a moment\n"
	 "first (default if the host has more CPUs), or keeps its CPU\nof the host",
	 CALL(parse_idle)},
	{"initrd", 'i', "FILE", "initial RAM disk", SET(initrd)},
	{"io-poll", 0, "US",
	 "the I/O thread looks on for up to US microseconds before it\nsleeps (default 50)",
	 CALL(parse_io_poll)},
	{"irqchip", 0, "plic|aia|auto",
	 "the guest's interrupt controller: PLIC, APLIC with IMSIC, or the\nlatter if the host has "
	 "it (default)",
	 CALL(parse_irqchip)},
	{"kernel", 'k', "FILE", "kernel: RISC-V Linux Image, plain or gzip, or ELF (required)",
	 SET(kernel)},
	{"lazy-stage2", 0, NULL, "for tests: map the guest's memory page by page as it is used",
	 SET(lazy_map)},
	{"loglevel", 0, "LEVEL", "error, warning (default), info or debug", CALL(parse_loglevel)},
	{"mem", 'm', "SIZE", "memory, with K, M or G behind it, M if none (default 256M)",
	 CALL(parse_mem)},
	{"name", 0, "NAME", "name of the process, as ps -o comm shows it", CALL(parse_name)},
	{"network", 'n', "mode=MODE[,WORD]...",
	 "none (default), user (through passt; forwards ports with tcp=,\nudp=) or tap "
	 "(tapif=NAME); "
	 "mac=ADDRESS",
	 CALL(parse_network)},
	{"no-reboot", 0, NULL, "end instead of booting again when the guest reboots",
	 SET(no_reboot)},
	{"no-sandbox", 0, NULL, "keep the right to all system calls while the guest runs",
	 SET(no_sandbox)},
	{"no-sstc", 0, NULL,
	 "the guest has no timer register (stimecmp) and asks the\nfirmware; its reads of the time "
	 "exit",
	 SET(no_sstc)},
	{"nodefaults", 0, NULL,
	 "only the devices that are asked for: no clock, no reset or panic\ndevice, and "
	 "no serial port without --console serial",
	 SET(nodefaults)},
	{"panic", 0, "stop|ignore",
	 "when the guest's kernel panics: end with status 4 (default),\nor leave it to the guest",
	 CALL(parse_panic)},
	{"params", 'p', "STRING", "command line of the kernel", CALL(parse_params)},
	{"port", 0, "name=NAME,WORD",
	 "a stream between the guest (/dev/virtio-ports/NAME) and\nsocket=PATH, pty[=LINK] or "
	 "file=PATH; may be given again",
	 CALL(parse_port)},
	{"prealloc", 0, NULL, "populate and lock the guest's memory at the start", SET(prealloc)},
	{"share", 0, "DIR[,ro][,tag=NAME]",
	 "let the guest mount a directory: mount -t 9p -o\ntrans=virtio,version=9p2000.L NAME ... "
	 "(default: share)",
	 CALL(parse_share)},
	{"version", 'V', NULL, "show the version and exit", CALL(parse_version)},
	{"vsock", 0, "cid=N,socket=PATH",
	 "sockets between guest and host: a client of PATH says\nCONNECT PORT; the guest reaches "
	 "PATH_PORT at CID 2",
	 CALL(parse_vsock)},
	{"watchdog", 0, NULL, "add a watchdog; if the guest lets it expire, the VM ends",
	 SET(watchdog)},
};

/* The exit codes of enum vm_exit, for the help text. */
static const char *const exit_codes[] = {
	[VM_EXIT_OK] = "the guest powered off, or the user ended it (Ctrl-A x, control stop)",
	[VM_EXIT_GUEST_FAILURE] = "the guest reported a failure",
	[VM_EXIT_USAGE] = "wrong command line, or a file that cannot be used",
	[VM_EXIT_CRASH] = "the guest crashed",
	[VM_EXIT_PANIC] = "the guest reported a panic",
	[VM_EXIT_WATCHDOG] = "the guest's watchdog expired",
	[VM_EXIT_HOST] = "the host cannot run the VM",
};

const char *options_name(unsigned int i)
{
	for (size_t row = 0; row < ARRAY_SIZE(table); row++)
		if (table[row].help && !i--)
			return table[row].name;
	return NULL;
}

static void print_row(FILE *out, const struct row *row)
{
	const char *line = row->help;
	int column = row->letter ? fprintf(out, "  -%c, --%s", row->letter, row->name)
				 : fprintf(out, "      --%s", row->name);

	if (row->arg)
		column += fprintf(out, " %s", row->arg);
	while (line) {
		const char *end = strchr(line, '\n');

		if (column >= HELP_COLUMN)
			column = fprintf(out, "\n") - 1;
		fprintf(out, "%*s%.*s\n", HELP_COLUMN - column, "",
			end ? (int)(end - line) : (int)strlen(line), line);
		column = 0;
		line = end ? end + 1 : NULL;
	}
}

void options_print_help(FILE *out)
{
	fprintf(out,
		"Usage: duvisor run --kernel FILE [OPTION]...\n"
		"       duvisor control [--json] PATH COMMAND\n"
		"       duvisor help | version\n"
		"\n"
		"Run a virtual machine in this process, or ask one that runs with --control "
		"PATH:\n" CONTROL_COMMANDS ".\n"
		"\n"
		"Options:\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].help)
			print_row(out, &table[i]);
	fprintf(out,
		"\nOn a terminal, Ctrl-A x ends the VM, Ctrl-A h shows help, Ctrl-A Ctrl-A sends "
		"Ctrl-A.\n"
		"\nExit status:\n");
	for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
		fprintf(out, "  %zu  %s\n", i, exit_codes[i]);
	fprintf(out, "  128 + N when signal N ended it\n");
}

/* The tables that getopt_long() wants. */
struct getopt_tables {
	struct option longs[ARRAY_SIZE(table) + 1];
	char shorts[2 + 2 * ARRAY_SIZE(table) + 1];
};

static void fill_tables(struct getopt_tables *tables)
{
	char *at = tables->shorts;

	/* Stop at the first argument that is no option; say ':' for a missing argument. */
	*at++ = '+';
	*at++ = ':';
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		tables->longs[i] = (struct option){
			.name = table[i].name,
			.has_arg = table[i].arg ? required_argument : no_argument,
			.val = ROW_BASE + (int)i,
		};
		if (table[i].letter)
			*at++ = table[i].letter;
		if (table[i].letter && table[i].arg)
			*at++ = ':';
	}
	tables->longs[ARRAY_SIZE(table)] = (struct option){0};
	*at = '\0';
}

/* The row that getopt_long() means by val, or NULL. */
static const struct row *find_row(int val)
{
	if (val >= ROW_BASE && val < ROW_BASE + (int)ARRAY_SIZE(table))
		return &table[val - ROW_BASE];
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].letter && table[i].letter == val)
			return &table[i];
	return NULL;
}

/* getopt_long() was not content; optopt is 0 for a long option that is unknown or ambiguous. */
static int syntax_error(struct options *options, int val, char **argv)
{
	const struct row *row = find_row(optopt);

	if (val == ':' && row)
		return error(options, "option '--%s' needs an argument: %s", row->name, row->arg);
	if (row)
		return error(options, "option '--%s' takes no argument", row->name);
	if (optopt)
		return error(options, "unknown option '-%c': try 'duvisor help'", optopt);
	return error(options, "unknown option '%s': try 'duvisor help'", argv[optind - 1]);
}

static int apply(struct options *options, const struct row *row, const char *arg)
{
	void *target = (char *)options + row->target;

	if (row->parse)
		return row->parse(options, arg);
	if (row->arg)
		*(const char **)target = arg;
	else
		*(bool *)target = true;
	return 0;
}

static int parse_options(struct options *options, int argc, char **argv)
{
	struct getopt_tables tables;
	int val;

	fill_tables(&tables);
	optind = 0; /* start anew, also where this is not the first command line */
	opterr = 0;
	while ((val = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
		const struct row *row = find_row(val);

		if (!row)
			return syntax_error(options, val, argv);
		if (apply(options, row, optarg))
			return -1;
	}
	if (optind < argc)
		return error(options, "unexpected argument '%s': try 'duvisor help'", argv[optind]);
	return 0;
}

/* As many vCPUs as --cpus says, or as there are hart ids, or one. */
static int choose_cpus(struct options *options)
{
	unsigned int ids = options->config.hart_ids.count;

	if (!options->config.cpus)
		options->config.cpus = ids ? ids : 1;
	if (ids && ids != options->config.cpus)
		return error(options, "%u vCPUs cannot have %u hart ids", options->config.cpus,
			     ids);
	return 0;
}

static int parse_run(struct options *options, int argc, char **argv)
{
	options->config.ram_size = DEFAULT_RAM;
	options->config.io_poll_us = DEFAULT_IO_POLL_US;
	options->config.idle = IDLE_AUTO;
	if (parse_options(options, argc, argv))
		return -1;
	if (options->command != OPTIONS_RUN)
		return 0;
	if (choose_cpus(options))
		return -1;
	if (options->config.idle == IDLE_AUTO)
		options->config.idle =
			affinity_cpu_count() > options->config.cpus ? IDLE_POLL : IDLE_SLEEP;
	options->config.virtio_console = options->console == CONSOLE_VIRTIO;
	options->config.serial = options->console == CONSOLE_SERIAL ||
		(options->console == CONSOLE_DEFAULT && !options->config.nodefaults);
	if (options->config.balloon_size >= options->config.ram_size)
		return error(options, "the balloon is as large as the guest's memory");
	if (!options->config.kernel)
		return error(options, "no kernel: give one with --kernel FILE");
	return 0;
}

/* [--json] PATH COMMAND [WORD] */
static int parse_call(struct options *options, int argc, char **argv)
{
	struct control_call *call = &options->call;
	const char *argument;
	int at = 1;

	options->command = OPTIONS_CONTROL;
	if (at < argc && !strcmp(argv[at], "--json")) {
		call->json = true;
		at++;
	}
	if (argc - at < 2)
		return error(options, "control: give PATH COMMAND; commands are " CONTROL_COMMANDS);
	call->path = argv[at];
	call->command = argv[at + 1];
	call->argument = argv[at + 2]; /* NULL behind the last */
	if (!control_known(call->command, &argument))
		return error(options, "unknown control command '%s': known are " CONTROL_COMMANDS,
			     call->command);
	if (argument && !call->argument)
		return error(options, "control command '%s' needs a %s", call->command, argument);
	if (argc - at > 2 + (argument != NULL))
		return error(options, "unexpected argument '%s': try 'duvisor help'",
			     argv[at + 2 + (argument != NULL)]);
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){.loglevel = LOG_WARN};
	if (argc < 2)
		return error(options, "no command: try 'duvisor help'");
	if (!strcmp(argv[1], "run"))
		return parse_run(options, argc - 1, argv + 1);
	if (!strcmp(argv[1], "control"))
		return parse_call(options, argc - 1, argv + 1);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return parse_help(options, NULL);
	if (!strcmp(argv[1], "version") || !strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return parse_version(options, NULL);
	return error(options, "unknown command '%s': try 'duvisor help'", argv[1]);
}
