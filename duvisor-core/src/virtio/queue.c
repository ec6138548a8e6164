/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

/* Rings are little-endian (virtio 1.2, section 1.4), and so is every hart of ours. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings need byte swaps");

#define MAX_CHAIN_LEN (1ULL << 32) /* section 2.7.5: "more than 2^32 bytes in total" */

/* Sections 2.7 and 2.8: alignment of the areas. */
#define DESC_ALIGN 16
#define SPLIT_DRIVER_ALIGN 2
#define PACKED_AREA_ALIGN 4

#define PACKED_AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1U << VRING_PACKED_DESC_F_USED)
#define EVENT_WRAP (1U << VRING_PACKED_EVENT_F_WRAP_CTR)

/* A descriptor of either format, copied out of guest memory. */
struct segment {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* split: valid with VRING_DESC_F_NEXT */
	uint16_t id;   /* packed */
};

/* What virtq_pop() is at. */
struct walk {
	const struct virtq *vq;
	struct virtq_chain *chain;
	unsigned int seen;
};

/* Copy what the guest may be changing: the compiler must neither read it twice nor later. */
static void copy_once(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" ::: "memory");
}

static uint16_t load_acquire(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static void store_release(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELEASE);
}

/* What we wrote must be visible before we read what the driver answers to it (section 2.7.10.1). */
static void full_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static struct segment from_split(const uint8_t *at)
{
	struct vring_desc d;

	copy_once(&d, at, sizeof(d));
	return (struct segment){.addr = d.addr, .len = d.len, .flags = d.flags, .next = d.next};
}

static struct segment from_packed(const uint8_t *at)
{
	struct vring_packed_desc d;

	copy_once(&d, at, sizeof(d));
	return (struct segment){.addr = d.addr, .len = d.len, .flags = d.flags, .id = d.id};
}

/*
 * Layout. Split (section 2.7): available ring = flags, idx, ring[size], used_event; used ring = flags, idx,
 * ring[size] of (id, len), avail_event. Packed (section 2.8): event suppression structures of (off_wrap, flags).
 */

static uint8_t *avail_idx(const struct virtq *vq)
{
	return vq->driver + 2;
}

static uint8_t *avail_ring(const struct virtq *vq, uint16_t i)
{
	return vq->driver + 4 + sizeof(uint16_t) * (i & (vq->setup.size - 1U));
}

static uint8_t *used_event(const struct virtq *vq)
{
	return vq->driver + 4 + sizeof(uint16_t) * vq->setup.size;
}

static uint8_t *used_idx(const struct virtq *vq)
{
	return vq->device + 2;
}

static uint8_t *used_ring(const struct virtq *vq, uint16_t i)
{
	return vq->device + 4 + sizeof(struct vring_used_elem) * (i & (vq->setup.size - 1U));
}

static uint8_t *avail_event(const struct virtq *vq)
{
	return vq->device + 4 + sizeof(struct vring_used_elem) * vq->setup.size;
}

static uint8_t *packed_desc(const struct virtq *vq, uint16_t slot)
{
	return vq->desc + sizeof(struct vring_packed_desc) * slot;
}

static uint8_t *packed_flags(const struct virtq *vq, uint16_t slot)
{
	return packed_desc(vq, slot) + offsetof(struct vring_packed_desc, flags);
}

/* An area of the guest's RAM, or NULL. */
static uint8_t *area(const struct memory *mem, gpa_t gpa, uint64_t len, unsigned int align)
{
	return gpa % align ? NULL : memory_at(mem, gpa, len);
}

static void locate_split(struct virtq *vq)
{
	const struct virtq_setup *s = &vq->setup;

	vq->desc = area(vq->mem, s->desc, sizeof(struct vring_desc) * s->size, DESC_ALIGN);
	vq->driver = area(vq->mem, s->driver, 6 + 2ULL * s->size, SPLIT_DRIVER_ALIGN);
	vq->device = area(vq->mem, s->device, 6 + sizeof(struct vring_used_elem) * s->size,
			  VRING_USED_ALIGN_SIZE);
}

static void locate_packed(struct virtq *vq)
{
	const struct virtq_setup *s = &vq->setup;
	uint64_t event = sizeof(struct vring_packed_desc_event);

	vq->desc = area(vq->mem, s->desc, sizeof(struct vring_packed_desc) * s->size, DESC_ALIGN);
	vq->driver = area(vq->mem, s->driver, event, PACKED_AREA_ALIGN);
	vq->device = area(vq->mem, s->device, event, PACKED_AREA_ALIGN);
}

static bool size_is_good(const struct virtq_setup *setup)
{
	uint16_t size = setup->size;

	/* A split ring has a power of two entries (section 2.7), a packed one any number (2.8.10.1). */
	return size && size <= VIRTQ_MAX_SIZE && (setup->packed || !(size & (size - 1)));
}

int virtq_start(struct virtq *vq, const struct memory *mem, const struct virtq_setup *setup)
{
	if (!size_is_good(setup))
		return -EINVAL;
	*vq = (struct virtq){.mem = mem, .setup = *setup, .avail_wrap = true, .used_wrap = true};
	if (setup->packed)
		locate_packed(vq);
	else
		locate_split(vq);
	return vq->desc && vq->driver && vq->device ? 0 : -EFAULT;
}

/* Available: the AVAIL bit equals our wrap counter, the USED bit does not (section 2.8.1). */
static bool packed_is_available(const struct virtq *vq, uint16_t flags)
{
	bool avail = flags & PACKED_AVAIL;
	bool used = flags & PACKED_USED;

	return avail != used && avail == vq->avail_wrap;
}

bool virtq_has_work(const struct virtq *vq)
{
	if (vq->setup.packed)
		return packed_is_available(vq, load_acquire(packed_flags(vq, vq->next_avail)));
	return load_acquire(avail_idx(vq)) != vq->next_avail;
}

/* One piece of the buffer. Device-readable pieces come first (sections 2.7.4.2, 2.8.17). */
static int add_segment(struct walk *walk, const struct segment *seg)
{
	struct virtq_chain *chain = walk->chain;
	bool write = seg->flags & VRING_DESC_F_WRITE;
	void *hva;

	if (!write && chain->in)
		return -EPROTO;
	if (!seg->len)
		return 0;
	hva = memory_at(walk->vq->mem, seg->addr, seg->len);
	if (!hva)
		return -EFAULT;
	chain->iov[chain->out + chain->in] = (struct iovec){.iov_base = hva, .iov_len = seg->len};
	if (write) {
		chain->in++;
		chain->in_len += seg->len;
	} else {
		chain->out++;
		chain->out_len += seg->len;
	}
	return chain->out_len + chain->in_len > MAX_CHAIN_LEN ? -E2BIG : 0;
}

/* Count each descriptor, so that a loop ends. */
static int count_segment(struct walk *walk)
{
	return walk->seen++ < VIRTQ_MAX_SEGMENTS ? 0 : -ELOOP;
}

/* The table that an indirect descriptor names, and its number of entries; NULL: a bad one. */
static const uint8_t *indirect_table(const struct virtq *vq, const struct segment *seg,
				     uint32_t *entries)
{
	/* Sections 2.7.5.3.1 and 2.8.19: negotiated, not with NEXT, whole descriptors. */
	if (!vq->setup.indirect || seg->flags & VRING_DESC_F_NEXT || !seg->len ||
	    seg->len % sizeof(struct vring_desc))
		return NULL;
	*entries = seg->len / (uint32_t)sizeof(struct vring_desc);
	return memory_at(vq->mem, seg->addr, seg->len);
}

/* Follow a split table (the ring's own or an indirect one) from entry `at` to the end of the chain. */
static int walk_split_table(struct walk *walk, const uint8_t *table, uint32_t entries, uint32_t at,
			    struct segment *indirect)
{
	struct segment seg;
	int err;

	do {
		if (at >= entries)
			return -EPROTO;
		err = count_segment(walk);
		if (err)
			return err;
		seg = from_split(table + sizeof(struct vring_desc) * at);
		if (seg.flags & VRING_DESC_F_INDIRECT) {
			/* The last one of the ring's own chain, and never in an indirect table. */
			if (!indirect)
				return -EPROTO;
			*indirect = seg;
			return 0;
		}
		err = add_segment(walk, &seg);
		at = seg.next;
	} while (!err && seg.flags & VRING_DESC_F_NEXT);
	return err;
}

static int pop_split(struct walk *walk)
{
	const struct virtq *vq = walk->vq;
	struct segment indirect = {.flags = 0};
	const uint8_t *table;
	uint32_t entries;
	int err;

	/* More than the ring holds: the driver lost count, or wants us to. */
	if ((uint16_t)(load_acquire(avail_idx(vq)) - vq->next_avail) > vq->setup.size)
		return -EPROTO;
	copy_once(&walk->chain->id, avail_ring(vq, vq->next_avail), sizeof(uint16_t));
	walk->chain->slots = 1;
	err = walk_split_table(walk, vq->desc, vq->setup.size, walk->chain->id, &indirect);
	if (err || !(indirect.flags & VRING_DESC_F_INDIRECT))
		return err;
	table = indirect_table(vq, &indirect, &entries);
	return table ? walk_split_table(walk, table, entries, 0, NULL) : -EPROTO;
}

/* In an indirect table of the packed format, entries are in order; only WRITE counts (section 2.8.7). */
static int walk_packed_table(struct walk *walk, const struct segment *indirect)
{
	uint32_t entries;
	const uint8_t *table = indirect_table(walk->vq, indirect, &entries);
	int err = table ? 0 : -EPROTO;

	for (uint32_t i = 0; !err && i < entries; i++) {
		struct segment seg = from_packed(table + sizeof(struct vring_packed_desc) * i);

		err = count_segment(walk) ?: add_segment(walk, &seg);
	}
	return err;
}

static int pop_packed(struct walk *walk)
{
	const struct virtq *vq = walk->vq;
	uint32_t slot = vq->next_avail;
	struct segment seg;
	int err;

	do {
		if (walk->chain->slots == vq->setup.size)
			return -ELOOP;
		seg = from_packed(packed_desc(vq, (uint16_t)slot));
		slot = slot + 1 == vq->setup.size ? 0 : slot + 1;
		walk->chain->slots++;
		/* Not after others, and nothing after it (section 2.8.19). */
		if (seg.flags & VRING_DESC_F_INDIRECT)
			err = walk->seen ? -EPROTO : walk_packed_table(walk, &seg);
		else
			err = count_segment(walk) ?: add_segment(walk, &seg);
	} while (!err && seg.flags & VRING_DESC_F_NEXT);
	/* The id that counts is the last one's (section 2.8.6). */
	walk->chain->id = seg.id;
	return err;
}

/* Move a packed cursor on by `slots`, at most the size of the ring. */
static void packed_advance(const struct virtq *vq, uint16_t *slot, bool *wrap, uint16_t slots)
{
	uint32_t next = (uint32_t)*slot + slots;

	if (next >= vq->setup.size) {
		next -= vq->setup.size;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)next;
}

int virtq_pop(struct virtq *vq, struct virtq_chain *chain)
{
	struct walk walk = {.vq = vq, .chain = chain};
	int err;

	if (!virtq_has_work(vq))
		return 0;
	chain->slots = 0;
	chain->out = chain->in = 0;
	chain->out_len = chain->in_len = 0;
	err = vq->setup.packed ? pop_packed(&walk) : pop_split(&walk);
	if (err)
		return err;
	if (vq->setup.packed)
		packed_advance(vq, &vq->next_avail, &vq->avail_wrap, chain->slots);
	else
		vq->next_avail++;
	return 1;
}

void virtq_unpop(struct virtq *vq, const struct virtq_chain *chain)
{
	if (!vq->setup.packed) {
		vq->next_avail--;
	} else if (vq->next_avail >= chain->slots) {
		vq->next_avail -= chain->slots;
	} else {
		vq->next_avail += vq->setup.size - chain->slots;
		vq->avail_wrap = !vq->avail_wrap;
	}
}

bool virtq_is_with_device(const struct virtq *vq)
{
	if (!vq->setup.packed)
		return (uint16_t)(vq->next_avail - vq->next_used) == vq->setup.size;
	return vq->next_avail == vq->next_used && vq->avail_wrap != vq->used_wrap;
}

static void push_split(struct virtq *vq, uint16_t id, uint32_t written)
{
	struct vring_used_elem elem = {.id = id, .len = written};

	memcpy(used_ring(vq, vq->next_used), &elem, sizeof(elem));
	vq->next_used++;
	store_release(used_idx(vq), vq->next_used);
	vq->unsignalled++;
}

/* One used descriptor for the whole chain, then skip as many slots as it had (section 2.8.6). */
static void push_packed(struct virtq *vq, uint16_t id, uint16_t slots, uint32_t written)
{
	struct vring_packed_desc d = {.len = written, .id = id};
	uint16_t flags = vq->used_wrap ? PACKED_AVAIL | PACKED_USED : 0;

	memcpy(packed_desc(vq, vq->next_used), &d, offsetof(struct vring_packed_desc, flags));
	store_release(packed_flags(vq, vq->next_used), flags | (written ? VRING_DESC_F_WRITE : 0));
	packed_advance(vq, &vq->next_used, &vq->used_wrap, slots);
	vq->unsignalled += slots;
}

void virtq_push(struct virtq *vq, uint16_t id, uint16_t slots, uint32_t written)
{
	if (vq->setup.packed)
		push_packed(vq, id, slots, written);
	else
		push_split(vq, id, written);
}

/* Is the event that the driver waits for among the last `count` before `next`? */
static bool passed_event(uint16_t event, uint16_t next, uint16_t count)
{
	return vring_need_event(event, next, (uint16_t)(next - count));
}

static bool split_wants_signal(const struct virtq *vq, uint16_t count)
{
	if (!vq->setup.event_index)
		return !(load_acquire(vq->driver) & VRING_AVAIL_F_NO_INTERRUPT);
	return passed_event(load_acquire(used_event(vq)), vq->next_used, count);
}

/* Section 2.8.10: off_wrap names a slot and the lap that it is meant for. */
static bool packed_wants_signal(const struct virtq *vq, uint16_t count)
{
	struct vring_packed_desc_event event;
	uint16_t slot;

	copy_once(&event, vq->driver, sizeof(event));
	if (!vq->setup.event_index || event.flags != VRING_PACKED_EVENT_FLAG_DESC)
		return event.flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	slot = event.off_wrap & (EVENT_WRAP - 1);
	/* Meant for the lap before ours. */
	if (!!(event.off_wrap & EVENT_WRAP) != vq->used_wrap)
		slot -= vq->setup.size;
	return passed_event(slot, vq->next_used, count);
}

bool virtq_should_signal(struct virtq *vq)
{
	uint16_t count = vq->unsignalled;

	if (!count)
		return false;
	vq->unsignalled = 0;
	full_fence();
	return vq->setup.packed ? packed_wants_signal(vq, count) : split_wants_signal(vq, count);
}

static void packed_set_event(const struct virtq *vq, uint16_t flags)
{
	uint16_t off_wrap = vq->next_avail;

	if (vq->avail_wrap)
		off_wrap |= EVENT_WRAP;
	store_release(vq->device, off_wrap);
	store_release(vq->device + 2, flags);
}

void virtq_notify_off(struct virtq *vq)
{
	if (vq->notify_off)
		return;
	vq->notify_off = true;
	if (vq->setup.packed)
		packed_set_event(vq, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!vq->setup.event_index)
		store_release(vq->device, VRING_USED_F_NO_NOTIFY);
	/* With event index there is nothing to write: an index that was passed never matches. */
}

bool virtq_notify_on(struct virtq *vq)
{
	vq->notify_off = false;
	if (vq->setup.packed)
		packed_set_event(vq,
				 vq->setup.event_index ? VRING_PACKED_EVENT_FLAG_DESC
						       : VRING_PACKED_EVENT_FLAG_ENABLE);
	else if (vq->setup.event_index)
		store_release(avail_event(vq), vq->next_avail);
	else
		store_release(vq->device, 0);
	full_fence();
	return virtq_has_work(vq);
}
