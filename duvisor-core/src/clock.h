/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's clocks as numbers. */
#ifndef DUVISOR_CLOCK_H
#define DUVISOR_CLOCK_H

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000ULL

/* Nanoseconds of CLOCK_MONOTONIC or CLOCK_REALTIME. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
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
