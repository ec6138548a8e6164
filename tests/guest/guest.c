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
