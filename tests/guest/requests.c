// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Load for scripts/trap-table --io: a queue of each device kept full while the vCPU never sleeps. 10,000 reads
 * of 4 KiB from the first disk, 32 at a time; 10,000 frames to the first network, 64 at a time; then 10,000 answers of that network's
 * to ARP requests, of which 64 are on their way. Such devices must be there. Begins at the first byte of input. Prints one TAP line per case.
 */
#include "guest.h"

#define COUNT 10000
#define LIMIT (100 * TIMEBASE)
#define NET_DEPTH 64

/* virtio 1.2, section 4.2.2; the board has room for 16 devices. */
#define SLOT(n) (0x10001000ul + (n)*0x1000ul)
#define SLOTS 16
#define DEVICE_ID 0x008
#define DRIVER_FEATURES 0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL 0x030
#define QUEUE_NUM 0x038
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define STATUS 0x070
#define QUEUE_DESC 0x080
#define QUEUE_DRIVER 0x090
#define QUEUE_DEVICE 0x0a0

#define STATUS_FEATURES_OK 11
#define STATUS_DRIVER_OK 15

#define ID_NET 1
#define ID_BLOCK 2

/* Section 2.7. */
#define QUEUE_SIZE 128
#define NEXT 1
#define WRITE 2
#define NO_NOTIFY 1
#define NO_INTERRUPT 1

static struct queue {
	struct descriptor {
		uint64_t address;
		uint32_t length;
		uint16_t flags;
		uint16_t next;
	} descriptors[QUEUE_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags;
		volatile uint16_t index;
		uint16_t ring[QUEUE_SIZE];
	} available __attribute__((aligned(2)));
	volatile struct {
		uint16_t flags;
		uint16_t index;
		struct {
			uint32_t id;
			uint32_t length;
		} ring[QUEUE_SIZE];
	} used __attribute__((aligned(4)));
	uint16_t seen; /* of used */
} queues[2];

static struct {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
} block_header[QUEUE_SIZE];
static volatile uint8_t block_status[QUEUE_SIZE];
static uint8_t data[QUEUE_SIZE][4096] __attribute__((aligned(4096)));

/* Header (section 5.1.6), then to everybody, from nobody in particular, of a type for experiments. */
static uint8_t frame[12 + 1514] = {[12] = 255, 255, 255, 255, 255, 255,  2,
				   0,          0,   0,   0,   1,   0x88, 0xb5};

/* Who has 10.0.2.2? An ARP probe (RFC 5227), which passt answers. */
static uint8_t question[12 + 42] = {[12] = 255, 255, 255,  255,  255,  255,       2, 0, 0,
				    0,          0,   1,    0x08, 0x06, /* to all, from us */
				    0,          1,   0x08, 0,    6,    4,         0, 1, 2,
				    0,          0,   0,    0,    1,    [50] = 10, 0, 2, 2};

static volatile uint32_t *slot_register(uint64_t slot, uint64_t offset)
{
	return (volatile uint32_t *)(slot + offset);
}

static void barrier(void)
{
	__asm__ volatile("fence" : : : "memory");
}

/* 0: there is none. */
static uint64_t find(uint32_t id)
{
	for (uint64_t n = 0; n < SLOTS; n++)
		if (*slot_register(SLOT(n), DEVICE_ID) == id)
			return SLOT(n);
	return 0;
}

static void set_address(uint64_t slot, uint64_t offset, const volatile void *what)
{
	*slot_register(slot, offset) = (uint32_t)(uint64_t)what;
	*slot_register(slot, offset + 4) = (uint64_t)what >> 32;
}

static void negotiate(uint64_t slot)
{
	*slot_register(slot, DRIVER_FEATURES_SEL) = 1;
	*slot_register(slot, DRIVER_FEATURES) = 1; /* VIRTIO_F_VERSION_1 */
	*slot_register(slot, STATUS) = STATUS_FEATURES_OK;
}

static void set_queue(uint64_t slot, uint32_t number, struct queue *queue)
{
	queue->available.flags = NO_INTERRUPT;
	queue->available.index = 0;
	queue->used.index = queue->seen = 0;
	*slot_register(slot, QUEUE_SEL) = number;
	*slot_register(slot, QUEUE_NUM) = QUEUE_SIZE;
	set_address(slot, QUEUE_DESC, queue->descriptors);
	set_address(slot, QUEUE_DRIVER, &queue->available);
	set_address(slot, QUEUE_DEVICE, &queue->used);
	*slot_register(slot, QUEUE_READY) = 1;
}

/* The device lets go of the rings. */
static void stop(uint64_t slot)
{
	*slot_register(slot, STATUS) = 0;
	while (*slot_register(slot, STATUS))
		;
}

static void offer(struct queue *queue, uint16_t head)
{
	queue->available.ring[queue->available.index % QUEUE_SIZE] = head;
	barrier();
	queue->available.index++;
}

/* The next chain that comes back; -1: none. */
static int take(struct queue *queue)
{
	if (queue->seen == queue->used.index)
		return -1;
	barrier();
	return (uint16_t)queue->used.ring[queue->seen++ % QUEUE_SIZE].id;
}

static void notify(uint64_t slot, uint32_t number, struct queue *queue)
{
	barrier();
	if (!(queue->used.flags & NO_NOTIFY))
		*slot_register(slot, QUEUE_NOTIFY) = number;
}

/* Keep the queue full from the first to the last: true if all came back in time. */
static int keep_full(uint64_t slot, uint32_t number, struct queue *queue, const uint16_t *heads,
		     uint64_t depth)
{
	uint64_t end = csr_read(time) + LIMIT;
	uint64_t sent = 0;
	int head;

	for (; sent < depth; sent++)
		offer(queue, heads[sent]);
	notify(slot, number, queue);
	for (uint64_t taken = 0; taken < COUNT;) {
		uint64_t before = sent;

		for (; (head = take(queue)) >= 0; taken++)
			if (sent++ < COUNT)
				offer(queue, (uint16_t)head);
		if (sent != before)
			notify(slot, number, queue);
		else if (csr_read(time) > end)
			return 0;
	}
	return 1;
}

static int read_disk(uint64_t slot)
{
	enum { DEPTH = 32 };
	struct descriptor *descriptors = queues[0].descriptors;
	uint16_t heads[DEPTH];
	int good;

	for (uint16_t i = 0; i < DEPTH; i++) {
		uint16_t head = heads[i] = 3 * i;

		block_header[i].sector = 8ul * i;
		block_status[i] = 0xff;
		descriptors[head] =
			(struct descriptor){(uint64_t)&block_header[i], 16, NEXT, head + 1};
		descriptors[head + 1] = (struct descriptor){(uint64_t)data[i], sizeof(data[i]),
							    NEXT | WRITE, head + 2};
		descriptors[head + 2] =
			(struct descriptor){(uint64_t)&block_status[i], 1, WRITE, 0};
	}
	negotiate(slot);
	set_queue(slot, 0, &queues[0]);
	*slot_register(slot, STATUS) = STATUS_DRIVER_OK;
	GUEST_MARK(mark_disk_begin);
	good = keep_full(slot, 0, &queues[0], heads, DEPTH);
	GUEST_MARK(mark_disk_end);
	stop(slot);
	for (uint16_t i = 0; i < DEPTH; i++)
		good &= !block_status[i];
	return good;
}

static int send_frames(uint64_t slot)
{
	uint16_t heads[NET_DEPTH];
	int good;

	for (uint16_t i = 0; i < NET_DEPTH; i++) {
		heads[i] = i;
		queues[1].descriptors[i] =
			(struct descriptor){(uint64_t)frame, sizeof(frame), 0, 0};
	}
	negotiate(slot);
	set_queue(slot, 1, &queues[1]);
	*slot_register(slot, STATUS) = STATUS_DRIVER_OK;
	GUEST_MARK(mark_net_begin);
	good = keep_full(slot, 1, &queues[1], heads, NET_DEPTH);
	GUEST_MARK(mark_net_end);
	stop(slot);
	return good;
}

/* As many questions as are owed and find room. */
static void ask(uint64_t slot, uint64_t *owed)
{
	static uint16_t idle[NET_DEPTH]; /* those that are not on their way */
	static uint16_t count;
	static int begun;
	int head;

	for (; !begun && count < NET_DEPTH; count++)
		idle[count] = count;
	begun = 1;
	while ((head = take(&queues[1])) >= 0)
		idle[count++] = (uint16_t)head;
	if (!*owed || !count)
		return;
	for (; *owed && count; --*owed)
		offer(&queues[1], idle[--count]);
	notify(slot, 1, &queues[1]);
}

/* For each answer another question, and all of them again if some have been lost. */
static int converse(uint64_t slot)
{
	uint64_t end = csr_read(time) + LIMIT;
	uint64_t heard = csr_read(time);
	uint64_t owed = NET_DEPTH;

	for (uint64_t taken = 0; taken < COUNT;) {
		uint64_t before = taken;
		uint64_t now;
		int head;

		ask(slot, &owed);
		for (; (head = take(&queues[0])) >= 0; taken++, owed++)
			offer(&queues[0], (uint16_t)head);
		now = csr_read(time);
		if (taken != before) {
			notify(slot, 0, &queues[0]);
			heard = now;
		} else if (now > end) {
			return 0;
		} else if (now - heard > TIMEBASE / 100) {
			owed = NET_DEPTH;
			heard = now;
		}
	}
	return 1;
}

static int receive_frames(uint64_t slot)
{
	int good;

	for (uint16_t i = 0; i < NET_DEPTH; i++) {
		queues[0].descriptors[i] =
			(struct descriptor){(uint64_t)data[i], sizeof(data[i]), WRITE, 0};
		queues[1].descriptors[i] =
			(struct descriptor){(uint64_t)question, sizeof(question), 0, 0};
	}
	negotiate(slot);
	set_queue(slot, 0, &queues[0]);
	set_queue(slot, 1, &queues[1]);
	for (uint16_t i = 0; i < NET_DEPTH; i++)
		offer(&queues[0], i);
	*slot_register(slot, STATUS) = STATUS_DRIVER_OK;
	GUEST_MARK(mark_answers_begin);
	good = converse(slot);
	GUEST_MARK(mark_answers_end);
	return good;
}

/* A byte of input: the hypervisor's threads are on the CPUs where they shall be. */
static void wait_for_the_host(void)
{
	uint64_t end = csr_read(time) + LIMIT;
	char byte;

	while (sbi_call(SBI_EXT_DBCN, 1, 1, (long)&byte, 0).value != 1 && csr_read(time) < end)
		;
}

int main(long hart, void *fdt)
{
	uint64_t disk = find(ID_BLOCK);
	uint64_t net = find(ID_NET);

	(void)hart;
	(void)fdt;
	wait_for_the_host();
	guest_check("10000 reads of a disk", disk && read_disk(disk));
	guest_check("10000 frames to a network", net && send_frames(net));
	guest_check("10000 frames from a network", net && receive_frames(net));
	return guest_checked();
}
