/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UART as Linux's 8250 driver and small polling payloads use it. */
#include "fake_board.h"

#include "dev/board.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, FCR = IIR, DLL = RBR, DLM = IER };

#define RDI 0x01
#define THRI 0x02
#define RLSI 0x04
#define MSI 0x08

#define NO_INTERRUPT 0x01
#define FIFO_ON 0xc0

#define DR 0x01
#define OE 0x02
#define THRE_TEMT 0x60

/* The line into the interrupt controller. */
static bool uart_line;

static void set_line(struct irqchip *chip, unsigned int irq, bool level)
{
	(void)chip;
	assert_int_equal(irq, 10);
	uart_line = level;
}

static uint64_t hot_line(struct irqchip *irqchip, uint64_t irq, bool level)
{
	set_line(irqchip, (unsigned int)irq, level);
	return 0;
}

static struct irqchip chip = {.set_line = set_line, .hot_line = hot_line};

static int setup(void **state)
{
	(void)state;
	uart_line = false;
	board_setup(1);
	irqchip_register(&board.vm, &chip);
	return uart16550_create(&board.vm);
}

static int teardown(void **state)
{
	(void)state;
	board_teardown();
	return 0;
}

static uint8_t in(unsigned int reg)
{
	return (uint8_t)guest_read(BOARD_UART_BASE + reg, 1);
}

static void out(unsigned int reg, unsigned int val)
{
	guest_write(BOARD_UART_BASE + reg, 1, val);
}

static void type(const char *text)
{
	assert_int_equal(console_feed(board.vm.console, text, strlen(text)), strlen(text));
}

static void assert_output(const char *expected)
{
	char buf[64] = {0};

	console_fetch(board.vm.console, buf, sizeof(buf) - 1);
	assert_string_equal(buf, expected);
}

static void fill_output(void)
{
	while (console_write(board.vm.console, "x", 1))
		;
}

static void drain_output(void)
{
	char buf[256];

	while (console_fetch(board.vm.console, buf, sizeof(buf)))
		;
}

static void test_power_on_values(void **state)
{
	(void)state;
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), NO_INTERRUPT);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), THRE_TEMT);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(SCR), 0);
	assert_false(uart_line);
}

static void test_registers_hold(void **state)
{
	(void)state;
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	out(LCR, 0x83);
	out(DLL, 0x34);
	out(DLM, 0x12);
	assert_int_equal(in(DLL), 0x34);
	assert_int_equal(in(DLM), 0x12);
	assert_int_equal(in(LCR), 0x83);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x0f);
	/* Nothing of this was sent. */
	assert_output("");
}

/* The 8250 driver tells a 16550A by IIR's upper bits. */
static void test_fifo_detection(void **state)
{
	(void)state;
	assert_int_equal(in(IIR)&FIFO_ON, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR), FIFO_ON | NO_INTERRUPT);
	/* No 64-byte FIFO (16750), with DLAB or without. */
	out(LCR, 0x80);
	out(FCR, 0x21);
	assert_int_equal(in(IIR), FIFO_ON | NO_INTERRUPT);
	out(LCR, 0);
	out(FCR, 0);
	assert_int_equal(in(IIR), NO_INTERRUPT);
}

static void test_transmit(void **state)
{
	(void)state;
	out(THR, 'o');
	assert_int_equal(in(LSR), THRE_TEMT);
	out(THR, 'k');
	assert_output("ok");
}

static void test_thre_interrupt(void **state)
{
	(void)state;
	/* Enabling it interrupts; reading IIR as the source clears it. */
	out(IER, THRI);
	assert_true(uart_line);
	assert_int_equal(in(IIR), 0x02);
	assert_false(uart_line);
	assert_int_equal(in(IIR), NO_INTERRUPT);
	/* Off and on again: the test for UART_BUG_THRE in the driver. */
	out(IER, 0);
	out(IER, THRI);
	assert_true(uart_line);
	assert_int_equal(in(IIR), 0x02);
	/* Each byte that is gone interrupts again. */
	out(THR, 'a');
	assert_true(uart_line);
	/* Setting the same bit again is no new enabling. */
	assert_int_equal(in(IIR), 0x02);
	out(IER, THRI);
	assert_false(uart_line);
}

static void test_busy_when_the_console_is_full(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, THRI);
	in(IIR);
	fill_output();
	for (char c = 'A'; c < 'A' + 16; c++) {
		out(THR, (unsigned int)c);
		assert_int_equal(in(LSR), 0);
	}
	assert_false(uart_line);
	/* The 17th has no room, and nothing is overwritten by it. */
	out(THR, '!');
	drain_output();
	assert_int_equal(in(LSR), THRE_TEMT);
	assert_true(uart_line);
	assert_int_equal(in(IIR), FIFO_ON | 0x02);
	assert_output("");
}

static void test_held_bytes_come_out_in_order(void **state)
{
	char buf[20000] = {0};
	size_t got = 0;
	size_t n;

	(void)state;
	out(FCR, 0x01);
	fill_output();
	for (char c = 'A'; c < 'A' + 16; c++)
		out(THR, (unsigned int)c);
	do {
		n = console_fetch(board.vm.console, buf + got, 100);
		got += n;
	} while (n);
	assert_true(got > 16);
	assert_memory_equal(buf + got - 17, "xABCDEFGHIJKLMNOP", 17);
}

static void test_without_fifo_one_byte_waits(void **state)
{
	(void)state;
	fill_output();
	out(THR, 'a');
	out(THR, 'b');
	drain_output();
	assert_int_equal(in(LSR), THRE_TEMT);
	out(THR, 'c');
	assert_output("c");
}

static void test_clearing_the_transmit_fifo(void **state)
{
	(void)state;
	out(FCR, 0x01);
	fill_output();
	out(THR, 'a');
	assert_int_equal(in(LSR), 0);
	out(FCR, 0x05);
	assert_int_equal(in(LSR), THRE_TEMT);
	drain_output();
	assert_output("");
}

static void test_receive_interrupt(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, RDI);
	assert_false(uart_line);
	type("hi");
	assert_true(uart_line);
	assert_int_equal(in(IIR), FIFO_ON | 0x04);
	assert_int_equal(in(LSR), DR | THRE_TEMT);
	assert_int_equal(in(RBR), 'h');
	assert_true(uart_line);
	assert_int_equal(in(RBR), 'i');
	assert_false(uart_line);
	assert_int_equal(in(LSR), THRE_TEMT);
	assert_int_equal(in(IIR), FIFO_ON | NO_INTERRUPT);
}

static void test_trigger_level_and_timeout(void **state)
{
	(void)state;
	out(FCR, 0x81); /* 8 bytes */
	out(IER, RDI);
	type("1234567");
	assert_true(uart_line);
	assert_int_equal(in(IIR), FIFO_ON | 0x0c);
	type("8");
	assert_int_equal(in(IIR), FIFO_ON | 0x04);
	assert_int_equal(in(RBR), '1');
	assert_int_equal(in(IIR), FIFO_ON | 0x0c);
}

static void test_receive_before_transmit_interrupt(void **state)
{
	(void)state;
	out(IER, RDI | THRI);
	type("a");
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(IIR), 0x02);
	assert_false(uart_line);
}

/* More than the FIFO holds waits in the console; none is lost. */
static void test_long_input(void **state)
{
	char text[1001];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = '\0';
	out(FCR, 0xc1);
	out(IER, RDI);
	type(text);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_true(uart_line);
		assert_int_equal(in(RBR), text[i]);
	}
	assert_false(uart_line);
}

/* What the 8250 driver does when it starts must not eat what was typed before. */
static void test_driver_start_keeps_input(void **state)
{
	(void)state;
	type("typed ahead");
	out(FCR, 0x01);
	out(FCR, 0x07);
	out(FCR, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(in(LSR), THRE_TEMT);
		in(RBR);
		in(IIR);
		in(MSR);
	}
	out(FCR, 0x01);
	out(IER, RDI);
	out(FCR, 0x81);
	assert_true(uart_line);
	assert_int_equal(in(RBR), 't');
}

static void test_polling(void **state)
{
	int polls = 0;

	(void)state;
	assert_int_equal(in(LSR), THRE_TEMT);
	type("ab");
	for (const char *c = "ab"; *c; c++) {
		while (!(in(LSR)&DR))
			assert_true(++polls < 4);
		assert_int_equal(in(RBR), *c);
	}
	assert_int_equal(in(LSR), THRE_TEMT);
	assert_int_equal(in(LSR), THRE_TEMT);
	assert_false(uart_line);
}

static void test_unread_input_stays_for_others(void **state)
{
	char c;

	(void)state;
	type("z");
	in(LSR);
	in(RBR);
	assert_int_equal(console_read(board.vm.console, &c, 1), 1);
	assert_int_equal(c, 'z');
}

static void test_loopback(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x10);
	out(IER, RDI);
	type("line");
	assert_false(uart_line);
	out(THR, 'q');
	assert_true(uart_line);
	assert_int_equal(in(LSR), DR | THRE_TEMT);
	assert_int_equal(in(RBR), 'q');
	assert_int_equal(in(LSR), THRE_TEMT);
	/* Nothing came out; the line is heard again afterwards. */
	assert_output("");
	out(MCR, 0);
	assert_int_equal(in(RBR), 'l');
}

static void test_loopback_overrun(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(MCR, 0x10);
	out(IER, RLSI);
	for (int i = 0; i < 16; i++)
		out(THR, 'a' + (unsigned int)i);
	assert_false(uart_line);
	out(THR, 'z');
	assert_true(uart_line);
	assert_int_equal(in(IIR), FIFO_ON | 0x06);
	assert_int_equal(in(LSR), DR | OE | THRE_TEMT);
	assert_false(uart_line);
	assert_int_equal(in(LSR), DR | THRE_TEMT);
	/* What was there is intact. */
	assert_int_equal(in(RBR), 'a');
	out(FCR, 0x03);
	assert_int_equal(in(LSR), THRE_TEMT);
}

/* The driver's presence test: MCR's outputs appear as MSR's inputs. */
static void test_loopback_modem_lines(void **state)
{
	static const struct {
		uint8_t mcr;
		uint8_t msr;
	} wire[] = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40}, {0x08, 0x80}, {0x0a, 0x90}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wire); i++) {
		out(MCR, 0x10 | wire[i].mcr);
		assert_int_equal(in(MSR)&0xf0, wire[i].msr);
	}
	out(MCR, 0);
	assert_int_equal(in(MSR)&0xf0, 0xb0);
}

static void test_modem_status_interrupt(void **state)
{
	(void)state;
	out(MCR, 0x14); /* loopback, OUT1: RI rises, the others fall */
	in(MSR);
	out(IER, MSI);
	assert_false(uart_line);
	out(MCR, 0x10); /* the trailing edge of RI */
	assert_true(uart_line);
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0x04);
	assert_false(uart_line);
	out(MCR, 0x14); /* its rising edge does not count */
	assert_false(uart_line);
	out(MCR, 0x12);
	assert_int_equal(in(MSR), 0x15);
}

static void test_beyond_the_registers(void **state)
{
	uint64_t val;

	(void)state;
	assert_int_equal(bus_read(&board.vm.bus, BOARD_UART_BASE + 8, 1, &val), -6);
	assert_int_equal(bus_write(&board.vm.bus, BOARD_UART_BASE + 0xff, 1, 0), -6);
	/* A wide access reaches the register at its address. */
	guest_write(BOARD_UART_BASE + 4, 4, 0xffffff02);
	assert_int_equal(in(MCR), 0x02);
	assert_int_equal(guest_read(BOARD_UART_BASE + 4, 4), 0x02);
}

static void test_reset(void **state)
{
	(void)state;
	out(FCR, 0x01);
	out(IER, THRI | RDI);
	out(LCR, 0x83);
	type("kept");
	assert_true(uart_line);
	bus_reset(&board.vm.bus);
	assert_false(uart_line);
	test_power_on_values(state);
	out(IER, RDI);
	assert_int_equal(in(RBR), 'k');
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_power_on_values),
		TEST(test_registers_hold),
		TEST(test_fifo_detection),
		TEST(test_transmit),
		TEST(test_thre_interrupt),
		TEST(test_busy_when_the_console_is_full),
		TEST(test_held_bytes_come_out_in_order),
		TEST(test_without_fifo_one_byte_waits),
		TEST(test_clearing_the_transmit_fifo),
		TEST(test_receive_interrupt),
		TEST(test_trigger_level_and_timeout),
		TEST(test_receive_before_transmit_interrupt),
		TEST(test_long_input),
		TEST(test_driver_start_keeps_input),
		TEST(test_polling),
		TEST(test_unread_input_stays_for_others),
		TEST(test_loopback),
		TEST(test_loopback_overrun),
		TEST(test_loopback_modem_lines),
		TEST(test_modem_status_interrupt),
		TEST(test_beyond_the_registers),
		TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
