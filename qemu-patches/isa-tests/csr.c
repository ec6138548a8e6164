// SPDX-License-Identifier: GPL-2.0-or-later
/* The CSRs of Xdv: who may access them, what they hold, what they are aliases of. */
#include <isatest.h>

struct csr {
	const char *name;
	unsigned int number;
	u64 sample; /* a legal value */
	u64 mask;   /* the bits that a write of all ones leaves set */
	bool exits; /* an exit writes it */
	bool hs;    /* HS level */
	u64 fixed;  /* bits that cannot be cleared */
};

#define ALL (~0ul)

static const struct csr own[] = {
	{"hdvctl", CSR_HDVCTL, 0x12340000, 0xffff0001, false, true, 0},
	{"hustatus", CSR_HUSTATUS, 0x500140, 0x7001c0, true, false, 0},
	{"huedeleg", CSR_HUEDELEG, 0x0b104, 0x4b15d, false, false, 0},
	{"hutvec", CSR_HUTVEC, 0x1080001230, ~3ul, false, false, 0},
	{"huscratch", CSR_HUSCRATCH, 0xfedcba9876543211, ALL, false, false, 0},
	{"huepc", CSR_HUEPC, 0xf000000180001232, ~1ul, true, false, 0},
	{"hucause", CSR_HUCAUSE, 0x15, 0x3f, true, false, 0},
	{"hutval", CSR_HUTVAL, 0xfedcba9876543213, ALL, true, false, 0},
	{"hugpa", CSR_HUGPA, 0xfedcba9876543215, ALL, true, false, 0},
	{"hutinst", CSR_HUTINST, 0xfedcba9876543217, ALL, true, false, 0},
	{"hugatp", CSR_HUGATP, 0x8000023456789abc, 0, false, false, 0},
	{"hutimedelta", CSR_HUTIMEDELTA, 0xfedcba9876543219, ALL, false, false, 0},
	{"hucounteren", CSR_HUCOUNTEREN, 5, 0, false, false, 0},
	{"huvip", CSR_HUVIP, 0x440, 0x444, false, false, 0},
	{"hudoorbell", CSR_HUDOORBELL, 0, 1, false, false, 0},
	{"huvscounteren", CSR_HUVSCOUNTEREN, 3, 0, false, false, 0},
	{"huvsenvcfg", CSR_HUVSENVCFG, 0x41, 0xf1, false, false, 0},
};

struct alias {
	const char *name;
	unsigned int number, target;
	u64 sample;
	u64 mask;  /* the bits that are an alias */
	u64 fixed; /* bits that cannot be cleared */
};

static const struct alias aliases[] = {
	{"huvsstatus", CSR_HUVSSTATUS, CSR_VSSTATUS, 0x2000c0122, ALL, MSTATUS_UXL &(2ul << 32)},
	{"huvsie", CSR_HUVSIE, CSR_VSIE, 0x202, ALL, 0},
	{"huvstvec", CSR_HUVSTVEC, CSR_VSTVEC, 0xffffffc012345679, ALL, 0},
	{"huvsscratch", CSR_HUVSSCRATCH, CSR_VSSCRATCH, 0x123456789abcdef1, ALL, 0},
	{"huvsepc", CSR_HUVSEPC, CSR_VSEPC, 0x123456789abcdef2, ALL, 0},
	{"huvscause", CSR_HUVSCAUSE, CSR_VSCAUSE, 0x800000000000000b, ALL, 0},
	{"huvstval", CSR_HUVSTVAL, CSR_VSTVAL, 0x123456789abcdef5, ALL, 0},
	{"huvstimecmp", CSR_HUVSTIMECMP, CSR_VSTIMECMP, 0x123456789abcdef7, ALL, 0},
	{"huvsatp", CSR_HUVSATP, CSR_VSATP, 0x9abcd23456789abc, ALL, 0},
	{"huvip", CSR_HUVIP, CSR_HVIP, 0x404, 0x444, 0},
};

static u64 reset_hdvctl, reset_hudoorbell;

void at_reset(void)
{
	reset_hdvctl = csr_read(CSR_HDVCTL);
	reset_hudoorbell = csr_read(CSR_HUDOORBELL);
}

static void reset_values(void)
{
	test("[CSR-2] [EN-1] reset values");
	CHECK_EQ(reset_hdvctl, 0);
	CHECK_EQ(reset_hudoorbell, 0);
}

/* All forms of a CSR access: a read, and writes with all opcodes. */
static const u32 forms[] = {
	CSRRS(A0, 0, X0), CSRRW(X0, 0, A1), CSRRW(A0, 0, A1), CSRRS(A0, 0, A1), CSRRC(A0, 0, A1),
	CSRRC(A0, 0, X0), CSRRWI(X0, 0, 0), CSRRSI(A0, 0, 1), CSRRCI(A0, 0, 1), CSRRSI(A0, 0, 0),
};

static void expect_refused(const struct outcome *o, enum mode mode, enum where where, u64 cause,
			   u32 insn)
{
	CHECK_TRAP(o, where, cause, code_addr(mode, 0), insn);
	CHECK_EQ(o->x[A0], 0x5a5a);
	if (where == AT_HU) {
		CHECK_EQ(o->gpa, 0);
		CHECK_EQ(o->tinst, 0);
	}
}

static void refuse(const struct csr *c, enum mode mode, enum where where, u64 cause)
{
	test("[CSR-%d] %s from %s: cause %lu", c->hs ? 3 : 1, c->name, mode_name[mode], cause);
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		u32 insn = forms[i] | c->number << 20;
		bool dv = mode == IN_DVS || mode == IN_DVU;

		usual_world();
		csr_write(CSR_HIDELEG, 0x444);
		note("form %u", i);
		/* Kept out of the way of what makes the guest run. */
		if (mode < IN_DVS ||
		    (c->number != CSR_HUTVEC && c->number != CSR_HUGATP &&
		     c->number != CSR_HUVSATP))
			write_csr(c->number, c->sample);
		u64 before = read_csr(c->number);

		if (dv)
			before |= c->hs ? HDVCTL_EN : 0;
		if (c->hs && mode == IN_HU)
			before |= HDVCTL_EN;
		regs()[A0] = 0x5a5a;
		regs()[A1] = ALL;
		expect_refused(RUN(mode, insn), mode, where, cause, insn);
		if (!dv || !c->exits)
			CHECK_EQ(read_csr(c->number), before);
	}
}

static void allow(const struct csr *c, enum mode mode)
{
	const struct outcome *o;
	u64 other = c->sample & (c->sample - 1);

	test("[CSR-1] %s from %s", c->name, mode_name[mode]);
	usual_world();
	csr_write(CSR_HIDELEG, 0x444);
	write_csr(c->number, c->sample);
	/* Entering HU-mode sets EN. */
	u64 now = c->sample;

	o = RUN(mode, CSRRS(A0, c->number, X0));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], now);

	regs()[A1] = other;
	o = RUN(mode, CSRRW(A0, c->number, A1));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], now);
	CHECK_EQ(read_csr(c->number), other);

	regs()[A1] = c->sample;
	o = RUN(mode, CSRRS(A0, c->number, A1));
	CHECK_EQ(o->x[A0], other);
	CHECK_EQ(read_csr(c->number), c->sample | other);

	regs()[A1] = other;
	o = RUN(mode, CSRRC(A0, c->number, A1));
	CHECK_EQ(o->x[A0], c->sample | other);
	CHECK_EQ(read_csr(c->number), (c->sample & ~other) | c->fixed);
}

static void access_of(const struct csr *c)
{
	refuse(c, IN_U, AT_M, EXC_ILLEGAL);
	if (c->hs)
		refuse(c, IN_HU, AT_M, EXC_ILLEGAL);
	refuse(c, IN_DVS, AT_HU, EXC_VIRTUAL);
	refuse(c, IN_DVU, AT_HU, EXC_VIRTUAL);
	refuse(c, IN_VS, AT_M, EXC_VIRTUAL);
	refuse(c, IN_VU, AT_M, EXC_VIRTUAL);
	allow(c, IN_M);
	allow(c, IN_HS);
	if (!c->hs)
		allow(c, IN_HU);
}

static void fields_of(const struct csr *c)
{
	u64 mask = c->mask;

	test("[CSR-2] %s holds no bit but its own", c->name);
	usual_world();
	if (c->number == CSR_HUCOUNTEREN || c->number == CSR_HUVSCOUNTEREN) {
		csr_write(CSR_HCOUNTEREN, ALL);
		mask = csr_read(CSR_HCOUNTEREN);
		CHECK_EQ(mask & 7, 7);
	}
	if (c->number == CSR_HUGATP)
		return;
	write_csr(c->number, ALL);
	CHECK_EQ(read_csr(c->number), mask);
	write_csr(c->number, 0);
	CHECK_EQ(read_csr(c->number), 0);
	for (unsigned int bit = 0; bit < 64; bit++) {
		write_csr(c->number, 1ul << bit);
		/* CBIE = 2 is reserved. */
		if (c->number == CSR_HUVSENVCFG && bit == 5)
			CHECK(read_csr(c->number) != 1ul << bit);
		else
			CHECK_EQ(read_csr(c->number), mask & 1ul << bit);
		write_csr(c->number, 0);
	}
	write_csr(CSR_HDVCTL, 0);
}

static void hugatp_fields(void)
{
	const u64 good = 8ul << 60 | 0x12345678;

	for (unsigned int mode = 0; mode < 16; mode++) {
		u64 value = (u64)mode << 60 | 0xabcdef01230;
		bool legal = mode == 0 || (mode >= ATP_39 && mode <= ATP_57);

		test("[CSR-4] hugatp.MODE = %u is %s", mode, legal ? "held" : "ignored");
		usual_world();
		csr_write(CSR_HUGATP, good);
		CHECK_EQ(csr_read(CSR_HUGATP), good);
		csr_write(CSR_HUGATP, value);
		CHECK_EQ(csr_read(CSR_HUGATP), legal ? value : good);
		/* ... from where it matters */
		csr_write(CSR_HUGATP, good);
		regs()[A1] = value;
		CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUGATP, A1)));
		CHECK_EQ(csr_read(CSR_HUGATP), legal ? value : good);
	}
	test("[CSR-2] hugatp holds MODE and VPN only");
	csr_write(CSR_HUGATP, 10ul << 60 | ((1ul << 60) - 1));
	CHECK_EQ(csr_read(CSR_HUGATP), 10ul << 60 | 0xffffffffffc);
	csr_write(CSR_HUGATP, 3);
	CHECK_EQ(csr_read(CSR_HUGATP), 0);
}

static void alias_access(const struct alias *a)
{
	struct csr c = {a->name, a->number, a->sample, 0, false, false, a->fixed};

	access_of(&c);
}

/* Writes to one show in the other, and each is as picky as the other. */
static void alias_is_one(const struct alias *a)
{
	static const u64 patterns[] = {
		0,   ALL, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x1,
		0x2, 0x3, 1ul << 63,          8ul << 60 | 1,      7ul << 60 | 5};

	test("[CSR-2] %s is the H extension's register", a->name);
	usual_world();
	set_en(true);
	for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
		u64 direct, through;

		note("value %lx", patterns[i]);
		write_csr(a->target, a->sample);
		CHECK_EQ(read_csr(a->number), a->sample);
		write_csr(a->target, patterns[i]);
		direct = read_csr(a->target) & a->mask;
		CHECK_EQ(read_csr(a->number), direct);
		write_csr(a->target, a->sample);
		write_csr(a->number, patterns[i]);
		through = read_csr(a->target) & a->mask;
		CHECK_EQ(through, direct);
		CHECK_EQ(read_csr(a->number), direct);
		/* HU-mode gets the same legalization. */
		write_csr(a->target, a->sample);
		regs()[A1] = patterns[i];
		if (a->number != CSR_HUVSATP) {
			CHECK_DONE(RUN(IN_HU, CSRRW(X0, a->number, A1)));
			CHECK_EQ(read_csr(a->target) & a->mask, direct);
		}
	}
}

#define VSSTATUS_MASK                                                                              \
	(MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR |       \
	 MSTATUS_SD | MSTATUS_UXL)

static void vsstatus_fields(unsigned int csr, enum mode mode, const char *what)
{
	static const u64 foreign[] = {MSTATUS_MPRV, MSTATUS_TSR,  MSTATUS_TW,  MSTATUS_TVM,
				      MSTATUS_MIE,  MSTATUS_MPIE, MSTATUS_MPP, MSTATUS_MPV,
				      MSTATUS_GVA,  MSTATUS_SXL,  ALL};

	test("[CSR-2] %s accepts no foreign bit, and mstatus is unharmed", what);
	for (unsigned int i = 0; i < ARRAY_SIZE(foreign); i++) {
		const struct outcome *o;
		u64 before, got;

		note("bits %lx", foreign[i]);
		usual_world();
		before = csr_read(CSR_MSTATUS);
		regs()[A1] = foreign[i];
		o = RUN(mode, CSRRW(X0, csr, A1));
		CHECK_DONE(o);
		got = csr_read(CSR_VSSTATUS);
		/* UXL is WARL: 2 is all this hart can do. */
		CHECK_EQ(got & ~VSSTATUS_MASK, 0);
		CHECK_EQ(got >> 32 & 3, 2);
		if (foreign[i] == ALL)
			CHECK_EQ(got & ~MSTATUS_UXL, VSSTATUS_MASK & ~MSTATUS_UXL);
		/* Into the guest and out of it: the state it swaps must be its own. */
		csr_write(CSR_VSSTATUS, foreign[i] == ALL ? ALL : got);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SSTATUS, X0)));
		CHECK_EQ(regs()[A0] & ~(VSSTATUS_MASK), 0);
		CHECK_EQ((csr_read(CSR_MSTATUS) ^ before) &
				 ~(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MPV | MSTATUS_GVA |
				   MSTATUS_SPP | MSTATUS_FS | MSTATUS_SD),
			 0);
		csr_write(CSR_VSSTATUS, 1ul << 13);
	}
}

static void vsstatus(void)
{
	vsstatus_fields(CSR_HUVSSTATUS, IN_HU, "huvsstatus");
	vsstatus_fields(CSR_VSSTATUS, IN_HS, "vsstatus");
	vsstatus_fields(CSR_SSTATUS, IN_DVS, "sstatus of the guest");
}

static void senvcfg_reserved(void)
{
	test("[CSR-2] huvsenvcfg.CBIE never holds 2");
	usual_world();
	csr_write(CSR_HUVSENVCFG, 0x30);
	CHECK_EQ(csr_read(CSR_HUVSENVCFG), 0x30);
	csr_write(CSR_HUVSENVCFG, 0x20);
	CHECK((csr_read(CSR_HUVSENVCFG) & 0x30) != 0x20);
	csr_write(CSR_HUVSENVCFG, 0x10);
	CHECK_EQ(csr_read(CSR_HUVSENVCFG), 0x10);
	csr_write(CSR_HUVSENVCFG, 0x20);
	CHECK((csr_read(CSR_HUVSENVCFG) & 0x30) != 0x20);
	csr_write(CSR_HUVSENVCFG, 0);
	regs()[A1] = 0x20;
	CHECK_DONE(RUN(IN_DVS, CSRRW(X0, CSR_SENVCFG, A1)));
	CHECK((csr_read(CSR_HUVSENVCFG) & 0x30) != 0x20);
}

/* What HU-mode can put into hvip is what a hypervisor may inject, no more. */
static void huvip_mask(void)
{
	test("[CSR-2] huvip reaches no other bit of hvip");
	usual_world();
	csr_write(CSR_HVIP, ALL);
	u64 all = csr_read(CSR_HVIP);

	regs()[A1] = 0;
	CHECK_DONE(RUN(IN_HU, CSRRW(A0, CSR_HUVIP, A1)));
	CHECK_EQ(regs()[A0], 0x444);
	CHECK_EQ(csr_read(CSR_HVIP), all & ~0x444ul);
	csr_write(CSR_HVIP, 0);
	regs()[A1] = ALL;
	CHECK_DONE(RUN(IN_HU, CSRRS(A0, CSR_HUVIP, A1)));
	CHECK_EQ(regs()[A0], 0);
	CHECK_EQ(csr_read(CSR_HVIP), 0x444);
	CHECK_EQ(csr_read(CSR_HIP) & 0x444, 0x444);
	CHECK_EQ(csr_read(CSR_MIP) & ~0x80ul, 0x444);
	CHECK_DONE(RUN(IN_HU, CSRRC(A0, CSR_HUVIP, A1)));
	CHECK_EQ(csr_read(CSR_HVIP), 0);
}

static void hideleg_is_fixed(void)
{
	static const u64 hideleg[] = {0, ALL};

	for (unsigned int i = 0; i < 2; i++) {
		test("[IE-1] huvsie holds the three, hideleg = %lx", hideleg[i]);
		usual_world();
		csr_write(CSR_HIDELEG, hideleg[i]);
		regs()[A1] = ALL;
		CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUVSIE, A1)));
		CHECK_EQ(csr_read(CSR_HUVSIE), 0x222);
		CHECK_EQ(csr_read(CSR_VSIE), 0x222);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIE, X0)));
		CHECK_EQ(regs()[A0], 0x222);
		regs()[A1] = ALL;
		CHECK_DONE(RUN(IN_DVS, CSRRC(A0, CSR_SIE, A1)));
		CHECK_EQ(csr_read(CSR_HUVSIE), 0);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIE, A1)));
		CHECK_EQ(csr_read(CSR_HUVSIE), 0x222);

		test("[IE-1] the guest's sip shows the three, hideleg = %lx", hideleg[i]);
		csr_write(CSR_HUVSIE, 0);
		csr_write(CSR_HUVIP, 0x444);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIP, X0)));
		CHECK_EQ(regs()[A0], 0x222);
		CHECK_EQ(csr_read(CSR_VSIP), 0x222);
		/* SSIP alone is the guest's to clear. */
		regs()[A1] = ALL;
		CHECK_DONE(RUN(IN_DVS, CSRRC(A0, CSR_SIP, A1)));
		CHECK_EQ(csr_read(CSR_HUVIP), 0x440);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIP, A1)));
		CHECK_EQ(csr_read(CSR_HUVIP), 0x444);
		CHECK_EQ(csr_read(CSR_MIP) & 0x222, 0);
	}
	test("[EN-1] with EN=0 vsie and vsip follow hideleg");
	usual_world();
	csr_write(CSR_HVIP, 0x444);
	csr_write(CSR_VSIE, ALL);
	CHECK_EQ(csr_read(CSR_VSIE), 0);
	CHECK_EQ(csr_read(CSR_VSIP), 0);
	csr_write(CSR_HIDELEG, 0x40);
	csr_write(CSR_VSIE, ALL);
	CHECK_EQ(csr_read(CSR_VSIE), 0x20);
	CHECK_EQ(csr_read(CSR_VSIP), 0x20);
}

static void without_aia(void)
{
	static const struct {
		const char *name;
		u32 insn;
	} reads[] = {
		{"[AIA-1] huvsiselect", CSRRS(A0, CSR_HUVSISELECT, X0)},
		{"[FILE-1] hufiles", CSRRS(A0, CSR_HUFILES, X0)},
		{"[FILE-1] hufilegpa", CSRRS(A0, CSR_HUFILEGPA, X0)},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(reads); i++) {
		for (enum mode mode = IN_HS; mode < MODES; mode++) {
			bool dv = mode == IN_DVS || mode == IN_DVU;

			test("%s in %s of a hart without AIA", reads[i].name, mode_name[mode]);
			usual_world();
			CHECK_TRAP(RUN(mode, reads[i].insn), dv ? AT_HU : AT_M, EXC_ILLEGAL,
				   code_addr(mode, 0), reads[i].insn);
		}
	}
}

void test_main(void)
{
	reset_values();
	for (unsigned int i = 0; i < ARRAY_SIZE(own); i++) {
		access_of(&own[i]);
		if (own[i].number != CSR_HUGATP)
			fields_of(&own[i]);
		without_aia();
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(aliases); i++) {
		alias_access(&aliases[i]);
		alias_is_one(&aliases[i]);
	}
	hugatp_fields();
	vsstatus();
	senvcfg_reserved();
	huvip_mask();
	hideleg_is_fixed();
}
