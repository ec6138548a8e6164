// SPDX-License-Identifier: GPL-2.0-or-later
/* Page tables, and the address spaces that most tests run in. */
#include "isatest.h"

#define RAM_BASE 0x80000000ul
#define RAM_SIZE 0x08000000ul
#define POOL_BASE (RAM_BASE + 0x02000000ul)
#define POOL_END (RAM_BASE + 0x06000000ul)
#define ROOT_X4_PAGES 4

/*
 * Far apart, so that an address of one space means nothing in another; low
 * enough for Sv39 (x4), whose lower half has 38 (41) bits.
 */
#define HVA_OFFSET 0x1000000000ul
#define GPA_OFFSET 0x0100000000ul
#define GVS_OFFSET 0x0400000000ul
#define GVU_OFFSET 0x0800000000ul

struct world world;
static u64 pool_next = POOL_BASE;

void *alloc_pages(unsigned int n)
{
	/* A root of 16 KiB is aligned to its size. */
	u64 align = n * PAGE_SIZE - 1;
	u64 pa = n == ROOT_X4_PAGES ? (pool_next + align) & ~align : pool_next;
	u64 *word = (u64 *)pa;

	pool_next = pa + n * PAGE_SIZE;
	if (pool_next > POOL_END) {
		print("Bail out! out of pages\n");
		power_off(false);
	}
	for (unsigned int i = 0; i < n * PAGE_SIZE / sizeof(u64); i++)
		word[i] = 0;
	return (void *)pa;
}

struct table table_new(int mode, bool x4, u64 name_offset)
{
	struct table t = {.mode = mode, .x4 = x4, .name_offset = name_offset};

	if (mode != ATP_BARE)
		t.root = (u64)alloc_pages(x4 ? ROOT_X4_PAGES : 1);
	return t;
}

int table_levels(const struct table *t)
{
	return t->mode == ATP_BARE ? 0 : t->mode - ATP_39 + 3;
}

u64 table_atp(const struct table *t)
{
	if (t->mode == ATP_BARE)
		return 0;
	return (u64)t->mode << ATP_MODE_SHIFT | (t->root + t->name_offset) >> 12;
}

static u64 pte_target(u64 pte)
{
	return (pte >> 10 & ATP_PPN_MASK) << 12;
}

/* Replace a leaf by a table of leaves that map the same. */
static void split(const struct table *t, u64 *pte, int level)
{
	u64 *sub = alloc_pages(1);

	for (unsigned int i = 0; i < 512; i++)
		sub[i] = make_pte(pte_target(*pte) + i * level_size(level - 1), *pte & 0x3ff);
	*pte = make_pte((u64)sub + t->name_offset, PTE_V);
}

u64 *table_pte(const struct table *t, u64 va, int level)
{
	int l = table_levels(t) - 1;
	u64 *pt = (u64 *)t->root;
	u64 index = va >> (12 + 9 * l) & (t->x4 ? 2047 : 511);

	for (; l > level; l--) {
		u64 *pte = &pt[index];

		if (!(*pte & PTE_V))
			*pte = make_pte((u64)alloc_pages(1) + t->name_offset, PTE_V);
		else if (*pte & (PTE_R | PTE_W | PTE_X))
			split(t, pte, l);
		pt = (u64 *)(pte_target(*pte) - t->name_offset);
		index = va >> (12 + 9 * (l - 1)) & 511;
	}
	return &pt[index];
}

u64 table_page(const struct table *t, u64 va, int level)
{
	return (u64)table_pte(t, va, level) & ~(PAGE_SIZE - 1);
}

void table_map(const struct table *t, u64 va, u64 target, int level, u64 flags)
{
	*table_pte(t, va, level) = make_pte(target, flags);
}

void table_map_ram(const struct table *t, u64 offset, u64 target_offset, u64 flags)
{
	for (u64 pa = RAM_BASE; pa < RAM_BASE + RAM_SIZE; pa += level_size(1))
		table_map(t, pa + offset, pa + target_offset, 1, flags);
}

void fence_all(void)
{
	__asm__ volatile("fence rw, rw\n"
			 "sfence.vma\n"
			 ".insn 4, 0x62000073\n" /* hfence.gvma */
			 ".insn 4, 0x22000073\n" /* hfence.vvma */
			 "fence.i" ::
				 : "memory");
}

void set_en(bool en)
{
	u64 ctl = csr_read(CSR_HDVCTL);

	if ((ctl & HDVCTL_EN) != en)
		csr_write(CSR_HDVCTL, ctl ^ HDVCTL_EN);
}

static void reset_machine_csrs(void)
{
	csr_write(CSR_MSTATUS, MSTATUS_FS & (1ul << 13));
	csr_write(CSR_MIE, 0);
	csr_write(CSR_MIP, 0);
	csr_write(CSR_MEDELEG, 0);
	csr_write(CSR_MIDELEG, 0);
	csr_write(CSR_MCOUNTEREN, -1);
	csr_write(CSR_MENVCFG, ENVCFG_STCE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
	csr_write(CSR_PMPADDR0, -1);
	csr_write(CSR_PMPCFG0, 0x1f);
	csr_write(CSR_SATP, 0);
	csr_write(CSR_STIMECMP, -1);
	csr_write(CSR_SCOUNTEREN, -1);
	csr_write(CSR_SENVCFG, 0);
	csr_write(CSR_SCAUSE, 0);
	csr_write(CSR_SEPC, 0);
	csr_write(CSR_STVAL, 0);
	csr_write(CSR_STVEC, hs_trap);
}

static void reset_hypervisor_csrs(void)
{
	csr_write(CSR_HSTATUS, 0);
	csr_write(CSR_HEDELEG, 0);
	csr_write(CSR_HIDELEG, 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HCOUNTEREN, -1);
	csr_write(CSR_HENVCFG, ENVCFG_STCE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE);
	csr_write(CSR_HTIMEDELTA, 0);
	csr_write(CSR_HTVAL, 0);
	csr_write(CSR_HTINST, 0);
	csr_write(CSR_HGATP, 0);
	csr_write(CSR_VSSTATUS, 1ul << 13);
	csr_write(CSR_VSIE, 0);
	csr_write(CSR_VSTVEC, 0);
	csr_write(CSR_VSSCRATCH, 0);
	csr_write(CSR_VSEPC, 0);
	csr_write(CSR_VSCAUSE, 0);
	csr_write(CSR_VSTVAL, 0);
	csr_write(CSR_VSTIMECMP, -1);
	csr_write(CSR_VSATP, 0);
}

static void reset_xdv_csrs(void)
{
	csr_write(CSR_HDVCTL, 0);
	csr_write(CSR_HUSTATUS, 0);
	csr_write(CSR_HUEDELEG, 0);
	csr_write(CSR_HUTVEC, 0);
	csr_write(CSR_HUSCRATCH, 0);
	csr_write(CSR_HUEPC, 0);
	csr_write(CSR_HUCAUSE, 0);
	csr_write(CSR_HUTVAL, 0);
	csr_write(CSR_HUGPA, 0);
	csr_write(CSR_HUTINST, 0);
	csr_write(CSR_HUGATP, 0);
	csr_write(CSR_HUTIMEDELTA, 0);
	csr_write(CSR_HUCOUNTEREN, -1);
	csr_write(CSR_HUVIP, 0);
	csr_write(CSR_HUDOORBELL, 0);
	csr_write(CSR_HUVSCOUNTEREN, -1);
	csr_write(CSR_HUVSENVCFG, 0);
}

__attribute__((weak)) bool have_xdv(void)
{
	return true;
}

void fresh(void)
{
	reset_machine_csrs();
	reset_hypervisor_csrs();
	if (have_xdv())
		reset_xdv_csrs();
	world = (struct world){0};
	pool_next = POOL_BASE;
	for (unsigned int i = 0; i < 32; i++)
		regs()[i] = 0;
	fence_all();
}

void load_world(void)
{
	csr_write(CSR_SATP, table_atp(&world.host));
	csr_write(CSR_HUGATP, table_atp(&world.stage2));
	csr_write(CSR_VSATP, table_atp(&world.guest));
	csr_write(CSR_STVEC, hs_trap);
	csr_write(CSR_HUTVEC, at(IN_HU, hu_trap));
	csr_write(CSR_VSTVEC, at(IN_DVS, vs_trap));
	fence_all();
}

void new_world(int satp, int hugatp, int vsatp)
{
	struct world *w = &world;

	fresh();
	w->hva = satp == ATP_BARE ? 0 : HVA_OFFSET;
	w->gpa = hugatp == ATP_BARE ? w->hva : GPA_OFFSET;
	w->gvs = vsatp == ATP_BARE ? w->gpa : GVS_OFFSET;
	w->gvu = vsatp == ATP_BARE ? w->gpa : GVU_OFFSET;
	w->host = table_new(satp, false, 0);
	w->stage2 = table_new(hugatp, true, w->hva);
	w->guest = table_new(vsatp, false, w->gpa);
	if (satp != ATP_BARE) {
		table_map_ram(&w->host, 0, 0, PTE_RWX);
		table_map_ram(&w->host, w->hva, 0, PTE_URWX);
	}
	if (hugatp != ATP_BARE)
		table_map_ram(&w->stage2, w->gpa, w->hva, PTE_URWX);
	if (vsatp != ATP_BARE) {
		table_map_ram(&w->guest, w->gvs, w->gpa, PTE_RWX);
		table_map_ram(&w->guest, w->gvu, w->gpa, PTE_URWX);
	}
	load_world();
}

void usual_world(void)
{
	new_world(ATP_39, ATP_39, ATP_BARE);
}

u64 at_pa(enum mode mode, u64 pa)
{
	switch (mode) {
	case IN_U:
	case IN_HU:
		return pa + world.hva;
	case IN_DVS:
		return pa + world.gvs;
	case IN_DVU:
		return pa + world.gvu;
	default:
		return pa;
	}
}

u64 at(enum mode mode, const volatile void *pa)
{
	return at_pa(mode, (u64)pa);
}
