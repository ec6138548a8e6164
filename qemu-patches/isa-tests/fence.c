// SPDX-License-Identifier: GPL-2.0-or-later
/* After a table has changed and its fence has run, the new translation holds. */
#include <isatest.h>

#define OTHER_MAGIC 0x0123456789abcdeful

/* A second page to move windows to. */
static u64 *other_page(void)
{
	u64 *page = alloc_pages(1);

	page[WINDOW_DATA / 8] = OTHER_MAGIC;
	((u32 *)page)[0] = ADDI(A0, A0, 2);
	((u32 *)page)[1] = ECALL;
	return page;
}

static u64 load(const struct window *w, enum mode mode)
{
	regs()[A0] = 7;
	regs()[A1] = w->gva + WINDOW_DATA;
	csr_write(CSR_HUSTATUS, w->mode == IN_DVS ? HUSTATUS_SPVP : 0);
	if (!CHECK_DONE(RUN(mode, mode == IN_HU ? HLV_D(A0, A1) : LD(A0, A1, 0))))
		return 0;
	return regs()[A0];
}

/* Which of the stages is changed, and how to fence it. */
struct fence {
	const char *name;
	int stage; /* 0: host, 1: stage 2, 2: VS stage */
	enum mode mode;
	u32 insn;
	bool by_address; /* A1 = the address of the stage changed, else of nothing */
	bool by_asid;    /* A2 = the ASID */
};

static const struct fence fences[] = {
	{"hufence.v x0, x0", 2, IN_HU, HUFENCE_V(X0, X0), false, false},
	{"hufence.v gva, x0", 2, IN_HU, HUFENCE_V(A1, X0), true, false},
	{"hufence.v x0, asid", 2, IN_HU, HUFENCE_V(X0, A2), false, true},
	{"hufence.v gva, asid", 2, IN_HU, HUFENCE_V(A1, A2), true, true},
	{"sfence.vma of the guest", 2, IN_DVS, SFENCE_VMA(X0, X0), false, false},
	{"sfence.vma gva of the guest", 2, IN_DVS, SFENCE_VMA(A1, X0), true, false},
	{"sfence.vma x0, asid of the guest", 2, IN_DVS, SFENCE_VMA(X0, A2), false, true},
	{"sfence.vma gva, asid of the guest", 2, IN_DVS, SFENCE_VMA(A1, A2), true, true},
	{"sinval.vma of the guest", 2, IN_DVS, SINVAL_VMA(A1, X0), true, false},
	{"hfence.vvma of HS-mode", 2, IN_HS, HFENCE_VVMA(X0, X0), false, false},
	{"hfence.vvma gva of HS-mode", 2, IN_HS, HFENCE_VVMA(A1, X0), true, false},
	{"hinval.vvma of HS-mode", 2, IN_HS, HINVAL_VVMA(X0, X0), false, false},
	{"hufence.g x0", 1, IN_HU, HUFENCE_G(X0), false, false},
	{"hufence.g gpa", 1, IN_HU, HUFENCE_G(A1), true, false},
	{"hfence.gvma of HS-mode", 1, IN_HS, HFENCE_GVMA(X0, X0), false, false},
	{"hinval.gvma of HS-mode", 1, IN_HS, HINVAL_GVMA(X0, X0), false, false},
	{"sfence.vma x0, x0", 0, IN_HS, SFENCE_VMA(X0, X0), false, false},
	{"sfence.vma hva, x0", 0, IN_HS, SFENCE_VMA(A1, X0), true, false},
	{"sfence.vma x0, asid", 0, IN_HS, SFENCE_VMA(X0, A2), false, true},
	{"sfence.vma hva, asid", 0, IN_HS, SFENCE_VMA(A1, A2), true, true},
	{"sinval.vma hva, x0", 0, IN_HS, SINVAL_VMA(A1, X0), true, false},
	{"sinval.vma x0, asid", 0, IN_HS, SINVAL_VMA(X0, A2), false, true},
};

/* The number of the rule FEN-n that this fence is for. */
static unsigned int fence_rule(const struct fence *f)
{
	return (unsigned int)f->stage + 1;
}

#define HOST_ASID 0x31ul
#define GUEST_ASID 0x42ul
#define VMID 0x15ul

static void fence_world(int g_mode)
{
	new_world(ATP_39, g_mode, ATP_39);
	csr_set(CSR_SATP, HOST_ASID << SATP_ASID_SHIFT);
	csr_set(CSR_VSATP, GUEST_ASID << SATP_ASID_SHIFT);
	csr_write(CSR_HGATP, VMID << HGATP_VMID_SHIFT);
	set_en(true);
	fence_all();
}

static u64 *pte_of(const struct window *w, int stage)
{
	return stage == 0 ? w->host_pte : stage == 1 ? w->stage2_pte : w->guest_pte;
}

static u64 address_in(const struct window *w, int stage)
{
	return stage == 0 ? w->hva : stage == 1 ? w->gpa : w->gva;
}

/* The address of a page of RAM as the PTE of a stage names it. */
static u64 target_name(int stage, const void *page)
{
	return (u64)page + (stage == 0 ? 0 : stage == 1 ? world.hva : world.gpa);
}

static void do_fence(const struct fence *f, const struct window *w)
{
	regs()[A1] = address_in(w, f->stage) + WINDOW_DATA;
	regs()[A2] = f->stage == 0 ? HOST_ASID : GUEST_ASID;
	CHECK_DONE(RUN(f->mode, f->insn));
}

static void changed_pte(const struct fence *f)
{
	for (unsigned int n = 0; n < 4; n++) {
		enum mode mode = n & 1 ? IN_DVU : IN_DVS, by = n & 2 ? IN_HU : mode;
		struct window w;
		u64 *page, *pte;

		test("[FEN-%u] %s after moving the page, accessed by %s as %s", fence_rule(f),
		     f->name, by == IN_HU ? "HLV" : "a load", mode_name[mode]);
		fence_world(ATP_39);
		w = window_new(mode);
		page = other_page();
		pte = pte_of(&w, f->stage);
		CHECK_EQ(load(&w, by), WINDOW_MAGIC);
		*pte = make_pte(target_name(f->stage, page), *pte & 0x3ff);
		do_fence(f, &w);
		CHECK_EQ(load(&w, by), OTHER_MAGIC);
		/* Back, by the same fence. */
		*pte = make_pte(target_name(f->stage, (void *)w.pa), *pte & 0x3ff);
		do_fence(f, &w);
		CHECK_EQ(load(&w, by), WINDOW_MAGIC);
	}
}

/* What a jump finds is remembered in other places than what a load does. */
static void moved_code(const struct fence *f)
{
	static const enum mode modes[] = {IN_DVS, IN_DVU};

	for (unsigned int m = 0; m < ARRAY_SIZE(modes); m++) {
		enum mode mode = modes[m];
		struct window w;
		u64 *page, *pte;

		test("[FEN-%u] %s after moving code that %s jumps to", fence_rule(f), f->name,
		     mode_name[mode]);
		fence_world(ATP_39);
		w = window_new(mode);
		page = other_page();
		pte = pte_of(&w, f->stage);
		/* Where it was, elsewhere, and back again; each twice. */
		for (unsigned int n = 0; n < 6; n++) {
			bool moved = n / 2 == 1;
			const struct outcome *o;

			if (n == 2 || n == 4) {
				*pte = make_pte(target_name(f->stage, moved ? page : (void *)w.pa),
						*pte & 0x3ff);
				do_fence(f, &w);
			}
			o = run_access(mode, FETCH, w.gva);
			CHECK_TRAP(o, AT_HU, mode == IN_DVS ? EXC_ECALL_VS : EXC_ECALL_U, w.gva + 4,
				   0);
			CHECK_EQ(o->x[A0], moved ? 9 : 8);
		}
	}
}

static void revoked_permission(const struct fence *f)
{
	struct window w;
	u64 *pte;

	test("[FEN-%u] %s after revoking permissions", fence_rule(f), f->name);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	pte = pte_of(&w, f->stage);
	for (enum access kind = FETCH; kind < ACCESSES; kind++)
		CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
	*pte &= ~PTE_W;
	do_fence(f, &w);
	CHECK_ACCESS_OK(window_access(&w, FETCH), &w, FETCH);
	CHECK_ACCESS_OK(window_access(&w, LOAD), &w, LOAD);
	for (enum access kind = STORE; kind <= AMO; kind++) {
		const struct outcome *o = window_access(&w, kind);

		if (f->stage == 0)
			CHECK_HOST_FAULT(o, IN_DVS, code_addr(IN_DVS, 0), EXC_STORE_PAGE,
					 w.hva + WINDOW_DATA);
		else
			CHECK_EXIT(o, &w, kind,
				   f->stage == 1 ? EXC_STORE_GUEST_PAGE : EXC_STORE_PAGE,
				   f->stage == 1 ? w.gpa + WINDOW_DATA : 0, 0);
	}
	*pte &= ~PTE_V;
	do_fence(f, &w);
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		const struct outcome *o = window_access(&w, kind);

		if (f->stage == 0)
			CHECK_HOST_FAULT(o, IN_DVS, access_pc(IN_DVS, kind, w.gva),
					 host_page_fault[kind], w.hva + access_offset(kind));
		else
			CHECK_EXIT(o, &w, kind,
				   f->stage == 1 ? guest_page_fault[kind] : page_fault[kind],
				   f->stage == 1 ? w.gpa + access_offset(kind) : 0, 0);
	}
}

/* Intermediate tables change, too. */
static void changed_table(const struct fence *f)
{
	struct window w;
	u64 *table, *page, *pointer;

	test("[FEN-%u] %s after changing a pointer to a table", fence_rule(f), f->name);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	page = other_page();
	CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
	table = alloc_pages(1);
	table[address_in(&w, f->stage) >> 12 & 511] =
		make_pte(target_name(f->stage, page), *pte_of(&w, f->stage) & 0x3ff);
	pointer = table_pte(f->stage == 0           ? &world.host
				    : f->stage == 1 ? &world.stage2
						    : &world.guest,
			    address_in(&w, f->stage), 1);
	*pointer = make_pte(target_name(f->stage == 0 ? 0 : f->stage, table), PTE_V);
	do_fence(f, &w);
	CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
}

/* ---- roots ---- */

/* A second address space of the same shape, with the window elsewhere. */
static struct table second_table(int stage, const struct window *w, const u64 *page)
{
	const struct table *t = stage == 0 ? &world.host
		: stage == 1               ? &world.stage2
					   : &world.guest;
	struct table copy = table_new(t->mode, t->x4, t->name_offset);

	memcpy((void *)copy.root, (void *)t->root, (t->x4 ? 4 : 1) * PAGE_SIZE);
	/* Its own tables on the way to the window, shared ones elsewhere. */
	for (int level = table_levels(t) - 1; level > 0; level--) {
		u64 *entry = table_pte(&copy, address_in(w, stage), level);
		u64 *table = alloc_pages(1);

		memcpy(table, (void *)table_page(t, address_in(w, stage), level - 1), PAGE_SIZE);
		*entry = make_pte((u64)table + t->name_offset, PTE_V);
	}
	table_map(&copy, address_in(w, stage), target_name(stage, page), 0,
		  *pte_of(w, stage) & 0x3ff);
	return copy;
}

static void switched_roots(void)
{
	for (int mode = ATP_39; mode <= ATP_57; mode++) {
		struct window w;
		struct table second;
		u64 *page, first;

		test("[FEN-2] hugatp switched by HU, then hufence.g, mode %d", mode);
		fence_world(mode);
		w = window_new(IN_DVS);
		page = other_page();
		second = second_table(1, &w, page);
		first = csr_read(CSR_HUGATP);
		for (unsigned int i = 0; i < 3; i++) {
			CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
			regs()[A1] = table_atp(&second);
			CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUGATP, A1), HUFENCE_G(X0)));
			CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
			CHECK_EQ(load(&w, IN_HU), OTHER_MAGIC);
			regs()[A1] = first;
			CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUGATP, A1), HUFENCE_G(X0)));
		}
	}
	for (unsigned int by_guest = 0; by_guest < 2; by_guest++) {
		struct window w;
		struct table second;
		u64 *page, first;
		enum mode mode = by_guest ? IN_DVS : IN_HU;
		unsigned int csr = by_guest ? CSR_SATP : CSR_HUVSATP;
		u32 insn = by_guest ? SFENCE_VMA(X0, X0) : HUFENCE_V(X0, X0);

		test("[FEN-3] vsatp switched by %s", mode_name[mode]);
		fence_world(ATP_39);
		w = window_new(IN_DVS);
		page = other_page();
		second = second_table(2, &w, page);
		first = csr_read(CSR_VSATP);
		for (unsigned int i = 0; i < 3; i++) {
			CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
			regs()[A1] = table_atp(&second) | GUEST_ASID << SATP_ASID_SHIFT;
			CHECK_DONE(RUN(mode, CSRRW(X0, csr, A1), insn));
			CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
			CHECK_EQ(load(&w, IN_HU), OTHER_MAGIC);
			regs()[A1] = first;
			CHECK_DONE(RUN(mode, CSRRW(X0, csr, A1), insn));
		}
	}
	for (unsigned int new_asid = 0; new_asid < 2; new_asid++) {
		struct window w;
		struct table second;
		u64 *page, first;

		test("[FEN-1] satp switched by HS, %s",
		     new_asid ? "to another ASID, no fence" : "the same ASID and sfence.vma");
		fence_world(ATP_39);
		w = window_new(IN_DVS);
		page = other_page();
		second = second_table(0, &w, page);
		first = csr_read(CSR_SATP);
		for (unsigned int i = 0; i < 3; i++) {
			CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
			regs()[A1] = table_atp(&second) | (HOST_ASID + new_asid) << SATP_ASID_SHIFT;
			CHECK_DONE(RUN(IN_HS, CSRRW(X0, CSR_SATP, A1),
				       new_asid ? NOP : SFENCE_VMA(X0, X0)));
			CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
			CHECK_EQ(load(&w, IN_HU), OTHER_MAGIC);
			regs()[A1] = first;
			CHECK_DONE(RUN(IN_HS, CSRRW(X0, CSR_SATP, A1),
				       new_asid ? NOP : SFENCE_VMA(X0, X0)));
		}
	}
}

/* ---- translations that are not in use when the fence comes ---- */

/* What leads to other translations for a while, and back. */
enum away { BY_HUVSATP, BY_SATP_OF_GUEST, BY_SATP_OF_HOST, BY_VMID, AWAYS };

static const char *const away_name[] = {
	[BY_HUVSATP] = "huvsatp",
	[BY_SATP_OF_GUEST] = "satp of the guest",
	[BY_SATP_OF_HOST] = "satp of the host",
	[BY_VMID] = "VMID",
};
static const int away_stage[] = {2, 2, 0, 1};

/* Root registers without their ASIDs. */
static u64 read_root(enum away away)
{
	u64 root;

	if (away == BY_VMID)
		root = csr_read(CSR_HUGATP);
	else if (away == BY_SATP_OF_HOST)
		root = csr_read(CSR_SATP);
	else
		root = csr_read(CSR_VSATP);
	return root & ~SATP_ASID;
}

/* Go to space number n, with its own ASID or VMID, without a fence. Number 0 is the first. */
static void go_to(enum away away, u64 root, u64 n)
{
	switch (away) {
	case BY_HUVSATP:
		regs()[A1] = root | (GUEST_ASID + n) << SATP_ASID_SHIFT;
		CHECK_DONE(RUN(IN_HU, CSRRW(X0, CSR_HUVSATP, A1)));
		break;
	case BY_SATP_OF_GUEST:
		regs()[A1] = root | (GUEST_ASID + n) << SATP_ASID_SHIFT;
		CHECK_DONE(RUN(IN_DVS, CSRRW(X0, CSR_SATP, A1)));
		break;
	case BY_SATP_OF_HOST:
		regs()[A1] = root | (HOST_ASID + n) << SATP_ASID_SHIFT;
		CHECK_DONE(RUN(IN_HS, CSRRW(X0, CSR_SATP, A1)));
		break;
	default:
		csr_write(CSR_HGATP, (VMID + n) << HGATP_VMID_SHIFT);
		csr_write(CSR_HDVCTL, HDVCTL_EN);
		csr_write(CSR_HUGATP, root);
		break;
	}
}

/* Does this fence order what another VMID has, too? */
static bool all_vmids(const struct fence *f)
{
	return f->stage == 0 || (f->stage == 1 && f->mode == IN_HS);
}

/* The root of a space with the window at another page. */
static u64 second_root(enum away away, const struct window *w, const u64 *page)
{
	struct table second = second_table(away_stage[away], w, page);

	return table_atp(&second);
}

static void fence_from_away(const struct fence *f, enum away away)
{
	struct window w;
	u64 *page, *pte, old, first, second;

	test("[FEN-%u] %s reaches what was used before %s changed", fence_rule(f), f->name,
	     away_name[away]);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	page = other_page();
	pte = pte_of(&w, f->stage);
	old = *pte;
	first = read_root(away);
	second = second_root(away, &w, page);
	for (unsigned int round = 0; round < 2; round++) {
		bool fetch = round == 1;

		note("round %u", round);
		CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
		run_access(IN_DVS, FETCH, w.gva);
		go_to(away, second, 1);
		CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
		*pte = make_pte(target_name(f->stage, page), *pte & 0x3ff);
		do_fence(f, &w);
		go_to(away, first, 0);
		if (fetch)
			CHECK_EQ(run_access(IN_DVS, FETCH, w.gva)->x[A0], 9);
		else
			CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
		*pte = old;
		do_fence(f, &w);
	}
}

/* More spaces than a hart may keep, in turns. */
static void many_spaces(enum away away)
{
	enum { SPACES = 7 };
	struct window w;
	u64 roots[SPACES];

	test("[FEN-1] %u spaces by %s, no fence between", SPACES, away_name[away]);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	roots[0] = read_root(away);
	for (u64 i = 1; i < SPACES; i++) {
		u64 *page = other_page();

		page[WINDOW_DATA / 8] = OTHER_MAGIC + i;
		roots[i] = second_root(away, &w, page);
	}
	for (u64 i = 0; i < 40; i++) {
		u64 n = i < 20 ? i % SPACES : i * i % SPACES;
		u64 magic = n ? OTHER_MAGIC + n : WINDOW_MAGIC;

		note("step %lu, space %lu", i, n);
		go_to(away, roots[n], n);
		CHECK_EQ(load(&w, IN_DVS), magic);
		CHECK_EQ(load(&w, IN_HU), magic);
	}
}

/* A store through what was used before changes code that has run since. */
static void code_written_from_before(enum away away)
{
	struct window w;
	u64 first, second;

	test("[FEN-1] code that ran meanwhile is written again, %s changes", away_name[away]);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	first = read_root(away);
	second = second_root(away, &w, (u64 *)w.pa);
	for (u32 round = 0; round < 6; round++) {
		note("round %u", round);
		/* This space can write the page, the other one has its code from there. */
		regs()[A0] = ADDI(A0, A0, 10 + round);
		regs()[A1] = w.gva;
		CHECK_DONE(RUN(IN_DVS, SW(A0, A1, 0), FENCE_I));
		go_to(away, second, 1);
		CHECK_EQ(run_access(IN_DVS, FETCH, w.gva)->x[A0], 7 + 10 + round);
		go_to(away, first, 0);
	}
}

/* A load of the process itself, through its own page tables only. */
static u64 load_hva(const struct window *w)
{
	regs()[A1] = w->hva + WINDOW_DATA;
	if (!CHECK_DONE(RUN(IN_HU, LD(A0, A1, 0))))
		return 0;
	return regs()[A0];
}

/* The host's own translations, with the same ASIDs. */
static void host_from_away(const struct fence *f)
{
	struct window w;
	u64 *page, first, second;

	test("[FEN-1] %s reaches what U-mode used before satp changed", f->name);
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	page = other_page();
	first = read_root(BY_SATP_OF_HOST);
	second = second_root(BY_SATP_OF_HOST, &w, page);
	CHECK_EQ(load_hva(&w), WINDOW_MAGIC);
	go_to(BY_SATP_OF_HOST, second, 1);
	CHECK_EQ(load_hva(&w), OTHER_MAGIC);
	*w.host_pte = make_pte((u64)page, *w.host_pte & 0x3ff);
	do_fence(f, &w);
	go_to(BY_SATP_OF_HOST, first, 0);
	CHECK_EQ(load_hva(&w), OTHER_MAGIC);
}

/* ---- VMIDs and plain guests ---- */

static void two_vmids(void)
{
	struct window w;
	u64 first, second;

	test("[FEN-1] two VMIDs with tables of their own, no fence between");
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	first = read_root(BY_VMID);
	second = second_root(BY_VMID, &w, other_page());
	for (unsigned int i = 0; i < 4; i++) {
		note("round %u", i);
		go_to(BY_VMID, first, 0);
		CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
		CHECK_EQ(load(&w, IN_HU), WINDOW_MAGIC);
		go_to(BY_VMID, second, 1);
		CHECK_EQ(load(&w, IN_DVS), OTHER_MAGIC);
		CHECK_EQ(load(&w, IN_HU), OTHER_MAGIC);
	}
}

/* EN is part of the tag: one VMID, a DV guest and a plain one. */
static void plain_guest_beside(void)
{
	struct window w;
	struct table g;
	u64 *page;

	test("[FEN-1] [EN-1] a DV translation never serves a plain guest, nor the reverse");
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	page = other_page();
	/* The plain guest: the same gpas to physical memory, and the window elsewhere. */
	g = table_new(ATP_39, true, 0);
	for (u64 i = 0; i < 0x8000000; i += level_size(1)) {
		table_map(&g, 0x80000000 + world.gpa + i, 0x80000000 + i, 1, PTE_URWX);
		/* Its code runs at the DV guest's gva, of VS-mode. */
	}
	table_map(&g, w.gpa, (u64)page, 0, PTE_URWX);
	csr_write(CSR_HGATP, table_atp(&g) | VMID << HGATP_VMID_SHIFT);
	fence_all();
	for (unsigned int i = 0; i < 4; i++) {
		const struct outcome *o;

		note("round %u", i);
		set_en(true);
		CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
		/* Plain: EN=0, the same hgatp; no fence. */
		regs()[A1] = w.gva + WINDOW_DATA;
		put_code((const u32[]){LD(A0, A1, 0)}, 1);
		o = run_at(IN_VS, code_addr(IN_DVS, 0));
		CHECK_EQ(o->mcause, EXC_ECALL_VS);
		CHECK_EQ(o->x[A0], OTHER_MAGIC);
		CHECK_EQ(csr_read(CSR_HDVCTL), 0);
	}
}

/* A new, wider permission needs no more than the fault that found it missing. */
static void huret_needs_no_fence(void)
{
	struct window w;

	test("[FEN-4] SPVP changes by huret without a fence");
	fence_world(ATP_39);
	w = window_new(IN_DVS);
	CHECK_EQ(load(&w, IN_DVS), WINDOW_MAGIC);
	/* The page is S-mode's: VU must not find it in a TLB. */
	regs()[A0] = 7;
	regs()[A1] = w.gva + WINDOW_DATA;
	put_code((const u32[]){LD(A0, A1, 0)}, 1);
	CHECK_TRAP(huret_to(IN_DVU, code_addr(IN_DVU, 0)), AT_HU, EXC_LOAD_PAGE,
		   code_addr(IN_DVU, 0), w.gva + WINDOW_DATA);
	CHECK_DONE(huret_to(IN_DVS, code_addr(IN_DVS, 0)));
	/* HLV follows hustatus.SPVP at once. */
	csr_write(CSR_HUSTATUS, 0);
	CHECK_TRAP(RUN(IN_HU, HLV_D(A0, A1)), AT_HU, EXC_LOAD_PAGE, code_addr(IN_HU, 0),
		   w.gva + WINDOW_DATA);
	csr_write(CSR_HUSTATUS, HUSTATUS_SPVP);
	CHECK_DONE(RUN(IN_HU, HLV_D(A0, A1)));
}

void test_main(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fences); i++) {
		changed_pte(&fences[i]);
		moved_code(&fences[i]);
		revoked_permission(&fences[i]);
		changed_table(&fences[i]);
		for (enum away away = 0; away < AWAYS; away++)
			if (away != BY_VMID || all_vmids(&fences[i]))
				fence_from_away(&fences[i], away);
		if (fences[i].stage == 0)
			host_from_away(&fences[i]);
	}
	for (enum away away = 0; away < AWAYS; away++) {
		many_spaces(away);
		code_written_from_before(away);
	}
	switched_roots();
	two_vmids();
	plain_guest_beside();
	huret_needs_no_fence();
}
