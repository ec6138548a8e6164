/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal: typed commands, and pseudo-terminals, pipes and files at the two ends. */
#include "fake_board.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"
#include "terminal_escape.h"

static const struct {
	const char *typed;
	const char *passed;
	enum terminal_action last;
} typed[] = {
	{"hello\r", "hello\r", TERMINAL_PASS}, {"x", "x", TERMINAL_PASS},
	{"\001", "", TERMINAL_PASS},           {"\001x", "", TERMINAL_QUIT},
	{"\001X", "", TERMINAL_QUIT},          {"\001h", "", TERMINAL_HELP},
	{"\001?", "", TERMINAL_HELP},          {"\001\001", "\001", TERMINAL_PASS},
	{"\001\001x", "\001x", TERMINAL_PASS}, {"\001\001\001x", "\001", TERMINAL_QUIT},
	{"\001hx", "x", TERMINAL_PASS},        {"\001e", "\001e", TERMINAL_PASS},
	{"\001ex", "\001ex", TERMINAL_PASS},   {"a\001\033[A", "a\001\033[A", TERMINAL_PASS},
};

static void test_escape(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
		struct terminal_escape escape = {0};
		enum terminal_action action = TERMINAL_PASS;
		char passed[32] = {0};
		size_t total = 0;

		for (const char *c = typed[i].typed; *c; c++) {
			uint8_t out[2];
			size_t len;

			action = terminal_escape_feed(&escape, (uint8_t)*c, out, &len);
			assert_true(len <= 2);
			memcpy(passed + total, out, len);
			total += len;
		}
		assert_string_equal(passed, typed[i].passed);
		assert_int_equal(action, typed[i].last);
	}
}

static struct terminal *term;

static int setup(void **state)
{
	(void)state;
	board_setup(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	terminal_destroy(term);
	term = NULL;
	board_teardown();
	return 0;
}

static void attach(int in, int out)
{
	term = terminal_create(in, out);
	assert_non_null(term);
	assert_int_equal(terminal_attach(term, &board.vm), 0);
}

/* Let the event loop handle all that is ready. */
static void settle(void)
{
	while (board.stop == VM_STOP_NONE && io_look(&board.vm.io, 20) > 0)
		;
}

static void guest_says(const char *text)
{
	assert_int_equal(console_write(board.vm.console, text, strlen(text)), strlen(text));
}

static void assert_guest_hears(const char *text)
{
	char buf[64] = {0};

	console_read(board.vm.console, buf, sizeof(buf) - 1);
	assert_string_equal(buf, text);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_receives(int fd, const char *text)
{
	char buf[64] = {0};

	assert_true(read(fd, buf, sizeof(buf) - 1) > 0);
	assert_string_equal(buf, text);
}

static void open_pty(int *master, int *slave)
{
	assert_int_equal(openpty(master, slave, NULL, NULL, NULL), 0);
	fcntl(*master, F_SETFD, FD_CLOEXEC);
}

static tcflag_t local_modes(int tty)
{
	struct termios modes;

	assert_int_equal(tcgetattr(tty, &modes), 0);
	return modes.c_lflag & (ICANON | ECHO | ISIG);
}

static void test_tty(void **state)
{
	int master, slave;

	(void)state;
	open_pty(&master, &slave);
	assert_int_equal(local_modes(slave), ICANON | ECHO | ISIG);
	attach(slave, slave);
	assert_int_equal(local_modes(slave), 0);
	send_text(master, "ls\r\003");
	settle();
	assert_guest_hears("ls\r\003");
	guest_says("file");
	settle();
	assert_receives(master, "file");
	send_text(master, "\001h");
	settle();
	assert_int_equal(board.stop, VM_STOP_NONE);
	send_text(master, "y\001x");
	settle();
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	assert_guest_hears("y");
	assert_int_equal(terminal_signal(term), 0);
	terminal_detach(term);
	assert_int_equal(local_modes(slave), ICANON | ECHO | ISIG);
	close(master);
	close(slave);
}

/* A guest that does not read must not keep anybody from leaving it. */
static void test_quit_with_full_input(void **state)
{
	char line[101];
	int master, slave;

	(void)state;
	open_pty(&master, &slave);
	attach(slave, slave);
	memset(line, 'a', 100);
	line[100] = '\0';
	for (int i = 0; i < 60; i++) {
		send_text(master, line);
		settle();
	}
	assert_int_equal(console_feed_space(board.vm.console), 0);
	send_text(master, "\001x");
	settle();
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	close(master);
	close(slave);
}

/* The child plays a VM that dies without having the chance to do anything. */
static void assert_restored_after(int signal_number)
{
	int master, slave;
	int status;
	pid_t pid;
	char byte;
	int ready[2];

	open_pty(&master, &slave);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(master);
		close(ready[0]);
		/* What it tells the kernel to wait for is not to be in its parent's list. */
		if (io_init(&board.vm.io, board.vm.isa.timebase_frequency, 200))
			_exit(1);
		attach(slave, slave);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		signal(signal_number, SIG_DFL);
		raise(signal_number);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < 200 && !local_modes(slave); i++)
		usleep(10000);
	assert_int_equal(local_modes(slave), ICANON | ECHO | ISIG);
	close(ready[0]);
	close(master);
	close(slave);
}

static void test_restored_after_sudden_death(void **state)
{
	(void)state;
	assert_restored_after(SIGKILL);
	assert_restored_after(SIGABRT);
}

static void test_hung_up_tty(void **state)
{
	int master, slave;

	(void)state;
	open_pty(&master, &slave);
	attach(slave, slave);
	close(master);
	guest_says("nobody reads this");
	settle();
	assert_int_equal(board.stop, VM_STOP_NONE);
	close(slave);
}

static void test_signals(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	int null = open("/dev/null", O_RDWR);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		board.stop = VM_STOP_NONE;
		/* A shell without job control has what runs behind it ignore some. */
		signal(signals[i], SIG_DFL);
		attach(null, null);
		raise(signals[i]);
		assert_int_equal(board.stop, VM_STOP_NONE);
		settle();
		assert_int_equal(board.stop, VM_STOP_USER_QUIT);
		assert_int_equal(terminal_signal(term), signals[i]);
		terminal_destroy(term);
		term = NULL;
	}
	close(null);
}

/* A guest that reboots in the same moment does not make the VM immortal. */
static void test_stop_is_asked_for_again(void **state)
{
	int null = open("/dev/null", O_RDWR);

	(void)state;
	attach(null, null);
	raise(SIGTERM);
	settle();
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	board.stop = VM_STOP_NONE;
	settle();
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	close(null);
}

static void test_ignored_signals_stay_ignored(void **state)
{
	int null = open("/dev/null", O_RDWR);

	(void)state;
	signal(SIGHUP, SIG_IGN);
	attach(null, null);
	raise(SIGHUP);
	settle();
	assert_int_equal(board.stop, VM_STOP_NONE);
	terminal_destroy(term);
	term = NULL;
	signal(SIGHUP, SIG_DFL);
	close(null);
}

static void test_pipes(void **state)
{
	int in[2], out[2];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	attach(in[0], out[1]);
	/* Nothing in a pipe is a command. */
	send_text(in[1], "\001x\001\001");
	settle();
	assert_int_equal(board.stop, VM_STOP_NONE);
	assert_guest_hears("\001x\001\001");
	guest_says("answer");
	settle();
	assert_receives(out[0], "answer");
	/* The end of the input ends nothing else, and costs no time. */
	close(in[1]);
	settle();
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	guest_says("more");
	settle();
	assert_receives(out[0], "more");
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

/* More input than the console has room for waits in the pipe, its end behind it. */
static void test_long_piped_input(void **state)
{
	const size_t total = 20000;
	size_t heard = 0;
	int in[2];
	int null = open("/dev/null", O_WRONLY);

	(void)state;
	assert_int_equal(pipe(in), 0);
	for (size_t i = 0; i < total; i++)
		assert_int_equal(write(in[1], &(char){(char)(i % 251)}, 1), 1);
	close(in[1]);
	attach(in[0], null);
	settle();
	/* Full: the event loop sleeps instead of spinning. */
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	while (heard < total) {
		uint8_t byte;

		if (!console_read(board.vm.console, &byte, 1)) {
			settle();
			assert_int_equal(console_read(board.vm.console, &byte, 1), 1);
		}
		assert_int_equal(byte, heard % 251);
		heard++;
	}
	settle();
	assert_int_equal(console_read_pending(board.vm.console), 0);
	close(in[0]);
	close(null);
}

/* A reader who pauses stops the guest's output, loses nothing, and blocks nobody. */
static void test_slow_reader(void **state)
{
	static char buf[1 << 20];
	size_t written = 0;
	size_t got = 0;
	int out[2];
	int null = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(pipe(out), 0);
	attach(null, out[1]);
	assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	for (;;) {
		size_t n = console_write(board.vm.console, &"0123456789"[written % 10], 1);

		written += n;
		if (!n) {
			settle();
			if (!console_write_space(board.vm.console))
				break;
		}
	}
	assert_true(written > 65536);
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	while (got < written) {
		ssize_t n = read(out[0], buf + got, written - got);

		assert_true(n > 0);
		got += (size_t)n;
		settle();
	}
	for (size_t i = 0; i < got; i++)
		assert_int_equal(buf[i], '0' + (int)(i % 10));
	close(out[0]);
	close(out[1]);
	close(null);
}

/* What a guest writes byte by byte comes out in fewer pieces. */
static void test_output_gathers(void **state)
{
	int null = open("/dev/null", O_RDONLY);
	int out[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, out), 0);
	attach(null, out[1]);
	guest_says("a");
	assert_int_equal(io_poll(&board.vm.io), 0);
	guest_says("b");
	guest_says("c");
	settle();
	assert_receives(out[0], "abc");
	guest_says("d");
	settle();
	assert_receives(out[0], "d");
	close(out[0]);
	close(out[1]);
	close(null);
}

static void test_reader_goes_away(void **state)
{
	int out[2];
	int null = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(pipe(out), 0);
	attach(null, out[1]);
	close(out[0]);
	for (int i = 0; i < 10000; i++) {
		console_write(board.vm.console, "0123456789", 10);
		if (!console_write_space(board.vm.console))
			settle();
	}
	settle();
	assert_int_equal(console_write_space(board.vm.console), 16384);
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	close(out[1]);
	close(null);
}

static void test_last_words(void **state)
{
	char path[] = "/tmp/duvisor-out-XXXXXX";
	int file = mkstemp(path);
	int null = open("/dev/null", O_RDONLY);
	char buf[32] = {0};

	(void)state;
	send_text(file, "before ");
	attach(null, file);
	guest_says("Power down");
	terminal_detach(term);
	assert_int_equal(pread(file, buf, sizeof(buf) - 1, 0), 17);
	assert_string_equal(buf, "before Power down");
	unlink(path);
	close(file);
	close(null);
}

static void test_closed_input(void **state)
{
	int null = open("/dev/null", O_WRONLY);

	(void)state;
	attach(-1, null);
	settle();
	assert_int_equal(board.stop, VM_STOP_NONE);
	close(null);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		TEST(test_tty),
		TEST(test_quit_with_full_input),
		TEST(test_restored_after_sudden_death),
		TEST(test_hung_up_tty),
		TEST(test_signals),
		TEST(test_stop_is_asked_for_again),
		TEST(test_ignored_signals_stay_ignored),
		TEST(test_pipes),
		TEST(test_long_piped_input),
		TEST(test_slow_reader),
		TEST(test_output_gathers),
		TEST(test_reader_goes_away),
		TEST(test_last_words),
		TEST(test_closed_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
