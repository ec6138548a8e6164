/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which devices the board of a VM has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "bus.h"
#include "device.h"
#include "log.h"
#include "vm.h"

struct entry {
	const char *name;
	int (*create)(struct vm *vm);
	bool (*wanted)(const struct vm_config *config); /* NULL: always */
};

static bool wants_uart(const struct vm_config *config)
{
	return config->serial;
}

static bool wants_virtio_console(const struct vm_config *config)
{
	return config->virtio_console || config->port_count;
}

static bool wants_defaults(const struct vm_config *config)
{
	return !config->nodefaults;
}

static bool wants_panic(const struct vm_config *config)
{
	return !config->nodefaults && !config->ignore_panic;
}

static bool wants_watchdog(const struct vm_config *config)
{
	return config->watchdog;
}

static bool wants_vsock(const struct vm_config *config)
{
	return config->vsock.cid;
}

static int create_irqchip(struct vm *vm)
{
	int err;

	if (!vm->aia)
		return plic_create(vm);
	err = imsic_create(vm);
	return err ? err : aplic_create(vm);
}

/* The interrupt controller first: the others raise lines into it. */
static const struct entry table[] = {
	{"interrupt controller", create_irqchip, NULL},
	{"serial port", uart16550_create, wants_uart},
	{"real-time clock", goldfish_rtc_create, wants_defaults},
	{"reset device", sifive_test_create, wants_defaults},
	{"disks", virtio_blk_create, NULL},
	{"virtio console", virtio_console_create, wants_virtio_console},
	{"network device", virtio_net_create, NULL},
	{"balloon", virtio_balloon_create, wants_defaults},
	{"source of random numbers", virtio_rng_create, wants_defaults},
	{"socket device", virtio_vsock_create, wants_vsock},
	{"shared directory", virtio_share_create, NULL},
	{"panic device", pvpanic_create, wants_panic},
	{"watchdog", dw_wdt_create, wants_watchdog},
};

int device_create(struct vm *vm, const struct device_ops *ops, gpa_t base, uint64_t size)
{
	struct device *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	*dev = (struct device){.ops = ops, .vm = vm, .base = base, .size = size};
	err = bus_add(&vm->bus, dev);
	if (err)
		free(dev);
	return err;
}

int devices_create(struct vm *vm)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int err;

		if (table[i].wanted && !table[i].wanted(vm->config))
			continue;
		err = table[i].create(vm);
		if (err > 0)
			return err;
		if (err) {
			log_error("cannot create the %s: %s", table[i].name, strerror(-err));
			return err;
		}
	}
	return 0;
}
