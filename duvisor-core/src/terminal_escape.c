/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal_escape.h"

#define CTRL_A 0x01

enum terminal_action terminal_escape_feed(struct terminal_escape *escape, uint8_t byte,
					  uint8_t out[2], size_t *len)
{
	bool armed = escape->armed;

	*len = 0;
	escape->armed = !armed && byte == CTRL_A;
	if (escape->armed)
		return TERMINAL_PASS;
	if (armed && (byte == 'x' || byte == 'X'))
		return TERMINAL_QUIT;
	if (armed && (byte == 'h' || byte == 'H' || byte == '?'))
		return TERMINAL_HELP;
	if (armed && byte != CTRL_A)
		out[(*len)++] = CTRL_A;
	out[(*len)++] = byte;
	return TERMINAL_PASS;
}
