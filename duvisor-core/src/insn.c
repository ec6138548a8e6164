/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "insn.h"

#include <errno.h>

#include "hart.h"
#include "vcpu.h"

/* Bit 1 of a transformed instruction is 0 if the original was compressed. */
#define NOT_COMPRESSED 0x2

/*
 * All that is defined in a transformed load or store is opcode, funct3, rd or rs2 and, in rs1, the
 * offset: what remains must be zero, but for the opcode's bit 0.
 */
#define OPCODE_REST 0x1ULL
#define LOAD_REST 0xfff00059ULL
#define STORE_REST 0xfe000fd9ULL

#define VSSTATUS_FS_DIRTY (3ULL << 13)

enum { SIGNED = 1, FLOAT = 2, STORE = 4 };

/* By opcode bits 5 (store) and 2 (float), then funct3: all that tells the 32 candidates apart. */
static const struct {
	uint8_t len; /* 0: no such access */
	uint8_t flags;
} rows[32] = {
	[0x00] = {1, SIGNED},        /* lb */
	[0x01] = {2, SIGNED},        /* lh */
	[0x02] = {4, SIGNED},        /* lw, c.lw, c.lwsp */
	[0x03] = {8, 0},             /* ld, c.ld, c.ldsp */
	[0x04] = {1, 0},             /* lbu */
	[0x05] = {2, 0},             /* lhu */
	[0x06] = {4, 0},             /* lwu */
	[0x09] = {2, FLOAT},         /* flh */
	[0x0a] = {4, FLOAT},         /* flw */
	[0x0b] = {8, FLOAT},         /* fld, c.fld, c.fldsp */
	[0x10] = {1, STORE},         /* sb */
	[0x11] = {2, STORE},         /* sh */
	[0x12] = {4, STORE},         /* sw, c.sw, c.swsp */
	[0x13] = {8, STORE},         /* sd, c.sd, c.sdsp */
	[0x19] = {2, STORE | FLOAT}, /* fsh */
	[0x1a] = {4, STORE | FLOAT}, /* fsw */
	[0x1b] = {8, STORE | FLOAT}, /* fsd, c.fsd, c.fsdsp */
};

unsigned int insn_length(uint64_t hutinst)
{
	return hutinst & NOT_COMPRESSED ? 4 : 2;
}

int insn_decode(uint64_t hutinst, struct insn_access *access)
{
	unsigned int row = (hutinst >> 1 & 0x10) | (hutinst << 1 & 0x08) | (hutinst >> 12 & 0x07);
	bool write = rows[row].flags & STORE;
	/* All bits but rd or rs2, the offset and the three that made the row; the upper half must be zero. */
	uint64_t rest = hutinst & (~0xffffffffULL | (write ? STORE_REST : LOAD_REST));

	if (!rows[row].len || rest != OPCODE_REST)
		return -EINVAL;
	*access = (struct insn_access){
		.write = write,
		.fp = rows[row].flags & FLOAT,
		.sign = rows[row].flags & SIGNED,
		.len = rows[row].len,
		.reg = hutinst >> (write ? 20 : 7) & 31,
		.addr_offset = hutinst >> 15 & 31,
	};
	return 0;
}

static uint64_t low_bytes(uint64_t value, unsigned int len)
{
	return len == 8 ? value : value & ((1ULL << 8 * len) - 1);
}

uint64_t insn_store_value(const struct vcpu *vcpu, const struct insn_access *access)
{
	uint64_t value = access->fp ? hart_read_fp(access->reg) : vcpu->gpr[access->reg];

	return low_bytes(value, access->len);
}

static uint64_t sign_extend(uint64_t value, unsigned int len)
{
	unsigned int shift = 64 - 8 * len;

	return (uint64_t)((int64_t)(value << shift) >> shift);
}

void insn_load_result(struct vcpu *vcpu, const struct insn_access *access, uint64_t value)
{
	value = low_bytes(value, access->len);
	if (access->fp) {
		/* A narrower value is NaN-boxed (unpriv spec, "NaN Boxing of Narrower Values"). */
		uint64_t box = access->len == 8 ? 0 : ~0ULL << 8 * access->len;

		hart_write_fp(access->reg, value | box);
		/* The hart marks its own FS dirty; the guest's own must be as well, or it loses the value. */
		hart_write_huvsstatus(hart_read_huvsstatus() | VSSTATUS_FS_DIRTY);
	} else if (access->reg) {
		vcpu->gpr[access->reg] = access->sign ? sign_extend(value, access->len) : value;
	}
}
