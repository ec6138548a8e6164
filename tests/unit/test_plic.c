/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PLIC against its specification, by the section that says it. */
#include "fake_board.h"

#include "dev/board.h"

#define PRIORITY(irq) (BOARD_PLIC_BASE + 4ULL * (irq))
#define PENDING(irq) (BOARD_PLIC_BASE + 0x1000 + (irq) / 32 * 4ULL)
#define ENABLE(ctx, irq) (BOARD_PLIC_BASE + 0x2000 + 0x80ULL * (ctx) + (irq) / 32 * 4ULL)
#define THRESHOLD(ctx) (BOARD_PLIC_BASE + 0x200000 + 0x1000ULL * (ctx))
#define CLAIM(ctx) (THRESHOLD(ctx) + 4)

/* The S-mode context of a hart. */
#define S(hart) (2 * (hart) + 1)

#define CPUS 3

static int setup(void **state)
{
	(void)state;
	board_setup(CPUS);
	return plic_create(&board.vm);
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static void enable(unsigned int hart, unsigned int irq, unsigned int priority)
{
	guest_write(PRIORITY(irq), 4, priority);
	guest_write(ENABLE(S(hart), irq), 4, guest_read(ENABLE(S(hart), irq), 4) | 1U << irq % 32);
}

static void line(unsigned int irq, bool level)
{
	board_set_line(irq, level);
}

static bool is_pending(unsigned int irq)
{
	return guest_read(PENDING(irq), 4) >> irq % 32 & 1;
}

static void test_claim_and_complete(void **state)
{
	(void)state;
	enable(0, 10, 1);
	line(10, true);
	assert_true(board.ext_irq[0]);
	assert_true(is_pending(10));
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 10);
	/* Claimed: no longer pending, and the line still high changes nothing. */
	assert_false(board.ext_irq[0]);
	assert_false(is_pending(10));
	line(10, true);
	assert_false(board.ext_irq[0]);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 0);
	/* Completed with the line still high: again. */
	guest_write(CLAIM(S(0)), 4, 10);
	assert_true(board.ext_irq[0]);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 10);
	line(10, false);
	guest_write(CLAIM(S(0)), 4, 10);
	assert_false(board.ext_irq[0]);
}

static void test_request_stays_when_the_level_goes(void **state)
{
	(void)state;
	enable(0, 5, 1);
	line(5, true);
	line(5, false);
	assert_true(is_pending(5));
	assert_true(board.ext_irq[0]);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 5);
	guest_write(CLAIM(S(0)), 4, 5);
	assert_false(is_pending(5));
}

static void test_level_between_claim_and_complete_counts_at_completion(void **state)
{
	(void)state;
	enable(0, 5, 1);
	line(5, true);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 5);
	line(5, false);
	line(5, true);
	assert_false(is_pending(5));
	guest_write(CLAIM(S(0)), 4, 5);
	assert_true(is_pending(5));
}

static void test_priority_zero_never_interrupts(void **state)
{
	(void)state;
	enable(0, 7, 0);
	line(7, true);
	assert_true(is_pending(7));
	assert_false(board.ext_irq[0]);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 0);
	guest_write(PRIORITY(7), 4, 1);
	assert_true(board.ext_irq[0]);
}

static void test_threshold_masks_but_not_claims(void **state)
{
	(void)state;
	enable(0, 7, 3);
	guest_write(THRESHOLD(S(0)), 4, 3);
	line(7, true);
	assert_false(board.ext_irq[0]);
	guest_write(THRESHOLD(S(0)), 4, 2);
	assert_true(board.ext_irq[0]);
	guest_write(THRESHOLD(S(0)), 4, 7);
	assert_false(board.ext_irq[0]);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 7);
}

static void test_highest_priority_then_lowest_number(void **state)
{
	(void)state;
	enable(0, 40, 5);
	enable(0, 3, 2);
	enable(0, 64, 5);
	enable(0, 95, 2);
	line(3, true);
	line(95, true);
	line(64, true);
	line(40, true);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 40);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 64);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 3);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 95);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 0);
}

static void test_harts_are_apart(void **state)
{
	(void)state;
	enable(2, 9, 1);
	line(9, true);
	assert_false(board.ext_irq[0]);
	assert_false(board.ext_irq[1]);
	assert_true(board.ext_irq[2]);
	enable(1, 9, 1);
	assert_true(board.ext_irq[1]);
	/* One of them gets it. */
	assert_int_equal(guest_read(CLAIM(S(1)), 4), 9);
	assert_false(board.ext_irq[2]);
	assert_int_equal(guest_read(CLAIM(S(2)), 4), 0);
}

static void test_completion_needs_enable(void **state)
{
	(void)state;
	enable(0, 9, 1);
	line(9, true);
	assert_int_equal(guest_read(CLAIM(S(0)), 4), 9);
	/* Hart 1 has it not enabled; then hart 0 neither; wild numbers. */
	guest_write(CLAIM(S(1)), 4, 9);
	assert_false(is_pending(9));
	guest_write(ENABLE(S(0), 9), 4, 0);
	guest_write(CLAIM(S(0)), 4, 9);
	assert_false(is_pending(9));
	guest_write(CLAIM(S(0)), 4, 96);
	guest_write(CLAIM(S(0)), 4, 0xffffffff);
	guest_write(CLAIM(S(0)), 4, 0);
	guest_write(ENABLE(S(0), 9), 4, 1U << 9);
	guest_write(CLAIM(S(0)), 4, 9);
	assert_true(is_pending(9));
}

static void test_disable_takes_the_interrupt_away(void **state)
{
	(void)state;
	enable(0, 33, 1);
	line(33, true);
	assert_true(board.ext_irq[0]);
	guest_write(ENABLE(S(0), 33), 4, 0);
	assert_false(board.ext_irq[0]);
	assert_true(is_pending(33));
	guest_write(ENABLE(S(0), 33), 4, 1U << 1);
	assert_true(board.ext_irq[0]);
}

static void test_m_contexts_are_inert(void **state)
{
	(void)state;
	guest_write(PRIORITY(9), 4, 1);
	guest_write(ENABLE(0, 9), 4, 0xffffffff);
	guest_write(THRESHOLD(0), 4, 7);
	line(9, true);
	assert_int_equal(guest_read(ENABLE(0, 9), 4), 0);
	assert_int_equal(guest_read(THRESHOLD(0), 4), 0);
	assert_int_equal(guest_read(CLAIM(0), 4), 0);
	assert_int_equal(board.ext_irq_changes, 0);
	assert_true(is_pending(9));
}

/* The addresses that payloads for QEMU's virt board have built in. */
static void test_addresses_of_virt(void **state)
{
	(void)state;
	guest_write(0x0c000028, 4, 1);
	guest_write(0x0c002080, 4, 1 << 10);
	guest_write(0x0c201000, 4, 0);
	line(10, true);
	assert_true(board.ext_irq[0]);
	assert_int_equal(guest_read(0x0c201004, 4), 10);
	guest_write(0x0c201004, 4, 10);
}

static void test_fields_keep_legal_values(void **state)
{
	(void)state;
	guest_write(PRIORITY(1), 4, 0xffffffff);
	assert_int_equal(guest_read(PRIORITY(1), 4), 7);
	guest_write(PRIORITY(0), 4, 7);
	assert_int_equal(guest_read(PRIORITY(0), 4), 0);
	guest_write(THRESHOLD(S(0)), 4, 0xffffffff);
	assert_int_equal(guest_read(THRESHOLD(S(0)), 4), 7);
	guest_write(ENABLE(S(0), 0), 4, 0xffffffff);
	assert_int_equal(guest_read(ENABLE(S(0), 0), 4), 0xfffffffe);
	guest_write(PENDING(1), 4, 0xffffffff);
	assert_int_equal(guest_read(PENDING(1), 4), 0);
}

static void test_everywhere_else_is_zero(void **state)
{
	(void)state;
	guest_write(PRIORITY(96), 4, 7);
	assert_int_equal(guest_read(PRIORITY(96), 4), 0);
	assert_int_equal(guest_read(PENDING(96), 4), 0);
	guest_write(ENABLE(S(0), 96), 4, 7);
	assert_int_equal(guest_read(ENABLE(S(0), 96), 4), 0);
	/* A hart that is not there, and the last register of the range. */
	guest_write(ENABLE(S(CPUS), 9), 4, 7);
	assert_int_equal(guest_read(ENABLE(S(CPUS), 9), 4), 0);
	guest_write(THRESHOLD(S(CPUS)), 4, 7);
	assert_int_equal(guest_read(THRESHOLD(S(CPUS)), 4), 0);
	guest_write(BOARD_PLIC_BASE + BOARD_PLIC_SIZE - 4, 4, 7);
	assert_int_equal(guest_read(BOARD_PLIC_BASE + BOARD_PLIC_SIZE - 4, 4), 0);
}

static void test_only_words(void **state)
{
	uint64_t val;

	(void)state;
	for (unsigned int len = 1; len <= 8; len *= 2) {
		int expected = len == 4 ? 0 : -22;

		assert_int_equal(bus_read(&board.vm.bus, PRIORITY(8), len, &val), expected);
		assert_int_equal(bus_write(&board.vm.bus, PRIORITY(8), len, 0), expected);
	}
}

static void test_wild_lines(void **state)
{
	(void)state;
	irqchip_set_line(&board.vm, 0, true);
	irqchip_set_line(&board.vm, 96, true);
	irqchip_set_line(&board.vm, 0xffffffff, true);
	for (unsigned int irq = 0; irq < 96; irq += 32)
		assert_int_equal(guest_read(PENDING(irq), 4), 0);
}

static void test_reset(void **state)
{
	(void)state;
	enable(1, 9, 1);
	guest_write(THRESHOLD(S(0)), 4, 3);
	line(9, true);
	assert_true(board.ext_irq[1]);
	bus_reset(&board.vm.bus);
	assert_false(board.ext_irq[1]);
	assert_int_equal(guest_read(PRIORITY(9), 4), 0);
	assert_int_equal(guest_read(ENABLE(S(1), 9), 4), 0);
	assert_int_equal(guest_read(THRESHOLD(S(0)), 4), 0);
	assert_false(is_pending(9));
	enable(1, 9, 1);
	assert_false(board.ext_irq[1]);
	line(9, true);
	assert_true(board.ext_irq[1]);
}

static void test_tells_vcpus_only_of_changes(void **state)
{
	unsigned int before;

	(void)state;
	enable(0, 9, 1);
	enable(0, 10, 1);
	line(9, true);
	before = board.ext_irq_changes;
	line(10, true);
	line(9, true);
	assert_int_equal(board.ext_irq_changes, before);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/*
 * A source becomes pending at the same moment as a guest, without the lock, lets it interrupt: by its priority and
 * by its enable bit in turn. Either of the two must see what the other did.
 */
enum { ROUNDS = 20000 };

static _Atomic unsigned int round_now;
static _Atomic unsigned int round_done;

static void *raise_lines(void *arg)
{
	(void)arg;
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		while (round_now < i)
			;
		irqchip_set_line(&board.vm, 10, true);
		round_done = i;
	}
	return NULL;
}

static void test_store_races_with_line(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, raise_lines, NULL), 0);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		guest_write(PRIORITY(10), 4, i % 2);
		guest_write(ENABLE(S(0), 10), 4, i % 2 ? 0 : 1U << 10);
		round_now = i;
		guest_write(i % 2 ? ENABLE(S(0), 10) : PRIORITY(10), 4, i % 2 ? 1U << 10 : 1);
		while (round_done < i)
			;
		assert_true(board.ext_irq[0]);
		line(10, false);
		assert_int_equal(guest_read(CLAIM(S(0)), 4), 10);
		guest_write(CLAIM(S(0)), 4, 10);
		assert_false(board.ext_irq[0]);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_claim_and_complete),
		TEST(test_request_stays_when_the_level_goes),
		TEST(test_level_between_claim_and_complete_counts_at_completion),
		TEST(test_priority_zero_never_interrupts),
		TEST(test_threshold_masks_but_not_claims),
		TEST(test_highest_priority_then_lowest_number),
		TEST(test_harts_are_apart),
		TEST(test_completion_needs_enable),
		TEST(test_disable_takes_the_interrupt_away),
		TEST(test_m_contexts_are_inert),
		TEST(test_addresses_of_virt),
		TEST(test_fields_keep_legal_values),
		TEST(test_everywhere_else_is_zero),
		TEST(test_only_words),
		TEST(test_wild_lines),
		TEST(test_reset),
		TEST(test_tells_vcpus_only_of_changes),
		TEST(test_store_races_with_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
