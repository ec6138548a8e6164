/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a network device's frames go: a table of operations, one file for each kind. Frames have the header of
 * virtio 1.2, section 5.1.6, in front (NET_HEADER bytes). All functions: the I/O thread; none blocks.
 */
#ifndef DUVISOR_NET_H
#define DUVISOR_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NET_HEADER 12
#define NET_MAX_FRAME (65536 + NET_HEADER) /* one that segmentation is left to included */
#define NET_MAX_PAIRS 8

struct net;

struct net_ops {
	/* Take one frame: 0, -EAGAIN when there is no room, or another negative errno when it is lost. */
	int (*send)(struct net *net, unsigned int pair, const struct iovec *iov,
		    unsigned int count);
	/* What send() has taken goes out. 0, or -EAGAIN: call again when fd is writable. */
	int (*flush)(struct net *net);
	/*
	 * The next frame into pieces of NET_MAX_FRAME bytes or more: its length; -EAGAIN; -EPIPE: nothing comes any
	 * more.
	 */
	ssize_t (*receive)(struct net *net, unsigned int pair, const struct iovec *iov,
			   unsigned int count);
	/* The driver takes frames with these features (of section 5.1.3). May be NULL. */
	void (*set_offloads)(struct net *net, uint64_t features);
	/* Use this many queue pairs. May be NULL. */
	void (*set_pairs)(struct net *net, unsigned int count);
	void (*destroy)(struct net *net);
};

struct net {
	const struct net_ops *ops;
	unsigned int pairs;
	int fd[NET_MAX_PAIRS]; /* to poll, one for each pair */
	uint64_t features;     /* of section 5.1.3, that need the back end's help */
	uint16_t mtu;          /* 0: the driver's choice */
};

struct vm_network;

/* 0; else a negative errno, said to the user. */
int net_tap_open(const struct vm_network *config, unsigned int pairs, struct net **net_out);
int net_user_open(const struct vm_network *config, struct net **net_out);

#endif
