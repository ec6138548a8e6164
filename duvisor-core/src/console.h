/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's console: bytes between its producers and consumers in the guest (UART,
 * SBI DBCN and legacy calls, on vCPU threads) and the terminal (on the I/O thread). Two bounded
 * rings; no function here blocks. Output that does not fit is refused, so the guest
 * sees a busy transmitter instead of losing bytes.
 */
#ifndef DUVISOR_CONSOLE_H
#define DUVISOR_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;

struct console *console_create(void);
void console_destroy(struct console *con);

/* Guest side: any thread. */

/* Take up to len bytes of output; returns how many were taken. */
size_t console_write(struct console *con, const void *buf, size_t len);
/* How many bytes console_write() would take now. */
size_t console_write_space(struct console *con);
/* Get up to len bytes of input; returns how many. */
size_t console_read(struct console *con, void *buf, size_t len);
/* How many bytes console_read() would return now. */
size_t console_read_pending(struct console *con);

/*
 * Have fn(opaque) called on the I/O thread, without locks held, when input arrived or space for output
 * became free (the UART updates its FIFO and its interrupt there). One listener, set before the VM runs.
 */
void console_set_listener(struct console *con, void (*fn)(void *opaque), void *opaque);

/* The size of the terminal in characters; zeroes: unknown. Any thread. */
struct console_size {
	uint16_t columns;
	uint16_t rows;
};

struct console_size console_get_size(struct console *con);

/* Terminal side: the I/O thread. */

/* The listener is told, too. */
void console_set_size(struct console *con, struct console_size size);

/* Readable (eventfd) when there may be output to fetch; console_fetch() returning 0 re-arms it. */
int console_output_fd(const struct console *con);
/* Get up to len bytes of the guest's output; returns how many. */
size_t console_fetch(struct console *con, void *buf, size_t len);
/* Give input to the guest; returns how many bytes were taken. */
size_t console_feed(struct console *con, const void *buf, size_t len);
/*
 * How many bytes console_feed() would take now: do not poll stdin when it is 0. console_output_fd() becomes
 * readable when it was 0 and the guest has read something since.
 */
size_t console_feed_space(struct console *con);

#endif
