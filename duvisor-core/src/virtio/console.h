/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the console device (virtio 1.2, section 5.3): console.c moves data between queues and ports, console_control.c
 * talks with the driver about ports, console_stream.c is what is behind a port that has a name. All of it belongs to
 * the I/O thread.
 *
 * Nothing is kept in between: output that nobody takes stays in the guest's ring, input that the guest has no buffer for
 * stays where it comes from.
 */
#ifndef DUVISOR_VIRTIO_CONSOLE_H
#define DUVISOR_VIRTIO_CONSOLE_H

#include <linux/virtio_console.h>

#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

#define VCONSOLE_CONTROL_RX 2
#define VCONSOLE_CONTROL_TX 3
#define VCONSOLE_PORTS (1 + VM_MAX_PORTS) /* the first is the console's, if there is one */

struct vport;

/* What is behind a port. Nothing blocks, and the queues are not touched from here. */
struct vport_ops {
	/* Take up to len bytes of output, or get up to len of input; how many: 0, none now. */
	size_t (*write)(struct vport *port, const void *buf, size_t len);
	size_t (*read)(struct vport *port, void *buf, size_t len);
	/* Might there be input? After a read of 0 there is none. */
	bool (*readable)(const struct vport *port);
	/* Is there somebody who reads and writes? */
	bool (*attached)(const struct vport *port);
	/* Call vport_pump() when there is input, room for output. */
	void (*wait)(struct vport *port, bool input, bool room);
	void (*destroy)(struct vport *port);
};

struct vport {
	struct vconsole *con;
	unsigned int id;
	const struct vport_ops *ops;
	const char *name; /* NULL: the console */

	/* What driver and device have told each other. */
	bool ready;    /* the driver knows of the port */
	bool open;     /* somebody in the guest has it open */
	uint32_t owed; /* messages to the driver: bits of console_control.c */

	struct virtq_chain tx;
	struct iov_cursor left; /* what has not been taken of tx yet */
	bool tx_held;           /* tx is valid and not given back */
};

struct vconsole {
	struct virtio virtio;
	struct virtio_console_config config;
	struct vport console;
	struct vport *port[VCONSOLE_PORTS]; /* NULL: no such port */
	struct virtq_chain chain;           /* of the moment */
	bool more;                          /* there is something to do at the next turn */
};

/* Section 5.3.2. */
static inline unsigned int vport_rx(const struct vport *port)
{
	return port->id ? 2 * port->id + 2 : 0;
}

static inline unsigned int vport_tx(const struct vport *port)
{
	return vport_rx(port) + 1;
}

static inline bool vconsole_multiport(const struct vconsole *con)
{
	return virtio_has(&con->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* console.c: move what can be moved, both ways. */
void vport_pump(struct vport *port);

/* console_control.c */

void vconsole_take_messages(struct vconsole *con);
void vconsole_send_messages(struct vconsole *con);
/* Somebody is there now, or not any more; the size has changed. The driver will be told. */
void vport_arrived(struct vport *port);
void vport_left(struct vport *port);
void vport_resized(struct vport *port);
/* May input go to the driver? */
bool vport_accepts(const struct vport *port);

/* console_stream.c: the port that config asks for. 0; -errno; or the vm_exit to end with, said to the user. */
int vport_create(struct vconsole *con, unsigned int id, const struct vm_port *config);

#endif
