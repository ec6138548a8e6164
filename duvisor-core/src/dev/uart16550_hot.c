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
	struct irqchip *chip;
	uint64_t declined;

	if (level == uart->level)
		return 0;
	chip = irqchip_hot_enter(uart->dev.vm->irqchip);
	if (!chip)
		return 1;
	declined = chip->hot_line(chip, uart->dev.irq, level);
	hot_leave(&chip->lock);
	if (!declined)
		uart->level = level;
	return declined;
}

/* As write_ier() and interrupt_id() in uart16550.c, if an empty transmitter is all that can interrupt. */
static inline uint64_t store_ier(struct uart *uart, uint8_t val)
{
	bool empty;

	if (uart->lcr & LCR_DLAB || uart->tx.count || uart->loop.count || uart->overrun ||
	    uart->input || (val & IER_MSI && uart->msr & MSR_DELTA))
		return 1;
	empty = uart->thr_pending || ~uart->ier & val & IER_THRI;
	if (set_line(uart, empty && val & IER_THRI))
		return 1;
	uart->thr_pending = empty;
	uart->ier = val & IER_ALL;
	return 0;
}

uint64_t uart_hot_store(struct device *dev, uint64_t off, uint64_t len, uint64_t val)
{
	struct uart *uart = (struct uart *)dev;
	uint64_t declined = 0;

	(void)len;
	if (off == SCR) {
		atomic_store_explicit(&uart->scr, (uint8_t)val, memory_order_relaxed);
	} else if (off == IER && hot_enter(&uart->lock)) {
		declined = store_ier(uart, (uint8_t)val);
		hot_leave(&uart->lock);
	} else {
		return 1;
	}
	if (!declined)
		atomic_store_explicit(&uart->polled, false, memory_order_relaxed);
	return declined;
}
