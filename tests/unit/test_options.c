/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines and what becomes of them; the help text and the manual page say the same. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define MAX_WORDS 32

static struct options options;

/* Parse a command line whose words are separated by single spaces. */
static int parse(const char *line)
{
	static char words[8192];
	char *argv[MAX_WORDS + 1];
	int argc = 0;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < MAX_WORDS);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return options_parse(&options, argc, argv);
}

static void assert_parses(const char *line)
{
	if (parse(line))
		fail_msg("%s: %s", line, options.error);
}

static const struct {
	const char *line;
	const char *error;
} refused[] = {
	{"duvisor", "no command: try 'duvisor help'"},
	{"duvisor walk", "unknown command 'walk': try 'duvisor help'"},
	{"duvisor -k x", "unknown command '-k': try 'duvisor help'"},
	{"duvisor control",
	 "control: give PATH COMMAND; commands are balloon SIZE, counters, help, hint, status, "
	 "stop"},
	{"duvisor control --json x",
	 "control: give PATH COMMAND; commands are balloon SIZE, counters, help, hint, status, "
	 "stop"},
	{"duvisor control x jump",
	 "unknown control command 'jump': known are balloon SIZE, counters, help, hint, status, "
	 "stop"},
	{"duvisor control x balloon", "control command 'balloon' needs a size"},
	{"duvisor control x balloon 1M 2M", "unexpected argument '2M': try 'duvisor help'"},
	{"duvisor control x stop now", "unexpected argument 'now': try 'duvisor help'"},
	{"duvisor run", "no kernel: give one with --kernel FILE"},
	{"duvisor run -c 2", "no kernel: give one with --kernel FILE"},
	{"duvisor run --frobnicate", "unknown option '--frobnicate': try 'duvisor help'"},
	{"duvisor run --frob=3 -k x", "unknown option '--frob=3': try 'duvisor help'"},
	{"duvisor run --no", "unknown option '--no': try 'duvisor help'"},
	{"duvisor run -z", "unknown option '-z': try 'duvisor help'"},
	{"duvisor run -k x -hz", "unknown option '-z': try 'duvisor help'"},
	{"duvisor run -k", "option '--kernel' needs an argument: FILE"},
	{"duvisor run --kernel", "option '--kernel' needs an argument: FILE"},
	{"duvisor run -k x --mem", "option '--mem' needs an argument: SIZE"},
	{"duvisor run -k x --hugepages=1G",
	 "unknown kind of huge pages '1G': known are transparent, reserved and off"},
	{"duvisor run -k x --prealloc=yes", "option '--prealloc' takes no argument"},
	{"duvisor run -k x y", "unexpected argument 'y': try 'duvisor help'"},
	{"duvisor run x -k y", "unexpected argument 'x': try 'duvisor help'"},
	{"duvisor run -k x -c 0", "bad number of vCPUs '0': 1 to 64 are possible"},
	{"duvisor run -k x -c 65", "bad number of vCPUs '65': 1 to 64 are possible"},
	{"duvisor run -k x -c -1", "bad number of vCPUs '-1': 1 to 64 are possible"},
	{"duvisor run -k x -c two", "bad number of vCPUs 'two': 1 to 64 are possible"},
	{"duvisor run -k x -c 2x", "bad number of vCPUs '2x': 1 to 64 are possible"},
	{"duvisor run -k x -c 18446744073709551617",
	 "bad number of vCPUs '18446744073709551617': 1 to 64 are possible"},
	{"duvisor run -k x -m lots",
	 "bad memory size 'lots': give a number and K, M or G (M if none)"},
	{"duvisor run -k x --balloon 256", "the balloon is as large as the guest's memory"},
	{"duvisor run -k x --balloon 1K", "bad memory size '1K': it must be a multiple of 4K"},
	{"duvisor run -k x -m 1X", "bad memory size '1X': give a number and K, M or G (M if none)"},
	{"duvisor run -k x -m 1MB",
	 "bad memory size '1MB': give a number and K, M or G (M if none)"},
	{"duvisor run -k x -m -1", "bad memory size '-1': give a number and K, M or G (M if none)"},
	{"duvisor run -k x -m 0x100",
	 "bad memory size '0x100': give a number and K, M or G (M if none)"},
	{"duvisor run -k x -m=", "bad memory size '=': give a number and K, M or G (M if none)"},
	{"duvisor run -k x -m 0", "bad memory size '0': at least 2M are needed"},
	{"duvisor run -k x -m 2047K", "bad memory size '2047K': at least 2M are needed"},
	{"duvisor run -k x -m 2049K", "bad memory size '2049K': it must be a multiple of 4K"},
	{"duvisor run -k x -m 1025G", "bad memory size '1025G': at most 1024G are possible"},
	{"duvisor run -k x -m 17592186044416G",
	 "bad memory size '17592186044416G': at most 1024G are possible"},
	{"duvisor run -k x -m 99999999999999999999",
	 "bad memory size '99999999999999999999': at most 1024G are possible"},
	{"duvisor run -k x --console tty",
	 "unknown console 'tty': known are serial, sbi and virtio, and stdio, pty, socket=PATH and "
	 "file=PATH"},
	{"duvisor run -k x --console virtio,socket",
	 "unknown console 'socket': known are serial, sbi and virtio, and stdio, pty, socket=PATH "
	 "and "
	 "file=PATH"},
	{"duvisor run -k x --hart-ids", "option '--hart-ids' needs an argument: LIST"},
	{"duvisor run -k x --hart-ids 0,", "bad hart ids '0,': give a list as in 0,2,5-7"},
	{"duvisor run -k x --hart-ids 2-1", "bad hart ids '2-1': give a list as in 0,2,5-7"},
	{"duvisor run -k x --hart-ids 0;1", "bad hart ids '0;1': give a list as in 0,2,5-7"},
	{"duvisor run -k x --hart-ids 0-2,1", "bad hart ids '0-2,1': an id is there twice"},
	{"duvisor run -k x --hart-ids 0-64", "bad hart ids '0-64': there are more than 64"},
	{"duvisor run -k x --hart-ids 1024", "bad hart ids '1024': ids are below 1024"},
	{"duvisor run -k x --hart-ids 0-99999999999999999999",
	 "bad hart ids '0-99999999999999999999': ids are below 1024"},
	{"duvisor run -k x -c 2 --hart-ids 0,2,5", "2 vCPUs cannot have 3 hart ids"},
	{"duvisor run -k x --io-poll 1000001",
	 "bad time to poll for I/O '1000001': 0 to 1000000 microseconds"},
	{"duvisor run -k x --io-poll 1ms",
	 "bad time to poll for I/O '1ms': 0 to 1000000 microseconds"},
	{"duvisor run -k x --irqchip gic",
	 "unknown interrupt controller 'gic': known are plic, aia and auto"},
	{"duvisor run -k x --loglevel loud",
	 "unknown log level 'loud': known are error, warning, info and debug"},
	{"duvisor run -k x -n mode=hub",
	 "bad network 'mode=hub': the modes are none, user and tap"},
	{"duvisor run -k x --disk ,ro",
	 "bad disk ',ro': give a file and, behind commas, ro, direct or serial=TEXT"},
	{"duvisor run -k x -d d.img,rw",
	 "bad word 'rw' for a disk: known are ro, direct, serial=TEXT (write ,, for a comma of the "
	 "file's name)"},
	{"duvisor run -k x -d d.img,serial=", "bad serial number '': 1 to 20 bytes are possible"},
	{"duvisor run -k x -d d.img,serial=123456789012345678901",
	 "bad serial number '123456789012345678901': 1 to 20 bytes are possible"},
	{"duvisor run -k x -d1 -d2 -d3 -d4 -d5 -d6 -d7 -d8 -d9", "too many disks: 8 are possible"},
	{"duvisor run -k x --vsock cid=3", "bad vsock 'cid=3': give cid=N and socket=PATH"},
	{"duvisor run -k x --vsock socket=v", "bad vsock 'socket=v': give cid=N and socket=PATH"},
	{"duvisor run -k x --vsock cid=2,socket=v",
	 "bad vsock CID '2': 3 to 4294967294 are possible"},
	{"duvisor run -k x --vsock cid=4294967295,socket=v",
	 "bad vsock CID '4294967295': 3 to 4294967294 are possible"},
	{"duvisor run -k x --vsock cid=3,socket=",
	 "bad vsock socket '': a path of 1 to 96 bytes is possible"},
	{"duvisor run -k x --vsock cid=3,port=v",
	 "bad word 'port=v' for vsock: known are cid=N and socket=PATH"},
	{"duvisor run -k x --port socket=p",
	 "bad port 'socket=p': give name=NAME and pty, socket=PATH or file=PATH"},
	{"duvisor run -k x --port name=n",
	 "bad port 'name=n': give name=NAME and pty, socket=PATH or file=PATH"},
	{"duvisor run -k x --port name=n,stdio",
	 "bad word 'stdio' for a port: known are name=NAME, and pty, pty=LINK, socket=PATH or "
	 "file=PATH"},
	{"duvisor run -k x --port name=n,socket=",
	 "bad word 'socket=' for a port: known are name=NAME, and pty, pty=LINK, socket=PATH or "
	 "file=PATH"},
	{"duvisor run -k x --port name=a/b,pty",
	 "bad name 'a/b' of a port: up to 63 letters, digits and ._- are possible"},
	{"duvisor run -k x --port name=n,pty --port name=n,file=f", "two ports have the name 'n'"},
	{"duvisor run -k x --port name=1,pty --port name=2,pty --port name=3,pty --port name=4,pty "
	 "--port name=5,pty --port name=6,pty --port name=7,pty --port name=8,pty --port "
	 "name=9,pty",
	 "too many ports: 8 are possible"},
	{"duvisor run -k x --panic=reboot",
	 "bad word 'reboot' for a panic: known are stop and ignore"},
	{"duvisor run -k x --name a/b",
	 "bad name 'a/b': up to 15 letters, digits and ._- are possible"},
	{"duvisor run -k x --name 0123456789abcdef",
	 "bad name '0123456789abcdef': up to 15 letters, digits and ._- are possible"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (!parse(refused[i].line))
			fail_msg("%s: is accepted", refused[i].line);
		assert_string_equal(options.error, refused[i].error);
	}
}

static const struct {
	const char *text;
	uint64_t size;
} sizes[] = {
	{"256", 256ULL << 20},  {"2", 2ULL << 20},     {"256M", 256ULL << 20},
	{"256m", 256ULL << 20}, {"4G", 4ULL << 30},    {"1g", 1ULL << 30},
	{"2048K", 2ULL << 20},  {"4100k", 4100 << 10}, {"1T", 1ULL << 40},
	{"1024G", 1ULL << 40},  {"007", 7ULL << 20},
};

static void test_sizes(void **state)
{
	char line[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(line, sizeof(line), "duvisor run -k x -m %s", sizes[i].text);
		assert_parses(line);
		assert_int_equal(options.config.ram_size, sizes[i].size);
	}
}

static void test_defaults(void **state)
{
	(void)state;
	assert_parses("duvisor run --kernel Image");
	assert_int_equal(options.command, OPTIONS_RUN);
	assert_string_equal(options.config.kernel, "Image");
	assert_int_equal(options.config.ram_size, 256 << 20);
	assert_int_equal(options.config.cpus, 1);
	assert_true(options.config.serial);
	assert_int_equal(options.loglevel, LOG_WARN);
	assert_null(options.config.initrd);
	assert_null(options.config.cmdline);
	assert_null(options.config.dtb);
	assert_null(options.config.dump_dtb);
	assert_null(options.name);
	assert_false(options.config.prealloc);
	assert_int_equal(options.config.hugepages, MEMORY_PAGES_TRANSPARENT);
	assert_false(options.config.no_reboot);
	assert_false(options.config.nodefaults);
	assert_false(options.config.lazy_map);
	assert_int_equal(options.config.irqchip, VM_IRQCHIP_AUTO);
	assert_int_equal(options.config.io_poll_us, 50);
}

static void test_everything(void **state)
{
	(void)state;
	assert_parses("duvisor run -kImage -i initrd -m1G -c 64 -p quiet --dtb=in --dump-dtb out "
		      "--loglevel=debug --prealloc --hugepages off --no-reboot -n mode=none");
	assert_string_equal(options.config.kernel, "Image");
	assert_string_equal(options.config.initrd, "initrd");
	assert_int_equal(options.config.ram_size, 1 << 30);
	assert_int_equal(options.config.cpus, 64);
	assert_string_equal(options.config.cmdline, "quiet");
	assert_string_equal(options.config.dtb, "in");
	assert_string_equal(options.config.dump_dtb, "out");
	assert_int_equal(options.loglevel, LOG_DEBUG);
	assert_true(options.config.prealloc);
	assert_int_equal(options.config.hugepages, MEMORY_PAGES_SMALL);
	assert_true(options.config.no_reboot);
	assert_parses("duvisor run -k x --irqchip aia");
	assert_int_equal(options.config.irqchip, VM_IRQCHIP_AIA);
	assert_parses("duvisor run -k x --irqchip=aia --irqchip=plic");
	assert_int_equal(options.config.irqchip, VM_IRQCHIP_PLIC);
	assert_parses("duvisor run -k x --io-poll 0");
	assert_int_equal(options.config.io_poll_us, 0);
	assert_parses("duvisor run -k x --nodefaults --lazy-stage2 --name vm-1.a_b");
	assert_true(options.config.nodefaults);
	assert_true(options.config.lazy_map);
	assert_string_equal(options.name, "vm-1.a_b");
	assert_parses("duvisor run -k x --panic=ignore");
	assert_true(options.config.ignore_panic);
	assert_parses("duvisor run -k x --panic ignore --panic stop");
	assert_false(options.config.ignore_panic);
	/* The last counts; unique beginnings do. */
	assert_parses("duvisor run -k x --kern y --cpus 3 -c 4");
	assert_string_equal(options.config.kernel, "y");
	assert_int_equal(options.config.cpus, 4);
}

static void test_vsock(void **state)
{
	(void)state;
	assert_parses("duvisor run -k x");
	assert_int_equal(options.config.vsock.cid, 0);
	assert_parses("duvisor run -k x --vsock socket=/a/b,,c,cid=77");
	assert_int_equal(options.config.vsock.cid, 77);
	assert_string_equal(options.config.vsock.path, "/a/b,c");
}

static void test_ports(void **state)
{
	const struct vm_port *port = options.config.port;

	(void)state;
	assert_parses("duvisor run -k x --port socket=/a/b,,c,name=org.example.agent --port "
		      "name=log,file=f --port pty,name=p");
	assert_int_equal(options.config.port_count, 3);
	assert_string_equal(port[0].name, "org.example.agent");
	assert_int_equal(port[0].place.end, VM_CONSOLE_SOCKET);
	assert_string_equal(port[0].place.path, "/a/b,c");
	assert_int_equal(port[1].place.end, VM_CONSOLE_FILE);
	assert_string_equal(port[2].name, "p");
	assert_int_equal(port[2].place.end, VM_CONSOLE_PTY);
	assert_string_equal(port[2].place.path, "");
}

static void test_hart_ids(void **state)
{
	(void)state;
	assert_parses("duvisor run -k x --cpus 4 --hart-ids 7,0-2");
	assert_int_equal(options.config.cpus, 4);
	assert_int_equal(hart_ids_of(&options.config.hart_ids, 0), 7);
	assert_int_equal(hart_ids_of(&options.config.hart_ids, 3), 2);
	/* They say how many vCPUs there are. */
	assert_parses("duvisor run -k x --hart-ids 1023,0");
	assert_int_equal(options.config.cpus, 2);
	assert_parses("duvisor run -k x --hart-ids 3,4 --hart-ids 0-63");
	assert_int_equal(options.config.cpus, 64);
	assert_parses("duvisor run -k x");
	assert_int_equal(options.config.cpus, 1);
	assert_int_equal(hart_ids_of(&options.config.hart_ids, 63), 63);
}

static const struct {
	const char *line;
	bool serial;
} consoles[] = {
	{"duvisor run -k x", true},
	{"duvisor run -k x --console serial", true},
	{"duvisor run -k x --console sbi", false},
	{"duvisor run -k x --console virtio,pty=/tmp/link", false},
	{"duvisor run -k x --console socket=/tmp/a,,b", true},
	{"duvisor run -k x --nodefaults", false},
	{"duvisor run -k x --nodefaults --console serial", true},
	{"duvisor run -k x --console serial --nodefaults", true},
	{"duvisor run -k x --console sbi --nodefaults", false},
};

static void test_consoles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(consoles); i++) {
		assert_parses(consoles[i].line);
		assert_int_equal(options.config.serial, consoles[i].serial);
	}
}

static void test_long_command_line(void **state)
{
	char line[6000] = "duvisor run -k x -p ";
	size_t start = strlen(line);

	(void)state;
	memset(line + start, 'a', 4095);
	assert_parses(line);
	assert_int_equal(strlen(options.config.cmdline), 4095);
	line[start + 4095] = 'a';
	assert_int_equal(parse(line), -1);
	assert_string_equal(options.error, "the kernel's command line is longer than 4095 bytes");
}

static const struct {
	const char *line;
	enum options_command command;
} others[] = {
	{"duvisor help", OPTIONS_HELP},
	{"duvisor --help", OPTIONS_HELP},
	{"duvisor -h", OPTIONS_HELP},
	{"duvisor run --help", OPTIONS_HELP},
	{"duvisor run -h", OPTIONS_HELP},
	{"duvisor version", OPTIONS_VERSION},
	{"duvisor --version", OPTIONS_VERSION},
	{"duvisor -V", OPTIONS_VERSION},
	{"duvisor run --version", OPTIONS_VERSION},
};

static void test_other_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_parses(others[i].line);
		assert_int_equal(options.command, others[i].command);
	}
}

static void test_control(void **state)
{
	(void)state;
	assert_parses("duvisor run -k x --control a --control b");
	assert_string_equal(options.control, "b");
	assert_parses("duvisor run -k x");
	assert_null(options.control);
	assert_parses("duvisor control b balloon 512M");
	assert_int_equal(options.command, OPTIONS_CONTROL);
	assert_string_equal(options.call.path, "b");
	assert_string_equal(options.call.command, "balloon");
	assert_string_equal(options.call.argument, "512M");
	assert_false(options.call.json);
	assert_parses("duvisor control --json b status");
	assert_string_equal(options.call.command, "status");
	assert_null(options.call.argument);
	assert_true(options.call.json);
}

static char *read_all(FILE *file)
{
	static char text[32768];
	size_t n;

	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

/* Every option is in the help text, in alphabetical order, and no line is too long. */
static void test_help(void **state)
{
	FILE *file = tmpfile();
	const char *before = "";
	const char *name;
	char *text;

	(void)state;
	assert_non_null(file);
	options_print_help(file);
	text = read_all(file);
	for (unsigned int i = 0; (name = options_name(i)); i++) {
		char wanted[64];

		snprintf(wanted, sizeof(wanted), "  --%s", name);
		if (!strstr(text, wanted) && !strstr(text, wanted + 1))
			fail_msg("--%s is not in the help text", name);
		assert_true(strcmp(before, name) < 0);
		before = name;
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 90)
			fail_msg("too long: %s", line);
}

/* And in the manual page, which calls it "Fl -name". */
static void test_manual(void **state)
{
	FILE *file = fopen(MANUAL, "r");
	const char *name;
	char *text;

	(void)state;
	assert_non_null(file);
	text = read_all(file);
	for (unsigned int i = 0; (name = options_name(i)); i++) {
		char wanted[64];

		snprintf(wanted, sizeof(wanted), "Fl -%s", name);
		if (!strstr(text, wanted))
			fail_msg("--%s is not in the manual page", name);
	}
	for (int code = VM_EXIT_OK; code <= VM_EXIT_HOST; code++) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), ".It %d\n", code);
		if (!strstr(text, wanted))
			fail_msg("exit status %d is not in the manual page", code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_hart_ids),
		cmocka_unit_test(test_vsock),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_consoles),
		cmocka_unit_test(test_long_command_line),
		cmocka_unit_test(test_other_commands),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
