// SPDX-License-Identifier: GPL-2.0-or-later
/* On a hart without Xdv none of it exists, in any mode. */
#include <isatest.h>

bool have_xdv(void)
{
	return false;
}

static const u16 csrs[] = {
	CSR_HUVSSTATUS,  CSR_HUVSIE,      CSR_HUVSTVEC,    CSR_HUVSCOUNTEREN, CSR_HUVSENVCFG,
	CSR_HUVSSCRATCH, CSR_HUVSEPC,     CSR_HUVSCAUSE,   CSR_HUVSTVAL,      CSR_HUVSTIMECMP,
	CSR_HUVSATP,     CSR_HUSTATUS,    CSR_HUEDELEG,    CSR_HUTVEC,        CSR_HUSCRATCH,
	CSR_HUEPC,       CSR_HUCAUSE,     CSR_HUTVAL,      CSR_HUGPA,         CSR_HUTINST,
	CSR_HUGATP,      CSR_HUTIMEDELTA, CSR_HUCOUNTEREN, CSR_HUVIP,         CSR_HUDOORBELL,
	CSR_HDVCTL,
};

static const u32 insns[] = {HURET, HUPOST(A0, A1, A2), HUFENCE_V(A1, A2), HUFENCE_G(A1)};

static const enum mode modes[] = {IN_M, IN_HS, IN_U, IN_VS, IN_VU};

static void plain_world(void)
{
	fresh();
	world.host = table_new(ATP_39, false, 0);
	world.hva = 0x1000000000;
	table_map(&world.host, 0x80000000, 0x80000000, 2, PTE_RWX);
	table_map(&world.host, 0x80000000 + world.hva, 0x80000000, 2, PTE_URWX);
	csr_write(CSR_SATP, table_atp(&world.host));
	fence_all();
}

static void check_illegal(enum mode mode, u32 insn)
{
	const struct outcome *o;

	plain_world();
	o = RUN(mode, insn);
	/* hdvctl has an HS-level number: from V=1 it is refused whether it exists or not. */
	if (mode >= IN_VS && (insn & 0x7000) && insn >> 20 == CSR_HDVCTL)
		CHECK(o->mcause == EXC_ILLEGAL || o->mcause == EXC_VIRTUAL);
	else
		CHECK_EQ(o->mcause, EXC_ILLEGAL);
	CHECK_EQ(o->mepc, code_addr(mode, 0));
	CHECK_EQ(o->mtval, insn);
}

void test_main(void)
{
	for (unsigned int m = 0; m < ARRAY_SIZE(modes); m++) {
		test("[EN-1] without Xdv %s can run", mode_name[modes[m]]);
		plain_world();
		CHECK_DONE(RUN(modes[m], NOP));
		for (unsigned int i = 0; i < ARRAY_SIZE(csrs); i++) {
			test("[EN-1] without Xdv CSR %x is illegal in %s", csrs[i],
			     mode_name[modes[m]]);
			check_illegal(modes[m], CSRRS(A0, csrs[i], X0));
			check_illegal(modes[m], CSRRW(X0, csrs[i], A1));
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++) {
			test("[EN-1] without Xdv instruction %x is illegal in %s", insns[i],
			     mode_name[modes[m]]);
			check_illegal(modes[m], insns[i]);
		}
	}
}
