/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console device with several ports: what it and the driver tell each other, data both ways, and a driver that lies. */
#include "fake_virtio.h"

#include <fcntl.h>
#include <linux/virtio_console.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "console.h"

#define SLOT 0
#define CONTROL_RX 2
#define CONTROL_TX 3
#define PORTS 2 /* with names: a socket and a file */
#define QUEUES (4 + 2 * PORTS)
#define RX(port) ((port) ? 2 * (port) + 2 : 0)
#define TX(port) (RX(port) + 1)

#define CONTROL_IN VIRTIO_DATA
#define CONTROL_OUT (VIRTIO_DATA + 0x10000)
#define OUT (VIRTIO_DATA + 0x20000)
#define IN (VIRTIO_DATA + 0x180000)
#define MESSAGE_SIZE 128

static char place[] = "/tmp/duvisor-ports-XXXXXX";
static char socket_path[64];
static char file_path[64];
static bool pty; /* instead of the socket, at its path */
static struct driver driver[QUEUES];
static gpa_t control_buffer[1024]; /* by the id of the chain */
static unsigned int controls;

static int group_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* terminal.c does it */
	assert_non_null(mkdtemp(place));
	snprintf(socket_path, sizeof(socket_path), "%s/s ü", place);
	snprintf(file_path, sizeof(file_path), "%s/f", place);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return rmdir(place);
}

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

/* Turns of the I/O thread until nothing happens for a moment. */
static void serve(void)
{
	do {
		virtio_serve();
	} while (io_look(&board.vm.io, 20) > 0);
}

static void give_control_buffer(uint32_t size)
{
	struct buffer b = {CONTROL_IN + controls++ % 64 * MESSAGE_SIZE, size, true};

	control_buffer[driver_add(&driver[CONTROL_RX], &b, 1)] = b.addr;
}

static void create(bool console)
{
	virtio_board_setup(1);
	board.config.virtio_console = console;
	board.config.port_count = PORTS;
	strcpy(board.config.port[0].name, "org.example.agent");
	board.config.port[0].place.end = pty ? VM_CONSOLE_PTY : VM_CONSOLE_SOCKET;
	strcpy(board.config.port[0].place.path, socket_path);
	strcpy(board.config.port[1].name, "log");
	board.config.port[1].place.end = VM_CONSOLE_FILE;
	strcpy(board.config.port[1].place.path, file_path);
	assert_int_equal(virtio_console_create(&board.vm), 0);
}

static void negotiate(uint64_t features)
{
	virtio_start(SLOT, features | 1ULL << VIRTIO_CONSOLE_F_MULTIPORT, driver, QUEUES);
	controls = 0;
	for (int i = 0; i < 16; i++)
		give_control_buffer(MESSAGE_SIZE);
	serve();
}

static void end(void)
{
	board_teardown();
	unlink(socket_path);
	unlink(file_path);
}

/* What the driver says, of any length. */
static void say_raw(const void *message, uint32_t len)
{
	const struct buffer b[] = {{CONTROL_OUT, len, false}};

	memcpy(at(CONTROL_OUT), message, len);
	assert_int_equal(virtio_request(SLOT, CONTROL_TX, &driver[CONTROL_TX], b, 1), 0);
	serve();
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = {.id = id, .event = event, .value = value};

	say_raw(&message, sizeof(message));
}

/* The next message of the device, behind which there are len bytes. False: there is none. */
static bool hear(struct virtio_console_control *message, void *rest, uint32_t *len)
{
	uint16_t id;

	if (!driver_get(&driver[CONTROL_RX], &id, len))
		return false;
	assert_true(*len >= sizeof(*message));
	*len -= sizeof(*message);
	memcpy(message, at(control_buffer[id]), sizeof(*message));
	memcpy(rest, at(control_buffer[id] + sizeof(*message)), *len);
	give_control_buffer(MESSAGE_SIZE);
	return true;
}

static void assert_hears(uint32_t id, uint16_t event, uint16_t value, const void *rest,
			 uint32_t len)
{
	struct virtio_console_control message = {0};
	char got[MESSAGE_SIZE];
	uint32_t got_len = 0;

	assert_true(hear(&message, got, &got_len));
	assert_int_equal(message.id, id);
	assert_int_equal(message.event, event);
	assert_int_equal(message.value, value);
	assert_int_equal(got_len, len);
	if (len)
		assert_memory_equal(got, rest, len);
}

#define assert_hears_open(id, value) assert_hears(id, VIRTIO_CONSOLE_PORT_OPEN, value, NULL, 0)

static void assert_silence(void)
{
	struct virtio_console_control message;
	char rest[MESSAGE_SIZE];
	uint32_t len;

	serve();
	assert_false(hear(&message, rest, &len));
}

/* Both ports with names are there, and the socket's is open in the guest. */
static void begin(uint64_t features)
{
	create(false);
	negotiate(features);
	say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_hears(1, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	assert_hears(2, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_hears(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.agent", 17);
	say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_hears(2, VIRTIO_CONSOLE_PORT_NAME, 1, "log", 3);
	assert_hears_open(2, 1);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_silence();
}

static int attach_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	serve();
	return fd;
}

static void assert_client_reads(int fd, const char *want)
{
	char got[128] = "";

	serve();
	assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(want));
	assert_string_equal(got, want);
}

static void client_writes(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	serve();
}

static void guest_writes(unsigned int port, const char *text)
{
	const struct buffer b[] = {{OUT, (uint32_t)strlen(text), false}};

	memcpy(at(OUT), text, strlen(text));
	driver_add(&driver[TX(port)], b, 1);
	serve();
}

static bool guest_write_is_done(unsigned int port)
{
	uint32_t len;
	uint16_t id;

	return driver_get(&driver[TX(port)], &id, &len);
}

static void guest_gives_buffer(unsigned int port, uint32_t len)
{
	const struct buffer b[] = {{IN, len, true}};

	memset(at(IN), 0, len);
	driver_add(&driver[RX(port)], b, 1);
	serve();
}

static void assert_guest_has_read(unsigned int port, const char *want)
{
	uint32_t len = 0;
	uint16_t id;

	assert_true(driver_get(&driver[RX(port)], &id, &len));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(at(IN), want, len);
}

static bool guest_has_read(unsigned int port)
{
	uint32_t len;
	uint16_t id;

	return driver_get(&driver[RX(port)], &id, &len);
}

static void test_the_console_is_port_0(void **state)
{
	const struct {
		uint16_t cols;
		uint16_t rows;
	} size = {132, 43}, wide = {200, 50};

	(void)state;
	create(true);
	console_set_size(board.vm.console, (struct console_size){size.cols, size.rows});
	negotiate(1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_F_RING_PACKED);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG + 4), 1 + PORTS);
	assert_silence();
	say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (uint32_t id = 0; id <= PORTS; id++)
		assert_hears(id, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	say(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_hears(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	assert_hears(0, VIRTIO_CONSOLE_RESIZE, 0, &size, sizeof(size));
	assert_hears_open(0, 1);
	assert_silence();
	console_set_size(board.vm.console, (struct console_size){wide.cols, wide.rows});
	serve();
	assert_hears(0, VIRTIO_CONSOLE_RESIZE, 0, &wide, sizeof(wide));
	/* What is typed waits until the guest has it open. */
	assert_int_equal(console_feed(board.vm.console, "typed", 5), 5);
	guest_gives_buffer(0, 64);
	assert_false(guest_has_read(0));
	say(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_guest_has_read(0, "typed");
	end();
}

/* A driver that knows of one port only finds the console, or a device that does nothing. */
static void test_a_driver_without_multiport(void **state)
{
	char got[8] = "";
	int client;

	(void)state;
	for (int console = 0; console < 2; console++) {
		create(console);
		virtio_start(SLOT, 0, driver, 2);
		client = attach_client();
		client_writes(client, "x");
		guest_gives_buffer(0, 8);
		guest_writes(0, "out");
		assert_false(guest_has_read(0));
		assert_int_equal(guest_write_is_done(0), console);
		assert_int_equal(console_fetch(board.vm.console, got, sizeof(got)),
				 console ? 3 : 0);
		close(client);
		end();
	}
}

static void test_data_both_ways(void **state)
{
	int client;

	(void)state;
	begin(0);
	guest_writes(1, "early ");
	assert_false(guest_write_is_done(1));
	client = attach_client();
	assert_hears_open(1, 1);
	assert_true(guest_write_is_done(1));
	guest_writes(1, "and late");
	assert_client_reads(client, "early and late");
	client_writes(client, "hello");
	guest_gives_buffer(1, 3);
	assert_guest_has_read(1, "hel");
	guest_gives_buffer(1, 64);
	assert_guest_has_read(1, "lo");
	/* A buffer waits for data, as data do for a buffer. */
	guest_gives_buffer(1, 64);
	assert_false(guest_has_read(1));
	client_writes(client, "more");
	assert_guest_has_read(1, "more");
	/* Closed by the guest: nothing is taken from the client that would be thrown away. */
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	client_writes(client, "later");
	guest_gives_buffer(1, 64);
	assert_false(guest_has_read(1));
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_guest_has_read(1, "later");
	close(client);
	end();
}

/* What nobody takes stays where it is, in order, both ways. */
static void test_a_lot(void **state)
{
	enum { TOTAL = 1 << 20, GUEST_PIECE = 50000 };
	static uint8_t got[TOTAL];
	size_t sent = 0;
	size_t have = 0;
	int client;

	(void)state;
	begin(1ULL << VIRTIO_F_RING_PACKED);
	client = attach_client();
	for (size_t i = 0; i < TOTAL; i++)
		at(OUT)[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < TOTAL; i += GUEST_PIECE) {
		const struct buffer b[] = {
			{OUT + i, (uint32_t)(TOTAL - i < GUEST_PIECE ? TOTAL - i : GUEST_PIECE),
			 false}};

		driver_add(&driver[TX(1)], b, 1);
	}
	while (have < TOTAL) {
		ssize_t n;

		serve();
		n = read(client, got + have, 30011);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, at(OUT), TOTAL);
	memset(got, 0, sizeof(got));
	for (have = 0; have < TOTAL;) {
		const struct buffer b[] = {{IN, 5000, true}, {IN + 5000, 5000, true}};
		uint32_t len;
		uint16_t id;
		ssize_t n = write(client, at(OUT) + sent, TOTAL - sent);

		sent += n > 0 ? (size_t)n : 0;
		driver_add(&driver[RX(1)], b, 2);
		serve();
		assert_true(driver_get(&driver[RX(1)], &id, &len));
		memcpy(got + have, at(IN), len);
		have += len;
	}
	assert_memory_equal(got, at(OUT), TOTAL);
	close(client);
	end();
}

static void test_clients_come_and_leave(void **state)
{
	int client;
	int next;

	(void)state;
	begin(0);
	client = attach_client();
	assert_hears_open(1, 1);
	client_writes(client, "last words");
	close(client);
	serve();
	/* It is gone when the guest has read what it said, and only then comes the next one. */
	next = attach_client();
	client_writes(next, "first words");
	assert_silence();
	guest_gives_buffer(1, 64);
	assert_guest_has_read(1, "last words");
	guest_gives_buffer(1, 64);
	assert_hears_open(1, 0);
	assert_hears_open(1, 1);
	serve();
	assert_guest_has_read(1, "first words");
	/* While it is there, the one behind it takes over. */
	client = attach_client();
	assert_int_equal(read(next, place, 0), 0);
	assert_hears_open(1, 0);
	assert_hears_open(1, 1);
	guest_writes(1, "for the third");
	assert_client_reads(client, "for the third");
	assert_true(guest_write_is_done(1));
	close(next);
	close(client);
	/* With nobody there, the guest's output waits. */
	serve();
	assert_hears_open(1, 0);
	guest_writes(1, "for the fourth");
	assert_false(guest_write_is_done(1));
	client = attach_client();
	assert_client_reads(client, "for the fourth");
	close(client);
	end();
}

/* Who has nothing more to say may still listen. */
static void test_half_closed(void **state)
{
	int client;

	(void)state;
	begin(0);
	client = attach_client();
	assert_hears_open(1, 1);
	client_writes(client, "question");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	guest_gives_buffer(1, 64);
	assert_guest_has_read(1, "question");
	guest_gives_buffer(1, 64);
	assert_silence();
	guest_writes(1, "answer");
	assert_client_reads(client, "answer");
	close(client);
	serve();
	assert_hears_open(1, 0);
	end();
}

static void test_file(void **state)
{
	char got[32] = "";
	FILE *file;

	(void)state;
	begin(0);
	guest_writes(2, "one ");
	guest_writes(2, "two");
	assert_true(guest_write_is_done(2));
	/* Nothing comes from it. */
	say(2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	guest_gives_buffer(2, 64);
	assert_false(guest_has_read(2));
	file = fopen(file_path, "r");
	assert_non_null(file);
	assert_int_equal(fread(got, 1, sizeof(got), file), 7);
	assert_string_equal(got, "one two");
	fclose(file);
	end();
}

/* Turns for long enough that the timer finds who has opened the pseudoterminal. */
static void wait_for_pty(void)
{
	for (int i = 0; i < 20; i++) {
		usleep(15000);
		serve();
	}
}

static void test_pseudoterminal(void **state)
{
	char got[32] = "";
	int client;

	(void)state;
	pty = true;
	begin(0);
	pty = false;
	for (int round = 0; round < 2; round++) {
		client = open(socket_path, O_RDWR | O_NOCTTY | O_NONBLOCK);
		assert_true(client >= 0);
		wait_for_pty();
		assert_hears_open(1, 1);
		guest_writes(1, "to\nit");
		assert_true(guest_write_is_done(1));
		assert_int_equal(read(client, got, sizeof(got)), 5);
		assert_memory_equal(got, "to\nit", 5);
		client_writes(client, "from\rit");
		guest_gives_buffer(1, 64);
		assert_guest_has_read(1, "from\rit");
		/* It leaves with something unread. */
		client_writes(client, "last");
		close(client);
		serve();
		guest_gives_buffer(1, 64);
		assert_guest_has_read(1, "last");
		wait_for_pty();
		assert_hears_open(1, 0);
		assert_silence();
	}
	end();
}

static void test_a_file_that_is_full(void **state)
{
	(void)state;
	strcpy(file_path, "/dev/full");
	create(false);
	negotiate(0);
	say(2, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_hears(2, VIRTIO_CONSOLE_PORT_NAME, 1, "log", 3);
	assert_hears_open(2, 1);
	guest_writes(2, "lost");
	assert_false(guest_write_is_done(2));
	assert_hears_open(2, 0);
	assert_silence();
	snprintf(file_path, sizeof(file_path), "%s/f", place);
	end();
}

/* Without buffers for messages, nothing piles up: what is told at last is what is so. */
static void test_a_driver_that_does_not_listen(void **state)
{
	(void)state;
	create(true);
	virtio_start(SLOT, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT, driver, QUEUES);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (int i = 0; i < 50; i++) {
		say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		close(attach_client());
		serve();
	}
	controls = 0;
	for (int i = 0; i < 16; i++)
		give_control_buffer(MESSAGE_SIZE);
	serve();
	assert_hears(0, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	assert_hears(1, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	assert_hears(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.agent", 17);
	assert_hears(2, VIRTIO_CONSOLE_PORT_ADD, 0, NULL, 0);
	assert_silence();
	end();
}

/* Messages that mean nothing change nothing, and the ports go on. */
static void test_messages_that_mean_nothing(void **state)
{
	static const uint32_t ids[] = {0, 1, 2, 3, 7, 8, 9, 255, 0x80000001, UINT32_MAX};
	static const char junk[4000];
	int client;

	(void)state;
	begin(0);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		for (unsigned int event = 1; event < 12; event++)
			if (ids[i] != 1 || event == VIRTIO_CONSOLE_PORT_ADD || event > 7)
				say(ids[i], (uint16_t)event, 0);
		say(ids[i], UINT16_MAX, UINT16_MAX);
	}
	for (uint32_t len = 1; len < sizeof(struct virtio_console_control); len++)
		say_raw("\1\0\0\0\6\0\0", len);
	say_raw(junk, sizeof(junk));
	say(0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	assert_silence();
	client = attach_client();
	assert_hears_open(1, 1);
	client_writes(client, "still here");
	guest_gives_buffer(1, 64);
	assert_guest_has_read(1, "still here");
	assert_false(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	close(client);
	end();
}

/* Buffers that cannot hold what they are for: messages are cut, nothing is written behind them, nothing is lost of data. */
static void test_buffers_of_wrong_kind(void **state)
{
	const struct buffer readable[] = {{OUT, 64, false}};
	const struct buffer writable[] = {{IN, 64, true}};
	uint32_t len;
	uint16_t id;
	int client;

	(void)state;
	create(false);
	virtio_start(SLOT, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT, driver, QUEUES);
	controls = 0;
	give_control_buffer(3);
	memset(at(CONTROL_IN), 0x5a, 64);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_true(driver_get(&driver[CONTROL_RX], &id, &len));
	assert_int_equal(len, 3);
	assert_int_equal(at(CONTROL_IN)[3], 0x5a);
	driver_add(&driver[CONTROL_RX], readable, 1);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	client = attach_client();
	assert_true(driver_get(&driver[CONTROL_RX], &id, &len));
	assert_int_equal(len, 0);
	client_writes(client, "data");
	driver_add(&driver[RX(1)], readable, 1);
	serve();
	assert_true(driver_get(&driver[RX(1)], &id, &len));
	assert_int_equal(len, 0);
	guest_gives_buffer(1, 64);
	assert_guest_has_read(1, "data");
	driver_add(&driver[TX(1)], writable, 1);
	serve();
	assert_true(guest_write_is_done(1));
	close(client);
	end();
}

/* A ring that cannot be breaks this device only; after a reset, all is said anew. */
static void test_broken_and_reset(void **state)
{
	const struct buffer nowhere[] = {{0x1000, 64, true}};
	int client;

	(void)state;
	begin(0);
	client = attach_client();
	assert_hears_open(1, 1);
	client_writes(client, "kept");
	driver_add(&driver[RX(1)], nowhere, 1);
	serve();
	assert_true(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	client_writes(client, ", too");
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	negotiate(0);
	guest_gives_buffer(1, 64);
	assert_silence();
	assert_false(guest_has_read(1));
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_hears(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.agent", 17);
	assert_hears_open(1, 1);
	assert_false(guest_has_read(1));
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_guest_has_read(1, "kept, too");
	close(client);
	end();
}

static void test_a_place_that_cannot_be(void **state)
{
	(void)state;
	virtio_board_setup(1);
	board.config.port_count = PORTS;
	strcpy(board.config.port[0].name, "a");
	board.config.port[0].place.end = VM_CONSOLE_PTY;
	strcpy(board.config.port[1].name, "b");
	board.config.port[1].place.end = VM_CONSOLE_SOCKET;
	strcpy(board.config.port[1].place.path, "/no/such/place");
	assert_int_equal(virtio_console_create(&board.vm), VM_EXIT_USAGE);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_console_is_port_0),
		cmocka_unit_test(test_a_driver_without_multiport),
		cmocka_unit_test(test_data_both_ways),
		cmocka_unit_test(test_a_lot),
		cmocka_unit_test(test_clients_come_and_leave),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_pseudoterminal),
		cmocka_unit_test(test_a_file_that_is_full),
		cmocka_unit_test(test_a_driver_that_does_not_listen),
		cmocka_unit_test(test_messages_that_mean_nothing),
		cmocka_unit_test(test_buffers_of_wrong_kind),
		cmocka_unit_test(test_broken_and_reset),
		cmocka_unit_test(test_a_place_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
