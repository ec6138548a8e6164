/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages to the user, on stderr, one line each, "duvisor: " in front. */
#ifndef DUVISOR_LOG_H
#define DUVISOR_LOG_H

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The only process-wide setting of the core. Default: LOG_WARN. */
void log_set_level(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_print(enum log_level level, const char *fmt, ...);

/* No error, but what the user has to know in any case. */
#define log_notice(...) log_print(LOG_ERROR, __VA_ARGS__)
#define log_error(...) log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/*
 * For messages that a guest can cause at will: at most LOG_GUEST_BURST of them per
 * VM and second; how many were dropped is said with the next one that is not.
 */
#define LOG_GUEST_BURST 10

struct log_limit {
	_Atomic uint64_t window; /* the second that count belongs to */
	_Atomic uint32_t count;
	_Atomic uint32_t dropped;
};

__attribute__((format(printf, 3, 4))) void log_guest(struct log_limit *limit, enum log_level level,
						     const char *fmt, ...);

#endif
