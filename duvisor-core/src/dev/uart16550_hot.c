/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The UART's scratch register, which only remembers, and the interrupt enable register, by which drivers begin and end
 * to send.
 */
#include "uart16550.h"

#include "irqchip.h"
#include "vm.h"

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

static inline uint64_t set_line(struct uart *uart, bool level)
{
	uint64_t declined;

	uart->level = level;
	declined = irqchip_hot_line(uart->dev.vm->irqchip, uart->dev.irq, level);
	if (declined)
		uart->level = !level;
	return declined;
}

/* As write_ier() and interrupt_id() in uart16550.c. */
static inline uint64_t store_ier(struct uart *uart, uint64_t val)
{
	bool level;

	if (!uart->plain)
		return 1;
	level = val & IER_THRI && (uart->thr_pending || !(uart->ier & IER_THRI));
	uart->ier = val & IER_ALL;
	if (level)
		uart->thr_pending = true;
	return level == uart->level ? 0 : set_line(uart, level);
}

uint64_t uart_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct uart *uart = (struct uart *)dev;
	uint64_t declined;

	(void)len;
	if (off == IER && hot_enter(&uart->lock)) {
		declined = store_ier(uart, val);
		hot_leave(&uart->lock);
		if (declined)
			return 1;
	} else if (off == SCR) {
		atomic_store_explicit(&uart->scr, (uint8_t)val, memory_order_relaxed);
	} else {
		return 1;
	}
	atomic_store_explicit(&uart->polled, false, memory_order_relaxed);
	return 0;
}
