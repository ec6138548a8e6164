/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's half of a virtqueue, written from virtio 1.2, sections 2.7 and 2.8, apart from the code under test: puts
 * chains into a ring in guest memory and takes used ones out.
 */
#ifndef TESTS_FAKE_DRIVER_H
#define TESTS_FAKE_DRIVER_H

#include "unit.h"

#include <linux/virtio_ring.h>
#include <string.h>

#include "memory.h"
#include "virtio/queue.h"

#define DRIVER_MAX_BUFFERS 16

struct driver {
	const struct memory *mem;
	struct virtq_setup setup;
	gpa_t indirect; /* 0: none; else room for tables */
	uint16_t avail; /* split: free-running; packed: slot */
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
	uint16_t next_desc;               /* split: where the next chain goes, round and round */
	uint16_t slots_of_id[65536 / 64]; /* packed, ids below 1024: the length of the chain */
	uint16_t next_id;
};

struct buffer {
	gpa_t addr;
	uint32_t len;
	bool write;
};

static inline void *driver_at(const struct driver *d, gpa_t gpa)
{
	void *hva = memory_at(d->mem, gpa, 1);

	assert_non_null(hva);
	return hva;
}

/* Rings at gpa (16 KiB), and indirect tables behind them if setup says so. */
static inline void driver_init(struct driver *d, const struct memory *mem, gpa_t gpa,
			       const struct virtq_setup *setup)
{
	*d = (struct driver){.mem = mem, .setup = *setup, .avail_wrap = true, .used_wrap = true};
	d->setup.desc = gpa;
	d->setup.driver = gpa + 0x2000;
	d->setup.device = gpa + 0x3000;
	if (setup->indirect)
		d->indirect = gpa + 0x4000;
	memset(driver_at(d, gpa), 0, 0x4000);
}

static inline uint16_t driver_flags(const struct buffer *b, unsigned int i, unsigned int count)
{
	return (b[i].write ? VRING_DESC_F_WRITE : 0) | (i + 1 < count ? VRING_DESC_F_NEXT : 0);
}

static inline void driver_split_table(struct vring_desc *table, unsigned int size, unsigned int at,
				      const struct buffer *b, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		table[(at + i) % size] =
			(struct vring_desc){.addr = b[i].addr,
					    .len = b[i].len,
					    .flags = driver_flags(b, i, count),
					    .next = (uint16_t)((at + i + 1) % size)};
}

static inline uint16_t driver_add_split(struct driver *d, const struct buffer *b,
					unsigned int count)
{
	struct vring_desc *desc = driver_at(d, d->setup.desc);
	uint16_t *avail = driver_at(d, d->setup.driver);
	uint16_t head = d->next_desc;

	if (d->indirect) {
		gpa_t table = d->indirect + (gpa_t)head * 16 * DRIVER_MAX_BUFFERS;

		driver_split_table(driver_at(d, table), 65536, 0, b, count);
		desc[head] = (struct vring_desc){
			.addr = table, .len = 16 * count, .flags = VRING_DESC_F_INDIRECT};
		d->next_desc = (uint16_t)((head + 1) % d->setup.size);
	} else {
		driver_split_table(desc, d->setup.size, head, b, count);
		d->next_desc = (uint16_t)((head + count) % d->setup.size);
	}
	avail[2 + d->avail % d->setup.size] = head;
	d->avail++;
	__atomic_store_n(&avail[1], d->avail, __ATOMIC_RELEASE);
	return head;
}

static inline uint16_t driver_packed_flags(const struct driver *d)
{
	return d->avail_wrap ? 1 << VRING_PACKED_DESC_F_AVAIL : 1 << VRING_PACKED_DESC_F_USED;
}

static inline void driver_packed_put(struct driver *d, gpa_t addr, uint32_t len, uint16_t flags)
{
	struct vring_packed_desc *desc = driver_at(d, d->setup.desc);

	desc[d->avail] = (struct vring_packed_desc){.addr = addr,
						    .len = len,
						    .id = d->next_id,
						    .flags = flags | driver_packed_flags(d)};
	if (++d->avail == d->setup.size) {
		d->avail = 0;
		d->avail_wrap = !d->avail_wrap;
	}
}

static inline uint16_t driver_add_packed(struct driver *d, const struct buffer *b,
					 unsigned int count)
{
	uint16_t id = d->next_id;

	if (d->indirect) {
		gpa_t table = d->indirect + (gpa_t)(id % d->setup.size) * 16 * DRIVER_MAX_BUFFERS;
		struct vring_packed_desc *desc = driver_at(d, table);

		for (unsigned int i = 0; i < count; i++)
			desc[i] = (struct vring_packed_desc){
				.addr = b[i].addr,
				.len = b[i].len,
				.flags = b[i].write ? VRING_DESC_F_WRITE : 0};
		driver_packed_put(d, table, 16 * count, VRING_DESC_F_INDIRECT);
	} else {
		for (unsigned int i = 0; i < count; i++)
			driver_packed_put(d, b[i].addr, b[i].len, driver_flags(b, i, count));
	}
	d->slots_of_id[id] = (uint16_t)(d->indirect ? 1 : count);
	d->next_id = (uint16_t)((id + 1) % 1024);
	return id;
}

/* Make a chain available; its id as it will come back. The caller knows that there is room. */
static inline uint16_t driver_add(struct driver *d, const struct buffer *b, unsigned int count)
{
	assert_true(count && count <= DRIVER_MAX_BUFFERS);
	return d->setup.packed ? driver_add_packed(d, b, count) : driver_add_split(d, b, count);
}

static inline bool driver_get_split(struct driver *d, uint16_t *id, uint32_t *len)
{
	const uint16_t *used = driver_at(d, d->setup.device);
	const struct vring_used_elem *ring = driver_at(d, d->setup.device + 4);

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == d->used)
		return false;
	*id = (uint16_t)ring[d->used % d->setup.size].id;
	*len = ring[d->used % d->setup.size].len;
	d->used++;
	return true;
}

static inline bool driver_get_packed(struct driver *d, uint16_t *id, uint32_t *len)
{
	const struct vring_packed_desc *desc = driver_at(d, d->setup.desc);
	uint16_t flags = __atomic_load_n(&desc[d->used].flags, __ATOMIC_ACQUIRE);
	bool avail = flags >> VRING_PACKED_DESC_F_AVAIL & 1;
	bool used = flags >> VRING_PACKED_DESC_F_USED & 1;

	if (avail != used || used != d->used_wrap)
		return false;
	*id = desc[d->used].id;
	*len = flags & VRING_DESC_F_WRITE ? desc[d->used].len : 0;
	assert_true(*id < 1024);
	d->used += d->slots_of_id[*id];
	if (d->used >= d->setup.size) {
		d->used -= d->setup.size;
		d->used_wrap = !d->used_wrap;
	}
	return true;
}

/* Take the next used chain. False: there is none. */
static inline bool driver_get(struct driver *d, uint16_t *id, uint32_t *len)
{
	return d->setup.packed ? driver_get_packed(d, id, len) : driver_get_split(d, id, len);
}

#endif
