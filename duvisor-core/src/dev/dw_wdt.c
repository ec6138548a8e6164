/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watchdog: Synopsys' DesignWare timer with fixed timeouts of 1 s, 2 s, 4 s, ... and no warning interrupt.
 * It ends the VM. Once enabled, only a reset of the board stops it.
 *
 * A kick is a store to memory: the I/O thread's timer looks at the deadline when it expires and is set
 * again if the guest has been alive meanwhile.
 */
#include <errno.h>
#include <libfdt.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "board.h"
#include "bus.h"
#include "clock.h"
#include "device.h"
#include "fdt_tree.h"
#include "io.h"
#include "vm.h"

#define CONTROL 0x00
#define TIMEOUT_RANGE 0x04
#define CURRENT_COUNTER 0x08
#define COUNTER_RESTART 0x0c
#define COMP_PARAMS_1 0xf4

#define CONTROL_ENABLE 0x01
#define RANGE_MASK 0xf /* timeout: 2^(16 + range) cycles */
#define RESTART_KEY 0x76
#define PARAMS_FIXED_TIMEOUTS (1U << 6)

#define CYCLES_PER_SECOND 65536U

/* If we are told so late, this process did not run, and nor did the guest: it gets its time again. */
#define LATE_NS CLOCK_NS_PER_S

struct wdt {
	struct device dev;
	int timer;            /* timerfd on CLOCK_MONOTONIC */
	pthread_mutex_t lock; /* protects what follows */
	bool enabled;
	unsigned int range;
	uint64_t deadline; /* ns */
	uint64_t armed;    /* when the timer expires */
};

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* 0 stops it. */
static void set_timer(struct wdt *wdt, uint64_t when)
{
	wdt->armed = when;
	clock_set_timer(wdt->timer, when);
}

static void restart(struct wdt *wdt)
{
	wdt->deadline = now() + (CLOCK_NS_PER_S << wdt->range);
	/* Only after the timeout was made shorter: a kick makes no system call. */
	if (wdt->deadline < wdt->armed)
		set_timer(wdt, wdt->deadline);
}

static void enable(struct wdt *wdt)
{
	if (wdt->enabled)
		return;
	wdt->enabled = true;
	restart(wdt);
	set_timer(wdt, wdt->deadline);
}

static void timer_expired(void *opaque, int fd, short revents)
{
	struct wdt *wdt = opaque;
	uint64_t expirations;
	bool bites;

	(void)revents;
	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	pthread_mutex_lock(&wdt->lock);
	if (wdt->enabled && now() > wdt->deadline + LATE_NS)
		restart(wdt);
	bites = wdt->enabled && wdt->deadline <= now();
	if (wdt->enabled && !bites)
		set_timer(wdt, wdt->deadline);
	pthread_mutex_unlock(&wdt->lock);
	if (bites)
		vm_request_stop(wdt->dev.vm, VM_STOP_WATCHDOG, 0);
}

static uint32_t cycles_left(const struct wdt *wdt)
{
	uint64_t time = now();
	uint64_t left = wdt->deadline > time ? wdt->deadline - time : 0;

	if (!wdt->enabled)
		left = CLOCK_NS_PER_S << wdt->range;
	return (uint32_t)(left * CYCLES_PER_SECOND / CLOCK_NS_PER_S);
}

static int wdt_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	struct wdt *wdt = container_of(dev, struct wdt, dev);

	if (len != 4)
		return -EINVAL;
	pthread_mutex_lock(&wdt->lock);
	switch (off) {
	case CONTROL:
		*val = wdt->enabled;
		break;
	case TIMEOUT_RANGE:
		*val = wdt->range;
		break;
	case CURRENT_COUNTER:
		*val = cycles_left(wdt);
		break;
	case COMP_PARAMS_1:
		*val = PARAMS_FIXED_TIMEOUTS;
		break;
	default:
		*val = 0;
	}
	pthread_mutex_unlock(&wdt->lock);
	return 0;
}

static int wdt_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct wdt *wdt = container_of(dev, struct wdt, dev);

	if (len != 4)
		return -EINVAL;
	pthread_mutex_lock(&wdt->lock);
	if (off == CONTROL && val & CONTROL_ENABLE)
		enable(wdt);
	else if (off == TIMEOUT_RANGE)
		wdt->range = val & RANGE_MASK;
	else if (off == COUNTER_RESTART && val == RESTART_KEY)
		restart(wdt);
	pthread_mutex_unlock(&wdt->lock);
	return 0;
}

static void wdt_reset(struct device *dev)
{
	struct wdt *wdt = container_of(dev, struct wdt, dev);

	pthread_mutex_lock(&wdt->lock);
	wdt->enabled = false;
	wdt->range = 0;
	set_timer(wdt, 0);
	pthread_mutex_unlock(&wdt->lock);
}

static int clock_fdt(void *fdt)
{
	int err = fdt_begin_node(fdt, "watchdog-clock");

	err = err ?: fdt_property_u32(fdt, "phandle", FDT_TREE_PHANDLE_WDT_CLOCK);
	err = err ?: fdt_property_u32(fdt, "clock-frequency", CYCLES_PER_SECOND);
	err = err ?: fdt_property_u32(fdt, "#clock-cells", 0);
	err = err ?: fdt_property_string(fdt, "compatible", "fixed-clock");
	return err ?: fdt_end_node(fdt);
}

static int wdt_fdt(const struct device *dev, void *fdt)
{
	int err = clock_fdt(fdt);

	err = err ?: fdt_tree_begin(fdt, "watchdog", dev->base);
	err = err ?: fdt_property_u32(fdt, "clocks", FDT_TREE_PHANDLE_WDT_CLOCK);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: fdt_property_string(fdt, "compatible", "snps,dw-wdt");
	return err ?: fdt_end_node(fdt);
}

static void wdt_destroy(struct device *dev)
{
	struct wdt *wdt = container_of(dev, struct wdt, dev);

	if (wdt->timer >= 0) {
		io_remove(&dev->vm->io, wdt->timer);
		close(wdt->timer);
	}
	pthread_mutex_destroy(&wdt->lock);
	free(wdt);
}

static const struct device_ops wdt_ops = {
	.name = "watchdog",
	.reset = wdt_reset,
	.read = wdt_read,
	.write = wdt_write,
	.fdt = wdt_fdt,
	.destroy = wdt_destroy,
};

int dw_wdt_create(struct vm *vm)
{
	struct wdt *wdt = calloc(1, sizeof(*wdt));
	int err;

	if (!wdt)
		return -ENOMEM;
	wdt->dev = (struct device){
		.ops = &wdt_ops, .vm = vm, .base = BOARD_WDT_BASE, .size = BOARD_WDT_SIZE};
	pthread_mutex_init(&wdt->lock, NULL);
	wdt->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	err = wdt->timer < 0 ? -errno : io_add(&vm->io, wdt->timer, POLLIN, timer_expired, wdt);
	err = err ?: bus_add(&vm->bus, &wdt->dev);
	if (err)
		wdt_destroy(&wdt->dev);
	return err;
}
