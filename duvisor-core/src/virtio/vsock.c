/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket device (virtio 1.2, section 5.10), with the host's side as Firecracker and cloud-hypervisor have it: who connects to the
 * socket at PATH and says "CONNECT <port>\n" reaches the guest's port, and is told "OK <port>\n"; a guest that connects to
 * the host's port P reaches who listens at PATH_P.
 *
 * Streams only, which is what a device without feature bits has (section 5.10.3).
 *
 * Nothing here grows: a connection buffers at most WINDOW bytes, which is what the guest is told (section 5.10.6.3); in the
 * other direction bytes stay in the host's socket until the guest has room. What is owed to the guest beside data is a few
 * bits of its connection, or one of `refused`; while that is full, the guest's packets wait in its ring.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dev/board.h"
#include "io.h"
#include "log.h"
#include "unix_socket.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"
#include "vsock_connector.h"

#define RX 0
#define TX 1
#define EVENT 2
#define QUEUES 3

#define MAX_CONNECTIONS 64
#define MAX_REFUSED 64
#define WINDOW (64U << 10)
/* Tell the guest about room before it has used up what it knows of. */
#define ROOM_TO_TELL (WINDOW / 4)
#define MAX_DATA (64U << 10)
#define MAX_GREETING 32
/* Packets to the guest in one go: others want their turn. */
#define RX_BATCH 128
/* Our ports of connections that begin at the host, as Firecracker has them. */
#define FIRST_PORT (1U << 30)

#define BOTH_WAYS (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define OWE(op) (1U << VIRTIO_VSOCK_OP_##op)

enum state {
	FREE,
	GREETING,  /* the host's client has not said where it wants to go */
	REQUESTED, /* the guest has not said whether it wants that */
	OPEN,
	DEAD, /* without a socket; the guest has to be told */
};

struct connection {
	struct vsock *dev;
	enum state state;
	int fd;
	bool watched;   /* fd is in the event loop */
	bool readable;  /* it has said that there is something */
	bool hung_up;   /* the host's side is closed both ways */
	bool ended;     /* there is no more to read from fd */
	bool write_end; /* fd was told that no more comes */
	uint32_t host_port;
	uint32_t guest_port;
	uint32_t owed;       /* OWE() bits */
	uint32_t guest_shut; /* what the guest has said not to do any more */
	uint32_t host_shut;  /* what it was, or is owed to be, told so of us */

	/* Free-running counters of bytes, as in section 5.10.6.3. */
	uint32_t sent;
	uint32_t guest_room;
	uint32_t guest_forwarded;
	uint32_t received;
	uint32_t forwarded; /* those in between are in the buffer */
	uint32_t told;

	unsigned int greeting_size;
	char greeting[MAX_GREETING];
	uint8_t *buffer; /* WINDOW bytes */
};

struct vsock {
	struct virtio virtio;
	struct virtio_vsock_config config;
	struct vsock_connector connector;
	int listener;
	uint32_t next_port;
	bool starved; /* the guest has no receive buffers for us */
	bool more;    /* there was more than RX_BATCH */
	unsigned int turn;
	unsigned int refused_count;
	struct virtio_vsock_hdr refused[MAX_REFUSED];
	struct connection connection[MAX_CONNECTIONS];
	struct virtq_chain chain;
	uint8_t data[sizeof(struct virtio_vsock_hdr) + MAX_DATA];
};

static struct vsock *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct vsock, virtio);
}

static struct io *io_of(struct vsock *dev)
{
	return &dev->virtio.dev.vm->io;
}

/* --- connections --- */

static uint32_t buffered(const struct connection *con)
{
	return con->received - con->forwarded;
}

/* What the guest has room for; it may have told us nonsense. */
static uint32_t guest_has_room(const struct connection *con)
{
	uint32_t in_flight = con->sent - con->guest_forwarded;

	return in_flight < con->guest_room ? con->guest_room - in_flight : 0;
}

static bool may_read(const struct connection *con)
{
	return con->state == OPEN && !con->ended &&
		!(con->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) && guest_has_room(con);
}

static void update_events(struct connection *con)
{
	short events = 0;

	if (!con->watched)
		return;
	if (con->state == GREETING || (may_read(con) && !con->dev->starved))
		events |= POLLIN;
	if (con->state == OPEN && buffered(con))
		events |= POLLOUT;
	io_set_events(io_of(con->dev), con->fd, events);
}

static void unwatch(struct connection *con)
{
	if (con->watched)
		io_remove(io_of(con->dev), con->fd);
	con->watched = false;
}

static struct connection *find_state(struct vsock *dev, enum state state)
{
	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		if (dev->connection[i].state == state)
			return &dev->connection[i];
	return NULL;
}

static void update_all_events(struct vsock *dev)
{
	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		update_events(&dev->connection[i]);
	/* Who finds no place here waits in the kernel's queue of the socket. */
	io_set_events(io_of(dev), dev->listener, find_state(dev, FREE) ? POLLIN : 0);
}

static void close_socket(struct connection *con)
{
	unwatch(con);
	close(con->fd);
	con->fd = -1;
	free(con->buffer);
	con->buffer = NULL;
}

static void drop(struct connection *con)
{
	if (con->state != FREE && con->state != DEAD)
		close_socket(con);
	con->state = FREE;
}

/* End it on both sides. */
static void abort_connection(struct connection *con)
{
	close_socket(con);
	con->state = DEAD;
	con->owed = OWE(RST);
}

static void connection_event(void *opaque, int fd, short revents);

/* A new one that owns fd; NULL: there is no room, and fd is closed. */
static struct connection *take_socket(struct vsock *dev, int fd, enum state state)
{
	struct connection *con = find_state(dev, FREE);
	uint8_t *buffer = con ? malloc(WINDOW) : NULL;

	if (!buffer || io_add(io_of(dev), fd, 0, connection_event, con)) {
		free(buffer);
		close(fd);
		return NULL;
	}
	*con = (struct connection){
		.dev = dev, .state = state, .fd = fd, .watched = true, .buffer = buffer};
	return con;
}

static struct connection *find_ports(struct vsock *dev, uint32_t host_port, uint32_t guest_port)
{
	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++) {
		struct connection *con = &dev->connection[i];

		if (con->state > GREETING && con->host_port == host_port &&
		    con->guest_port == guest_port)
			return con;
	}
	return NULL;
}

/* --- to the host --- */

/* Nobody will read what the guest sends: it is told, and what it has sent is lost. */
static void host_is_deaf(struct connection *con)
{
	con->forwarded = con->received;
	if (con->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		return;
	con->host_shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	con->owed |= OWE(SHUTDOWN);
}

/* The bytes up to the buffer's end. False: not now. */
static bool write_some(struct connection *con)
{
	uint32_t at = con->forwarded % WINDOW;
	size_t len = buffered(con);
	ssize_t n;

	if (len > WINDOW - at)
		len = WINDOW - at;
	n = send(con->fd, con->buffer + at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		host_is_deaf(con);
	else
		con->forwarded += (uint32_t)n;
	return true;
}

/* The guest has ended one direction or both, and all that it had sent is out. */
static void follow_shutdown(struct connection *con)
{
	if (con->guest_shut == BOTH_WAYS) {
		/* Section 5.10.6.5: that ends a clean disconnect. */
		abort_connection(con);
	} else if (con->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND && !con->write_end) {
		con->write_end = true;
		shutdown(con->fd, SHUT_WR);
	}
}

static void drain(struct connection *con)
{
	while (buffered(con) && write_some(con))
		;
	if (con->forwarded - con->told >= ROOM_TO_TELL)
		con->owed |= OWE(CREDIT_UPDATE);
	if (!buffered(con))
		follow_shutdown(con);
}

/* --- from the guest --- */

static void refuse(struct vsock *dev, const struct virtio_vsock_hdr *packet)
{
	if (packet->op != VIRTIO_VSOCK_OP_RST)
		dev->refused[dev->refused_count++] = *packet;
}

static void guest_connects(struct vsock *dev, const struct virtio_vsock_hdr *packet)
{
	int fd = find_state(dev, FREE) ? vsock_connector_ask(&dev->connector, packet->dst_port)
				       : -EMFILE;
	struct connection *con = fd < 0 ? NULL : take_socket(dev, fd, OPEN);

	if (!con) {
		refuse(dev, packet);
		return;
	}
	con->host_port = packet->dst_port;
	con->guest_port = packet->src_port;
	con->guest_room = packet->buf_alloc;
	con->guest_forwarded = packet->fwd_cnt;
	con->owed = OWE(RESPONSE);
}

static void guest_accepts(struct connection *con)
{
	char line[MAX_GREETING];
	int len = snprintf(line, sizeof(line), "OK %u\n", con->host_port);

	con->state = OPEN;
	/* There is room: it is the first that this socket sees. */
	if (send(con->fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		abort_connection(con);
}

static void guest_sends(struct connection *con, struct iov_cursor *from, uint32_t len)
{
	uint32_t at = con->received % WINDOW;
	uint32_t first = len < WINDOW - at ? len : WINDOW - at;

	/* More than it was told that there is room for, or after the end. */
	if (len > WINDOW - buffered(con) || con->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) {
		abort_connection(con);
		return;
	}
	iov_read(from, con->buffer + at, first);
	iov_read(from, con->buffer, len - first);
	con->received += len;
	if (con->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		host_is_deaf(con);
	drain(con);
}

/* A packet for an open connection. */
static void on_open(struct connection *con, const struct virtio_vsock_hdr *packet,
		    struct iov_cursor *from)
{
	switch (packet->op) {
	case VIRTIO_VSOCK_OP_RW:
		guest_sends(con, from, packet->len);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		con->guest_shut |= packet->flags & BOTH_WAYS;
		drain(con);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		con->owed |= OWE(CREDIT_UPDATE);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	default:
		abort_connection(con);
	}
}

static void on_connection(struct connection *con, const struct virtio_vsock_hdr *packet,
			  struct iov_cursor *from)
{
	con->guest_room = packet->buf_alloc;
	con->guest_forwarded = packet->fwd_cnt;
	if (packet->op == VIRTIO_VSOCK_OP_RST)
		drop(con);
	else if (con->state == REQUESTED && packet->op == VIRTIO_VSOCK_OP_RESPONSE)
		guest_accepts(con);
	else if (con->state == REQUESTED)
		abort_connection(con);
	else if (con->state == OPEN)
		on_open(con, packet, from);
}

static void on_packet(struct vsock *dev, const struct virtio_vsock_hdr *packet,
		      struct iov_cursor *from)
{
	struct connection *con = find_ports(dev, packet->dst_port, packet->src_port);
	bool stream = packet->type == VIRTIO_VSOCK_TYPE_STREAM;

	/* Section 5.10.6.4.1: such packets cannot have come from this guest, or are for nobody here. */
	if (packet->src_cid != dev->config.guest_cid || packet->dst_cid != VMADDR_CID_HOST ||
	    packet->len > iov_left(from))
		return;
	if (con && stream)
		on_connection(con, packet, from);
	else if (stream && packet->op == VIRTIO_VSOCK_OP_REQUEST)
		guest_connects(dev, packet);
	else
		refuse(dev, packet);
}

static void take_packets(struct vsock *dev)
{
	struct virtio *virtio = &dev->virtio;

	while (dev->refused_count < MAX_REFUSED && virtio_pop(virtio, TX, &dev->chain)) {
		struct iov_cursor from = virtq_out(&dev->chain);
		struct virtio_vsock_hdr packet;

		if (iov_read(&from, &packet, sizeof(packet)) == sizeof(packet))
			on_packet(dev, &packet, &from);
		virtio_push(virtio, TX, dev->chain.id, dev->chain.slots, 0);
	}
	virtio_signal(virtio, TX);
}

/* --- to the guest --- */

/* A buffer for a header and something behind it. */
static bool take_buffer(struct vsock *dev)
{
	if (!virtio_pop(&dev->virtio, RX, &dev->chain)) {
		dev->starved = true;
		return false;
	}
	if (dev->chain.in_len > sizeof(struct virtio_vsock_hdr))
		return true;
	virtio_fail(&dev->virtio, "a receive buffer without room for data");
	dev->starved = true;
	return false;
}

/* The packet in dev->data, len bytes behind its header, into the buffer that was taken. */
static void put_packet(struct vsock *dev, struct virtio_vsock_hdr *packet, uint32_t len)
{
	struct iov_cursor in = virtq_in(&dev->chain);
	size_t done;

	packet->src_cid = VMADDR_CID_HOST;
	packet->dst_cid = dev->config.guest_cid;
	packet->type = VIRTIO_VSOCK_TYPE_STREAM;
	packet->len = len;
	memcpy(dev->data, packet, sizeof(*packet));
	done = iov_write(&in, dev->data, sizeof(*packet) + len);
	virtio_push(&dev->virtio, RX, dev->chain.id, dev->chain.slots, (uint32_t)done);
}

static void put_for(struct connection *con, uint16_t op, uint32_t len)
{
	struct virtio_vsock_hdr packet = {
		.src_port = con->host_port,
		.dst_port = con->guest_port,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? con->host_shut : 0,
		.buf_alloc = WINDOW,
		.fwd_cnt = con->forwarded,
	};

	con->told = con->forwarded;
	con->owed &= ~OWE(CREDIT_UPDATE);
	con->owed &= ~(1U << op);
	con->sent += len;
	put_packet(con->dev, &packet, len);
}

static bool put_refused(struct vsock *dev)
{
	const struct virtio_vsock_hdr *from = &dev->refused[dev->refused_count - 1];
	struct virtio_vsock_hdr packet = {
		.src_port = from->dst_port, .dst_port = from->src_port, .op = VIRTIO_VSOCK_OP_RST};

	if (!take_buffer(dev))
		return false;
	dev->refused_count--;
	put_packet(dev, &packet, 0);
	return true;
}

/* Both directions are closed. The event for that does not end, so it is not waited for any more. */
static void note_hang_up(struct connection *con, short revents)
{
	if (!(revents & (POLLHUP | POLLERR)))
		return;
	unwatch(con);
	con->hung_up = true;
}

/* The host's side has no more for the guest, or has broken. */
static void host_ended(struct connection *con)
{
	struct pollfd now = {.fd = con->fd};

	if (!con->hung_up && poll(&now, 1, 0) > 0)
		note_hang_up(con, now.revents);
	con->ended = true;
	con->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (con->hung_up)
		con->host_shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	con->owed |= OWE(SHUTDOWN);
}

/* What there is to read, as a packet. False: nothing now. */
static bool put_data(struct connection *con)
{
	struct vsock *dev = con->dev;
	size_t limit = guest_has_room(con);
	ssize_t n;

	if (!take_buffer(dev))
		return false;
	if (limit > MAX_DATA)
		limit = MAX_DATA;
	if (limit > dev->chain.in_len - sizeof(struct virtio_vsock_hdr))
		limit = dev->chain.in_len - sizeof(struct virtio_vsock_hdr);
	n = recv(con->fd, dev->data + sizeof(struct virtio_vsock_hdr), limit, MSG_DONTWAIT);
	if (n > 0) {
		put_for(con, VIRTIO_VSOCK_OP_RW, (uint32_t)n);
		return true;
	}
	virtq_unpop(&dev->virtio.queue[RX].vq, &dev->chain);
	con->readable = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	host_ended(con);
	return true;
}

static bool put_owed(struct connection *con)
{
	static const uint16_t order[] = {VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST,
					 VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN,
					 VIRTIO_VSOCK_OP_CREDIT_UPDATE};
	unsigned int i = 0;

	if (!take_buffer(con->dev))
		return false;
	while (!(con->owed & 1U << order[i]))
		i++;
	put_for(con, order[i], 0);
	if (order[i] == VIRTIO_VSOCK_OP_RST)
		con->state = FREE;
	return true;
}

/* One packet of one connection. False: it has none now. */
static bool serve(struct connection *con)
{
	if (con->state == FREE || con->dev->starved)
		return false;
	if (con->owed)
		return put_owed(con);
	return (con->readable || con->hung_up) && may_read(con) && put_data(con);
}

/* All that the guest can take, a packet of each connection in turn. True: there was something. */
static bool feed(struct vsock *dev)
{
	unsigned int count = 0;
	unsigned int idle = 0;

	dev->starved = !dev->virtio.queue[RX].active;
	while (!dev->starved && dev->refused_count && put_refused(dev))
		count++;
	while (!dev->starved && idle < MAX_CONNECTIONS && count < RX_BATCH) {
		bool served = serve(&dev->connection[dev->turn++ % MAX_CONNECTIONS]);

		count += served;
		idle = served ? 0 : idle + 1;
	}
	dev->more = count >= RX_BATCH && !dev->starved;
	dev->virtio.queue[RX].wanted = dev->starved;
	dev->virtio.queue[TX].wanted = dev->refused_count < MAX_REFUSED;
	virtio_signal(&dev->virtio, RX);
	update_all_events(dev);
	return count;
}

/* --- from the host --- */

/* A decimal number and nothing behind it. */
static bool parse_port(const char *text, uint32_t *port)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*port = (uint32_t)value;
	return true;
}

static void request(struct connection *con)
{
	static const char word[] = "CONNECT ";
	struct vsock *dev = con->dev;

	if (strncmp(con->greeting, word, sizeof(word) - 1) != 0 ||
	    !parse_port(con->greeting + sizeof(word) - 1, &con->guest_port) ||
	    !dev->virtio.started) {
		drop(con);
		return;
	}
	do
		con->host_port = FIRST_PORT | (dev->next_port++ & (FIRST_PORT - 1));
	while (find_ports(dev, con->host_port, con->guest_port));
	con->state = REQUESTED;
	con->owed = OWE(REQUEST);
}

/* What follows the line is data, so byte by byte. */
static void read_greeting(struct connection *con)
{
	while (con->state == GREETING) {
		char *at = &con->greeting[con->greeting_size];
		ssize_t n = recv(con->fd, at, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0 && *at == '\n') {
			*at = '\0';
			request(con);
		} else if (n <= 0 || ++con->greeting_size == MAX_GREETING) {
			drop(con);
		}
	}
}

static void host_hung_up(struct connection *con)
{
	if (con->state == GREETING)
		drop(con);
	else if (con->state == REQUESTED)
		abort_connection(con);
	else if (con->ended)
		host_ended(con);
}

static void connection_event(void *opaque, int fd, short revents)
{
	struct connection *con = opaque;
	struct vsock *dev = con->dev;

	(void)fd;
	con->readable |= (revents & POLLIN) != 0;
	if (con->state == GREETING)
		read_greeting(con);
	if (con->state == OPEN)
		drain(con);
	if (con->state != FREE && con->state != DEAD)
		note_hang_up(con, revents);
	if (con->hung_up)
		host_hung_up(con);
	feed(dev);
}

static void listener_event(void *opaque, int fd, short revents)
{
	struct vsock *dev = opaque;
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	if (client >= 0)
		take_socket(dev, client, GREETING);
	update_all_events(dev);
}

/* --- the device --- */

static void vsock_kick(struct virtio *virtio, unsigned int index)
{
	struct vsock *dev = from_virtio(virtio);

	if (index == EVENT) {
		/* Its buffers are for the day when a running guest comes from elsewhere. */
		virtio->queue[EVENT].wanted = false;
		return;
	}
	if (index == TX)
		take_packets(dev);
	feed(dev);
}

static bool vsock_poll(struct virtio *virtio)
{
	struct vsock *dev = from_virtio(virtio);

	return dev->more && feed(dev);
}

static void vsock_start(struct virtio *virtio)
{
	feed(from_virtio(virtio));
}

static void vsock_stop_queue(struct virtio *virtio, unsigned int index)
{
	struct vsock *dev = from_virtio(virtio);

	if (index != RX)
		return;
	dev->starved = true;
	dev->more = false;
	update_all_events(dev);
}

/* The driver that knew of them is gone. */
static void vsock_reset(struct virtio *virtio)
{
	struct vsock *dev = from_virtio(virtio);

	for (unsigned int i = 0; i < MAX_CONNECTIONS; i++)
		drop(&dev->connection[i]);
	dev->refused_count = 0;
	update_all_events(dev);
}

/* The socket's file stays, like the console's: the next VM replaces it. */
static void vsock_destroy(struct virtio *virtio)
{
	struct vsock *dev = from_virtio(virtio);

	vsock_reset(virtio);
	if (dev->listener >= 0) {
		io_remove(io_of(dev), dev->listener);
		close(dev->listener);
	}
	vsock_connector_end(&dev->connector);
	free(dev);
}

static const struct virtio_ops vsock_ops = {
	.name = "virtio-vsock",
	.start = vsock_start,
	.stop_queue = vsock_stop_queue,
	.kick = vsock_kick,
	.poll = vsock_poll,
	.reset = vsock_reset,
	.destroy = vsock_destroy,
};

static int open_host_side(struct vsock *dev, const char *path)
{
	int err;

	dev->listener = unix_listen(path, MAX_CONNECTIONS);
	if (dev->listener < 0) {
		log_error("cannot make the vsock socket '%s': %s", path, strerror(-dev->listener));
		return VM_EXIT_USAGE;
	}
	err = vsock_connector_start(&dev->connector, path, dev->virtio.dev.vm->config->no_sandbox);
	return err ?: io_add(io_of(dev), dev->listener, POLLIN, listener_event, dev);
}

static int init(struct vsock *dev, struct vm *vm)
{
	const struct virtio_init init = {.ops = &vsock_ops,
					 .id = VIRTIO_ID_VSOCK,
					 .config = &dev->config,
					 .config_size = sizeof(dev->config),
					 .queue_count = QUEUES};

	return open_host_side(dev, vm->config->vsock.path) ?: virtio_init(&dev->virtio, vm, &init);
}

int virtio_vsock_create(struct vm *vm)
{
	struct vsock *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	dev->virtio.dev.vm = vm;
	dev->config.guest_cid = vm->config->vsock.cid;
	dev->connector.fd = dev->listener = -1;
	dev->starved = true;
	err = init(dev, vm);
	if (err)
		vsock_destroy(&dev->virtio);
	return err;
}
