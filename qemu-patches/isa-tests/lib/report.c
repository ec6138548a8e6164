// SPDX-License-Identifier: GPL-2.0-or-later
/* The console, TAP, and the little of libc that the compiler wants. */
#include "isatest.h"

#define UART 0x10000000ul
#define UART_LSR 5
#define UART_LSR_DR 0x01
#define UART_LSR_THRE 0x20
#define UART_LSR_TEMT 0x40
#define SIFIVE_TEST 0x100000ul
#define MTIMECMP 0x2004000ul /* of the first hart; 8 bytes each */
#define TEST_PASS 0x5555
#define TEST_FAIL 0x13333

static struct {
	unsigned int cases, failed_cases;
	unsigned int checks, complaints;
	bool open;
	char name[160];
	char note[160];
} tap;

static void put_char(char c)
{
	volatile u8 *uart = (volatile u8 *)UART;

	while (!(uart[UART_LSR] & UART_LSR_THRE))
		;
	uart[0] = c;
}

struct sink {
	char *at, *end;
};

static void emit(struct sink *s, char c)
{
	if (s->at < s->end)
		*s->at++ = c;
}

static void emit_number(struct sink *s, u64 v, unsigned int base, bool negative, int width,
			char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative)
		digits[n++] = '-';
	while (width-- > n)
		emit(s, pad);
	while (n)
		emit(s, digits[--n]);
}

/* %s %c %d %u %x %lu %lx %ld with width and zero padding, %%. */
void vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct sink s = {buf, buf + size - 1};

	for (; *fmt; fmt++) {
		char pad = ' ';
		int width = 0;
		bool wide = false;

		if (*fmt != '%') {
			emit(&s, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == '#')
			fmt++;
		if (*fmt == '0')
			pad = '0';
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + *fmt++ - '0';
		while (*fmt == 'l') {
			wide = true;
			fmt++;
		}
		if (*fmt == 's') {
			const char *str = va_arg(args, const char *);

			while (*str)
				emit(&s, *str++);
		} else if (*fmt == 'c') {
			emit(&s, va_arg(args, int));
		} else if (*fmt == 'd') {
			long v = wide ? va_arg(args, long) : va_arg(args, int);

			emit_number(&s, v < 0 ? -(u64)v : (u64)v, 10, v < 0, width, pad);
		} else if (*fmt == 'u' || *fmt == 'x') {
			u64 v = wide ? va_arg(args, unsigned long) : va_arg(args, unsigned int);

			emit_number(&s, v, *fmt == 'x' ? 16 : 10, false, width, pad);
		} else {
			emit(&s, *fmt);
		}
	}
	*s.at = 0;
}

void print(const char *fmt, ...)
{
	char line[400];
	va_list args;

	va_start(args, fmt);
	vformat(line, sizeof(line), fmt, args);
	va_end(args);
	for (const char *c = line; *c; c++)
		put_char(*c);
}

static void finish_case(void)
{
	bool ok = tap.checks && !tap.complaints;

	if (!tap.open)
		return;
	tap.open = false;
	tap.cases++;
	tap.failed_cases += !ok;
	if (!tap.checks)
		print("# nothing was checked\n");
	print("%sok %u - %s\n", ok ? "" : "not ", tap.cases, tap.name);
}

void test(const char *fmt, ...)
{
	va_list args;

	finish_case();
	va_start(args, fmt);
	vformat(tap.name, sizeof(tap.name), fmt, args);
	va_end(args);
	tap.open = true;
	tap.checks = 0;
	tap.complaints = 0;
	tap.note[0] = 0;
}

void note(const char *fmt, ...)
{
	va_list args;

	tap.note[0] = 0;
	if (!fmt)
		return;
	va_start(args, fmt);
	vformat(tap.note, sizeof(tap.note), fmt, args);
	va_end(args);
}

static bool complain(const char *file, int line)
{
	if (++tap.complaints > MAX_COMPLAINTS)
		return false;
	print("# %s:%d: %s%s", file, line, tap.note, tap.note[0] ? ": " : "");
	return true;
}

bool check(bool ok, const char *file, int line, const char *what, u64 got, u64 want)
{
	(void)got;
	(void)want;
	tap.checks++;
	if (!ok && complain(file, line))
		print("not true: %s\n", what);
	return ok;
}

bool check_eq(const char *file, int line, const char *what, u64 got, u64 want)
{
	tap.checks++;
	if (got == want)
		return true;
	if (complain(file, line))
		print("%s is 0x%lx, should be 0x%lx\n", what, got, want);
	return false;
}

static const char *const where_name[] = {"M", "HS", "HU", "VS"};

static void describe(const struct outcome *o)
{
	print("trap to %s%s cause %lx epc %lx tval %lx gpa %lx tinst %lx"
	      " (m %lx@%lx s %lx@%lx hu %lx@%lx vs %lx@%lx)\n",
	      where_name[o->where], o->done ? " (done)" : "", o->cause, o->epc, o->tval, o->gpa,
	      o->tinst, o->mcause, o->mepc, o->scause, o->sepc, o->hucause, o->huepc, o->vscause,
	      o->vsepc);
}

bool check_trap(const char *file, int line, const struct outcome *o, enum where where, u64 cause,
		u64 epc, u64 tval)
{
	tap.checks++;
	if (o->where == where && o->cause == cause && o->epc == epc && o->tval == tval)
		return true;
	if (complain(file, line)) {
		describe(o);
		print("#   should be: to %s cause %lx epc %lx tval %lx\n", where_name[where], cause,
		      epc, tval);
	}
	return false;
}

bool check_done(const char *file, int line, const struct outcome *o)
{
	tap.checks++;
	if (o->done)
		return true;
	if (complain(file, line)) {
		print("should have come to its end: ");
		describe(o);
	}
	return false;
}

u8 read_byte(void)
{
	volatile u8 *uart = (volatile u8 *)UART;

	while (!(uart[UART_LSR] & UART_LSR_DR))
		;
	return uart[0];
}

void power_off(bool ok)
{
	volatile u32 *device = (volatile u32 *)SIFIVE_TEST;
	volatile u8 *uart = (volatile u8 *)UART;

	/* The last line must be out. */
	while (!(uart[UART_LSR] & UART_LSR_TEMT))
		;
	*device = ok ? TEST_PASS : TEST_FAIL;
	for (;;)
		;
}

static void finish(void)
{
	finish_case();
	print("1..%u\n", tap.cases);
	power_off(!tap.failed_cases);
}

void unexpected_trap(void)
{
	print("Bail out! %s: trap of the test itself, cause %lx epc %lx tval %lx\n", tap.name,
	      csr_read(CSR_MCAUSE), csr_read(CSR_MEPC), csr_read(CSR_MTVAL));
	power_off(false);
}

static void (*volatile hart_function[MAX_HARTS])(void);

__attribute__((weak)) void at_reset(void)
{
}

/* It is 0, so MTIP would be set all the time: QEMU is slower, and more careful, while something is pending. */
static void stop_machine_timer(unsigned int hart)
{
	((volatile u64 *)MTIMECMP)[hart] = ~0ul;
}

void boot_hart(void)
{
	at_reset();
	stop_machine_timer(0);
	fresh();
	test_main();
	finish();
}

void start_hart(unsigned int hart, void (*fn)(void))
{
	__atomic_store_n(&hart_function[hart], fn, __ATOMIC_RELEASE);
}

void boot_other_hart(unsigned int hart)
{
	stop_machine_timer(hart);
	for (;;) {
		void (*fn)(void) = __atomic_load_n(&hart_function[hart], __ATOMIC_ACQUIRE);

		if (fn) {
			fn();
			__atomic_store_n(&hart_function[hart], NULL, __ATOMIC_RELEASE);
		}
	}
}

void *memset(void *dst, int c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile u8 *)dst)[i] = c;
	return dst;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile u8 *)dst)[i] = ((const u8 *)src)[i];
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (size_t i = 0; i < n; i++)
		if (p[i] != q[i])
			return p[i] - q[i];
	return 0;
}
