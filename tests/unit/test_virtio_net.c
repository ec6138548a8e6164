/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device by registers and rings. On the other side of the back end's socket is, under the name of passt, a
 * script that sends each frame back, so what is received must be what was sent.
 */
#include "fake_virtio.h"

#include <fcntl.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network.h"

#define SLOT 0
#define RX 0
#define TX 1
#define CONTROL 2
#define HEADER sizeof(struct virtio_net_hdr_v1)
#define OUT VIRTIO_DATA
#define IN (VIRTIO_DATA + 0x80000)

static char place[] = "/tmp/duvisor-net-XXXXXX";
static struct driver driver[3];

/* Ends when it reads the frame "bye". */
static const char echo[] = "#!/usr/bin/python3\n"
			   "import socket, sys\n"
			   "assert sys.argv[4] == '--fd'\n"
			   "s = socket.socket(fileno=int(sys.argv[5]))\n"
			   "while data := s.recv(1 << 20):\n"
			   "    if b'bye' in data: break\n"
			   "    s.sendall(data)\n";

static int group_setup(void **state)
{
	char path[64];
	FILE *script;

	(void)state;
	assert_non_null(mkdtemp(place));
	snprintf(path, sizeof(path), "%s/passt", place);
	script = fopen(path, "w");
	assert_non_null(script);
	assert_true(fputs(echo, script) >= 0);
	assert_int_equal(fclose(script), 0);
	assert_int_equal(chmod(path, 0755), 0);
	return setenv("PATH", place, 1);
}

static int group_teardown(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/passt", place);
	unlink(path);
	return rmdir(place);
}

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

static void start_sized(uint64_t features, uint16_t size)
{
	virtio_board_setup(1);
	board.config.network.mode = VM_NETWORK_USER;
	board.config.network.mac_set = true;
	memcpy(board.config.network.mac, "\2\1\2\3\4\5", 6);
	assert_int_equal(virtio_net_create(&board.vm), 0);
	virtio_start_sized(SLOT, features | 1ULL << VIRTIO_NET_F_CTRL_VQ, driver, 3, size);
}

static void start(uint64_t features)
{
	start_sized(features, 64);
}

/* Reset and start: from now on, the first `len` bytes at IN are no business of the device's. */
static void start_again(uint64_t features, uint32_t len)
{
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	memset(at(IN), 0xee, len);
	virtio_start(SLOT, features | 1ULL << VIRTIO_NET_F_CTRL_VQ, driver, 3);
}

static void assert_untouched(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(at(IN)[i], 0xee);
}

static void add_rx(gpa_t gpa, uint32_t len)
{
	/* The header's field for the number of buffers in two pieces. */
	const struct buffer b[] = {{gpa, 11, true}, {gpa + 11, len - 11, true}};

	driver_add(&driver[RX], b, 2);
}

static void send_frame(uint32_t len, uint8_t seed)
{
	const struct buffer b[] = {
		{OUT, 5, false}, {OUT + 5, HEADER, false}, {OUT + 5 + HEADER, len - 5, false}};

	for (uint32_t i = 0; i < len; i++)
		at(OUT)[HEADER + i] = (uint8_t)(i * 31 + seed);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], b, 3), 0);
}

/* What a turn of the loop does with files. */
static void look_at_files(void)
{
	assert_true(io_look(&board.vm.io, 1) >= 0);
}

/* Wait for one used receive buffer. */
static uint32_t receive(void)
{
	time_t end = time(NULL) + 20;
	uint32_t len;
	uint16_t id;

	while (!driver_get(&driver[RX], &id, &len)) {
		assert_true(time(NULL) < end);
		look_at_files();
		virtio_serve();
	}
	return len;
}

static void assert_frame(gpa_t gpa, uint32_t from, uint32_t len, uint8_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(at(gpa)[i], (uint8_t)((from + i) * 31 + seed));
}

static const uint64_t kinds[] = {
	0,
	1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_RING_F_INDIRECT_DESC,
	1ULL << VIRTIO_F_RING_PACKED,
	1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_EVENT_IDX |
		1ULL << VIRTIO_RING_F_INDIRECT_DESC,
};

static void test_frames_go_round(void **state)
{
	static const uint32_t sizes[] = {14, 60, 1514, 9000, 65000};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k]);
		for (uint8_t round = 0; round < 10; round++) {
			uint32_t len = sizes[round % ARRAY_SIZE(sizes)];

			add_rx(IN, 70000);
			send_frame(len, round);
			assert_int_equal(receive(), HEADER + len);
			assert_int_equal(at(IN)[10] | at(IN)[11] << 8, 1);
			assert_frame(IN + HEADER, 0, len, round);
		}
		board_teardown();
	}
}

/* A frame of 5000 bytes comes in three buffers of 2000. */
static void assert_merged_frame(uint8_t seed)
{
	assert_int_equal(receive(), 2000);
	assert_int_equal(at(IN)[10] | at(IN)[11] << 8, 3);
	assert_int_equal(receive(), 2000);
	assert_int_equal(receive(), 5000 + HEADER - 4000);
	assert_frame(IN + HEADER, 0, 2000 - HEADER, seed);
	assert_frame(IN + 2000, 2000 - HEADER, 2000, seed);
	assert_frame(IN + 4000, 4000 - HEADER, 5000 + HEADER - 4000, seed);
}

static void test_merged_buffers(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		for (unsigned int i = 0; i < 4; i++)
			add_rx(IN + 2000 * i, 2000);
		send_frame(5000, 7);
		assert_merged_frame(7);
		board_teardown();
	}
}

/* The other side is up, and as much of the next frame as one add_rx() has room for is read straight into it. */
static void warm_up(void)
{
	add_rx(IN + 0x10000, 2000);
	send_frame(1900, 1);
	assert_int_equal(receive(), HEADER + 1900);
}

/* A frame of 5000 bytes is read while there is one buffer, at IN. */
static void read_with_one_buffer(uint8_t seed)
{
	time_t end = time(NULL) + 20;

	memset(at(IN), 0xee, 2000);
	add_rx(IN, 2000);
	send_frame(5000, seed);
	while (at(IN)[HEADER + 50] == 0xee) {
		assert_true(time(NULL) < end);
		look_at_files();
		virtio_serve();
	}
}

/* A frame that has too few buffers is not lost, nor is what comes behind it: they wait for more. */
static void test_frame_waits_for_the_rest_of_its_buffers(void **state)
{
	uint32_t len;
	uint16_t id;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		warm_up();
		read_with_one_buffer(8);
		send_frame(100, 9);
		assert_false(driver_get(&driver[RX], &id, &len));
		add_rx(IN + 2000, 2000);
		virtio_serve();
		assert_false(driver_get(&driver[RX], &id, &len));
		for (unsigned int i = 2; i < 5; i++)
			add_rx(IN + 2000 * i, 2000);
		assert_merged_frame(8);
		assert_int_equal(receive(), HEADER + 100);
		assert_frame(IN + 6000 + HEADER, 0, 100, 9);
		board_teardown();
	}
}

/* With a reset, a frame that waits is gone. */
static void test_frame_that_waits_ends_with_a_reset(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		warm_up();
		read_with_one_buffer(8);
		start_again(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF, 2000);
		add_rx(IN + 10000, 6000);
		send_frame(100, 9);
		assert_int_equal(receive(), HEADER + 100);
		assert_frame(IN + 10000 + HEADER, 0, 100, 9);
		assert_untouched(2000);
		board_teardown();
	}
}

/* One that does not fit into all that the ring can hold is lost: the others need not wait for ever. */
static void test_frame_that_never_fits(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		for (unsigned int i = 0; i < 64; i++)
			driver_add(&driver[RX], &(struct buffer){IN + 100 * i, 100, true}, 1);
		send_frame(6500, 8);
		send_frame(150, 9);
		assert_int_equal(receive(), 100);
		assert_int_equal(receive(), HEADER + 150 - 100);
		assert_frame(IN + HEADER, 0, 100 - HEADER, 9);
		board_teardown();
	}
	/* Without merging, one buffer is all there is for a frame. */
	start(0);
	add_rx(IN, 2000);
	add_rx(IN + 2000, 6000);
	send_frame(5000, 8);
	send_frame(100, 9);
	assert_int_equal(receive(), HEADER + 100);
	assert_frame(IN + HEADER, 0, 100, 9);
	board_teardown();
}

/* What was read with a batch, but is not in it, is in no file that tells. */
static void test_more_frames_than_a_batch(void **state)
{
	enum { COUNT = 150 };
	time_t end = time(NULL) + 20;
	unsigned int got = 0;
	uint32_t len;
	uint16_t id;

	(void)state;
	start_sized(0, 256);
	warm_up();
	for (unsigned int i = 0; i < COUNT; i++)
		send_frame(60, (uint8_t)i);
	usleep(100000);
	for (unsigned int i = 0; i < COUNT; i++)
		driver_add(&driver[RX], &(struct buffer){IN + 2000 * i, 2000, true}, 1);
	while (got < COUNT) {
		assert_true(time(NULL) < end);
		look_at_files();
		virtio_serve_turns(0);
		while (driver_get(&driver[RX], &id, &len)) {
			assert_int_equal(len, HEADER + 60);
			assert_frame(IN + 2000 * got + HEADER, 0, 60, (uint8_t)got);
			got++;
		}
	}
	board_teardown();
}

/* Buffers that are taken before there is a frame are of no use to anybody after a reset, and the next start has its own. */
static void test_buffers_end_with_a_reset(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		start(kinds[k] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		for (unsigned int i = 0; i < 4; i++)
			add_rx(IN + 2000 * i, 2000);
		virtio_serve();
		start_again(kinds[k], 8000);
		send_frame(5000, 3);
		add_rx(IN + 10000, 6000);
		assert_int_equal(receive(), HEADER + 5000);
		assert_int_equal(at(IN + 10000)[10] | at(IN + 10000)[11] << 8, 1);
		assert_frame(IN + 10000 + HEADER, 0, 5000, 3);
		assert_untouched(8000);
		board_teardown();
	}
}

/* One frame in many buffers, in some, in one. */
static void test_buffers_of_all_sizes(void **state)
{
	uint32_t frame = 3000;

	(void)state;
	for (uint32_t size = 110; size < 3100; size += 37) {
		uint32_t total = HEADER + frame;
		unsigned int count = (total + size - 1) / size;

		start(kinds[size % ARRAY_SIZE(kinds)] | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
		for (unsigned int i = 0; i < count; i++)
			add_rx(IN + size * i, size);
		send_frame(frame, (uint8_t)size);
		for (unsigned int i = 0; i < count; i++)
			assert_int_equal(receive(), i + 1 < count ? size : total - size * i);
		assert_int_equal(at(IN)[10] | at(IN)[11] << 8, count);
		assert_frame(IN + HEADER, 0, frame, (uint8_t)size);
		board_teardown();
	}
}

/* Frames that come before the driver gives buffers wait. */
static void test_frames_wait_for_buffers(void **state)
{
	(void)state;
	start(0);
	for (uint8_t i = 0; i < 5; i++)
		send_frame(200, i);
	for (unsigned int i = 0; i < 50; i++) {
		usleep(1000);
		virtio_serve();
	}
	for (uint8_t i = 0; i < 5; i++) {
		add_rx(IN, 2000);
		assert_int_equal(receive(), HEADER + 200);
		assert_frame(IN + HEADER, 0, 200, i);
	}
	board_teardown();
}

/* More than the socket holds: what does not fit waits in the ring, and nothing is lost or mixed up. */
static void test_back_pressure(void **state)
{
	enum { COUNT = 300, SIZE = 16000 };
	const struct buffer b[] = {{OUT, HEADER + SIZE, false}};
	unsigned int sent = 0;
	unsigned int used = 0;
	unsigned int got = 0;
	time_t end = time(NULL) + 30;
	uint32_t len;
	uint16_t id;

	(void)state;
	start(0);
	memset(at(OUT), 0x42, HEADER + SIZE);
	while (got < COUNT) {
		assert_true(time(NULL) < end);
		while (sent < COUNT && sent - used < 60) {
			driver_add(&driver[TX], b, 1);
			sent++;
		}
		look_at_files();
		virtio_serve();
		while (driver_get(&driver[TX], &id, &len))
			used++;
		if (used < 25)
			continue; /* nobody takes anything for a while */
		add_rx(IN, SIZE + HEADER);
		assert_int_equal(receive(), SIZE + HEADER);
		assert_int_equal(at(IN)[HEADER], 0x42);
		assert_int_equal(at(IN)[HEADER + SIZE - 1], 0x42);
		got++;
	}
	board_teardown();
}

static void test_frames_that_are_none(void **state)
{
	const struct buffer only_header[] = {{OUT, HEADER, false}};
	const struct buffer no_header[] = {{OUT, 3, false}};
	const struct buffer writable[] = {{OUT, 100, true}};
	const struct buffer too_long[] = {{OUT, 80000, false}};

	(void)state;
	start(0);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], only_header, 1), 0);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], no_header, 1), 0);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], writable, 1), 0);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], too_long, 1), 0);
	add_rx(IN, 2000);
	send_frame(100, 1);
	assert_int_equal(receive(), HEADER + 100);
	board_teardown();
}

static uint8_t control(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	const struct buffer b[] = {{OUT, 2, false}, {OUT + 2, len, false}, {OUT + 100, 1, true}};

	at(OUT)[0] = class;
	at(OUT)[1] = cmd;
	memcpy(at(OUT) + 2, data, len);
	at(OUT)[100] = 0xee;
	assert_int_equal(virtio_request(SLOT, CONTROL, &driver[CONTROL], b, 3), 1);
	return at(OUT)[100];
}

static void test_control_queue(void **state)
{
	gpa_t config = BOARD_VIRTIO_BASE(SLOT) + VIRTIO_MMIO_CONFIG;

	(void)state;
	start(1ULL << VIRTIO_NET_F_CTRL_RX | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR);
	assert_int_equal(guest_read(config, 1), 2);
	assert_int_equal(guest_read(config + 5, 1), 5);
	assert_int_equal(control(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1), 0);
	assert_int_equal(
		control(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\6\1\1\1\1\1", 6), 0);
	assert_int_equal(guest_read(config, 1), 6);
	assert_int_equal(control(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\6", 1), 1);
	assert_int_equal(control(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2\0", 2),
			 1);
	assert_int_equal(control(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, "\xff\0\0\0\0\0\0\0", 8), 1);
	assert_int_equal(control(99, 0, "", 0), 1);
	board_teardown();
}

static void other_side_goes_away(unsigned int buffers)
{
	gpa_t status = BOARD_VIRTIO_BASE(SLOT) + VIRTIO_MMIO_CONFIG +
		offsetof(struct virtio_net_config, status);
	time_t end = time(NULL) + 20;

	start(0);
	for (unsigned int i = 0; i < buffers; i++)
		add_rx(IN, 2000);
	assert_int_equal(guest_read(status, 2), VIRTIO_NET_S_LINK_UP);
	memcpy(at(OUT), "............bye................", 31);
	assert_int_equal(virtio_request(SLOT, TX, &driver[TX], &(struct buffer){OUT, 31, false}, 1),
			 0);
	while (guest_read(status, 2)) {
		assert_true(time(NULL) < end);
		if (buffers)
			usleep(1000);
		else
			look_at_files();
		virtio_serve();
	}
	/* Nothing that would end each sleep is left. */
	assert_int_equal(io_look(&board.vm.io, 0), 0);
	assert_true(reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	/* Into the void, and still answered. */
	send_frame(100, 1);
	board_teardown();
}

/* Who looks for frames learns of it, and who waits for buffers. */
static void test_other_side_goes_away(void **state)
{
	(void)state;
	other_side_goes_away(1);
	other_side_goes_away(0);
}

static void test_no_passt(void **state)
{
	(void)state;
	setenv("PATH", "/nowhere", 1);
	virtio_board_setup(1);
	board.config.network.mode = VM_NETWORK_USER;
	assert_int_equal(virtio_net_create(&board.vm), VM_EXIT_USAGE);
	board_teardown();
	setenv("PATH", place, 1);
}

static const struct {
	const char *arg;
	const char *why; /* NULL: is good */
} arguments[] = {
	{"none", NULL},
	{"mode=none", NULL},
	{"mode=user", NULL},
	{"mode=user,tcp=8080:80,tcp=22,udp=53,mac=02:00:00:aB:cd:ef", NULL},
	{"mode=tap,tapif=tap0", NULL},
	{"mode=bridge", "the modes are none, user and tap"},
	{"user", "words are mode=, tapif=, mac=, tcp= and udp="},
	{"mode=user,tapif=tap0", "tapif is for mode=tap"},
	{"mode=tap,tcp=80", "tcp and udp are for mode=user"},
	{"mode=tap,tapif=abcdefghijklmnop", "tapif is the name of a network interface"},
	{"mode=user,mac=02:00:00:00:00",
	 "mac is six pairs of hexadecimal digits with colons between"},
	{"mode=user,mac=02:00:00:00:00:00:00",
	 "mac is six pairs of hexadecimal digits with colons between"},
	{"mode=user,mac=01:00:00:00:00:00", "mac is the address of a group, its first byte is odd"},
	{"mode=user,tcp=", "ports are HOST or HOST:GUEST, ranges with a hyphen"},
	{"mode=user,tcp=8 0", "ports are HOST or HOST:GUEST, ranges with a hyphen"},
};

static void test_arguments(void **state)
{
	struct vm_network network;
	char why[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		int err = network_parse(&network, arguments[i].arg, why, sizeof(why));

		assert_int_equal(err, arguments[i].why ? -1 : 0);
		if (err)
			assert_string_equal(why, arguments[i].why);
	}
	assert_int_equal(network_parse(&network, arguments[3].arg, why, sizeof(why)), 0);
	assert_string_equal(network.tcp, "8080:80,22");
	assert_string_equal(network.udp, "53");
	assert_memory_equal(network.mac, "\2\0\0\xab\xcd\xef", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_go_round),
		cmocka_unit_test(test_merged_buffers),
		cmocka_unit_test(test_frame_waits_for_the_rest_of_its_buffers),
		cmocka_unit_test(test_frame_that_waits_ends_with_a_reset),
		cmocka_unit_test(test_frame_that_never_fits),
		cmocka_unit_test(test_more_frames_than_a_batch),
		cmocka_unit_test(test_buffers_end_with_a_reset),
		cmocka_unit_test(test_buffers_of_all_sizes),
		cmocka_unit_test(test_frames_wait_for_buffers),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_frames_that_are_none),
		cmocka_unit_test(test_control_queue),
		cmocka_unit_test(test_other_side_goes_away),
		cmocka_unit_test(test_no_passt),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
