/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is typed for the VM and what for us: Ctrl-A introduces a command. */
#ifndef DUVISOR_TERMINAL_ESCAPE_H
#define DUVISOR_TERMINAL_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct terminal_escape {
	bool armed; /* the last byte was Ctrl-A */
};

enum terminal_action { TERMINAL_PASS, TERMINAL_QUIT, TERMINAL_HELP };

/*
 * Take one typed byte. Stores what goes to the guest in out (0 to 2 bytes) and their number in *len. Ctrl-A x quits,
 * Ctrl-A h helps, Ctrl-A Ctrl-A is one Ctrl-A; any other byte behind Ctrl-A passes together with it, so that
 * a guest's line editor gets what was meant for it.
 */
enum terminal_action terminal_escape_feed(struct terminal_escape *escape, uint8_t byte,
					  uint8_t out[2], size_t *len);

#endif
