/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's own network through passt(1), which we start: no privilege is needed. Over a stream socket, each
 * frame has its length in front, 32 bits in network byte order (passt's QEMU socket protocol). Both directions go
 * through a buffer, so that one system call moves many frames.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "net.h"
#include "types.h"
#include "virtio/iov.h"
#include "vm.h"

#define LENGTH_SIZE sizeof(uint32_t)
#define MAX_FRAME 65535U /* without our header */
#define MIN_FRAME 14U    /* an Ethernet header */
#define BUFFER_SIZE (4 * 65536)
#define MTU 65520 /* what passt announces: no segmentation is needed with packets that large */
#define PASST_BURST (128 * 65536) /* what it sends at once, in bytes: 128 frames */

#define MAX_WORDS 16

struct buffer {
	size_t start; /* what is in use: data[start..end) */
	size_t end;
	uint8_t data[BUFFER_SIZE];
};

struct user {
	struct net net;
	pid_t pid;
	struct buffer out;
	struct buffer in;
	bool drained; /* the last read got all that there was */
};

static struct user *from_net(struct net *net)
{
	return container_of(net, struct user, net);
}

static int user_flush(struct net *net)
{
	struct buffer *out = &from_net(net)->out;

	while (out->start < out->end) {
		ssize_t n = send(net->fd[0], out->data + out->start, out->end - out->start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		/* Nobody is there any more: as with a pulled cable, frames are lost. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			break;
		/* Short of memory as well: behind half a frame, passt would take anything for a length. */
		if (n < 0)
			return -EAGAIN;
		out->start += (size_t)n;
	}
	out->start = out->end = 0;
	return 0;
}

static size_t length_of(const struct iovec *iov, unsigned int count)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Copy the pieces but for their first NET_HEADER bytes, which are about offloads that we did not offer. */
static void copy_frame(uint8_t *to, const struct iovec *iov, unsigned int count)
{
	size_t skip = NET_HEADER;

	for (unsigned int i = 0; i < count; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		memcpy(to, (const uint8_t *)iov[i].iov_base + cut, iov[i].iov_len - cut);
		to += iov[i].iov_len - cut;
		skip -= cut;
	}
}

static int user_send(struct net *net, unsigned int pair, const struct iovec *iov,
		     unsigned int count)
{
	struct buffer *out = &from_net(net)->out;
	size_t len = length_of(iov, count) - NET_HEADER;
	uint32_t prefix = htonl((uint32_t)len);

	(void)pair;
	if (len < MIN_FRAME || len > MAX_FRAME)
		return -EMSGSIZE;
	if (sizeof(out->data) - out->end < LENGTH_SIZE + len && user_flush(net))
		return -EAGAIN;
	memcpy(out->data + out->end, &prefix, LENGTH_SIZE);
	copy_frame(out->data + out->end + LENGTH_SIZE, iov, count);
	out->end += LENGTH_SIZE + len;
	return 0;
}

/* Make room for a whole frame, and read as much as there is. */
static int fill(struct user *user)
{
	struct buffer *in = &user->in;
	size_t room;
	ssize_t n;

	memmove(in->data, in->data + in->start, in->end - in->start);
	in->end -= in->start;
	in->start = 0;
	room = sizeof(in->data) - in->end;
	n = recv(user->net.fd[0], in->data + in->end, room, MSG_DONTWAIT);
	user->drained = n >= 0 && (size_t)n < room;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	in->end += (size_t)n;
	return n ? 0 : -EPIPE;
}

/* The length of the whole frame at the front; -EAGAIN: not all of it is there; -EPIPE: nonsense. */
static ssize_t front_frame(const struct buffer *in)
{
	size_t have = in->end - in->start;
	uint32_t len;

	if (have < LENGTH_SIZE)
		return -EAGAIN;
	memcpy(&len, in->data + in->start, LENGTH_SIZE);
	len = ntohl(len);
	if (len > MAX_FRAME)
		return -EPIPE;
	return have - LENGTH_SIZE < len ? -EAGAIN : (ssize_t)len;
}

static ssize_t user_receive(struct net *net, unsigned int pair, const struct iovec *iov,
			    unsigned int count)
{
	static const uint8_t header[NET_HEADER];
	struct user *user = from_net(net);
	struct buffer *in = &user->in;
	ssize_t len = front_frame(in);

	(void)pair;
	(void)count;
	if (len == -EAGAIN) {
		/* Once, a system call is saved that would find nothing. */
		int err = user->drained ? -EAGAIN : fill(user);

		len = err ?: front_frame(in);
		user->drained &= len >= 0;
	}
	if (len < 0)
		return len;
	iov_copy_to(iov, 0, header, NET_HEADER);
	iov_copy_to(iov, NET_HEADER, in->data + in->start + LENGTH_SIZE, (size_t)len);
	in->start += LENGTH_SIZE + (size_t)len;
	return len + NET_HEADER;
}

static void user_destroy(struct net *net)
{
	struct user *user = from_net(net);

	/* It ends when its only connection does. */
	close(net->fd[0]);
	if (user->pid > 0)
		child_wait(user->pid);
	free(user);
}

static const struct net_ops user_ops = {
	.send = user_send,
	.flush = user_flush,
	.receive = user_receive,
	.destroy = user_destroy,
};

/* A child with no signal blocked, as a shell would start it. */
static int spawn(char *const *words, pid_t *pid)
{
	posix_spawnattr_t attr;
	sigset_t none;
	int err;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	/* Ctrl-C on the terminal is for us. */
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	err = posix_spawnp(pid, words[0], NULL, &attr, words, environ);
	posix_spawnattr_destroy(&attr);
	return -err;
}

static int start_passt(struct user *user, const struct vm_network *config, int fd)
{
	char number[16];
	/* The gateway's address is the gateway's, not another name of the host. */
	char *words[MAX_WORDS] = {"passt",       "--foreground", "--quiet",
				  "--no-map-gw", "--fd",         number};
	unsigned int count = 6;

	/* It would choose the same, but not without saying so. */
	if (!geteuid()) {
		words[count++] = "--runas";
		words[count++] = "65534:65534";
	}
	snprintf(number, sizeof(number), "%d", fd);
	if (*config->tcp) {
		words[count++] = "--tcp-ports";
		words[count++] = (char *)config->tcp;
	}
	if (*config->udp) {
		words[count++] = "--udp-ports";
		words[count++] = (char *)config->udp;
	}
	return spawn(words, &user->pid);
}

/*
 * passt drops frames that its socket does not take, and the passt of May 2025 is not good at it: if there are some without
 * data among them, it crashes or waits for good. Without privilege the kernel gives as much as net.core.wmem_max.
 */
static void give_room_for_burst(int fd)
{
	int size = PASST_BURST;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int connect_passt(struct user *user, const struct vm_network *config)
{
	int pair[2];
	int err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	user->net.fd[0] = pair[0];
	give_room_for_burst(pair[1]);
	/* Its half lives on in the child. */
	err = dup(pair[1]);
	close(pair[1]);
	if (err < 0)
		return -errno;
	pair[1] = err;
	err = start_passt(user, config, pair[1]);
	close(pair[1]);
	return err;
}

int net_user_open(const struct vm_network *config, struct net **net_out)
{
	struct user *user = calloc(1, sizeof(*user));
	int err;

	if (!user)
		return -ENOMEM;
	user->net = (struct net){.ops = &user_ops, .pairs = 1, .fd = {-1}, .mtu = MTU};
	err = connect_passt(user, config);
	if (err) {
		log_error("cannot start passt, which mode=user needs: %s", strerror(-err));
		user->pid = 0;
		user_destroy(&user->net);
		return err;
	}
	*net_out = &user->net;
	return 0;
}
