/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "insn.h"

#include <errno.h>

#include "hart.h"
#include "vcpu.h"

/* Bit 0 is 1 in every transformed instruction, bit 1 is 0 if the original was compressed. */
#define TRANSFORMED 0x1
#define NOT_COMPRESSED 0x2

/* All that is defined in a transformed load or store is opcode, funct3, rd or rs2 and, in rs1, the offset. */
#define LOAD_MASK 0xfff0707fULL
#define STORE_MASK 0xfe007fffULL

#define VSSTATUS_FS_DIRTY (3ULL << 13)

enum { SIGNED = 1, FLOAT = 2, STORE = 4 };

static const struct {
	uint32_t match;
	uint8_t len;
	uint8_t flags;
} rows[] = {
	{0x00000003, 1, SIGNED},        /* lb */
	{0x00001003, 2, SIGNED},        /* lh */
	{0x00002003, 4, SIGNED},        /* lw, c.lw, c.lwsp */
	{0x00003003, 8, 0},             /* ld, c.ld, c.ldsp */
	{0x00004003, 1, 0},             /* lbu */
	{0x00005003, 2, 0},             /* lhu */
	{0x00006003, 4, 0},             /* lwu */
	{0x00001007, 2, FLOAT},         /* flh */
	{0x00002007, 4, FLOAT},         /* flw */
	{0x00003007, 8, FLOAT},         /* fld, c.fld, c.fldsp */
	{0x00000023, 1, STORE},         /* sb */
	{0x00001023, 2, STORE},         /* sh */
	{0x00002023, 4, STORE},         /* sw, c.sw, c.swsp */
	{0x00003023, 8, STORE},         /* sd, c.sd, c.sdsp */
	{0x00001027, 2, STORE | FLOAT}, /* fsh */
	{0x00002027, 4, STORE | FLOAT}, /* fsw */
	{0x00003027, 8, STORE | FLOAT}, /* fsd, c.fsd, c.fsdsp */
};

unsigned int insn_length(uint64_t hutinst)
{
	return hutinst & NOT_COMPRESSED ? 4 : 2;
}

int insn_decode(uint64_t hutinst, struct insn_access *access)
{
	uint64_t inst = hutinst | NOT_COMPRESSED;

	if (!(hutinst & TRANSFORMED))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool write = rows[i].flags & STORE;

		/* The upper half is compared too: no transformed instruction is longer than 32 bits. */
		if ((inst & (~0xffffffffULL | (write ? STORE_MASK : LOAD_MASK))) != rows[i].match)
			continue;
		*access = (struct insn_access){
			.write = write,
			.fp = rows[i].flags & FLOAT,
			.sign = rows[i].flags & SIGNED,
			.len = rows[i].len,
			.reg = inst >> (write ? 20 : 7) & 31,
			.addr_offset = inst >> 15 & 31,
		};
		return 0;
	}
	return -EINVAL;
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
