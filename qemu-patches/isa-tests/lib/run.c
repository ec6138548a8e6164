// SPDX-License-Identifier: GPL-2.0-or-later
/* Run code in a mode below and find out where it trapped. */
#include "isatest.h"

/* boot.S knows the offsets. */
struct context {
	u64 x[32];
	u64 sp;
};

#define CODE_WORDS 1024

struct hart {
	struct context context;
	struct outcome outcome;
	u64 code_end; /* physical address of the closing ecall */
	u32 *code;
};

const char *const mode_name[MODES] = {"M", "HS", "U", "HU", "DV VS", "DV VU", "VS", "VU"};

static struct hart harts[MAX_HARTS];
static u32 code_pages[MAX_HARTS][CODE_WORDS] __attribute__((aligned(4096)));

static struct hart *this_hart(void)
{
	return &harts[hart_id()];
}

u64 *regs(void)
{
	return this_hart()->context.x;
}

void *put_code(const u32 *insns, unsigned int n)
{
	struct hart *h = this_hart();

	h->code = code_pages[hart_id()];
	for (unsigned int i = 0; i < n; i++)
		h->code[i] = insns[i];
	h->code[n] = ECALL;
	h->code_end = (u64)&h->code[n];
	__asm__ volatile("fence.i" ::: "memory");
	return h->code;
}

u64 code_addr(enum mode mode, unsigned int n)
{
	return at(mode, &this_hart()->code[n]);
}

static void snapshot(struct outcome *o)
{
	o->mcause = csr_read(CSR_MCAUSE);
	o->mepc = csr_read(CSR_MEPC);
	o->mtval = csr_read(CSR_MTVAL);
	o->mtval2 = csr_read(CSR_MTVAL2);
	o->mtinst = csr_read(CSR_MTINST);
	o->mstatus = csr_read(CSR_MSTATUS);
	o->scause = csr_read(CSR_SCAUSE);
	o->sepc = csr_read(CSR_SEPC);
	o->stval = csr_read(CSR_STVAL);
	o->htval = csr_read(CSR_HTVAL);
	o->htinst = csr_read(CSR_HTINST);
	o->hstatus = csr_read(CSR_HSTATUS);
	o->sstatus = csr_read(CSR_SSTATUS);
	o->vsstatus = csr_read(CSR_VSSTATUS);
	o->vsepc = csr_read(CSR_VSEPC);
	o->vscause = csr_read(CSR_VSCAUSE);
	o->vstval = csr_read(CSR_VSTVAL);
	if (!have_xdv())
		return;
	o->hustatus = csr_read(CSR_HUSTATUS);
	o->huepc = csr_read(CSR_HUEPC);
	o->hucause = csr_read(CSR_HUCAUSE);
	o->hutval = csr_read(CSR_HUTVAL);
	o->hugpa = csr_read(CSR_HUGPA);
	o->hutinst = csr_read(CSR_HUTINST);
}

static void arrived_at(struct outcome *o, enum where where)
{
	o->where = where;
	switch (where) {
	case AT_M:
		o->cause = o->mcause;
		o->epc = o->mepc;
		o->tval = o->mtval;
		o->gpa = o->mtval2 << 2;
		o->tinst = o->mtinst;
		break;
	case AT_HS:
		o->cause = o->scause;
		o->epc = o->sepc;
		o->tval = o->stval;
		o->gpa = o->htval << 2;
		o->tinst = o->htinst;
		break;
	case AT_HU:
		o->cause = o->hucause;
		o->epc = o->huepc;
		o->tval = o->hutval;
		o->gpa = o->hugpa;
		o->tinst = o->hutinst;
		break;
	case AT_VS:
		o->cause = o->vscause;
		o->epc = o->vsepc;
		o->tval = o->vstval;
		o->gpa = 0;
		o->tinst = 0;
		break;
	}
}

/*
 * The ecall of each mode's trap vector brings the hart to the mode above:
 * follow them back to where the trap of the code itself arrived.
 */
static void find_first_trap(struct outcome *o)
{
	arrived_at(o, AT_M);
	if (o->cause == EXC_ECALL_S && o->epc == (u64)hs_trap)
		arrived_at(o, AT_HS);
	/* ... of HU-mode's vector, wherever medeleg sent it: the exit came first. */
	if (o->cause == EXC_ECALL_U && o->epc == at(IN_HU, hu_trap))
		arrived_at(o, AT_HU);
	if (o->cause == EXC_ECALL_VS &&
	    o->epc == (o->where == AT_HU ? at(IN_DVS, vs_trap) : at(IN_VS, vs_trap)))
		arrived_at(o, AT_VS);
}

static bool is_end(const struct hart *h, enum mode mode, const struct outcome *o)
{
	return o->cause >= EXC_ECALL_U && o->cause <= EXC_ECALL_M && h->code_end &&
		o->epc == at_pa(mode, h->code_end);
}

static const struct outcome *enter(enum mode mode, u64 pc, enum mode last)
{
	static const u8 privilege[MODES] = {3, 1, 0, 0, 1, 0, 1, 0};
	struct hart *h = this_hart();
	u64 mstatus = csr_read(CSR_MSTATUS);

	if (mode >= IN_U && have_xdv())
		set_en(mode == IN_HU || mode == IN_DVS || mode == IN_DVU);
	mstatus &= ~(MSTATUS_MPP | MSTATUS_MPV | MSTATUS_MPIE | MSTATUS_GVA);
	mstatus |= (u64)privilege[mode] << MSTATUS_MPP_SHIFT;
	if (mode >= IN_DVS)
		mstatus |= MSTATUS_MPV;
	csr_write(CSR_MSTATUS, mstatus);
	csr_write(CSR_MEPC, pc);
	enter_context(&h->context);

	memcpy(h->outcome.x, h->context.x, sizeof(h->outcome.x));
	snapshot(&h->outcome);
	find_first_trap(&h->outcome);
	h->outcome.done = is_end(h, last, &h->outcome);
	return &h->outcome;
}

const struct outcome *run_at(enum mode mode, u64 pc)
{
	return enter(mode, pc, mode);
}

const struct outcome *huret_again(enum mode mode)
{
	return enter(IN_HU, at(IN_HU, do_huret), mode);
}

const struct outcome *run_insns(enum mode mode, const u32 *insns, unsigned int n)
{
	return run_at(mode, at(mode, put_code(insns, n)));
}

const struct outcome *huret_to(enum mode mode, u64 pc)
{
	u64 status = csr_read(CSR_HUSTATUS) & ~(HUSTATUS_SPV | HUSTATUS_SPVP);

	if (mode == IN_DVS || mode == IN_DVU)
		status |= HUSTATUS_SPV;
	if (mode == IN_DVS)
		status |= HUSTATUS_SPVP;
	csr_write(CSR_HUSTATUS, status);
	csr_write(CSR_HUEPC, pc);
	return enter(IN_HU, at(IN_HU, do_huret), mode);
}

/* Apart from the hart's usual code, so that code_addr() stays true. */
static u32 csr_code[MAX_HARTS][2];

static u64 csr_access(unsigned int csr, u64 value, u32 insn)
{
	u64 saved[2] = {regs()[A0], regs()[A1]};
	u32 *code = csr_code[hart_id()];

	code[0] = insn;
	code[1] = ECALL;
	__asm__ volatile("fence.i" ::: "memory");
	regs()[A1] = value;
	struct outcome last = this_hart()->outcome;
	u64 got;

	enter(IN_M, (u64)code, IN_M);
	if (this_hart()->outcome.mepc != (u64)&code[1]) {
		print("Bail out! no CSR %x\n", csr);
		power_off(false);
	}
	got = this_hart()->outcome.x[A0];
	regs()[A0] = saved[0];
	regs()[A1] = saved[1];
	this_hart()->outcome = last;
	return got;
}

u64 read_csr(unsigned int csr)
{
	return csr_access(csr, 0, CSRRS(A0, csr, X0));
}

void write_csr(unsigned int csr, u64 value)
{
	csr_access(csr, value, CSRRW(X0, csr, A1));
}

/* In ticks of 10 MHz. */
#define PATIENCE 100000000ul

bool wait_for(const u64 *p, u64 v)
{
	u64 end = csr_read(CSR_TIME) + PATIENCE;

	while (get(p) != v)
		if (csr_read(CSR_TIME) > end)
			return false;
	return true;
}
