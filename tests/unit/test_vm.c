/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole VMs on fake harts: threads, boots, stops, and two of them at a time in one process. The
 * guests are small functions; loader and board are the test's own.
 */
#include "fake_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "device.h"
#include "hart_fake.h"
#include "loader.h"
#include "vcpu.h"
#include "vm.h"

#define EID_SRST 0x53525354

static struct fake_tree tree;

/* What a test wants its guest to do, and what happened; vm_config comes first, so config leads here. */
struct script {
	struct vm_config config;
	unsigned int writes; /* bytes that hart 0 prints per boot */
	char letter;
	unsigned int reboots; /* boots that end with a reboot before the last one */
	uint64_t srst_type;   /* of the last one */
	uint64_t srst_reason;
	bool all_harts; /* hart 0 starts the others, which then spin */
	int loader_result;
	struct vm *vm;
	enum vm_exit result;
	unsigned int loads;
	unsigned int resets;
	unsigned int printed;
	_Atomic unsigned int spinning;
};

static const struct script *script_of(const struct vm *vm)
{
	return (const struct script *)vm->config;
}

struct board_device {
	struct device dev;
	struct script *script;
};

static void board_reset(struct device *dev)
{
	container_of(dev, struct board_device, dev)->script->resets++;
}

static void board_destroy(struct device *dev)
{
	free(container_of(dev, struct board_device, dev));
}

static const struct device_ops board_ops = {
	.name = "board",
	.reset = board_reset,
	.destroy = board_destroy,
};

int devices_create(struct vm *vm)
{
	struct board_device *board = calloc(1, sizeof(*board));

	assert_non_null(board);
	board->dev = (struct device){.ops = &board_ops, .vm = vm, .base = 0x1000, .size = 0x1000};
	board->script = (struct script *)(uintptr_t)script_of(vm);
	return bus_add(&vm->bus, &board->dev);
}

int loader_open(struct loader **loader_out, const struct vm_config *config)
{
	(void)config;
	*loader_out = NULL;
	return 0;
}

void loader_close(struct loader *loader)
{
	assert_null(loader);
}

int loader_load(struct vm *vm)
{
	struct script *s = (struct script *)(uintptr_t)script_of(vm);

	s->loads++;
	vm->boot = (struct vm_boot){.entry = MEMORY_BASE, .dtb = MEMORY_BASE + 0x1000};
	return s->loader_result;
}

/* Its program: start the other hart, print, stop; one ecall each, the pc says which one is next. */
static void hart0(struct vcpu *vcpu, struct script *s, uint64_t step)
{
	if (s->all_harts && step == 0) {
		vcpu->gpr[REG_A7] = 0x48534d;
		vcpu->gpr[REG_A6] = 0;
		vcpu->gpr[REG_A0] = 1;
		vcpu->gpr[REG_A1] = MEMORY_BASE + 0x100;
		vcpu->gpr[REG_A2] = 0;
	} else if (step < s->writes) {
		vcpu->gpr[REG_A7] = 0x01;
		vcpu->gpr[REG_A0] = (uint8_t)s->letter;
	} else {
		bool again = s->loads <= s->reboots;

		vcpu->gpr[REG_A7] = EID_SRST;
		vcpu->gpr[REG_A6] = 0;
		vcpu->gpr[REG_A0] = again ? 1 + s->loads % 2 : s->srst_type;
		vcpu->gpr[REG_A1] = again ? 0 : s->srst_reason;
	}
}

static void guest(struct vcpu *vcpu, struct hart_fake *hart)
{
	struct script *s = (struct script *)(uintptr_t)script_of(vcpu->vm);

	uint64_t step = (hart->csr[CSR_HUEPC] - MEMORY_BASE) / 4;

	hart->csr[CSR_HUSTATUS] = HUSTATUS_SPV | HUSTATUS_SPVP;
	if (vcpu->index) {
		/* In the guest until somebody wants something: as a doorbell would end it. */
		s->spinning++;
		while (!atomic_load(&vcpu->request))
			;
		hart->csr[CSR_HUCAUSE] = DV_CAUSE_DOORBELL;
		return;
	}
	/* Do not end before the other hart runs, or nothing is tested. */
	while (s->all_harts && step == 1 && s->spinning < s->loads) {
		if (atomic_load(&vcpu->request)) {
			hart->csr[CSR_HUCAUSE] = DV_CAUSE_DOORBELL;
			return;
		}
	}
	hart0(vcpu, s, step);
	hart->csr[CSR_HUCAUSE] = DV_CAUSE_VS_ECALL;
}

static void drain(void *opaque, int fd, short revents)
{
	struct script *s = opaque;
	char buf[64];
	size_t n;

	(void)fd;
	(void)revents;
	while ((n = console_fetch(s->vm->console, buf, sizeof(buf))))
		for (size_t i = 0; i < n; i++, s->printed++)
			assert_int_equal(buf[i], s->letter);
}

static void *run(void *arg)
{
	struct script *s = arg;
	int fd;

	s->config.host_tree = tree.root;
	s->config.ram_size = 2 << 20;
	if (!s->config.cpus)
		s->config.cpus = 1;
	/* All cases are one process. */
	s->config.no_sandbox = true;
	assert_int_equal(vm_create(&s->config, &s->vm), 0);
	fd = console_output_fd(s->vm->console);
	assert_int_equal(io_add(&s->vm->io, fd, POLLIN, drain, s), 0);
	s->result = vm_run(s->vm);
	drain(s, fd, 0);
	vm_destroy(s->vm);
	return NULL;
}

static void test_stop_reasons(void **state)
{
	static const struct {
		uint64_t type;
		uint64_t reason;
		enum vm_exit result;
	} rows[] = {{0, 0, VM_EXIT_OK}, {0, 1, VM_EXIT_GUEST_FAILURE}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script s = {
			.writes = 10,
			.letter = 'a',
			.srst_type = rows[i].type,
			.srst_reason = rows[i].reason,
		};

		run(&s);
		assert_int_equal(s.result, rows[i].result);
		assert_int_equal(s.printed, 10);
		assert_int_equal(s.loads, 1);
	}
}

static void test_reboot(void **state)
{
	struct script s = {
		.config.cpus = 2, .writes = 3, .letter = 'r', .reboots = 50, .all_harts = true};

	(void)state;
	run(&s);
	assert_int_equal(s.result, VM_EXIT_OK);
	assert_int_equal(s.loads, 51);
	assert_int_equal(s.resets, 51);
	assert_int_equal(s.printed, 51 * 2); /* the first step starts hart 1 */
	/* Each boot found hart 1 stopped and could start it. */
	assert_true(s.spinning >= 51);
}

static void test_no_reboot(void **state)
{
	struct script s = {.config.no_reboot = true, .letter = 'n', .reboots = 5};

	(void)state;
	run(&s);
	assert_int_equal(s.result, VM_EXIT_OK);
	assert_int_equal(s.loads, 1);
}

static void test_loader_fails(void **state)
{
	struct script s = {.loader_result = VM_EXIT_USAGE};

	(void)state;
	run(&s);
	assert_int_equal(s.result, VM_EXIT_USAGE);
}

static void quit(void *opaque, int fd, short revents)
{
	struct script *s = opaque;
	eventfd_t ignored;

	(void)revents;
	eventfd_read(fd, &ignored);
	vm_request_stop(s->vm, VM_STOP_USER_QUIT, 0);
}

/* The user ends a guest that never does so by itself. */
static void test_stop_from_outside(void **state)
{
	struct script s = {.config.cpus = 4, .writes = 1 << 30, .letter = 'q', .all_harts = true};
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	s.config.host_tree = tree.root;
	s.config.ram_size = 2 << 20;
	s.config.no_sandbox = true;
	assert_int_equal(vm_create(&s.config, &s.vm), 0);
	assert_int_equal(io_add(&s.vm->io, fd, POLLIN, quit, &s), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_int_equal(vm_run(s.vm), VM_EXIT_OK);
	vm_destroy(s.vm);
	close(fd);
}

static void test_two_vms(void **state)
{
	struct script a = {
		.config.cpus = 2, .writes = 5000, .letter = 'A', .reboots = 7, .all_harts = true};
	struct script b = {
		.config.cpus = 1, .writes = 3000, .letter = 'B', .reboots = 4, .srst_reason = 1};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run, &a), 0);
	run(&b);
	pthread_join(thread, NULL);
	assert_int_equal(a.result, VM_EXIT_OK);
	assert_int_equal(a.loads, 8);
	assert_int_equal(a.printed, 8 * 4999);
	assert_int_equal(b.result, VM_EXIT_GUEST_FAILURE);
	assert_int_equal(b.loads, 5);
	assert_int_equal(b.printed, 5 * 3000);
}

static void test_too_many_vcpus(void **state)
{
	struct script s = {.config = {.cpus = 9, .ram_size = 2 << 20, .host_tree = tree.root}};

	(void)state;
	assert_int_equal(vm_create(&s.config, &s.vm), VM_EXIT_HOST);
}

static void test_too_much_memory(void **state)
{
	struct script s = {.config = {.cpus = 1, .ram_size = 1ULL << 60, .host_tree = tree.root}};

	(void)state;
	assert_int_equal(vm_create(&s.config, &s.vm), VM_EXIT_HOST);
	/* What was not made yet is not destroyed: a descriptor that is 0 would be somebody else's. */
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

static int make_tree(void **state)
{
	(void)state;
	hart_fake_guest = guest;
	fake_tree_root(&tree);
	fake_tree_cpus(&tree);
	fake_tree_cpu(&tree);
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	fake_tree_destroy(&tree);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_reasons),      cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_no_reboot),         cmocka_unit_test(test_loader_fails),
		cmocka_unit_test(test_stop_from_outside), cmocka_unit_test(test_two_vms),
		cmocka_unit_test(test_too_many_vcpus),    cmocka_unit_test(test_too_much_memory),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
