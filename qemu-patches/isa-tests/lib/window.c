// SPDX-License-Identifier: GPL-2.0-or-later
/* One page seen through all stages, and the accesses to try on it. */
#include "isatest.h"

const char *const access_name[ACCESSES] = {"fetch", "load", "store", "AMO"};
const u64 page_fault[ACCESSES] = {EXC_INST_PAGE, EXC_LOAD_PAGE, EXC_STORE_PAGE, EXC_STORE_PAGE};
const u64 guest_page_fault[ACCESSES] = {EXC_INST_GUEST_PAGE, EXC_LOAD_GUEST_PAGE,
					EXC_STORE_GUEST_PAGE, EXC_STORE_GUEST_PAGE};
const u64 host_page_fault[ACCESSES] = {EXC_LOAD_PAGE, EXC_LOAD_PAGE, EXC_STORE_PAGE,
				       EXC_STORE_PAGE};
const u64 host_access_fault[ACCESSES] = {EXC_LOAD_ACCESS, EXC_LOAD_ACCESS, EXC_STORE_ACCESS,
					 EXC_STORE_ACCESS};

/*
 * Where windows are: apart from the aliases of RAM, aligned to the leaf, and
 * not the first entry of any table.
 */
static u64 window_base(int level)
{
	static const u64 bases[] = {0x2040605000, 0x2040600000, 0x2040000000, 0x18000000000,
				    0x3000000000000};

	return bases[level];
}

static u64 window_in(const struct table *t, int level, u64 target, u64 flags, u64 **pte)
{
	u64 size = level_size(level), va;

	*pte = NULL;
	if (t->mode == ATP_BARE)
		return target;
	va = window_base(level) + (target & (size - 1));
	*pte = table_pte(t, va, level);
	**pte = make_pte(target & ~(size - 1), flags);
	return va;
}

struct window window_map(enum mode mode, int guest_level, int stage2_level, int host_level)
{
	struct window w = {
		.mode = mode,
		.guest_level = guest_level,
		.stage2_level = stage2_level,
		.host_level = host_level,
	};
	u32 *code = alloc_pages(1);

	code[0] = ADDI(A0, A0, 1);
	code[1] = ECALL;
	*(u64 *)((u64)code + WINDOW_DATA) = WINDOW_MAGIC;
	w.pa = (u64)code;
	w.hva = window_in(&world.host, host_level, w.pa, PTE_URWX, &w.host_pte);
	w.gpa = window_in(&world.stage2, stage2_level, w.hva, PTE_URWX, &w.stage2_pte);
	w.gva = window_in(&world.guest, guest_level, w.gpa, mode == IN_DVU ? PTE_URWX : PTE_RWX,
			  &w.guest_pte);
	csr_write(CSR_MEDELEG, DELEGATE_HOST_FAULTS);
	fence_all();
	return w;
}

struct window window_new(enum mode mode)
{
	return window_map(mode, 0, 0, 0);
}

u64 access_offset(enum access kind)
{
	return kind == FETCH ? 0 : WINDOW_DATA;
}

static const u32 access_code[ACCESSES] = {
	JALR(X0, A1, 0),
	LD(A0, A1, 0),
	SD(A2, A1, 0),
	AMOADD_D(A0, A1, A2),
};

const struct outcome *run_access(enum mode mode, enum access kind, u64 base)
{
	regs()[A0] = 7;
	regs()[A1] = base + access_offset(kind);
	regs()[A2] = 1;
	return run_insns(mode, &access_code[kind], 1);
}

const struct outcome *window_access(const struct window *w, enum access kind)
{
	*(u64 *)(w->pa + WINDOW_DATA) = WINDOW_MAGIC;
	return run_access(w->mode, kind, w->gva);
}

u64 access_pc(enum mode mode, enum access kind, u64 base)
{
	return kind == FETCH ? base : code_addr(mode, 0);
}

bool check_access_ok(const char *file, int line, const struct outcome *o, const struct window *w,
		     enum access kind)
{
	u64 cause = w->mode == IN_DVS ? EXC_ECALL_VS : EXC_ECALL_U;
	u64 data = *(u64 *)(w->pa + WINDOW_DATA);

	switch (kind) {
	case FETCH:
		return check_trap(file, line, o, AT_HU, cause, w->gva + 4, 0) &&
			check_eq(file, line, "counted by the code", o->x[A0], 8);
	case LOAD:
		return check_done(file, line, o) &&
			check_eq(file, line, "loaded", o->x[A0], WINDOW_MAGIC);
	case STORE:
		return check_done(file, line, o) && check_eq(file, line, "stored", data, 1);
	default:
		return check_done(file, line, o) &&
			check_eq(file, line, "old value", o->x[A0], WINDOW_MAGIC) &&
			check_eq(file, line, "sum", data, WINDOW_MAGIC + 1);
	}
}

void check_exit(const char *file, int line, const struct outcome *o, const struct window *w,
		enum access kind, u64 cause, u64 gpa, u64 tinst)
{
	static const u32 transformed[ACCESSES] = {0, LD(A0, X0, 0), SD(A2, X0, 0),
						  AMOADD_D(A0, X0, A2)};
	u64 status = HUSTATUS_SPV | HUSTATUS_GVA | (w->mode == IN_DVS ? HUSTATUS_SPVP : 0);

	if (!check_trap(file, line, o, AT_HU, cause, access_pc(w->mode, kind, w->gva),
			w->gva + access_offset(kind)))
		return;
	check_eq(file, line, "hugpa", o->gpa, gpa);
	check_eq(file, line, "hutinst", o->tinst, tinst ? tinst : transformed[kind]);
	/* VGEIN is not the exit's. */
	check_eq(file, line, "hustatus", o->hustatus & ~(u64)HUSTATUS_VGEIN, status);
	check_eq(file, line, "a0", o->x[A0], 7);
	check_eq(file, line, "the data", *(u64 *)(w->pa + WINDOW_DATA), WINDOW_MAGIC);
	check_eq(file, line, "mepc", o->mepc, at(IN_HU, hu_trap));
}

void check_host_fault(const char *file, int line, const struct outcome *o, enum mode mode, u64 pc,
		      u64 cause, u64 hva)
{
	bool to_hs = csr_read(CSR_MEDELEG) >> cause & 1;
	u64 status = HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0);

	if (!check_trap(file, line, o, to_hs ? AT_HS : AT_M, cause, csr_read(CSR_HUTVEC), hva))
		return;
	check_eq(file, line, "htval or mtval2", o->gpa, 0);
	check_eq(file, line, "htinst or mtinst", o->tinst, 0);
	if (to_hs) {
		check_eq(file, line, "hstatus.SPV and GVA",
			 o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
		check_eq(file, line, "sstatus.SPP", o->sstatus & MSTATUS_SPP, 0);
	} else {
		check_eq(file, line, "mstatus.MPV, GVA and MPP",
			 o->mstatus & (MSTATUS_MPV | MSTATUS_GVA | MSTATUS_MPP), 0);
	}
	check_eq(file, line, "hucause", o->hucause, DV_CAUSE_HOST_FAULT);
	check_eq(file, line, "huepc", o->huepc, pc);
	check_eq(file, line, "hutval", o->hutval, hva);
	check_eq(file, line, "hugpa", o->hugpa, 0);
	check_eq(file, line, "hutinst", o->hutinst, 0);
	/* VGEIN is not the exit's. */
	check_eq(file, line, "hustatus", o->hustatus & ~(u64)HUSTATUS_VGEIN, status);
}
