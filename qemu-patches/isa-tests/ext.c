// SPDX-License-Identifier: GPL-2.0-or-later
/* Xdv beside other extensions: Smstateen, AIA, Svnapot, F and D (docs/isa.md, "Interplay"). */
#include <isatest.h>

#define CSR_HSTATEEN0 0x60c
#define CSR_SSTATEEN0 0x10c

static void state_enable(void)
{
	static const u16 csrs[] = {
		CSR_HUSTATUS, CSR_HUEDELEG,   CSR_HUTVEC,        CSR_HUSCRATCH,   CSR_HUEPC,
		CSR_HUCAUSE,  CSR_HUTVAL,     CSR_HUGPA,         CSR_HUTINST,     CSR_HUGATP,
		CSR_HUVIP,    CSR_HUDOORBELL, CSR_HUTIMEDELTA,   CSR_HUCOUNTEREN, CSR_HUVSSTATUS,
		CSR_HUVSIE,   CSR_HUVSTVEC,   CSR_HUVSCOUNTEREN, CSR_HUVSENVCFG,  CSR_HUVSSCRATCH,
		CSR_HUVSEPC,  CSR_HUVSCAUSE,  CSR_HUVSTVAL,      CSR_HUVSTIMECMP, CSR_HUVSATP,
	};

	test("Smstateen: all bits clear, and HU still has its CSRs and its guest");
	usual_world();
	csr_write(CSR_MSTATEEN0, 0);
	csr_write(CSR_HSTATEEN0, 0);
	csr_write(CSR_SSTATEEN0, 0);
	CHECK_EQ(csr_read(CSR_MSTATEEN0), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(csrs); i++) {
		note("CSR %x", csrs[i]);
		CHECK_DONE(RUN(IN_HU, CSRRS(A0, csrs[i], X0), CSRRW(X0, csrs[i], A0)));
	}
	CHECK_DONE(RUN(IN_HS, CSRRS(A0, CSR_HDVCTL, X0)));
	csr_write(CSR_HUEPC, code_addr(IN_DVS, 0));
	CHECK_DONE(RUN(IN_DVS, NOP));
	csr_write(CSR_MSTATEEN0, ~0ul);
	csr_write(CSR_HSTATEEN0, ~0ul);
}

/* An interrupt that only AIA gives to guests. */
#define LOCAL_IRQ 20

static void virtual_interrupt_enables(void)
{
	test("AIA: hvien counts as zero while EN=1");
	usual_world();
	csr_write(CSR_HVIEN, ~0ul);
	CHECK(csr_read(CSR_HVIEN) & 1 << LOCAL_IRQ);
	/* A plain guest has the interrupt that hvien makes. */
	csr_write(CSR_VSIE, ~0ul);
	CHECK(csr_read(CSR_VSIE) & 1 << LOCAL_IRQ);
	csr_write(CSR_VSIE, 0);
	set_en(true);
	csr_write(CSR_HUVSIE, ~0ul);
	CHECK_EQ(csr_read(CSR_HUVSIE), 0x222);
	regs()[A1] = ~0ul;
	CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIE, A1), CSRRS(A2, CSR_SIE, X0)));
	CHECK_EQ(regs()[A2], 0x222);
	csr_write(CSR_HUVSIE, 0x222);
	csr_write(CSR_HVIP, 1 << LOCAL_IRQ);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_SIP, X0), NOP));
	CHECK_EQ(regs()[A0], 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HVIEN, 0);
}

/* The bits above 12 that AIA adds to hvip are not HU-mode's, with EN=1 or before. */
static void injected_local_interrupts(void)
{
	const u64 local = 1ul << LOCAL_IRQ;

	test("[CSR-2] AIA: huvip reaches no local interrupt in hvip");
	usual_world();
	csr_write(CSR_HVIEN, ~0ul);
	csr_write(CSR_HVIP, local);
	CHECK_EQ(csr_read(CSR_HVIP), local);
	/* M- and HS-mode may use huvip with EN=0. */
	CHECK_EQ(csr_read(CSR_HUVIP), 0);
	csr_write(CSR_HUVIP, 0);
	CHECK_EQ(csr_read(CSR_HVIP), local);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HUVIP, ~0ul);
	CHECK_EQ(csr_read(CSR_HVIP), HUVIP_MASK);
	regs()[A1] = ~0ul;
	CHECK_DONE(RUN(IN_HU, CSRRW(A0, CSR_HUVIP, A1)));
	CHECK_EQ(regs()[A0], HUVIP_MASK);
	set_en(false);
	CHECK_EQ(csr_read(CSR_HVIP), HUVIP_MASK);
	CHECK_EQ(csr_read(CSR_MIP) & local, 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HVIEN, 0);
}

#define HVICTL_VTI (1ul << 30)

static void virtual_trap_interrupts(void)
{
	static const u32 insns[] = {CSRRS(A0, CSR_SIE, X0), CSRRS(A0, CSR_SIP, X0)};

	for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++) {
		test("AIA: hvictl.VTI is for plain guests, access %u", i);
		usual_world();
		csr_write(CSR_HVICTL, HVICTL_VTI);
		CHECK(csr_read(CSR_HVICTL) & HVICTL_VTI);
		CHECK_DONE(RUN(IN_DVS, insns[i]));
		CHECK_TRAP(RUN(IN_VS, insns[i]), AT_M, EXC_VIRTUAL, code_addr(IN_VS, 0), insns[i]);
		csr_write(CSR_HVICTL, 0);
	}
}

/* ---- Svnapot ---- */

#define NAPOT_SIZE 0x10000ul

static void napot(void)
{
	static const char *const stage_name[] = {"the host", "stage 2", "the VS stage"};

	for (int stage = 0; stage < 3; stage++) {
		test("[MEM-3] a 64 KiB leaf of %s", stage_name[stage]);
		for (enum access kind = FETCH; kind < ACCESSES; kind++) {
			struct window w;
			u64 *pte, base, pages, name;

			new_world(ATP_39, ATP_39, ATP_39);
			/* 16 pages, aligned; the window's page is the one its address selects. */
			pages = (u64)alloc_pages(31);
			pages = (pages + NAPOT_SIZE - 1) & ~(NAPOT_SIZE - 1);
			w = window_new(IN_DVS);
			pte = stage == 0 ? w.host_pte : stage == 1 ? w.stage2_pte : w.guest_pte;
			base = stage == 0 ? w.hva : stage == 1 ? w.gpa : w.gva;
			name = stage == 0    ? pages
				: stage == 1 ? pages + world.hva
					     : pages + world.gpa;
			/* The window's contents, in the page of the range that it falls on. */
			memcpy((void *)(pages + (base & (NAPOT_SIZE - 1))), (void *)w.pa,
			       PAGE_SIZE);
			w.pa = pages + (base & (NAPOT_SIZE - 1));
			*pte = make_pte(name, PTE_URWX | PTE_N) | 8ul << 10;
			if (stage == 2)
				*pte &= ~PTE_U;
			fence_all();
			note("%s", access_name[kind]);
			CHECK_ACCESS_OK(window_access(&w, kind), &w, kind);
			/* Another size is reserved. */
			*pte = (*pte & ~(15ul << 10)) | 4ul << 10;
			fence_all();
			const struct outcome *o = window_access(&w, kind);

			if (stage == 0)
				CHECK_HOST_FAULT(o, w.mode, access_pc(w.mode, kind, w.gva),
						 host_page_fault[kind],
						 w.hva + access_offset(kind));
			else
				CHECK_EXIT(o, &w, kind,
					   stage == 1 ? guest_page_fault[kind] : page_fault[kind],
					   stage == 1 ? w.gpa + access_offset(kind) : 0, 0);
		}
	}
}

/* ---- floating point ---- */

#define FMV_D_X(rd, rs1) INSN_R(0x53, 0, 0x79, rd, rs1, 0)
#define FMV_X_D(rd, rs1) INSN_R(0x53, 0, 0x71, rd, rs1, 0)

static void set_fs(unsigned int host, unsigned int guest)
{
	csr_clear(CSR_MSTATUS, MSTATUS_FS);
	csr_set(CSR_MSTATUS, (u64)host << 13);
	csr_write(CSR_HUVSSTATUS, (u64)guest << 13);
}

static void floating_point(void)
{
	for (unsigned int n = 0; n < 8; n++) {
		enum mode mode = n & 1 ? IN_DVU : IN_DVS;
		unsigned int host = n >> 1 & 1, guest = n >> 2;
		const struct outcome *o;

		test("F, D: host's FS %u, guest's FS %u in %s", host, guest, mode_name[mode]);
		usual_world();
		set_fs(host, guest);
		regs()[A1] = 0x4045000000000000;
		o = RUN(mode, FMV_D_X(1, A1), FMV_X_D(A0, 1));
		if (host && guest) {
			CHECK_DONE(o);
			CHECK_EQ(o->x[A0], 0x4045000000000000);
			/* Dirty in both: the kernel must save the registers. */
			CHECK_EQ(csr_read(CSR_MSTATUS) & MSTATUS_FS, MSTATUS_FS);
			CHECK_EQ(csr_read(CSR_HUVSSTATUS) & MSTATUS_FS, MSTATUS_FS);
		} else {
			CHECK_TRAP(o, AT_HU, EXC_ILLEGAL, code_addr(mode, 0), FMV_D_X(1, A1));
		}
	}
	test("F, D: the registers are the same in HU and in its guest");
	usual_world();
	set_fs(1, 1);
	regs()[A1] = 0x1122334455667788;
	CHECK_DONE(RUN(IN_DVS, FMV_D_X(1, A1)));
	CHECK_DONE(RUN(IN_HU, FMV_X_D(A0, 1)));
	CHECK_EQ(regs()[A0], 0x1122334455667788);
	test("F, D: HU without FS traps as U-mode does");
	usual_world();
	set_fs(0, 1);
	csr_write(CSR_MEDELEG, 1 << EXC_ILLEGAL);
	CHECK_TRAP(RUN(IN_HU, FMV_D_X(1, A1)), AT_HS, EXC_ILLEGAL, code_addr(IN_HU, 0),
		   FMV_D_X(1, A1));
}

void test_main(void)
{
	state_enable();
	virtual_interrupt_enables();
	injected_local_interrupts();
	virtual_trap_interrupts();
	napot();
	floating_point();
}
