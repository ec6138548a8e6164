// SPDX-License-Identifier: GPL-2.0-or-later
/* Does the library itself do what the tests rely on? */
#include <isatest.h>

static void every_mode_runs(void)
{
	for (enum mode mode = IN_M; mode < MODES; mode++) {
		const struct outcome *o;

		test("code runs in %s", mode_name[mode]);
		usual_world();
		regs()[A1] = 41;
		o = RUN(mode, ADDI(A0, A1, 1));
		CHECK_DONE(o);
		CHECK_EQ(o->x[A0], 42);
	}
}

static void every_trap_is_told_apart(void)
{
	static const enum where where[MODES] = {AT_M, AT_M, AT_M, AT_M, AT_HU, AT_HU, AT_M, AT_M};

	for (enum mode mode = IN_M; mode < MODES; mode++) {
		test("an illegal instruction in %s", mode_name[mode]);
		usual_world();
		CHECK_TRAP(RUN(mode, NOP, 0), where[mode], EXC_ILLEGAL, code_addr(mode, 1), 0);
	}
	test("an illegal instruction delegated to HS");
	usual_world();
	csr_write(CSR_MEDELEG, 1 << EXC_ILLEGAL);
	CHECK_TRAP(RUN(IN_U, NOP, 0), AT_HS, EXC_ILLEGAL, code_addr(IN_U, 1), 0);
	test("an illegal instruction delegated to VS");
	usual_world();
	csr_write(CSR_HUEDELEG, 1 << EXC_ILLEGAL);
	CHECK_TRAP(RUN(IN_DVU, NOP, 0), AT_VS, EXC_ILLEGAL, code_addr(IN_DVU, 1), 0);
}

static void huret_enters(void)
{
	static const u32 code[] = {ADDI(A0, A0, 1)};

	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		const struct outcome *o;

		test("[RET-1] huret enters %s and its ecall comes back", mode_name[mode]);
		usual_world();
		put_code(code, 1);
		regs()[A0] = 7;
		o = huret_to(mode, code_addr(mode, 0));
		CHECK_DONE(o);
		CHECK_EQ(o->where, AT_HU);
		CHECK_EQ(o->cause, mode == IN_DVS ? EXC_ECALL_VS : EXC_ECALL_U);
		CHECK_EQ(o->x[A0], 8);
	}
}

void test_main(void)
{
	every_mode_runs();
	every_trap_is_told_apart();
	huret_enters();
}
