/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: what is answered to good, bad and hostile clients, and what the client command makes of it. */
#include "fake_board.h"
#include "fake_place.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "control_client.h"
#include "control_command.h"
#include "dev/board.h"

static struct control *control;

static int setup(void **state)
{
	(void)state;
	board_setup(2);
	board.vm.phase = VM_RUNNING;
	pthread_mutex_init(&board.vm.lock, NULL);
	assert_int_equal(virtio_balloon_create(&board.vm), 0);
	control = control_create(path, "a-name");
	assert_non_null(control);
	assert_int_equal(control_attach(control, &board.vm), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_destroy(control);
	unlink(path);
	board_teardown();
	return 0;
}

/* Turns of the loop until nothing happens for so long. */
static void serve(int ms)
{
	while (board.stop == VM_STOP_NONE && io_look(&board.vm.io, ms) > 0)
		;
}

static int client(void)
{
	int fd = place_client();

	serve(0);
	return fd;
}

static void say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
	serve(0);
}

/* All that was answered so far. */
static const char *hear(int fd)
{
	static char got[65536];
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, got + have, sizeof(got) - 1 - have)) > 0) {
		have += (size_t)n;
		serve(0);
	}
	got[have] = '\0';
	return got;
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static const char *ask(int fd, const char *line)
{
	say(fd, line, strlen(line));
	say(fd, "\n", 1);
	return hear(fd);
}

static void test_status(void **state)
{
	int fd = client();
	const char *answer = ask(fd, "{\"command\":\"status\"}");

	(void)state;
	assert_string_equal(answer,
			    "{\"ok\":true,\"name\":\"a-name\",\"state\":\"running\",\"vcpus\":2,"
			    "\"memory\":8388608,\"balloon_target\":0,\"balloon_actual\":0,"
			    "\"reported\":0,\"hinted\":0,\"hinting\":\"none\"}\n");
	board.vm.phase = VM_PARKED;
	assert_non_null(strstr(ask(fd, " { \"command\" : \"status\" } \r"), "\"stopping\""));
	close(fd);
}

static void test_balloon(void **state)
{
	static const char *const good[] = {"\"4M\"", "4194304", "4194304.0", "\"4096K\"", "\"4\""};
	static const char *const bad[] = {
		"\"\"",    "\"4X\"", "\"-1\"",  "-4096",
		"4097",    "0.5",    "1e300",   "-1e300",
		"1e-300",  "[4096]", "null",    "\"8M\"",
		"\"1T\"",  "\"2T\"", "8388608", "\"99999999999999999999\"",
		"true",    "{}",     "\"1K\"",  "\"4M \"",
		"\" 4M\"",
	};
	int fd = client();
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(line, sizeof(line), "{\"size\":%s,\"command\":\"balloon\"}", good[i]);
		assert_string_equal(ask(fd, line), "{\"ok\":true,\"balloon_target\":4194304}\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(line, sizeof(line), "{\"command\":\"balloon\",\"size\":%s}", bad[i]);
		assert_memory_equal(ask(fd, line), "{\"ok\":false,\"error\":\"", 21);
	}
	assert_memory_equal(ask(fd, "{\"command\":\"balloon\"}"), "{\"ok\":false,", 12);
	assert_non_null(strstr(ask(fd, "{\"command\":\"status\"}"), "\"balloon_target\":4194304,"));
	/* No driver has begun. */
	assert_non_null(strstr(ask(fd, "{\"command\":\"hint\"}"), "has no driver"));
	close(fd);
}

static void test_counters(void **state)
{
	int fd = client();

	(void)state;
	guest_write(BOARD_VIRTIO_BASE(0) + VIRTIO_MMIO_QUEUE_NOTIFY, 4, 0);
	guest_write(BOARD_VIRTIO_BASE(0) + VIRTIO_MMIO_QUEUE_NOTIFY, 4, 1);
	assert_string_equal(ask(fd, "{\"command\":\"counters\"}"),
			    "{\"ok\":true,\"io_wake_ups\":0,\"virtio-balloon@10001000.buffers\":0,"
			    "\"virtio-balloon@10001000.notifications\":2,"
			    "\"virtio-balloon@10001000.interrupts\":0}\n");
	close(fd);
}

static void test_stop(void **state)
{
	int fd = client();

	(void)state;
	assert_string_equal(ask(fd, "{\"command\":\"stop\"}"), "{\"ok\":true}\n");
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	/* A guest that has just begun to reboot loses the request, but it is made again. */
	board.stop = VM_STOP_NONE;
	serve(0);
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
	close(fd);
}

/* One error for each line, and the connection goes on. */
static void test_what_is_no_request(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"x",
		"{",
		"}",
		"[]",
		"null",
		"1",
		"\"stop\"",
		"{}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
		"{\"command\":\"stop\"",
		"{\"command\":\"stop\"}}",
		"{\"command\":\"stop\"} {\"command\":\"stop\"}",
		"{\"command\":1}",
		"{\"command\":[\"stop\"]}",
		"{\"command\":null}",
		"{\"command\":{}}",
		"{\"Command\":\"stop\"}",
		"{\"command\":\"STOP\"}",
		"{\"command\":\"\"}",
		"{\"command\":\"stop",
		"{\"command\":\"stop\\",
		"{\"command\":\"\\ud800\"}",
		"{\"command\":\"\\u",
		"{'command':'stop'}",
		"{\"command\":\"stop\",}",
		"GET / HTTP/1.1",
		"\xff\xfe\x80",
		"{\"command\":\"\xff\xfe\"}",
		"{\"command\":\"st\\u006fpp\"}",
		"{\"command\":\"%s%n%n\"}",
		"1e999999",
		"-",
		"tru",
	};
	int fd = client();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *answer = ask(fd, lines[i]);

		assert_memory_equal(answer, "{\"ok\":false,\"error\":\"", 21);
		assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
	}
	say(fd, "{\"command\":\"stop\"\0}\n", 20);
	assert_memory_equal(hear(fd), "{\"ok\":false,", 12);
	assert_memory_equal(ask(fd, "{\"command\":\"help\"}"), "{\"ok\":true,", 11);
	assert_int_equal(board.stop, VM_STOP_NONE);
	close(fd);
}

/* However a line is cut into pieces; several in one; the longest; one that is too long. */
static void test_lines(void **state)
{
	static const char line[] = "{\"command\":\"help\"}\n";
	static char longest[CONTROL_LINE + 1];
	int fd = client();
	unsigned int answers = 0;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(line) - 1; i++)
		say(fd, line + i, 1);
	assert_string_equal(hear(fd), "");
	say(fd, "\n{\"command\":\"he", 15);
	assert_memory_equal(hear(fd), "{\"ok\":true,", 11);
	say(fd, "lp\"}\n{}\n{}\n{}\n{", 15);
	for (const char *at = hear(fd); (at = strchr(at, '\n')); at++)
		answers++;
	assert_int_equal(answers, 4);
	say(fd, "}\n", 2);
	hear(fd);
	memset(longest, ' ', sizeof(longest));
	memcpy(longest, line, sizeof(line) - 2);
	longest[CONTROL_LINE - 1] = '\n';
	say(fd, longest, CONTROL_LINE);
	assert_memory_equal(hear(fd), "{\"ok\":true,", 11);
	assert_false(is_closed(fd));
	longest[CONTROL_LINE - 1] = ' ';
	say(fd, longest, CONTROL_LINE);
	assert_string_equal(hear(fd), "{\"ok\":false,\"error\":\"the line is too long\"}\n");
	assert_true(is_closed(fd));
	close(fd);
}

/* A client that asks and asks and takes no answer is not read any more; when it reads, it finds them all. */
static void test_client_that_does_not_read(void **state)
{
	static const char line[] = "{\"command\":\"status\"}\n";
	int other;
	int fd = client();
	size_t sent = 0;
	size_t answers = 0;
	ssize_t n;

	(void)state;
	while ((n = send(fd, line + sent % (sizeof(line) - 1),
			 sizeof(line) - 1 - sent % (sizeof(line) - 1), MSG_NOSIGNAL)) > 0) {
		sent += (size_t)n;
		serve(0);
	}
	assert_true(sent < 64 << 20);
	/* Nobody else is kept waiting. */
	other = client();
	assert_memory_equal(ask(other, "{\"command\":\"help\"}"), "{\"ok\":true,", 11);
	close(other);
	shutdown(fd, SHUT_WR);
	do {
		serve(0);
		n = 0;
		for (const char *at = hear(fd); *at; at++, n++)
			answers += *at == '\n';
	} while (n);
	assert_int_equal(answers, sent / (sizeof(line) - 1));
	assert_true(is_closed(fd));
	close(fd);
}

/* With all places taken, whoever has been quiet for the longest goes. */
static void test_number_of_clients(void **state)
{
	int fd[CONTROL_CLIENTS];
	int one_more;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client();
	ask(fd[0], "{}");
	one_more = client();
	assert_memory_equal(ask(one_more, "{\"command\":\"help\"}"), "{\"ok\":true,", 11);
	assert_true(is_closed(fd[1]));
	assert_memory_equal(ask(fd[0], "{\"command\":\"help\"}"), "{\"ok\":true,", 11);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	serve(0);
	close(one_more);
	serve(0);
	assert_int_equal(board.vm.io.count, 2);
	/* Half a line, and gone. */
	one_more = client();
	say(one_more, "{\"comm", 6);
	close(one_more);
	serve(0);
	assert_int_equal(board.vm.io.count, 2);
}

static void test_without_a_balloon(void **state)
{
	struct balloon *balloon = board.vm.balloon;
	int fd = client();

	(void)state;
	board.vm.balloon = NULL;
	assert_string_equal(ask(fd, "{\"command\":\"hint\"}"),
			    "{\"ok\":false,\"error\":\"this VM has no balloon\"}\n");
	assert_string_equal(ask(fd, "{\"command\":\"balloon\",\"size\":0}"),
			    "{\"ok\":false,\"error\":\"this VM has no balloon\"}\n");
	assert_null(strstr(ask(fd, "{\"command\":\"status\"}"), "balloon"));
	board.vm.balloon = balloon;
	close(fd);
}

/* `duvisor control` in a process of its own: what it prints, and its exit code. */
static int call(const struct control_call *what, char *out, size_t size)
{
	int pipe_fd[2];
	pid_t child;
	int status;
	ssize_t n;

	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	if (!child) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		dup2(pipe_fd[1], STDERR_FILENO);
		status = (int)control_call(what);
		fflush(stdout);
		_exit(status);
	}
	close(pipe_fd[1]);
	while (!waitpid(child, &status, WNOHANG))
		serve(10);
	n = read(pipe_fd[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(pipe_fd[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_client(void **state)
{
	struct control_call what = {.path = path, .command = "balloon", .argument = "2M"};
	char out[1024];

	(void)state;
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_OK);
	assert_string_equal(out, "balloon_target: 2097152\n");
	what.argument = "\"\n2M";
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_REFUSED);
	assert_non_null(strstr(out, "size must be"));
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	what = (struct control_call){.path = path, .command = "status"};
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_OK);
	assert_non_null(strstr(out, "state: running\nvcpus: 2\nmemory: 8388608\n"));
	what.json = true;
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_OK);
	assert_memory_equal(out, "{\"ok\":true,", 11);
	what.path = "/no/such/socket";
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_REFUSED);
	assert_non_null(strstr(out, "no VM listens at '/no/such/socket'\n"));
	what = (struct control_call){.path = path, .command = "stop"};
	assert_int_equal(call(&what, out, sizeof(out)), CONTROL_EXIT_OK);
	assert_string_equal(out, "");
	assert_int_equal(board.stop, VM_STOP_USER_QUIT);
}

static void test_socket_that_is_in_use(void **state)
{
	(void)state;
	assert_null(control_create(path, NULL));
	assert_null(control_create("/no/such/place/socket", NULL));
	assert_null(control_create("", NULL));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_balloon),
		TEST(test_counters),
		TEST(test_stop),
		TEST(test_what_is_no_request),
		TEST(test_lines),
		TEST(test_client_that_does_not_read),
		TEST(test_number_of_clients),
		TEST(test_without_a_balloon),
		TEST(test_client),
		TEST(test_socket_that_is_in_use),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
