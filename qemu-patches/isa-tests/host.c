// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupts: the host does not notice the guest, the guest does not notice the host. */
#include <isatest.h>

#define STIP (1ul << IRQ_STI)
#define SSIP (1ul << IRQ_SSI)
#define SEIP (1ul << IRQ_SEI)

static u64 mark(unsigned int i)
{
	return 0x1234000000000000 + i * 0x1010101;
}

static void mark_registers(void)
{
	for (unsigned int i = 1; i < 32; i++)
		regs()[i] = mark(i);
}

static void check_registers(const struct outcome *o)
{
	for (unsigned int i = 1; i < 32; i++)
		CHECK_EQ(o->x[i], mark(i));
}

/* What an interrupt at HS leaves: as if U-mode had been about to run hutvec. */
static void check_host_interrupt(const struct outcome *o, enum mode mode, u64 pc, u64 irq)
{
	CHECK_TRAP(o, AT_HS, CAUSE_INTERRUPT | irq, at(IN_HU, hu_trap), 0);
	CHECK_EQ(o->htval, 0);
	CHECK_EQ(o->htinst, 0);
	CHECK_EQ(o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
	CHECK_EQ(o->sstatus & MSTATUS_SPP, 0);
	CHECK_EQ(o->hucause, DV_CAUSE_HOST_INTERRUPT);
	CHECK_EQ(o->huepc, pc);
	CHECK_EQ(o->hutval | o->hugpa | o->hutinst, 0);
	CHECK_EQ(o->hustatus, HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0) | HUSTATUS_VTVM);
}

static const struct {
	const char *name;
	u64 irq;
} interrupts[] = {{"software", IRQ_SSI}, {"timer", IRQ_STI}, {"external", IRQ_SEI}};

static void raise(u64 irq)
{
	if (irq == IRQ_STI)
		csr_write(CSR_STIMECMP, 0);
	else
		csr_set(CSR_MIP, 1ul << irq);
}

static void interrupt_world(void)
{
	usual_world();
	csr_write(CSR_MIDELEG, SSIP | STIP | SEIP);
	csr_write(CSR_MIE, SSIP | STIP | SEIP);
	csr_write(CSR_HUSTATUS, HUSTATUS_VTVM);
	/* As a kernel that runs user code leaves them. */
	csr_write(CSR_HSTATUS, HSTATUS_SPV | HSTATUS_GVA | HSTATUS_SPVP);
	csr_write(CSR_HTVAL, 0x77);
	csr_write(CSR_HTINST, 0x78);
}

static void pending_on_entry(void)
{
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(interrupts); i++) {
		enum mode mode = i & 1 ? IN_DVU : IN_DVS;
		u64 irq = interrupts[i / 2].irq;
		const struct outcome *o;

		test("[HOST-1] %s interrupt of the host hits %s", interrupts[i / 2].name,
		     mode_name[mode]);
		for (unsigned int hideleg = 0; hideleg < 2; hideleg++) {
			for (unsigned int sie = 0; sie < 2; sie++) {
				interrupt_world();
				csr_write(CSR_HIDELEG, hideleg ? ~0ul : 0);
				/* The guest's own enables do not count, nor the host's in V=1. */
				csr_write(CSR_HUVSSTATUS, sie ? MSTATUS_SIE : 0);
				if (sie)
					csr_set(CSR_MSTATUS, MSTATUS_SIE);
				put_code((const u32[]){NOP}, 1);
				mark_registers();
				raise(irq);
				u64 vsstatus = csr_read(CSR_VSSTATUS);

				o = run_at(mode, code_addr(mode, 0));
				check_host_interrupt(o, mode, code_addr(mode, 0), irq);
				check_registers(o);
				CHECK_EQ(o->vsstatus, vsstatus);
				CHECK_EQ(o->vscause | o->vsepc | o->vstval, 0);
				CHECK_EQ(csr_read(CSR_HUEDELEG), 0);
				CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);
			}
		}
		/* Not enabled: nothing. */
		interrupt_world();
		csr_write(CSR_MIE, 0);
		raise(irq);
		CHECK_DONE(RUN(mode, NOP));
	}
}

/* A guest that waits is woken, and goes on behind its wfi. */
static void waiting(void)
{
	const struct outcome *o;

	test("[HOST-1] an interrupt of the host ends the guest's wfi");
	interrupt_world();
	put_code((const u32[]){WFI, NOP}, 2);
	csr_write(CSR_STIMECMP, csr_read(CSR_TIME) + 100);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	check_host_interrupt(o, IN_DVS, code_addr(IN_DVS, 1), IRQ_STI);

	test("[TIME-1] the guest's own timer ends its wfi, with no exit");
	interrupt_world();
	csr_write(CSR_MIE, 0);
	put_code((const u32[]){WFI, NOP}, 2);
	set_en(true);
	csr_write(CSR_HUTIMEDELTA, 1ul << 40);
	csr_write(CSR_HUVSIE, 0x20);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	csr_write(CSR_HUVSTIMECMP, csr_read(CSR_TIME) + (1ul << 40) + 100);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_VS, CAUSE_INTERRUPT | IRQ_STI, code_addr(IN_DVS, 1), 0);
}

static void in_hu(void)
{
	const struct outcome *o;

	test("[HOST-1] an interrupt in HU is one of U-mode, and no exit");
	interrupt_world();
	csr_write(CSR_HUCAUSE, 5);
	csr_write(CSR_HUEPC, 0x1234);
	csr_write(CSR_HUTVAL, 0x1235);
	put_code((const u32[]){NOP}, 1);
	mark_registers();
	raise(IRQ_SSI);
	o = run_at(IN_HU, code_addr(IN_HU, 0));
	CHECK_TRAP(o, AT_HS, CAUSE_INTERRUPT | IRQ_SSI, code_addr(IN_HU, 0), 0);
	check_registers(o);
	CHECK_EQ(o->hucause, 5);
	CHECK_EQ(o->huepc, 0x1234);
	CHECK_EQ(o->hutval, 0x1235);
	CHECK_EQ(o->hustatus, HUSTATUS_VTVM);
	CHECK_EQ(o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
	CHECK_EQ(o->htval | o->htinst, 0);

	test("[HOST-1] an exit and an interrupt at once: the exit is complete");
	interrupt_world();
	/* The interrupt becomes pending with the ecall's exit: HU runs, then HS gets it. */
	put_code((const u32[]){CSRRSI(X0, CSR_SIP, 0), ECALL}, 2);
	csr_write(CSR_HUSTATUS, 0);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_HU, EXC_ECALL_VS, code_addr(IN_DVS, 1), 0);
	raise(IRQ_SSI);
	o = run_at(IN_HU, at(IN_HU, hu_trap));
	CHECK_EQ(o->scause, CAUSE_INTERRUPT | IRQ_SSI);
	CHECK_EQ(o->sepc, at(IN_HU, hu_trap));
	CHECK_EQ(o->hucause, EXC_ECALL_VS);
	CHECK_EQ(o->huepc, code_addr(IN_DVS, 1));
	CHECK_EQ(o->hustatus, HUSTATUS_SPV | HUSTATUS_SPVP);
}

static void host_before_guest(void)
{
	const struct outcome *o;

	test("[HOST-1] [HOST-5] HS interrupt, then doorbell, then the guest's own");
	interrupt_world();
	set_en(true);
	csr_write(CSR_HVIP, HUVIP_VSSIP);
	csr_write(CSR_HUVSIE, 0x222);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	csr_write(CSR_HUDOORBELL, 1);
	put_code((const u32[]){NOP}, 1);
	raise(IRQ_SSI);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	check_host_interrupt(o, IN_DVS, code_addr(IN_DVS, 0), IRQ_SSI);
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 1);
	csr_clear(CSR_MIP, SSIP);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_HU, DV_CAUSE_DOORBELL, code_addr(IN_DVS, 0), 0);
	CHECK_EQ(o->gpa | o->tinst, 0);
	CHECK_EQ(o->hustatus, HUSTATUS_SPV | HUSTATUS_SPVP | HUSTATUS_VTVM);
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 0);
	CHECK_EQ(csr_read(CSR_HUVIP), HUVIP_VSSIP);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_TRAP(o, AT_VS, CAUSE_INTERRUPT | IRQ_SSI, code_addr(IN_DVS, 0), 0);
}

static void doorbell(void)
{
	const struct outcome *o;

	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		test("[HOST-5] the doorbell ends %s", mode_name[mode]);
		usual_world();
		csr_write(CSR_HUDOORBELL, 1);
		put_code((const u32[]){NOP}, 1);
		mark_registers();
		o = run_at(mode, code_addr(mode, 0));
		CHECK_TRAP(o, AT_HU, DV_CAUSE_DOORBELL, code_addr(mode, 0), 0);
		CHECK_EQ(o->hustatus, HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0));
		CHECK_EQ(o->gpa | o->tinst, 0);
		check_registers(o);
		CHECK_EQ(csr_read(CSR_HUDOORBELL), 0);
		CHECK_DONE(run_at(mode, code_addr(mode, 0)));
	}
	test("[HOST-5] the doorbell waits for V=1 and EN=1");
	usual_world();
	csr_write(CSR_HUDOORBELL, 1);
	CHECK_DONE(RUN(IN_HU, NOP, NOP));
	CHECK_DONE(RUN(IN_HS, NOP, NOP));
	CHECK_DONE(RUN(IN_U, NOP, NOP));
	CHECK_DONE(RUN(IN_VS, NOP, NOP));
	CHECK_DONE(RUN(IN_VU, NOP, NOP));
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 1);
	put_code((const u32[]){NOP}, 1);
	CHECK_TRAP(huret_to(IN_DVS, code_addr(IN_DVS, 0)), AT_HU, DV_CAUSE_DOORBELL,
		   code_addr(IN_DVS, 0), 0);
	test("[HOST-5] HU rings and silences its own doorbell");
	usual_world();
	CHECK_DONE(RUN(IN_HU, CSRRWI(X0, CSR_HUDOORBELL, 1)));
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 1);
	CHECK_DONE(RUN(IN_HU, CSRRCI(A0, CSR_HUDOORBELL, 1)));
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 0);
	CHECK_DONE(RUN(IN_DVS, NOP));
	test("[HOST-5] wfi of a guest ends with the doorbell");
	usual_world();
	put_code((const u32[]){WFI}, 1);
	csr_write(CSR_HUDOORBELL, 1);
	o = huret_to(IN_DVS, code_addr(IN_DVS, 0));
	CHECK_EQ(o->cause, DV_CAUSE_DOORBELL);
}

/* An interrupt for M-mode: none of Xdv's state changes, and mret goes on. */
static void machine_interrupts(void)
{
	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		const struct outcome *o;

		test("[HOST-1] [EN-3] an interrupt for M-mode is transparent in %s",
		     mode_name[mode]);
		usual_world();
		csr_write(CSR_HUCAUSE, 5);
		csr_write(CSR_HUTVAL, 6);
		csr_write(CSR_MIE, SSIP);
		csr_write(CSR_MIP, SSIP);
		csr_write(CSR_HSTATUS, HSTATUS_SPVP);
		put_code((const u32[]){ADDI(A0, A0, 1)}, 1);
		mark_registers();
		o = run_at(mode, code_addr(mode, 0));
		CHECK_TRAP(o, AT_M, CAUSE_INTERRUPT | IRQ_SSI, code_addr(mode, 0), 0);
		CHECK_EQ(o->mstatus & MSTATUS_MPV, MSTATUS_MPV);
		CHECK_EQ(o->mstatus & MSTATUS_MPP, mode == IN_DVS ? 1ul << MSTATUS_MPP_SHIFT : 0);
		CHECK_EQ(o->mstatus & MSTATUS_GVA, 0);
		check_registers(o);
		CHECK_EQ(o->hucause, 5);
		CHECK_EQ(o->hutval, 6);
		CHECK_EQ(o->hstatus & HSTATUS_SPVP, HSTATUS_SPVP);
		CHECK_EQ(o->scause, 0);
		CHECK_EQ(csr_read(CSR_HDVCTL), HDVCTL_EN);
		csr_write(CSR_MIE, 0);
		o = run_at(mode, o->mepc);
		CHECK_DONE(o);
		CHECK_EQ(o->x[A0], mark(A0) + 1);
	}
}

/* ---- an interrupt at every instruction of exits and entries ---- */

/*
 * HU and the guest play ping-pong: the guest counts in s0 and calls; HU counts in
 * s1, moves huepc on and returns, or just returns if an interrupt of the host was
 * the reason. Registers tell exactly how far they came.
 */
static const u32 hu_loop[] = {
	CSRRS(A4, CSR_HUCAUSE, X0),
	ADDI(A3, X0, EXC_BREAKPOINT),
	BEQ(A4, A3, 8 * 4),
	ADDI(A3, X0, DV_CAUSE_HOST_INTERRUPT),
	BEQ(A4, A3, 5 * 4),
	ADDI(S1, S1, 1),
	CSRRS(A5, CSR_HUEPC, X0),
	ADDI(A5, A5, 4),
	CSRRW(X0, CSR_HUEPC, A5),
	HURET,
	ECALL,
};

#define HU_WORDS ARRAY_SIZE(hu_loop)
#define ROUNDS 8
#define GUEST_WORDS (2 * ROUNDS)

static u32 guest_code[GUEST_WORDS + 1] __attribute__((aligned(4096)));
static u32 hu_code[64] __attribute__((aligned(4096)));

static void put_ping_pong(void)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		guest_code[2 * i] = ADDI(S0, S0, 1);
		guest_code[2 * i + 1] = ECALL;
	}
	guest_code[GUEST_WORDS] = EBREAK;
	memcpy(hu_code, hu_loop, sizeof(hu_loop));
	__asm__ volatile("fence.i" ::: "memory");
}

/* Which instructions were interrupted. */
struct sweep {
	u32 in_guest, in_hu, at_entry;
};

/* One trap to HS: is it what U-mode code would have given? */
static void check_sweep_trap(const struct outcome *o, enum mode mode, struct sweep *s)
{
	u64 hutvec = at(IN_HU, hu_code), word;

	CHECK_EQ(o->scause, CAUSE_INTERRUPT | IRQ_STI);
	CHECK_EQ(o->hstatus & (HSTATUS_SPV | HSTATUS_GVA), 0);
	CHECK_EQ(o->sstatus & MSTATUS_SPP, 0);
	CHECK_EQ(o->htval | o->htinst | o->stval, 0);
	if (o->sepc == at(IN_HU, do_huret)) {
		s->at_entry++;
		return;
	}
	word = (o->sepc - hutvec) / 4;
	CHECK(word < HU_WORDS);
	if (word || o->hucause != DV_CAUSE_HOST_INTERRUPT) {
		s->in_hu |= 1u << word;
		return;
	}
	CHECK_EQ(o->hutval | o->hugpa | o->hutinst, 0);
	CHECK_EQ(o->hustatus, HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0));
	word = (o->huepc - at(mode, guest_code)) / 4;
	CHECK(word <= GUEST_WORDS);
	/* Precise: what is before huepc has been executed, and nothing else. */
	CHECK_EQ(o->x[S0], (word + 1) / 2);
	CHECK_EQ(o->x[S1], word / 2);
	s->in_guest |= 1u << word;
}

/* Run all of it with one interrupt that comes a little later each time. */
static void sweep_once(unsigned int phase, enum mode mode, struct sweep *s)
{
	const struct outcome *o;
	u64 tick = csr_read(CSR_TIME);

	csr_write(CSR_HUSTATUS, HUSTATUS_SPV | (mode == IN_DVS ? HUSTATUS_SPVP : 0));
	csr_write(CSR_HUEPC, at(mode, guest_code));
	regs()[S0] = 0;
	regs()[S1] = 0;
	/* From the beginning of a tick of the clock; with -icount it has 100 instructions. */
	while (csr_read(CSR_TIME) == tick)
		;
	csr_write(CSR_STIMECMP, tick + 5);
	spend(phase);
	o = run_at(IN_HU, at(IN_HU, do_huret));
	csr_write(CSR_STIMECMP, ~0ul);
	if (o->where == AT_HS) {
		check_sweep_trap(o, mode, s);
		/* Back to where the kernel was told to return to, in user mode. */
		o = run_at(IN_HU, o->sepc);
	}
	CHECK_EQ(o->mcause, EXC_ECALL_U);
	CHECK_EQ(o->mepc, at(IN_HU, &hu_code[HU_WORDS - 1]));
	CHECK_EQ(o->huepc, at(mode, &guest_code[GUEST_WORDS]));
	CHECK_EQ(o->x[S0], ROUNDS);
	CHECK_EQ(o->x[S1], ROUNDS);
}

#define PHASES 500

static void sweep(void)
{
	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		struct sweep s = {0};

		test("[HOST-1] timer interrupt at every point of entries and exits, %s",
		     mode_name[mode]);
		usual_world();
		put_ping_pong();
		csr_write(CSR_HUTVEC, at(IN_HU, hu_code));
		csr_write(CSR_MIDELEG, STIP);
		csr_write(CSR_MIE, STIP);
		for (unsigned int phase = 0; phase < PHASES; phase++) {
			note("phase %u", phase);
			sweep_once(phase, mode, &s);
		}
		print("# interrupted: guest %x HU %x entry %u\n", s.in_guest, s.in_hu, s.at_entry);
		/* The sweep really hit every instruction of both. */
		note(NULL);
		CHECK_EQ(s.in_guest, (2ul << GUEST_WORDS) - 1);
		CHECK_EQ(s.in_hu & ~(1ul << (HU_WORDS - 1)), (1ul << (HU_WORDS - 1)) - 1);
		CHECK(s.at_entry > 0);
	}
}

/*
 * Exactly at each instruction: an interrupt that is pending from the start, with
 * sie closed until the guest or HU has executed n instructions, is the same to
 * hardware as one that comes then. mret goes to that instruction.
 */
static void every_instruction(void)
{
	for (enum mode mode = IN_DVS; mode <= IN_DVU; mode++) {
		for (unsigned int n = 0; n < GUEST_WORDS; n++) {
			const struct outcome *o;

			test("[HOST-1] interrupt before instruction %u of %s", n, mode_name[mode]);
			usual_world();
			put_ping_pong();
			csr_write(CSR_MIDELEG, SSIP);
			csr_write(CSR_MIE, SSIP);
			csr_write(CSR_MIP, SSIP);
			csr_write(CSR_HUSTATUS, HUSTATUS_VTVM);
			mark_registers();
			o = run_at(mode, at(mode, &guest_code[n]));
			check_host_interrupt(o, mode, at(mode, &guest_code[n]), IRQ_SSI);
			check_registers(o);
		}
	}
	for (unsigned int n = 0; n < HU_WORDS; n++) {
		const struct outcome *o;

		test("[HOST-1] interrupt before instruction %u of HU", n);
		usual_world();
		put_ping_pong();
		csr_write(CSR_MIDELEG, SSIP);
		csr_write(CSR_MIE, SSIP);
		csr_write(CSR_MIP, SSIP);
		mark_registers();
		csr_write(CSR_HUCAUSE, EXC_ECALL_VS);
		csr_write(CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP);
		csr_write(CSR_HUEPC, at(IN_DVS, guest_code));
		o = run_at(IN_HU, at(IN_HU, &hu_code[n]));
		CHECK_TRAP(o, AT_HS, CAUSE_INTERRUPT | IRQ_SSI, at(IN_HU, &hu_code[n]), 0);
		check_registers(o);
		CHECK_EQ(o->hucause, EXC_ECALL_VS);
		CHECK_EQ(o->huepc, at(IN_DVS, guest_code));
	}
}

/* An interrupt and a host fault: after the fault's trap hutvec is where HU goes on. */
static void fault_then_repair(void)
{
	for (enum access kind = FETCH; kind < ACCESSES; kind++) {
		struct window w;
		const struct outcome *o;
		u64 pte;

		test("[HOST-2] %s: after the kernel has paged in, huret executes it",
		     access_name[kind]);
		new_world(ATP_39, ATP_39, ATP_39);
		w = window_new(IN_DVS);
		pte = *w.host_pte;
		*w.host_pte = 0;
		fence_all();
		o = window_access(&w, kind);
		CHECK_HOST_FAULT(o, IN_DVS, access_pc(IN_DVS, kind, w.gva), host_page_fault[kind],
				 w.hva + access_offset(kind));
		*w.host_pte = pte;
		fence_all();
		o = huret_again(IN_DVS);
		CHECK_ACCESS_OK(o, &w, kind);
	}
}

void test_main(void)
{
	pending_on_entry();
	waiting();
	in_hu();
	host_before_guest();
	doorbell();
	machine_interrupts();
	every_instruction();
	sweep();
	fault_then_repair();
}
