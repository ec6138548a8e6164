/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's clocks as numbers. */
#ifndef DUVISOR_CLOCK_H
#define DUVISOR_CLOCK_H

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000ULL
/* A thread that polls and has not had the hart for so long has given it to another, which may want it again. */
#define CLOCK_AWAY_US 100

/* Nanoseconds of CLOCK_MONOTONIC or CLOCK_REALTIME. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/*
 * Nanoseconds since some time, from the hart's time CSR, whose frequency is in Hz: musl has no vDSO on riscv64, so
 * clock_gettime() is a system call there. On other hosts, where unit tests run, it is none.
 */
static inline uint64_t clock_fast_ns(uint32_t frequency)
{
#ifdef __riscv
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks) : : "memory");
	return (uint64_t)((unsigned __int128)ticks * CLOCK_NS_PER_S / frequency);
#else
	(void)frequency;
	return clock_ns(CLOCK_MONOTONIC);
#endif
}

/* Have the timerfd expire once, at that time of its clock in ns; 0 stops it. */
static inline void clock_set_timer(int timerfd, uint64_t when)
{
	const struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(when / CLOCK_NS_PER_S),
			     .tv_nsec = (long)(when % CLOCK_NS_PER_S)},
	};

	timerfd_settime(timerfd, TFD_TIMER_ABSTIME, &spec, NULL);
}

#endif
