/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 9P transport (virtio 1.2, appendix of device ids: 9, and Linux' driver): a request in what the device may read, room
 * for the reply in what it may write. Messages go to the server of the directory (p9/process.h) one at a time, and without
 * waiting for it: the rest waits in the guest's ring.
 */
#include <errno.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dev/board.h"
#include "io.h"
#include "log.h"
#include "p9/process.h"
#include "p9/wire.h"
#include "virtio/iov.h"
#include "virtio/virtio.h"
#include "vm.h"

enum state {
	IDLE,
	ASKING,  /* some of the message is still to be sent */
	WAITING, /* for the reply, or the rest of it */
	DEAD,    /* the server is gone */
};

struct share {
	struct virtio virtio;
	struct p9_process process;
	enum state state;
	bool cancelled; /* the guest does not want the reply any more, nor is its memory ours */
	struct virtq_chain chain;
	uint16_t tag;
	uint32_t
		size; /* of the message; of the reply, or of its header as long as that is not whole */
	uint32_t done;
	uint8_t message[P9_MAX_MESSAGE];
	struct {
		uint16_t tag_len;
		char tag[VM_SHARE_TAG_SIZE];
	} config;
};

static struct share *from_virtio(struct virtio *virtio)
{
	return container_of(virtio, struct share, virtio);
}

static struct io *io_of(const struct share *share)
{
	return &share->virtio.dev.vm->io;
}

static void set_state(struct share *share, enum state state)
{
	static const short events[] = {[ASKING] = POLLOUT, [WAITING] = POLLIN, [DEAD] = 0};

	share->state = state;
	share->virtio.queue[0].wanted = state == IDLE || state == DEAD;
	io_set_events(io_of(share), share->process.fd, events[state]);
}

/* Give share->message, of share->size bytes, to the guest. */
static void give_reply(struct share *share)
{
	struct iov_cursor in = virtq_in(&share->chain);

	if (share->cancelled)
		return;
	if (share->size > share->chain.in_len) {
		virtio_fail(&share->virtio, "no room for a 9P reply");
		return;
	}
	iov_write(&in, share->message, share->size);
	virtio_push(&share->virtio, 0, share->chain.id, share->chain.slots, share->size);
	virtio_signal(&share->virtio, 0);
}

/* Rlerror: ecode[4] */
static void give_error(struct share *share)
{
	struct p9_out out = {.at = share->message, .left = P9_MIN_REPLY};

	p9_give32(&out, P9_MIN_REPLY);
	p9_give8(&out, P9_RLERROR);
	p9_give16(&out, share->tag);
	p9_give32(&out, EIO);
	share->size = P9_MIN_REPLY;
	give_reply(share);
}

/* From now on each request is answered with an error. */
static void server_is_gone(struct share *share)
{
	bool asked = share->state != IDLE;

	log_error("the process that shares a directory with the guest is gone; so is the share");
	io_remove(io_of(share), share->process.fd);
	set_state(share, DEAD);
	if (asked)
		give_error(share);
}

/* A transfer of n bytes, or an error in errno. False: nothing for now. */
static bool moved(struct share *share, ssize_t n)
{
	if (n > 0) {
		share->done += (uint32_t)n;
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		server_is_gone(share);
	return false;
}

static void send_message(struct share *share)
{
	while (share->done < share->size &&
	       moved(share,
		     send(share->process.fd, share->message + share->done,
			  share->size - share->done, MSG_DONTWAIT | MSG_NOSIGNAL)))
		;
	if (share->state != ASKING || share->done < share->size)
		return;
	share->done = 0;
	set_state(share, WAITING);
}

static uint32_t size_of(const uint8_t *message)
{
	struct p9_in in = {.at = message, .left = 4};

	return p9_take32(&in);
}

/* Take the guest's message out of its memory. False: it is none. */
static bool take_message(struct share *share)
{
	struct iov_cursor out = virtq_out(&share->chain);

	if (share->chain.out_len < P9_HEADER || share->chain.in_len < P9_MIN_REPLY)
		return false;
	iov_read(&out, share->message, P9_HEADER);
	share->size = size_of(share->message);
	if (share->size < P9_HEADER || share->size > P9_MAX_MESSAGE ||
	    share->size > share->chain.out_len)
		return false;
	iov_read(&out, share->message + P9_HEADER, share->size - P9_HEADER);
	share->tag = (uint16_t)(share->message[5] | share->message[6] << 8);
	return true;
}

static void ask_server(struct share *share)
{
	share->done = 0;
	set_state(share, ASKING);
	send_message(share);
}

static void share_kick(struct virtio *virtio, unsigned int index)
{
	struct share *share = from_virtio(virtio);

	while ((share->state == IDLE || share->state == DEAD) &&
	       virtio_pop(virtio, index, &share->chain)) {
		share->cancelled = false;
		if (!take_message(share))
			virtio_fail(virtio, "a 9P message of a wrong size, or no room for a reply");
		else if (share->state == DEAD)
			give_error(share);
		else
			ask_server(share);
	}
}

static void finish(struct share *share)
{
	set_state(share, IDLE);
	give_reply(share);
}

/* Is the reply whole? -EPROTO: it is none: the server is no more trusted than the guest. */
static int reply_state(struct share *share)
{
	if (share->done < P9_HEADER)
		return 0;
	share->size = size_of(share->message);
	if (share->size < P9_HEADER || share->size > P9_MAX_MESSAGE || share->done > share->size)
		return -EPROTO;
	return share->done == share->size;
}

static void receive_reply(struct share *share)
{
	int whole = 0;

	while (!whole &&
	       moved(share,
		     recv(share->process.fd, share->message + share->done,
			  P9_MAX_MESSAGE - share->done, MSG_DONTWAIT)))
		whole = reply_state(share);
	if (whole < 0)
		server_is_gone(share);
	else if (whole)
		finish(share);
}

static void server_event(void *opaque, int fd, short revents)
{
	struct share *share = opaque;

	(void)fd;
	(void)revents;
	if (share->state == ASKING)
		send_message(share);
	else if (share->state == WAITING)
		receive_reply(share);
	else
		server_is_gone(share);
}

static void share_start(struct virtio *virtio)
{
	struct share *share = from_virtio(virtio);

	set_state(share, share->state);
}

static void share_stop_queue(struct virtio *virtio, unsigned int index)
{
	(void)index;
	from_virtio(virtio)->cancelled = true;
}

static void share_destroy(struct virtio *virtio)
{
	struct share *share = from_virtio(virtio);

	if (share->process.fd >= 0 && share->state != DEAD)
		io_remove(io_of(share), share->process.fd);
	p9_process_end(&share->process);
	free(share);
}

static const struct virtio_ops share_ops = {
	.name = "virtio-9p",
	.start = share_start,
	.stop_queue = share_stop_queue,
	.kick = share_kick,
	.destroy = share_destroy,
};

static int start_server(struct share *share, struct vm *vm, const struct vm_share *config)
{
	int err = p9_process_start(&share->process, config->path, config->read_only,
				   vm->config->no_sandbox);

	if (err) {
		log_error("cannot share the directory '%s': %s", config->path, strerror(-err));
		return VM_EXIT_USAGE;
	}
	return io_add(&vm->io, share->process.fd, 0, server_event, share);
}

static int create(struct vm *vm, const struct vm_share *config)
{
	struct share *share = calloc(1, sizeof(*share));
	struct virtio_init init;
	int err;

	if (!share)
		return -ENOMEM;
	share->virtio.dev.vm = vm;
	share->process.fd = -1;
	share->config.tag_len = (uint16_t)strlen(config->tag);
	memcpy(share->config.tag, config->tag, share->config.tag_len);
	init = (struct virtio_init){.ops = &share_ops,
				    .id = VIRTIO_ID_9P,
				    .features = 1ULL << VIRTIO_9P_MOUNT_TAG,
				    .config = &share->config,
				    .config_size = sizeof(uint16_t) + share->config.tag_len,
				    .queue_count = 1};
	err = start_server(share, vm, config) ?: virtio_init(&share->virtio, vm, &init);
	if (err)
		share_destroy(&share->virtio);
	return err;
}

int virtio_share_create(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->config->share_count; i++) {
		int err = create(vm, &vm->config->share[i]);

		if (err)
			return err;
	}
	return 0;
}
