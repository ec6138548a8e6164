/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket device by registers and rings, with real Unix sockets on the host's side. */
#include "fake_virtio.h"

#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unix_socket.h"

#define SLOT 0
#define RX 0
#define TX 1
#define CID 7
#define HEADER sizeof(struct virtio_vsock_hdr)
#define OUT VIRTIO_DATA
#define IN (VIRTIO_DATA + 0x80000)
#define IN_SIZE 0x2000
#define WINDOW 65536
#define PORT 9000
#define GUEST_PORT 1234
#define ROOM 3000

static char place[] = "/tmp/duvisor-vsock-XXXXXX";
static struct driver driver[3];
static uint8_t payload[WINDOW];

static const char *path_of(const char *suffix)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/v%s", place, suffix);
	return path;
}

/* What the I/O thread does until nothing in rings or files is left to do. */
static void serve(void)
{
	do {
		virtio_serve();
	} while (io_look(&board.vm.io, 0) > 0);
	virtio_serve();
}

static void start_with(const char *path)
{
	virtio_board_setup(1);
	board.config.vsock.cid = CID;
	board.config.no_sandbox = true;
	strcpy(board.config.vsock.path, path);
	assert_int_equal(virtio_vsock_create(&board.vm), 0);
	virtio_start(SLOT, 0, driver, 3);
}

static void start(void)
{
	start_with(path_of(""));
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG), CID);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_CONFIG + 4), 0);
}

static struct virtio_vsock_hdr packet_of(uint16_t op, uint32_t host_port, uint32_t len)
{
	return (struct virtio_vsock_hdr){.src_cid = CID,
					 .dst_cid = 2,
					 .src_port = GUEST_PORT,
					 .dst_port = host_port,
					 .len = len,
					 .type = VIRTIO_VSOCK_TYPE_STREAM,
					 .op = op,
					 .buf_alloc = ROOM};
}

/* Put it into the ring with `have` bytes behind it, whatever the header says. */
static void offer(const struct virtio_vsock_hdr *packet, const void *data, uint32_t have)
{
	const struct buffer b[] = {{OUT, HEADER, false}, {OUT + 0x1000, have, false}};

	memcpy(memory_at(&board.vm.mem, OUT, HEADER), packet, HEADER);
	if (have)
		memcpy(memory_at(&board.vm.mem, OUT + 0x1000, have), data, have);
	driver_add(&driver[TX], b, have ? 2 : 1);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, TX);
	serve();
}

static void send_packet(const struct virtio_vsock_hdr *packet, const void *data, uint32_t have)
{
	uint16_t id;
	uint32_t len;

	offer(packet, data, have);
	assert_true(driver_get(&driver[TX], &id, &len));
}

static void send_op(uint16_t op, uint32_t host_port, uint32_t flags)
{
	struct virtio_vsock_hdr packet = packet_of(op, host_port, 0);

	packet.flags = flags;
	send_packet(&packet, NULL, 0);
}

static void send_data(uint32_t host_port, const void *data, uint32_t len)
{
	const struct virtio_vsock_hdr packet = packet_of(VIRTIO_VSOCK_OP_RW, host_port, len);

	send_packet(&packet, data, len);
}

/* Give one buffer; the packet that comes in it, with what is behind the header in `payload`. False: none comes. */
static bool next_packet(struct virtio_vsock_hdr *packet)
{
	const struct buffer b = {IN, IN_SIZE, true};
	static bool given;
	uint16_t id;
	uint32_t len;

	if (!driver[RX].avail)
		given = false;
	if (!given) {
		driver_add(&driver[RX], &b, 1);
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, RX);
	}
	serve();
	given = !driver_get(&driver[RX], &id, &len);
	if (given)
		return false;
	memcpy(packet, memory_at(&board.vm.mem, IN, HEADER), HEADER);
	assert_int_equal(len, HEADER + packet->len);
	assert_int_equal(packet->src_cid, 2);
	assert_int_equal(packet->dst_cid, CID);
	assert_int_equal(packet->type, VIRTIO_VSOCK_TYPE_STREAM);
	memcpy(payload, memory_at(&board.vm.mem, IN + HEADER, IN_SIZE - HEADER), IN_SIZE - HEADER);
	return true;
}

static struct virtio_vsock_hdr expect(uint16_t op)
{
	struct virtio_vsock_hdr packet;

	assert_true(next_packet(&packet));
	assert_int_equal(packet.op, op);
	return packet;
}

static void expect_nothing(void)
{
	struct virtio_vsock_hdr packet;

	assert_false(next_packet(&packet));
}

/* Read exactly this much: the device and its helper have had their turn. */
static void read_all(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		assert_true(n > 0);
		done += (size_t)n;
		serve();
	}
}

/* The guest connects to PORT; the host's end. */
static int connected(void)
{
	int listener = unix_listen(path_of("_9000"), 4);
	int fd;

	assert_true(listener >= 0);
	send_op(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	expect(VIRTIO_VSOCK_OP_RESPONSE);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(listener);
	unlink(path_of("_9000"));
	return fd;
}

static void test_guest_connects(void **state)
{
	struct virtio_vsock_hdr packet;
	char got[8] = "";
	int fd;

	(void)state;
	start();
	fd = connected();
	send_data(PORT, "hello", 5);
	read_all(fd, got, 5);
	assert_string_equal(got, "hello");
	assert_int_equal(write(fd, "answer", 6), 6);
	packet = expect(VIRTIO_VSOCK_OP_RW);
	assert_int_equal(packet.len, 6);
	assert_int_equal(packet.src_port, PORT);
	assert_int_equal(packet.dst_port, GUEST_PORT);
	assert_int_equal(packet.buf_alloc, WINDOW);
	assert_int_equal(packet.fwd_cnt, 5);
	assert_memory_equal(payload, "answer", 6);
	/* One direction ends, then the other. */
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(read(fd, got, 1), 0);
	assert_int_equal(write(fd, "more", 4), 4);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW).len, 4);
	close(fd);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_SHUTDOWN).flags,
			 VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, 3);
	expect(VIRTIO_VSOCK_OP_RST);
	expect_nothing();
	board_teardown();
}

/* Who only stops to write still reads. */
static void test_half_close_by_the_host(void **state)
{
	char got[4];
	int fd;

	(void)state;
	start();
	fd = connected();
	shutdown(fd, SHUT_WR);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_SHUTDOWN).flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(PORT, "late", 4);
	read_all(fd, got, 4);
	expect_nothing();
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, 3);
	expect(VIRTIO_VSOCK_OP_RST);
	assert_int_equal(read(fd, got, 1), 0);
	close(fd);
	board_teardown();
}

static void test_nobody_listens(void **state)
{
	struct virtio_vsock_hdr packet;

	(void)state;
	start();
	send_op(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	packet = expect(VIRTIO_VSOCK_OP_RST);
	assert_int_equal(packet.src_port, PORT);
	assert_int_equal(packet.dst_port, GUEST_PORT);
	expect_nothing();
	board_teardown();
}

static int client(const char *says)
{
	int fd = unix_connect(path_of(""));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, says, strlen(says)), strlen(says));
	serve();
	return fd;
}

static bool is_closed(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0 || errno == ECONNRESET;
}

static void test_host_connects(void **state)
{
	struct virtio_vsock_hdr packet;
	char line[32] = "";
	char want[32];
	int fd;

	(void)state;
	start();
	/* The line comes in two pieces, and data behind it at once. */
	fd = client("CONN");
	assert_int_equal(write(fd, "ECT 1234\nfirst", 14), 14);
	packet = expect(VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(packet.dst_port, GUEST_PORT);
	assert_int_equal(packet.buf_alloc, WINDOW);
	expect_nothing();
	send_op(VIRTIO_VSOCK_OP_RESPONSE, packet.src_port, 0);
	snprintf(want, sizeof(want), "OK %u\n", packet.src_port);
	read_all(fd, line, strlen(want));
	assert_string_equal(line, want);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW).len, 5);
	assert_memory_equal(payload, "first", 5);
	send_op(VIRTIO_VSOCK_OP_RST, packet.src_port, 0);
	assert_true(is_closed(fd));
	close(fd);
	board_teardown();
}

static void test_bad_greetings(void **state)
{
	static const char *const bad[] = {
		"HELLO 1\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT 1x\n",
		"connect 1234\n",
		"CONNECT -1\n",
		"CONNECT 4294967296\n",
		"CONNECT 00000000000000000000000000000001",
	};
	int fd;

	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = client(bad[i]);
		assert_true(is_closed(fd));
		close(fd);
	}
	/* The guest does not want to. */
	fd = client("CONNECT 1234\n");
	send_op(VIRTIO_VSOCK_OP_RST, expect(VIRTIO_VSOCK_OP_REQUEST).src_port, 0);
	assert_true(is_closed(fd));
	close(fd);
	/* The client does not wait for the answer. */
	close(client("CONNECT 1234\n"));
	serve();
	expect(VIRTIO_VSOCK_OP_RST);
	expect_nothing();
	board_teardown();
}

/* Never more in flight than the guest has room for, and all of it when there is. */
static void test_credit_of_the_guest(void **state)
{
	struct virtio_vsock_hdr packet = packet_of(VIRTIO_VSOCK_OP_CREDIT_UPDATE, PORT, 0);
	uint8_t data[2 * ROOM];
	int fd;

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	fd = connected();
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW).len, ROOM);
	assert_memory_equal(payload, data, ROOM);
	expect_nothing();
	packet.fwd_cnt = 100;
	send_packet(&packet, NULL, 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW).len, 100);
	assert_memory_equal(payload, data + ROOM, 100);
	/* More forwarded than sent, less room than is used: nonsense, and no byte more. */
	packet.fwd_cnt = ROOM + 200;
	send_packet(&packet, NULL, 0);
	packet.fwd_cnt = 0;
	packet.buf_alloc = 10;
	send_packet(&packet, NULL, 0);
	expect_nothing();
	packet.fwd_cnt = ROOM + 100;
	packet.buf_alloc = ~0U;
	send_packet(&packet, NULL, 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_RW).len, ROOM - 100);
	assert_memory_equal(payload, data + ROOM + 100, ROOM - 100);
	close(fd);
	board_teardown();
}

/* The host does not read: its socket and our window fill, and nothing else does. */
static unsigned int fill_window(const uint8_t *data, unsigned int sent)
{
	uint32_t in_socket = sent;
	struct virtio_vsock_hdr packet;

	/* Small pieces until one stays in the window: then the socket is full. */
	while (sent - in_socket < WINDOW) {
		send_data(PORT, data, 4096);
		sent += 4096;
		send_op(VIRTIO_VSOCK_OP_CREDIT_REQUEST, PORT, 0);
		do
			packet = expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		while (next_packet(&packet));
		in_socket = packet.fwd_cnt;
		assert_true(in_socket <= sent && sent - in_socket <= WINDOW);
	}
	return sent;
}

static void test_credit_of_the_host(void **state)
{
	static uint8_t data[4096];
	uint8_t got[4096];
	unsigned int sent;
	int fd;

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	fd = connected();
	sent = fill_window(data, 0);
	for (unsigned int i = 0; i < sent; i += 4096) {
		read_all(fd, got, sizeof(got));
		assert_memory_equal(got, data, sizeof(got));
	}
	/* The guest learns of the room unasked. */
	assert_true(expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt > sent - WINDOW);
	/* A byte more than the window ends the connection. */
	fill_window(data, sent);
	send_data(PORT, "x", 1);
	expect(VIRTIO_VSOCK_OP_RST);
	expect_nothing();
	close(fd);
	board_teardown();
}

static void refused_packet(struct virtio_vsock_hdr packet)
{
	send_packet(&packet, NULL, 0);
	expect(VIRTIO_VSOCK_OP_RST);
	expect_nothing();
}

/* Packets that no driver sends. */
static void test_hostile_packets(void **state)
{
	struct virtio_vsock_hdr packet;
	const struct buffer tiny = {OUT, HEADER - 1, false};
	int fd;

	(void)state;
	start();
	/* For no connection; of another type; answers to nothing. */
	refused_packet(packet_of(VIRTIO_VSOCK_OP_RW, PORT, 0));
	refused_packet(packet_of(VIRTIO_VSOCK_OP_RESPONSE, PORT, 0));
	refused_packet(packet_of(0xffff, PORT, 0));
	packet = packet_of(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	packet.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	refused_packet(packet);
	/* Of others, for others, longer than they are: dropped. */
	packet = packet_of(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	packet.src_cid = CID + 1;
	send_packet(&packet, NULL, 0);
	packet.src_cid = CID | 1ULL << 32;
	send_packet(&packet, NULL, 0);
	packet = packet_of(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	packet.dst_cid = 3;
	send_packet(&packet, NULL, 0);
	send_op(VIRTIO_VSOCK_OP_RST, PORT, 0);
	virtio_request(SLOT, TX, &driver[TX], &tiny, 1);
	expect_nothing();
	fd = connected();
	packet = packet_of(VIRTIO_VSOCK_OP_RW, PORT, 6);
	send_packet(&packet, "hello", 5);
	packet.len = ~0U;
	send_packet(&packet, "hello", 5);
	expect_nothing();
	/* A second connection in place of the first; data after the end. */
	refused_packet(packet_of(VIRTIO_VSOCK_OP_REQUEST, PORT, 0));
	assert_true(is_closed(fd));
	close(fd);
	fd = connected();
	send_op(VIRTIO_VSOCK_OP_SHUTDOWN, PORT, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(PORT, "x", 1);
	expect(VIRTIO_VSOCK_OP_RST);
	close(fd);
	board_teardown();
}

/* Answers that the guest gives no buffers for are bounded: its packets wait then, and none of them is lost. */
static void test_refusals_are_bounded(void **state)
{
	struct virtio_vsock_hdr packet = packet_of(VIRTIO_VSOCK_OP_RW, PORT, 0);
	unsigned int taken = 0;
	uint16_t id;
	uint32_t len;

	(void)state;
	start();
	for (unsigned int i = 0; i < 64; i++)
		send_packet(&packet, NULL, 0);
	for (unsigned int i = 0; i < 10; i++)
		offer(&packet, NULL, 0);
	assert_false(driver_get(&driver[TX], &id, &len));
	for (unsigned int i = 0; i < 74; i++)
		expect(VIRTIO_VSOCK_OP_RST);
	while (driver_get(&driver[TX], &id, &len))
		taken++;
	assert_int_equal(taken, 10);
	expect_nothing();
	board_teardown();
}

/* As many connections as there may be, and one more; then they go and there is room. */
static void test_many_connections(void **state)
{
	struct virtio_vsock_hdr packet;
	int listener;
	int fd[65];

	(void)state;
	start();
	listener = unix_listen(path_of("_9000"), 128);
	for (unsigned int i = 0; i < 65; i++) {
		packet = packet_of(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
		packet.src_port = i;
		send_packet(&packet, NULL, 0);
		packet = expect(i < 64 ? VIRTIO_VSOCK_OP_RESPONSE : VIRTIO_VSOCK_OP_RST);
		assert_int_equal(packet.dst_port, i);
		fd[i] = i < 64 ? accept(listener, NULL, NULL) : -1;
	}
	/* A client of the host waits until there is a place. */
	fd[64] = client("CONNECT 77\n");
	expect_nothing();
	packet = packet_of(VIRTIO_VSOCK_OP_RST, PORT, 0);
	packet.src_port = 5;
	send_packet(&packet, NULL, 0);
	assert_int_equal(expect(VIRTIO_VSOCK_OP_REQUEST).dst_port, 77);
	/* The driver goes: so do they all. */
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	serve();
	for (unsigned int i = 0; i < 65; i++) {
		assert_true(is_closed(fd[i]));
		close(fd[i]);
	}
	close(listener);
	unlink(path_of("_9000"));
	/* One that comes while there is no driver is sent away. */
	fd[0] = client("CONNECT 77\n");
	assert_true(is_closed(fd[0]));
	close(fd[0]);
	board_teardown();
}

static void test_small_receive_buffer(void **state)
{
	const struct buffer b = {IN, HEADER, true};

	(void)state;
	start();
	send_op(VIRTIO_VSOCK_OP_REQUEST, PORT, 0);
	driver_add(&driver[RX], &b, 1);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, RX);
	serve();
	assert_true(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	board_teardown();
}

static void test_places(void **state)
{
	int fd;

	(void)state;
	virtio_board_setup(1);
	board.config.vsock.cid = CID;
	board.config.no_sandbox = true;
	strcpy(board.config.vsock.path, "/no/such/place");
	assert_int_equal(virtio_vsock_create(&board.vm), VM_EXIT_USAGE);
	board_teardown();
	/* What is no socket is not ours to replace; a socket that somebody listens to neither. */
	fd = open(path_of("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(unix_listen(path_of("file"), 1), -EADDRINUSE);
	unlink(path_of("file"));
	start_with(path_of(" \xc3\xbc"));
	assert_int_equal(unix_listen(path_of(" \xc3\xbc"), 1), -EADDRINUSE);
	board_teardown();
	/* A dead one is. */
	start_with(path_of(" \xc3\xbc"));
	board_teardown();
	unlink(path_of(" \xc3\xbc"));
}

static int group_setup(void **state)
{
	(void)state;
	return mkdtemp(place) ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	unlink(path_of(""));
	return rmdir(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_connects),
		cmocka_unit_test(test_half_close_by_the_host),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_host_connects),
		cmocka_unit_test(test_bad_greetings),
		cmocka_unit_test(test_credit_of_the_guest),
		cmocka_unit_test(test_credit_of_the_host),
		cmocka_unit_test(test_hostile_packets),
		cmocka_unit_test(test_refusals_are_bounded),
		cmocka_unit_test(test_many_connections),
		cmocka_unit_test(test_small_receive_buffer),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
