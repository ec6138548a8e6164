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
	pthread_mutex_t mutex; /* among those that wait */
	_Atomic uint32_t held;
};

void hot_lock_init(struct hot_lock *lock);
void hot_lock_destroy(struct hot_lock *lock);

/* Ordinary code. May sleep, but on a hot path only if another thread is in there right now. */
void hot_lock(struct hot_lock *lock);
void hot_unlock(struct hot_lock *lock);

/* Hot code. If this returns true, hot_leave() must follow before the function ends. */
static inline bool hot_enter(struct hot_lock *lock)
{
	return !atomic_exchange_explicit(&lock->held, 1, memory_order_acquire);
}

static inline void hot_leave(struct hot_lock *lock)
{
	atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
