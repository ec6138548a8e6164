/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TAP device of the host. Checksums and segmentation are left to the host's kernel, which often need not do them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "net.h"
#include "types.h"
#include "vm.h"

#define DEVICE "/dev/net/tun"

static const struct {
	unsigned int feature;
	unsigned int flag;
} offload[] = {
	{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM},
	{VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
	{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6},
	{VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
};

static int tap_send(struct net *net, unsigned int pair, const struct iovec *iov, unsigned int count)
{
	ssize_t n = writev(net->fd[pair], iov, (int)count);

	return n < 0 ? -errno : 0;
}

static int tap_flush(struct net *net)
{
	(void)net;
	return 0;
}

static ssize_t tap_receive(struct net *net, unsigned int pair, const struct iovec *iov,
			   unsigned int count)
{
	ssize_t n = readv(net->fd[pair], iov, (int)count);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n < NET_HEADER ? -EAGAIN : n;
}

static void tap_set_offloads(struct net *net, uint64_t features)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload); i++)
		if (features >> offload[i].feature & 1)
			flags |= offload[i].flag;
	/* Segmentation needs checksums. */
	if (!(flags & TUN_F_CSUM))
		flags = 0;
	for (unsigned int i = 0; i < net->pairs; i++)
		if (ioctl(net->fd[i], TUNSETOFFLOAD, (unsigned long)flags))
			log_warn("cannot set the offloads of the TAP device: %s", strerror(errno));
}

/* With one pair the device may not even know of more. */
static void tap_set_pairs(struct net *net, unsigned int count)
{
	for (unsigned int i = 1; i < net->pairs; i++) {
		struct ifreq request = {.ifr_flags =
						i < count ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

		/* Fails if it is so already. */
		ioctl(net->fd[i], TUNSETQUEUE, &request);
	}
}

static void tap_destroy(struct net *net)
{
	for (unsigned int i = 0; i < net->pairs; i++)
		close(net->fd[i]);
	free(net);
}

static const struct net_ops tap_ops = {
	.send = tap_send,
	.flush = tap_flush,
	.receive = tap_receive,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
	.destroy = tap_destroy,
};

/* One more descriptor of the device; name is the wanted one, and then the one that it got. */
static int open_queue(char *name, bool multi, int *fd_out)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = NET_HEADER;
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (multi)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(request.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &header)) {
		err = -errno;
		close(fd);
		return err;
	}
	memcpy(name, request.ifr_name, IFNAMSIZ);
	*fd_out = fd;
	return 0;
}

static int open_queues(struct net *net, char *name, unsigned int pairs)
{
	int err = 0;

	while (!err && net->pairs < pairs) {
		err = open_queue(name, pairs > 1, &net->fd[net->pairs]);
		if (!err)
			net->pairs++;
	}
	return err;
}

int net_tap_open(const struct vm_network *config, unsigned int pairs, struct net **net_out)
{
	struct net *net = calloc(1, sizeof(*net));
	char name[IFNAMSIZ] = "";
	int err;

	if (!net)
		return -ENOMEM;
	net->ops = &tap_ops;
	net->features = 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4 |
		1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_HOST_ECN;
	for (size_t i = 0; i < ARRAY_SIZE(offload); i++)
		net->features |= 1ULL << offload[i].feature;
	_Static_assert(sizeof(config->tap) == IFNAMSIZ, "a name of the kernel's");
	memcpy(name, config->tap, sizeof(name));
	err = open_queues(net, name, pairs);
	/* One that somebody made before, with a single queue. */
	if (err == -EINVAL && !net->pairs && pairs > 1)
		err = open_queues(net, name, 1);
	if (err) {
		log_error("cannot use the TAP device '%s': %s%s", config->tap, strerror(-err),
			  err == -EPERM ? " (make it first: ip tuntap add mode tap user NAME)"
					: "");
		tap_destroy(net);
		return err;
	}
	log_info("network: TAP device %s, %u queues", name, net->pairs);
	*net_out = net;
	return 0;
}
