// SPDX-License-Identifier: GPL-2.0-or-later
/* Xdv beside AIA: guest interrupt files, and what a guest without one may do (docs/isa.md, section 9). */
#include <isatest.h>

#define CSR_STOPI 0xdb0
#define CSR_VSISELECT 0x250
#define CSR_VSIREG 0x251
#define CSR_HVIPRIO1 0x646
#define CSR_HGEIP 0xe12

#define HSTATUS_VGEIN_SHIFT 12
#define HVICTL_VTI (1ul << 30)
#define HVICTL_IID_SHIFT 16
#define HVICTL_IPRIOM (1ul << 8)
#define TOPI(iid) ((u64)(iid) << 16 | 1)

#define EIP0 0x80
#define EIE0 0xc0

/* QEMU's board: the pages of hart 0, its own file first, then those for its guests. */
#define IMSIC_S 0x28000000ul
#define FILES 3
#define FILE_PAGE(n) (IMSIC_S + (n)*PAGE_SIZE)

static void set_vgein(u64 n)
{
	csr_write(CSR_HSTATUS,
		  (csr_read(CSR_HSTATUS) & ~HUSTATUS_VGEIN) | n << HSTATUS_VGEIN_SHIFT);
}

static void write_file(u64 select, u64 value)
{
	csr_write(CSR_VSISELECT, select);
	csr_write(CSR_VSIREG, value);
}

/* A world whose guest has this file (0: none), with identities 1 to 63 enabled and nothing pending. */
static void world_with_file(u64 vgein)
{
	usual_world();
	for (u64 n = 1; n <= FILES; n++) {
		set_vgein(n);
		write_file(EIDELIVERY, 1);
		write_file(EIE0, ~0ul);
		write_file(EIP0, 0);
	}
	set_vgein(vgein);
	csr_write(CSR_VSISELECT, 0);
	csr_write(CSR_HVIP, 0);
	set_en(true);
}

static void send(u64 file, u32 id)
{
	*(volatile u32 *)FILE_PAGE(file) = id;
}

static void selector(void)
{
	test("[AIA-1] huvsiselect is an alias of vsiselect");
	usual_world();
	csr_write(CSR_VSISELECT, 0x72);
	CHECK_EQ(csr_read(CSR_HUVSISELECT), 0x72);
	csr_write(CSR_HUVSISELECT, 0xc2);
	CHECK_EQ(csr_read(CSR_VSISELECT), 0xc2);
	regs()[A1] = 0x80;
	CHECK_DONE(RUN(IN_HU, CSRRW(A0, CSR_HUVSISELECT, A1)));
	CHECK_EQ(regs()[A0], 0xc2);
	CHECK_EQ(csr_read(CSR_VSISELECT), 0x80);
	/* What the guest selects; not what the host has selected for itself. */
	csr_write(CSR_SISELECT, 0x30);
	regs()[A1] = 0x70;
	CHECK_DONE(RUN(IN_DVS, CSRRW(A0, CSR_SISELECT, A1)));
	CHECK_EQ(regs()[A0], 0x80);
	CHECK_EQ(csr_read(CSR_HUVSISELECT), 0x70);
	CHECK_EQ(csr_read(CSR_SISELECT), 0x30);

	for (enum mode mode = IN_HS; mode < MODES; mode++) {
		static const u32 insns[] = {CSRRS(A0, CSR_HUVSISELECT, X0),
					    CSRRW(X0, CSR_HUVSISELECT, A1)};

		for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++) {
			bool guest = mode >= IN_DVS;
			bool dv = mode == IN_DVS || mode == IN_DVU;

			test("[AIA-1] [CSR-1] huvsiselect in %s, access %u", mode_name[mode], i);
			usual_world();
			const struct outcome *o = RUN(mode, insns[i]);

			if (mode == IN_HS || mode == IN_HU)
				CHECK_DONE(o);
			else
				CHECK_TRAP(o, dv ? AT_HU : AT_M, guest ? EXC_VIRTUAL : EXC_ILLEGAL,
					   code_addr(mode, 0), insns[i]);
		}
	}
}

/* What HS-mode has set up for a guest of its own does not count for a DV guest. */
static void top_interrupt(void)
{
	static const struct {
		u64 vip, top;
	} cases[] = {
		{0, 0},
		{HUVIP_VSEIP, TOPI(IRQ_SEI)},
		{HUVIP_VSTIP, TOPI(IRQ_STI)},
		{HUVIP_VSSIP, TOPI(IRQ_SSI)},
		{HUVIP_MASK, TOPI(IRQ_SEI)},
		{HUVIP_VSSIP | HUVIP_VSTIP, TOPI(IRQ_SSI)},
	};
	static const u64 hvictl[] = {
		0,
		HVICTL_VTI | 40ul << HVICTL_IID_SHIFT | 3,
		HVICTL_VTI,
		9ul << HVICTL_IID_SHIFT,
		9ul << HVICTL_IID_SHIFT | 7,
		9ul << HVICTL_IID_SHIFT | HVICTL_IPRIOM | 7,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int h = 0; h < ARRAY_SIZE(hvictl); h++) {
			test("[AIA-2] [AIA-3] stopi without a file, huvip %lx, hvictl %lx",
			     cases[i].vip, hvictl[h]);
			world_with_file(0);
			csr_write(CSR_HVICTL, hvictl[h]);
			/* The timer's priority is better than the software interrupt's. */
			csr_write(CSR_HVIPRIO1, 0x01ff00ul << 8 | 0xff);
			csr_write(CSR_HUVIP, cases[i].vip);
			csr_write(CSR_HUVSIE, 0x222);
			CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_STOPI, X0)));
			CHECK_EQ(regs()[A0], cases[i].top);
			/* Not enabled: not reported. */
			csr_write(CSR_HUVSIE, 0);
			CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_STOPI, X0)));
			CHECK_EQ(regs()[A0], 0);
			csr_write(CSR_HVICTL, 0);
			csr_write(CSR_HVIPRIO1, 0);
			csr_write(CSR_HUVIP, 0);
		}
	}
}

static void without_file(void)
{
	static const struct {
		u32 insn;
		u64 select;
		const char *what;
	} accesses[] = {
		{CSRRS(A0, CSR_STOPEI, X0), 0, "stopei"},
		{CSRRW(A0, CSR_STOPEI, X0), 0, "stopei, written"},
		{CSRRS(A0, CSR_SIREG, X0), EIDELIVERY, "eidelivery"},
		{CSRRW(A0, CSR_SIREG, A1), 0x72, "eithreshold"},
		{CSRRS(A0, CSR_SIREG, A1), EIP0, "eip0"},
		{CSRRC(A0, CSR_SIREG, A1), EIE0 + 62, "eie62"},
		{CSRRWI(A0, CSR_SIREG, 1), 0x30, "iprio0"},
		{CSRRS(A0, CSR_SIREG, X0), 0x3e, "iprio14"},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(accesses); i++) {
		for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
			test("[AIA-3] %s in %s without a file is an exit", accesses[i].what,
			     mode_name[mode]);
			world_with_file(0);
			csr_write(CSR_HUEDELEG, HUEDELEG_MASK);
			csr_write(CSR_VSISELECT, accesses[i].select);
			CHECK_TRAP(RUN(mode, accesses[i].insn), AT_HU, EXC_VIRTUAL,
				   code_addr(mode, 0), accesses[i].insn);
		}
	}
	test("[AIA-3] a register that does not exist is an illegal instruction");
	world_with_file(0);
	csr_write(CSR_VSISELECT, 0x100);
	CHECK_TRAP(RUN(IN_DVS, CSRRS(A0, CSR_SIREG, X0)), AT_HU, EXC_ILLEGAL, code_addr(IN_DVS, 0),
		   CSRRS(A0, CSR_SIREG, X0));
}

static void with_file(void)
{
	for (u64 n = 1; n <= FILES; n++) {
		test("[AIA-4] the guest's own registers are those of file %lu", n);
		world_with_file(n);
		regs()[A1] = EIE0;
		regs()[A2] = 0x3456;
		CHECK_DONE(RUN(IN_DVS, CSRRW(X0, CSR_SISELECT, A1), CSRRW(A3, CSR_SIREG, A2)));
		CHECK_EQ(regs()[A3], ~1ul);
		for (u64 other = 1; other <= FILES; other++) {
			set_vgein(other);
			csr_write(CSR_VSISELECT, EIE0);
			CHECK_EQ(csr_read(CSR_VSIREG), other == n ? 0x3456 : ~1ul);
		}

		test("[AIA-4] messages to file %lu and to no other interrupt the guest", n);
		world_with_file(n);
		csr_write(CSR_HUVSIE, 0x222);
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		for (u64 other = 1; other <= FILES; other++)
			if (other != n)
				send(other, 5);
		CHECK_DONE(RUN(IN_DVS, NOP, NOP));
		/* While the hart is in HU it waits, and is not in huvip. */
		send(n, 6);
		CHECK_DONE(RUN(IN_HU, CSRRS(A0, CSR_HUVIP, X0), NOP));
		CHECK_EQ(regs()[A0], 0);
		CHECK_TRAP(RUN(IN_DVS, NOP, NOP), AT_VS, CAUSE_INTERRUPT | IRQ_SEI,
			   code_addr(IN_DVS, 0), 0);
		csr_write(CSR_HUVSSTATUS, 0);
		CHECK_DONE(RUN(IN_DVS, CSRRS(A0, CSR_STOPI, X0), CSRRW(A1, CSR_STOPEI, X0),
			       CSRRS(A2, CSR_STOPEI, X0), CSRRS(A3, CSR_STOPI, X0)));
		CHECK_EQ(regs()[A0], TOPI(IRQ_SEI));
		CHECK_EQ(regs()[A1], TOPEI(6));
		CHECK_EQ(regs()[A2], 0);
		CHECK_EQ(regs()[A3], 0);
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		CHECK_DONE(RUN(IN_DVS, NOP, NOP));
	}

	test("[AIA-4] a file that does not exist is none");
	world_with_file(FILES + 1);
	CHECK_TRAP(RUN(IN_DVS, CSRRS(A0, CSR_STOPEI, X0)), AT_HU, EXC_VIRTUAL, code_addr(IN_DVS, 0),
		   CSRRS(A0, CSR_STOPEI, X0));

	test("[AIA-4] hustatus.VGEIN says which file, and HU cannot change it");
	for (u64 n = 0; n <= FILES; n++) {
		world_with_file(n);
		regs()[A1] = 0x3f000;
		CHECK_DONE(RUN(IN_HU, CSRRS(A0, CSR_HUSTATUS, X0), CSRRS(X0, CSR_HUSTATUS, A1),
			       CSRRS(A2, CSR_HUSTATUS, X0), CSRRC(X0, CSR_HUSTATUS, A1),
			       CSRRS(A3, CSR_HUSTATUS, X0)));
		CHECK_EQ(regs()[A0] & HUSTATUS_VGEIN, n << HSTATUS_VGEIN_SHIFT);
		CHECK_EQ(regs()[A2] & HUSTATUS_VGEIN, n << HSTATUS_VGEIN_SHIFT);
		CHECK_EQ(regs()[A3] & HUSTATUS_VGEIN, n << HSTATUS_VGEIN_SHIFT);
		CHECK_EQ(csr_read(CSR_HSTATUS) & HUSTATUS_VGEIN, n << HSTATUS_VGEIN_SHIFT);
	}
}

/* The message page of a file as any page of the process: the guest's store goes there with no exit. */
static void message_page(void)
{
	const u64 hva = 0x2900000000, gpa = 0x28000000;
	const u32 store = SW(A2, A1, 0);
	struct outcome const *o;

	for (unsigned int mapped = 0; mapped < 4; mapped++) {
		test("[AIA-4] a guest's message: page %s stage 2, %s the process",
		     mapped & 1 ? "in" : "not in", mapped & 2 ? "in" : "not in");
		world_with_file(2);
		if (mapped & 1)
			table_map(&world.stage2, gpa, hva, 0, PTE_URWX & ~PTE_X);
		if (mapped & 2)
			table_map(&world.host, hva, FILE_PAGE(2), 0, PTE_URWX & ~PTE_X);
		fence_all();
		csr_write(CSR_HUVSIE, 0x222);
		csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
		regs()[A1] = gpa;
		regs()[A2] = 9;
		o = RUN(IN_DVS, store, NOP, NOP);
		if (!(mapped & 1))
			CHECK_TRAP(o, AT_HU, EXC_STORE_GUEST_PAGE, code_addr(IN_DVS, 0), gpa);
		else if (!(mapped & 2))
			CHECK_HOST_FAULT(o, IN_DVS, code_addr(IN_DVS, 0), EXC_STORE_PAGE, hva);
		else
			CHECK_TRAP(o, AT_VS, CAUSE_INTERRUPT | IRQ_SEI, code_addr(IN_DVS, 1), 0);
		csr_write(CSR_VSISELECT, EIP0);
		CHECK_EQ(csr_read(CSR_VSIREG), mapped == 3 ? 1 << 9 : 0);
	}
}

void test_main(void)
{
	selector();
	top_interrupt();
	without_file();
	with_file();
	message_page();
}
