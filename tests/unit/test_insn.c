/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoder of hutinst, over every encoding of its fields, against the tables of the specifications. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "hart_fake.h"
#include "insn.h"
#include "vcpu.h"

#define OP_LOAD 0x03
#define OP_LOAD_FP 0x07
#define OP_STORE 0x23
#define OP_STORE_FP 0x27

/* What the unprivileged spec says about opcode and funct3 (width); false: not a load or store of ours. */
static bool expected(unsigned int opcode, unsigned int funct3, struct insn_access *access)
{
	static const uint8_t bytes[] = {1, 2, 4, 8};

	memset(access, 0, sizeof(*access));
	access->len = bytes[funct3 & 3];
	access->write = opcode == OP_STORE || opcode == OP_STORE_FP;
	access->fp = opcode == OP_LOAD_FP || opcode == OP_STORE_FP;
	access->sign = opcode == OP_LOAD && funct3 < 3;
	switch (opcode) {
	case OP_LOAD:
		return funct3 <= 6;
	case OP_STORE:
		return funct3 <= 3;
	case OP_LOAD_FP:
	case OP_STORE_FP:
		return funct3 >= 1 && funct3 <= 3;
	default:
		return false;
	}
}

static uint32_t encode(unsigned int opcode, unsigned int funct3, unsigned int reg, unsigned int off)
{
	bool write = opcode & 0x20;

	return opcode | funct3 << 12 | reg << (write ? 20 : 7) | off << 15;
}

static void expect_same(const struct insn_access *a, const struct insn_access *b)
{
	assert_int_equal(a->write, b->write);
	assert_int_equal(a->fp, b->fp);
	assert_int_equal(a->sign, b->sign);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->reg, b->reg);
	assert_int_equal(a->addr_offset, b->addr_offset);
}

/* opcode and funct3 in full, each with every register, every offset, compressed and not. */
static void test_every_encoding(void **state)
{
	unsigned int decoded = 0;

	(void)state;
	for (unsigned int i = 0; i < 128 * 8 * 32 * 32; i++) {
		unsigned int opcode = i & 127;
		unsigned int funct3 = i >> 7 & 7;
		unsigned int reg = i >> 10 & 31;
		unsigned int off = i >> 15 & 31;
		struct insn_access want;
		struct insn_access got;
		/* Bit 1 clear marks an instruction that was compressed. */
		bool ok = expected(opcode | 2, funct3, &want);
		uint32_t inst = encode(opcode, funct3, reg, off);

		want.reg = (uint8_t)reg;
		want.addr_offset = (uint8_t)off;
		assert_int_equal(insn_decode(inst, &got), ok ? 0 : -EINVAL);
		if (ok) {
			expect_same(&want, &got);
			assert_int_equal(insn_length(inst), opcode & 2 ? 4 : 2);
			decoded++;
		}
	}
	assert_int_equal(decoded, (7 + 4 + 3 + 3) * 2 * 32 * 32);
}

/* A transformed instruction has zeros where the original had its immediate. */
static void test_other_bits_refused(void **state)
{
	struct insn_access got;

	(void)state;
	for (unsigned int bit = 20; bit < 64; bit++)
		assert_int_equal(insn_decode(0x2003 | 1ULL << bit, &got), -EINVAL);
	for (unsigned int bit = 7; bit < 12; bit++)
		assert_int_equal(insn_decode(0x2023 | 1ULL << bit, &got), -EINVAL);
	for (unsigned int bit = 25; bit < 64; bit++)
		assert_int_equal(insn_decode(0x2023 | 1ULL << bit, &got), -EINVAL);
}

static void test_not_plain(void **state)
{
	static const uint64_t insts[] = {
		0,
		INSN_PSEUDO_READ,
		INSN_PSEUDO_WRITE,
		0x2000,
		0x2020,
		0x1000202f /* lr.w */,
		0x1800302f /* sc.d */,
		0x0000202f /* amoadd.w */,
		0x0040200f /* cbo.zero */,
		0x68004073 /* hlv.w */,
		0x00000073,
	};
	struct insn_access got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(insts); i++)
		assert_int_equal(insn_decode(insts[i], &got), -EINVAL);
}

static void load(struct vcpu *vcpu, unsigned int opcode, unsigned int funct3, unsigned int reg,
		 uint64_t value)
{
	struct insn_access access;

	assert_int_equal(insn_decode(encode(opcode, funct3, reg, 0), &access), 0);
	insn_load_result(vcpu, &access, value);
}

static void test_load_results(void **state)
{
	static const struct {
		unsigned int funct3;
		uint64_t result;
	} rows[] = {
		{0, 0xfffffffffffffff1},
		{1, 0xffffffffffffe0f1},
		{2, 0xffffffffa0c0e0f1},
		{3, 0x90b0d0f0a0c0e0f1},
		{4, 0xf1},
		{5, 0xe0f1},
		{6, 0xa0c0e0f1},
	};
	struct vcpu vcpu;

	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned int reg = 1; reg < 32; reg++) {
			memset(vcpu.gpr, 0x55, sizeof(vcpu.gpr));
			load(&vcpu, OP_LOAD, rows[i].funct3, reg, 0x90b0d0f0a0c0e0f1);
			for (unsigned int other = 1; other < 32; other++)
				assert_int_equal(vcpu.gpr[other],
						 other == reg ? rows[i].result
							      : 0x5555555555555555);
		}
	}
	vcpu.gpr[0] = 0;
	load(&vcpu, OP_LOAD, 3, 0, ~0ULL);
	assert_int_equal(vcpu.gpr[0], 0);
	load(&vcpu, OP_LOAD, 0, 1, 0x7f);
	assert_int_equal(vcpu.gpr[1], 0x7f);
}

static void test_float_loads(void **state)
{
	struct vcpu vcpu;

	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	for (unsigned int reg = 0; reg < 32; reg++) {
		hart_write_huvsstatus(1ULL << 13); /* FS = Initial */
		load(&vcpu, OP_LOAD_FP, 3, reg, 0x400921fb54442d18);
		assert_int_equal(hart_fake()->fp[reg], 0x400921fb54442d18);
		assert_int_equal(hart_read_huvsstatus() >> 13 & 3, 3);
		load(&vcpu, OP_LOAD_FP, 2, reg, 0x1234567840490fdb);
		assert_int_equal(hart_fake()->fp[reg], 0xffffffff40490fdb);
		load(&vcpu, OP_LOAD_FP, 1, reg, 0x12345678abcd4248);
		assert_int_equal(hart_fake()->fp[reg], 0xffffffffffff4248);
		assert_int_equal(vcpu.gpr[reg], 0);
	}
}

static void test_store_values(void **state)
{
	static const uint64_t want[] = {0x88, 0x7788, 0x55667788, 0x1122334455667788};
	struct vcpu vcpu;
	struct insn_access access;

	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	for (unsigned int reg = 1; reg < 32; reg++) {
		memset(vcpu.gpr, 0, sizeof(vcpu.gpr));
		vcpu.gpr[reg] = 0x1122334455667788;
		memset(hart_fake()->fp, 0, sizeof(hart_fake()->fp));
		hart_fake()->fp[reg] = 0x1122334455667788;
		for (unsigned int funct3 = 0; funct3 < 4; funct3++) {
			assert_int_equal(insn_decode(encode(OP_STORE, funct3, reg, 0), &access), 0);
			assert_int_equal(insn_store_value(&vcpu, &access), want[funct3]);
			if (!funct3)
				continue;
			vcpu.gpr[reg] = 0;
			assert_int_equal(insn_decode(encode(OP_STORE_FP, funct3, reg, 0), &access),
					 0);
			assert_int_equal(insn_store_value(&vcpu, &access), want[funct3]);
			vcpu.gpr[reg] = 0x1122334455667788;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_encoding), cmocka_unit_test(test_other_bits_refused),
		cmocka_unit_test(test_not_plain),      cmocka_unit_test(test_load_results),
		cmocka_unit_test(test_float_loads),    cmocka_unit_test(test_store_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
