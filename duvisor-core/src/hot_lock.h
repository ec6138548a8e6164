/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lock that hot registers (hot.h) can take as well. They have no registers for a call and must not wait, so they only try;
 * for everybody else it is a mutex. Who has the mutex waits for who has tried with success: a few dozen
 * instructions, but a thread may lose its hart in the middle of them.
 */
#ifndef DUVISOR_HOT_LOCK_H
#define DUVISOR_HOT_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hot_lock {
	pthread_mutex_t mutex;  /* among those that wait */
	volatile uint64_t held; /* see hot_leave() */
};

void hot_lock_init(struct hot_lock *lock);
void hot_lock_destroy(struct hot_lock *lock);

/* Ordinary code. May sleep, but on a hot path only if another thread is in there right now. */
void hot_lock(struct hot_lock *lock);
void hot_unlock(struct hot_lock *lock);

/* Hot code. If this returns true, hot_leave() must follow before the function ends. */
static inline bool hot_enter(struct hot_lock *lock)
{
	return !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE);
}

/* A volatile store, as the compiler makes an AMO of an atomic one and spends an instruction on its address. */
static inline void hot_leave(struct hot_lock *lock)
{
	atomic_thread_fence(memory_order_release);
	lock->held = 0;
}

#endif
