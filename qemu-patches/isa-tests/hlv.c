// SPDX-License-Identifier: GPL-2.0-or-later
/* HLV, HLVX, HSV and MPRV: accesses to guest memory from V=0. */
#include <isatest.h>

#define PATTERN 0xf1e2d3c4b5a69788ul

struct guest_access {
	const char *name;
	u32 insn;  /* A0 <- [A1] or [A1] <- A2 */
	u64 value; /* of a load of PATTERN, or what a store of PATTERN leaves */
	bool store, exec;
};

static const struct guest_access accesses[] = {
	{"hlv.b", HLV_B(A0, A1), 0xffffffffffffff88, false, false},
	{"hlv.bu", HLV_BU(A0, A1), 0x88, false, false},
	{"hlv.h", HLV_H(A0, A1), 0xffffffffffff9788, false, false},
	{"hlv.hu", HLV_HU(A0, A1), 0x9788, false, false},
	{"hlv.w", HLV_W(A0, A1), 0xffffffffb5a69788, false, false},
	{"hlv.wu", HLV_WU(A0, A1), 0xb5a69788, false, false},
	{"hlv.d", HLV_D(A0, A1), PATTERN, false, false},
	{"hlvx.hu", HLVX_HU(A0, A1), 0x9788, false, true},
	{"hlvx.wu", HLVX_WU(A0, A1), 0xb5a69788, false, true},
	{"hsv.b", HSV_B(A2, A1), 0x1111111111111188, true, false},
	{"hsv.h", HSV_H(A2, A1), 0x1111111111119788, true, false},
	{"hsv.w", HSV_W(A2, A1), 0x11111111b5a69788, true, false},
	{"hsv.d", HSV_D(A2, A1), PATTERN, true, false},
};

#define ACCESS_COUNT ARRAY_SIZE(accesses)
#define RS1_FIELD (0x1fu << 15)

static u64 *cell_of(const struct window *w)
{
	return (u64 *)(w->pa + WINDOW_DATA);
}

static const struct outcome *try(const struct guest_access *a, enum mode mode,
				 const struct window *w)
{
	*cell_of(w) = a->store ? 0x1111111111111111 : PATTERN;
	regs()[A0] = 7;
	regs()[A1] = w->gva + WINDOW_DATA;
	regs()[A2] = PATTERN;
	return RUN(mode, a->insn);
}

static void check_works(const struct outcome *o, const struct guest_access *a,
			const struct window *w)
{
	CHECK_DONE(o);
	if (a->store)
		CHECK_EQ(*cell_of(w), a->value);
	else
		CHECK_EQ(o->x[A0], a->value);
}

/* The mode whose page the access needs, as SPVP says. */
static enum mode page_for(unsigned int spvp)
{
	return spvp ? IN_DVS : IN_DVU;
}

static void set_spvp(unsigned int spvp)
{
	csr_write(CSR_HUSTATUS, spvp ? HUSTATUS_SPVP : 0);
}

static void all_widths(void)
{
	static const int modes[] = {ATP_BARE, ATP_39, ATP_48, ATP_57};

	for (unsigned int i = 0; i < ACCESS_COUNT; i++) {
		test("[HLV-1] %s in HU", accesses[i].name);
		for (unsigned int n = 0; n < 32; n++) {
			unsigned int spvp = n & 1, hu = n >> 1 & 1;
			struct window w;

			note("modes %u, SPVP %u, hstatus.HU %u", n >> 2, spvp, hu);
			new_world(modes[n >> 2 & 3], modes[n >> 3 & 3], modes[(n >> 2) % 4]);
			w = window_new(page_for(spvp));
			set_spvp(spvp);
			/* hstatus is not consulted. */
			csr_write(CSR_HSTATUS, (hu ? HSTATUS_HU : 0) | (spvp ? 0 : HSTATUS_SPVP));
			check_works(try(&accesses[i], IN_HU, &w), &accesses[i], &w);
			CHECK_EQ(csr_read(CSR_HUSTATUS), spvp ? HUSTATUS_SPVP : 0);
		}

		test("[HLV-1] [EN-1] %s in U: hstatus.HU = 0: illegal", accesses[i].name);
		new_world(ATP_39, ATP_39, ATP_39);
		struct window w = window_new(IN_DVS);

		set_spvp(1);
		CHECK_TRAP(try(&accesses[i], IN_U, &w), AT_M, EXC_ILLEGAL, code_addr(IN_U, 0),
			   accesses[i].insn);
	}
}

/* ---- [EXIT-3] ---- */

static void check_hu_exit(const struct outcome *o, const struct guest_access *a,
			  const struct window *w, u64 cause, u64 gpa, u64 tinst, unsigned int spvp)
{
	CHECK_TRAP(o, AT_HU, cause, code_addr(IN_HU, 0), w->gva + WINDOW_DATA);
	CHECK_EQ(o->gpa, gpa);
	CHECK_EQ(o->tinst, tinst);
	CHECK_EQ(o->hustatus, HUSTATUS_GVA | (spvp ? HUSTATUS_SPVP : 0));
	CHECK_EQ(o->x[A0], 7);
	CHECK_EQ(*cell_of(w), a->store ? 0x1111111111111111 : PATTERN);
	CHECK_EQ(o->mcause, EXC_ECALL_U);
	CHECK_EQ(o->mepc, at(IN_HU, hu_trap));
	CHECK_EQ(o->scause | o->sepc | o->stval | o->htval | o->htinst, 0);
}

static void guest_faults(void)
{
	for (unsigned int i = 0; i < 2 * ACCESS_COUNT; i++) {
		const struct guest_access *a = &accesses[i / 2];
		unsigned int spvp = i & 1;
		u64 page = a->store ? EXC_STORE_PAGE : EXC_LOAD_PAGE;
		u64 guest_page = a->store ? EXC_STORE_GUEST_PAGE : EXC_LOAD_GUEST_PAGE;
		u32 tinst = a->insn & ~RS1_FIELD;
		const struct outcome *o;
		struct window w;

		for (unsigned int deleg = 0; deleg < 2; deleg++) {
			test("[EXIT-3] %s, SPVP %u: faults of stage 1, delegation %u", a->name,
			     spvp, deleg);
			new_world(ATP_39, ATP_39, ATP_39);
			w = window_new(page_for(spvp));
			set_spvp(spvp);
			/* None of these is consulted. */
			csr_write(CSR_HUEDELEG, deleg ? ~0ul : 0);
			csr_write(CSR_HEDELEG, deleg ? ~0ul : 0);
			csr_write(CSR_MEDELEG, deleg ? 0xb0ff & ~(1ul << EXC_ECALL_U) : 0);
			*w.guest_pte &= ~PTE_V;
			fence_all();
			o = try(a, IN_HU, &w);
			check_hu_exit(o, a, &w, page, 0, tinst, spvp);

			test("[EXIT-3] %s, SPVP %u: faults of stage 2, delegation %u", a->name,
			     spvp, deleg);
			*w.guest_pte |= PTE_V;
			*w.stage2_pte &= ~PTE_V;
			fence_all();
			set_spvp(spvp);
			check_hu_exit(try(a, IN_HU, &w), a, &w, guest_page, w.gpa + WINDOW_DATA,
				      tinst, spvp);
		}

		test("[EXIT-3] [EXIT-2] %s, SPVP %u: a table of the guest without stage 2", a->name,
		     spvp);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(page_for(spvp));
		set_spvp(spvp);
		u64 pte_gpa = (u64)w.guest_pte + world.gpa;

		*table_pte(&world.stage2, pte_gpa, 0) = 0;
		fence_all();
		check_hu_exit(try(a, IN_HU, &w), a, &w, guest_page, pte_gpa, 0x3000, spvp);

		test("[HLV-1] %s: SPVP %u needs U = %u", a->name, spvp, !spvp);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(page_for(!spvp));
		set_spvp(spvp);
		check_hu_exit(try(a, IN_HU, &w), a, &w, page, 0, tinst, spvp);
		/* vsstatus.SUM: S-mode may load and store there. */
		csr_write(CSR_HUVSSTATUS, MSTATUS_SUM);
		set_spvp(spvp);
		o = try(a, IN_HU, &w);
		if (spvp && !a->exec)
			check_works(o, a, &w);
		else if (spvp)
			/* HLVX reads with execute permission, and still it is a read. */
			CHECK(o->done || (o->where == AT_HU && o->cause == EXC_LOAD_PAGE));
		else
			check_hu_exit(o, a, &w, page, 0, tinst, spvp);
	}
}

static void fixup(void)
{
	const struct outcome *o;
	struct window w;

	test("[EXIT-3] [RET-1] after the exit huret goes on at a fix-up in HU");
	new_world(ATP_39, ATP_39, ATP_39);
	w = window_new(IN_DVS);
	set_spvp(1);
	*w.guest_pte = 0;
	fence_all();
	regs()[A0] = 7;
	regs()[A1] = w.gva;
	put_code((const u32[]){HLV_D(A0, A1), ECALL, ADDI(A0, A0, 1)}, 3);
	o = run_at(IN_HU, code_addr(IN_HU, 0));
	CHECK_TRAP(o, AT_HU, EXC_LOAD_PAGE, code_addr(IN_HU, 0), w.gva);
	csr_write(CSR_HUEPC, code_addr(IN_HU, 2));
	o = huret_again(IN_HU);
	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 8);
}

static void execute_permission(void)
{
	struct window w;

	for (unsigned int i = 0; i < ACCESS_COUNT; i++) {
		const struct guest_access *a = &accesses[i];

		if (a->store)
			continue;
		test("[HLV-1] %s and execute-only guest pages", a->name);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		set_spvp(1);
		*w.guest_pte &= ~(PTE_R | PTE_W);
		fence_all();
		if (a->exec)
			check_works(try(a, IN_HU, &w), a, &w);
		else
			check_hu_exit(try(a, IN_HU, &w), a, &w, EXC_LOAD_PAGE, 0,
				      a->insn & ~RS1_FIELD, 1);
		csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
		set_spvp(1);
		check_works(try(a, IN_HU, &w), a, &w);

		test("[HLV-1] %s and readable guest pages without X", a->name);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		set_spvp(1);
		*w.guest_pte &= ~PTE_X;
		fence_all();
		if (a->exec)
			check_hu_exit(try(a, IN_HU, &w), a, &w, EXC_LOAD_PAGE, 0,
				      a->insn & ~RS1_FIELD, 1);
		else
			check_works(try(a, IN_HU, &w), a, &w);

		test("[HLV-1] %s and stage-2 pages without X", a->name);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		set_spvp(1);
		*w.stage2_pte &= ~PTE_X;
		fence_all();
		if (a->exec)
			check_hu_exit(try(a, IN_HU, &w), a, &w, EXC_LOAD_GUEST_PAGE,
				      w.gpa + WINDOW_DATA, a->insn & ~RS1_FIELD, 1);
		else
			check_works(try(a, IN_HU, &w), a, &w);

		test("[MEM-2] %s needs R, not X, of the host", a->name);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		set_spvp(1);
		*w.host_pte &= ~(PTE_X | PTE_W);
		fence_all();
		check_works(try(a, IN_HU, &w), a, &w);
	}
}

/* ---- [HOST-3] ---- */

static void mark_hu(void)
{
	csr_write(CSR_HUSTATUS, HUSTATUS_SPVP | HUSTATUS_VTW);
	csr_write(CSR_HUCAUSE, 5);
	csr_write(CSR_HUEPC, 0x1234);
	csr_write(CSR_HUTVAL, 0x1235);
	csr_write(CSR_HUGPA, 0x1236);
	csr_write(CSR_HUTINST, 0x1237);
}

static void check_hu_unmarked(const struct outcome *o)
{
	CHECK_EQ(o->hustatus, HUSTATUS_SPVP | HUSTATUS_VTW);
	CHECK_EQ(o->hucause, 5);
	CHECK_EQ(o->huepc, 0x1234);
	CHECK_EQ(o->hutval, 0x1235);
	CHECK_EQ(o->hugpa, 0x1236);
	CHECK_EQ(o->hutinst, 0x1237);
}

static void check_user_fault(const struct outcome *o, u64 cause, u64 hva, bool to_hs)
{
	CHECK_TRAP(o, to_hs ? AT_HS : AT_M, cause, code_addr(IN_HU, 0), hva);
	check_hu_unmarked(o);
	CHECK_EQ(o->x[A0], 7);
	if (to_hs) {
		CHECK_EQ(o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
		CHECK_EQ(o->sstatus & MSTATUS_SPP, 0);
		CHECK_EQ(o->htval, 0);
	} else {
		CHECK_EQ(o->mstatus & (MSTATUS_MPV | MSTATUS_GVA | MSTATUS_MPP), 0);
		CHECK_EQ(o->mtval2, 0);
	}
}

static void host_faults(void)
{
	for (unsigned int i = 0; i < 2 * ACCESS_COUNT; i++) {
		const struct guest_access *a = &accesses[i / 2];
		bool to_hs = i & 1;
		struct window w;

		test("[HOST-3] %s: a page that is not there, to %s", a->name, to_hs ? "HS" : "M");
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		csr_write(CSR_MEDELEG, to_hs ? DELEGATE_HOST_FAULTS : 0);
		mark_hu();
		*w.host_pte = 0;
		fence_all();
		check_user_fault(try(a, IN_HU, &w), a->store ? EXC_STORE_PAGE : EXC_LOAD_PAGE,
				 w.hva + WINDOW_DATA, to_hs);
		/* The kernel pages in and returns: it works. */
		*w.host_pte = make_pte(w.pa, PTE_URWX);
		fence_all();
		check_works(try(a, IN_HU, &w), a, &w);

		test("[HOST-3] %s: a table of the guest on a page that is not there, to %s",
		     a->name, to_hs ? "HS" : "M");
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		csr_write(CSR_MEDELEG, to_hs ? DELEGATE_HOST_FAULTS : 0);
		mark_hu();
		*table_pte(&world.host, (u64)w.guest_pte + world.hva, 0) = 0;
		fence_all();
		check_user_fault(try(a, IN_HU, &w), EXC_LOAD_PAGE, (u64)w.guest_pte + world.hva,
				 to_hs);

		test("[HOST-3] %s: PMP, to %s", a->name, to_hs ? "HS" : "M");
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		csr_write(CSR_MEDELEG, to_hs ? DELEGATE_HOST_FAULTS : 0);
		mark_hu();
		csr_write(CSR_PMPADDR0, w.pa >> 2 | 0x1ff);
		csr_write(CSR_PMPADDR1, -1);
		csr_write(CSR_PMPCFG0, 0x1f18);
		fence_all();
		check_user_fault(try(a, IN_HU, &w), a->store ? EXC_STORE_ACCESS : EXC_LOAD_ACCESS,
				 w.hva + WINDOW_DATA, to_hs);
	}
}

/* ---- HS-mode's and M-mode's own ---- */

/* A plain guest's memory at the window's gva: another page, by hgatp. */
static u64 *plain_page(const struct window *w)
{
	struct table g = table_new(ATP_39, true, 0), vs = table_new(ATP_39, false, 0);
	u64 *page = alloc_pages(1);

	(void)vs;
	/* vsatp stays: its tables by gpa = physical address here. */
	for (u64 i = 0; i < 0x8000000; i += level_size(1))
		table_map(&g, 0x80000000 + world.gpa + i, 0x80000000 + i, 1, PTE_URWX);
	table_map(&g, w->gpa, (u64)page, 0, PTE_URWX);
	csr_write(CSR_HGATP, table_atp(&g));
	page[WINDOW_DATA / 8] = 0x2222222222222222;
	fence_all();
	return page;
}

static u64 load_by(enum mode mode, const struct window *w)
{
	regs()[A0] = 7;
	regs()[A1] = w->gva + WINDOW_DATA;
	CHECK_DONE(RUN(mode, mode == IN_DVS ? LD(A0, A1, 0) : HLV_D(A0, A1)));
	return regs()[A0];
}

#define MPRV_BITS (MSTATUS_MPRV | MSTATUS_MPV | 1ul << MSTATUS_MPP_SHIFT)

/* An access of M-mode as the guest's S-mode. */
static const struct outcome *by_mprv(const struct window *w, enum access kind)
{
	u32 insn = kind == LOAD ? LD(A0, A1, 0)
		: kind == STORE ? SD(A2, A1, 0)
				: AMOADD_D(A0, A1, A2);

	*cell_of(w) = WINDOW_MAGIC;
	regs()[A0] = 7;
	regs()[A1] = w->gva + WINDOW_DATA;
	regs()[A2] = 1;
	regs()[A4] = MPRV_BITS;
	regs()[A5] = MSTATUS_MPRV;
	/* MPP is M on entry: what is left after the clearing is S. */
	regs()[A3] = 2ul << MSTATUS_MPP_SHIFT;
	const struct outcome *o = RUN(IN_M, CSRRC(X0, CSR_MSTATUS, A3), CSRRS(X0, CSR_MSTATUS, A4),
				      insn, CSRRC(X0, CSR_MSTATUS, A5));

	csr_clear(CSR_MSTATUS, MSTATUS_MPRV);
	return o;
}

static void kernel_uses_hgatp(void)
{
	struct window w;
	u64 *page;

	test("[EN-4] [FEN-1] HLV of HS-mode uses hgatp, EN = 1 or 0, and leaves nothing behind");
	new_world(ATP_39, ATP_39, ATP_39);
	w = window_new(IN_DVS);
	page = plain_page(&w);
	csr_write(CSR_HSTATUS, HSTATUS_SPVP);
	set_en(true);
	set_spvp(1);
	for (unsigned int round = 0; round < 3; round++) {
		note("round %u", round);
		CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
		CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);
		CHECK_EQ(load_by(IN_DVS, &w), WINDOW_MAGIC);
		CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
		set_spvp(1);
		CHECK_EQ(load_by(IN_HU, &w), WINDOW_MAGIC);
		CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
		CHECK_EQ(load_by(IN_M, &w), WINDOW_MAGIC);
		CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
		CHECK_DONE(by_mprv(&w, LOAD));
		CHECK_EQ(regs()[A0], WINDOW_MAGIC);
		CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
	}
	note("EN = 0");
	set_en(false);
	CHECK_EQ(load_by(IN_HS, &w), 0x2222222222222222);
	CHECK_EQ(load_by(IN_M, &w), 0x2222222222222222);

	test("[EN-4] HSV of HS-mode uses hgatp with EN=1");
	set_en(true);
	regs()[A1] = w.gva + WINDOW_DATA;
	regs()[A2] = 0x3333333333333333;
	CHECK_DONE(RUN(IN_HS, HSV_D(A2, A1)));
	CHECK_EQ(page[WINDOW_DATA / 8], 0x3333333333333333);
	CHECK_EQ(*cell_of(&w), WINDOW_MAGIC);

	test("[EN-4] a fault of HS-mode's HLV is the H extension's");
	csr_write(CSR_HGATP, 8ul << 60 | (u64)alloc_pages(4) >> 12);
	set_en(true);
	csr_write(CSR_MEDELEG, 1 << EXC_LOAD_GUEST_PAGE);
	mark_hu();
	fence_all();
	regs()[A1] = w.gva + WINDOW_DATA;
	const struct outcome *o = RUN(IN_HS, HLV_D(A0, A1));

	CHECK_TRAP(o, AT_HS, EXC_LOAD_GUEST_PAGE, code_addr(IN_HS, 0), w.gva + WINDOW_DATA);
	CHECK_EQ(o->hstatus & (HSTATUS_GVA | HSTATUS_SPV), HSTATUS_GVA);
	check_hu_unmarked(o);
}

static void firmware(void)
{
	static const enum access kinds[] = {LOAD, STORE, AMO};

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		enum access kind = kinds[i];
		const struct outcome *o;
		struct window w;
		u64 *page;

		test("[EN-4] %s of M-mode under MPRV, MPV=1, EN=1 is the DV guest's",
		     access_name[kind]);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		page = plain_page(&w);
		set_en(true);
		o = by_mprv(&w, kind);
		CHECK_DONE(o);
		CHECK_EQ(o->x[A0], kind == STORE ? 7 : WINDOW_MAGIC);
		CHECK_EQ(*cell_of(&w),
			 kind == LOAD            ? WINDOW_MAGIC
				 : kind == STORE ? 1
						 : WINDOW_MAGIC + 1);
		CHECK_EQ(page[WINDOW_DATA / 8], 0x2222222222222222);

		test("[EN-4] ... and the plain guest's with EN=0: %s", access_name[kind]);
		set_en(false);
		o = by_mprv(&w, kind);
		CHECK_DONE(o);
		CHECK_EQ(o->x[A0], kind == STORE ? 7 : 0x2222222222222222);
		CHECK_EQ(*cell_of(&w), WINDOW_MAGIC);
		CHECK(kind == LOAD || page[WINDOW_DATA / 8] != 0x2222222222222222);

		test("[HOST-4] a host fault of M-mode's %s is an access fault at its own address",
		     access_name[kind]);
		mark_hu();
		*w.host_pte = 0;
		fence_all();
		set_en(true);
		csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
		o = by_mprv(&w, kind);
		CHECK_TRAP(o, AT_M, host_access_fault[kind], code_addr(IN_M, 2),
			   w.gva + WINDOW_DATA);
		CHECK_EQ(o->mtval2, 0);
		CHECK_EQ(o->mstatus & MSTATUS_MPP, MSTATUS_MPP);
		check_hu_unmarked(o);
		CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);

		test("[HOST-4] ... of a table, too: %s", access_name[kind]);
		*w.host_pte = make_pte(w.pa, PTE_URWX);
		*table_pte(&world.host, (u64)w.guest_pte + world.hva, 0) = 0;
		fence_all();
		o = by_mprv(&w, kind);
		CHECK_TRAP(o, AT_M, host_access_fault[kind], code_addr(IN_M, 2),
			   w.gva + WINDOW_DATA);
		CHECK_EQ(o->mtval2, 0);
		check_hu_unmarked(o);

		test("[EN-4] a stage-2 fault of M-mode's %s is M-mode's", access_name[kind]);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		mark_hu();
		*w.stage2_pte = 0;
		fence_all();
		set_en(true);
		o = by_mprv(&w, kind);
		CHECK_TRAP(o, AT_M, guest_page_fault[kind], code_addr(IN_M, 2),
			   w.gva + WINDOW_DATA);
		CHECK_EQ(o->mtval2, (w.gpa + WINDOW_DATA) >> 2);
		CHECK_EQ(o->mstatus & MSTATUS_GVA, MSTATUS_GVA);
		check_hu_unmarked(o);

		test("[EN-4] a stage-1 fault of M-mode's %s is M-mode's", access_name[kind]);
		*w.stage2_pte = make_pte(w.hva, PTE_URWX);
		*w.guest_pte = 0;
		fence_all();
		o = by_mprv(&w, kind);
		CHECK_TRAP(o, AT_M, page_fault[kind], code_addr(IN_M, 2), w.gva + WINDOW_DATA);
		CHECK_EQ(o->mstatus & MSTATUS_GVA, MSTATUS_GVA);
		check_hu_unmarked(o);
	}
}

void test_main(void)
{
	all_widths();
	guest_faults();
	fixup();
	execute_permission();
	host_faults();
	kernel_uses_hgatp();
	firmware();
}
