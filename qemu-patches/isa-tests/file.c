// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupt files in memory (docs/isa.md, section 9.2). Two harts, with AIA. */
#include <isatest.h>

#define VMID 7ul
#define OWN 2u
#define OTHER 5u
#define COUNT 8u

#define PAGES_GPA 0x28000000ul

#define EITHRESHOLD 0x72
#define EIP(w) (0x80 + 2 * (w))
#define EIE(w) (0xc0 + 2 * (w))

struct file {
	u64 eip[4], eie[4];
	u32 eidelivery, eithreshold, notify;
	u8 own[52];
};

static struct file files[HUFILES_MAX] __attribute__((aligned(4096)));

static u64 page_of(unsigned int i)
{
	return PAGES_GPA + i * PAGE_SIZE;
}

static u64 hdvctl(unsigned int index)
{
	return (u64)index << HDVCTL_INDEX_SHIFT | HDVCTL_EN;
}

/* What a vCPU's hart needs; the world is there. */
static void join(unsigned int index)
{
	csr_write(CSR_HGATP, VMID << HGATP_VMID_SHIFT);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HUVSISELECT, 0);
	csr_write(CSR_HDVCTL, hdvctl(index));
	csr_write(CSR_HUFILEGPA, PAGES_GPA);
	csr_write(CSR_HUFILES, at(IN_HU, files) | COUNT);
}

/* All files deliver all identities; nothing pends. */
static void file_world(void)
{
	usual_world();
	for (unsigned int i = 0; i < HUFILES_MAX; i++) {
		memset(&files[i], 0, sizeof(files[i]));
		memset(files[i].eie, 0xff, sizeof(files[i].eie));
		files[i].eie[0] &= ~1ul;
		files[i].eidelivery = 1;
		memset(files[i].own, 0x5a, sizeof(files[i].own));
	}
	join(OWN);
}

static bool vseip(void)
{
	return csr_read(CSR_HVIP) & HUVIP_VSEIP;
}

static u32 pending_files(void)
{
	u32 which = 0;

	for (unsigned int i = 0; i < HUFILES_MAX; i++)
		for (unsigned int w = 0; w < 4; w++)
			which |= (u32)(files[i].eip[w] != 0) << (i % 32);
	return which;
}

/* ---- registers ---- */

static const struct outcome *access(enum mode mode, u64 select, u32 insn, u64 operand)
{
	csr_write(CSR_HUVSISELECT, select);
	regs()[A1] = operand;
	return RUN(mode, insn);
}

/* csrrw, csrrs and csrrc of a register that keeps all bits of @mask. */
static void check_register(u64 select, u64 *value, u64 mask)
{
	*value = 0x5a5a & mask;
	CHECK_DONE(access(IN_DVS, select, CSRRW(A0, CSR_SIREG, A1), 0xff00ff00ff00ff00));
	CHECK_EQ(regs()[A0], 0x5a5a & mask);
	CHECK_EQ(*value, 0xff00ff00ff00ff00 & mask);
	CHECK_DONE(access(IN_DVS, select, CSRRS(A0, CSR_SIREG, A1), 0xff0));
	CHECK_EQ(*value, 0xff00ff00ff00fff0 & mask);
	CHECK_DONE(access(IN_DVS, select, CSRRC(A0, CSR_SIREG, A1), 0xff00000000000f00));
	CHECK_EQ(regs()[A0], 0xff00ff00ff00fff0 & mask);
	CHECK_EQ(*value, 0x0000ff00ff00f0f0 & mask);
	CHECK_DONE(access(IN_DVS, select, CSRRS(A0, CSR_SIREG, X0), 0));
	CHECK_EQ(regs()[A0], 0x0000ff00ff00f0f0 & mask);
}

static void arrays(void)
{
	for (unsigned int w = 0; w < 4; w++) {
		test("[FILE-1] eip and eie, dword %u", w);
		file_world();
		check_register(EIP(w), &files[OWN].eip[w], w ? ~0ul : ~1ul);
		check_register(EIE(w), &files[OWN].eie[w], w ? ~0ul : ~1ul);
		for (unsigned int i = 0; i < HUFILES_MAX; i++) {
			CHECK_EQ(files[i].eip[w] != 0, i == OWN);
			CHECK_EQ(files[i].own[0], 0x5a);
		}
		/* Identity 0 is none. */
		CHECK_DONE(access(IN_DVS, EIE(0), CSRRW(A0, CSR_SIREG, A1), ~0ul));
		CHECK_EQ(files[OWN].eie[0], ~1ul);
	}
	test("[FILE-1] dwords beyond the last identity, and priorities, are zero");
	file_world();
	for (u64 select = 0x30; select < 0x100; select += 2) {
		if (select >= 0x40 && select < EIP(4))
			continue;
		if (select >= EIE(0) && select < EIE(4))
			continue;
		note("select %lx", select);
		CHECK_DONE(access(IN_DVS, select, CSRRW(A0, CSR_SIREG, A1), ~0ul));
		CHECK_EQ(regs()[A0], 0);
		CHECK_DONE(access(IN_DVS, select, CSRRS(A0, CSR_SIREG, X0), 0));
		CHECK_EQ(regs()[A0], 0);
	}
	note(NULL);
	CHECK_EQ(pending_files(), 0);
	CHECK_EQ(files[OWN].own[51], 0x5a);
	CHECK_EQ(files[OWN + 1].eip[0], 0);
}

static void small_registers(void)
{
	static const struct {
		u64 select, operand;
		u32 before, after;
	} writes[] = {
		{EIDELIVERY, 1, 0, 1},          {EIDELIVERY, 0, 1, 0},
		{EIDELIVERY, 2, 1, 1},          {EIDELIVERY, 0x40000000, 1, 1},
		{EIDELIVERY, ~0ul, 0, 0},       {EITHRESHOLD, 255, 3, 255},
		{EITHRESHOLD, 0, 3, 0},         {EITHRESHOLD, 256, 3, 3},
		{EITHRESHOLD, 1ul << 32, 3, 3},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(writes); i++) {
		bool delivery = writes[i].select == EIDELIVERY;
		u32 *reg = delivery ? &files[OWN].eidelivery : &files[OWN].eithreshold;

		test("[FILE-1] %s of %u, written %lx", delivery ? "eidelivery" : "eithreshold",
		     writes[i].before, writes[i].operand);
		file_world();
		*reg = writes[i].before;
		CHECK_DONE(access(IN_DVS, writes[i].select, CSRRW(A0, CSR_SIREG, A1),
				  writes[i].operand));
		CHECK_EQ(regs()[A0], writes[i].before);
		CHECK_EQ(*reg, writes[i].after);
		CHECK_EQ(files[OWN].notify, 0);
	}
}

static void without_file(void)
{
	static const struct {
		const char *what;
		enum mode mode;
		u64 select, files, hdvctl;
		u32 insn;
	} cases[] = {
		{"VU, stopei", IN_DVU, 0, COUNT, OWN, CSRRS(A0, CSR_STOPEI, X0)},
		{"VU, sireg", IN_DVU, EIE(0), COUNT, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"odd register", IN_DVS, EIE(0) + 1, COUNT, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"odd priority", IN_DVS, 0x31, COUNT, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"no such register", IN_DVS, 0x74, COUNT, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"no files, stopei", IN_DVS, 0, 0, OWN, CSRRW(A0, CSR_STOPEI, X0)},
		{"no files, sireg", IN_DVS, EIE(0), 0, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"index = count", IN_DVS, EIE(0), OWN, OWN, CSRRS(A0, CSR_SIREG, X0)},
		{"no index", IN_DVS, EIE(0), COUNT, HDVCTL_INDEX_NONE, CSRRS(A0, CSR_SIREG, X0)},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		test("[FILE-1] not a register of a file: %s", cases[i].what);
		file_world();
		csr_write(CSR_HUFILES, at(IN_HU, files) | cases[i].files);
		csr_write(CSR_HDVCTL, hdvctl((unsigned int)cases[i].hdvctl));
		CHECK_TRAP(access(cases[i].mode, cases[i].select, cases[i].insn, 0), AT_HU,
			   EXC_VIRTUAL, code_addr(cases[i].mode, 0), cases[i].insn);
	}
	for (enum mode mode = IN_HS; mode < MODES; mode++) {
		static const u32 insns[] = {CSRRS(A0, CSR_HUFILES, X0), CSRRW(X0, CSR_HUFILES, A1),
					    CSRRS(A0, CSR_HUFILEGPA, X0),
					    CSRRW(X0, CSR_HUFILEGPA, A1)};

		for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++) {
			bool dv = mode == IN_DVS || mode == IN_DVU;

			test("[FILE-1] [CSR-1] hufiles, hufilegpa in %s, access %u",
			     mode_name[mode], i);
			usual_world();
			const struct outcome *o = RUN(mode, insns[i]);

			if (mode == IN_HS || mode == IN_HU)
				CHECK_DONE(o);
			else
				CHECK_TRAP(o, dv ? AT_HU : AT_M,
					   mode >= IN_DVS ? EXC_VIRTUAL : EXC_ILLEGAL,
					   code_addr(mode, 0), insns[i]);
		}
	}
	test("[FILE-1] [CSR-2] hufiles and hufilegpa hold what is legal");
	file_world();
	csr_write(CSR_HUFILES, 0x123456789abc1000 | HUFILES_MAX);
	CHECK_EQ(csr_read(CSR_HUFILES), 0x123456789abc1000 | HUFILES_MAX);
	csr_write(CSR_HUFILES, 0xffff000 | (HUFILES_MAX + 1));
	CHECK_EQ(csr_read(CSR_HUFILES), 0x123456789abc1000 | HUFILES_MAX);
	csr_write(CSR_HUFILEGPA, ~0ul);
	CHECK_EQ(csr_read(CSR_HUFILEGPA), 0x00fffffffffff000);
}

/* ---- delivery ---- */

static void claims(void)
{
	static const u32 order[] = {1, 2, 63, 64, 127, 128, 254, 255};

	test("[FILE-1] [FILE-2] stopei: the lowest first, claimed by a write only");
	file_world();
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		files[OWN].eip[order[i] / 64] |= 1ul << order[i] % 64;
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_STOPEI, X0), CSRRW(A1, CSR_STOPEI, X0)));
		CHECK_EQ(regs()[A0], TOPEI(order[i]));
		CHECK_EQ(regs()[A1], TOPEI(order[i]));
		CHECK_EQ(vseip(), i + 1 < ARRAY_SIZE(order));
	}
	CHECK_DONE(RUN(IN_DVS, CSRRW(A1, CSR_STOPEI, X0)));
	CHECK_EQ(regs()[A1], 0);
	CHECK_EQ(pending_files(), 0);
}

static void delivery(void)
{
	static const struct {
		const char *what;
		u64 select, before, operand;
		bool delivered;
	} writes[] = {
		{"eip, enabled", EIP(1), 0, 1, true},
		{"eidelivery 1", EIDELIVERY, 0, 1, true},
		{"eidelivery 0", EIDELIVERY, 1, 0, false},
		{"eithreshold at it", EITHRESHOLD, 0, 64, false},
		{"eithreshold above it", EITHRESHOLD, 1, 65, true},
		{"eithreshold none", EITHRESHOLD, 1, 0, true},
		{"eie on", EIE(1), 0, 1, true},
		{"eie off", EIE(1), 1, 2, false},
		{"eip off", EIP(1), 1, 0, false},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(writes); i++) {
		test("[FILE-2] identity 64 pends, then %s", writes[i].what);
		file_world();
		files[OWN].eip[1] = 1;
		csr_write(CSR_HUVSISELECT, writes[i].select);
		regs()[A1] = writes[i].before;
		regs()[A2] = writes[i].operand;
		CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_SIREG, A1)));
		CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_SIREG, A2)));
		CHECK_EQ(vseip(), writes[i].delivered);
	}
	test("[FILE-2] the interrupt is taken by the guest");
	file_world();
	csr_write(CSR_HUVSIE, 0x222);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	csr_write(CSR_HUVSISELECT, EIP(0));
	regs()[A1] = 1 << 9;
	CHECK_TRAP(RUN(IN_DVS, CSRRW(A0, CSR_SIREG, A1), NOP), AT_VS, CAUSE_INTERRUPT | IRQ_SEI,
		   code_addr(IN_DVS, 1), 0);
}

/* ---- messages ---- */

static const struct outcome *store(u32 insn, u64 address, u64 value)
{
	regs()[A1] = address;
	regs()[A2] = value;
	return RUN(IN_DVS, insn, NOP);
}

static void identities(void)
{
	test("[FILE-3] each identity, and those that do not exist");
	file_world();
	for (u64 id = 0; id < 300; id++) {
		note("identity %lu", id);
		CHECK_DONE(store(SW(A2, A1, 0), page_of(OWN), id | 0xabcd00000000));
		CHECK_EQ(vseip(), id && id <= XDV_FILE_MAX_ID);
		CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_STOPEI, X0)));
		CHECK_EQ(regs()[A0], id <= XDV_FILE_MAX_ID ? TOPEI(id) : 0);
		CHECK_EQ(pending_files(), 0);
		CHECK(!vseip());
	}
	note(NULL);
	for (unsigned int i = 0; i < COUNT; i++) {
		test("[FILE-3] page %u, of which the vCPU is %s", i,
		     i == OWN ? "here" : "on no hart");
		file_world();
		CHECK_DONE(store(SW(A2, A1, 0), page_of(i), 77));
		CHECK_EQ(files[i].eip[1], 1ul << (77 - 64));
		CHECK_EQ(pending_files(), 1u << i);
		CHECK_EQ(vseip(), i == OWN);
	}
	test("[FILE-3] what does not signal is not posted");
	file_world();
	files[OWN].eithreshold = 9;
	CHECK_DONE(store(SW(A2, A1, 0), page_of(OWN), 9));
	CHECK_EQ(files[OWN].eip[0], 1 << 9);
	CHECK(!vseip());
	test("[FILE-3] a compressed store, and one of VU");
	file_world();
	regs()[A1] = page_of(OWN);
	regs()[A2] = 3;
	/* c.sw a2, 0(a1); c.nop */
	CHECK_DONE(RUN(IN_DVU, 0x0001c190));
	CHECK_EQ(files[OWN].eip[0], 1 << 3);
}

static void no_messages(void)
{
	static const struct {
		const char *what;
		u32 insn;
		u64 address;
	} cases[] = {
		{"sh", SH(A2, A1, 0), PAGES_GPA},
		{"sd", SD(A2, A1, 0), PAGES_GPA},
		{"amoadd.w", AMO(0, 2, A0, A1, A2), PAGES_GPA},
		{"offset 4", SW(A2, A1, 4), PAGES_GPA},
		{"offset 0xffc", SW(A2, A1, 0), PAGES_GPA + 0xffc},
		{"the page before", SW(A2, A1, 0), PAGES_GPA - PAGE_SIZE},
		{"the page behind", SW(A2, A1, 0), PAGES_GPA + COUNT * PAGE_SIZE},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		test("[FILE-3] no message: %s", cases[i].what);
		file_world();
		CHECK_TRAP(store(cases[i].insn, cases[i].address, 5), AT_HU, EXC_STORE_GUEST_PAGE,
			   code_addr(IN_DVS, 0), cases[i].address + (i == 3 ? 4 : 0));
		CHECK_EQ(pending_files(), 0);
		CHECK(!vseip());
	}
	test("[FILE-3] no message: a load");
	file_world();
	CHECK_TRAP(store(LW(A2, A1, 0), PAGES_GPA, 5), AT_HU, EXC_LOAD_GUEST_PAGE,
		   code_addr(IN_DVS, 0), PAGES_GPA);
	test("[FILE-3] no message: no files");
	file_world();
	csr_write(CSR_HUFILES, at(IN_HU, files));
	CHECK_TRAP(store(SW(A2, A1, 0), PAGES_GPA, 5), AT_HU, EXC_STORE_GUEST_PAGE,
		   code_addr(IN_DVS, 0), PAGES_GPA);
	test("[FILE-3] no message: a leaf of stage 2 is there");
	file_world();
	u64 *memory = alloc_pages(1);

	table_map(&world.stage2, page_of(OWN), at(IN_HU, memory), 0, PTE_URWX);
	fence_all();
	CHECK_DONE(store(SW(A2, A1, 0), page_of(OWN), 5));
	CHECK_EQ(*memory, 5);
	CHECK_EQ(pending_files(), 0);
}

static void notice(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int to = i ? OTHER : OWN;

		test("[FILE-3] notify: an exit behind the store, to %s", i ? "another" : "itself");
		file_world();
		files[to].notify = 1u << 31;
		CHECK_TRAP(store(SW(A2, A1, 0), page_of(to), 8), AT_HU, DV_CAUSE_MESSAGE,
			   code_addr(IN_DVS, 1), to);
		CHECK_EQ(files[to].eip[0], 1 << 8);
		CHECK_EQ(vseip(), to == OWN);
		CHECK_DONE(huret_again(IN_DVS));
		test("[FILE-3] notify: not for what does not signal, to %s",
		     i ? "another" : "itself");
		file_world();
		files[to].notify = 1;
		files[to].eie[0] = 2;
		CHECK_DONE(store(SW(A2, A1, 0), page_of(to), 8));
		CHECK_DONE(store(SW(A2, A1, 0), page_of(to), 256));
	}
}

/* ---- a vCPU that was on no hart ---- */

/* By huret; RUN() enters by mret. */
static const struct outcome *enter_guest(void)
{
	put_code((const u32[]){NOP}, 1);
	return huret_to(IN_DVS, code_addr(IN_DVS, 0));
}

static void on_no_hart(void)
{
	test("[FILE-4] huret to a guest finds what has come");
	file_world();
	csr_write(CSR_HUVSIE, 0x222);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	CHECK_DONE(enter_guest());
	files[OWN].eip[3] = 1;
	/* Nobody posts; nothing is looked at. */
	CHECK_DONE(enter_guest());
	CHECK(!vseip());
	csr_write(CSR_HUFILES, csr_read(CSR_HUFILES));
	CHECK_DONE(huret_to(IN_HU, code_addr(IN_HU, 0)));
	CHECK(!vseip());
	CHECK_TRAP(enter_guest(), AT_VS, CAUSE_INTERRUPT | IRQ_SEI, code_addr(IN_DVS, 0), 0);
	test("[FILE-4] ... and that nothing has");
	file_world();
	csr_write(CSR_HVIP, HUVIP_VSEIP | HUVIP_VSSIP);
	CHECK_DONE(enter_guest());
	CHECK_EQ(csr_read(CSR_HVIP) & HUVIP_MASK, HUVIP_VSSIP);
}

/* ---- memory of the process that is not there ---- */

static u64 *files_pte;

static void lose_files(void)
{
	files_pte = table_pte(&world.host, at(IN_HU, files), 0);
	*files_pte &= ~(u64)PTE_W;
	fence_all();
	csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
}

static void find_files(void)
{
	*files_pte |= PTE_W | PTE_D;
	fence_all();
}

static void faults(void)
{
	u64 hva;

	test("[FILE-5] a register");
	file_world();
	hva = at(IN_HU, &files[OWN]);
	CHECK_DONE(RUN(IN_DVS, NOP));
	lose_files();
	csr_write(CSR_HUVSISELECT, EIE(0));
	regs()[A1] = 6;
	CHECK_HOST_FAULT(RUN(IN_DVS, CSRRW(A0, CSR_SIREG, A1)), IN_DVS, code_addr(IN_DVS, 0),
			 EXC_STORE_PAGE, hva);
	CHECK_EQ(files[OWN].eie[0], ~1ul);
	find_files();
	CHECK_DONE(huret_again(IN_DVS));
	CHECK_EQ(files[OWN].eie[0], 6);

	test("[FILE-5] a message");
	file_world();
	CHECK_DONE(RUN(IN_DVS, NOP));
	lose_files();
	CHECK_HOST_FAULT(store(SW(A2, A1, 0), page_of(OTHER), 8), IN_DVS, code_addr(IN_DVS, 0),
			 EXC_STORE_PAGE, at(IN_HU, &files[OTHER]));
	CHECK_EQ(pending_files(), 0);
	find_files();
	CHECK_DONE(huret_again(IN_DVS));
	CHECK_EQ(files[OTHER].eip[0], 1 << 8);

	test("[FILE-5] huret");
	file_world();
	lose_files();
	const struct outcome *o = huret_to(IN_DVS, code_addr(IN_DVS, 0));

	CHECK_TRAP(o, AT_HS, EXC_STORE_PAGE, at(IN_HU, do_huret), hva);
	CHECK(!o->done);
}

/* ---- two harts ---- */

static u64 job, done;
static struct outcome others __attribute__((aligned(64)));

/* A guest that spins until it is interrupted, at its vector. */
static void other_hart(void)
{
	csr_write(CSR_PMPADDR0, -1);
	csr_write(CSR_PMPCFG0, 0x1f);
	csr_write(CSR_MENVCFG, ENVCFG_STCE);
	csr_write(CSR_STIMECMP, -1);
	csr_write(CSR_VSTIMECMP, -1);
	csr_write(CSR_HUSTATUS, 0);
	csr_write(CSR_HUDOORBELL, 0);
	for (u64 round = 1; wait_for(&job, round); round++) {
		const u32 spin = INSN_B(0, X0, X0, 0);

		load_world();
		join(OTHER);
		csr_write(CSR_HUVSIE, 0x222);
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		set(&done, round);
		others = *RUN(IN_DVS, spin);
		csr_write(CSR_HDVCTL, 0);
		set(&done, ~round);
	}
}

static void two_harts(void)
{
	start_hart(1, other_hart);
	for (u64 round = 1; round <= 50; round++) {
		test("[FILE-3] a running guest of another hart is interrupted, round %lu", round);
		file_world();
		set(&job, round);
		CHECK(wait_for(&done, round));
		CHECK_DONE(store(SW(A2, A1, 0), page_of(OTHER), round));
		CHECK(wait_for(&done, ~round));
		CHECK_EQ(others.where, AT_VS);
		CHECK_EQ(others.cause, CAUSE_INTERRUPT | IRQ_SEI);
		CHECK_EQ(files[OTHER].eip[0], 1ul << round);
		CHECK(!vseip());
	}
}

void test_main(void)
{
	arrays();
	small_registers();
	without_file();
	claims();
	delivery();
	identities();
	no_messages();
	notice();
	on_no_hart();
	faults();
	two_harts();
}
