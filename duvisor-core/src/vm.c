/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "hart.h"
#include "loader.h"
#include "sandbox.h"
#include "uapi/duvisor.h"
#include "vcpu.h"

#define DEVICE_TREE "/proc/device-tree"
#define GIB (1ULL << 30)

_Static_assert(AFFINITY_VCPUS == VM_MAX_VCPUS, "each vCPU can be told where to run");
_Static_assert(HART_IDS_VCPUS == VM_MAX_VCPUS, "each vCPU can have an id of its own");

static int map_ram(struct vm *vm)
{
	unsigned int levels = gstage_levels_for(vm->mem.base + vm->mem.size);
	uint64_t max_leaf = vm->config->lazy_map ? GSTAGE_PAGE_SIZE : GIB;
	int err = gstage_pool_create(&vm->gstage_pool, vm->mem.size, max_leaf);

	if (!err)
		err = levels ? gstage_create(&vm->gstage, levels, &vm->gstage_pool.alloc) : -E2BIG;
	if (!err && !vm->config->lazy_map)
		err = gstage_map(&vm->gstage, vm->mem.base, vm->mem.hva, vm->mem.size, GSTAGE_RWX,
				 GIB);
	if (err)
		log_error("cannot map guest memory: %s", strerror(-err));
	return err;
}

int vm_map_page(struct vm *vm, gpa_t gpa)
{
	gpa_t page = gpa & ~(gpa_t)(GSTAGE_PAGE_SIZE - 1);
	void *hva = memory_at(&vm->mem, page, GSTAGE_PAGE_SIZE);
	int err;

	/* All RAM was mapped at the start: a fault there means that we do not know what we do. */
	if (!vm->config->lazy_map)
		return -EFAULT;
	pthread_mutex_lock(&vm->gstage_lock);
	err = gstage_map(&vm->gstage, page, hva, GSTAGE_PAGE_SIZE, GSTAGE_RWX, GSTAGE_PAGE_SIZE);
	pthread_mutex_unlock(&vm->gstage_lock);
	/* Another vCPU was faster. This hart may remember that there was nothing. */
	if (err == -EEXIST) {
		hart_fence_stage2();
		err = 0;
	}
	return err;
}

static int create_vcpus(struct vm *vm)
{
	if (vm->config->cpus > vm->shim.max_vcpus || vm->config->cpus > VM_MAX_VCPUS) {
		log_error("%u vCPUs are more than the %u that are possible", vm->config->cpus,
			  vm->shim.max_vcpus < VM_MAX_VCPUS ? vm->shim.max_vcpus : VM_MAX_VCPUS);
		return -EINVAL;
	}
	hart_ids_tabulate(&vm->config->hart_ids, vm->config->cpus, vm->hart);
	while (vm->vcpu_count < vm->config->cpus) {
		int err = vcpu_create(vm, vm->vcpu_count, &vm->vcpu[vm->vcpu_count]);

		if (err)
			return err;
		vm->vcpu_count++;
	}
	return 0;
}

static void stop_event(void *opaque, int fd, short revents)
{
	eventfd_t ignored;

	(void)opaque;
	(void)revents;
	/* Only there to end the poll; run() looks at vm->stop. */
	eventfd_read(fd, &ignored);
}

static int create_io(struct vm *vm)
{
	int err = io_init(&vm->io, vm->isa.timebase_frequency, vm->config->io_poll_us);

	if (err)
		return err;
	vm->console = console_create();
	if (!vm->console)
		return -ENOMEM;
	vm->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (vm->stop_fd < 0)
		return -errno;
	return io_add(&vm->io, vm->stop_fd, POLLIN, stop_event, vm);
}

static struct vm *allocate(const struct vm_config *config)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->config = config;
	vm->shim.fd = -1;
	vm->stop_fd = -1;
	vm->io.epoll_fd = -1;
	vm->io.wake_fd = -1;
	vm->phase = VM_PARKED;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->gstage_lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	return vm;
}

/* With all of the guest's memory locked, nothing of ours may be missing either: code, stacks, tables. */
static int lock_process(void)
{
	if (!mlockall(MCL_CURRENT | MCL_FUTURE))
		return 0;
	log_error("cannot lock the process in memory: %s (see ulimit -l)", strerror(errno));
	return -errno;
}

/*
 * AIA needs registers of its own switched with the thread; the module says whether it does that.
 * 0, or the vm_exit to end with.
 */
static int choose_irqchip(struct vm *vm)
{
	bool offered = vm->shim.features & DUVISOR_FEATURE_AIA;

	if (vm->config->irqchip == VM_IRQCHIP_AIA && !offered) {
		log_error(
			"--irqchip aia: this host's harts have no AIA, or its duvisor module does "
			"not offer it");
		return VM_EXIT_USAGE;
	}
	vm->aia = offered && vm->config->irqchip != VM_IRQCHIP_PLIC;
	return 0;
}

/* What the guest's harts may have: what the module offers, less what the user does not want. */
static uint64_t guest_features(const struct vm *vm)
{
	uint64_t without = vm->aia ? 0 : DUVISOR_FEATURE_AIA;

	if (vm->config->no_sstc)
		without |= DUVISOR_FEATURE_STIMECMP;
	return vm->shim.features & ~without;
}

/* 0; -errno; or the vm_exit to end with. */
static int create_parts(struct vm *vm)
{
	const struct memory_options options = {
		.prealloc = vm->config->prealloc,
		.pages = vm->config->hugepages,
	};
	int err = loader_open(&vm->loader, vm->config);

	if (!err)
		err = shim_open(&vm->shim);
	if (!err)
		err = choose_irqchip(vm);
	if (!err)
		err = guest_isa_read(&vm->isa,
				     vm->config->host_tree ? vm->config->host_tree : DEVICE_TREE,
				     guest_features(vm));
	if (!err)
		err = memory_create(&vm->mem, vm->config->ram_size, &options);
	if (!err)
		err = map_ram(vm);
	if (!err)
		err = create_io(vm);
	if (!err)
		err = create_vcpus(vm);
	if (!err)
		err = devices_create(vm);
	if (!err && vm->config->prealloc)
		err = lock_process();
	return err;
}

int vm_create(const struct vm_config *config, struct vm **vm_out)
{
	struct vm *vm = allocate(config);
	int err;

	if (!vm) {
		log_error("%s", strerror(ENOMEM));
		return VM_EXIT_HOST;
	}
	err = create_parts(vm);
	if (err) {
		vm_destroy(vm);
		return err > 0 ? err : VM_EXIT_HOST;
	}
	*vm_out = vm;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	bus_destroy(&vm->bus);
	while (vm->vcpu_count)
		vcpu_destroy(vm->vcpu[--vm->vcpu_count]);
	console_destroy(vm->console);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	io_destroy(&vm->io);
	gstage_destroy(&vm->gstage);
	gstage_pool_destroy(&vm->gstage_pool);
	memory_destroy(&vm->mem);
	shim_close(&vm->shim);
	loader_close(vm->loader);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->gstage_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_request_stop(struct vm *vm, enum vm_stop reason, unsigned int code)
{
	bool first;

	pthread_mutex_lock(&vm->lock);
	first = vm->phase == VM_RUNNING;
	if (first) {
		vm->stop = reason;
		vm->stop_code = code;
		vm->phase = VM_PARKED;
	}
	pthread_mutex_unlock(&vm->lock);
	if (!first)
		return;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_kick(vm->vcpu[i], VCPU_REQ_STOP);
	eventfd_write(vm->stop_fd, 1);
}

bool vm_park(struct vm *vm)
{
	bool go_on;

	pthread_mutex_lock(&vm->lock);
	vm->parked++;
	pthread_cond_broadcast(&vm->changed);
	while (vm->phase == VM_PARKED)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->parked--;
	go_on = vm->phase == VM_RUNNING;
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

void vm_vcpu_failed(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->failed++;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

/* Wait until each of the count vCPU threads is parked or has failed. False: one has failed. */
static bool wait_parked(struct vm *vm, unsigned int count)
{
	bool ok;

	pthread_mutex_lock(&vm->lock);
	while (vm->parked + vm->failed < count)
		pthread_cond_wait(&vm->changed, &vm->lock);
	ok = !vm->failed;
	pthread_mutex_unlock(&vm->lock);
	return ok;
}

static void set_phase(struct vm *vm, enum vm_phase phase)
{
	pthread_mutex_lock(&vm->lock);
	vm->phase = phase;
	if (phase == VM_RUNNING) {
		vm->stop = VM_STOP_NONE;
		vm->boots++;
	}
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

static enum vm_stop current_stop(struct vm *vm)
{
	enum vm_stop stop;

	pthread_mutex_lock(&vm->lock);
	stop = vm->stop;
	pthread_mutex_unlock(&vm->lock);
	return stop;
}

/* Run the loaded guest until something stops it, and all vCPUs are parked again. */
static enum vm_stop run_guest(struct vm *vm)
{
	enum vm_stop stop;
	int err;

	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vcpu_reset(vm->vcpu[i]);
	set_phase(vm, VM_RUNNING);
	while ((stop = current_stop(vm)) == VM_STOP_NONE) {
		err = io_poll(&vm->io);
		if (err) {
			log_error("cannot wait for events: %s", strerror(-err));
			vm_request_stop(vm, VM_STOP_HOST, 0);
		}
	}
	wait_parked(vm, vm->vcpu_count);
	return stop;
}

static bool is_reboot(const struct vm *vm, enum vm_stop stop)
{
	if (vm->config->no_reboot)
		return false;
	return stop == VM_STOP_REBOOT_COLD || stop == VM_STOP_REBOOT_WARM;
}

static enum vm_exit exit_for(const struct vm *vm, enum vm_stop stop)
{
	switch (stop) {
	case VM_STOP_GUEST_FAILURE:
		log_error("the guest reported a failure (code %u)", vm->stop_code);
		return VM_EXIT_GUEST_FAILURE;
	case VM_STOP_CRASH:
		return VM_EXIT_CRASH;
	case VM_STOP_PANIC:
		log_error("the guest reported a panic");
		return VM_EXIT_PANIC;
	case VM_STOP_WATCHDOG:
		log_error("the guest's watchdog expired");
		return VM_EXIT_WATCHDOG;
	case VM_STOP_HOST:
		return VM_EXIT_HOST;
	default:
		return VM_EXIT_OK;
	}
}

static enum vm_exit boot_until_end(struct vm *vm)
{
	enum vm_stop stop = VM_STOP_NONE;

	do {
		int err;

		/* What a warm reboot keeps is what no device and no vCPU holds: memory. */
		if (stop == VM_STOP_REBOOT_COLD)
			memory_clear(&vm->mem);
		bus_reset(&vm->bus);
		err = loader_load(vm);
		if (err)
			return (enum vm_exit)err;
		stop = run_guest(vm);
		log_debug("stopped for reason %d", (int)stop);
	} while (is_reboot(vm, stop));
	return exit_for(vm, stop);
}

static unsigned int start_vcpus(struct vm *vm)
{
	unsigned int started = 0;
	int err = 0;

	while (started < vm->vcpu_count && !err) {
		err = vcpu_start(vm->vcpu[started]);
		if (!err)
			started++;
	}
	if (err)
		log_error("cannot start vCPU %u: %s", started, strerror(-err));
	return started;
}

/* Everything is open, all threads are there. 0 or -errno, said to the user. */
static int enter_sandbox(const struct vm_config *config)
{
	int err = config->no_sandbox ? 0 : sandbox_enter(SANDBOX_HYPERVISOR);

	if (err)
		log_error("cannot enter the sandbox: %s (see --no-sandbox)", strerror(-err));
	return err;
}

enum vm_exit vm_run(struct vm *vm)
{
	enum vm_exit result = VM_EXIT_HOST;
	int err = shim_attach(&vm->shim, SHIM_NO_INDEX);
	unsigned int started;

	if (err) {
		log_error("cannot make the main thread a member of the VM: %s", strerror(-err));
		return VM_EXIT_HOST;
	}
	vm->time_delta = -hart_time();
	started = start_vcpus(vm);
	if (wait_parked(vm, started) && started == vm->vcpu_count && !enter_sandbox(vm->config))
		result = boot_until_end(vm);
	set_phase(vm, VM_ENDING);
	for (unsigned int i = 0; i < started; i++)
		vcpu_join(vm->vcpu[i]);
	shim_detach(&vm->shim);
	return result;
}
