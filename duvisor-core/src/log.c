/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

#define LINE_SIZE 512

static _Atomic int current_level = LOG_WARN;

static const char *const prefix[] = {
	[LOG_ERROR] = "",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DEBUG] = "debug: ",
};

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

/* One write per line, so that lines of several threads do not mix. */
__attribute__((format(printf, 2, 0))) static void print_line(enum log_level level, const char *fmt,
							     va_list args)
{
	char line[LINE_SIZE];
	int n = snprintf(line, sizeof(line), "duvisor: %s", prefix[level]);
	int m = vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, args);

	if (m > 0)
		n += m;
	if (n > LINE_SIZE - 2)
		n = LINE_SIZE - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody is left to be told */
}

void log_print(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if ((int)level > atomic_load(&current_level))
		return;
	va_start(args, fmt);
	print_line(level, fmt, args);
	va_end(args);
}

void log_guest(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint64_t second;
	uint32_t dropped;
	va_list args;

	if ((int)level > atomic_load(&current_level))
		return;
	second = clock_ns(CLOCK_MONOTONIC) / CLOCK_NS_PER_S;
	if (atomic_exchange(&limit->window, second) != second)
		atomic_store(&limit->count, 0);
	if (atomic_fetch_add(&limit->count, 1) >= LOG_GUEST_BURST) {
		atomic_fetch_add(&limit->dropped, 1);
		return;
	}
	dropped = atomic_exchange(&limit->dropped, 0);
	if (dropped)
		log_print(level, "(%u messages about the guest suppressed)", dropped);
	va_start(args, fmt);
	print_line(level, fmt, args);
	va_end(args);
}
