/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hot_lock.h"

#include <sched.h>

void hot_lock_init(struct hot_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->held = 0;
}

void hot_lock_destroy(struct hot_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

void hot_lock(struct hot_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
	while (!hot_enter(lock))
		sched_yield();
}

void hot_unlock(struct hot_lock *lock)
{
	hot_leave(lock);
	pthread_mutex_unlock(&lock->mutex);
}
