// SPDX-License-Identifier: GPL-2.0-or-later
/* hupost: who is reached, what arrives, and that nothing is lost. Two harts. */
#include <isatest.h>

#define VMID 7ul
#define OWN_INDEX 3ul
#define OTHER_INDEX 5ul

/* ---- the other hart ---- */

enum other_job { REST, SHOW, READ, GUEST_SPIN, GUEST_LOOP, TOGGLE, POST_BACK, QUIT };

static struct {
	u64 job;            /* enum other_job, written by hart 0 */
	u64 done;           /* the job that the other hart does, or has done */
	u64 hdvctl, vmid;   /* for it */
	u64 hvip, doorbell; /* what it saw */
	bool waits;         /* in wfi, not in a loop */
	u64 count;
	struct outcome outcome;
} other __attribute__((aligned(64)));

/* All CSRs of this hart for the world that hart 0 has built. */
static void join_world(void)
{
	csr_write(CSR_PMPADDR0, -1);
	csr_write(CSR_PMPCFG0, 0x1f);
	csr_write(CSR_MEDELEG, 0);
	csr_write(CSR_MIDELEG, 0);
	csr_write(CSR_MIE, 0);
	csr_write(CSR_HIDELEG, 0);
	csr_write(CSR_HUEDELEG, 0);
	csr_write(CSR_HUSTATUS, 0);
	csr_write(CSR_VSSTATUS, 0);
	csr_write(CSR_HGATP, other.vmid << HGATP_VMID_SHIFT);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_HUDOORBELL, 0);
	load_world();
	csr_write(CSR_HDVCTL, other.hdvctl);
}

static void leave_world(void)
{
	set_en(false);
	other.hvip = csr_read(CSR_HVIP) & HUVIP_MASK;
	other.doorbell = csr_read(CSR_HUDOORBELL);
	csr_write(CSR_VSIE, 0);
	csr_write(CSR_HVIP, 0);
}

/* Set up in V=0 and wait, so that the other hart can post. */
static void show(void)
{
	join_world();
	set(&other.done, SHOW);
	wait_for(&other.job, REST);
	leave_world();
}

/* In HU: wait for the word at A1, then read what has been posted. */
static const u32 read_code[] = {
	LD(A0, A1, 0),
	BEQ(A0, X0, -4),
	CSRRS(A2, CSR_HUVIP, X0),
	CSRRS(A3, CSR_HUDOORBELL, X0),
};

static u64 posted __attribute__((aligned(4096)));

static void read_in_hu(void)
{
	join_world();
	regs()[A1] = at(IN_HU, &posted);
	put_code(read_code, ARRAY_SIZE(read_code));
	set(&other.done, READ);
	const struct outcome *o = run_at(IN_HU, code_addr(IN_HU, 0));

	memcpy(&other.outcome, o, sizeof(*o));
	leave_world();
}

static const u32 spin_code[] = {
	ADDI(S0, S0, 1),
	INSN_B(0, X0, X0, -4),
};

static const u32 wait_code[] = {
	WFI,
	INSN_B(0, X0, X0, -4),
};

/* A guest that spins, to be interrupted by what comes. */
static void guest_spin(void)
{
	const struct outcome *o;

	join_world();
	csr_write(CSR_HUVSIE, 0x222);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	put_code(other.waits ? wait_code : spin_code, ARRAY_SIZE(spin_code));
	/* Hart 0 knows by memory that the guest runs: it stores there. */
	set(&other.done, GUEST_SPIN);
	o = run_at(IN_DVS, code_addr(IN_DVS, 0));
	memcpy(&other.outcome, o, sizeof(*o));
	leave_world();
}

/* EN on and off as fast as it goes; a post with rd = 1 must be found afterwards. */
static u64 toggles, found, stop;

static void toggle(void)
{
	join_world();
	set_en(false);
	set(&other.done, TOGGLE);
	while (!get(&stop)) {
		csr_write(CSR_HVIP, 0);
		csr_write(CSR_HUDOORBELL, 0);
		csr_write(CSR_HDVCTL, other.hdvctl);
		/* Long enough to be found there sometimes. */
		for (u64 end = csr_read(CSR_TIME) + get(&toggles) % 300; csr_read(CSR_TIME) < end;)
			;
		csr_write(CSR_HDVCTL, other.hdvctl & ~(u64)HDVCTL_EN);
		u64 bits = (csr_read(CSR_HVIP) & HUVIP_MASK) | csr_read(CSR_HUDOORBELL);

		if (bits)
			__atomic_fetch_add(&found, 1, __ATOMIC_RELEASE);
		__atomic_fetch_add(&toggles, 1, __ATOMIC_RELEASE);
	}
	leave_world();
}

static u64 storms[MAX_HARTS];
#define STORM 3000

/* Post to the other vCPU, HU-mode loop: A3 counts. */
static const u32 storm_code[] = {
	HUPOST(A0, A1, A2),
	ADDI(A3, A3, -1),
	BNE(A3, X0, -8),
};

static void post_back(void)
{
	join_world();
	regs()[A1] = OWN_INDEX;
	regs()[A2] = HUPOST_MASK;
	regs()[A3] = STORM;
	set(&other.done, POST_BACK);
	const struct outcome *o = RUN(IN_HU, storm_code[0], storm_code[1], storm_code[2]);

	storms[hart_id()] = o->done && o->x[A3] == 0;
	set(&other.count, 1);
	wait_for(&other.job, REST);
	leave_world();
}

/*
 * A guest whose handler (HU, at hutvec) goes back in after each doorbell: later than before if the doorbell came when
 * the guest had run, else earlier, so that most of them come while the guest is being entered.
 */
static const u32 bell_handler[] = {
	BNE(S0, X0, 16),  /* it has run */
	BEQ(A4, X0, 16),  /* no earlier than at once */
	ADDI(A4, A4, -8), /* earlier */
	BEQ(X0, X0, 8),   /* ... */
	ADDI(A4, A4, 8),  /* later */
	ADDI(S0, X0, 0),  /* it has not run yet */
	LD(A1, S2, 8),    /* is this the last? */
	ADDI(S1, S1, 1),  /* count */
	SD(S1, S2, 0),    /* tell */
	BEQ(A1, X0, 8),   /* no */
	ECALL,            /* yes */
	ADDI(A0, A4, 1),  /* wait */
	ADDI(A0, A0, -1), /* ... */
	BNE(A0, X0, -4),  /* ... */
	HURET,
};
static u32 bell_code[ARRAY_SIZE(bell_handler)] __attribute__((aligned(4096)));
static struct {
	u64 heard;
	u64 last; /* the next one is */
} bells __attribute__((aligned(4096)));

static void guest_loop(void)
{
	join_world();
	memcpy(bell_code, bell_handler, sizeof(bell_handler));
	put_code(spin_code, ARRAY_SIZE(spin_code));
	csr_write(CSR_HUTVEC, at(IN_HU, bell_code));
	regs()[S0] = 0;
	regs()[S1] = 0;
	regs()[S2] = at(IN_HU, &bells);
	regs()[A4] = 0;
	set(&other.done, GUEST_LOOP);
	const struct outcome *o = huret_to(IN_DVS, code_addr(IN_DVS, 0));

	memcpy(&other.outcome, o, sizeof(*o));
	leave_world();
}

static void other_hart(void)
{
	csr_write(CSR_MSTATUS, 1ul << 13);
	csr_write(CSR_MENVCFG, ENVCFG_STCE);
	csr_write(CSR_STIMECMP, -1);
	csr_write(CSR_VSTIMECMP, -1);
	for (;;) {
		u64 job = get(&other.job);

		if (job == REST) {
			set(&other.done, REST);
			continue;
		}
		if (job == QUIT)
			return;
		if (job == SHOW)
			show();
		else if (job == READ)
			read_in_hu();
		else if (job == GUEST_SPIN)
			guest_spin();
		else if (job == GUEST_LOOP)
			guest_loop();
		else if (job == TOGGLE)
			toggle();
		else if (job == POST_BACK)
			post_back();
		wait_for(&other.job, REST);
	}
}

static bool begin(enum other_job job, u64 hdvctl, u64 vmid)
{
	other.hdvctl = hdvctl;
	other.vmid = vmid;
	other.count = 0;
	set(&other.job, job);
	return CHECK(wait_for(&other.done, job));
}

static bool end(void)
{
	set(&other.job, REST);
	return CHECK(wait_for(&other.done, REST));
}

/* ---- this hart ---- */

static u64 hdvctl(u64 index, bool en)
{
	return index << HDVCTL_INDEX_SHIFT | en;
}

static void own_world(void)
{
	usual_world();
	csr_write(CSR_HGATP, VMID << HGATP_VMID_SHIFT);
	csr_write(CSR_HDVCTL, hdvctl(OWN_INDEX, true));
}

static u64 post(u64 index, u64 bits)
{
	regs()[A0] = 0x1234;
	regs()[A1] = index;
	regs()[A2] = bits;
	CHECK_DONE(RUN(IN_HU, HUPOST(A0, A1, A2)));
	return regs()[A0];
}

static const u64 all_bits[] = {0,     1,    4,     0x400, 0x405,    0x404,     0x401,
			       0x005, 0x40, 0x444, ~0ul,  ~0x405ul, 0xfffffbfa};

static void to_self(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_bits); i++) {
		u64 bits = all_bits[i];

		test("[POST-1] bits %lx to oneself", bits);
		own_world();
		csr_write(CSR_HVIP, 0);
		CHECK_EQ(post(OWN_INDEX, bits), 1);
		CHECK_EQ(csr_read(CSR_HUVIP), bits & 0x404);
		CHECK_EQ(csr_read(CSR_HUDOORBELL), bits & 1);
		/* They add to what is there. */
		CHECK_EQ(post(OWN_INDEX, HUVIP_VSSIP), 1);
		CHECK_EQ(csr_read(CSR_HUVIP), (bits & 0x404) | HUVIP_VSSIP);
		CHECK_EQ(csr_read(CSR_HUDOORBELL), bits & 1);
	}
	test("[POST-1] the post to oneself arrives with huret");
	own_world();
	csr_write(CSR_HUVSIE, 2);
	csr_write(CSR_HUVSSTATUS, MSTATUS_SIE);
	put_code((const u32[]){HUPOST(A0, A1, A2), HURET, NOP}, 3);
	csr_write(CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP);
	csr_write(CSR_HUEPC, code_addr(IN_DVS, 2));
	regs()[A1] = OWN_INDEX;
	regs()[A2] = HUVIP_VSSIP;
	CHECK_TRAP(run_at(IN_HU, code_addr(IN_HU, 0)), AT_VS, CAUSE_INTERRUPT | IRQ_SSI,
		   code_addr(IN_DVS, 2), 0);
	CHECK_EQ(regs()[A0], 1);
}

static const u64 wrong[] = {0,
			    1,
			    2,
			    4,
			    6,
			    0xfffe,
			    0xffff,
			    0x10000,
			    0x10005,
			    0x50005,
			    0x100000005,
			    1ul << 63,
			    (1ul << 63) | 5,
			    ~0ul,
			    ~0ul - 0xffff + 5};

static void check_untouched(void)
{
	CHECK_EQ(csr_read(CSR_HUVIP), 0);
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 0);
}

static void nobody_there(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		test("[POST-1] [POST-2] index %lx: nobody", wrong[i]);
		own_world();
		csr_write(CSR_HVIP, 0);
		if (!begin(SHOW, hdvctl(OTHER_INDEX, true), VMID))
			return;
		CHECK_EQ(post(wrong[i], ~0ul), 0);
		check_untouched();
		end();
		CHECK_EQ(other.hvip | other.doorbell, 0);
	}
	test("[POST-2] index 0xFFFF is nobody even where hdvctl holds it");
	own_world();
	csr_write(CSR_HDVCTL, hdvctl(HDVCTL_INDEX_NONE, true));
	begin(SHOW, hdvctl(HDVCTL_INDEX_NONE, true), VMID);
	CHECK_EQ(post(0xffff, ~0ul), 0);
	check_untouched();
	CHECK_EQ(post(~0ul, ~0ul), 0);
	CHECK_EQ(post(0x1ffff, ~0ul), 0);
	end();
	CHECK_EQ(other.hvip | other.doorbell, 0);

	test("[POST-1] a thread without an index can post");
	own_world();
	csr_write(CSR_HDVCTL, hdvctl(HDVCTL_INDEX_NONE, true));
	begin(SHOW, hdvctl(OTHER_INDEX, true), VMID);
	CHECK_EQ(post(OTHER_INDEX, HUVIP_VSEIP), 1);
	end();
	CHECK_EQ(other.hvip, HUVIP_VSEIP);

	test("[POST-1] 0xFFFE is an index like others");
	own_world();
	begin(SHOW, hdvctl(0xfffe, true), VMID);
	CHECK_EQ(post(0xfffe, HUVIP_VSSIP), 1);
	end();
	CHECK_EQ(other.hvip, HUVIP_VSSIP);
}

static void isolation(void)
{
	static const struct {
		const char *what;
		u64 index;
		bool en;
		u64 vmid;
		bool reached;
	} targets[] = {
		{"the same VMID and index, EN=1", OTHER_INDEX, true, VMID, true},
		{"another VMID", OTHER_INDEX, true, VMID + 1, false},
		{"VMID 0", OTHER_INDEX, true, 0, false},
		{"a VMID that differs in its top bit", OTHER_INDEX, true, VMID | 0x2000, false},
		{"another index", OTHER_INDEX + 1, true, VMID, false},
		{"EN=0", OTHER_INDEX, false, VMID, false},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
		for (unsigned int bit = 0; bit < 3; bit++) {
			static const u64 bits[] = {1, 4, 0x400};

			test("[POST-1] bit %lx to a hart with %s", bits[bit], targets[i].what);
			own_world();
			csr_write(CSR_HVIP, 0);
			begin(SHOW, hdvctl(targets[i].index, targets[i].en), targets[i].vmid);
			CHECK_EQ(post(OTHER_INDEX, bits[bit]), targets[i].reached);
			check_untouched();
			end();
			CHECK_EQ(other.hvip, targets[i].reached ? bits[bit] & 0x404 : 0);
			CHECK_EQ(other.doorbell, targets[i].reached ? bits[bit] & 1 : 0);
		}
	}
	test("[POST-1] MODE and root of hgatp do not matter");
	own_world();
	csr_write(CSR_HGATP, 8ul << 60 | VMID << HGATP_VMID_SHIFT | (u64)alloc_pages(4) >> 12);
	csr_write(CSR_HDVCTL, hdvctl(OWN_INDEX, true));
	begin(SHOW, hdvctl(OTHER_INDEX, true), VMID);
	CHECK_EQ(post(OTHER_INDEX, HUVIP_VSSIP), 1);
	end();
	CHECK_EQ(other.hvip, HUVIP_VSSIP);
}

/* [POST-3]: a guest that runs gets it in bounded time. */
static void running_guest(void)
{
	static const struct {
		u64 bits;
		enum where where;
		u64 cause;
	} posts[] = {
		{HUVIP_VSSIP, AT_VS, CAUSE_INTERRUPT | IRQ_SSI},
		{HUVIP_VSEIP, AT_VS, CAUSE_INTERRUPT | IRQ_SEI},
		{HUPOST_DOORBELL, AT_HU, DV_CAUSE_DOORBELL},
	};

	for (unsigned int i = 0; i < 30; i++) {
		unsigned int n = i % ARRAY_SIZE(posts);

		other.waits = i & 1;
		test("[POST-3] bit %lx reaches a guest %s, round %u", posts[n].bits,
		     other.waits ? "in wfi" : "that runs", i / 3);
		own_world();
		begin(GUEST_SPIN, hdvctl(OTHER_INDEX, true), VMID);
		/* Into the guest, or right before it: both must do. */
		spend(i * 30);
		CHECK_EQ(post(OTHER_INDEX, posts[n].bits), 1);
		end();
		CHECK_EQ(other.outcome.where, posts[n].where);
		CHECK_EQ(other.outcome.cause, posts[n].cause);
		CHECK_EQ(other.doorbell, 0);
		CHECK_EQ(other.hvip, posts[n].bits & 0x404);
	}
}

/* [POST-3]: who learns from memory that a post is complete finds it in huvip. */
static void reader_in_hu(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(all_bits); i++) {
		u64 bits = all_bits[i];

		test("[POST-3] HU reads what was posted: %lx", bits);
		own_world();
		set(&posted, 0);
		begin(READ, hdvctl(OTHER_INDEX, true), VMID);
		/* Let it be in its loop, sometimes. */
		spend(i * 50);
		CHECK_EQ(post(OTHER_INDEX, bits), 1);
		set(&posted, 1);
		end();
		CHECK(other.outcome.done);
		CHECK_EQ(other.outcome.x[A2], bits & 0x404);
		CHECK_EQ(other.outcome.x[A3], bits & 1);
	}
}

/* One doorbell after the other, each seen exactly once: all of them, or on a busy machine as many as it has time for. */
#define BELLS 40000
#define BELLS_AT_LEAST 2000
#define BELLS_TICKS 20000000

static void doorbells(void)
{
	u64 rung = 0, end_time = csr_read(CSR_TIME) + BELLS_TICKS;

	test("[POST-3] [HOST-5] doorbells in a row, none lost, none twice");
	own_world();
	set(&bells.heard, 0);
	set(&bells.last, 0);
	begin(GUEST_LOOP, hdvctl(OTHER_INDEX, true), VMID);
	while (!get(&bells.last)) {
		set(&bells.last,
		    rung == BELLS - 1 ||
			    (rung >= BELLS_AT_LEAST - 1 && csr_read(CSR_TIME) > end_time));
		if (post(OTHER_INDEX, HUPOST_DOORBELL) != 1)
			break;
		rung++;
		if (!CHECK(wait_for(&bells.heard, rung)))
			break;
	}
	end();
	CHECK(rung >= BELLS_AT_LEAST);
	CHECK_EQ(bells.heard, rung);
	print("# %lu doorbells\n", rung);
	CHECK_EQ(other.outcome.mcause, EXC_ECALL_U);
	CHECK_EQ(other.outcome.hucause, DV_CAUSE_DOORBELL);
}

/* [POST-4]: posts against a target whose EN goes up and down. */
#define RACES 500

static void residency(void)
{
	static const u64 bits[] = {HUPOST_DOORBELL, HUVIP_VSSIP, HUVIP_VSEIP};

	for (unsigned int b = 0; b < ARRAY_SIZE(bits); b++) {
		u64 hits = 0, misses = 0;

		test("[POST-4] a post of %lx with rd = 1 is found after EN is cleared", bits[b]);
		own_world();
		set(&stop, 0);
		set(&toggles, 0);
		set(&found, 0);
		if (!begin(TOGGLE, hdvctl(OTHER_INDEX, true), VMID))
			return;
		for (unsigned int i = 0; i < RACES; i++) {
			u64 before = get(&found), round;

			if (!post(OTHER_INDEX, bits[b])) {
				misses++;
				continue;
			}
			hits++;
			/* Two rounds later the one that it fell into is over. */
			round = get(&toggles);
			while (get(&toggles) < round + 2)
				;
			if (!CHECK_EQ(get(&found) - before, 1))
				break;
		}
		set(&stop, 1);
		end();
		CHECK(hits > 0);
		CHECK(misses > 0);
		print("# %lu posts arrived, %lu found nobody\n", hits, misses);
	}
}

/* Both harts post to each other and to nobody else, at full speed. */
static void storm(void)
{
	test("[POST-1] two harts that post to each other %u times", STORM);
	own_world();
	begin(POST_BACK, hdvctl(OTHER_INDEX, true), VMID);
	regs()[A1] = OTHER_INDEX;
	regs()[A2] = HUPOST_MASK;
	regs()[A3] = STORM;
	const struct outcome *o = RUN(IN_HU, storm_code[0], storm_code[1], storm_code[2]);

	CHECK_DONE(o);
	CHECK_EQ(o->x[A0], 1);
	CHECK_EQ(o->x[A3], 0);
	CHECK(wait_for(&other.count, 1));
	end();
	CHECK_EQ(storms[1], 1);
	CHECK_EQ(other.hvip, HUPOST_MASK & HUVIP_MASK);
	CHECK_EQ(other.doorbell, 1);
	CHECK_EQ(csr_read(CSR_HUVIP), HUPOST_MASK & HUVIP_MASK);
	CHECK_EQ(csr_read(CSR_HUDOORBELL), 1);
}

void test_main(void)
{
	start_hart(1, other_hart);
	to_self();
	nobody_there();
	isolation();
	running_guest();
	reader_in_hu();
	doorbells();
	residency();
	storm();
}
