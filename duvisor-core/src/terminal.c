/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "console.h"
#include "io.h"
#include "log.h"
#include "quit.h"
#include "terminal_escape.h"
#include "terminal_guard.h"
#include "vm.h"

#define INPUT_SIZE 512
#define OUTPUT_SIZE 4096
#define MAX_ROUNDS 8 /* of output, before other events get their turn */
#define BLOCKING_WRITE 256
#define FLUSH_MS 2000

/*
 * Guests write byte by byte. Looking only this long after the first byte lets some gather, and saves
 * both sides the system calls for each; nobody sees the difference.
 */
#define GATHER_NS 1000000

/* What the output waits for. */
enum output_state {
	OUTPUT_IDLE,    /* the guest to write something */
	OUTPUT_GATHER,  /* more of it */
	OUTPUT_BLOCKED, /* room in out */
};

struct terminal {
	int in;
	int out;
	bool in_is_tty;
	bool out_nonblocking; /* out is ours and never blocks */
	bool out_dead;        /* nobody reads it */
	bool reading;         /* in is in the event loop */
	struct termios saved;
	struct terminal_guard guard;
	struct terminal_escape escape;
	struct vm *vm; /* NULL: not attached */
	enum output_state output_state;
	int gather_fd; /* timerfd */
	int signal_fd;
	struct quit quit;
	int signal;
	sigset_t old_mask;
	struct sigaction old_pipe;
	size_t pending; /* output that out has not taken: pending bytes from start */
	size_t start;
	uint8_t output[OUTPUT_SIZE];
};

static const char help_text[] = "\r\nCtrl-A x       end the VM\r\n"
				"Ctrl-A h       this help\r\n"
				"Ctrl-A Ctrl-A  send Ctrl-A\r\n";

/*
 * O_NONBLOCK belongs to the open file and so to everybody who shares our standard output: open another
 * one of the same thing. Where that is impossible (sockets, a terminal of somebody else),
 * writes are small and made only when poll() promises room.
 */
static void choose_output(struct terminal *term, int out)
{
	char path[32];
	struct stat st;
	int fd;

	term->out = out;
	if (fstat(out, &st) || (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode)))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	term->out = fd;
	term->out_nonblocking = true;
}

struct terminal *terminal_create(int in, int out)
{
	struct terminal *term = calloc(1, sizeof(*term));
	int err = term ? 0 : -ENOMEM;

	if (!err) {
		term->in = in;
		term->gather_fd = term->signal_fd = term->quit.fd = -1;
		term->in_is_tty = !tcgetattr(in, &term->saved);
		if (term->in_is_tty)
			err = terminal_guard_start(&term->guard, in, &term->saved);
	}
	if (err) {
		log_error("cannot set up the terminal: %s", strerror(-err));
		free(term);
		return NULL;
	}
	choose_output(term, out);
	return term;
}

/* As QEMU does: output is still processed, for the messages on standard error. */
static void set_raw(const struct terminal *term)
{
	struct termios raw = term->saved;

	/* In the background the terminal is not ours to change. */
	if (!term->in_is_tty || (tcgetpgrp(term->in) >= 0 && tcgetpgrp(term->in) != getpgrp()))
		return;
	raw.c_iflag &=
		~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	raw.c_cflag |= CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(term->in, TCSANOW, &raw);
}

/* The number of bytes, or -errno; -EAGAIN when there is no room. */
static ssize_t write_some(const struct terminal *term, const uint8_t *buf, size_t len)
{
	struct pollfd room = {.fd = term->out, .events = POLLOUT};
	ssize_t n;

	if (!term->out_nonblocking) {
		if (poll(&room, 1, 0) == 0)
			return -EAGAIN;
		if (len > BLOCKING_WRITE)
			len = BLOCKING_WRITE;
	}
	n = write(term->out, buf, len);
	return n < 0 ? -errno : n;
}

static void out_has_room(void *opaque, int fd, short revents);

static void set_output_state(struct terminal *term, enum output_state state)
{
	const struct itimerspec gather = {.it_value.tv_nsec = GATHER_NS};
	struct io *io = &term->vm->io;

	if (term->output_state == OUTPUT_BLOCKED)
		io_remove(io, term->out);
	term->output_state = state;
	io_set_events(io, console_output_fd(term->vm->console), state == OUTPUT_IDLE ? POLLIN : 0);
	if (state == OUTPUT_GATHER)
		timerfd_settime(term->gather_fd, 0, &gather, NULL);
	if (state == OUTPUT_BLOCKED && io_add(io, term->out, POLLOUT, out_has_room, term))
		log_error("too many event handlers"); /* their number is known when we are built */
}

/* Write what is pending. False if out takes no more for now. */
static bool write_pending(struct terminal *term)
{
	while (term->pending) {
		ssize_t n = term->out_dead
			? (ssize_t)term->pending
			: write_some(term, term->output + term->start, term->pending);

		if (n == -EAGAIN)
			return false;
		if (n == -EINTR)
			continue;
		if (n < 0) {
			term->out_dead = true;
			log_warn("the guest's output is lost from here: %s", strerror((int)-n));
			continue;
		}
		term->start += (size_t)n;
		term->pending -= (size_t)n;
	}
	return true;
}

/* Get more to write from the guest. False if there is nothing. */
static bool fetch(struct terminal *term)
{
	term->start = 0;
	term->pending = console_fetch(term->vm->console, term->output, sizeof(term->output));
	return term->pending != 0;
}

static void start_reading(struct terminal *term);

static void show_output(struct terminal *term)
{
	for (int i = 0; i < MAX_ROUNDS; i++) {
		if (!write_pending(term)) {
			set_output_state(term, OUTPUT_BLOCKED);
			return;
		}
		if (!fetch(term)) {
			set_output_state(term, OUTPUT_IDLE);
			return;
		}
	}
	/* Let others have their turn. */
	set_output_state(term, OUTPUT_GATHER);
}

static void out_has_room(void *opaque, int fd, short revents)
{
	(void)fd;
	(void)revents;
	show_output(opaque);
}

/* The guest wrote, or read input that there was no room for. */
static void guest_was_active(void *opaque, int fd, short revents)
{
	struct terminal *term = opaque;

	(void)fd;
	(void)revents;
	start_reading(term);
	set_output_state(term, OUTPUT_GATHER);
}

static void gathered(void *opaque, int fd, short revents)
{
	struct terminal *term = opaque;
	uint64_t expirations;

	(void)revents;
	if (read(fd, &expirations, sizeof(expirations)) == sizeof(expirations) &&
	    term->output_state == OUTPUT_GATHER)
		show_output(term);
}

static void feed_typed(struct terminal *term, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t out[2];
		size_t count;

		switch (terminal_escape_feed(&term->escape, buf[i], out, &count)) {
		case TERMINAL_QUIT:
			quit_now(&term->quit);
			return;
		case TERMINAL_HELP:
			write_some(term, (const uint8_t *)help_text, sizeof(help_text) - 1);
			break;
		default:
			/* What a guest does not read while somebody types on and on is lost. */
			console_feed(term->vm->console, out, count);
			break;
		}
	}
}

static void stop_reading(struct terminal *term)
{
	if (term->reading)
		io_remove(&term->vm->io, term->in);
	term->reading = false;
}

/*
 * A terminal is read always, for Ctrl-A x must work when the guest does not listen; anything
 * else only as far as the guest has room, and it is all for the guest.
 */
static void input_ready(void *opaque, int fd, short revents)
{
	struct terminal *term = opaque;
	size_t room = console_feed_space(term->vm->console);
	uint8_t buf[INPUT_SIZE];
	ssize_t n;

	(void)revents;
	if (!term->in_is_tty && !room) {
		stop_reading(term);
		return;
	}
	n = read(fd, buf, term->in_is_tty || room > sizeof(buf) ? sizeof(buf) : room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The end, or we are in the background: then SIGCONT begins anew. */
		stop_reading(term);
		if (!n || errno != EIO)
			term->in = -1;
		return;
	}
	if (term->in_is_tty)
		feed_typed(term, buf, (size_t)n);
	else
		console_feed(term->vm->console, buf, (size_t)n);
}

static void start_reading(struct terminal *term)
{
	if (term->reading || term->in < 0)
		return;
	term->reading = !io_add(&term->vm->io, term->in, POLLIN, input_ready, term);
}

static void update_size(const struct terminal *term)
{
	struct winsize size;

	if (!ioctl(term->in, TIOCGWINSZ, &size))
		console_set_size(term->vm->console,
				 (struct console_size){.columns = size.ws_col,
						       .rows = size.ws_row});
}

static void suspend(struct terminal *term)
{
	if (term->in_is_tty)
		tcsetattr(term->in, TCSANOW, &term->saved);
	raise(SIGSTOP);
	/* SIGCONT, which ends it, is the next signal here. */
}

static void signal_event(void *opaque, int fd, short revents)
{
	struct terminal *term = opaque;
	struct signalfd_siginfo info;

	(void)revents;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGTSTP:
		suspend(term);
		break;
	case SIGWINCH:
		update_size(term);
		break;
	case SIGCONT:
		set_raw(term);
		start_reading(term);
		break;
	default:
		term->signal = (int)info.ssi_signo;
		quit_now(&term->quit);
		break;
	}
}

/* Those that whoever started us wants ignored (nohup, jobs in the background) stay so. */
static void choose_signals(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction action;

		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
}

static int attach_signals(struct terminal *term)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	choose_signals(&set);
	term->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	term->gather_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (term->signal_fd < 0 || term->gather_fd < 0)
		return -errno;
	sigaction(SIGPIPE, &ignore, &term->old_pipe);
	/* In the background reads fail and settings succeed, instead of stopping the VM. */
	sigaddset(&set, SIGTTIN);
	sigaddset(&set, SIGTTOU);
	return -pthread_sigmask(SIG_BLOCK, &set, &term->old_mask);
}

int terminal_attach(struct terminal *term, struct vm *vm)
{
	int err = attach_signals(term);

	if (err)
		return err;
	term->vm = vm;
	err = io_add(&vm->io, term->signal_fd, POLLIN, signal_event, term);
	err = err ?: quit_attach(&term->quit, vm);
	err = err ?: io_add(&vm->io, term->gather_fd, POLLIN, gathered, term);
	err = err
		?: io_add(&vm->io, console_output_fd(vm->console), POLLIN, guest_was_active, term);
	if (err)
		return err;
	set_raw(term);
	update_size(term);
	start_reading(term);
	return 0;
}

static long long now_ms(void)
{
	return (long long)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

/* The guest's last words matter most; but a reader that does not read cannot hold us for ever. */
static void flush(struct terminal *term)
{
	long long end = now_ms() + FLUSH_MS;

	do {
		while (!write_pending(term)) {
			struct pollfd room = {.fd = term->out, .events = POLLOUT};
			long long left = end - now_ms();

			if (left <= 0 || poll(&room, 1, (int)left) == 0)
				return;
		}
	} while (fetch(term));
}

void terminal_detach(struct terminal *term)
{
	if (term->vm) {
		flush(term);
		set_output_state(term, OUTPUT_IDLE);
		stop_reading(term);
		io_remove(&term->vm->io, console_output_fd(term->vm->console));
		io_remove(&term->vm->io, term->gather_fd);
		quit_detach(&term->quit);
		io_remove(&term->vm->io, term->signal_fd);
		term->vm = NULL;
	}
	terminal_guard_end(&term->guard);
	if (term->signal_fd < 0)
		return;
	pthread_sigmask(SIG_SETMASK, &term->old_mask, NULL);
	sigaction(SIGPIPE, &term->old_pipe, NULL);
	close(term->signal_fd);
	close(term->gather_fd);
	term->gather_fd = term->signal_fd = -1;
}

int terminal_signal(const struct terminal *term)
{
	return term->signal;
}

void terminal_destroy(struct terminal *term)
{
	if (!term)
		return;
	terminal_detach(term);
	if (term->out_nonblocking)
		close(term->out);
	free(term);
}
