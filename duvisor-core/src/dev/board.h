/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the devices are: addresses and interrupt lines as on QEMU's virt board, so that
 * payloads with built-in addresses run. Each device's create function is here too.
 */
#ifndef DUVISOR_BOARD_H
#define DUVISOR_BOARD_H

#define BOARD_TEST_BASE 0x100000ULL
#define BOARD_TEST_SIZE 0x1000ULL
#define BOARD_RTC_BASE 0x101000ULL
#define BOARD_RTC_SIZE 0x1000ULL
#define BOARD_RTC_IRQ 11
/* Not on QEMU's board: where it has nothing. */
#define BOARD_PVPANIC_BASE 0x102000ULL
#define BOARD_PVPANIC_SIZE 0x2ULL
#define BOARD_WDT_BASE 0x103000ULL
#define BOARD_WDT_SIZE 0x1000ULL
#define BOARD_PLIC_BASE 0x0c000000ULL
#define BOARD_PLIC_SIZE 0x600000ULL
#define BOARD_APLIC_BASE 0x0d000000ULL
#define BOARD_APLIC_SIZE 0x8000ULL
#define BOARD_UART_BASE 0x10000000ULL
#define BOARD_UART_SIZE 0x100ULL
#define BOARD_UART_IRQ 10
/* The first eight are QEMU's; the lines of the others begin behind those of its other devices. */
#define BOARD_VIRTIO_SLOTS 24
#define BOARD_VIRTIO_BASE(slot) (0x10001000ULL + 0x1000ULL * (slot))
#define BOARD_VIRTIO_SIZE 0x1000ULL
#define BOARD_VIRTIO_IRQ(slot) ((slot) < 8 ? 1 + (slot) : 16 + (slot))
#define BOARD_IMSIC_BASE 0x28000000ULL

struct vm;

/*
 * Create the device(s) and put them on the bus, which owns them then. 0; -errno; or the vm_exit to
 * end with, said to the user.
 */
int plic_create(struct vm *vm);
int imsic_create(struct vm *vm);
/* After the IMSIC, which it sends to. */
int aplic_create(struct vm *vm);
int uart16550_create(struct vm *vm);
int goldfish_rtc_create(struct vm *vm);
int sifive_test_create(struct vm *vm);
int virtio_balloon_create(struct vm *vm);
int virtio_blk_create(struct vm *vm);
int virtio_console_create(struct vm *vm);
int virtio_net_create(struct vm *vm);
int virtio_rng_create(struct vm *vm);
int virtio_vsock_create(struct vm *vm);
int virtio_share_create(struct vm *vm);
int pvpanic_create(struct vm *vm);
int dw_wdt_create(struct vm *vm);

#endif
