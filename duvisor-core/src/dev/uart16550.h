/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the UART is made of: for uart16550.c and its hot registers only. */
#ifndef DUVISOR_DEV_UART16550_H
#define DUVISOR_DEV_UART16550_H

#include <stdatomic.h>
#include <stdbool.h>

#include "device.h"
#include "hot_lock.h"

/* Registers; the first two are the divisor latch while LCR.DLAB is set. */
#define RBR_THR 0
#define IER 1
#define IIR_FCR 2
#define LCR 3
#define MCR 4
#define LSR 5
#define MSR 6
#define SCR 7
#define REGISTERS 8

#define IER_RDI 0x01
#define IER_THRI 0x02
#define IER_RLSI 0x04
#define IER_MSI 0x08
#define IER_ALL 0x0f

#define FIFO_SIZE 16

struct fifo {
	unsigned int first;
	unsigned int count;
	uint8_t data[FIFO_SIZE];
};

struct uart {
	struct device dev;
	struct hot_lock lock; /* protects what follows */
	uint8_t ier;
	uint8_t fcr;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	_Atomic uint8_t scr; /* not even by the lock: it means nothing */
	uint8_t divisor[2];
	uint8_t rbr; /* what was read last */
	bool overrun;
	bool thr_pending;       /* the transmitter became empty and the guest has not been told */
	_Atomic bool polled;    /* the last access was a read of LSR */
	_Atomic bool listening; /* the guest polls for input */
	bool level;             /* of the interrupt line */
	bool input;             /* the console may have some */
	bool plain;             /* see is_plain() */
	struct fifo tx;         /* bytes that the console has no room for */
	struct fifo loop;       /* received in loopback mode */
};

hot_load_fn uart_hot_load;
hot_store_fn uart_hot_store;

#endif
