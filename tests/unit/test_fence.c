/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <pthread.h>
#include <string.h>

#include "fence.h"
#include "hart.h"
#include "hart_fake.h"

static struct fence_queue queue;

static int setup(void **state)
{
	(void)state;
	memset(&queue, 0, sizeof(queue));
	memset(hart_fake(), 0, sizeof(*hart_fake()));
	return 0;
}

static void expect(unsigned int fences, unsigned int pages, unsigned int asids, unsigned int insns)
{
	const struct hart_fake *hart = hart_fake();

	assert_int_equal(hart->fences, fences);
	assert_int_equal(hart->fence_pages, pages);
	assert_int_equal(hart->fence_asids, asids);
	assert_int_equal(hart->fence_insns, insns);
}

static void test_each_is_performed_once(void **state)
{
	const struct fence pages = {.kind = FENCE_VMA, .start = 0x1000, .pages = 3};
	const struct fence asid = {.kind = FENCE_VMA_ASID, .asid = 7};
	const struct fence insn = {.kind = FENCE_I};

	(void)state;
	fence_take(&queue);
	expect(0, 0, 0, 0);
	fence_post(&queue, &pages);
	fence_post(&queue, &asid);
	fence_post(&queue, &insn);
	expect(0, 0, 0, 0);
	fence_take(&queue);
	expect(5, 3, 1, 1);
	fence_take(&queue);
	expect(5, 3, 1, 1);
}

/* One more than there are boxes: everything is forgotten, and the boxes are free again. */
static void test_overflow_is_everything(void **state)
{
	const struct fence page = {.kind = FENCE_VMA, .start = 0x1000, .pages = 1};

	(void)state;
	for (unsigned int i = 0; i < FENCE_BOXES; i++)
		fence_post(&queue, &page);
	fence_take(&queue);
	expect(FENCE_BOXES, FENCE_BOXES, 0, 0);
	for (unsigned int i = 0; i < FENCE_BOXES + 1; i++)
		fence_post(&queue, &page);
	fence_take(&queue);
	expect(FENCE_BOXES + 2, FENCE_BOXES, 0, 1);
	fence_post(&queue, &page);
	fence_take(&queue);
	expect(FENCE_BOXES + 3, FENCE_BOXES + 1, 0, 1);
}

#define POSTERS 4
#define POSTS 20000

static _Atomic unsigned int posters_left;

static void *poster(void *arg)
{
	const struct fence all = {.kind = FENCE_VMA};

	(void)arg;
	for (unsigned int i = 0; i < POSTS; i++)
		fence_post(&queue, &all);
	posters_left--;
	return NULL;
}

/* Whatever the race, the last take leaves nothing behind and none was torn. */
static void test_many_posters(void **state)
{
	pthread_t thread[POSTERS];

	(void)state;
	posters_left = POSTERS;
	for (unsigned int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, poster, NULL), 0);
	while (posters_left)
		fence_take(&queue);
	for (unsigned int i = 0; i < POSTERS; i++)
		pthread_join(thread[i], NULL);
	fence_take(&queue);
	assert_in_range(hart_fake()->fences, 1, POSTERS * POSTS * 2);
	assert_int_equal(hart_fake()->fence_pages, 0);
	assert_int_equal(queue.all, 0);
	for (unsigned int i = 0; i < FENCE_BOXES; i++)
		assert_int_equal(queue.box[i].state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_is_performed_once, setup),
		cmocka_unit_test_setup(test_overflow_is_everything, setup),
		cmocka_unit_test_setup(test_many_posters, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
