// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest.h"

void guest_print(const char *text)
{
	for (; *text; text++)
		sbi_call(SBI_EXT_DBCN, 2, *text, 0, 0);
}

void guest_print_number(uint64_t number)
{
	char digits[21];
	unsigned int at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	guest_print(digits + at);
}

static unsigned int checked;
static int failures;

void guest_check(const char *name, int good)
{
	failures += !good;
	guest_print(good ? "ok " : "not ok ");
	guest_print_number(++checked);
	guest_print(" - ");
	guest_print(name);
	guest_print("\n");
}

int guest_checked(void)
{
	guest_print("1..");
	guest_print_number(checked);
	guest_print("\n");
	return failures;
}

/* Cells of the device tree: its header, and the tokens of its structure (DTSpec 0.4, chapter 5). */
enum { TOTAL_SIZE = 1, OFF_STRUCT = 2, OFF_STRINGS = 3 };
enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4 };

static uint32_t cell(const void *at)
{
	const uint8_t *byte = at;

	return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

int guest_tree_mentions(const void *fdt, const char *text)
{
	const char *at = fdt;
	const char *end = at + cell(at + 4 * TOTAL_SIZE);

	while (at < end && !equal(at, text))
		at++;
	return at < end;
}

static uint64_t align4(uint64_t size)
{
	return (size + 3) & ~3ul;
}

static const char *command_line(const char *fdt)
{
	const char *at = fdt + cell(fdt + 4 * OFF_STRUCT);

	for (;;) {
		uint32_t token = cell(at);

		at += 4;
		if (token == BEGIN_NODE) {
			uint64_t len = 0;

			while (at[len])
				len++;
			at += align4(len + 1);
		} else if (token == PROP) {
			const char *name = fdt + cell(fdt + 4 * OFF_STRINGS) + cell(at + 4);

			if (equal(name, "bootargs"))
				return at + 8;
			at += 8 + align4(cell(at));
		} else if (token != END_NODE && token != NOP) {
			return "";
		}
	}
}

uint64_t guest_option(const void *fdt, const char *name, uint64_t other)
{
	const char *at = command_line(fdt);

	while (*at) {
		const char *n = name;
		uint64_t value = 0;

		while (*n && *at == *n)
			at++, n++;
		if (!*n && *at == '=') {
			while (*++at >= '0' && *at <= '9')
				value = value * 10 + (uint64_t)(*at - '0');
			return value;
		}
		while (*at && *at++ != ' ')
			;
	}
	return other;
}

void guest_exit(int status)
{
	sbi_call(SBI_EXT_SRST, 0, 0, status ? 1 : 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void guest_trap(uint64_t cause, uint64_t pc, uint64_t value)
{
	guest_print("unexpected trap: cause ");
	guest_print_number(cause);
	guest_print(" pc ");
	guest_print_number(pc);
	guest_print(" value ");
	guest_print_number(value);
	guest_print("\n");
	guest_exit(1);
}
