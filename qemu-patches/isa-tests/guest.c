// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters, time, the environment and the virtual interrupts of a DV guest. */
#include <isatest.h>

#define CY 1u
#define TM 2u
#define IR 4u

static const struct {
	const char *name;
	unsigned int csr;
	u32 bit;
} counters[] = {
	{"cycle", CSR_CYCLE, CY},
	{"time", CSR_TIME, TM},
	{"instret", CSR_INSTRET, IR},
};

struct gates {
	bool m, s, hu, vs;
};

static void set_gates(u32 bit, struct gates g)
{
	/* The others are all open, or all closed where they must not count. */
	csr_write(CSR_MCOUNTEREN, g.m ? ~0u : ~bit);
	csr_write(CSR_SCOUNTEREN, g.s ? ~0u : ~bit);
	csr_write(CSR_HUCOUNTEREN, g.hu ? ~0u : ~bit);
	csr_write(CSR_HUVSCOUNTEREN, g.vs ? ~0u : ~bit);
}

static void counter_access(void)
{
	for (unsigned int c = 0; c < ARRAY_SIZE(counters); c++) {
		for (unsigned int n = 0; n < 32; n++) {
			struct gates g = {n & 1, n & 2, n & 4, n & 8};
			enum mode mode = n & 16 ? IN_DVU : IN_DVS;
			bool ok = g.m && g.s && g.hu && (mode == IN_DVS || g.vs);
			u32 insn = CSRRS(A0, counters[c].csr, X0);

			test("[CNT-1] %s in %s with mcounteren %d scounteren %d hucounteren %d "
			     "huvscounteren %d",
			     counters[c].name, mode_name[mode], g.m, g.s, g.hu, g.vs);
			for (unsigned int h = 0; h < 2; h++) {
				const struct outcome *o;

				usual_world();
				note("hcounteren %u", h);
				csr_write(CSR_HCOUNTEREN, h ? ~0u : 0);
				set_gates(counters[c].bit, g);
				o = RUN(mode, insn);
				if (ok)
					CHECK_DONE(o);
				else
					CHECK_TRAP(o, AT_HU, g.m ? EXC_VIRTUAL : EXC_ILLEGAL,
						   code_addr(mode, 0), insn);
			}
		}
	}
}

static void stimecmp_access(void)
{
	for (unsigned int n = 0; n < 16; n++) {
		struct gates g = {n & 1, n & 2, n & 4, false};
		bool stce = n & 8;
		const struct outcome *o;
		u32 insn = CSRRW(A0, CSR_STIMECMP, A1);

		test("[CNT-1] stimecmp in DV VS with mcounteren %d scounteren %d hucounteren %d "
		     "henvcfg.STCE %d",
		     g.m, g.s, g.hu, stce);
		usual_world();
		csr_write(CSR_HCOUNTEREN, 0);
		set_gates(TM, g);
		csr_write(CSR_STIMECMP, 0x7fffffffffff0000);
		csr_write(CSR_HENVCFG, stce ? ENVCFG_STCE : 0);
		csr_write(CSR_VSTIMECMP, 0x7ffffffffffffff0);
		regs()[A1] = 0x7fffffffffffff00;
		o = RUN(IN_DVS, insn);
		if (g.m && g.s && g.hu && stce) {
			CHECK_DONE(o);
			CHECK_EQ(o->x[A0], 0x7ffffffffffffff0);
			CHECK_EQ(csr_read(CSR_HUVSTIMECMP), 0x7fffffffffffff00);
		} else {
			CHECK_TRAP(o, AT_HU, g.m ? EXC_VIRTUAL : EXC_ILLEGAL, code_addr(IN_DVS, 0),
				   insn);
			CHECK_EQ(csr_read(CSR_VSTIMECMP), 0x7ffffffffffffff0);
		}
		/* The host's own stays the host's. */
		CHECK_EQ(csr_read(CSR_STIMECMP), 0x7fffffffffff0000);
	}
	test("[CNT-1] stimecmp in DV VU: virtual instruction");
	usual_world();
	CHECK_TRAP(RUN(IN_DVU, CSRRS(A0, CSR_STIMECMP, X0)), AT_HU, EXC_VIRTUAL,
		   code_addr(IN_DVU, 0), CSRRS(A0, CSR_STIMECMP, X0));
}

static void hu_counters(void)
{
	test("[CNT-1] counters in HU are those of U-mode");
	usual_world();
	csr_write(CSR_HUCOUNTEREN, 0);
	csr_write(CSR_HUVSCOUNTEREN, 0);
	csr_write(CSR_HCOUNTEREN, 0);
	csr_write(CSR_HUTIMEDELTA, 1ul << 62);
	CHECK_DONE(RUN(IN_HU, CSRRS(A0, CSR_TIME, X0), CSRRS(A1, CSR_CYCLE, X0)));
	/* ... and time is the host's. */
	CHECK(regs()[A0] < 1ul << 61);
	csr_write(CSR_SCOUNTEREN, CY | IR);
	CHECK_TRAP(RUN(IN_HU, CSRRS(A0, CSR_TIME, X0)), AT_M, EXC_ILLEGAL, code_addr(IN_HU, 0),
		   CSRRS(A0, CSR_TIME, X0));
}

/* [CSR-5] */
static void own_registers(void)
{
	test("[CSR-5] scounteren of a DV guest is huvscounteren");
	usual_world();
	csr_write(CSR_SCOUNTEREN, 7);
	csr_write(CSR_HUVSCOUNTEREN, 2);
	regs()[A1] = 5;
	CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_SCOUNTEREN, A1)));
	CHECK_EQ(regs()[A0], 2);
	CHECK_EQ(csr_read(CSR_HUVSCOUNTEREN), 5);
	CHECK_EQ(csr_read(CSR_SCOUNTEREN), 7);
	regs()[A1] = ~0ul;
	CHECK_DONE(RUN(IN_DVS, CSRRC(A0, CSR_SCOUNTEREN, A1)));
	CHECK_EQ(csr_read(CSR_HUVSCOUNTEREN), 0);
	CHECK_EQ(csr_read(CSR_SCOUNTEREN), 7);
	CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SCOUNTEREN, A1)));
	csr_write(CSR_HCOUNTEREN, ~0ul);
	CHECK_EQ(csr_read(CSR_HUVSCOUNTEREN), csr_read(CSR_HCOUNTEREN));
	CHECK_EQ(csr_read(CSR_SCOUNTEREN), 7);

	test("[CSR-5] senvcfg of a DV guest is huvsenvcfg");
	usual_world();
	csr_write(CSR_SENVCFG, ENVCFG_CBCFE);
	csr_write(CSR_HUVSENVCFG, ENVCFG_FIOM);
	regs()[A1] = ENVCFG_CBZE | ENVCFG_CBIE;
	CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_SENVCFG, A1)));
	CHECK_EQ(regs()[A0], ENVCFG_FIOM);
	CHECK_EQ(csr_read(CSR_HUVSENVCFG), ENVCFG_CBZE | ENVCFG_CBIE);
	CHECK_EQ(csr_read(CSR_SENVCFG), ENVCFG_CBCFE);
	regs()[A1] = ~0ul;
	CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SENVCFG, A1)));
	CHECK_EQ(csr_read(CSR_HUVSENVCFG), 0xf1);
	CHECK_EQ(csr_read(CSR_SENVCFG), ENVCFG_CBCFE);

	test("[CSR-5] a plain guest has the host's, as ever");
	usual_world();
	csr_write(CSR_HUVSCOUNTEREN, 2);
	csr_write(CSR_SCOUNTEREN, 7);
	regs()[A1] = 1;
	CHECK_DONE(RUN(IN_VS, CSRRW(A0, CSR_SCOUNTEREN, A1)));
	CHECK_EQ(regs()[A0], 7);
	CHECK_EQ(csr_read(CSR_SCOUNTEREN), 1);
	CHECK_EQ(csr_read(CSR_HUVSCOUNTEREN), 2);
	csr_write(CSR_HUVSENVCFG, ENVCFG_FIOM);
	CHECK_DONE(RUN(IN_VS, CSRRW(A0, CSR_SENVCFG, X0)));
	CHECK_EQ(csr_read(CSR_HUVSENVCFG), ENVCFG_FIOM);

	test("[CSR-5] [CSR-1] the VS CSRs keep their H-extension meaning in the guest");
	usual_world();
	regs()[A1] = 0x12345678;
	CHECK_DONE(RUN(IN_DVS, CSRRW(X0, CSR_SSCRATCH, A1), CSRRW(X0, CSR_SEPC, A1),
		       CSRRW(X0, CSR_STVAL, A1), CSRRWI(X0, CSR_SCAUSE, 12),
		       CSRRW(X0, CSR_STVEC, A1)));
	CHECK_EQ(csr_read(CSR_HUVSSCRATCH), 0x12345678);
	CHECK_EQ(csr_read(CSR_HUVSEPC), 0x12345678);
	CHECK_EQ(csr_read(CSR_HUVSTVAL), 0x12345678);
	CHECK_EQ(csr_read(CSR_HUVSCAUSE), 12);
	CHECK_EQ(csr_read(CSR_HUVSTVEC), 0x12345678);
	CHECK_EQ(csr_read(CSR_SEPC), 0);
	CHECK_EQ(csr_read(CSR_STVEC), (u64)hs_trap);
}

#define CBO_ZERO(rs1) CBO(4, rs1)
static u8 block[4096] __attribute__((aligned(4096)));

static void cache_blocks(void)
{
	for (unsigned int n = 0; n < 16; n++) {
		bool h = n & 1, vs = n & 2, s = n & 4;
		enum mode mode = n & 8 ? IN_DVU : IN_DVS;
		bool ok = h && (mode == IN_DVS || vs);
		const struct outcome *o;

		test("[CSR-5] [TIME-1] cbo.zero in %s: henvcfg %d huvsenvcfg %d senvcfg %d",
		     mode_name[mode], h, vs, s);
		usual_world();
		csr_write(CSR_HENVCFG, h ? ENVCFG_CBZE : 0);
		csr_write(CSR_HUVSENVCFG, vs ? ENVCFG_CBZE : 0);
		csr_write(CSR_SENVCFG, s ? ENVCFG_CBZE : 0);
		block[0] = 0x55;
		regs()[A1] = at(mode, block);
		o = RUN(mode, CBO_ZERO(A1));
		if (ok)
			CHECK_DONE(o);
		else
			CHECK_TRAP(o, AT_HU, EXC_VIRTUAL, code_addr(mode, 0), CBO_ZERO(A1));
		CHECK_EQ(((volatile u8 *)block)[0], ok ? 0 : 0x55);
	}
	test("[CSR-5] cbo.zero in HU follows senvcfg");
	usual_world();
	csr_write(CSR_HUVSENVCFG, ENVCFG_CBZE);
	regs()[A1] = at(IN_HU, block);
	CHECK_TRAP(RUN(IN_HU, CBO_ZERO(A1)), AT_M, EXC_ILLEGAL, code_addr(IN_HU, 0), CBO_ZERO(A1));
	csr_write(CSR_SENVCFG, ENVCFG_CBZE);
	csr_write(CSR_HUVSENVCFG, 0);
	CHECK_DONE(RUN(IN_HU, CBO_ZERO(A1)));
}

/* ---- time ---- */

static u64 now(void)
{
	return csr_read(CSR_TIME);
}

static void guest_time(void)
{
	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		static const u64 deltas[] = {0, 1ul << 40, ~0ul << 20, 1ul << 63};

		test("[TIME-1] time in %s is time + hutimedelta", mode_name[mode]);
		for (unsigned int i = 0; i < ARRAY_SIZE(deltas); i++) {
			u64 before, after;

			usual_world();
			csr_write(CSR_HTIMEDELTA, 1ul << 50);
			csr_write(CSR_HUTIMEDELTA, deltas[i]);
			before = now();
			CHECK_DONE(RUN(mode, CSRRS(A0, CSR_TIME, X0)));
			after = now();
			CHECK(regs()[A0] - deltas[i] - before <= after - before);
		}
	}
	test("[EN-1] time in a plain guest is time + htimedelta");
	usual_world();
	csr_write(CSR_HTIMEDELTA, 1ul << 50);
	csr_write(CSR_HUTIMEDELTA, 1ul << 40);
	u64 before = now();

	CHECK_DONE(RUN(IN_VS, CSRRS(A0, CSR_TIME, X0)));
	CHECK(regs()[A0] - (1ul << 50) - before <= now() - before);
}

#define FAR (1ul << 40)
/* In ticks, much less than it takes to wake a thread of the emulator's; and how often. */
#define SHORT_WAIT 50
#define SHORT_WAITS 100

static bool vstip(void)
{
	return csr_read(CSR_HIP) & HUVIP_VSTIP;
}

static void guest_timer(void)
{
	test("[TIME-1] VSTIP compares with hutimedelta, also while V=0");
	usual_world();
	csr_write(CSR_HTIMEDELTA, 2 * FAR);
	set_en(true);
	csr_write(CSR_HUTIMEDELTA, FAR);
	csr_write(CSR_HUVSTIMECMP, FAR + now() + (1ul << 35));
	CHECK(!vstip());
	csr_write(CSR_HUVSTIMECMP, FAR + now());
	CHECK(vstip());
	/* An interrupt of vstimecmp is not a bit of huvip. */
	CHECK_EQ(csr_read(CSR_HUVIP), 0);
	csr_write(CSR_HUTIMEDELTA, 0);
	CHECK(!vstip());
	csr_write(CSR_HUTIMEDELTA, 2 * FAR);
	CHECK(vstip());
	csr_write(CSR_HUVSTIMECMP, ~0ul);
	CHECK(!vstip());

	test("[TIME-1] VSTIP follows EN: hutimedelta or htimedelta");
	usual_world();
	csr_write(CSR_HTIMEDELTA, 2 * FAR);
	csr_write(CSR_VSTIMECMP, FAR);
	CHECK(vstip());
	set_en(true);
	CHECK(!vstip());
	csr_write(CSR_HTIMEDELTA, 0);
	csr_write(CSR_HUTIMEDELTA, FAR);
	CHECK(vstip());
	csr_write(CSR_HTIMEDELTA, 3 * FAR);
	CHECK(vstip());
	csr_write(CSR_HTIMEDELTA, 0);
	set_en(false);
	CHECK(!vstip());

	test("[TIME-1] VSTIP becomes pending when its time comes, in V=0");
	usual_world();
	set_en(true);
	csr_write(CSR_HUTIMEDELTA, FAR);
	u64 due = now() + 20000;
	csr_write(CSR_HUVSTIMECMP, FAR + due);
	bool early = vstip();
	/* Unless the machine below was away for so long. */
	CHECK(!early || now() >= due);
	for (u64 end = now() + 1000000; now() < end && !vstip();)
		;
	CHECK(vstip());

	test("[TIME-1] VSTIP is pending once time has shown that it is due, in V=0");
	usual_world();
	set_en(true);
	csr_write(CSR_HUTIMEDELTA, FAR);
	for (unsigned int i = 0; i < SHORT_WAITS; i++) {
		u64 end = now() + SHORT_WAIT;

		csr_write(CSR_HUVSTIMECMP, FAR + end);
		while (now() < end)
			;
		CHECK(vstip());
	}

	test("[TIME-1] VSTIP is pending once time has shown that it is due, in DV VS");
	usual_world();
	set_en(true);
	csr_write(CSR_HUTIMEDELTA, FAR);
	for (unsigned int i = 0; i < SHORT_WAITS; i++) {
		regs()[A1] = FAR + now() + SHORT_WAIT;
		csr_write(CSR_HUVSTIMECMP, regs()[A1]);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_TIME, X0), BLTU(A0, A1, -4),
			       CSRRS(A2, CSR_SIP, X0)));
		CHECK(regs()[A2] & 1ul << IRQ_STI);
	}

	test("STIP is pending once time has shown that it is due");
	usual_world();
	csr_write(CSR_MENVCFG, csr_read(CSR_MENVCFG) | ENVCFG_STCE);
	for (unsigned int i = 0; i < SHORT_WAITS; i++) {
		u64 end = now() + SHORT_WAIT;

		csr_write(CSR_STIMECMP, end);
		while (now() < end)
			;
		CHECK(csr_read(CSR_MIP) & 1ul << IRQ_STI);
	}
	csr_write(CSR_STIMECMP, ~0ul);

	test("[TIME-1] without henvcfg.STCE vstimecmp does nothing");
	usual_world();
	set_en(true);
	csr_write(CSR_HENVCFG, 0);
	csr_write(CSR_HUVSTIMECMP, 0);
	CHECK(!vstip());
	csr_write(CSR_HENVCFG, ENVCFG_STCE);
	CHECK(vstip());

	test("[TIME-1] a guest's timer that is enabled ends the host's wfi");
	usual_world();
	csr_write(CSR_HIDELEG, ~0ul);
	csr_write(CSR_HENVCFG, ENVCFG_STCE);
	csr_write(CSR_HTIMEDELTA, 0);
	csr_write(CSR_HIE, 0x444);
	u64 wake = csr_read(CSR_TIME) + 100000;
	csr_write(CSR_VSTIMECMP, wake);
	CHECK_DONE(RUN(IN_HS, WFI, NOP));
	CHECK(csr_read(CSR_TIME) >= wake);
}

/* ---- virtual interrupts ---- */

static const struct {
	const char *name;
	u64 vip;
	u64 cause;
} interrupts[] = {
	{"VSSI", HUVIP_VSSIP, IRQ_SSI},
	{"VSTI", HUVIP_VSTIP, IRQ_STI},
	{"VSEI", HUVIP_VSEIP, IRQ_SEI},
};

static void injected(void)
{
	static const u64 hideleg[] = {0, ~0ul};

	for (unsigned int i = 0; i < 12; i++) {
		unsigned int n = i % 3;
		enum mode mode = i / 6 ? IN_DVU : IN_DVS;
		u64 deleg = hideleg[i / 3 & 1];
		const struct outcome *o;

		test("[IE-1] huvip injects %s into %s, hideleg %lx", interrupts[n].name,
		     mode_name[mode], deleg);
		usual_world();
		csr_write(CSR_HIDELEG, deleg);
		/* sret from the guest itself: enabled all at once. */
		put_code((const u32[]){NOP, NOP}, 2);
		set_en(true);
		regs()[A1] = interrupts[n].vip;
		CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUVIP, A1)));
		regs()[A1] = interrupts[n].vip >> 1;
		CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUVSIE, A1)));
		put_code((const u32[]){NOP, NOP}, 2);
		/* Disabled: nothing happens in VS; VU cannot disable. */
		csr_write(CSR_HUVSSTATUS, 0);
		o = run_at(mode, code_addr(mode, 0));
		if (mode == IN_DVS)
			CHECK_DONE(o);
		else
			CHECK_TRAP(o, AT_VS, CAUSE_INTERRUPT | interrupts[n].cause,
				   code_addr(mode, 0), 0);
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		o = run_at(mode, code_addr(mode, 0));
		CHECK_TRAP(o, AT_VS, CAUSE_INTERRUPT | interrupts[n].cause, code_addr(mode, 0), 0);
		CHECK_EQ(!!(o->vsstatus & MSTATUS_SPP), mode == IN_DVS);
		CHECK(o->vsstatus & MSTATUS_SPIE);
		/* Masked in vsie */
		csr_write(CSR_HUVSIE, 0x222 & ~(interrupts[n].vip >> 1));
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		CHECK_DONE(run_at(mode, code_addr(mode, 0)));
	}

	test("[IE-1] VS-level interrupts do not touch V=0");
	usual_world();
	set_en(true);
	csr_write(CSR_HIDELEG, 0);
	regs()[A1] = HUVIP_MASK;
	CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUVIP, A1)));
	csr_write(CSR_HUVSIE, 0x222);
	CHECK_DONE(RUN(IN_HU, NOP, NOP));
	CHECK_DONE(RUN(IN_HS, CSRRSI(X0, CSR_SSTATUS, MSTATUS_SIE), NOP, NOP));

	test("[EN-1] with EN=0 and hideleg=0 they are HS-mode's");
	usual_world();
	csr_write(CSR_HIE, 0x444);
	csr_write(CSR_HVIP, HUVIP_VSSIP);
	CHECK_EQ(RUN(IN_U, NOP, NOP)->where, AT_HS);
	CHECK_EQ(csr_read(CSR_SCAUSE), CAUSE_INTERRUPT | IRQ_VSSI);
}

/* Whose interrupts they are may change while they are pending. */
static void changed_owner(void)
{
	const struct outcome *o;

	test("[EN-1] VS-level interrupts become HS-mode's while pending, by hideleg");
	usual_world();
	csr_write(CSR_HIE, 0x444);
	csr_write(CSR_HIDELEG, ~0ul);
	csr_write(CSR_HVIP, HUVIP_VSSIP);
	csr_write(CSR_STIMECMP, ~0ul);
	CHECK_DONE(RUN(IN_HS, CSRRSI(X0, CSR_SSTATUS, MSTATUS_SIE), NOP, NOP));
	CHECK_EQ(csr_read(CSR_MIP), HUVIP_VSSIP);
	o = RUN(IN_HS, CSRRSI(X0, CSR_SSTATUS, MSTATUS_SIE), CSRRW(X0, CSR_HIDELEG, X0), NOP, NOP);
	CHECK_TRAP(o, AT_HS, CAUSE_INTERRUPT | IRQ_VSSI, code_addr(IN_HS, 2), 0);

	test("[EN-1] VS-level interrupts become HS-mode's while pending, by EN");
	usual_world();
	csr_write(CSR_HIDELEG, 0);
	set_en(true);
	csr_write(CSR_HIE, 0x444);
	csr_write(CSR_HVIP, HUVIP_VSSIP);
	CHECK_DONE(RUN(IN_HU, NOP, NOP));
	set_en(false);
	CHECK_EQ(RUN(IN_U, NOP, NOP)->where, AT_HS);
	CHECK_EQ(csr_read(CSR_SCAUSE), CAUSE_INTERRUPT | IRQ_VSSI);
}

void test_main(void)
{
	counter_access();
	stimecmp_access();
	hu_counters();
	own_registers();
	cache_blocks();
	guest_time();
	guest_timer();
	injected();
	changed_owner();
}
