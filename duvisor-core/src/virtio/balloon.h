/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the user may ask of the balloon while the VM runs. The I/O thread. */
#ifndef DUVISOR_VIRTIO_BALLOON_H
#define DUVISOR_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* A run of free page hinting (virtio 1.2, section 5.5.6.5). */
enum balloon_hinting {
	BALLOON_HINTING_NONE,
	BALLOON_HINTING_ASKED,   /* the guest has not begun */
	BALLOON_HINTING_RUNNING, /* it names its free pages */
	BALLOON_HINTING_DONE,    /* all of them are the host's, and the guest may use them again */
};

/* In bytes. */
struct balloon_status {
	uint64_t target;   /* what the guest is asked to do without */
	uint64_t actual;   /* what it says that it does without */
	uint64_t reported; /* given back by free page reporting, since the VM began */
	uint64_t hinted;   /* likewise, by hinting */
	enum balloon_hinting hinting;
	bool has_guest; /* the guest has said the following, guest_age_ms ago */
	uint64_t guest_total;
	uint64_t guest_free;
	uint64_t guest_available;
	uint64_t guest_caches;
	uint64_t guest_age_ms;
};

/* False: the VM has no balloon. Also asks the guest to say anew how much memory it has, for the next time. */
bool balloon_get_status(struct vm *vm, struct balloon_status *status);

/* Ask the guest to do without size bytes, a multiple of 4 KiB. 0; -ENODEV: no balloon; -ERANGE: as much as it has. */
int balloon_set_target(struct vm *vm, uint64_t size);

/*
 * Ask the guest which pages are free, and give them back. 0; -ENODEV; -ENOTCONN: the guest has no driver that knows
 * how, yet; -EPERM: its memory is locked.
 */
int balloon_start_hinting(struct vm *vm);

#endif
