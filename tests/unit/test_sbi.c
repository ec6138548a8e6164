/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SBI as a guest sees it: numbers and error rules are those of the specification's tables. */
#include "fake_vm.h"

#define EPC (MEMORY_BASE + 0x100)

#define EID_BASE 0x10
#define EID_TIME 0x54494d45
#define EID_IPI 0x735049
#define EID_RFENCE 0x52464e43
#define EID_HSM 0x48534d
#define EID_SRST 0x53525354
#define EID_DBCN 0x4442434e

#define NOT_SUPPORTED -2
#define INVALID_PARAM -3
#define INVALID_ADDRESS -5
#define ALREADY_AVAILABLE -6

static struct fake_vm f;
static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_setup(&f, 3);
	vcpu = fake_vm_boot(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_teardown(&f);
	return 0;
}

#define NO_VALUE 0xabcdef

/* ecall with up to five arguments; returns a0, with a1 in value. */
static int64_t value;

static int64_t ecall(uint64_t eid, uint64_t fid, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		     uint64_t a4)
{
	uint64_t before[32];

	for (unsigned int i = 1; i < 32; i++)
		vcpu->gpr[i] = 0x1000 + i;
	vcpu->gpr[10] = a0;
	vcpu->gpr[11] = a1;
	vcpu->gpr[12] = a2;
	vcpu->gpr[13] = a3;
	vcpu->gpr[14] = a4;
	vcpu->gpr[16] = fid;
	vcpu->gpr[17] = eid;
	memcpy(before, vcpu->gpr, sizeof(before));
	fake_run(vcpu, (struct vcpu_trap){.cause = 10, .epc = EPC, .status = HUSTATUS_SPVP});
	/* "All registers except a0 & a1 must be preserved" */
	for (unsigned int i = 0; i < 32; i++)
		if (i != 10 && i != 11)
			assert_int_equal(vcpu->gpr[i], before[i]);
	value = (int64_t)vcpu->gpr[11];
	return (int64_t)vcpu->gpr[10];
}

#define CALL0(eid, fid) ecall(eid, fid, 0, NO_VALUE, 0, 0, 0)
#define CALL1(eid, fid, a) ecall(eid, fid, a, NO_VALUE, 0, 0, 0)
#define CALL2(eid, fid, a, b) ecall(eid, fid, a, b, 0, 0, 0)
#define CALL3(eid, fid, a, b, c) ecall(eid, fid, a, b, c, 0, 0)

static void test_base(void **state)
{
	static const uint64_t present[] = {EID_BASE, EID_TIME, EID_IPI,  EID_RFENCE,
					   EID_HSM,  EID_SRST, EID_DBCN, 0x00,
					   0x01,     0x02,     0x03,     0x08};
	static const uint64_t absent[] = {0x04,
					  0x05,
					  0x06,
					  0x07,
					  0x09,
					  0x0f,
					  0x11,
					  0x504d55,
					  0x535441,
					  0x53555350,
					  -1ULL,
					  /* EIDs are 32 bits wide */ EID_TIME | 1ULL << 32};

	(void)state;
	assert_int_equal(CALL0(EID_BASE, 0), 0);
	assert_int_equal(value, 0x02000000);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	assert_int_equal(CALL0(EID_BASE, 1), 0);
	assert_true(value > 11);
	for (size_t i = 0; i < ARRAY_SIZE(present); i++) {
		assert_int_equal(CALL1(EID_BASE, 3, present[i]), 0);
		assert_int_not_equal(value, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_int_equal(CALL1(EID_BASE, 3, absent[i]), 0);
		assert_int_equal(value, 0);
	}
	for (unsigned int fid = 4; fid <= 6; fid++) {
		assert_int_equal(CALL0(EID_BASE, fid), 0);
		assert_int_equal(value, 0);
	}
}

static void test_unknown(void **state)
{
	static const struct {
		uint64_t eid;
		uint64_t fid;
	} rows[] = {
		{EID_BASE, 7},   {EID_TIME, 1},   {EID_IPI, 1}, {EID_RFENCE, 3},
		{EID_RFENCE, 6}, {EID_RFENCE, 7}, {EID_HSM, 4}, {EID_SRST, 1},
		{EID_DBCN, 3},   {0x504d55, 0},   {-1ULL, 0},   {EID_BASE, 1ULL << 32},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(CALL0(rows[i].eid, rows[i].fid), NOT_SUPPORTED);
		assert_int_equal(hart_read_huepc(), EPC + 4);
	}
	assert_int_equal(f.vm.stop, VM_STOP_NONE);
}

/* The fast path takes what it may, with the same answers, and leaves the rest untouched. */
static void test_fast_path(void **state)
{
	static const struct {
		uint64_t eid;
		bool fast;
	} rows[] = {
		{EID_BASE, true},   {EID_TIME, true}, {EID_IPI, true},
		{EID_RFENCE, true}, {EID_HSM, false}, {EID_SRST, false},
		{EID_DBCN, false},  {0x00, false},    {0x504d55, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint64_t fid = 0; fid < 8; fid++) {
			uint64_t gpr[32];

			vcpu->gpr[REG_A7] = rows[i].eid;
			vcpu->gpr[REG_A6] = fid;
			vcpu->gpr[REG_A0] = 1;
			vcpu->gpr[REG_A1] = 0;
			memcpy(gpr, vcpu->gpr, sizeof(gpr));
			hart_write_huepc(EPC);
			assert_int_equal(vcpu_exit_fast(vcpu), rows[i].fast);
			assert_int_equal(hart_read_huepc(), rows[i].fast ? EPC + 4 : EPC);
			if (rows[i].fast) {
				gpr[REG_A0] = vcpu->gpr[REG_A0];
				gpr[REG_A1] = vcpu->gpr[REG_A1];
				assert_int_equal(ecall(rows[i].eid, fid, 1, 0, 0, 0, 0),
						 gpr[REG_A0]);
				assert_int_equal(value, gpr[REG_A1]);
			} else {
				assert_memory_equal(gpr, vcpu->gpr, sizeof(gpr));
			}
		}
	}
	assert_int_equal(f.vm.stop, VM_STOP_NONE);
}

static void test_time(void **state)
{
	(void)state;
	assert_int_equal(CALL1(EID_TIME, 0, 0x123456789a), 0);
	assert_int_equal(hart_read_huvstimecmp(), 0x123456789a);
	assert_int_equal(CALL1(0x00, 99, 77), 0);
	assert_int_equal(hart_read_huvstimecmp(), 77);
	assert_int_equal(value, NO_VALUE); /* legacy calls leave a1 alone */
}

static void test_hart_masks(void **state)
{
	(void)state;
	hart_fake_resident[0] = hart_fake_resident[1] = hart_fake_resident[2] = 1;
	assert_int_equal(CALL2(EID_IPI, 0, 5, 0), 0);
	assert_int_equal(hart_fake_posted[0], HUVIP_VSSIP);
	assert_int_equal(hart_fake_posted[1], 0);
	assert_int_equal(hart_fake_posted[2], HUVIP_VSSIP);
	assert_int_equal(CALL2(EID_IPI, 0, 1, 1), 0);
	assert_int_equal(hart_fake_posted[1], HUVIP_VSSIP);
	hart_fake_posted[0] = hart_fake_posted[1] = hart_fake_posted[2] = 0;
	/* One hart that is not there: nobody gets anything. */
	assert_int_equal(CALL2(EID_IPI, 0, 9, 0), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 1, 3), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 4, -2ULL), INVALID_PARAM); /* -2 + 2 = 0 */
	assert_int_equal(hart_fake_posted[0] | hart_fake_posted[1] | hart_fake_posted[2], 0);
	/* An empty mask is not an error; base -1 is everybody, whatever the mask. */
	assert_int_equal(CALL2(EID_IPI, 0, 0, 1000), 0);
	assert_int_equal(CALL2(EID_IPI, 0, 0, -1ULL), 0);
	assert_int_equal(hart_fake_posted[0] & hart_fake_posted[1] & hart_fake_posted[2],
			 HUVIP_VSSIP);
}

/* Three vCPUs with these ids; the caller is the first. */
static void rename_harts(unsigned int a, unsigned int b, unsigned int c)
{
	f.config.hart_ids =
		(struct hart_ids){.count = 3, .id = {(uint16_t)a, (uint16_t)b, (uint16_t)c}};
	hart_ids_tabulate(&f.config.hart_ids, 3, f.vm.hart);
}

static unsigned int posted(void)
{
	unsigned int who = 0;

	for (unsigned int i = 0; i < 3; i++) {
		who |= (hart_fake_posted[i] == HUVIP_VSSIP) << i;
		hart_fake_posted[i] = 0;
	}
	return who;
}

static void test_hart_ids_with_gaps(void **state)
{
	(void)state;
	rename_harts(5, 1023, 7);
	hart_fake_resident[0] = hart_fake_resident[1] = hart_fake_resident[2] = 1;
	assert_int_equal(CALL2(EID_IPI, 0, 5, 5), 0);
	assert_int_equal(posted(), 5);
	assert_int_equal(CALL2(EID_IPI, 0, 1, 1023), 0);
	assert_int_equal(posted(), 2);
	assert_int_equal(CALL2(EID_IPI, 0, 1ULL << 63, 960), 0);
	assert_int_equal(posted(), 2);
	assert_int_equal(CALL2(EID_IPI, 0, 1, -1ULL), 0);
	assert_int_equal(posted(), 7);
	/* A gap between, before and behind them; the numbers that vCPUs have elsewhere. */
	assert_int_equal(CALL2(EID_IPI, 0, 7, 5), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 1, 0), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 3, 1023), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 1, 1024), INVALID_PARAM);
	assert_int_equal(CALL2(EID_IPI, 0, 1 << 6, -1ULL - 1), INVALID_PARAM);
	assert_int_equal(posted(), 0);
	assert_int_equal(CALL1(EID_HSM, 2, 1), INVALID_PARAM);
	assert_int_equal(CALL1(EID_HSM, 2, 1024), INVALID_PARAM);
	assert_int_equal(CALL1(EID_HSM, 2, 7), 0);
	assert_int_equal(value, VCPU_HSM_STOPPED);
	assert_int_equal(ecall(EID_HSM, 0, 7, MEMORY_BASE, 0, 0, 0), 0);
	assert_int_equal(f.vm.vcpu[2]->request & VCPU_REQ_START, VCPU_REQ_START);
}

static void test_ipi_to_absent_vcpu(void **state)
{
	(void)state;
	/* Nobody is resident: the request must be left for them. */
	assert_int_equal(CALL2(EID_IPI, 0, 3, 0), 0);
	assert_int_equal(f.vm.vcpu[1]->request & VCPU_REQ_SOFT_IRQ, VCPU_REQ_SOFT_IRQ);
	assert_true(vcpu_prepare(vcpu));
	assert_int_equal(hart_read_huvip() & HUVIP_VSSIP, HUVIP_VSSIP);
	assert_int_equal(CALL0(0x03, 0), 1);
	assert_int_equal(hart_read_huvip() & HUVIP_VSSIP, 0);
	assert_int_equal(CALL0(0x03, 0), 0);
}

static void fences(uint64_t fid, uint64_t start, uint64_t size, unsigned int all,
		   unsigned int pages, unsigned int asids)
{
	struct hart_fake *hart = hart_fake();

	hart->fences = hart->fence_pages = hart->fence_asids = hart->fence_insns = 0;
	assert_int_equal(ecall(EID_RFENCE, fid, 1, 0, start, size, 5), 0);
	assert_int_equal(hart->fences, all);
	assert_int_equal(hart->fence_pages, pages);
	assert_int_equal(hart->fence_asids, asids);
	assert_int_equal(hart->fence_insns, fid == 0);
}

static void test_rfence_local(void **state)
{
	(void)state;
	fences(0, 0, 0, 1, 0, 0);
	fences(1, 0, 0, 1, 0, 0);
	fences(1, 0x5000, -1ULL, 1, 0, 0);
	fences(1, 0x5000, 0x2000, 2, 2, 0);
	fences(1, 0x5fff, 2, 2, 2, 0); /* over a page border */
	fences(1, 0x5000, 0x100000, 1, 0, 0);
	/* The last page; over the end of the address space; more than there is. */
	fences(1, -0x1000ULL, 0x1000, 1, 1, 0);
	fences(1, -1ULL, 2, 2, 2, 0);
	fences(1, -1ULL, -2ULL, 1, 0, 0);
	fences(2, -0x1000ULL, 64 * 0x1000, 64, 64, 64);
	fences(2, 0, 0, 1, 0, 1);
	fences(2, 0x5000, 0x1000, 1, 1, 1);
	assert_int_equal(ecall(EID_RFENCE, 1, 8, 0, 0, 0, 0), INVALID_PARAM);
}

static void test_rfence_remote(void **state)
{
	(void)state;
	/* Asleep or not resident: it must fence before it runs, and we need not wait. */
	assert_int_equal(ecall(EID_RFENCE, 1, 6, 0, 0, 0, 0), 0);
	assert_int_equal(f.vm.vcpu[1]->request & VCPU_REQ_FENCE, VCPU_REQ_FENCE);
	f.vm.vcpu[2]->sleeping = 1;
	hart_fake_resident[2] = 1;
	assert_int_equal(ecall(EID_RFENCE, 0, 4, 0, 0, 0, 0), 0);
	assert_int_equal(f.vm.vcpu[2]->request & VCPU_REQ_FENCE, VCPU_REQ_FENCE);
}

static void test_hsm(void **state)
{
	struct vcpu *other = f.vm.vcpu[1];

	(void)state;
	assert_int_equal(CALL1(EID_HSM, 2, 0), 0);
	assert_int_equal(value, VCPU_HSM_STARTED);
	assert_int_equal(CALL1(EID_HSM, 2, 1), 0);
	assert_int_equal(value, VCPU_HSM_STOPPED);
	assert_int_equal(CALL1(EID_HSM, 2, 3), INVALID_PARAM);
	assert_int_equal(CALL3(EID_HSM, 0, 3, MEMORY_BASE, 0), INVALID_PARAM);
	assert_int_equal(CALL3(EID_HSM, 0, 0, MEMORY_BASE, 0), ALREADY_AVAILABLE);
	assert_int_equal(CALL3(EID_HSM, 0, 1, 0x1000, 0), INVALID_ADDRESS);
	assert_int_equal(CALL3(EID_HSM, 0, 1, MEMORY_BASE + FAKE_RAM, 0), INVALID_ADDRESS);
	assert_int_equal(CALL3(EID_HSM, 0, 1, MEMORY_BASE + 0x200, 0x99), 0);
	assert_int_equal(CALL3(EID_HSM, 0, 1, MEMORY_BASE + 0x200, 0x99), ALREADY_AVAILABLE);
	assert_int_equal(CALL1(EID_HSM, 2, 1), 0);
	assert_int_equal(value, VCPU_HSM_START_PENDING);

	/* Now this thread plays hart 1. */
	hart_write_huvsatp(123);
	hart_write_huvsstatus(2);
	assert_true(vcpu_prepare(other));
	assert_int_equal(other->hsm, VCPU_HSM_STARTED);
	assert_int_equal(hart_read_huepc(), MEMORY_BASE + 0x200);
	assert_int_equal(other->gpr[REG_A0], 1);
	assert_int_equal(other->gpr[REG_A1], 0x99);
	assert_int_equal(hart_read_huvsatp(), 0);
	assert_int_equal(hart_read_huvsstatus() & 2, 0);
}

static void test_hsm_suspend(void **state)
{
	(void)state;
	hart_write_huvsie(1 << 1);
	hart_set_huvip(HUVIP_VSSIP); /* or it would sleep */
	assert_int_equal(CALL3(EID_HSM, 3, 0, 0, 0), 0);
	assert_int_equal(hart_read_huepc(), EPC + 4);
	/* A request that is no interrupt only makes the call come again. */
	hart_clear_huvip(HUVIP_VSSIP);
	atomic_store(&vcpu->request, VCPU_REQ_FENCE);
	vcpu->gpr[REG_A7] = EID_HSM;
	vcpu->gpr[REG_A6] = 3;
	vcpu->gpr[REG_A0] = 0;
	fake_run(vcpu, (struct vcpu_trap){.cause = 10, .epc = EPC, .status = HUSTATUS_SPVP});
	assert_int_equal(hart_read_huepc(), EPC);
	assert_int_equal(vcpu->gpr[REG_A0], 0);
	assert_int_equal(vcpu->hsm, VCPU_HSM_STARTED);
	assert_true(vcpu_prepare(vcpu));
	hart_set_huvip(HUVIP_VSSIP);
	/* suspend_type is 32 bits wide */
	assert_int_equal(CALL3(EID_HSM, 3, 1ULL << 32, 0, 0), 0);
	assert_int_equal(CALL3(EID_HSM, 3, 1, 0, 0), INVALID_PARAM);
	assert_int_equal(CALL3(EID_HSM, 3, 0x10000000, 0, 0), INVALID_PARAM);
	assert_int_equal(CALL3(EID_HSM, 3, 0x90000000, MEMORY_BASE, 0), INVALID_PARAM);
	assert_int_equal(CALL3(EID_HSM, 3, 0x80000000, 0x10, 0), INVALID_ADDRESS);

	hart_write_huvstimecmp(4711);
	vcpu->gpr[REG_A7] = EID_HSM;
	vcpu->gpr[REG_A6] = 3;
	vcpu->gpr[REG_A0] = 0x80000000;
	vcpu->gpr[REG_A1] = MEMORY_BASE + 0x400;
	vcpu->gpr[REG_A2] = 0x55;
	fake_run(vcpu, (struct vcpu_trap){.cause = 10, .epc = EPC, .status = HUSTATUS_SPVP});
	assert_int_equal(hart_read_huepc(), MEMORY_BASE + 0x400);
	assert_int_equal(vcpu->gpr[REG_A0], 0);
	assert_int_equal(vcpu->gpr[REG_A1], 0x55);
	/* What woke it is still pending; the timer goes on. */
	assert_int_equal(hart_read_huvip(), HUVIP_VSSIP);
	assert_int_equal(hart_read_huvstimecmp(), 4711);
	assert_int_equal(vcpu->hsm, VCPU_HSM_STARTED);
}

static void stop_with(uint64_t type, uint64_t reason, enum vm_stop want)
{
	f.vm.phase = VM_RUNNING;
	f.vm.stop = VM_STOP_NONE;
	(void)CALL2(EID_SRST, 0, type, reason);
	assert_int_equal(f.vm.stop, want);
}

static void test_srst(void **state)
{
	static const uint64_t bad[][2] = {
		{3, 0}, {0xefffffff, 0}, {0xf0000000, 0}, {0, 2}, {1, 0xe0000000}, {2, 0xffffffff},
	};

	(void)state;
	stop_with(0, 0, VM_STOP_POWER_OFF);
	stop_with(0, 1, VM_STOP_GUEST_FAILURE);
	stop_with(1, 0, VM_STOP_REBOOT_COLD);
	stop_with(2, 0, VM_STOP_REBOOT_WARM);
	stop_with(1ULL << 32, 1ULL << 32, VM_STOP_POWER_OFF); /* 32-bit parameters */
	/* The first reason counts. */
	f.vm.phase = VM_PARKED;
	(void)CALL2(EID_SRST, 0, 1, 0);
	assert_int_equal(f.vm.stop, VM_STOP_POWER_OFF);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f.vm.phase = VM_RUNNING;
		f.vm.stop = VM_STOP_NONE;
		assert_int_equal(CALL2(EID_SRST, 0, bad[i][0], bad[i][1]), INVALID_PARAM);
		assert_int_equal(f.vm.stop, VM_STOP_NONE);
	}
	(void)CALL0(0x08, 0);
	assert_int_equal(f.vm.stop, VM_STOP_POWER_OFF);
}

static void test_dbcn(void **state)
{
	char *ram = (char *)f.vm.mem.hva;
	char buf[16];

	(void)state;
	strcpy(ram, "hello");
	assert_int_equal(CALL3(EID_DBCN, 0, 5, MEMORY_BASE, 0), 0);
	assert_int_equal(value, 5);
	assert_int_equal(CALL1(EID_DBCN, 2, 0x121), 0); /* one byte: '!' */
	assert_int_equal(value, 0);
	assert_int_equal(console_fetch(f.vm.console, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "hello!", 6);

	assert_int_equal(CALL3(EID_DBCN, 1, 16, MEMORY_BASE + 64, 0), 0);
	assert_int_equal(value, 0);
	console_feed(f.vm.console, "input", 5);
	assert_int_equal(CALL3(EID_DBCN, 1, 3, MEMORY_BASE + 64, 0), 0);
	assert_int_equal(value, 3);
	assert_memory_equal(ram + 64, "inp\0", 4);

	/* Every way to name what is not RAM. */
	for (unsigned int fid = 0; fid < 2; fid++) {
		assert_int_equal(CALL3(EID_DBCN, fid, 5, 0, 0), INVALID_PARAM);
		assert_int_equal(CALL3(EID_DBCN, fid, 5, MEMORY_BASE, 1), INVALID_PARAM);
		assert_int_equal(CALL3(EID_DBCN, fid, 2, MEMORY_BASE + FAKE_RAM - 1, 0),
				 INVALID_PARAM);
		assert_int_equal(CALL3(EID_DBCN, fid, -1ULL, MEMORY_BASE, 0), INVALID_PARAM);
		assert_int_equal(CALL3(EID_DBCN, fid, -MEMORY_BASE, MEMORY_BASE, 0), INVALID_PARAM);
	}
}

static void test_full_console(void **state)
{
	char byte;

	(void)state;
	/* All of RAM in one call: a partial write, no more than the ring. */
	assert_int_equal(CALL3(EID_DBCN, 0, FAKE_RAM, MEMORY_BASE, 0), 0);
	assert_true(value > 0 && (uint64_t)value < FAKE_RAM);
	assert_int_equal(CALL3(EID_DBCN, 0, 5, MEMORY_BASE, 0), 0);
	assert_int_equal(value, 0);
	/* The blocking calls are repeated, nothing changed, until there is space. */
	assert_int_equal(CALL1(EID_DBCN, 2, 'x'), 'x');
	assert_int_equal(hart_read_huepc(), EPC);
	assert_int_equal(CALL1(0x01, 0, 'x'), 'x');
	assert_int_equal(hart_read_huepc(), EPC);
	assert_int_equal(console_fetch(f.vm.console, &byte, 1), 1);
	assert_int_equal(CALL1(0x01, 0, 'x'), 0);
	assert_int_equal(hart_read_huepc(), EPC + 4);
}

static void test_legacy_console(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(CALL1(0x01, 0, 'y'), 0);
	assert_int_equal(console_fetch(f.vm.console, &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(CALL0(0x02, 0), -1);
	console_feed(f.vm.console, "\xff", 1);
	assert_int_equal(CALL0(0x02, 0), 0xff);
	assert_int_equal(value, NO_VALUE);
	assert_int_equal(CALL0(0x04, 0), NOT_SUPPORTED);
}

int main(void)
{
#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_base),
		ROW(test_unknown),
		ROW(test_fast_path),
		ROW(test_hart_ids_with_gaps),
		ROW(test_time),
		ROW(test_hart_masks),
		ROW(test_ipi_to_absent_vcpu),
		ROW(test_rfence_local),
		ROW(test_rfence_remote),
		ROW(test_hsm),
		ROW(test_hsm_suspend),
		ROW(test_srst),
		ROW(test_dbcn),
		ROW(test_full_console),
		ROW(test_legacy_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
