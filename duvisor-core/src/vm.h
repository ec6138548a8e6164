/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine: everything that exists hangs off it.
 *
 * Threads: the main thread is the I/O thread and the only one that creates, resets and destroys;
 * one thread per vCPU. All of them are members of the VM (shim.h) while it runs, and only members may call
 * what kicks a vCPU: vm_request_stop(), vcpu_set_ext_irq(), irqchip_set_line().
 *
 * Lock order: a device's lock, the interrupt controller's lock, console and log locks, vm->lock.
 * vm->lock is never held while a device is called.
 */
#ifndef DUVISOR_VM_H
#define DUVISOR_VM_H

#include <pthread.h>
#include <stdbool.h>

#include "affinity.h"
#include "bus.h"
#include "console.h"
#include "gstage.h"
#include "gstage_pool.h"
#include "guest_isa.h"
#include "hart_ids.h"
#include "idle.h"
#include "io.h"
#include "irqchip.h"
#include "log.h"
#include "memory.h"
#include "shim.h"
#include "types.h"

struct balloon;
struct loader;
struct vcpu;

#define VM_MAX_VCPUS 64

/* Exit codes of `duvisor run`: part of the interface, documented in the manual page. */
enum vm_exit {
	VM_EXIT_OK = 0, /* the guest powered off, or the user ended it */
	VM_EXIT_GUEST_FAILURE =
		1,            /* the guest reported a failure (SRST reason 1, sifive_test FAIL) */
	VM_EXIT_USAGE = 2,    /* the command line is wrong, or names a file that cannot be used */
	VM_EXIT_CRASH = 3,    /* the guest did something that it cannot go on from */
	VM_EXIT_PANIC = 4,    /* the guest reported a panic */
	VM_EXIT_WATCHDOG = 5, /* the guest's watchdog expired */
	VM_EXIT_HOST = 6,     /* the host cannot run the VM: no device, no permission, no memory */
};

enum vm_stop {
	VM_STOP_NONE,
	VM_STOP_POWER_OFF,
	VM_STOP_REBOOT_COLD,
	VM_STOP_REBOOT_WARM,
	VM_STOP_GUEST_FAILURE,
	VM_STOP_CRASH,
	VM_STOP_PANIC,
	VM_STOP_WATCHDOG,
	VM_STOP_USER_QUIT,
	VM_STOP_HOST, /* the host failed us while the VM ran */
};

#define VM_MAX_DISKS 8
#define VM_PATH_SIZE 4096
#define VM_SERIAL_SIZE 20 /* not terminated if it is that long */

struct vm_disk {
	char path[VM_PATH_SIZE];
	char serial[VM_SERIAL_SIZE];
	bool read_only;
	bool direct;
	bool no_uring; /* for tests: a thread does the I/O */
};

enum vm_network_mode { VM_NETWORK_NONE, VM_NETWORK_USER, VM_NETWORK_TAP };

#define VM_PORTS_SIZE 256

struct vm_network {
	enum vm_network_mode mode;
	char tap[16]; /* a name of the kernel's, or empty: its choice */
	uint8_t mac[6];
	bool mac_set;
	char tcp[VM_PORTS_SIZE]; /* ports to forward, as passt's --tcp-ports has them */
	char udp[VM_PORTS_SIZE];
};

#define VM_VSOCK_PATH_SIZE 97 /* with "_4294967295" behind it, it is still a socket's name */

struct vm_vsock {
	uint32_t cid; /* the guest's; 0: there is no such device */
	char path[VM_VSOCK_PATH_SIZE];
};

#define VM_MAX_SHARES 4
#define VM_SHARE_TAG_SIZE 31 /* not terminated if it is that long */

/* A directory of the host's. */
struct vm_share {
	char path[VM_PATH_SIZE];
	char tag[VM_SHARE_TAG_SIZE + 1]; /* what the guest calls it */
	bool read_only;
};

enum vm_console_end { VM_CONSOLE_STDIO, VM_CONSOLE_PTY, VM_CONSOLE_SOCKET, VM_CONSOLE_FILE };

/* The user's end of the guest's console. */
struct vm_console {
	enum vm_console_end end;
	char path[VM_PATH_SIZE]; /* pty: of a link to it, or empty */
};

#define VM_MAX_PORTS 8
#define VM_PORT_NAME_SIZE 64

/* A stream between guest and host, besides the console. */
struct vm_port {
	char name[VM_PORT_NAME_SIZE]; /* what the guest calls it */
	struct vm_console place;      /* not standard input and output */
};

enum vm_irqchip {
	VM_IRQCHIP_AUTO, /* AIA if the host has it */
	VM_IRQCHIP_PLIC,
	VM_IRQCHIP_AIA,
};

/* What the user asked for. Strings belong to the caller and outlive the VM. */
struct vm_config {
	const char *kernel;
	const char *initrd;    /* NULL: none */
	const char *cmdline;   /* NULL: none */
	const char *dtb;       /* NULL: generated */
	const char *dump_dtb;  /* NULL: do not */
	const char *host_tree; /* NULL: /proc/device-tree; tests bring their own */
	struct vm_console console;
	unsigned int port_count;
	struct vm_port port[VM_MAX_PORTS];
	struct vm_network network;
	struct vm_vsock vsock;
	unsigned int share_count;
	struct vm_share share[VM_MAX_SHARES];
	unsigned int disk_count;
	struct vm_disk disk[VM_MAX_DISKS];
	uint64_t ram_size;
	uint64_t balloon_size; /* bytes that the guest is asked to do without */
	unsigned int cpus;
	enum vm_irqchip irqchip;
	struct affinity affinity;
	struct hart_ids hart_ids; /* as many as cpus, or none */
	enum idle_policy idle;
	uint32_t io_poll_us; /* how long the I/O thread looks on before it sleeps, at most */
	bool serial;         /* the console is a 16550 UART (it is SBI's DBCN in any case) */
	bool virtio_console;
	bool prealloc;
	enum memory_pages hugepages;
	bool watchdog;  /* there is one; it does nothing until the guest enables it */
	bool no_reboot; /* a reboot ends the VM like a power-off */
	bool no_sandbox;
	bool no_sstc;      /* guests have SBI TIME only, no stimecmp */
	bool ignore_panic; /* no panic device: the guest deals with its panics alone */
	bool nodefaults;   /* no devices but those asked for */
	bool lazy_map;     /* for tests: fill stage 2 by 4 KiB pages on demand */
};

/* What the loader left for the start of vCPU 0. */
struct vm_boot {
	gpa_t entry;
	gpa_t dtb; /* a1 */
};

enum vm_phase {
	VM_PARKED,  /* vCPU threads wait in vm_park() */
	VM_RUNNING, /* they run, or are about to */
	VM_ENDING,  /* they end */
};

struct vm {
	/* Used by entry.S, whose offsets are short. */
	unsigned int vcpu_count;
	struct vcpu *vcpu[VM_MAX_VCPUS];
	uint8_t hart[HART_ID_LIMIT]; /* hart id -> index in vcpu, or HART_ID_NONE */
	struct irqchip *irqchip;     /* NULL: there is none */

	const struct vm_config *config;
	struct shim shim;
	struct guest_isa isa;
	struct memory mem;
	struct gstage gstage; /* this and the pool protected by gstage_lock */
	struct gstage_pool gstage_pool;
	pthread_mutex_t gstage_lock;
	struct bus bus;
	bool aia; /* the interrupt controllers are APLIC and IMSIC, not a PLIC */
	struct console *console;
	struct io io;
	struct loader *loader;
	struct balloon *balloon; /* NULL: there is none */
	struct vm_boot boot;
	uint64_t time_delta; /* guest time = host time + this: it starts at 0 when the VM is made */
	struct log_limit log_limit;

	int stop_fd; /* eventfd that wakes the I/O thread for a stop */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	enum vm_phase phase;
	unsigned int parked;    /* vCPU threads inside vm_park() */
	unsigned int failed;    /* vCPU threads that could not start */
	unsigned int boots;     /* counts boots: a vCPU that finds a new one resets itself */
	enum vm_stop stop;      /* the first stop asked for since the last boot */
	unsigned int stop_code; /* the guest's own code of a failure, for the message */
};

/*
 * Everything up to the devices; prints why it cannot. Returns 0 or the vm_exit to end with. On success
 * the caller may add handlers to vm->io, run, and must destroy. config must outlive the VM.
 */
int vm_create(const struct vm_config *config, struct vm **vm_out);

/* Boot, run, reboot as asked, until the end. All vCPU threads are gone when it returns. */
enum vm_exit vm_run(struct vm *vm);

void vm_destroy(struct vm *vm);

/*
 * Stop the VM for a reason; the first one counts. Returns at once; the vCPUs execute no further guest
 * instruction once they notice, the calling one none at all. Any member thread, with any lock but vm->lock.
 */
void vm_request_stop(struct vm *vm, enum vm_stop reason, unsigned int code);

/* The vCPU that the guest knows by this hart id, or NULL. */
static inline struct vcpu *vm_hart(const struct vm *vm, uint64_t id)
{
	if (id >= HART_ID_LIMIT || vm->hart[id] == HART_ID_NONE)
		return NULL;
	return vm->vcpu[vm->hart[id]];
}

/* vCPU threads: wait here while the VM is parked. False: the thread must end. */
bool vm_park(struct vm *vm);
/* A vCPU thread could not become a vCPU and ends. */
void vm_vcpu_failed(struct vm *vm);

/* Map the page of RAM at gpa, which the guest has just missed (lazy_map). 0 or -errno. */
int vm_map_page(struct vm *vm, gpa_t gpa);

/*
 * Put kernel, initrd and device tree into RAM and fill vm->boot; called before the first
 * boot and at each reboot, all vCPUs parked. 0 or the vm_exit to end with, said to the user.
 */
int loader_load(struct vm *vm);

#endif
