// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state of a hart moves to another QEMU: at each line MIGRATE_ME the runner moves it, and then sends a byte to
 * the serial port, on which the second hart waits.
 */
#include <isatest.h>

#define MIGRATE_ME "# migrate me\n"
#define VMID 0x15ul
#define OTHER_MAGIC 0x0123456789abcdeful

static u64 moves; /* so many are done */

static void count_moves(void)
{
	for (;;) {
		(void)read_byte();
		set(&moves, get(&moves) + 1);
	}
}

struct csr {
	const char *name;
	unsigned int number;
	u64 value;
};

/* What a hart with Xdv has, and what a hypervisor has without; in the order of setting: hgatp clears EN (EN-5). */
static const struct csr csrs[] = {
	{"hgatp", CSR_HGATP, VMID << HGATP_VMID_SHIFT},
	{"hdvctl", CSR_HDVCTL, HDVCTL_EN | 0x123ul << HDVCTL_INDEX_SHIFT},
	{"hedeleg", CSR_HEDELEG, 0xb109},
	{"hideleg", CSR_HIDELEG, 0x444},
	{"hvip", CSR_HVIP, 0x004},
	{"hcounteren", CSR_HCOUNTEREN, 3},
	{"henvcfg", CSR_HENVCFG, ENVCFG_STCE | ENVCFG_CBZE},
	{"htimedelta", CSR_HTIMEDELTA, 0x1111},
	{"vsstatus", CSR_VSSTATUS, 1ul << 13 | 1ul << 19},
	{"vsie", CSR_VSIE, 0x222},
	{"vsscratch", CSR_VSSCRATCH, 0x2222},
	{"vsepc", CSR_VSEPC, 0x3330},
	{"vscause", CSR_VSCAUSE, 5},
	{"vstval", CSR_VSTVAL, 0x4444},
	{"vstimecmp", CSR_VSTIMECMP, 0x5555555555555555},
	{"huedeleg", CSR_HUEDELEG, 0xb108},
	{"huscratch", CSR_HUSCRATCH, 0x6666},
	{"hutimedelta", CSR_HUTIMEDELTA, 0x7777},
	{"hucounteren", CSR_HUCOUNTEREN, 5},
	{"huvscounteren", CSR_HUVSCOUNTEREN, 6},
	{"huvsenvcfg", CSR_HUVSENVCFG, ENVCFG_CBZE},
	/* As the world has them. */
	{"hutvec", CSR_HUTVEC, 0},
	{"hugatp", CSR_HUGATP, 0},
};

/* The last exit. */
static const struct csr exit_csrs[] = {
	{"hustatus", CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP | HUSTATUS_VTW},
	{"huepc", CSR_HUEPC, 0x8888},
	{"hucause", CSR_HUCAUSE, 21},
	{"hutval", CSR_HUTVAL, 0x9999},
	{"hugpa", CSR_HUGPA, 0xaaaa},
	{"hutinst", CSR_HUTINST, 0xbbbb},
	{"hudoorbell", CSR_HUDOORBELL, 1},
};

static u64 held[ARRAY_SIZE(csrs)];

static void set_csrs(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(csrs); i++) {
		if (csrs[i].value)
			write_csr(csrs[i].number, csrs[i].value);
		held[i] = read_csr(csrs[i].number);
	}
}

static void check_csr(const struct csr *csr, u64 value)
{
	note("%s", csr->name);
	CHECK_EQ(read_csr(csr->number), value);
	note(NULL);
}

static void check_csrs(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(csrs); i++)
		check_csr(&csrs[i], held[i]);
}

/* Two pages; in stage 2 the first one's address is a name of the other. Gone without it. */
static u64 *map_other_page(const struct table *stage2, u64 offset)
{
	u64 *page = alloc_pages(2);
	u64 *other = page + PAGE_SIZE / sizeof(u64);

	*page = WINDOW_MAGIC;
	*other = OTHER_MAGIC;
	table_map(stage2, (u64)page, (u64)other + offset, 0, PTE_URWX);
	fence_all();
	return page;
}

/* Wait in the guest for move n, then look at the page. */
static void move_in(const char *guest, enum mode mode, u64 n, const u64 *page)
{
	regs()[A0] = 0;
	regs()[A1] = at(mode, &moves);
	regs()[A2] = (u64)page;
	regs()[A4] = n;
	print(MIGRATE_ME);
	const struct outcome *o = RUN(mode, LD(A0, A1, 0), BNE(A0, A4, -4), LD(A3, A2, 0));

	test("a %s guest goes on in another QEMU", guest);
	CHECK_DONE(o);
	CHECK_EQ(o->x[A3], OTHER_MAGIC);
}

/* The new QEMU has not seen this guest being entered, but the translations that it has are this guest's. */
static void check_untranslated(const char *guest)
{
	test("what the %s guest saw is not seen by a guest without page tables", guest);
	write_csr(CSR_HGATP, 0);
	CHECK_DONE(RUN(IN_VS, LD(A3, A2, 0)));
	CHECK_EQ(regs()[A3], WINDOW_MAGIC);
}

static void in_a_guest(void)
{
	usual_world();
	u64 *page = map_other_page(&world.stage2, world.hva);

	set_csrs();
	move_in("DV", IN_DVS, 1, page);
	test("the CSRs of a hart that was in a DV guest");
	check_csrs();
	check_untranslated("DV");
}

static void in_a_plain_guest(void)
{
	usual_world();
	struct table stage2 = table_new(ATP_39, true, 0);

	table_map_ram(&stage2, 0, 0, PTE_URWX);
	u64 *page = map_other_page(&stage2, 0);

	csr_write(CSR_HGATP, table_atp(&stage2));
	move_in("plain", IN_VS, 2, page);
	check_untranslated("plain");
}

static void beside_a_guest(void)
{
	usual_world();
	set_csrs();
	for (unsigned int i = 0; i < ARRAY_SIZE(exit_csrs); i++)
		write_csr(exit_csrs[i].number, exit_csrs[i].value);
	test("a hypervisor goes on in another QEMU");
	print(MIGRATE_ME);
	CHECK(wait_for(&moves, 3));

	test("the CSRs of a hart that was in its hypervisor");
	check_csrs();
	test("the CSRs of an exit");
	for (unsigned int i = 0; i < ARRAY_SIZE(exit_csrs); i++)
		check_csr(&exit_csrs[i], exit_csrs[i].value);
}

void test_main(void)
{
	start_hart(1, count_moves);
	in_a_guest();
	in_a_plain_guest();
	beside_a_guest();
}
