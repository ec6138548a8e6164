/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART (National Semiconductor's data sheet of the PC16550D), as on QEMU's virt board. The line
 * has no speed: a byte is sent as soon as the console takes it.
 *
 * Received bytes stay in the console until the guest reads them; what the guest sees as receive FIFO is a view
 * of it. So clearing the FIFO, as drivers do while they start, loses no typed-ahead input, and what nobody
 * reads here stays for SBI's debug console. A byte shows up once the guest has the receive
 * interrupt enabled, or has polled LSR twice in a row: the reads of a driver that only wants
 * to clear the registers do not eat it.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

#include "board.h"
#include "bus.h"
#include "console.h"
#include "device.h"
#include "fdt_tree.h"
#include "irqchip.h"
#include "uart16550.h"
#include "vm.h"

#define IIR_NONE 0x01
#define IIR_MSI 0x00
#define IIR_THRI 0x02
#define IIR_RDI 0x04
#define IIR_RLSI 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_TRIGGER 0xc0

#define LCR_DLAB 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_ALL 0x1f

#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DCTS 0x01
#define MSR_DDSR 0x02
#define MSR_TERI 0x04
#define MSR_DDCD 0x08
#define MSR_DELTA 0x0f
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80

#define CLOCK_FREQUENCY 3686400

static bool fifo_put(struct fifo *fifo, unsigned int size, uint8_t byte)
{
	if (fifo->count >= size)
		return false;
	fifo->data[(fifo->first + fifo->count++) % FIFO_SIZE] = byte;
	return true;
}

static uint8_t fifo_peek(const struct fifo *fifo)
{
	return fifo->data[fifo->first];
}

static void fifo_drop(struct fifo *fifo)
{
	fifo->first = (fifo->first + 1) % FIFO_SIZE;
	fifo->count--;
}

/* Without FIFOs there is one holding register in each direction. */
static unsigned int fifo_size(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static unsigned int trigger_level(const struct uart *uart)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return uart->fcr & FCR_ENABLE ? level[(uart->fcr & FCR_TRIGGER) >> 6] : 1;
}

/* How many received bytes the guest can see. */
static size_t rx_count(const struct uart *uart)
{
	if (uart->loop.count)
		return uart->loop.count;
	if ((uart->mcr & MCR_LOOP) || !((uart->ier & IER_RDI) || uart->listening))
		return 0;
	return console_read_pending(uart->dev.vm->console);
}

static void look_for_input(struct uart *uart)
{
	uart->input = console_read_pending(uart->dev.vm->console) != 0;
}

/* The most urgent enabled interrupt, in the order of the data sheet's table. */
static uint8_t interrupt_id(const struct uart *uart)
{
	size_t received;

	if ((uart->ier & IER_RLSI) && uart->overrun)
		return IIR_RLSI;
	if ((uart->ier & IER_RDI) && (received = rx_count(uart)))
		/* Below the trigger level nothing more is on its way: it is a timeout at once. */
		return received >= trigger_level(uart) ? IIR_RDI : IIR_TIMEOUT;
	if ((uart->ier & IER_THRI) && uart->thr_pending)
		return IIR_THRI;
	if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTA))
		return IIR_MSI;
	return IIR_NONE;
}

/* Everything but IER and the transmitter's interrupt is at rest: hot registers may go by them alone. */
static bool is_plain(const struct uart *uart)
{
	return !(uart->lcr & LCR_DLAB) && !uart->tx.count && !uart->loop.count && !uart->overrun &&
		!uart->input && !(uart->msr & MSR_DELTA);
}

static void update_irq(struct uart *uart)
{
	bool level = interrupt_id(uart) != IIR_NONE;

	uart->plain = is_plain(uart);
	if (level == uart->level)
		return;
	uart->level = level;
	irqchip_set_line(uart->dev.vm, uart->dev.irq, level);
}

static bool send_byte(struct uart *uart, uint8_t byte)
{
	if (!(uart->mcr & MCR_LOOP))
		return console_write(uart->dev.vm->console, &byte, 1) == 1;
	if (!fifo_put(&uart->loop, fifo_size(uart), byte))
		uart->overrun = true;
	return true;
}

/* Send what can be sent; THRE is what is left being nothing. */
static void drain_tx(struct uart *uart)
{
	if (!uart->tx.count)
		return;
	while (uart->tx.count && send_byte(uart, fifo_peek(&uart->tx)))
		fifo_drop(&uart->tx);
	if (!uart->tx.count)
		uart->thr_pending = true;
}

/* A guest that writes without looking at THRE loses the byte, as on the real thing. */
static void write_thr(struct uart *uart, uint8_t byte)
{
	uart->thr_pending = false;
	fifo_put(&uart->tx, fifo_size(uart), byte);
	drain_tx(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
	if (uart->loop.count) {
		uart->rbr = fifo_peek(&uart->loop);
		fifo_drop(&uart->loop);
	} else if (rx_count(uart)) {
		console_read(uart->dev.vm->console, &uart->rbr, 1);
		look_for_input(uart);
	}
	return uart->rbr;
}

static void write_ier(struct uart *uart, uint8_t val)
{
	bool thri_enabled = ~uart->ier & val & IER_THRI;

	uart->ier = val & IER_ALL;
	/* Enabling it interrupts at once if the transmitter is empty: drivers start sending so. */
	if (thri_enabled && !uart->tx.count)
		uart->thr_pending = true;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	if (id == IIR_THRI)
		uart->thr_pending = false;
	return id | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static void write_fcr(struct uart *uart, uint8_t val)
{
	if ((val ^ uart->fcr) & FCR_ENABLE)
		val |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	if (val & FCR_CLEAR_RX)
		uart->loop.count = 0;
	if ((val & FCR_CLEAR_TX) && uart->tx.count) {
		uart->tx.count = 0;
		uart->thr_pending = true;
	}
	uart->fcr = val & FCR_ENABLE ? val & (FCR_ENABLE | FCR_TRIGGER) : 0;
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr;

	if (uart->polled)
		uart->listening = true;
	lsr = rx_count(uart) ? LSR_DR : 0;
	if (!uart->tx.count)
		lsr |= LSR_THRE | LSR_TEMT;
	if (uart->overrun)
		lsr |= LSR_OE;
	uart->overrun = false;
	return lsr;
}

/* What the modem lines are: another end that is always ready, or in loopback the own outputs. */
static uint8_t modem_lines(const struct uart *uart)
{
	if (!(uart->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uint8_t)((uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (uart->mcr & MCR_OUT1 ? MSR_RI : 0) |
			 (uart->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *uart, uint8_t val)
{
	uint8_t old = uart->msr;
	uint8_t lines;
	uint8_t changed;

	uart->mcr = val & MCR_ALL;
	lines = modem_lines(uart);
	changed = (uint8_t)((old ^ lines) >> 4);
	if (lines & MSR_RI)
		changed &= (uint8_t)~MSR_TERI; /* only the trailing edge counts */
	uart->msr = lines | (old & MSR_DELTA) | changed;
	drain_tx(uart);
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t msr = uart->msr;

	uart->msr &= (uint8_t)~MSR_DELTA;
	return msr;
}

static uint8_t read_register(struct uart *uart, uint64_t reg)
{
	switch (reg) {
	case RBR_THR:
	case IER:
		if (uart->lcr & LCR_DLAB)
			return uart->divisor[reg];
		return reg == IER ? uart->ier : read_rbr(uart);
	case IIR_FCR:
		return read_iir(uart);
	case LCR:
		return uart->lcr;
	case MCR:
		return uart->mcr;
	case LSR:
		return read_lsr(uart);
	case MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void write_register(struct uart *uart, uint64_t reg, uint8_t val)
{
	switch (reg) {
	case RBR_THR:
	case IER:
		if (uart->lcr & LCR_DLAB)
			uart->divisor[reg] = val;
		else if (reg == IER)
			write_ier(uart, val);
		else
			write_thr(uart, val);
		break;
	case IIR_FCR:
		write_fcr(uart, val);
		break;
	case LCR:
		uart->lcr = val;
		break;
	case MCR:
		write_mcr(uart, val);
		break;
	case SCR:
		uart->scr = val;
		break;
	default: /* LSR and MSR: factory tests only */
		break;
	}
}

/* Registers are bytes; a wider access reaches the one at its address. */
static int uart_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	struct uart *uart = container_of(dev, struct uart, dev);

	(void)len;
	if (off >= REGISTERS)
		return -ENXIO;
	hot_lock(&uart->lock);
	*val = read_register(uart, off);
	uart->polled = off == LSR;
	if (off != LSR && off != RBR_THR)
		uart->listening = false;
	update_irq(uart);
	hot_unlock(&uart->lock);
	return 0;
}

static int uart_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct uart *uart = container_of(dev, struct uart, dev);

	(void)len;
	if (off >= REGISTERS)
		return -ENXIO;
	hot_lock(&uart->lock);
	write_register(uart, off, (uint8_t)val);
	uart->polled = false;
	update_irq(uart);
	hot_unlock(&uart->lock);
	return 0;
}

/* The console has new input, or room for output. */
static void console_changed(void *opaque)
{
	struct uart *uart = opaque;

	hot_lock(&uart->lock);
	look_for_input(uart);
	drain_tx(uart);
	update_irq(uart);
	hot_unlock(&uart->lock);
}

static void set_defaults(struct uart *uart)
{
	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->rbr = 0;
	uart->scr = 0;
	uart->msr = modem_lines(uart);
	uart->divisor[0] = uart->divisor[1] = 0;
	uart->overrun = uart->thr_pending = false;
	uart->polled = false;
	uart->listening = false;
	uart->loop.count = 0;
}

/* What was sent before a reboot still goes out. */
static void uart_reset(struct device *dev)
{
	struct uart *uart = container_of(dev, struct uart, dev);

	hot_lock(&uart->lock);
	set_defaults(uart);
	update_irq(uart);
	hot_unlock(&uart->lock);
}

static int uart_fdt(const struct device *dev, void *fdt)
{
	int err = fdt_tree_begin(fdt, "serial", dev->base);

	err = err ?: fdt_tree_irq(fdt, dev);
	err = err ?: fdt_property_u32(fdt, "clock-frequency", CLOCK_FREQUENCY);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: fdt_property_string(fdt, "compatible", "ns16550a");
	return err ?: fdt_end_node(fdt);
}

static void uart_destroy(struct device *dev)
{
	struct uart *uart = container_of(dev, struct uart, dev);

	console_set_listener(dev->vm->console, NULL, NULL);
	hot_lock_destroy(&uart->lock);
	free(uart);
}

static const struct device_ops uart_ops = {
	.name = "serial",
	.reset = uart_reset,
	.read = uart_read,
	.write = uart_write,
	.hot_load = uart_hot_load,
	.hot_store = uart_hot_store,
	.fdt = uart_fdt,
	.destroy = uart_destroy,
};

int uart16550_create(struct vm *vm)
{
	struct uart *uart = calloc(1, sizeof(*uart));
	int err;

	if (!uart)
		return -ENOMEM;
	uart->dev = (struct device){.ops = &uart_ops,
				    .vm = vm,
				    .base = BOARD_UART_BASE,
				    .size = BOARD_UART_SIZE,
				    .irq = BOARD_UART_IRQ};
	hot_lock_init(&uart->lock);
	set_defaults(uart);
	err = bus_add(&vm->bus, &uart->dev);
	if (err) {
		hot_lock_destroy(&uart->lock);
		free(uart);
		return err;
	}
	console_set_listener(vm->console, console_changed, uart);
	look_for_input(uart);
	update_irq(uart);
	return 0;
}
