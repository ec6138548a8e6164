/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 9P2000.L on the wire: little-endian numbers, strings of two bytes of length and no terminator. What does not fit sets
 * `bad` and moves nothing, so a message is read or written whole, and judged once.
 */
#ifndef DUVISOR_P9_WIRE_H
#define DUVISOR_P9_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The largest message, which the guest may make smaller (Tversion). */
#define P9_MAX_MESSAGE (256U << 10)
/* size[4] type[1] tag[2] */
#define P9_HEADER 7U
#define P9_RLERROR 7
/* Of Rlerror, which every request must leave room for. */
#define P9_MIN_REPLY (P9_HEADER + 4U)

struct p9_in {
	const uint8_t *at;
	size_t left;
	bool bad;
};

struct p9_out {
	uint8_t *at;
	size_t left;
	bool bad;
};

/* The next len bytes, or NULL. */
static inline const uint8_t *p9_take(struct p9_in *in, size_t len)
{
	const uint8_t *bytes = in->at;

	if (in->bad || len > in->left) {
		in->bad = true;
		return NULL;
	}
	in->at += len;
	in->left -= len;
	return bytes;
}

static inline uint64_t p9_take_number(struct p9_in *in, unsigned int size)
{
	const uint8_t *bytes = p9_take(in, size);
	uint64_t value = 0;

	for (unsigned int i = 0; bytes && i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static inline uint8_t p9_take8(struct p9_in *in)
{
	return (uint8_t)p9_take_number(in, 1);
}

static inline uint16_t p9_take16(struct p9_in *in)
{
	return (uint16_t)p9_take_number(in, 2);
}

static inline uint32_t p9_take32(struct p9_in *in)
{
	return (uint32_t)p9_take_number(in, 4);
}

static inline uint64_t p9_take64(struct p9_in *in)
{
	return p9_take_number(in, 8);
}

/* A string, terminated in buf; bad if it has a 0 inside or is longer. */
static inline void p9_take_string(struct p9_in *in, char *buf, size_t size)
{
	uint16_t len = p9_take16(in);
	const uint8_t *bytes = p9_take(in, len);

	*buf = 0;
	if (!bytes)
		return;
	if (len >= size || memchr(bytes, 0, len)) {
		in->bad = true;
		return;
	}
	memcpy(buf, bytes, len);
	buf[len] = 0;
}

/* Room for len bytes, or NULL. */
static inline uint8_t *p9_give(struct p9_out *out, size_t len)
{
	uint8_t *bytes = out->at;

	if (out->bad || len > out->left) {
		out->bad = true;
		return NULL;
	}
	out->at += len;
	out->left -= len;
	return bytes;
}

static inline void p9_put_number(uint8_t *bytes, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static inline void p9_give_number(struct p9_out *out, uint64_t value, unsigned int size)
{
	uint8_t *bytes = p9_give(out, size);

	if (bytes)
		p9_put_number(bytes, value, size);
}

static inline void p9_give8(struct p9_out *out, uint8_t value)
{
	p9_give_number(out, value, 1);
}

static inline void p9_give16(struct p9_out *out, uint16_t value)
{
	p9_give_number(out, value, 2);
}

static inline void p9_give32(struct p9_out *out, uint32_t value)
{
	p9_give_number(out, value, 4);
}

static inline void p9_give64(struct p9_out *out, uint64_t value)
{
	p9_give_number(out, value, 8);
}

static inline void p9_give_string(struct p9_out *out, const char *text, size_t len)
{
	uint8_t *bytes;

	p9_give16(out, (uint16_t)len);
	bytes = p9_give(out, len);
	if (bytes)
		memcpy(bytes, text, len);
}

#endif
