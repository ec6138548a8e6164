/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "network.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"
#include "vm.h"
#include "words.h"

#define WORD_SIZE 256
#define MAC_SIZE 6

struct parse {
	struct vm_network *network;
	char *why;
	size_t size;
};

struct key {
	const char *name;
	int (*parse)(struct parse *parse, const char *value);
};

static int complain(struct parse *parse, const char *text)
{
	snprintf(parse->why, parse->size, "%s", text);
	return -1;
}

static int parse_mode(struct parse *parse, const char *value)
{
	static const char *const modes[] = {
		[VM_NETWORK_NONE] = "none",
		[VM_NETWORK_USER] = "user",
		[VM_NETWORK_TAP] = "tap",
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(value, modes[i])) {
			parse->network->mode = (enum vm_network_mode)i;
			return 0;
		}
	}
	return complain(parse, "the modes are none, user and tap");
}

static int parse_tapif(struct parse *parse, const char *value)
{
	size_t len = strlen(value);

	if (!len || len >= sizeof(parse->network->tap) || strchr(value, '/'))
		return complain(parse, "tapif is the name of a network interface");
	memcpy(parse->network->tap, value, len + 1);
	return 0;
}

/* "02:00:00:00:00:01", and nothing else. */
static bool read_mac(uint8_t *mac, const char *value)
{
	for (unsigned int i = 0; i < MAC_SIZE; i++, value += 3) {
		char end = i + 1 < MAC_SIZE ? ':' : '\0';

		if (!isxdigit(value[0]) || !isxdigit(value[1]) || value[2] != end)
			return false;
		mac[i] = (uint8_t)strtoul(value, NULL, 16);
	}
	return true;
}

static int parse_mac(struct parse *parse, const char *value)
{
	if (!read_mac(parse->network->mac, value))
		return complain(parse,
				"mac is six pairs of hexadecimal digits with colons between");
	if (parse->network->mac[0] & 1)
		return complain(parse, "mac is the address of a group, its first byte is odd");
	parse->network->mac_set = true;
	return 0;
}

/* Digits, ranges and addresses: passt says what is wrong with them. */
static int add_ports(struct parse *parse, char *list, const char *value)
{
	size_t have = strlen(list);

	if (!*value || strspn(value, "0123456789-:./%abcdefghijklmnopqrstuvwxyz") != strlen(value))
		return complain(parse, "ports are HOST or HOST:GUEST, ranges with a hyphen");
	if (have + strlen(value) + 2 > VM_PORTS_SIZE)
		return complain(parse, "too many ports");
	snprintf(list + have, VM_PORTS_SIZE - have, "%s%s", have ? "," : "", value);
	return 0;
}

static int parse_tcp(struct parse *parse, const char *value)
{
	return add_ports(parse, parse->network->tcp, value);
}

static int parse_udp(struct parse *parse, const char *value)
{
	return add_ports(parse, parse->network->udp, value);
}

static const struct key keys[] = {
	{"mode", parse_mode}, {"tapif", parse_tapif}, {"mac", parse_mac},
	{"tcp", parse_tcp},   {"udp", parse_udp},
};

static int parse_word(struct parse *parse, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = words_value(word, keys[i].name);

		if (value)
			return keys[i].parse(parse, value);
	}
	return complain(parse, "words are mode=, tapif=, mac=, tcp= and udp=");
}

/* Words that mean nothing in the mode are mistakes. */
static int check(struct parse *parse)
{
	const struct vm_network *network = parse->network;

	if (*network->tap && network->mode != VM_NETWORK_TAP)
		return complain(parse, "tapif is for mode=tap");
	if ((*network->tcp || *network->udp) && network->mode != VM_NETWORK_USER)
		return complain(parse, "tcp and udp are for mode=user");
	return 0;
}

int network_parse(struct vm_network *network, const char *arg, char *why, size_t size)
{
	struct parse parse = {.network = network, .why = why, .size = size};
	char word[WORD_SIZE];
	const char *at = arg;
	bool too_long = false;

	*network = (struct vm_network){.mode = VM_NETWORK_NONE};
	/* As other hypervisors have it. */
	if (!strcmp(arg, "none"))
		return 0;
	while (words_next(&at, word, sizeof(word), &too_long))
		if (parse_word(&parse, word))
			return -1;
	return too_long ? complain(&parse, "a word is too long") : check(&parse);
}
