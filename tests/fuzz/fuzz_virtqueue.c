/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues under a guest that does anything: the input is the choice of a ring and then what guest and device do, in turns.
 * Guest memory is exactly as large as it says, so the address sanitizer sees each step outside.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/queue.h"

#define RAM 65536ULL
#define MAX_TAKEN 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

struct state {
	struct memory mem;
	struct virtq vq;
	struct virtq_chain chain;
	bool broken;
	unsigned int first;
	unsigned int count;
	struct {
		uint16_t id;
		uint16_t slots;
	} taken[MAX_TAKEN];
};

static uint64_t get(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;

	if (bytes > in->left)
		bytes = (unsigned int)in->left;
	memcpy(&value, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return value;
}

/* The guest writes to its memory. */
static void guest_writes(struct state *s, struct input *in)
{
	uint64_t to = get(in, 2);
	size_t len = (size_t)get(in, 1);

	if (len > in->left)
		len = in->left;
	if (len > RAM - to)
		len = (size_t)(RAM - to);
	memcpy(s->mem.hva + to, in->at, len);
	in->at += len;
	in->left -= len;
}

/* All that was promised of a chain, and each byte can be reached. */
static void use_chain(struct state *s)
{
	const struct virtq_chain *c = &s->chain;
	uint64_t out = 0;
	uint64_t in = 0;

	if (c->out + c->in > VIRTQ_MAX_SEGMENTS || !c->slots || c->slots > s->vq.setup.size)
		abort();
	for (unsigned int i = 0; i < c->out + c->in; i++) {
		uint8_t *base = c->iov[i].iov_base;
		size_t len = c->iov[i].iov_len;

		if (!len || base < s->mem.hva || len > RAM - (size_t)(base - s->mem.hva))
			abort();
		*(i < c->out ? &out : &in) += len;
		if (i >= c->out)
			base[0] ^= base[len - 1] ^= 0x5a;
	}
	if (out != c->out_len || in != c->in_len)
		abort();
}

static void pop(struct state *s, bool again)
{
	int ret = s->broken || s->count == MAX_TAKEN ? 0 : virtq_pop(&s->vq, &s->chain);
	unsigned int slot = (s->first + s->count) % MAX_TAKEN;

	s->broken |= ret < 0;
	if (ret <= 0)
		return;
	use_chain(s);
	if (again) {
		virtq_unpop(&s->vq, &s->chain);
		return;
	}
	s->taken[slot].id = s->chain.id;
	s->taken[slot].slots = s->chain.slots;
	s->count++;
}

static void push(struct state *s, uint32_t written)
{
	if (!s->count)
		return;
	virtq_push(&s->vq, s->taken[s->first].id, s->taken[s->first].slots, written);
	s->first = (s->first + 1) % MAX_TAKEN;
	s->count--;
}

static void step(struct state *s, struct input *in)
{
	switch (get(in, 1) % 8) {
	case 0:
	case 1:
		guest_writes(s, in);
		break;
	case 2:
		pop(s, false);
		break;
	case 3:
		pop(s, true);
		break;
	case 4:
		push(s, (uint32_t)get(in, 1));
		break;
	case 5:
		virtq_notify_on(&s->vq);
		break;
	case 6:
		virtq_notify_off(&s->vq);
		break;
	default:
		virtq_should_signal(&s->vq);
	}
}

/* Mostly where a driver would put them, sometimes anywhere. */
static gpa_t address(struct input *in, gpa_t usual, bool anywhere)
{
	return anywhere ? MEMORY_BASE - 4096 + get(in, 3) : MEMORY_BASE + usual;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state s;
	struct input in = {data, size};
	uint8_t flags = (uint8_t)get(&in, 1);
	bool anywhere = flags & 8;
	struct virtq_setup setup = {
		.size = (uint16_t)get(&in, 2),
		.packed = flags & 1,
		.indirect = flags & 2,
		.event_index = flags & 4,
	};

	setup.desc = address(&in, 0, anywhere);
	setup.driver = address(&in, 0x1000, anywhere);
	setup.device = address(&in, 0x1400, anywhere);
	s = (struct state){.mem = {.base = MEMORY_BASE, .size = RAM, .hva = calloc(1, RAM)}};
	if (!s.mem.hva)
		return 0;
	if (!virtq_start(&s.vq, &s.mem, &setup))
		while (in.left)
			step(&s, &in);
	free(s.mem.hva);
	return 0;
}
