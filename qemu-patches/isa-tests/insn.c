// SPDX-License-Identifier: GPL-2.0-or-later
/* The instructions of Xdv in every mode, and what sets and clears EN. */
#include <isatest.h>

struct insn {
	const char *name;
	u32 word;
	u32 reserved; /* one instruction with a field set that must be zero, for each bit */
};

#define RD_FIELD (0x1fu << 7)
#define RS1_FIELD (0x1fu << 15)
#define RS2_FIELD (0x1fu << 20)

static const struct insn insns[] = {
	{"huret", HURET, RD_FIELD | RS1_FIELD | RS2_FIELD},
	{"hupost", HUPOST(A0, A1, A2), 0},
	{"hufence.v", HUFENCE_V(A1, A2), RD_FIELD},
	{"hufence.v x0, x0", HUFENCE_V(X0, X0), RD_FIELD},
	{"hufence.g", HUFENCE_G(A1), RD_FIELD | RS2_FIELD},
	{"hufence.g x0", HUFENCE_G(X0), RD_FIELD | RS2_FIELD},
};

static void refused(const struct insn *insn, enum mode mode)
{
	bool dv = mode == IN_DVS || mode == IN_DVU;
	u64 cause = mode >= IN_DVS ? EXC_VIRTUAL : EXC_ILLEGAL;
	const struct outcome *o;

	test("[INS-1] %s in %s: cause %lu", insn->name, mode_name[mode], cause);
	usual_world();
	csr_write(CSR_HUVIP, 0);
	csr_write(CSR_HDVCTL, 0);
	regs()[A0] = 0x1234;
	regs()[A1] = 0;
	regs()[A2] = HUPOST_MASK;
	o = RUN(mode, insn->word);
	CHECK_TRAP(o, dv ? AT_HU : AT_M, cause, code_addr(mode, 0), insn->word);
	CHECK_EQ(o->x[A0], 0x1234);
	CHECK_EQ(csr_read(CSR_HUVIP), 0);
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 0);
	if (dv)
		CHECK_EQ(o->gpa | o->tinst, 0);
}

static void refused_with_en(const struct insn *insn)
{
	static const enum mode modes[] = {IN_M, IN_HS};

	for (unsigned int i = 0; i < 2; i++) {
		test("[INS-1] %s in %s with EN=1: illegal", insn->name, mode_name[modes[i]]);
		usual_world();
		set_en(true);
		CHECK_TRAP(RUN(modes[i], insn->word), AT_M, EXC_ILLEGAL, code_addr(modes[i], 0),
			   insn->word);
	}
}

static void reserved_fields(const struct insn *insn)
{
	if (!insn->reserved)
		return;
	test("[INS-2] %s: reserved fields", insn->name);
	for (unsigned int bit = 0; bit < 32; bit++) {
		u32 word = insn->word | 1u << bit;

		if (!(insn->reserved & 1u << bit))
			continue;
		usual_world();
		note("bit %u", bit);
		CHECK_TRAP(RUN(IN_HU, word), AT_M, EXC_ILLEGAL, code_addr(IN_HU, 0), word);
		/* An unknown encoding: illegal for a guest, too. */
		CHECK_TRAP(RUN(IN_DVS, word), AT_HU, EXC_ILLEGAL, code_addr(IN_DVS, 0), word);
	}
}

static void legal_in_hu(void)
{
	const struct outcome *o;

	test("[INS-1] hupost, hufence.v and hufence.g are legal in HU");
	usual_world();
	regs()[A0] = 0x1234;
	regs()[A1] = 77;
	o = RUN(IN_HU, HUPOST(A0, A1, A2), HUFENCE_V(X0, X0), HUFENCE_V(A1, X0), HUFENCE_V(A1, A2),
		HUFENCE_V(X0, A2), HUFENCE_G(X0), HUFENCE_G(A1), HUPOST(X0, A1, A2));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 0);
	CHECK_EQ(o->x[0], 0);
}

static void huret_goes_where_hustatus_says(void)
{
	const struct outcome *o;

	test("[RET-1] huret with SPV=0 stays in HU");
	usual_world();
	put_code((const u32[]){CSRRS(A0, CSR_HUSTATUS, X0), ADDI(A1, A1, 1)}, 2);
	regs()[A1] = 1;
	csr_write(CSR_HUSTATUS, HUSTATUS_SPVP | HUSTATUS_VTW);
	csr_write(CSR_HUEPC, code_addr(IN_HU, 0));
	o = run_at(IN_HU, at(IN_HU, do_huret));
	CHECK_EQ(o->mcause, EXC_ECALL_U);
	CHECK_EQ(o->mepc, code_addr(IN_HU, 2));
	CHECK_EQ(o->mstatus & MSTATUS_MPV, 0);
	CHECK_EQ(o->x[A0], HUSTATUS_SPVP | HUSTATUS_VTW);
	CHECK_EQ(o->x[A1], 2);
	CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);

	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		u64 status = HUSTATUS_SPV | HUSTATUS_GVA | HUSTATUS_VTVM |
			(mode == IN_DVS ? HUSTATUS_SPVP : 0);

		test("[RET-1] huret enters %s, hustatus and huepc stay", mode_name[mode]);
		usual_world();
		/* vsstatus is readable for neither: the ecall's cause tells the privilege. */
		put_code((const u32[]){NOP}, 1);
		csr_write(CSR_HUSTATUS, status);
		csr_write(CSR_HUEPC, code_addr(mode, 0));
		/* Leave by a trap to VS, so that no exit overwrites hustatus. */
		csr_write(CSR_HUTVEC, 0);
		csr_write(CSR_HUEDELEG, 1 << EXC_ILLEGAL);
		put_code((const u32[]){NOP, 0}, 2);
		csr_write(CSR_HUTVEC, at(IN_HU, hu_trap));
		o = run_at(IN_HU, at(IN_HU, do_huret));
		CHECK_TRAP(o, AT_VS, EXC_ILLEGAL, code_addr(mode, 1), 0);
		CHECK_EQ(!!(o->vsstatus & MSTATUS_SPP), mode == IN_DVS);
	}

	test("[RET-1] huret again after an exit re-executes the instruction");
	usual_world();
	put_code((const u32[]){ADDI(A0, A0, 1), ECALL, ADDI(A0, A0, 16)}, 3);
	o = huret_to(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_HU, EXC_ECALL_VS, code_addr(IN_DVS, 1), 0);
	o = run_at(IN_HU, at(IN_HU, do_huret));
	CHECK_TRAP(o, AT_HU, EXC_ECALL_VS, code_addr(IN_DVS, 1), 0);
	CHECK_EQ(o->x[A0], 1);
	o = huret_to(IN_DVS, o->epc + 4);
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 17);
}

static u64 cell __attribute__((aligned(64)));

static void reservations(void)
{
	const struct outcome *o;

	test("[RET-2] control: lr/sc in one go succeeds in DV VS");
	usual_world();
	regs()[A1] = at(IN_DVS, &cell);
	regs()[A2] = 5;
	o = RUN(IN_DVS, LR_D(A0, A1), SC_D(A0, A1, A2));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 0);
	CHECK_EQ(cell, 5);

	test("[RET-2] an exit and huret clear the reservation of the guest");
	put_code((const u32[]){LR_D(A0, A1), ECALL, SC_D(A0, A1, A2)}, 3);
	regs()[A2] = 6;
	o = huret_to(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_HU, EXC_ECALL_VS, code_addr(IN_DVS, 1), 0);
	o = huret_to(IN_DVS, code_addr(IN_DVS, 2));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 1);
	CHECK_EQ(cell, 5);

	test("[RET-2] a reservation of HU does not survive huret to HU");
	usual_world();
	regs()[A1] = at(IN_HU, &cell);
	regs()[A2] = 7;
	put_code((const u32[]){LR_D(A0, A1), HURET, SC_D(A0, A1, A2)}, 3);
	csr_write(CSR_HUEPC, code_addr(IN_HU, 2));
	o = run_at(IN_HU, code_addr(IN_HU, 0));
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 1);
	CHECK_EQ(cell, 5);

	/* The guest's gva equals the process's hva here: only RET-2 keeps them apart. */
	test("[RET-2] a reservation of HU is not the guest's, nor the reverse");
	new_world(ATP_BARE, ATP_BARE, ATP_BARE);
	regs()[A1] = (u64)&cell;
	regs()[A2] = 8;
	put_code((const u32[]){LR_D(A0, A1), HURET, SC_D(A0, A1, A2)}, 3);
	csr_write(CSR_HUEPC, code_addr(IN_DVS, 2));
	csr_write(CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP);
	o = run_at(IN_HU, code_addr(IN_HU, 0));
	CHECK_EQ(o->x[A0], 1);
	CHECK_EQ(cell, 5);
	put_code((const u32[]){LR_D(A0, A1), ECALL, SC_D(A0, A1, A2)}, 3);
	csr_write(CSR_HUTVEC, code_addr(IN_HU, 2));
	o = huret_to(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_EQ(o->mepc, code_addr(IN_HU, 3));
	CHECK_EQ(o->x[A0], 1);
	CHECK_EQ(cell, 5);
}

/* ---- EN ---- */

static void sret_clears_en(void)
{
	for (unsigned int spp = 0; spp < 2; spp++) {
		test("[EN-2] sret with SPV=1 to %s clears EN", spp ? "VS" : "VU");
		usual_world();
		csr_write(CSR_HDVCTL, 0x00420001);
		put_code((const u32[]){NOP}, 1);
		csr_write(CSR_HSTATUS, HSTATUS_SPV);
		csr_write(CSR_SEPC, code_addr(IN_VS, 0));
		csr_write(CSR_MSTATUS,
			  (csr_read(CSR_MSTATUS) & ~MSTATUS_SPP) | (spp ? MSTATUS_SPP : 0));
		const struct outcome *o = run_at(IN_HS, (u64)do_sret);

		/* The plain guest's ecall goes to M, none of it to HU. */
		CHECK_TRAP(o, AT_M, spp ? EXC_ECALL_VS : EXC_ECALL_U, code_addr(IN_VS, 1), 0);
		CHECK_EQ(o->mstatus & MSTATUS_MPV, MSTATUS_MPV);
		CHECK_EQ(o->hucause, 0);
		CHECK_EQ(csr_read(CSR_HDVCTL), 0x00420000);

		test("[EN-2] sret with SPV=0 does not clear EN, SPP=%u", spp);
		usual_world();
		csr_write(CSR_HDVCTL, 0x00420001);
		put_code((const u32[]){spp ? CSRRS(A0, CSR_SSTATUS, X0)
					   : CSRRS(A0, CSR_HUSTATUS, X0)},
			 1);
		csr_write(CSR_SEPC, code_addr(spp ? IN_HS : IN_HU, 0));
		csr_write(CSR_MSTATUS,
			  (csr_read(CSR_MSTATUS) & ~MSTATUS_SPP) | (spp ? MSTATUS_SPP : 0));
		o = run_at(IN_HS, (u64)do_sret);
		CHECK_EQ(o->mepc, code_addr(spp ? IN_HS : IN_HU, 1));
		CHECK_EQ(csr_read(CSR_HDVCTL), 0x00420001);
	}

	test("[EN-2] sret of a DV guest does not clear EN");
	usual_world();
	put_code((const u32[]){SRET, NOP, NOP}, 3);
	csr_write(CSR_VSEPC, code_addr(IN_DVS, 2));
	csr_write(CSR_VSSTATUS, MSTATUS_SPP);
	csr_write(CSR_HSTATUS, HSTATUS_SPV);
	csr_write(CSR_HDVCTL, 0x00420001);
	const struct outcome *o = huret_to(IN_DVS, code_addr(IN_DVS, 0));

	CHECK_DONE(o);
	CHECK_EQ(o->where, AT_HU);
	CHECK_EQ(csr_read(CSR_HDVCTL), 0x00420001);

	test("[EN-2] sret of M-mode with SPV=1 keeps no DV guest either");
	usual_world();
	csr_write(CSR_HDVCTL, 0x00420001);
	put_code((const u32[]){NOP}, 1);
	csr_write(CSR_HSTATUS, HSTATUS_SPV);
	csr_write(CSR_SEPC, code_addr(IN_VS, 0));
	csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) | MSTATUS_SPP);
	o = run_at(IN_M, (u64)do_sret);
	CHECK_TRAP(o, AT_M, EXC_ECALL_VS, code_addr(IN_VS, 1), 0);
	CHECK_EQ(csr_read(CSR_HDVCTL), 0x00420000);
}

static void mret_keeps_en(void)
{
	const struct outcome *o;

	test("[EN-3] mret with MPV=1 returns to the DV guest it interrupted");
	usual_world();
	put_code((const u32[]){ADDI(A0, A0, 1), ADDI(A0, A0, 1)}, 2);
	csr_write(CSR_HDVCTL, 0x00430001);
	csr_write(CSR_MSTATUS, csr_read(CSR_MSTATUS) | MSTATUS_MPV);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_DONE(o);
	CHECK_EQ(o->where, AT_HU);
	CHECK_EQ(o->x[A0], 2);
	CHECK_EQ(csr_read(CSR_HDVCTL), 0x00430001);

	test("[EN-3] mret with MPV=1 and EN=0 enters a plain guest");
	usual_world();
	put_code((const u32[]){NOP}, 1);
	o = run_at(IN_VS, code_addr(IN_VS, 0));
	CHECK_TRAP(o, AT_M, EXC_ECALL_VS, code_addr(IN_VS, 1), 0);
	CHECK_EQ(csr_read(CSR_HDVCTL), 0);
}

static void hgatp_clears_en(void)
{
	static const struct {
		u32 insn;
		bool writes;
		const char *what;
	} accesses[] = {
		{CSRRW(X0, CSR_HGATP, A1), true, "csrrw"},
		{CSRRS(A0, CSR_HGATP, A1), true, "csrrs"},
		{CSRRC(A0, CSR_HGATP, A1), true, "csrrc"},
		{CSRRWI(X0, CSR_HGATP, 0), true, "csrrwi"},
		{CSRRSI(A0, CSR_HGATP, 4), true, "csrrsi"},
		{CSRRS(A0, CSR_HGATP, X0), false, "csrrs x0 (no write)"},
		{CSRRCI(A0, CSR_HGATP, 0), false, "csrrci 0 (no write)"},
	};

	for (enum mode mode = IN_M; mode <= IN_HS; mode++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(accesses); i++) {
			for (unsigned int same = 0; same < 2; same++) {
				u64 value = same ? 0 : 1ul << HGATP_VMID_SHIFT;

				test("[EN-5] %s of hgatp in %s, %s value", accesses[i].what,
				     mode_name[mode], same ? "the same" : "another");
				usual_world();
				csr_write(CSR_HDVCTL, 0x00440001);
				regs()[A1] = value;
				CHECK_DONE(RUN(mode, accesses[i].insn));
				CHECK_EQ(csr_read(CSR_HDVCTL),
					 accesses[i].writes ? 0x00440000 : 0x00440001);
			}
		}
	}
}

void test_main(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++) {
		for (enum mode mode = IN_M; mode < MODES; mode++)
			if (mode != IN_HU)
				refused(&insns[i], mode);
		refused_with_en(&insns[i]);
		reserved_fields(&insns[i]);
	}
	legal_in_hu();
	huret_goes_where_hustatus_says();
	reservations();
	sret_clears_en();
	mret_keeps_en();
	hgatp_clears_en();
}
