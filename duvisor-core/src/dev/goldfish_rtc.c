/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Goldfish real-time clock, as on QEMU's virt board: nanoseconds since 1970 in two halves and one alarm.
 * What the guest sets is kept as an offset to the host's clock, and survives a reboot as a battery-backed
 * clock does.
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
#include "irqchip.h"
#include "vm.h"

#define TIME_LOW 0x00 /* reading it latches the high half */
#define TIME_HIGH 0x04
#define ALARM_LOW 0x08 /* writing it arms the alarm */
#define ALARM_HIGH 0x0c
#define IRQ_ENABLED 0x10
#define CLEAR_ALARM 0x14
#define ALARM_STATUS 0x18
#define CLEAR_INTERRUPT 0x1c

#define LOOK_AGAIN (86400 * CLOCK_NS_PER_S)

struct rtc {
	struct device dev;
	int timer;            /* timerfd on CLOCK_REALTIME */
	pthread_mutex_t lock; /* protects what follows */
	uint64_t offset;      /* guest time - host time, modulo 2^64 */
	uint32_t latched_high;
	uint64_t alarm;
	bool alarm_armed;
	bool irq_pending;
	bool irq_enabled;
};

static uint64_t host_now(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t guest_now(const struct rtc *rtc)
{
	return host_now() + rtc->offset;
}

static void update_irq(struct rtc *rtc)
{
	irqchip_set_line(rtc->dev.vm, rtc->dev.irq, rtc->irq_pending && rtc->irq_enabled);
}

static void disarm(struct rtc *rtc)
{
	rtc->alarm_armed = false;
	clock_set_timer(rtc->timer, 0);
}

static void ring(struct rtc *rtc)
{
	disarm(rtc);
	rtc->irq_pending = true;
	update_irq(rtc);
}

/*
 * Ring now, or look again when the time has come: after each change of the alarm or of the time. A guest may
 * ask for any time at all, so look again within a day: then no sum overflows.
 */
static void arm(struct rtc *rtc)
{
	uint64_t host = host_now();
	uint64_t now = host + rtc->offset;
	uint64_t left = rtc->alarm - now;

	if (rtc->alarm <= now) {
		ring(rtc);
		return;
	}
	rtc->alarm_armed = true;
	clock_set_timer(rtc->timer, host + (left < LOOK_AGAIN ? left : LOOK_AGAIN));
}

static void timer_expired(void *opaque, int fd, short revents)
{
	struct rtc *rtc = opaque;
	uint64_t expirations;

	(void)revents;
	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return; /* it was set anew meanwhile */
	pthread_mutex_lock(&rtc->lock);
	if (rtc->alarm_armed)
		arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static uint64_t replace_low(uint64_t old, uint64_t val)
{
	return (old & ~0xffffffffULL) | (val & 0xffffffffULL);
}

static uint64_t replace_high(uint64_t old, uint64_t val)
{
	return (old & 0xffffffffULL) | (val << 32);
}

static uint32_t read_register(struct rtc *rtc, uint64_t off)
{
	uint64_t now;

	switch (off) {
	case TIME_LOW:
		now = guest_now(rtc);
		rtc->latched_high = (uint32_t)(now >> 32);
		return (uint32_t)now;
	case TIME_HIGH:
		return rtc->latched_high;
	case ALARM_LOW:
		return (uint32_t)rtc->alarm;
	case ALARM_HIGH:
		return (uint32_t)(rtc->alarm >> 32);
	case IRQ_ENABLED:
		return rtc->irq_enabled;
	case ALARM_STATUS:
		return rtc->alarm_armed;
	default:
		return 0;
	}
}

static void write_register(struct rtc *rtc, uint64_t off, uint64_t val)
{
	switch (off) {
	case TIME_LOW:
		/* Written last: only now the alarm can be compared with the new time. */
		rtc->offset = replace_low(guest_now(rtc), val) - host_now();
		if (rtc->alarm_armed)
			arm(rtc);
		break;
	case TIME_HIGH:
		rtc->offset = replace_high(guest_now(rtc), val) - host_now();
		break;
	case ALARM_LOW:
		rtc->alarm = replace_low(rtc->alarm, val);
		arm(rtc);
		break;
	case ALARM_HIGH:
		rtc->alarm = replace_high(rtc->alarm, val);
		break;
	case IRQ_ENABLED:
		rtc->irq_enabled = val & 1;
		update_irq(rtc);
		break;
	case CLEAR_ALARM:
		disarm(rtc);
		break;
	case CLEAR_INTERRUPT:
		rtc->irq_pending = false;
		update_irq(rtc);
		break;
	default:
		break;
	}
}

static int rtc_read(struct device *dev, uint64_t off, unsigned int len, uint64_t *val)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (len != 4)
		return -EINVAL;
	pthread_mutex_lock(&rtc->lock);
	*val = read_register(rtc, off);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static int rtc_write(struct device *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (len != 4)
		return -EINVAL;
	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, off, val);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	pthread_mutex_lock(&rtc->lock);
	disarm(rtc);
	rtc->alarm = 0;
	rtc->latched_high = 0;
	rtc->irq_pending = false;
	rtc->irq_enabled = false;
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int rtc_fdt(const struct device *dev, void *fdt)
{
	int err = fdt_tree_begin(fdt, "rtc", dev->base);

	err = err ?: fdt_tree_irq(fdt, dev);
	err = err ?: fdt_tree_reg(fdt, dev->base, dev->size);
	err = err ?: fdt_property_string(fdt, "compatible", "google,goldfish-rtc");
	return err ?: fdt_end_node(fdt);
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (rtc->timer >= 0) {
		io_remove(&dev->vm->io, rtc->timer);
		close(rtc->timer);
	}
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct device_ops rtc_ops = {
	.name = "rtc",
	.reset = rtc_reset,
	.read = rtc_read,
	.write = rtc_write,
	.fdt = rtc_fdt,
	.destroy = rtc_destroy,
};

int goldfish_rtc_create(struct vm *vm)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int err;

	if (!rtc)
		return -ENOMEM;
	rtc->dev = (struct device){.ops = &rtc_ops,
				   .vm = vm,
				   .base = BOARD_RTC_BASE,
				   .size = BOARD_RTC_SIZE,
				   .irq = BOARD_RTC_IRQ};
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	err = rtc->timer < 0 ? -errno : io_add(&vm->io, rtc->timer, POLLIN, timer_expired, rtc);
	err = err ?: bus_add(&vm->bus, &rtc->dev);
	if (err)
		rtc_destroy(&rtc->dev);
	return err;
}
