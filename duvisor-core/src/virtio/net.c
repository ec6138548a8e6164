/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network device (virtio 1.2, section 5.1) in front of a back end (net.h). */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dev/board.h"
#include "io.h"
#include "log.h"
#include "net.h"
#include "virtio/iov.h"
#include "virtio/rx_buffers.h"
#include "virtio/virtio.h"
#include "vm.h"

_Static_assert(sizeof(struct virtio_net_hdr_v1) == NET_HEADER, "the header of section 5.1.6");

/* Frames that may be taken from the back end in one go: others want their turn. */
#define RX_BATCH 64
/*
 * While the loop does not sleep, ask the back end this often, and up to so seldom while it has nothing. Shorter than an
 * answer takes: who waits for one would wait for us, too.
 */
#define RX_PERIOD_NS 20000ULL
#define RX_MAX_PERIOD_NS (8 * RX_PERIOD_NS)

/* How slowly long frames are forgotten: a part of the difference with each that is shorter. */
#define EXPECT_LESS 8

#define LOCAL_MAC_PREFIX 0x02

/* One that has been read: into the buffers that there were, but for its end. */
struct frame {
	size_t len;     /* 0: there is none */
	size_t spilled; /* the length of its end, in the pair's spill */
};

struct netdev {
	struct virtio virtio;
	struct virtio_net_config config;
	struct net *net;
	unsigned int max_pairs;
	unsigned int pairs;             /* in use */
	bool closed;                    /* the back end is gone */
	bool tx_blocked;                /* it takes no more for now */
	uint64_t received_at;           /* when it was asked last, ns */
	uint64_t receive_period;        /* ns */
	size_t expected[NET_MAX_PAIRS]; /* a frame's length */
	bool starved[NET_MAX_PAIRS];    /* frames wait for buffers */
	bool more;                      /* there may be more than were taken in one go */
	struct frame frame[NET_MAX_PAIRS];
	struct rx_buffers rx[NET_MAX_PAIRS];
	struct virtq_chain chain;
	/* Resident for those pairs only that have had a frame that needs it. */
	uint8_t spill[NET_MAX_PAIRS][NET_MAX_FRAME];
};

static struct netdev *from_virtio(struct virtio *dev)
{
	return container_of(dev, struct netdev, virtio);
}

/* Section 5.1.2: receive and transmit queues in turns, then the control queue. */
static unsigned int rx_queue(unsigned int pair)
{
	return 2 * pair;
}

static unsigned int tx_queue(unsigned int pair)
{
	return 2 * pair + 1;
}

static unsigned int control_queue(const struct netdev *dev)
{
	return virtio_has(&dev->virtio, VIRTIO_NET_F_MQ) ? 2 * dev->max_pairs : 2;
}

/* Which events of the back end are waited for, until it is closed. */
static void update_events(struct netdev *dev)
{
	for (unsigned int i = 0; i < dev->net->pairs; i++) {
		short events = 0;

		if (dev->virtio.queue[rx_queue(i)].active && !dev->starved[i])
			events |= POLLIN;
		if (dev->tx_blocked)
			events |= POLLOUT;
		io_set_events(&dev->virtio.dev.vm->io, dev->net->fd[i], events);
	}
}

/* --- to the back end --- */

static void set_tx_blocked(struct netdev *dev, bool blocked)
{
	if (dev->tx_blocked == blocked)
		return;
	dev->tx_blocked = blocked;
	for (unsigned int i = 0; i < dev->max_pairs; i++)
		dev->virtio.queue[tx_queue(i)].wanted = !blocked;
	update_events(dev);
}

/* One frame. False: not now, it has been put back. */
static bool send_frame(struct netdev *dev, unsigned int pair)
{
	struct virtio *virtio = &dev->virtio;
	struct virtq_chain *chain = &dev->chain;
	unsigned int queue = tx_queue(pair);
	int err = -EINVAL;

	if (chain->out_len > NET_HEADER && chain->out_len <= NET_MAX_FRAME && !dev->closed)
		err = dev->net->ops->send(dev->net, pair < dev->net->pairs ? pair : 0, chain->iov,
					  chain->out);
	if (err == -EAGAIN) {
		virtq_unpop(&virtio->queue[queue].vq, chain);
		return false;
	}
	/* A frame that is none is lost, like one on a bad cable. */
	virtio_push(virtio, queue, chain->id, chain->slots, 0);
	return true;
}

static void send_frames(struct netdev *dev, unsigned int pair)
{
	bool sent = true;

	while (sent && virtio_pop(&dev->virtio, tx_queue(pair), &dev->chain)) {
		sent = send_frame(dev, pair);
		/* Something may answer soon. */
		dev->receive_period = RX_PERIOD_NS;
	}
	if (dev->net->ops->flush(dev->net) || !sent)
		set_tx_blocked(dev, true);
	virtio_signal(&dev->virtio, tx_queue(pair));
}

/* --- from the back end --- */

/*
 * Take buffers until a frame of len bytes fits, if the driver has given that many; one, if frames may not be spread
 * over several (section 5.1.6.4.1).
 */
static void take_buffers(struct netdev *dev, unsigned int pair, size_t len)
{
	bool mergeable = virtio_has(&dev->virtio, VIRTIO_NET_F_MRG_RXBUF);
	struct rx_buffers *rx = &dev->rx[pair];
	struct virtq_chain *chain = &dev->chain;

	while (rx_buffers_have_room(rx) && (!rx->count || (mergeable && rx->room < len)) &&
	       virtio_pop(&dev->virtio, rx_queue(pair), chain)) {
		if (chain->in_len < NET_HEADER) {
			virtio_fail(&dev->virtio, "a receive buffer without room for a header");
			return;
		}
		rx_buffers_add(rx, chain);
	}
}

/* Give the driver the buffers that the frame is in. */
static void give_back(struct netdev *dev, unsigned int pair, size_t len)
{
	struct rx_buffers *rx = &dev->rx[pair];
	unsigned int count = rx_buffers_needed(rx, len);
	uint16_t num_buffers = (uint16_t)count;

	iov_copy_to(rx->iov, offsetof(struct virtio_net_hdr_v1, num_buffers), &num_buffers,
		    sizeof(num_buffers));
	for (unsigned int i = 0; i < count; i++) {
		const struct rx_buffer *buffer = &rx->buffer[i];
		size_t n = len < buffer->len ? len : buffer->len;

		virtio_push(&dev->virtio, rx_queue(pair), buffer->id, buffer->slots, (uint32_t)n);
		len -= n;
	}
	rx_buffers_drop(rx, count);
}

/* Frames wait until the driver adds buffers: rx_kick(). */
static void starve(struct netdev *dev, unsigned int pair)
{
	struct virtio_queue *queue = &dev->virtio.queue[rx_queue(pair)];

	dev->starved[pair] = queue->active;
	queue->wanted = true;
}

/* Whether the driver has buffers that it may add to those that we have. */
static bool may_get_more(const struct netdev *dev, unsigned int pair)
{
	return virtio_has(&dev->virtio, VIRTIO_NET_F_MRG_RXBUF) &&
		rx_buffers_have_room(&dev->rx[pair]) &&
		!virtq_is_with_device(&dev->virtio.queue[rx_queue(pair)].vq);
}

/* Give the driver the frame that has been read. False: it waits for buffers, or went with a queue that failed. */
static bool deliver(struct netdev *dev, unsigned int pair)
{
	struct rx_buffers *rx = &dev->rx[pair];
	struct frame *frame = &dev->frame[pair];

	take_buffers(dev, pair, frame->len);
	if (!frame->len)
		return false;
	if (rx->room < frame->len && may_get_more(dev, pair)) {
		starve(dev, pair);
		return false;
	}
	/* What does not fit into all that the driver can give us is lost. */
	if (rx->room >= frame->len) {
		iov_copy_to(rx->iov, frame->len - frame->spilled, dev->spill[pair], frame->spilled);
		give_back(dev, pair, frame->len);
	}
	frame->len = 0;
	return true;
}

static void back_end_closed(struct netdev *dev)
{
	log_error("network: the other side has closed the connection; the link is down");
	dev->closed = true;
	/* It would end every sleep from now on. */
	for (unsigned int i = 0; i < dev->net->pairs; i++)
		io_remove(&dev->virtio.dev.vm->io, dev->net->fd[i]);
	pthread_mutex_lock(&dev->virtio.lock);
	dev->config.status &= (uint16_t)~VIRTIO_NET_S_LINK_UP;
	pthread_mutex_unlock(&dev->virtio.lock);
	virtio_config_changed(&dev->virtio);
}

/*
 * The next frames may be as long as this one. The kernel looks at all pieces of a read, so those for a long frame are
 * not for free; a frame that is longer than expected is copied once more.
 */
static void expect(struct netdev *dev, unsigned int pair, size_t len)
{
	size_t *expected = &dev->expected[pair];

	*expected = len > *expected ? len : *expected - (*expected - len) / EXPECT_LESS;
}

/* Read a frame, straight into buffers of the driver. False: there is none, or no buffer for it. */
static bool read_frame(struct netdev *dev, unsigned int pair)
{
	struct rx_buffers *rx = &dev->rx[pair];
	struct frame *frame = &dev->frame[pair];
	struct iovec saved;
	unsigned int count;
	size_t room;
	ssize_t n;

	take_buffers(dev, pair, dev->expected[pair]);
	if (!rx->count) {
		starve(dev, pair);
		return false;
	}
	count = rx_buffers_pieces(rx, dev->expected[pair], &room);
	/* rx->iov has room for one more. */
	saved = rx->iov[count];
	rx->iov[count] = (struct iovec){.iov_base = dev->spill[pair], .iov_len = NET_MAX_FRAME};
	n = dev->net->ops->receive(dev->net, pair, rx->iov, count + 1);
	rx->iov[count] = saved;
	if (n < 0 && n != -EAGAIN)
		back_end_closed(dev);
	if (n <= 0)
		return false;
	expect(dev, pair, (size_t)n);
	frame->len = (size_t)n;
	frame->spilled = frame->len > room ? frame->len - room : 0;
	return true;
}

/* All frames that there are and that find buffers. True: there were some. */
static bool receive_frames(struct netdev *dev, unsigned int pair)
{
	struct virtio_queue *queue = &dev->virtio.queue[rx_queue(pair)];
	unsigned int count = 0;

	while (queue->active && !dev->closed && !dev->starved[pair] && count < RX_BATCH &&
	       (dev->frame[pair].len || read_frame(dev, pair)) && deliver(dev, pair))
		count++;
	/* Those that the back end has read already end no sleep. */
	dev->more |= count == RX_BATCH;
	virtio_signal(&dev->virtio, rx_queue(pair));
	update_events(dev);
	return count;
}

static void rx_kick(struct netdev *dev, unsigned int pair)
{
	/* Only a frame that waits makes new buffers interesting. */
	dev->virtio.queue[rx_queue(pair)].wanted = false;
	if (!dev->starved[pair])
		return;
	dev->starved[pair] = false;
	receive_frames(dev, pair);
}

static void net_event(void *opaque, int fd, short revents)
{
	struct netdev *dev = opaque;

	if (revents & POLLOUT && !dev->net->ops->flush(dev->net))
		set_tx_blocked(dev, false);
	for (unsigned int i = 0; i < dev->net->pairs; i++) {
		if (dev->net->fd[i] != fd)
			continue;
		/* Without a buffer nothing is read that would tell. */
		if (dev->starved[i] && revents & (POLLHUP | POLLERR))
			back_end_closed(dev);
		else
			receive_frames(dev, i);
	}
}

/* Files are looked at only now and then while the loop is busy: too late for those who wait for an answer. */
static bool net_poll(struct virtio *virtio)
{
	struct netdev *dev = from_virtio(virtio);
	bool worked = false;
	uint64_t now;

	if (!virtio->started || dev->closed)
		return false;
	now = virtio->dev.vm->io.now;
	if (!dev->more && now - dev->received_at < dev->receive_period)
		return false;
	dev->more = false;
	for (unsigned int i = 0; i < dev->net->pairs; i++)
		worked |= receive_frames(dev, i);
	dev->received_at = now;
	if (worked)
		dev->receive_period = RX_PERIOD_NS;
	else if (dev->receive_period < RX_MAX_PERIOD_NS)
		dev->receive_period *= 2;
	return worked;
}

/* --- the control queue (section 5.1.6.5) --- */

static bool set_pairs(struct netdev *dev, struct iov_cursor *in)
{
	struct virtio_net_ctrl_mq mq;

	if (iov_read(in, &mq, sizeof(mq)) != sizeof(mq) ||
	    mq.virtqueue_pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN ||
	    mq.virtqueue_pairs > dev->max_pairs || !virtio_has(&dev->virtio, VIRTIO_NET_F_MQ))
		return false;
	dev->pairs = mq.virtqueue_pairs;
	if (dev->net->ops->set_pairs)
		dev->net->ops->set_pairs(dev->net, dev->pairs);
	return true;
}

static bool set_offloads(struct netdev *dev, struct iov_cursor *in)
{
	uint64_t features;

	if (iov_read(in, &features, sizeof(features)) != sizeof(features) ||
	    features & ~dev->virtio.accepted)
		return false;
	if (dev->net->ops->set_offloads)
		dev->net->ops->set_offloads(dev->net, features);
	return true;
}

static bool set_mac(struct netdev *dev, struct iov_cursor *in)
{
	uint8_t mac[sizeof(dev->config.mac)];

	if (iov_read(in, mac, sizeof(mac)) != sizeof(mac))
		return false;
	pthread_mutex_lock(&dev->virtio.lock);
	memcpy(dev->config.mac, mac, sizeof(mac));
	pthread_mutex_unlock(&dev->virtio.lock);
	return true;
}

static bool control(struct netdev *dev, struct iov_cursor *out)
{
	struct virtio_net_ctrl_hdr header;

	if (iov_read(out, &header, sizeof(header)) != sizeof(header))
		return false;
	switch (header.class) {
	case VIRTIO_NET_CTRL_RX:
		/* The guest gets all that comes in any case (section 5.1.6.5.1 allows more than was asked for). */
		return header.cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI;
	case VIRTIO_NET_CTRL_MAC:
		return header.cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET
			? set_mac(dev, out)
			: header.cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET;
	case VIRTIO_NET_CTRL_MQ:
		return header.cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET && set_pairs(dev, out);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return header.cmd == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET && set_offloads(dev, out);
	default:
		return false;
	}
}

static void control_kick(struct netdev *dev, unsigned int index)
{
	struct virtq_chain *chain = &dev->chain;

	while (virtio_pop(&dev->virtio, index, chain)) {
		struct iov_cursor out = virtq_out(chain);
		struct iov_cursor in = virtq_in(chain);
		uint8_t ack = control(dev, &out) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

		virtio_push(&dev->virtio, index, chain->id, chain->slots,
			    (uint32_t)iov_write(&in, &ack, sizeof(ack)));
	}
	virtio_signal(&dev->virtio, index);
}

/* --- the device --- */

static void net_kick(struct virtio *virtio, unsigned int index)
{
	struct netdev *dev = from_virtio(virtio);

	if (index == control_queue(dev))
		control_kick(dev, index);
	else if (index % 2)
		send_frames(dev, index / 2);
	else
		rx_kick(dev, index / 2);
}

static void net_start(struct virtio *virtio)
{
	struct netdev *dev = from_virtio(virtio);

	dev->pairs = 1;
	if (dev->net->ops->set_offloads)
		dev->net->ops->set_offloads(dev->net, virtio->accepted);
	if (dev->net->ops->set_pairs)
		dev->net->ops->set_pairs(dev->net, 1);
	update_events(dev);
}

static void net_stop_queue(struct virtio *virtio, unsigned int index)
{
	struct netdev *dev = from_virtio(virtio);

	virtio->queue[index].active = false;
	if (!(index % 2) && index / 2 < dev->net->pairs) {
		dev->starved[index / 2] = false;
		dev->frame[index / 2].len = 0;
		rx_buffers_drop(&dev->rx[index / 2], dev->rx[index / 2].count);
	}
	update_events(dev);
}

static void net_reset(struct virtio *virtio)
{
	struct netdev *dev = from_virtio(virtio);

	dev->tx_blocked = false;
	update_events(dev);
}

static void net_destroy(struct virtio *virtio)
{
	struct netdev *dev = from_virtio(virtio);

	for (unsigned int i = 0; i < dev->net->pairs; i++)
		io_remove(&virtio->dev.vm->io, dev->net->fd[i]);
	dev->net->ops->destroy(dev->net);
	free(dev);
}

static const struct virtio_ops netdev_ops = {
	.name = "virtio-net",
	.start = net_start,
	.stop_queue = net_stop_queue,
	.kick = net_kick,
	.poll = net_poll,
	.reset = net_reset,
	.destroy = net_destroy,
};

static void choose_mac(uint8_t *mac, const struct vm_network *wanted)
{
	if (wanted->mac_set) {
		memcpy(mac, wanted->mac, sizeof(wanted->mac));
		return;
	}
	/* Locally administered, not a group's: as good as unique. */
	if (getrandom(mac, sizeof(wanted->mac), GRND_NONBLOCK) < 0)
		memset(mac, 0, sizeof(wanted->mac));
	mac[0] = LOCAL_MAC_PREFIX;
}

static uint64_t feature_bits(const struct netdev *dev)
{
	uint64_t bits = dev->net->features | 1ULL << VIRTIO_NET_F_MAC |
		1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_STATUS |
		1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_CTRL_RX |
		1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR;

	if (dev->net->features)
		bits |= 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
	if (dev->net->mtu)
		bits |= 1ULL << VIRTIO_NET_F_MTU;
	if (dev->max_pairs > 1)
		bits |= 1ULL << VIRTIO_NET_F_MQ;
	return bits;
}

static int listen_to_back_end(struct netdev *dev, struct vm *vm)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < dev->net->pairs; i++)
		err = io_add(&vm->io, dev->net->fd[i], 0, net_event, dev);
	return err;
}

static int open_back_end(struct netdev *dev, struct vm *vm)
{
	const struct vm_network *wanted = &vm->config->network;
	unsigned int pairs = vm->vcpu_count < NET_MAX_PAIRS ? vm->vcpu_count : NET_MAX_PAIRS;
	int err = wanted->mode == VM_NETWORK_TAP ? net_tap_open(wanted, pairs, &dev->net)
						 : net_user_open(wanted, &dev->net);

	return err ? VM_EXIT_USAGE : 0;
}

static int init(struct netdev *dev, struct vm *vm)
{
	struct virtio_init init;

	dev->max_pairs = dev->net->pairs;
	choose_mac(dev->config.mac, &vm->config->network);
	dev->config.status = VIRTIO_NET_S_LINK_UP;
	dev->config.max_virtqueue_pairs = (uint16_t)dev->max_pairs;
	dev->config.mtu = dev->net->mtu;
	init = (struct virtio_init){.ops = &netdev_ops,
				    .id = VIRTIO_ID_NET,
				    .features = feature_bits(dev),
				    .config = &dev->config,
				    .config_size = sizeof(dev->config),
				    .queue_count = 2 * dev->max_pairs + 1};
	return listen_to_back_end(dev, vm) ?: virtio_init(&dev->virtio, vm, &init);
}

int virtio_net_create(struct vm *vm)
{
	struct netdev *dev;
	int err;

	if (vm->config->network.mode == VM_NETWORK_NONE)
		return 0;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->virtio.dev.vm = vm;
	dev->receive_period = RX_PERIOD_NS;
	err = open_back_end(dev, vm);
	if (err) {
		free(dev);
		return err;
	}
	err = init(dev, vm);
	if (err)
		net_destroy(&dev->virtio);
	return err;
}
