// SPDX-License-Identifier: GPL-2.0-or-later
/* Three-stage translation: what is reachable, and each fault of each stage. */
#include <isatest.h>

static const int atp_modes[] = {ATP_BARE, ATP_39, ATP_48, ATP_57};
static const char *const atp_name[] = {"Bare", "39", "48", "57"};

static int levels(int mode)
{
	return mode == ATP_BARE ? 1 : mode - ATP_39 + 3;
}

/* ---- everything works ---- */

static void leaf_sizes(int vs, int g, int h)
{
	for (int l1 = 0; l1 < levels(vs); l1++)
		for (int l2 = 0; l2 < levels(g); l2++)
			for (int l3 = 0; l3 < levels(h); l3++) {
				struct window w;

				new_world(h, g, vs);
				w = window_map((l1 + l2 + l3) & 1 ? IN_DVU : IN_DVS, l1, l2, l3);
				note("levels %d %d %d", l1, l2, l3);
				for (enum access kind = FETCH; kind < ACCESSES; kind++)
					CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
			}
}

static void all_modes(void)
{
	for (unsigned int n = 0; n < 64; n++) {
		unsigned int vs = n & 3, g = n >> 2 & 3, h = n >> 4;

		test("[MEM-1] [MEM-4] vsatp %s, hugatp %s, satp %s, all leaf sizes", atp_name[vs],
		     atp_name[g], atp_name[h]);
		leaf_sizes(atp_modes[vs], atp_modes[g], atp_modes[h]);
	}
}

/* ---- mutations of a leaf ---- */

/* How an access ends if the PTE is mutated: for each kind, does it fail? */
struct mutation {
	const char *name;
	u64 clear, set;
	bool fails[ACCESSES];
};

#define ALL_FAIL                                                                                   \
	{                                                                                          \
		true, true, true, true                                                             \
	}
#define NONE_FAILS                                                                                 \
	{                                                                                          \
		false, false, false, false                                                         \
	}
#define WRITES_FAIL                                                                                \
	{                                                                                          \
		false, false, true, true                                                           \
	}

#define FETCH_FAILS                                                                                \
	{                                                                                          \
		true, false, false, false                                                          \
	}

static const struct mutation host_mutations[] = {
	{"unchanged", 0, 0, NONE_FAILS},
	{"V=0", PTE_V, 0, ALL_FAIL},
	{"U=0", PTE_U, 0, ALL_FAIL},
	{"X=0", PTE_X, 0, NONE_FAILS},
	{"read-only", PTE_W | PTE_X, 0, WRITES_FAIL},
	{"W=0", PTE_W, 0, WRITES_FAIL},
	{"execute-only", PTE_R | PTE_W, 0, ALL_FAIL},
	{"R=0 (reserved)", PTE_R, 0, ALL_FAIL},
	{"R=0 X=0 (reserved)", PTE_R | PTE_X, 0, ALL_FAIL},
	{"A=0", PTE_A, 0, ALL_FAIL},
	{"D=0", PTE_D, 0, WRITES_FAIL},
	{"reserved bit 54", 0, 1ul << 54, ALL_FAIL},
	{"reserved bit 60", 0, 1ul << 60, ALL_FAIL},
	{"PBMT without menvcfg.PBMTE", 0, PTE_PBMT_NC, ALL_FAIL},
	{"G=1", 0, PTE_G, NONE_FAILS},
	{"software bits", 0, 3ul << 8, NONE_FAILS},
};

static const struct mutation stage2_mutations[] = {
	{"unchanged", 0, 0, NONE_FAILS},
	{"V=0", PTE_V, 0, ALL_FAIL},
	{"U=0", PTE_U, 0, ALL_FAIL},
	{"X=0", PTE_X, 0, {true, false, false, false}},
	{"read-only", PTE_W | PTE_X, 0, {true, false, true, true}},
	{"W=0", PTE_W, 0, WRITES_FAIL},
	{"execute-only", PTE_R | PTE_W, 0, {false, true, true, true}},
	{"R=0 (reserved)", PTE_R, 0, ALL_FAIL},
	{"R=0 X=0 (reserved)", PTE_R | PTE_X, 0, ALL_FAIL},
	{"A=0", PTE_A, 0, ALL_FAIL},
	{"D=0", PTE_D, 0, WRITES_FAIL},
	{"reserved bit 54", 0, 1ul << 54, ALL_FAIL},
	{"reserved bit 60", 0, 1ul << 60, ALL_FAIL},
	{"PBMT", 0, PTE_PBMT_NC, ALL_FAIL},
	{"PBMT IO", 0, PTE_PBMT_IO, ALL_FAIL},
	{"G=1", 0, PTE_G, NONE_FAILS},
	{"software bits", 0, 3ul << 8, NONE_FAILS},
};

static const struct mutation guest_mutations[] = {
	{"unchanged", 0, 0, NONE_FAILS},
	{"V=0", PTE_V, 0, ALL_FAIL},
	{"X=0", PTE_X, 0, {true, false, false, false}},
	{"W=0", PTE_W, 0, WRITES_FAIL},
	{"execute-only", PTE_R | PTE_W, 0, {false, true, true, true}},
	{"R=0 (reserved)", PTE_R, 0, ALL_FAIL},
	{"A=0", PTE_A, 0, ALL_FAIL},
	{"D=0", PTE_D, 0, WRITES_FAIL},
	{"reserved bit 54", 0, 1ul << 54, ALL_FAIL},
	{"PBMT without henvcfg.PBMTE", 0, PTE_PBMT_NC, ALL_FAIL},
};

static const struct {
	int vs, g, h;
} fault_modes[] = {
	{ATP_BARE, ATP_39, ATP_39}, {ATP_39, ATP_39, ATP_39}, {ATP_48, ATP_48, ATP_48},
	{ATP_57, ATP_57, ATP_57},   {ATP_39, ATP_57, ATP_48}, {ATP_57, ATP_39, ATP_39},
};

static struct window faulty_window(unsigned int modes, enum mode mode)
{
	new_world(fault_modes[modes].h, fault_modes[modes].g, fault_modes[modes].vs);
	return window_new(mode);
}

static void mutate(u64 *pte, const struct mutation *m)
{
	*pte = (*pte & ~m->clear) | m->set;
	fence_all();
}

static void host_leaf_faults(const struct mutation *m)
{
	test("[MEM-2] [HOST-2] host leaf %s", m->name);
	for (unsigned int n = 0; n < 2 * ARRAY_SIZE(fault_modes); n++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w = faulty_window(n / 2, n & 1 ? IN_DVU : IN_DVS);
			const struct outcome *o;
			u64 pte;

			note("modes %u, %s in %s", n / 2, access_name[kind], mode_name[w.mode]);
			mutate(w.host_pte, m);
			pte = *w.host_pte;
			o = window_access(&w, kind);
			if (m->fails[kind]) {
				CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva),
						 host_page_fault[kind],
						 w.hva + access_offset(kind));
				CHECK_EQ(o->x[A0], 7);
				CHECK_EQ(*(u64 *)(w.pa + WINDOW_DATA), WINDOW_MAGIC);
			} else {
				CHECK_ACCESS_OK(o, &w, kind);
			}
			CHECK_EQ(*w.host_pte, pte);
		}
	}
}

static void stage2_leaf_faults(const struct mutation *m)
{
	test("[MEM-3] stage-2 leaf %s", m->name);
	for (unsigned int n = 0; n < 2 * ARRAY_SIZE(fault_modes); n++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w = faulty_window(n / 2, n & 1 ? IN_DVU : IN_DVS);
			const struct outcome *o;
			u64 pte;

			note("modes %u, %s in %s", n / 2, access_name[kind], mode_name[w.mode]);
			mutate(w.stage2_pte, m);
			pte = *w.stage2_pte;
			o = window_access(&w, kind);
			if (m->fails[kind])
				CHECK_EXIT(o, &w, kind, guest_page_fault[kind],
					   w.gpa + access_offset(kind), 0);
			else
				CHECK_ACCESS_OK(o, &w, kind);
			CHECK_EQ(*w.stage2_pte, pte);
		}
	}
}

static void guest_leaf_faults(const struct mutation *m)
{
	test("[EXC-1] VS-stage leaf %s", m->name);
	for (unsigned int n = 2; n < 2 * ARRAY_SIZE(fault_modes); n++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w = faulty_window(n / 2, n & 1 ? IN_DVU : IN_DVS);
			const struct outcome *o;

			note("modes %u, %s in %s", n / 2, access_name[kind], mode_name[w.mode]);
			mutate(w.guest_pte, m);
			o = window_access(&w, kind);
			if (m->fails[kind])
				CHECK_EXIT(o, &w, kind, page_fault[kind], 0, 0);
			else
				CHECK_ACCESS_OK(o, &w, kind);
		}
	}
}

/* Two stages fail: the one nearer to the guest is reported. */
static void which_stage_first(void)
{
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		struct window w;

		test("[MEM-1] %s: VS stage before stage 2 before host", access_name[kind]);
		w = faulty_window(1, IN_DVS);
		*w.host_pte = 0;
		*w.stage2_pte &= ~PTE_V;
		*w.guest_pte &= ~PTE_V;
		fence_all();
		CHECK_EXIT(window_access(&w, kind), &w, kind, page_fault[kind], 0, 0);
		*w.guest_pte |= PTE_V;
		fence_all();
		CHECK_EXIT(window_access(&w, kind), &w, kind, guest_page_fault[kind],
			   w.gpa + access_offset(kind), 0);
		*w.stage2_pte |= PTE_V;
		fence_all();
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 host_page_fault[kind], w.hva + access_offset(kind));
	}
}

/* ---- MXR, SUM ---- */

static void mxr(void)
{
	struct window w;

	test("[MEM-2] sstatus.MXR does not open an execute-only host page");
	w = faulty_window(1, IN_DVS);
	*w.host_pte &= ~(PTE_R | PTE_W);
	csr_set(CSR_MSTATUS, MSTATUS_MXR);
	csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
	fence_all();
	CHECK_HOST_FAULT(window_access(&w, LOAD), w.mode, code_addr(w.mode, 0), EXC_LOAD_PAGE,
			 w.hva + WINDOW_DATA);
	/* Control: the process itself may read it then. */
	CHECK_DONE(run_access(IN_HU, LOAD, w.hva));

	test("[MEM-3] sstatus.MXR of the host opens execute-only stage-2 pages, as G-stage ones");
	w = faulty_window(1, IN_DVS);
	*w.stage2_pte &= ~(PTE_R | PTE_W);
	fence_all();
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_GUEST_PAGE, w.gpa + WINDOW_DATA, 0);
	csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_GUEST_PAGE, w.gpa + WINDOW_DATA, 0);
	csr_set(CSR_MSTATUS, MSTATUS_MXR);
	CHECK_ACCESS_OK(window_access(&w, LOAD), &w, LOAD);

	test("[FEN-4] huvsstatus.MXR counts for the VS stage, at once");
	w = faulty_window(1, IN_DVS);
	*w.guest_pte &= ~(PTE_R | PTE_W);
	fence_all();
	csr_write(CSR_HUVSSTATUS, 0);
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_PAGE, 0, 0);
	csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
	CHECK_ACCESS_OK(window_access(&w, LOAD), &w, LOAD);
	csr_write(CSR_HUVSSTATUS, 0);
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_PAGE, 0, 0);

	test("[FEN-4] huvsstatus.SUM counts for the VS stage, at once; the host's does not");
	w = faulty_window(1, IN_DVS);
	*w.guest_pte |= PTE_U;
	fence_all();
	csr_set(CSR_MSTATUS, MSTATUS_SUM);
	csr_write(CSR_HUVSSTATUS, 0);
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_PAGE, 0, 0);
	CHECK_EXIT(window_access(&w, STORE), &w, STORE, EXC_STORE_PAGE, 0, 0);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SUM);
	CHECK_ACCESS_OK(window_access(&w, LOAD), &w, LOAD);
	CHECK_ACCESS_OK(window_access(&w, STORE), &w, STORE);
	CHECK_EXIT(window_access(&w, FETCH), &w, FETCH, EXC_INST_PAGE, 0, 0);
	csr_write(CSR_HUVSSTATUS, 0);
	CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_PAGE, 0, 0);

	test("[MEM-2] sstatus.SUM does not open a kernel page to the guest");
	w = faulty_window(1, IN_DVS);
	*w.host_pte &= ~PTE_U;
	csr_set(CSR_MSTATUS, MSTATUS_SUM);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SUM);
	fence_all();
	CHECK_HOST_FAULT(window_access(&w, LOAD), w.mode, code_addr(w.mode, 0), EXC_LOAD_PAGE,
			 w.hva + WINDOW_DATA);

	test("[MEM-3] VU needs U=1 in the VS stage");
	w = faulty_window(1, IN_DVU);
	*w.guest_pte &= ~PTE_U;
	fence_all();
	for (enum access kind = FETCH; kind < ACCESSES; kind++)
		CHECK_EXIT(window_access(&w, kind), &w, kind, page_fault[kind], 0, 0);
}

/* ---- A and D bits ---- */

static void enable_updates(bool firmware, bool guest)
{
	if (firmware)
		csr_set(CSR_MENVCFG, ENVCFG_ADUE);
	if (guest)
		csr_set(CSR_HENVCFG, ENVCFG_ADUE);
}

static void accessed_and_dirty(void)
{
	static const char *const stage_name[] = {"host", "stage 2", "VS stage"};

	for (unsigned int stage = 0; stage < 3; stage++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w;
			u64 *pte, want;

			test("[MEM-3] ADUE=1: %s sets A and D in the %s", access_name[kind],
			     stage_name[stage]);
			w = faulty_window(1, IN_DVS);
			pte = stage == 0 ? w.host_pte : stage == 1 ? w.stage2_pte : w.guest_pte;
			enable_updates(true, true);
			*pte &= ~(PTE_A | PTE_D);
			fence_all();
			CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
			want = PTE_A | (kind >= STORE ? PTE_D : 0);
			CHECK_EQ(*pte & (PTE_A | PTE_D), want);
			/* ... and a later store sets D. */
			CHECK_ACCESS_OK(window_access(&w, STORE), &w, STORE);
			CHECK_EQ(*pte & (PTE_A | PTE_D), PTE_A | PTE_D);

			test("[MEM-3] the other ADUE does not count: %s, %s", access_name[kind],
			     stage_name[stage]);
			w = faulty_window(1, IN_DVS);
			pte = stage == 0 ? w.host_pte : stage == 1 ? w.stage2_pte : w.guest_pte;
			/* The VS stage asks henvcfg (and menvcfg); the others menvcfg alone. */
			enable_updates(stage == 2, stage != 2);
			*pte &= ~(PTE_A | PTE_D);
			fence_all();
			if (stage == 0)
				CHECK_HOST_FAULT(window_access(&w, kind), w.mode,
						 access_pc(w.mode, kind, w.gva),
						 host_page_fault[kind],
						 w.hva + access_offset(kind));
			else
				CHECK_EXIT(window_access(&w, kind), &w, kind,
					   stage == 1 ? guest_page_fault[kind] : page_fault[kind],
					   stage == 1 ? w.gpa + access_offset(kind) : 0, 0);
			CHECK_EQ(*pte & (PTE_A | PTE_D), 0);
		}
	}
}

/* ---- faults of accesses to tables ---- */

/*
 * A page of tables of one stage, its names in the stages below, and the PTE
 * in it that the window is reached through.
 */
struct table_ref {
	u64 pte_pa, pte_gpa, pte_hva;
	u64 *host_leaf, *stage2_leaf; /* what maps the page itself */
};

static struct table_ref reference(u64 pte_pa, bool of_guest)
{
	struct table_ref r = {.pte_pa = pte_pa};

	r.pte_hva = pte_pa + world.hva;
	r.pte_gpa = pte_pa + world.gpa;
	r.host_leaf = table_pte(&world.host, r.pte_hva, 0);
	if (of_guest)
		r.stage2_leaf = table_pte(&world.stage2, r.pte_gpa, 0);
	fence_all();
	return r;
}

static void guest_table_without_stage2(int level)
{
	static const struct mutation none_read[] = {
		{"V=0", PTE_V, 0, ALL_FAIL},
		{"U=0", PTE_U, 0, ALL_FAIL},
		{"R=0", PTE_R | PTE_W, 0, ALL_FAIL},
		{"A=0", PTE_A, 0, ALL_FAIL},
	};

	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		test("[MEM-1] [EXIT-2] %s: table of the VS stage, level %d, not readable by stage "
		     "2",
		     access_name[kind], level);
		for (unsigned int i = 0; i < ARRAY_SIZE(none_read); i++) {
			struct window w = faulty_window(1, IN_DVS);
			struct table_ref r =
				reference((u64)table_pte(&world.guest, w.gva, level), true);

			note("%s", none_read[i].name);
			mutate(r.stage2_leaf, &none_read[i]);
			CHECK_EXIT(window_access(&w, kind), &w, kind, guest_page_fault[kind],
				   r.pte_gpa, 0x3000);
		}
	}
}

static void update_in_read_only_host_page(enum access kind, bool of_guest)
{
	struct window w;
	struct table_ref r;
	u64 *updated, pte;

	test("[MEM-2] [HOST-2] %s: A/D update of a %s PTE in a read-only host page",
	     access_name[kind], of_guest ? "VS-stage" : "stage-2");
	w = faulty_window(1, IN_DVS);
	updated = of_guest ? w.guest_pte : w.stage2_pte;
	r = reference((u64)updated, of_guest);
	enable_updates(true, true);
	*r.host_leaf &= ~PTE_W;
	*updated &= ~(PTE_A | PTE_D);
	pte = *updated;
	fence_all();
	CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
			 EXC_STORE_PAGE, r.pte_hva);
	CHECK_EQ(*updated, pte);
	/* Control: with the permission it works, and is written. */
	*r.host_leaf |= PTE_W;
	fence_all();
	CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
	CHECK_EQ(*updated & PTE_A, PTE_A);
}

static void guest_table_update_refused(void)
{
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		struct window w;
		struct table_ref r;
		u64 pte;

		test("[MEM-1] [EXIT-2] %s: A/D update of a VS-stage PTE that stage 2 has read-only",
		     access_name[kind]);
		w = faulty_window(1, IN_DVS);
		r = reference((u64)w.guest_pte, true);
		enable_updates(true, true);
		*r.stage2_leaf &= ~PTE_W;
		*w.guest_pte &= ~(PTE_A | PTE_D);
		pte = *w.guest_pte;
		fence_all();
		CHECK_EXIT(window_access(&w, kind), &w, kind, guest_page_fault[kind], r.pte_gpa,
			   0x3020);
		CHECK_EQ(*w.guest_pte, pte);

		update_in_read_only_host_page(kind, true);
		update_in_read_only_host_page(kind, false);
	}
}

static void table_on_bad_host_page(bool of_guest, int level)
{
	static const struct mutation bad[] = {
		{"V=0", PTE_V, 0, ALL_FAIL},
		{"U=0", PTE_U, 0, ALL_FAIL},
		{"execute-only", PTE_R | PTE_W, 0, ALL_FAIL},
		{"A=0", PTE_A, 0, ALL_FAIL},
	};

	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		test("[MEM-1] [MEM-2] [HOST-2] %s: table of %s, level %d, on a host page that "
		     "U-mode cannot read",
		     access_name[kind], of_guest ? "the VS stage" : "stage 2", level);
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			struct window w = faulty_window(1, IN_DVS);
			struct table_ref r =
				reference((u64)(of_guest ? table_pte(&world.guest, w.gva, level)
							 : table_pte(&world.stage2, w.gpa, level)),
					  of_guest);
			const struct outcome *o;

			note("%s", bad[i].name);
			csr_set(CSR_MSTATUS, MSTATUS_MXR | MSTATUS_SUM);
			mutate(r.host_leaf, &bad[i]);
			o = window_access(&w, kind);
			/* The root of stage 2 serves the code as well: even that faults. */
			if (!of_guest && level == 2)
				CHECK_HOST_FAULT(o, w.mode, code_addr(w.mode, 0), EXC_LOAD_PAGE,
						 o->hutval);
			else
				CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva),
						 EXC_LOAD_PAGE, r.pte_hva);
			CHECK_EQ(o->hutval & ~0x3ffful, r.pte_hva & ~0x3ffful);
		}
	}
}

static void tables(void)
{
	/* The tables of level 2 map the code, too: not to be broken for the VS stage. */
	for (int level = 0; level < 2; level++) {
		guest_table_without_stage2(level);
		table_on_bad_host_page(true, level);
	}
	for (int level = 0; level < 3; level++)
		table_on_bad_host_page(false, level);
	guest_table_update_refused();
}

/* ---- forged addresses ---- */

static void high_gpa(void)
{
	static const struct {
		int mode;
		unsigned int bits;
	} widths[] = {{ATP_39, 41}, {ATP_48, 50}, {ATP_57, 59}};

	for (unsigned int i = 0; i < ARRAY_SIZE(widths); i++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w;

			test("[MEM-3] %s: a gpa of more than %u bits faults", access_name[kind],
			     widths[i].bits);
			for (unsigned int bit = widths[i].bits; bit < 64; bit++) {
				new_world(ATP_39, widths[i].mode, ATP_BARE);
				w = window_new(IN_DVS);
				note("bit %u", bit);
				w.gpa |= 1ul << bit;
				w.gva = w.gpa;
				CHECK_EXIT(window_access(&w, kind), &w, kind,
					   guest_page_fault[kind], w.gpa + access_offset(kind), 0);
			}
			/* The two extra bits are used: other PTEs of the 16 KiB root. */
			for (unsigned int bit = widths[i].bits - 2; bit < widths[i].bits; bit++) {
				new_world(ATP_39, widths[i].mode, ATP_BARE);
				w = window_new(IN_DVS);
				note("bit %u", bit);
				w.gpa |= 1ul << bit;
				w.gva = w.gpa;
				CHECK_EXIT(window_access(&w, kind), &w, kind,
					   guest_page_fault[kind], w.gpa + access_offset(kind), 0);
				table_map(&world.stage2, w.gpa, w.hva, 0, PTE_URWX);
				fence_all();
				CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
			}
		}
	}
}

/* Stage 2 can only name HVAs of 56 bits, zero-extended. */
static void high_hva(void)
{
	static const struct {
		int mode;
		unsigned int bits;
	} widths[] = {{ATP_39, 38}, {ATP_48, 47}, {ATP_57, 56}};

	for (unsigned int i = 0; i < ARRAY_SIZE(widths); i++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			test("[MEM-1] %s: an HVA above the user half of satp mode %u faults",
			     access_name[kind], widths[i].bits + 1);
			for (unsigned int bit = widths[i].bits; bit < 56; bit++) {
				struct window w;

				new_world(widths[i].mode, ATP_39, ATP_39);
				w = window_new(IN_DVS);
				note("bit %u", bit);
				w.hva |= 1ul << bit;
				*w.stage2_pte = make_pte(w.hva, PTE_URWX);
				/* Even where the upper half has that page, and for user mode. */
				table_map(&world.host, w.hva, w.pa, 0, PTE_URWX);
				fence_all();
				CHECK_HOST_FAULT(window_access(&w, kind), w.mode,
						 access_pc(w.mode, kind, w.gva),
						 host_page_fault[kind],
						 w.hva + access_offset(kind));
			}
			/* Sv57 has no HVA of 56 bits that is out of the lower half. */
			if (widths[i].bits >= 56)
				CHECK(true);
		}
	}
	test("[MEM-1] control: HS-mode reaches the page in the upper half");
	new_world(ATP_39, ATP_39, ATP_BARE);
	struct window w = window_new(IN_DVS);

	table_map(&world.host, 0xffffffe000000000, w.pa, 0, PTE_RWX);
	fence_all();
	CHECK_DONE(run_access(IN_HS, LOAD, 0xffffffe000000000));
	CHECK_EQ(regs()[A0], WINDOW_MAGIC);
}

static void misaligned_superpages(void)
{
	for (int stage = 0; stage < 3; stage++) {
		for (int level = 1; level < 5; level++) {
			test("[MEM-3] misaligned leaf of level %d in the %s", level,
			     stage == 0           ? "host"
				     : stage == 1 ? "stage 2"
						  : "VS stage");
			for (enum access kind = FETCH; kind < ACCESSES; kind++) {
				for (int bit = 0; bit < 9 * level; bit += 4) {
					struct window w;
					u64 *pte;

					new_world(ATP_57, ATP_57, ATP_57);
					w = window_map(IN_DVS, stage == 2 ? level : 0,
						       stage == 1 ? level : 0,
						       stage == 0 ? level : 0);
					note("%s, bit %d", access_name[kind], bit);
					pte = stage == 0     ? w.host_pte
						: stage == 1 ? w.stage2_pte
							     : w.guest_pte;
					*pte |= 1ul << (10 + bit);
					fence_all();
					const struct outcome *o = window_access(&w, kind);

					if (stage == 0)
						CHECK_HOST_FAULT(o, w.mode,
								 access_pc(w.mode, kind, w.gva),
								 host_page_fault[kind],
								 w.hva + access_offset(kind));
					else if (stage == 1)
						CHECK_EXIT(o, &w, kind, guest_page_fault[kind],
							   w.gpa + access_offset(kind), 0);
					else
						CHECK_EXIT(o, &w, kind, page_fault[kind], 0, 0);
				}
			}
		}
	}
}

/* Pointers with bits that only leaves have, and leaves where none can be. */
static void bad_pointers(void)
{
	static const struct {
		const char *name;
		u64 set;
	} bits[] = {
		{"A", PTE_A},          {"D", PTE_D}, {"U", PTE_U},
		{"PBMT", PTE_PBMT_NC}, {"N", PTE_N}, {"reserved bit 55", 1ul << 55},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++) {
		for (int level = 0; level < 2; level++) {
			test("[MEM-3] stage-2 %s with %s set",
			     level ? "pointer" : "pointer at level 0", bits[i].name);
			for (enum access kind = FETCH; kind < ACCESSES; kind++) {
				struct window w = faulty_window(1, IN_DVS);
				u64 *pte = table_pte(&world.stage2, w.gpa, level);

				note("%s", access_name[kind]);
				if (level == 0)
					*pte = make_pte(w.hva, PTE_V);
				*pte |= bits[i].set;
				fence_all();
				CHECK_EXIT(window_access(&w, kind), &w, kind,
					   guest_page_fault[kind], w.gpa + access_offset(kind), 0);
			}
		}
	}
}

static void svpbmt(void)
{
	static const u64 types[] = {PTE_PBMT_NC, PTE_PBMT_IO};
	struct window w;

	csr_set(CSR_MENVCFG, ENVCFG_PBMTE);
	if (!(csr_read(CSR_MENVCFG) & ENVCFG_PBMTE))
		return;
	for (unsigned int i = 0; i < 2; i++) {
		test("[MEM-3] PBMT = %u with PBMTE: host and VS stage may, stage 2 may not", i + 1);
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			note("%s", access_name[kind]);
			w = faulty_window(1, IN_DVS);
			csr_set(CSR_MENVCFG, ENVCFG_PBMTE);
			csr_set(CSR_HENVCFG, ENVCFG_PBMTE);
			*w.host_pte |= types[i];
			*w.guest_pte |= types[i];
			fence_all();
			CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
			*w.stage2_pte |= types[i];
			fence_all();
			CHECK_EXIT(window_access(&w, kind), &w, kind, guest_page_fault[kind],
				   w.gpa + access_offset(kind), 0);
			*w.stage2_pte &= ~types[i];
			*table_pte(&world.stage2, w.gpa, 1) |= types[i];
			fence_all();
			CHECK_EXIT(window_access(&w, kind), &w, kind, guest_page_fault[kind],
				   w.gpa + access_offset(kind), 0);
		}
	}
}

/* ---- hugatp itself ---- */

static void forged_roots(void)
{
	static const struct {
		const char *name;
		u64 flags;
	} pages[] = {
		{"a page of the kernel", PTE_RWX},
		{"no page", 0},
		{"an execute-only page", PTE_V | PTE_X | PTE_U | PTE_A | PTE_D},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(pages); i++) {
		for (int mode = ATP_39; mode <= ATP_57; mode++) {
			u64 root = 0x2800000000, index_hva;
			u64 *table;

			test("[CSR-2] [MEM-2] hugatp names %s, mode %d", pages[i].name, mode);
			new_world(ATP_39, mode, ATP_BARE);
			csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
			/* A copy of the real root: it would work if it were readable. */
			table = alloc_pages(4);
			memcpy(table, (void *)world.stage2.root, 4 * PAGE_SIZE);
			for (unsigned int n = 0; n < 4; n++)
				table_map(&world.host, root + n * PAGE_SIZE,
					  (u64)table + n * PAGE_SIZE, 0, PTE_URWX);
			csr_write(CSR_HUGATP, (u64)mode << 60 | root >> 12);
			fence_all();
			CHECK_DONE(RUN(IN_DVS, NOP));
			for (unsigned int n = 0; n < 4; n++)
				table_map(&world.host, root + n * PAGE_SIZE,
					  (u64)table + n * PAGE_SIZE, 0, pages[i].flags);
			fence_all();
			index_hva =
				root + 8 * (code_addr(IN_DVS, 0) >> (12 + 9 * (mode - ATP_39 + 2)));
			CHECK_HOST_FAULT(RUN(IN_DVS, NOP), IN_DVS, code_addr(IN_DVS, 0),
					 EXC_LOAD_PAGE, index_hva);
		}
	}

	test("[CSR-2] hugatp above the user half");
	new_world(ATP_39, ATP_39, ATP_BARE);
	csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
	csr_write(CSR_HUGATP, 8ul << 60 | 0xffffffffffc);
	CHECK_EQ(csr_read(CSR_HUGATP), 8ul << 60 | 0xffffffffffc);
	const struct outcome *o = RUN(IN_DVS, NOP);

	CHECK_HOST_FAULT(o, IN_DVS, code_addr(IN_DVS, 0), EXC_LOAD_PAGE,
			 (0xffffffffffcul << 12) + 8 * (code_addr(IN_DVS, 0) >> 30));
}

static void hgatp_is_ignored(void)
{
	test("[MEM-5] hgatp means nothing to a DV guest");
	for (int mode = ATP_39; mode <= ATP_57; mode++) {
		struct window w = faulty_window(1, IN_DVS);

		/* An empty table, and one at a physical address that is no memory. */
		csr_write(CSR_HGATP, (u64)mode << 60 | (u64)alloc_pages(4) >> 12);
		fence_all();
		for (enum access kind = FETCH; kind < ACCESSES; kind++)
			CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
		csr_write(CSR_HGATP, (u64)mode << 60 | 0xffffffffffc);
		fence_all();
		for (enum access kind = FETCH; kind < ACCESSES; kind++)
			CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
	}
}

/* ---- the sentence: a guest reaches what plain loads and stores reach ---- */

static void same_as_the_process(void)
{
	test("[MEM-2] [MEM-4] a guest succeeds exactly where U-mode would, for all PTE flags");
	for (u64 flags = 0; flags < 256; flags++) {
		struct window w = faulty_window(1, IN_DVS);

		note("flags %lx", flags);
		*w.host_pte = make_pte(w.pa, flags);
		fence_all();
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			enum access plain = kind == FETCH ? LOAD : kind;
			const struct outcome *o = run_access(IN_HU, plain, w.hva);
			bool process = o->done;
			u64 cause = o->scause, hva = w.hva + access_offset(kind);

			if (!process)
				CHECK_TRAP(o, AT_HS, cause, code_addr(IN_HU, 0),
					   w.hva + access_offset(plain));
			o = window_access(&w, kind);
			if (process)
				CHECK_ACCESS_OK(o, &w, kind);
			else
				CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva), cause,
						 hva);
		}
	}
}

/* Tables are read by the walk, which MXR does not help: it is for loads of instructions. */
static void mxr_of_tables(void)
{
	static const char *const what[] = {"of the VS stage", "of stage 2"};

	for (unsigned int i = 0; i < ARRAY_SIZE(what); i++) {
		struct window w;
		struct table_ref r;

		test("[MEM-2] MXR does not open execute-only host pages with tables %s", what[i]);
		w = faulty_window(1, IN_DVS);
		r = reference((u64)(i ? w.stage2_pte : w.guest_pte), !i);
		*r.host_leaf &= ~(PTE_R | PTE_W);
		csr_set(CSR_MSTATUS, MSTATUS_MXR);
		csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
		fence_all();
		CHECK_HOST_FAULT(window_access(&w, LOAD), w.mode, access_pc(w.mode, LOAD, w.gva),
				 EXC_LOAD_PAGE, r.pte_hva);
	}
	for (unsigned int by_hlv = 0; by_hlv < 2; by_hlv++) {
		test("[MEM-3] MXR does not open execute-only stage-2 pages with tables of the VS "
		     "stage, %s",
		     by_hlv ? "for HLV" : "for a guest");
		struct window w = faulty_window(1, IN_DVS);
		struct table_ref r = reference((u64)w.guest_pte, true);
		const struct outcome *o;

		*r.stage2_leaf &= ~(PTE_R | PTE_W);
		csr_set(CSR_MSTATUS, MSTATUS_MXR);
		csr_write(CSR_HUVSSTATUS, MSTATUS_MXR);
		fence_all();
		if (!by_hlv) {
			CHECK_EXIT(window_access(&w, LOAD), &w, LOAD, EXC_LOAD_GUEST_PAGE,
				   r.pte_gpa, 0x3000);
			continue;
		}
		csr_write(CSR_HUSTATUS, HUSTATUS_SPVP);
		regs()[A1] = w.gva;
		o = RUN(IN_HU, HLV_D(A0, A1));
		CHECK_TRAP(o, AT_HU, EXC_LOAD_GUEST_PAGE, code_addr(IN_HU, 0), w.gva);
		CHECK_EQ(o->gpa, r.pte_gpa);
	}
}

/* ---- physical memory protection, holes ---- */

static void protect(u64 pa, u64 permissions)
{
	csr_write(CSR_PMPADDR0, pa >> 2 | 0x1ff); /* NAPOT, 4 KiB */
	csr_write(CSR_PMPADDR1, -1);
	csr_write(CSR_PMPCFG0, 0x1f00 | 0x18 | permissions);
	fence_all();
}

static void pmp(void)
{
	static const struct {
		const char *name;
		u64 permissions;
		bool fails[ACCESSES];
	} kinds[] = {
		{"nothing", 0, ALL_FAIL},
		{"reading and executing", 5, WRITES_FAIL},
		{"reading and writing", 3, FETCH_FAILS},
		{"all", 7, NONE_FAILS},
	};
	struct window w;

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			test("[MEM-4] [HOST-2] PMP allows %s: %s", kinds[i].name,
			     access_name[kind]);
			for (unsigned int n = 0; n < 2 * ARRAY_SIZE(fault_modes); n++) {
				const struct outcome *o;

				w = faulty_window(n / 2, n & 1 ? IN_DVU : IN_DVS);
				protect(w.pa, kinds[i].permissions);
				o = window_access(&w, kind);
				if (kinds[i].fails[kind])
					CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva),
							 host_access_fault[kind],
							 w.hva + access_offset(kind));
				else
					CHECK_ACCESS_OK(o, &w, kind);
			}
			/* The same with satp Bare: HVAs are physical addresses. */
			new_world(ATP_BARE, ATP_39, ATP_BARE);
			w = window_new(IN_DVS);
			protect(w.pa, kinds[i].permissions);
			const struct outcome *o = window_access(&w, kind);

			if (kinds[i].fails[kind])
				CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva),
						 host_access_fault[kind],
						 w.pa + access_offset(kind));
			else
				CHECK_ACCESS_OK(o, &w, kind);
		}
	}
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		test("[HOST-2] PMP denies a table: %s", access_name[kind]);
		note("VS stage");
		w = faulty_window(1, IN_DVS);
		protect((u64)w.guest_pte & ~0xffful, 0);
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_LOAD_ACCESS, (u64)w.guest_pte + world.hva);
		note("stage 2");
		w = faulty_window(1, IN_DVS);
		protect((u64)w.stage2_pte & ~0xffful, 0);
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_LOAD_ACCESS, (u64)w.stage2_pte + world.hva);
		note("host");
		w = faulty_window(1, IN_DVS);
		protect((u64)w.host_pte & ~0xffful, 0);
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 host_access_fault[kind], w.hva + access_offset(kind));
		/* A/D updates need the permission to write. */
		note("A/D update of the VS stage");
		w = faulty_window(1, IN_DVS);
		enable_updates(true, true);
		*w.guest_pte &= ~PTE_A;
		protect((u64)w.guest_pte & ~0xffful, 1);
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_STORE_ACCESS, (u64)w.guest_pte + world.hva);
		note("A/D update of stage 2");
		w = faulty_window(1, IN_DVS);
		enable_updates(true, true);
		*w.stage2_pte &= ~PTE_A;
		protect((u64)w.stage2_pte & ~0xffful, 1);
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_STORE_ACCESS, (u64)w.stage2_pte + world.hva);
	}
}

/* A physical address where the board has nothing. */
#define HOLE 0x800000000ul

static void holes(void)
{
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
			test("[HOST-2] %s in %s of a physical address that does not exist",
			     access_name[kind], mode_name[mode]);
			for (unsigned int n = 0; n < ARRAY_SIZE(fault_modes); n++) {
				struct window w = faulty_window(n, mode);

				*w.host_pte = make_pte(HOLE, PTE_URWX);
				fence_all();
				CHECK_HOST_FAULT(window_access(&w, kind), w.mode,
						 access_pc(w.mode, kind, w.gva),
						 host_access_fault[kind],
						 w.hva + access_offset(kind));
			}
		}
		struct window w;

		test("[HOST-2] %s: a table at a physical address that does not exist",
		     access_name[kind]);
		w = faulty_window(1, IN_DVS);
		*table_pte(&world.guest, w.gva, 1) = make_pte(0x3000000000, PTE_V);
		table_map(&world.stage2, 0x3000000000, 0x2900000000, 0, PTE_URWX);
		table_map(&world.host, 0x2900000000, HOLE, 0, PTE_URWX);
		fence_all();
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_LOAD_ACCESS, 0x2900000000 + (w.gva >> 12 & 511) * 8);
		w = faulty_window(1, IN_DVS);
		*table_pte(&world.stage2, w.gpa, 1) = make_pte(0x2900000000, PTE_V);
		table_map(&world.host, 0x2900000000, HOLE, 0, PTE_URWX);
		fence_all();
		CHECK_HOST_FAULT(window_access(&w, kind), w.mode, access_pc(w.mode, kind, w.gva),
				 EXC_LOAD_ACCESS, 0x2900000000 + (w.gpa >> 12 & 511) * 8);
	}
}

/* [HOST-2]: medeleg decides between HS- and M-mode. */
static void host_faults_to_m(void)
{
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
			struct window w;

			test("[HOST-2] host fault of a %s in %s goes to M without medeleg",
			     access_name[kind], mode_name[mode]);
			w = faulty_window(1, mode);
			csr_write(CSR_MEDELEG, 0);
			csr_write(CSR_HUEDELEG, ~0ul);
			csr_write(CSR_HEDELEG, ~0ul);
			*w.host_pte = 0;
			fence_all();
			CHECK_HOST_FAULT(window_access(&w, kind), w.mode,
					 access_pc(w.mode, kind, w.gva), host_page_fault[kind],
					 w.hva + access_offset(kind));
			csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
			CHECK_HOST_FAULT(window_access(&w, kind), w.mode,
					 access_pc(w.mode, kind, w.gva), host_page_fault[kind],
					 w.hva + access_offset(kind));
		}
	}
}

void test_main(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(host_mutations); i++)
		host_leaf_faults(&host_mutations[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(stage2_mutations); i++)
		stage2_leaf_faults(&stage2_mutations[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(guest_mutations); i++)
		guest_leaf_faults(&guest_mutations[i]);
	which_stage_first();
	mxr();
	mxr_of_tables();
	accessed_and_dirty();
	tables();
	high_gpa();
	high_hva();
	misaligned_superpages();
	bad_pointers();
	svpbmt();
	forged_roots();
	hgatp_is_ignored();
	same_as_the_process();
	pmp();
	holes();
	host_faults_to_m();
	all_modes();
}
