/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UART's scratch register: the one that only remembers. */
#include "uart16550.h"

/* As any access but those of a driver that polls (uart16550.c, top). */
static inline void not_polled(struct uart *uart)
{
	atomic_store_explicit(&uart->polled, false, memory_order_relaxed);
	atomic_store_explicit(&uart->listening, false, memory_order_relaxed);
}

hot_value uart_hot_load(struct device *dev, uint64_t off, uint64_t len)
{
	struct uart *uart = (struct uart *)dev;

	(void)len;
	if (off != SCR)
		return HOT_DECLINED;
	not_polled(uart);
	return atomic_load_explicit(&uart->scr, memory_order_relaxed);
}

uint64_t uart_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct uart *uart = (struct uart *)dev;

	(void)len;
	if (off != SCR)
		return 1;
	atomic_store_explicit(&uart->scr, (uint8_t)val, memory_order_relaxed);
	atomic_store_explicit(&uart->polled, false, memory_order_relaxed);
	return 0;
}
