/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A console that clients come to and leave: what they see, and what the terminal gets. */
#include "fake_place.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "relay.h"

static struct io io;
static struct relay *relay;

static void start(struct relay *made)
{
	relay = made;
	assert_non_null(relay);
	assert_int_equal(io_init(&io, 10000000, 200), 0);
	assert_int_equal(relay_attach(relay, &io), 0);
}

static void end(void)
{
	relay_destroy(relay);
	io_destroy(&io);
	assert_int_equal(io.count, 0);
	unlink(path);
}

/* Turns of the loop until nothing happens for so long. */
static void serve(int ms)
{
	while (io_look(&io, ms) > 0)
		;
}

/* The terminal writes; as with the real one, what does not fit waits. */
static size_t print(const uint8_t *text, size_t len)
{
	ssize_t n = send(relay_terminal_fd(relay), text, len, MSG_DONTWAIT);

	return n < 0 ? 0 : (size_t)n;
}

static void assert_reads(int fd, const char *want)
{
	char got[128] = "";
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_int_equal(n, (ssize_t)strlen(want));
	assert_string_equal(got, want);
}

static void test_late_client_sees_what_was_and_what_comes(void **state)
{
	int client;
	int next;

	(void)state;
	start(relay_create_socket(path));
	print((const uint8_t *)"before ", 7);
	serve(20);
	client = place_client();
	serve(20);
	assert_reads(client, "before ");
	print((const uint8_t *)"after", 5);
	serve(20);
	assert_reads(client, "after");
	assert_int_equal(write(client, "typed", 5), 5);
	serve(20);
	assert_reads(relay_terminal_fd(relay), "typed");
	close(client);
	serve(20);
	print((const uint8_t *)" alone", 6);
	serve(20);
	client = place_client();
	serve(20);
	assert_reads(client, "before after alone");
	/* A new one takes over. */
	next = place_client();
	serve(20);
	assert_reads(next, "before after alone");
	assert_int_equal(read(client, place, 0), 0);
	close(client);
	close(next);
	end();
}

/* With nobody there, the last 64 KiB are kept, to the byte. */
static void test_history(void **state)
{
	enum { TOTAL = 200000 };
	uint8_t *text = malloc(TOTAL);
	uint8_t *got = calloc(1, TOTAL);
	size_t sent = 0;
	size_t have = 0;
	int client;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < TOTAL; i++)
		text[i] = (uint8_t)(i * 13 + i / 256);
	start(relay_create_socket(path));
	while (sent < TOTAL) {
		sent += print(text + sent, TOTAL - sent);
		serve(0);
	}
	serve(20);
	client = place_client();
	serve(20);
	while ((n = read(client, got + have, TOTAL - have)) > 0) {
		have += (size_t)n;
		serve(5);
	}
	assert_int_equal(have, RELAY_HISTORY);
	assert_memory_equal(got, text + TOTAL - RELAY_HISTORY, RELAY_HISTORY);
	close(client);
	end();
	free(text);
	free(got);
}

/* A client that does not read stops the terminal; when it reads, it sees all. */
static void test_slow_client(void **state)
{
	enum { TOTAL = 4 << 20 };
	uint8_t chunk[4096];
	size_t sent = 0;
	size_t have = 0;
	size_t stuck;
	int client;

	(void)state;
	start(relay_create_socket(path));
	client = place_client();
	serve(20);
	for (int idle = 0; idle < 20 && sent < TOTAL;) {
		size_t n;

		memset(chunk, (int)(sent / sizeof(chunk)), sizeof(chunk));
		n = print(chunk, sizeof(chunk) - sent % sizeof(chunk));
		sent += n;
		idle = n ? 0 : idle + 1;
		for (int turn = 0; turn < 3 && io_look(&io, 0) > 0; turn++)
			;
	}
	stuck = sent;
	assert_true(stuck < TOTAL);
	while (have < stuck) {
		ssize_t n = read(client, chunk, sizeof(chunk));

		for (ssize_t i = 0; i < n; i++, have++)
			assert_int_equal(chunk[i], (uint8_t)(have / sizeof(chunk)));
		serve(0);
	}
	close(client);
	serve(20);
	end();
}

static void test_socket_that_is_in_use(void **state)
{
	struct relay *second;
	FILE *file;

	(void)state;
	start(relay_create_socket(path));
	second = relay_create_socket(path);
	assert_null(second);
	assert_int_equal(access(path, F_OK), 0);
	end();
	/* A file is not removed. */
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_null(relay_create_socket(path));
	assert_int_equal(unlink(path), 0);
	assert_null(relay_create_socket("/no/such/place/socket"));
}

/* What a killed process has left is in nobody's way. */
static void test_socket_that_is_dead(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	start(relay_create_socket(path));
	end();
}

static void test_pty(void **state)
{
	int client;

	(void)state;
	start(relay_create_pty(path));
	print((const uint8_t *)"early\n", 6);
	serve(50);
	for (int round = 0; round < 2; round++) {
		client = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
		assert_true(client >= 0);
		/* The timer finds it. */
		for (int i = 0; i < 5; i++)
			assert_true(io_look(&io, 250) >= 0);
		assert_reads(client, "early\n");
		assert_int_equal(write(client, "x\r", 2), 2);
		for (int i = 0; i < 3; i++)
			assert_int_equal(io_poll(&io), 0);
		assert_reads(relay_terminal_fd(relay), "x\r");
		close(client);
		for (int i = 0; i < 3; i++)
			assert_int_equal(io_poll(&io), 0);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_client_sees_what_was_and_what_comes),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_socket_that_is_in_use),
		cmocka_unit_test(test_socket_that_is_dead),
		cmocka_unit_test(test_pty),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
