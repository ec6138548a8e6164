// SPDX-License-Identifier: GPL-2.0-or-later
/* Exceptions of a DV guest: who gets them, and what an exit records. */
#include <isatest.h>

/* Guest-virtual pages with nothing behind them. */
#define NO_GVA_OFFSET 0x2000000000ul /* no VS-stage translation */
#define NO_GPA_OFFSET 0x3000000000ul /* a gpa without stage-2 translation */
#define NO_GPA 0x00c0000000ul

struct exception {
	const char *name;
	u64 cause;
	u32 insn;
	u64 operand; /* of A1 */
	bool vs, vu; /* possible in */
	bool jump;   /* the pc of the trap is the operand */
	u64 tval;    /* TVAL_INSN, TVAL_PC, TVAL_OPERAND or 0 */
	bool gva;
	bool delegable;
	u64 gpa;
	u32 tinst;
};

#define TVAL_ZERO 0
#define TVAL_INSN 1
#define TVAL_PC 2
#define TVAL_OPERAND 3

static u64 cell[2] __attribute__((aligned(4096)));

/* .operand: relative to &cell as the mode sees it for the misaligned ones. */
#define OPERAND_CELL (1ul << 63)

static const struct exception exceptions[] = {
	{"illegal instruction", 2, 0xffffffff, 0, true, true, false, TVAL_INSN, false, true, 0, 0},
	{"breakpoint", 3, EBREAK, 0, true, true, false, TVAL_PC, true, true, 0, 0},
	{"load misaligned", 4, LR_D(A0, A1), OPERAND_CELL | 4, true, true, false, TVAL_OPERAND,
	 true, true, 0, LR_D(A0, X0)},
	{"AMO misaligned", 6, AMOADD_D(A0, A1, A2), OPERAND_CELL | 4, true, true, false,
	 TVAL_OPERAND, true, true, 0, AMOADD_D(A0, X0, A2)},
	{"ecall of VU", 8, ECALL, 0, false, true, false, TVAL_ZERO, false, true, 0, 0},
	{"ecall of VS", 10, ECALL, 0, true, false, false, TVAL_ZERO, false, false, 0, 0},
	{"fetch page fault", 12, JALR(X0, A1, 0), NO_GVA_OFFSET, true, true, true, TVAL_OPERAND,
	 true, true, 0, 0},
	{"load page fault", 13, LD(A0, A1, 0), NO_GVA_OFFSET + 8, true, true, false, TVAL_OPERAND,
	 true, true, 0, LD(A0, X0, 0)},
	{"store page fault", 15, SD(A2, A1, 0), NO_GVA_OFFSET + 16, true, true, false, TVAL_OPERAND,
	 true, true, 0, SD(A2, X0, 0)},
	{"AMO page fault", 15, AMOADD_D(A0, A1, A2), NO_GVA_OFFSET + 24, true, true, false,
	 TVAL_OPERAND, true, true, 0, AMOADD_D(A0, X0, A2)},
	{"fetch guest page fault", 20, JALR(X0, A1, 0), NO_GPA_OFFSET + 0x14, true, true, true,
	 TVAL_OPERAND, true, false, NO_GPA + 0x14, 0},
	{"load guest page fault", 21, LD(A0, A1, 0), NO_GPA_OFFSET + 0x28, true, true, false,
	 TVAL_OPERAND, true, false, NO_GPA + 0x28, LD(A0, X0, 0)},
	{"load guest page fault of an odd byte", 21, LB(A0, A1, 0), NO_GPA_OFFSET + 0x2f, true,
	 true, false, TVAL_OPERAND, true, false, NO_GPA + 0x2f, LB(A0, X0, 0)},
	{"virtual instruction", 22, CSRRS(A0, CSR_HSTATUS, X0), 0, true, true, false, TVAL_INSN,
	 false, false, 0, 0},
	{"store guest page fault", 23, SD(A2, A1, 0), NO_GPA_OFFSET + 0x30, true, true, false,
	 TVAL_OPERAND, true, false, NO_GPA + 0x30, SD(A2, X0, 0)},
	{"store guest page fault of an odd byte", 23, SB(A2, A1, 0), NO_GPA_OFFSET + 0x31, true,
	 true, false, TVAL_OPERAND, true, false, NO_GPA + 0x31, SB(A2, X0, 0)},
	{"AMO guest page fault", 23, AMOADD_D(A0, A1, A2), NO_GPA_OFFSET + 0x38, true, true, false,
	 TVAL_OPERAND, true, false, NO_GPA + 0x38, AMOADD_D(A0, X0, A2)},
	{"lr guest page fault", 21, LR_D(A0, A1), NO_GPA_OFFSET + 0x40, true, true, false,
	 TVAL_OPERAND, true, false, NO_GPA + 0x40, LR_D(A0, X0)},
	{"sc guest page fault", 23, SC_D(A0, A1, A2), NO_GPA_OFFSET + 0x48, true, true, false,
	 TVAL_OPERAND, true, false, NO_GPA + 0x48, SC_D(A0, X0, A2)},
};

#define EXCEPTIONS ARRAY_SIZE(exceptions)

static const struct {
	u64 value;
	const char *name;
} delegations[] = {
	/* Bit 9 stays clear: by the ecall of its HS vector the library comes back to M-mode. */
	{0, "0"},
	{~0ul & ~(1ul << EXC_ECALL_S), "all ones"},
};

static void exception_world(enum mode mode)
{
	new_world(ATP_39, ATP_39, ATP_39);
	table_map(&world.guest, NO_GPA_OFFSET, NO_GPA, 0, mode == IN_DVU ? PTE_URWX : PTE_RWX);
}

struct hs_state {
	u64 scause, sepc, stval, htval, htinst, hstatus, sscratch, sstatus;
};

static struct hs_state hs_state(void)
{
	return (struct hs_state){
		csr_read(CSR_SCAUSE),   csr_read(CSR_SEPC),    csr_read(CSR_STVAL),
		csr_read(CSR_HTVAL),    csr_read(CSR_HTINST),  csr_read(CSR_HSTATUS),
		csr_read(CSR_SSCRATCH), csr_read(CSR_SSTATUS),
	};
}

static void mark_hs_state(void)
{
	csr_write(CSR_SCAUSE, 0x11);
	csr_write(CSR_SEPC, 0x12344);
	csr_write(CSR_STVAL, 0x1235);
	csr_write(CSR_HTVAL, 0x1236);
	csr_write(CSR_HTINST, 0x1237);
	csr_write(CSR_SSCRATCH, 0x1238);
	csr_write(CSR_HSTATUS, HSTATUS_SPVP | HSTATUS_GVA);
	csr_set(CSR_SSTATUS, MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SUM);
}

static u64 mark(unsigned int i)
{
	return 0xa5a5000000000000 + i * 0x010101;
}

static void mark_registers(const struct exception *e, u64 operand)
{
	for (unsigned int i = 1; i < 32; i++)
		regs()[i] = mark(i);
	if (e->operand)
		regs()[A1] = operand;
}

static void check_registers(const struct outcome *o, const struct exception *e, u64 operand)
{
	for (unsigned int i = 1; i < 32; i++)
		if (i != A1 || !e->operand)
			CHECK_EQ(o->x[i], mark(i));
	if (e->operand)
		CHECK_EQ(o->x[A1], operand);
}

static u64 expected_tval(const struct exception *e, u64 operand, u64 pc)
{
	switch (e->tval) {
	case TVAL_INSN:
		return e->insn;
	case TVAL_PC:
		return pc;
	case TVAL_OPERAND:
		return operand;
	default:
		return 0;
	}
}

static void check_exit_fields(const struct outcome *o, const struct exception *e, enum mode mode)
{
	u64 status = HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0) |
		(e->gva ? HUSTATUS_GVA : 0) | HUSTATUS_VTVM;

	CHECK_EQ(o->gpa, e->gpa);
	CHECK_EQ(o->tinst, e->tinst);
	CHECK_EQ(o->hustatus, status);
}

static void raise(const struct exception *e, enum mode mode, bool delegate, unsigned int deleg)
{
	u64 operand = e->operand & OPERAND_CELL ? at(mode, cell) + (e->operand & 7) : e->operand;
	const struct outcome *o;
	struct hs_state before, after;
	u64 pc;
	bool to_vs = delegate && e->delegable;

	test("[EXC-1] [EXIT-1] %s in %s, huedeleg %s, medeleg and hedeleg %s", e->name,
	     mode_name[mode], delegate ? "all ones" : "0", delegations[deleg].name);
	exception_world(mode);
	if (e->operand & OPERAND_CELL)
		operand = at(mode, cell) + (e->operand & 7);
	csr_write(CSR_MEDELEG, delegations[deleg].value);
	csr_write(CSR_HEDELEG, delegations[deleg].value);
	csr_write(CSR_HUEDELEG, delegate ? ~0ul : 0);
	csr_write(CSR_HUSTATUS, HUSTATUS_VTVM);
	csr_write(CSR_HUSCRATCH, 0x1239);
	mark_registers(e, operand);
	mark_hs_state();
	before = hs_state();
	put_code((const u32[]){e->insn, NOP}, 2);
	pc = e->jump ? operand : code_addr(mode, 0);
	o = run_at(mode, code_addr(mode, 0));
	after = hs_state();
	CHECK_TRAP(o, to_vs ? AT_VS : AT_HU, e->cause, pc, expected_tval(e, operand, pc));
	if (!to_vs)
		check_exit_fields(o, e, mode);
	else
		CHECK_EQ(!!(o->vsstatus & MSTATUS_SPP), mode == IN_DVS);
	check_registers(o, e, operand);
	CHECK_EQ(csr_read(CSR_HUSCRATCH), 0x1239);
	CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);
	/* With medeleg[8] the way back to M-mode leads through HS-mode. */
	if (!(delegations[deleg].value & 1 << EXC_ECALL_U)) {
		CHECK_EQ(o->mcause, EXC_ECALL_U);
		CHECK_EQ(o->mepc, at(IN_HU, hu_trap));
		CHECK_EQ(o->mstatus & (MSTATUS_MPV | MSTATUS_MPP), 0);
		CHECK_EQ(after.scause, before.scause);
		CHECK_EQ(after.sepc, before.sepc);
		CHECK_EQ(after.stval, before.stval);
		CHECK_EQ(after.htval, before.htval);
		CHECK_EQ(after.htinst, before.htinst);
		CHECK_EQ(after.hstatus, before.hstatus);
		CHECK_EQ(after.sscratch, before.sscratch);
		CHECK_EQ(after.sstatus, before.sstatus);
	} else {
		CHECK_EQ(o->scause, EXC_ECALL_U);
		CHECK_EQ(o->sepc, at(IN_HU, hu_trap));
		CHECK_EQ(o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
		CHECK_EQ(o->sstatus & MSTATUS_SPP, 0);
	}
}

static void every_exception(void)
{
	for (unsigned int i = 0; i < EXCEPTIONS; i++) {
		for (unsigned int how = 0; how < 8; how++) {
			enum mode mode = how & 1 ? IN_DVU : IN_DVS;

			if (mode == IN_DVS ? exceptions[i].vs : exceptions[i].vu)
				raise(&exceptions[i], mode, how & 2, how >> 2);
		}
	}
}

/* One bit of huedeleg at a time moves one exception and no other. */
static void each_bit_of_huedeleg(void)
{
	for (unsigned int i = 0; i < EXCEPTIONS; i++) {
		const struct exception *e = &exceptions[i];
		enum mode mode = e->vs ? IN_DVS : IN_DVU;

		test("[EXC-1] huedeleg has one bit for %s", e->name);
		for (unsigned int bit = 0; bit < 20; bit++) {
			u64 operand;
			bool to_vs = e->delegable && bit == e->cause;

			note("bit %u", bit);
			exception_world(mode);
			operand = e->operand & OPERAND_CELL ? at(mode, cell) + (e->operand & 7)
							    : e->operand;
			mark_registers(e, operand);
			csr_write(CSR_HUEDELEG, 1ul << bit);
			CHECK_EQ(RUN(mode, e->insn, NOP)->where, to_vs ? AT_VS : AT_HU);
		}
	}
}

/* ---- hutinst ---- */

struct memory_insn {
	const char *name;
	u32 insn, expect;
	u8 size; /* of the instruction */
	u8 base; /* register */
	bool store;
	u16 offset;
};

/* Compressed: the expansion with bit 1 cleared, as the spec of htinst says. */
#define COMPRESSED(insn) ((insn) & ~2u)
#define C_NOP 0x0001
#define RP(r) ((r)-8)
#define CL(op, rd, rs1, imm) ((op) | RP(rs1) << 7 | RP(rd) << 2 | (imm))

#define LOAD(name, f)                                                                              \
	{name, f(A0, A1, 0), f(A0, X0, 0), 4, A1, false, 0},                                       \
		{name " with an offset", f(A0, A1, 8), f(A0, X0, 0), 4, A1, false, 8},             \
	{                                                                                          \
		name " with a negative offset", f(A0, A1, -16), f(A0, X0, 0), 4, A1, false,        \
			(u16)-16                                                                   \
	}
#define STORE(name, f)                                                                             \
	{name, f(A2, A1, 0), f(A2, X0, 0), 4, A1, true, 0},                                        \
		{name " with an offset", f(A2, A1, 2040), f(A2, X0, 0), 4, A1, true, 2040},        \
	{                                                                                          \
		name " with a negative offset", f(A2, A1, -8), f(A2, X0, 0), 4, A1, true, (u16)-8  \
	}
#define ATOMIC(name, f5, w)                                                                        \
	{name, AMO(f5, w, A0, A1, A2), AMO(f5, w, A0, X0, A2), 4, A1, true, 0},                    \
	{                                                                                          \
		name ".aqrl", AMO(f5, w, A0, A1, A2) | 3 << 25, AMO(f5, w, A0, X0, A2) | 3 << 25,  \
			4, A1, true, 0                                                             \
	}

static const struct memory_insn accesses[] = {
	LOAD("lb", LB),
	LOAD("lh", LH),
	LOAD("lw", LW),
	LOAD("ld", LD),
	LOAD("lbu", LBU),
	LOAD("lhu", LHU),
	LOAD("lwu", LWU),
	LOAD("flh", FLH),
	LOAD("flw", FLW),
	LOAD("fld", FLD),
	STORE("sb", SB),
	STORE("sh", SH),
	STORE("sw", SW),
	STORE("sd", SD),
	STORE("fsh", FSH),
	STORE("fsw", FSW),
	STORE("fsd", FSD),
	{"lr.w", LR_W(A0, A1), LR_W(A0, X0), 4, A1, false, 0},
	{"lr.d", LR_D(A0, A1), LR_D(A0, X0), 4, A1, false, 0},
	{"sc.w", SC_W(A0, A1, A2), SC_W(A0, X0, A2), 4, A1, true, 0},
	{"sc.d", SC_D(A0, A1, A2), SC_D(A0, X0, A2), 4, A1, true, 0},
	ATOMIC("amoadd.w", 0, 2),
	ATOMIC("amoswap.w", 1, 2),
	ATOMIC("amoxor.w", 4, 2),
	ATOMIC("amoor.w", 8, 2),
	ATOMIC("amoand.w", 12, 2),
	ATOMIC("amomin.w", 16, 2),
	ATOMIC("amomax.w", 20, 2),
	ATOMIC("amominu.w", 24, 2),
	ATOMIC("amomaxu.w", 28, 2),
	ATOMIC("amoadd.d", 0, 3),
	ATOMIC("amoswap.d", 1, 3),
	ATOMIC("amoxor.d", 4, 3),
	ATOMIC("amoor.d", 8, 3),
	ATOMIC("amoand.d", 12, 3),
	ATOMIC("amomin.d", 16, 3),
	ATOMIC("amomax.d", 20, 3),
	ATOMIC("amominu.d", 24, 3),
	ATOMIC("amomaxu.d", 28, 3),
	ATOMIC("amoswap.b", 1, 0),
	ATOMIC("amoswap.h", 1, 1),
	ATOMIC("amocas.w", 5, 2),
	ATOMIC("amocas.d", 5, 3),
	{"c.lw", CL(0x4000, A2, A1, 0), COMPRESSED(LW(A2, X0, 0)), 2, A1, false, 0},
	{"c.lw with an offset", CL(0x4000, A2, A1, 0x40), COMPRESSED(LW(A2, X0, 0)), 2, A1, false,
	 4},
	{"c.ld", CL(0x6000, A2, A1, 0), COMPRESSED(LD(A2, X0, 0)), 2, A1, false, 0},
	{"c.ld with an offset", CL(0x6000, A2, A1, 0x400), COMPRESSED(LD(A2, X0, 0)), 2, A1, false,
	 8},
	{"c.fld", CL(0x2000, A2, A1, 0), COMPRESSED(FLD(A2, X0, 0)), 2, A1, false, 0},
	{"c.sw", CL(0xc000, A2, A1, 0), COMPRESSED(SW(A2, X0, 0)), 2, A1, true, 0},
	{"c.sw with an offset", CL(0xc000, A2, A1, 0x40), COMPRESSED(SW(A2, X0, 0)), 2, A1, true,
	 4},
	{"c.sd", CL(0xe000, A2, A1, 0), COMPRESSED(SD(A2, X0, 0)), 2, A1, true, 0},
	{"c.sd with an offset", CL(0xe000, A2, A1, 0x400), COMPRESSED(SD(A2, X0, 0)), 2, A1, true,
	 8},
	{"c.fsd", CL(0xa000, A2, A1, 0), COMPRESSED(FSD(A2, X0, 0)), 2, A1, true, 0},
	{"c.lwsp", 0x4002 | A2 << 7, COMPRESSED(LW(A2, X0, 0)), 2, SP, false, 0},
	{"c.lwsp with an offset", 0x4002 | A2 << 7 | 4 << 4, COMPRESSED(LW(A2, X0, 0)), 2, SP,
	 false, 16},
	{"c.ldsp", 0x6002 | A2 << 7, COMPRESSED(LD(A2, X0, 0)), 2, SP, false, 0},
	{"c.fldsp", 0x2002 | A2 << 7, COMPRESSED(FLD(A2, X0, 0)), 2, SP, false, 0},
	{"c.swsp", 0xc002 | A2 << 2, COMPRESSED(SW(A2, X0, 0)), 2, SP, true, 0},
	{"c.sdsp", 0xe002 | A2 << 2, COMPRESSED(SD(A2, X0, 0)), 2, SP, true, 0},
	{"c.sdsp with an offset", 0xe002 | A2 << 2 | 1 << 7, COMPRESSED(SD(A2, X0, 0)), 2, SP, true,
	 64},
	{"c.fsdsp", 0xa002 | A2 << 2, COMPRESSED(FSD(A2, X0, 0)), 2, SP, true, 0},
	{"c.lbu", CL(0x8000, A2, A1, 0), COMPRESSED(LBU(A2, X0, 0)), 2, A1, false, 0},
	{"c.lbu with an offset", CL(0x8000, A2, A1, 0x40), COMPRESSED(LBU(A2, X0, 0)), 2, A1, false,
	 1},
	{"c.lhu", CL(0x8400, A2, A1, 0), COMPRESSED(LHU(A2, X0, 0)), 2, A1, false, 0},
	{"c.lh", CL(0x8440, A2, A1, 0), COMPRESSED(LH(A2, X0, 0)), 2, A1, false, 0},
	{"c.sb", CL(0x8800, A2, A1, 0), COMPRESSED(SB(A2, X0, 0)), 2, A1, true, 0},
	{"c.sh", CL(0x8c00, A2, A1, 0), COMPRESSED(SH(A2, X0, 0)), 2, A1, true, 0},
	/* As the CMO extensions say: the field of rs1 is zero. */
	{"cbo.inval", CBO(0, A1), CBO(0, X0), 4, A1, true, 0},
	{"cbo.clean", CBO(1, A1), CBO(1, X0), 4, A1, true, 0},
	{"cbo.flush", CBO(2, A1), CBO(2, X0), 4, A1, true, 0},
	{"cbo.zero", CBO(4, A1), CBO(4, X0), 4, A1, true, 0},
};

static void transformed(const struct memory_insn *a)
{
	const u64 gpa = NO_GPA + 0x840;
	const struct outcome *o;

	test("[EXIT-2] hutinst of %s", a->name);
	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		usual_world();
		csr_write(CSR_HUVSSTATUS, MSTATUS_FS);
		csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) | MSTATUS_FS);
		csr_set(CSR_HENVCFG, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
		csr_set(CSR_HUVSENVCFG, ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
		regs()[A0] = 1;
		regs()[A2] = 2;
		regs()[a->base] = gpa - (int16_t)a->offset;
		o = RUN(mode, a->size == 2 ? a->insn | C_NOP << 16 : a->insn);
		CHECK_TRAP(o, AT_HU, a->store ? EXC_STORE_GUEST_PAGE : EXC_LOAD_GUEST_PAGE,
			   code_addr(mode, 0), gpa);
		CHECK_EQ(o->gpa, gpa);
		CHECK_EQ(o->tinst, a->expect);
		CHECK_EQ(o->x[A0], 1);
		CHECK_EQ(o->x[A2], 2);
	}
}

/* An access that begins on a good page and ends on one that is not there. */
static void second_half_faults(void)
{
	static const u32 insns[] = {LD(A0, A1, 0), SD(A2, A1, 0)};

	for (unsigned int store = 0; store < 2; store++) {
		const struct outcome *o;
		u64 gpa = 0xc1001000, original = gpa - 3;

		test("[EXIT-2] hutinst of a misaligned %s whose end faults",
		     store ? "store" : "load");
		usual_world();
		table_map(&world.stage2, gpa - PAGE_SIZE, at(IN_HU, cell), 0, PTE_URWX);
		fence_all();
		regs()[A0] = 1;
		regs()[A1] = original;
		o = RUN(IN_DVS, insns[store]);
		CHECK_EQ(o->where, AT_HU);
		CHECK_EQ(o->cause, store ? EXC_STORE_GUEST_PAGE : EXC_LOAD_GUEST_PAGE);
		CHECK_EQ(o->epc, code_addr(IN_DVS, 0));
		CHECK_EQ(o->x[A0], 1);
		/* Whichever byte hardware reports, the offset leads back. */
		CHECK(o->tval >= gpa && o->tval < gpa + 5);
		CHECK_EQ(o->gpa, o->tval);
		CHECK_EQ(o->tval - (o->tinst >> 15 & 31), original);
		CHECK_EQ(o->tinst & ~(31u << 15), store ? SD(A2, X0, 0) : LD(A0, X0, 0));
	}
}

/* ---- what the guest may do without an exit ---- */

struct trap_bit {
	const char *name;
	u32 insn;
	u64 hu_bit;
	enum mode mode;
};

static const struct trap_bit trap_bits[] = {
	{"VTW: wfi", WFI, HUSTATUS_VTW, IN_DVS},
	{"VTVM: sfence.vma", SFENCE_VMA(X0, X0), HUSTATUS_VTVM, IN_DVS},
	{"VTVM: sfence.vma rs1, rs2", SFENCE_VMA(A1, A2), HUSTATUS_VTVM, IN_DVS},
	{"VTVM: read of satp", CSRRS(A0, CSR_SATP, X0), HUSTATUS_VTVM, IN_DVS},
	{"VTVM: write of satp", CSRRW(X0, CSR_SATP, X0), HUSTATUS_VTVM, IN_DVS},
	{"VTSR: sret", SRET, HUSTATUS_VTSR, IN_DVS},
};

static const struct outcome *run_trap_bit(const struct trap_bit *t)
{
	/* wfi must end by itself: an interrupt is pending that is not taken. */
	csr_write(CSR_HVIP, HUVIP_VSSIP);
	set_en(true);
	csr_write(CSR_HUVSIE, 2);
	put_code((const u32[]){t->insn, NOP}, 2);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SPP);
	csr_write(CSR_HUVSEPC, code_addr(t->mode, 1));
	return huret_to(t->mode, code_addr(t->mode, 0));
}

static void trap_bits_of_hustatus(void)
{
	const u64 all = HUSTATUS_VTVM | HUSTATUS_VTW | HUSTATUS_VTSR;

	for (unsigned int i = 0; i < ARRAY_SIZE(trap_bits); i++) {
		const struct trap_bit *t = &trap_bits[i];

		test("[EXC-1] hustatus.%s exits when set", t->name);
		usual_world();
		csr_write(CSR_HSTATUS, 0);
		csr_write(CSR_HUSTATUS, t->hu_bit);
		CHECK_TRAP(run_trap_bit(t), AT_HU, EXC_VIRTUAL, code_addr(t->mode, 0), t->insn);

		test("[EXC-1] hustatus.%s clear, all others set: no exit, whatever hstatus says",
		     t->name);
		usual_world();
		csr_write(CSR_HSTATUS, all);
		csr_write(CSR_HUSTATUS, all & ~t->hu_bit);
		CHECK_DONE(run_trap_bit(t));
	}

	test("[EXC-1] wfi in DV VU: virtual instruction");
	usual_world();
	CHECK_TRAP(RUN(IN_DVU, WFI), AT_HU, EXC_VIRTUAL, code_addr(IN_DVU, 0), WFI);
	test("[EXC-1] sret in DV VU: virtual instruction");
	CHECK_TRAP(RUN(IN_DVU, SRET), AT_HU, EXC_VIRTUAL, code_addr(IN_DVU, 0), SRET);
	test("[EXC-1] mstatus.TW: wfi of a DV guest is illegal, and an exit");
	usual_world();
	csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) | MSTATUS_TW);
	CHECK_TRAP(RUN(IN_DVS, WFI), AT_HU, EXC_ILLEGAL, code_addr(IN_DVS, 0), WFI);
	test("[EXC-1] mstatus.TVM and TSR are not for guests");
	usual_world();
	csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) | MSTATUS_TVM);
	CHECK_DONE(RUN(IN_DVS, SFENCE_VMA(X0, X0), CSRRS(A0, CSR_SATP, X0)));
	csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) & ~MSTATUS_TVM);
	test("[EXC-1] the firmware's mret and the host's fences are no instructions of a guest");
	usual_world();
	CHECK_TRAP(RUN(IN_DVS, MRET), AT_HU, EXC_ILLEGAL, code_addr(IN_DVS, 0), MRET);
	CHECK_TRAP(RUN(IN_DVS, HFENCE_GVMA(X0, X0)), AT_HU, EXC_VIRTUAL, code_addr(IN_DVS, 0),
		   HFENCE_GVMA(X0, X0));
	CHECK_TRAP(RUN(IN_DVS, HFENCE_VVMA(X0, X0)), AT_HU, EXC_VIRTUAL, code_addr(IN_DVS, 0),
		   HFENCE_VVMA(X0, X0));
	CHECK_TRAP(RUN(IN_DVS, HLV_D(A0, A1)), AT_HU, EXC_VIRTUAL, code_addr(IN_DVS, 0),
		   HLV_D(A0, A1));
	CHECK_TRAP(RUN(IN_DVU, HSV_D(A0, A1)), AT_HU, EXC_VIRTUAL, code_addr(IN_DVU, 0),
		   HSV_D(A0, A1));
}

static void misaligned_fetch(void)
{
	for (unsigned int delegate = 0; delegate < 2; delegate++) {
		const struct outcome *o;

		test("[EXC-1] [EXIT-1] a jump to a misaligned address, huedeleg %u", delegate);
		usual_world();
		csr_write(CSR_HUEDELEG, delegate);
		put_code((const u32[]){JALR(X0, A1, 0), NOP}, 2);
		regs()[A1] = code_addr(IN_DVS, 1) + 2;
		o = run_at(IN_DVS, code_addr(IN_DVS, 0));
		CHECK_TRAP(o, delegate ? AT_VS : AT_HU, EXC_INST_MISALIGNED, code_addr(IN_DVS, 0),
			   code_addr(IN_DVS, 1) + 2);
		if (!delegate)
			CHECK_EQ(o->hustatus, HUSTATUS_SPV | HUSTATUS_SPVP | HUSTATUS_GVA);
	}
}

void test_main(void)
{
	/* The program has no compressed instruction and runs on harts without C, too. */
	if (!(csr_read(CSR_MISA) & 4)) {
		misaligned_fetch();
		return;
	}
	every_exception();
	each_bit_of_huedeleg();
	for (unsigned int i = 0; i < ARRAY_SIZE(accesses); i++)
		transformed(&accesses[i]);
	second_half_faults();
	trap_bits_of_hustatus();
}
