// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random tables against a plain walker that is written down from docs/isa.md
 * and the priv spec only: same end, same fault, same registers, same A/D bits.
 * Also after a change of one table, with the fence for that table and no other:
 * whatever a hart has kept of earlier walks, it ends where the walker does.
 */
#include <isatest.h>

#define TRIALS 24000
#define TRIALS_PER_WORLD 40
#define SEED 0x5eed0fd0f1a7c0deul

static u64 random_state = SEED;

static u64 rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static u64 below(u64 n)
{
	return rnd() % n;
}

static bool one_in(u64 n)
{
	return !below(n);
}

/* ---- the reference ---- */

enum end { REACHED, GUEST_PAGE_FAULT, STAGE2_FAULT, HOST_FAULT, UNDECIDED };
enum right { READ, WRITE, EXECUTE };

struct verdict {
	enum end end;
	u64 address; /* pa, or gpa of a stage-2 fault, or hva of a host fault */
	u32 tinst;
	bool write; /* of a host fault */
};

/* The state that the walk depends on. */
static struct {
	bool user;
	bool host_mxr, guest_mxr, guest_sum;
	bool adue, guest_adue;
	bool pbmte, guest_pbmte;
} env;

/* A and D bits that a walk sets. */
static struct {
	u64 pa[64], value[64];
	unsigned int n;
} updates;

#define RAM_BASE 0x80000000ul
#define RAM_END 0x88000000ul

static u64 current_pte(u64 pa)
{
	for (unsigned int i = updates.n; i > 0; i--)
		if (updates.pa[i - 1] == pa)
			return updates.value[i - 1];
	return *(u64 *)pa;
}

static bool update(u64 pa, u64 value)
{
	if (updates.n == ARRAY_SIZE(updates.pa))
		return false;
	updates.pa[updates.n] = pa;
	updates.value[updates.n++] = value;
	return true;
}

#define PTE_RESERVED (0x7ful << 54)
#define PTE_PBMT (3ul << 61)
#define NOT_A_POINTER (PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N)

/* Is a PTE malformed, whatever the access? Without Svnapot. */
static bool malformed(u64 pte, int level, bool pbmte)
{
	u64 ppn = pte >> 10 & ATP_PPN_MASK;

	if (!(pte & PTE_V) || pte & (PTE_RESERVED | PTE_N))
		return true;
	if (pte & PTE_PBMT && (!pbmte || (pte & PTE_PBMT) == PTE_PBMT))
		return true;
	if (!(pte & (PTE_R | PTE_W | PTE_X)))
		return level == 0 || pte & NOT_A_POINTER;
	return (pte & PTE_W && !(pte & PTE_R)) || ppn & ((1ul << (9 * level)) - 1);
}

static bool is_leaf(u64 pte)
{
	return pte & (PTE_R | PTE_W | PTE_X);
}

static u64 leaf_target(u64 pte, u64 va, int level)
{
	return (pte >> 10 & ATP_PPN_MASK) << 12 | (va & (level_size(level) - 1));
}

static bool permits(u64 pte, enum right right, bool mxr)
{
	if (right == READ)
		return pte & PTE_R || (mxr && pte & PTE_X);
	return pte & (right == WRITE ? PTE_W : PTE_X);
}

/* What the access would make of the A and D bits. */
static u64 marked(u64 pte, enum right right)
{
	return pte | PTE_A | (right == WRITE ? PTE_D : 0);
}

static unsigned int address_bits(const struct table *t)
{
	return 12 + 9 * table_levels(t);
}

static struct verdict host_verdict(u64 hva, bool write)
{
	return (struct verdict){.end = HOST_FAULT, .address = hva, .write = write};
}

/* Stage 3, as an access of U-mode. */
static struct verdict host_walk(u64 hva, bool write)
{
	const struct table *t = &world.host;
	u64 table = t->root, pte_pa, pte;

	if (t->mode == ATP_BARE)
		return (struct verdict){.end = REACHED, .address = hva};
	if (hva >> (address_bits(t) - 1))
		return host_verdict(hva, write);
	for (int level = table_levels(t) - 1;; level--) {
		pte_pa = table + (hva >> (12 + 9 * level) & 511) * 8;
		if (pte_pa < RAM_BASE || pte_pa >= RAM_END)
			return (struct verdict){.end = UNDECIDED};
		pte = current_pte(pte_pa);
		if (malformed(pte, level, env.pbmte))
			return host_verdict(hva, write);
		if (is_leaf(pte)) {
			u64 wanted = marked(pte, write ? WRITE : READ);

			if (!(pte & PTE_U) || !permits(pte, write ? WRITE : READ, false))
				return host_verdict(hva, write);
			if (wanted != pte && !env.adue)
				return host_verdict(hva, write);
			if (wanted != pte && !update(pte_pa, wanted))
				return (struct verdict){.end = UNDECIDED};
			return (struct verdict){.end = REACHED,
						.address = leaf_target(pte, hva, level)};
		}
		table = (pte >> 10 & ATP_PPN_MASK) << 12;
	}
}

/* A PTE of stage 2 or of the VS stage in memory. */
static bool in_ram(u64 pa)
{
	return pa >= RAM_BASE && pa < RAM_END;
}

static struct verdict stage2_verdict(u64 gpa)
{
	return (struct verdict){.end = STAGE2_FAULT, .address = gpa};
}

/* gpa -> hva; @explicit: not a table of the guest */
static struct verdict stage2_walk(u64 gpa, enum right right, bool explicit)
{
	const struct table *t = &world.stage2;
	u64 table = t->root + t->name_offset, pte_hva, pte;

	if (t->mode == ATP_BARE)
		return (struct verdict){.end = REACHED, .address = gpa};
	if (gpa >> (address_bits(t) + 2))
		return stage2_verdict(gpa);
	for (int level = table_levels(t) - 1;; level--) {
		u64 index = gpa >> (12 + 9 * level) & (level == table_levels(t) - 1 ? 2047 : 511);
		struct verdict v;

		pte_hva = table + index * 8;
		v = host_walk(pte_hva, false);
		if (v.end != REACHED)
			return v;
		if (!in_ram(v.address))
			return (struct verdict){.end = UNDECIDED};
		pte = current_pte(v.address);
		/* MEM-3: no memory types here. */
		if (malformed(pte, level, false))
			return stage2_verdict(gpa);
		if (is_leaf(pte)) {
			u64 wanted = marked(pte, right);

			if (!(pte & PTE_U) || !permits(pte, right, explicit && env.host_mxr))
				return stage2_verdict(gpa);
			if (wanted != pte) {
				if (!env.adue)
					return stage2_verdict(gpa);
				v = host_walk(pte_hva, true);
				if (v.end != REACHED)
					return v;
				if (!update(v.address, wanted))
					return (struct verdict){.end = UNDECIDED};
			}
			return (struct verdict){.end = REACHED,
						.address = leaf_target(pte, gpa, level)};
		}
		table = (pte >> 10 & ATP_PPN_MASK) << 12;
	}
}

/* Through stages 2 and 3 */
static struct verdict lower_walk(u64 gpa, enum right right, bool explicit)
{
	struct verdict v = stage2_walk(gpa, right, explicit);

	return v.end == REACHED ? host_walk(v.address, right == WRITE) : v;
}

static bool guest_permits(u64 pte, enum right right)
{
	if (env.user ? !(pte & PTE_U) : pte & PTE_U && (!env.guest_sum || right == EXECUTE))
		return false;
	return permits(pte, right, env.guest_mxr || env.host_mxr);
}

static struct verdict guest_fault(void)
{
	return (struct verdict){.end = GUEST_PAGE_FAULT};
}

static struct verdict guest_walk(u64 gva, enum right right)
{
	const struct table *t = &world.guest;
	u64 table = t->root + t->name_offset, pte_gpa, pte;
	unsigned int bits = address_bits(t);

	if (t->mode == ATP_BARE)
		return (struct verdict){.end = REACHED, .address = gva};
	if ((u64)((int64_t)(gva << (64 - bits)) >> (64 - bits)) != gva)
		return guest_fault();
	for (int level = table_levels(t) - 1;; level--) {
		struct verdict v;

		pte_gpa = table + (gva >> (12 + 9 * level) & 511) * 8;
		v = lower_walk(pte_gpa, READ, false);
		if (v.end != REACHED) {
			v.tinst = 0x3000;
			return v;
		}
		if (!in_ram(v.address))
			return (struct verdict){.end = UNDECIDED};
		pte = current_pte(v.address);
		if (malformed(pte, level, env.pbmte && env.guest_pbmte))
			return guest_fault();
		if (is_leaf(pte)) {
			u64 wanted = marked(pte, right);

			if (!guest_permits(pte, right))
				return guest_fault();
			if (wanted != pte) {
				if (!env.adue || !env.guest_adue)
					return guest_fault();
				v = lower_walk(pte_gpa, WRITE, false);
				v.tinst = 0x3020;
				if (v.end != REACHED)
					return v;
				if (!update(v.address, wanted))
					return (struct verdict){.end = UNDECIDED};
			}
			return (struct verdict){.end = REACHED,
						.address = leaf_target(pte, gva, level)};
		}
		table = (pte >> 10 & ATP_PPN_MASK) << 12;
	}
}

static struct verdict walk(u64 gva, enum access kind)
{
	enum right right = kind == FETCH ? EXECUTE : kind == LOAD ? READ : WRITE;
	struct verdict v;

	updates.n = 0;
	v = guest_walk(gva, right);
	return v.end == REACHED ? lower_walk(v.address, right, true) : v;
}

/* ---- random tables ---- */

static const int modes[] = {ATP_BARE, ATP_39, ATP_48, ATP_57};

/* A part of the address space that no other mapping shares tables with. */
static u64 region(const struct table *t)
{
	switch (t->mode) {
	case ATP_39:
		return 0x2000000000;
	case ATP_48:
		return 1ul << 40;
	default:
		return 1ul << 48;
	}
}

#define REGION_ENTRIES 8

struct step {
	const struct table *t;
	u64 va;
	int level;
};

static struct step random_mapping(const struct table *t, u64 target, u64 flags, u64 *va)
{
	struct step s = {.t = t, .level = -1};
	u64 size;

	*va = target;
	if (t->mode == ATP_BARE)
		return s;
	/* Mostly small leaves: there are more PTEs to it. */
	s.level = below(2) ? 0 : (int)below(table_levels(t));
	size = level_size(s.level);
	s.va = region(t) + below(REGION_ENTRIES) * size;
	table_map(t, s.va, target & ~(size - 1), s.level, flags);
	*va = s.va | (target & (size - 1));
	return s;
}

static void forget_region(const struct table *t)
{
	int top = table_levels(t) - 1;

	if (t->mode == ATP_BARE)
		return;
	for (u64 i = 0; i < REGION_ENTRIES; i++)
		*table_pte(t, region(t) + i * level_size(top), top) = 0;
}

#define MAX_PTES 96
struct ptes {
	u64 *at[MAX_PTES], old[MAX_PTES];
	const struct table *of[MAX_PTES];
	unsigned int n;
};

static void add_pte(struct ptes *p, const struct table *of, u64 *pte)
{
	if (p->n == MAX_PTES)
		return;
	p->of[p->n] = of;
	p->at[p->n++] = pte;
}

/* All PTEs on the way of @va, and what maps the tables that hold them. */
static void collect(struct ptes *p, const struct step *s)
{
	const struct table *t = s->t;

	if (s->level < 0)
		return;
	for (int level = table_levels(t) - 1; level >= s->level; level--) {
		u64 *pte = table_pte(t, s->va, level);

		add_pte(p, t, pte);
		/* The root serves the code, too: it must stay mapped. */
		if (t == &world.host || level == table_levels(t) - 1)
			continue;
		if (world.host.mode != ATP_BARE)
			add_pte(p, &world.host, table_pte(&world.host, (u64)pte + world.hva, 0));
		if (t == &world.guest && world.stage2.mode != ATP_BARE)
			add_pte(p, &world.stage2,
				table_pte(&world.stage2, (u64)pte + world.gpa, 0));
	}
}

/* Bits that a mutation flips: no PPN bit that could lead to other memory. */
static u64 random_flip(void)
{
	static const u8 bits[] = {0, 1, 2, 3, 4, 1, 2,  3,  4,  6,  7,
				  6, 7, 6, 7, 5, 8, 54, 60, 61, 62, 63};
	u64 flip = 0;

	do {
		flip |= 1ul << bits[below(sizeof(bits))];
	} while (one_in(3));
	return flip;
}

static void mutate(struct ptes *p)
{
	for (unsigned int i = 0; i < p->n; i++)
		p->old[i] = *p->at[i];
	for (u64 n = below(4); n; n--) {
		u64 *pte = p->at[below(p->n)];

		*pte ^= random_flip();
	}
	/* Cleared A and D bits matter only in number. */
	if (one_in(2))
		for (unsigned int i = 0; i < p->n; i++)
			if (*p->at[i] & (PTE_R | PTE_W | PTE_X) && one_in(3))
				*p->at[i] &= ~(one_in(2) ? PTE_D : PTE_A | PTE_D);
}

static void restore(struct ptes *p)
{
	/* Twice on the list: the first has the original. */
	for (unsigned int i = p->n; i > 0; i--)
		*p->at[i - 1] = p->old[i - 1];
}

static void random_environment(void)
{
	env.host_mxr = one_in(4);
	env.guest_mxr = one_in(4);
	env.guest_sum = one_in(3);
	env.adue = one_in(2);
	env.guest_adue = one_in(2);
	env.pbmte = one_in(2);
	env.guest_pbmte = one_in(2);
	csr_write(CSR_MENVCFG,
		  ENVCFG_STCE | (env.adue ? ENVCFG_ADUE : 0) | (env.pbmte ? ENVCFG_PBMTE : 0));
	csr_write(CSR_HENVCFG,
		  ENVCFG_STCE | (env.guest_adue ? ENVCFG_ADUE : 0) |
			  (env.guest_pbmte ? ENVCFG_PBMTE : 0));
	csr_clear(CSR_MSTATUS, MSTATUS_MXR);
	csr_set(CSR_MSTATUS, env.host_mxr ? MSTATUS_MXR : 0);
	csr_write(CSR_HUVSSTATUS,
		  (env.guest_mxr ? MSTATUS_MXR : 0) | (env.guest_sum ? MSTATUS_SUM : 0));
}

/* ---- comparing ---- */

static unsigned int seen[UNDECIDED + 1];

static void compare(const struct window *w, enum access kind, const struct verdict *v)
{
	const struct outcome *o = window_access(w, kind);
	u64 pc = access_pc(w->mode, kind, w->gva);

	switch (v->end) {
	case REACHED:
		if (!CHECK_ACCESS_OK(o, w, kind))
			break;
		for (unsigned int i = 0; i < updates.n; i++)
			CHECK_EQ(*(u64 *)updates.pa[i], current_pte(updates.pa[i]));
		break;
	case GUEST_PAGE_FAULT:
		CHECK_EXIT(o, w, kind, page_fault[kind], 0, 0);
		break;
	case STAGE2_FAULT:
		CHECK_EXIT(o, w, kind, guest_page_fault[kind], v->address, v->tinst);
		break;
	default:
		CHECK_HOST_FAULT(o, w->mode, pc, v->write ? EXC_STORE_PAGE : EXC_LOAD_PAGE,
				 v->address);
		break;
	}
}

/* Nothing but A and D bits may have changed in any table. */
static void check_only_marks(const struct ptes *p, const u64 *before)
{
	for (unsigned int i = 0; i < p->n; i++)
		CHECK_EQ((*p->at[i] ^ before[i]) & ~(PTE_A | PTE_D), 0);
}

/* One access of a random kind; where it must end is worked out from the tables. */
static void access_somehow(struct window *w, unsigned int number)
{
	enum access kind = below(ACCESSES);
	struct verdict v = walk(w->gva + access_offset(kind), kind);

	note("trial %u, %s in %s, modes %d %d %d", number, access_name[kind], mode_name[w->mode],
	     world.guest.mode, world.stage2.mode, world.host.mode);
	if (v.end == REACHED && v.address != w->pa + access_offset(kind))
		v.end = UNDECIDED;
	seen[v.end]++;
	if (v.end != UNDECIDED)
		compare(w, kind, &v);
}

/* Flip bits of one PTE, or flip them back, with the fence for the table that it is in. */
static void change_one(const struct ptes *p, u64 *before)
{
	unsigned int i = below(p->n);

	*p->at[i] = one_in(2) ? p->old[i] : *p->at[i] ^ random_flip();
	for (unsigned int other = 0; other < p->n; other++)
		before[other] = *p->at[other];
	if (p->of[i] == &world.host)
		CHECK_DONE(RUN(IN_HS, SFENCE_VMA(X0, X0)));
	else if (p->of[i] == &world.stage2)
		CHECK_DONE(RUN(IN_HU, HUFENCE_G(X0)));
	else if (one_in(2))
		CHECK_DONE(RUN(IN_HU, HUFENCE_V(X0, X0)));
	else
		CHECK_DONE(RUN(IN_DVS, SFENCE_VMA(X0, X0)));
}

/* The same tables under other ASIDs: what a hart has kept of a space that is not in use must follow, too. */
static void change_asids(void)
{
	csr_write(CSR_SATP, (csr_read(CSR_SATP) & ~SATP_ASID) | below(7) << SATP_ASID_SHIFT);
	csr_write(CSR_VSATP, (csr_read(CSR_VSATP) & ~SATP_ASID) | below(7) << SATP_ASID_SHIFT);
}

#define ACCESSES_OF_A_TRIAL 2
#define CHANGES_OF_A_TRIAL 6

/* @keep: what the hart has kept of earlier walks; else each access starts from nothing. */
static void trial(u64 *page, unsigned int number, bool keep)
{
	struct window w = {.pa = (u64)page, .mode = one_in(2) ? IN_DVS : IN_DVU};
	struct step steps[3];
	struct ptes ptes = {.n = 0};
	u64 before[MAX_PTES];
	u64 guest_flags = PTE_RWX | (one_in(8) == (w.mode == IN_DVS) ? PTE_U : 0);

	env.user = w.mode == IN_DVU;
	steps[0] = random_mapping(&world.host, w.pa, PTE_URWX, &w.hva);
	steps[1] = random_mapping(&world.stage2, w.hva, PTE_URWX, &w.gpa);
	steps[2] = random_mapping(&world.guest, w.gpa, guest_flags, &w.gva);
	for (unsigned int i = 0; i < 3; i++)
		collect(&ptes, &steps[i]);
	if (ptes.n)
		mutate(&ptes);
	random_environment();
	for (unsigned int i = 0; i < ptes.n; i++)
		before[i] = *ptes.at[i];
	fence_all();
	for (unsigned int i = 0; i < (keep ? CHANGES_OF_A_TRIAL : ACCESSES_OF_A_TRIAL); i++) {
		if (!keep)
			fence_all();
		else if (ptes.n)
			change_one(&ptes, before);
		if (keep && one_in(2))
			change_asids();
		access_somehow(&w, number);
		check_only_marks(&ptes, before);
	}
	restore(&ptes);
	forget_region(&world.host);
	forget_region(&world.stage2);
	forget_region(&world.guest);
}

static void trials(int vs, int g, unsigned int count, bool keep)
{
	for (unsigned int n = 0; n < count; n++) {
		static u64 *page;

		if (n % TRIALS_PER_WORLD == 0) {
			new_world(modes[below(4)], g, vs);
			csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
			page = alloc_pages(1);
			((u32 *)page)[0] = ADDI(A0, A0, 1);
			((u32 *)page)[1] = ECALL;
		}
		trial(page, n, keep);
	}
}

void test_main(void)
{
	print("# seed %lx\n", SEED);
	for (unsigned int i = 0; i < 16; i++) {
		test("[MEM-1] [MEM-2] [MEM-3] [EXC-1] [HOST-2] random tables, vsatp mode %d, "
		     "hugatp "
		     "mode %d",
		     modes[i & 3], modes[i >> 2]);
		trials(modes[i & 3], modes[i >> 2], TRIALS / 16, false);
		test("[FEN-1] [FEN-2] [FEN-3] one table changed and fenced at a time, vsatp mode "
		     "%d, hugatp mode %d",
		     modes[i & 3], modes[i >> 2]);
		trials(modes[i & 3], modes[i >> 2], TRIALS / 64, true);
	}
	print("# reached %u, faults: VS stage %u, stage 2 %u, host %u; not decided %u\n",
	      seen[REACHED], seen[GUEST_PAGE_FAULT], seen[STAGE2_FAULT], seen[HOST_FAULT],
	      seen[UNDECIDED]);
	test("the random tables lead everywhere");
	for (enum end end = REACHED; end < UNDECIDED; end++)
		CHECK(seen[end] > TRIALS / 50);
	CHECK(seen[UNDECIDED] < TRIALS / 10);
}
