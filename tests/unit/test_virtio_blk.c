/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The MMIO transport and the block device, by registers and rings, on a real file and both engines. */
#include "fake_virtio.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/virtio_blk.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "virtio/virtio.h"

#define SECTORS 256ULL
#define HEADER VIRTIO_DATA
#define STATUS (VIRTIO_DATA + 0x10)
#define DATA (VIRTIO_DATA + 0x1000)
#define SLOT 0
#define UNWRITTEN 0xee

/* Rings of all kinds, times both engines. */
static const struct variant {
	uint64_t features;
	bool no_uring;
} variants[] = {
	{0, false},
	{0, true},
	{1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_RING_F_INDIRECT_DESC, false},
	{1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_EVENT_IDX, false},
	{1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_RING_F_INDIRECT_DESC, true},
};

static char path[] = "/tmp/duvisor-blk-XXXXXX";
static struct driver driver[4];

static void fill_image(void)
{
	FILE *image = fopen(path, "w");

	assert_non_null(image);
	for (unsigned int i = 0; i < SECTORS * 512; i += 4) {
		uint32_t word = i * 2654435761U;

		assert_int_equal(fwrite(&word, sizeof(word), 1, image), 1);
	}
	assert_int_equal(fclose(image), 0);
}

static void read_image(uint64_t sector, void *buf, size_t len)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, len, (off_t)(sector * 512)), len);
	close(fd);
}

static void create(unsigned int cpus, bool read_only, bool no_uring)
{
	struct vm_disk *disk = &board.config.disk[0];

	virtio_board_setup(cpus);
	strcpy(disk->path, path);
	memcpy(disk->serial, "abcdefghijklmnopqrst", sizeof(disk->serial));
	disk->read_only = read_only;
	disk->no_uring = no_uring;
	board.config.disk_count = 1;
	assert_int_equal(virtio_blk_create(&board.vm), 0);
}

static void start(unsigned int cpus, bool read_only, const struct variant *variant)
{
	fill_image();
	create(cpus, read_only, variant->no_uring);
	virtio_start(SLOT, variant->features | (virtio_offered(SLOT) & 0xffffff), driver, cpus);
}

static int group_setup(void **state)
{
	(void)state;
	return mkstemp(path) < 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static uint8_t *at(gpa_t gpa)
{
	return memory_at(&board.vm.mem, gpa, 1);
}

static void put_header(uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(at(HEADER), &header, sizeof(header));
	*at(STATUS) = UNWRITTEN;
}

/* One request with len bytes of data; its status. */
static uint8_t request_on(unsigned int queue, uint32_t type, uint64_t sector, uint32_t len)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	/* Data in two pieces, if it can be cut. */
	const struct buffer b[] = {{HEADER, sizeof(struct virtio_blk_outhdr), false},
				   {DATA, len / 2, in},
				   {DATA + len / 2, len - len / 2, in},
				   {STATUS, 1, true}};
	uint32_t written;

	put_header(type, sector);
	written = virtio_request(SLOT, queue, &driver[queue], b, 4);
	assert_int_equal(written, in ? len + 1 : 1);
	return *at(STATUS);
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t len)
{
	return request_on(0, type, sector, len);
}

static void test_registers(void **state)
{
	uint64_t features;

	(void)state;
	fill_image();
	create(1, false, false);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	features = virtio_offered(SLOT);
	assert_true(features >> VIRTIO_F_VERSION_1 & 1);
	assert_true(features >> VIRTIO_F_RING_PACKED & 1);
	assert_true(features >> VIRTIO_F_RING_RESET & 1);
	reg_out(SLOT, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQ_MAX_SIZE);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_SEL, ~0U);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_DESC_LOW, 1);
	/* Registers are 32 bits wide. */
	assert_int_equal(bus_write(&board.vm.bus, BOARD_VIRTIO_BASE(SLOT) + 0x70, 2, 1), -EINVAL);
	board_teardown();
}

static void test_features_must_fit(void **state)
{
	static const uint64_t bad[] = {0, 1ULL << VIRTIO_F_VERSION_1 | 1ULL << 63,
				       1ULL << VIRTIO_F_RING_PACKED};

	(void)state;
	fill_image();
	create(1, false, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		virtio_accept(SLOT, bad[i]);
		assert_false(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
		/* And without, there is no DRIVER_OK. */
		reg_out(SLOT, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_DRIVER_OK);
		assert_false(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK);
		reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_STATUS), 0);
	}
	board_teardown();
}

static void test_config_space(void **state)
{
	gpa_t config = BOARD_VIRTIO_BASE(SLOT) + VIRTIO_MMIO_CONFIG;

	(void)state;
	start(2, false, &variants[0]);
	assert_int_equal(guest_read(config, 4), SECTORS);
	assert_int_equal(guest_read(config + 4, 4), 0);
	assert_int_equal(guest_read(config + offsetof(struct virtio_blk_config, blk_size), 4), 512);
	assert_int_equal(guest_read(config + offsetof(struct virtio_blk_config, num_queues), 2), 2);
	assert_int_equal(guest_read(config + offsetof(struct virtio_blk_config, wce), 1), 1);
	guest_write(config + offsetof(struct virtio_blk_config, wce), 1, 0);
	assert_int_equal(guest_read(config + offsetof(struct virtio_blk_config, wce), 1), 0);
	/* Durable now: also with this. */
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 1, 512), VIRTIO_BLK_S_OK);
	guest_write(config, 4, 7);
	assert_int_equal(guest_read(config, 4), SECTORS);
	assert_int_equal(guest_read(config + 0xe00, 4), 0);
	assert_int_equal(bus_write(&board.vm.bus, config, 8, 0), -EINVAL);
	board_teardown();
}

static void test_reads_and_writes(void **state)
{
	uint8_t want[8192];

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
		start(1, false, &variants[v]);
		for (uint64_t sector = 0; sector + 16 <= SECTORS; sector += 7) {
			read_image(sector, want, sizeof(want));
			memset(at(DATA), 0, sizeof(want));
			assert_int_equal(request(VIRTIO_BLK_T_IN, sector, sizeof(want)),
					 VIRTIO_BLK_S_OK);
			assert_memory_equal(at(DATA), want, sizeof(want));
			for (size_t i = 0; i < sizeof(want); i++)
				at(DATA)[i] ^= 0x55;
			assert_int_equal(request(VIRTIO_BLK_T_OUT, sector, sizeof(want)),
					 VIRTIO_BLK_S_OK);
			read_image(sector, want, sizeof(want));
			assert_memory_equal(at(DATA), want, sizeof(want));
		}
		assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
		assert_true(virtio_lines[1]);
		reg_out(SLOT, VIRTIO_MMIO_INTERRUPT_ACK,
			reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS));
		assert_false(virtio_lines[1]);
		board_teardown();
	}
}

/* Header, data and status in pieces of any size (section 2.6.4). */
static void test_any_framing(void **state)
{
	const struct buffer odd[] = {{HEADER, 3, false},
				     {HEADER + 3, 13, false},
				     {DATA, 1, true},
				     {DATA + 1, 510, true},
				     {DATA + 511, 514, true}};
	uint8_t want[1024];

	(void)state;
	start(1, false, &variants[0]);
	put_header(VIRTIO_BLK_T_IN, 9);
	assert_int_equal(virtio_request(SLOT, 0, &driver[0], odd, 5), 1025);
	read_image(9, want, sizeof(want));
	assert_memory_equal(at(DATA), want, sizeof(want));
	assert_int_equal(at(DATA)[1024], VIRTIO_BLK_S_OK);
	board_teardown();
}

static void test_bad_requests(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
		start(1, false, &variants[v]);
		assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS, 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS - 1, 1024), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, ~0ULL, 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 1ULL << 55, 512), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 511), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(request(77, 0, 512), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
		board_teardown();
	}
}

static void test_truncated_image(void **state)
{
	(void)state;
	for (size_t v = 0; v < 2; v++) {
		start(1, false, &variants[v]);
		assert_int_equal(truncate(path, 10 * 512), 0);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 8, 1024), VIRTIO_BLK_S_OK);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 9, 1024), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 20, 512), VIRTIO_BLK_S_IOERR);
		board_teardown();
	}
}

static void test_read_only(void **state)
{
	uint8_t before[512];
	uint8_t after[512];

	(void)state;
	start(1, true, &variants[0]);
	assert_true(virtio_offered(SLOT) >> VIRTIO_BLK_F_RO & 1);
	read_image(3, before, sizeof(before));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 3, 512), VIRTIO_BLK_S_IOERR);
	read_image(3, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 512), VIRTIO_BLK_S_OK);
	board_teardown();
}

static void test_serial_number(void **state)
{
	(void)state;
	start(1, false, &variants[0]);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(at(DATA), "abcdefghijklmnopqrst", 20);
	board_teardown();
}

static uint8_t zero_request(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes seg = {
		.sector = sector, .num_sectors = count, .flags = flags};

	memcpy(at(DATA), &seg, sizeof(seg));
	return request(type, 0, sizeof(seg));
}

static void test_zeroes_and_discard(void **state)
{
	static const uint8_t zeroes[4 * 512];
	uint8_t got[4 * 512];
	struct stat st;

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
		start(1, false, &variants[v]);
		for (uint32_t flags = 0; flags < 2; flags++) {
			uint64_t sector = 16 + 64 * flags;

			assert_int_equal(zero_request(VIRTIO_BLK_T_WRITE_ZEROES, sector, 4, flags),
					 VIRTIO_BLK_S_OK);
			read_image(sector, got, sizeof(got));
			assert_memory_equal(got, zeroes, sizeof(zeroes));
			/* And not a byte more. */
			read_image(sector - 1, got, 512);
			assert_memory_not_equal(got, zeroes, 512);
			read_image(sector + 4, got, 512);
			assert_memory_not_equal(got, zeroes, 512);
		}
		assert_int_equal(zero_request(VIRTIO_BLK_T_DISCARD, 128, 8, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(zero_request(VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(zero_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2),
				 VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(zero_request(VIRTIO_BLK_T_WRITE_ZEROES, SECTORS - 1, 2, 0),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(zero_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, ~0U, 0),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 8), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 32), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, SECTORS * 512);
		board_teardown();
	}
}

static void test_queues_side_by_side(void **state)
{
	uint8_t want[512];

	(void)state;
	start(4, false, &variants[2]);
	for (uint64_t sector = 0; sector < 64; sector++) {
		assert_int_equal(request_on(sector % 4, VIRTIO_BLK_T_IN, sector, 512),
				 VIRTIO_BLK_S_OK);
		read_image(sector, want, sizeof(want));
		assert_memory_equal(at(DATA), want, sizeof(want));
	}
	board_teardown();
}

static unsigned int written_here; /* by this thread, which plays the I/O thread */
static useconds_t write_delay;
static pthread_t here;

/* In place of the C library's. */
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (pthread_equal(here, pthread_self())) {
		written_here++;
		usleep(write_delay);
	}
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

/* Small writes of whole pages are done by the I/O thread itself as long as that does not wait. */
static void test_writes_at_once(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		unsigned int at_once;
	} writes[] = {
		{8, 4096, 1},       {16, 4096, 1}, {8, 65536, 1}, {8, 512, 0},
		{8, 4096 + 512, 0}, {9, 4096, 0},  {8, 8192, 1},
	};
	struct io_uring_params params = {.flags = 0};
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	static uint8_t want[65536];
	unsigned int cpu = 0;
	cpu_set_t all;
	cpu_set_t one;

	(void)state;
	if (ring < 0)
		skip();
	close(ring);
	here = pthread_self();
	/* With CPUs to spare the host's kernel would poll for requests. */
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	start(1, false, &variants[0]);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		memset(at(DATA), 'a' + (int)i, writes[i].len);
		memset(want, 'a' + (int)i, writes[i].len);
		written_here = 0;
		assert_int_equal(request(VIRTIO_BLK_T_OUT, writes[i].sector, writes[i].len), 0);
		assert_int_equal(written_here, writes[i].at_once);
		memset(at(DATA), 0, writes[i].len);
		assert_int_equal(request(VIRTIO_BLK_T_IN, writes[i].sector, writes[i].len), 0);
		assert_memory_equal(at(DATA), want, writes[i].len);
	}
	written_here = 0;
	write_delay = 20000;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 8, 4096), 0);
	assert_int_equal(written_here, 1);
	write_delay = 0;
	usleep(1000000);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 8, 4096), 0);
	assert_int_equal(written_here, 2);
	board_teardown();
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* More at once than the device takes: none is lost, none is answered twice. */
static void test_many_at_once(void **state)
{
	unsigned int done = 0;
	uint16_t id;
	uint32_t len;

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
		start(4, false, &variants[v]);
		put_header(VIRTIO_BLK_T_IN, 3);
		done = 0;
		for (unsigned int i = 0; i < 4 * 21; i++) {
			const struct buffer b[] = {{HEADER, 16, false},
						   {DATA + 512 * i, 512, true},
						   {STATUS, 1, true}};

			driver_add(&driver[i % 4], b, 3);
		}
		for (unsigned int turn = 0; turn < 10000 && done < 4 * 21; turn++) {
			usleep(100);
			virtio_serve();
			for (unsigned int q = 0; q < 4; q++)
				while (driver_get(&driver[q], &id, &len))
					done++;
		}
		assert_int_equal(done, 4 * 21);
		board_teardown();
	}
}

/* A request without room for a status breaks the device until it is reset. */
static void test_breaking_the_rules_and_recovering(void **state)
{
	const struct buffer no_status[] = {{HEADER, 16, false}};

	(void)state;
	start(1, false, &variants[0]);
	driver_add(&driver[0], no_status, 1);
	virtio_serve();
	assert_true(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	virtio_start(SLOT, 0, driver, 1);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	board_teardown();
}

static void test_queue_outside_ram(void **state)
{
	const struct virtq_setup outside = {
		.desc = 0x1000, .driver = 0x2000, .device = 0x3000, .size = 8};

	(void)state;
	fill_image();
	create(1, false, false);
	virtio_accept(SLOT, 1ULL << VIRTIO_F_VERSION_1);
	virtio_set_queue(SLOT, 0, &outside);
	reg_out(SLOT, VIRTIO_MMIO_STATUS,
		reg_in(SLOT, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_serve();
	assert_true(reg_in(SLOT, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	board_teardown();
}

/* VIRTIO_F_RING_RESET, and the older way: QueueReady = 0. */
static void test_ring_reset(void **state)
{
	static const unsigned int how[] = {QUEUE_RESET, VIRTIO_MMIO_QUEUE_READY};

	(void)state;
	start(1, false, &(struct variant){1ULL << VIRTIO_F_RING_RESET, false});
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_SEL, 0);
		/* Frozen while it is ready. */
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NUM, 16);
		if (how[i] == QUEUE_RESET) {
			reg_out(SLOT, QUEUE_RESET, 1);
			assert_int_equal(reg_in(SLOT, QUEUE_RESET), 1);
			virtio_serve();
			assert_int_equal(reg_in(SLOT, QUEUE_RESET), 0);
		} else {
			reg_out_again(SLOT, VIRTIO_MMIO_QUEUE_READY, 0);
		}
		assert_int_equal(reg_in(SLOT, VIRTIO_MMIO_QUEUE_READY), 0);
		driver_init(&driver[0], &board.vm.mem, RINGS_OF(1), &driver[0].setup);
		virtio_set_queue(SLOT, 0, &driver[0].setup);
		virtio_serve();
		assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	}
	board_teardown();
}

/* Reset with requests on their way: when it is done, nobody writes to the guest's memory any more. */
static void test_reset_while_busy(void **state)
{
	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(variants); v++) {
		start(1, false, &variants[v]);
		put_header(VIRTIO_BLK_T_IN, 0);
		for (unsigned int i = 0; i < 16; i++) {
			const struct buffer b[] = {
				{HEADER, 16, false}, {DATA, 65536, true}, {STATUS, 1, true}};

			driver_add(&driver[0], b, 3);
		}
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		board.vm.io.poller[0].ops->poll(board.vm.io.poller[0].opaque);
		reg_out_again(SLOT, VIRTIO_MMIO_STATUS, 0);
		memset(at(DATA), 0x77, 65536);
		usleep(2000);
		for (unsigned int i = 0; i < 65536; i++)
			assert_int_equal(at(DATA)[i], 0x77);
		assert_false(virtio_lines[1]);
		board_teardown();
	}
}

/* A notification costs a system call only while the I/O thread sleeps. */
static void test_wake_ups(void **state)
{
	struct io *io = &board.vm.io;

	(void)state;
	start(1, false, &variants[2]);
	for (unsigned int i = 0; i < 100; i++)
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(io->wake_ups, 0);
	io->sleeping = 1;
	for (unsigned int i = 0; i < 100; i++)
		reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(io->wake_ups, 1);
	/* The loop wakes, finds nothing, and would sleep again. */
	assert_int_equal(io_poll(io), 0);
	assert_int_equal(io->sleeping, 0);
	board_teardown();
}

/* What the control socket tells of a device. */
static void test_counters(void **state)
{
	struct virtio_counters counters;

	(void)state;
	start(1, false, &variants[0]);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, i, 512), VIRTIO_BLK_S_OK);
		reg_out(SLOT, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	}
	/* Not acknowledged in between: the two are one interrupt. */
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(request(VIRTIO_BLK_T_IN, i, 512), VIRTIO_BLK_S_OK);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	reg_out(SLOT, VIRTIO_MMIO_QUEUE_NOTIFY, 17);
	virtio_serve();
	assert_true(virtio_get_counters(&board.vm, SLOT, &counters));
	assert_string_equal(counters.name, "virtio-blk");
	assert_int_equal(counters.buffers, 5);
	assert_int_equal(counters.notifications, 7);
	assert_int_equal(counters.interrupts, 4);
	assert_false(virtio_get_counters(&board.vm, SLOT + 1, &counters));
	assert_false(virtio_get_counters(&board.vm, BOARD_VIRTIO_SLOTS, &counters));
	board_teardown();
}

static void test_image_is_locked(void **state)
{
	struct vm_disk *second;

	(void)state;
	fill_image();
	create(1, false, false);
	second = &board.config.disk[0];
	assert_int_equal(virtio_blk_create(&board.vm), VM_EXIT_USAGE);
	second->read_only = true;
	assert_int_equal(virtio_blk_create(&board.vm), VM_EXIT_USAGE);
	board_teardown();
	/* Readers share. */
	create(1, true, false);
	board.config.disk[0].read_only = true;
	assert_int_equal(virtio_blk_create(&board.vm), 0);
	board_teardown();
}

static void test_images_that_are_none(void **state)
{
	static const char *const bad[] = {"/no/such/image", "/tmp", "/dev/null", ""};

	(void)state;
	virtio_board_setup(1);
	board.config.disk_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(board.config.disk[0].path, bad[i]);
		assert_int_equal(virtio_blk_create(&board.vm), VM_EXIT_USAGE);
	}
	strcpy(board.config.disk[0].path, path);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(virtio_blk_create(&board.vm), VM_EXIT_USAGE);
	board_teardown();
}

static void test_slots_run_out(void **state)
{
	(void)state;
	fill_image();
	virtio_board_setup(1);
	for (unsigned int i = 0; i < 8; i++) {
		strcpy(board.config.disk[i].path, path);
		board.config.disk[i].read_only = true;
	}
	board.config.disk_count = 8;
	for (unsigned int i = 0; i < BOARD_VIRTIO_SLOTS / 8; i++)
		assert_int_equal(virtio_blk_create(&board.vm), 0);
	assert_int_equal(reg_in(BOARD_VIRTIO_SLOTS - 1, VIRTIO_MMIO_DEVICE_ID), 2);
	board.config.disk_count = 1;
	assert_int_equal(virtio_blk_create(&board.vm), -ENOSPC);
	board_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_features_must_fit),
		cmocka_unit_test(test_config_space),
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_any_framing),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_truncated_image),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_serial_number),
		cmocka_unit_test(test_zeroes_and_discard),
		cmocka_unit_test(test_queues_side_by_side),
		cmocka_unit_test(test_writes_at_once),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_breaking_the_rules_and_recovering),
		cmocka_unit_test(test_queue_outside_ram),
		cmocka_unit_test(test_ring_reset),
		cmocka_unit_test(test_reset_while_busy),
		cmocka_unit_test(test_wake_ups),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_image_is_locked),
		cmocka_unit_test(test_images_that_are_none),
		cmocka_unit_test(test_slots_run_out),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
