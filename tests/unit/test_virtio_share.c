/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device of a shared directory with its server, which is a process of its own, behind it. */
#include "fake_virtio.h"

#include <linux/virtio_9p.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p9/wire.h"

#define DATA VIRTIO_DATA
#define REPLY (VIRTIO_DATA + 0x10000)
#define TVERSION 100

static char place[] = "/tmp/duvisor-share-XXXXXX";
static struct driver driver;

static int setup(void **state)
{
	struct vm_config *config;

	(void)state;
	strcpy(place + strlen(place) - 6, "XXXXXX");
	assert_non_null(mkdtemp(place));
	virtio_board_setup(1);
	config = &board.config;
	config->share_count = 1;
	strcpy(config->share[0].path, place);
	strcpy(config->share[0].tag, "tag");
	config->no_sandbox = true;
	assert_int_equal(virtio_share_create(&board.vm), 0);
	virtio_start(0, 1ULL << VIRTIO_9P_MOUNT_TAG, &driver, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return rmdir(place);
}

/* What the loop does with files, beside virtio_serve(). */
static void serve_files(void)
{
	virtio_serve();
	assert_true(io_look(&board.vm.io, 10) >= 0);
}

static void *bytes(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 4096);
}

/* Tversion, as long as it says it is; returns its real length. */
static uint32_t put_version(uint32_t size)
{
	struct p9_out out = {.at = bytes(DATA), .left = 4096};

	p9_give32(&out, size);
	p9_give8(&out, TVERSION);
	p9_give16(&out, 0xffff);
	p9_give32(&out, 8192);
	p9_give_string(&out, "9P2000.L", 8);
	return (uint32_t)(out.at - (uint8_t *)bytes(DATA));
}

static bool needs_reset(void)
{
	return reg_in(0, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void add(uint32_t len, uint32_t room)
{
	const struct buffer b[] = {{DATA, len, false}, {REPLY, room, true}};

	driver_add(&driver, b, 2);
	reg_out(0, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static uint32_t wait_for_reply(void)
{
	time_t end = time(NULL) + 20;
	uint32_t len = 0;
	uint16_t id;

	while (!driver_get(&driver, &id, &len)) {
		serve_files();
		assert_true(time(NULL) < end);
	}
	return len;
}

static uint8_t ask_version(void)
{
	uint32_t len = put_version(0);

	put_version(len);
	add(len, 4096);
	wait_for_reply();
	return ((uint8_t *)bytes(REPLY))[4];
}

static void test_asks_and_answers(void **state)
{
	(void)state;
	assert_int_equal(guest_read(BOARD_VIRTIO_BASE(0) + VIRTIO_MMIO_CONFIG, 2), 3);
	assert_int_equal(guest_read(BOARD_VIRTIO_BASE(0) + VIRTIO_MMIO_CONFIG + 2, 1), 't');
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask_version(), TVERSION + 1);
}

/* The guest forgets about a request: its memory stays as it is, and the next reply is the next request's. */
static void test_reset_while_the_server_is_at_it(void **state)
{
	uint32_t len = put_version(0);

	(void)state;
	put_version(len);
	for (int i = 0; i < 50; i++) {
		add(len, 4096);
		virtio_serve();
		reg_out_again(0, VIRTIO_MMIO_STATUS, 0);
		virtio_serve();
		memset(bytes(REPLY), 0x55, 64);
		virtio_start(0, 1ULL << VIRTIO_9P_MOUNT_TAG, &driver, 1);
		serve_files();
		assert_int_equal(*(uint8_t *)bytes(REPLY), 0x55);
		assert_int_equal(ask_version(), TVERSION + 1);
	}
}

static void test_messages_that_are_none(void **state)
{
	static const struct {
		uint32_t len;
		uint32_t says;
		uint32_t room;
	} bad[] = {{6, 6, 100},
		   {19, 18, 10},
		   {19, 20, 100},
		   {19, 0, 100},
		   {19, 6, 100},
		   {19, ~0U, 100},
		   {19, P9_MAX_MESSAGE + 1, 100}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_version(bad[i].says);
		add(bad[i].len, bad[i].room);
		serve_files();
		assert_true(needs_reset());
		reg_out_again(0, VIRTIO_MMIO_STATUS, 0);
		virtio_serve();
		virtio_start(0, 1ULL << VIRTIO_9P_MOUNT_TAG, &driver, 1);
		assert_int_equal(ask_version(), TVERSION + 1);
	}
	/* Room for an error, but not for the reply. */
	put_version(put_version(0));
	add(19 + 2, 11);
	for (int i = 0; i < 2000 && !needs_reset(); i++)
		serve_files();
	assert_true(needs_reset());
}

/* Requests end with an error, the one that it has and all others. */
static void test_the_server_dies(void **state)
{
	char name[64];
	FILE *children;
	pid_t server;

	(void)state;
	assert_int_equal(ask_version(), TVERSION + 1);
	snprintf(name, sizeof(name), "/proc/self/task/%d/children", getpid());
	children = fopen(name, "r");
	assert_non_null(children);
	assert_int_equal(fscanf(children, "%d", &server), 1);
	fclose(children);
	assert_int_equal(kill(server, SIGKILL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_version(), P9_RLERROR);
	assert_false(needs_reset());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asks_and_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_while_the_server_is_at_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_messages_that_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_server_dies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
