/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files, threads, processes, CPUs and the module itself come and go in any order. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shimtest.h"

#define MODULE "/lib/duvisor.ko"

static int unload(void)
{
	return syscall(SYS_delete_module, "duvisor", O_NONBLOCK) ? -errno : 0;
}

static void load(void)
{
	int fd = open(MODULE, O_RDONLY);

	CHECK(fd >= 0);
	CHECK(!syscall(SYS_finit_module, fd, "", 0));
	close(fd);
}

/* The module's reference count, from /proc/modules. */
static int users(void)
{
	FILE *f = fopen("/proc/modules", "r");
	int count = -1, n;
	char name[64];

	CHECK(f);
	while (fscanf(f, "%63s %*s %d%*[^\n]", name, &n) == 2)
		if (!strcmp(name, "duvisor"))
			count = n;
	fclose(f);
	return count;
}

/* What a dead thread held is given back within moments, not before its join. */
static void wait_for_users(int count)
{
	for (int i = 0; i < 200 && users() != count; i++)
		sleep_ms(10);
	CHECK_EQ(users(), count);
}

/* --- fork, exec, fd passing --- */

static void child_is_stranger(void *fd)
{
	CHECK(!is_member());
	CHECK_EQ(vm_attach(*(int *)fd, 1), -EPERM);
	CHECK_EQ(vm_detach(*(int *)fd), -ESRCH);
	CHECK_EQ(guest_boot(guest_new(guest_hello)) > 0, 1);
}

TEST(forked_child_inherits_nothing)
{
	struct guest *guest = guest_new(guest_hello);
	int fd = guest_boot(guest);

	CHECK_EQ(in_child(child_is_stranger, &fd), 0);
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
}

/* A member forks while others run: copy-on-write works under a running guest. */
TEST(fork_while_the_guest_runs)
{
	struct guest *guest = guest_new(guest_spin);
	uint64_t *counter = (uint64_t *)(void *)(guest->memory + 0x1000), before;
	int status;
	pid_t child;

	guest_boot(guest);
	guest->frame.gpr[A0] = GUEST_BASE + 0x1000;
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		sleep_ms(200);
		_exit(*counter != 0);
	}
	/* The store breaks the sharing; a doorbell of our own ends the run. */
	CSR_WRITE(CSR_HUDOORBELL, 0);
	for (uint64_t end = now() + 300000000; now() < end;)
		(void)dv_enter(&guest->frame);
	before = *counter;
	CHECK(before > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
}

static int share_mm(void *arg)
{
	int fd = *(int *)arg;

	if (is_member())
		_exit(1);
	_exit(vm_attach(fd, 5) ? 2 : is_member() ? 0 : 3);
}

TEST(process_sharing_the_memory_can_join)
{
	static char stack[65536] __attribute__((aligned(16)));
	int fd = vm_open(), status;
	pid_t child;

	CHECK_EQ(vm_attach(fd, 0), 0);
	/* CLONE_VFORK: two tasks on one thread's TLS must not run at once. */
	child = clone(share_mm, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &fd);
	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
	CHECK(is_member());
}

static void exec_self(void *program)
{
	char number[16];
	int fd = open(DUVISOR_DEVICE, O_RDWR); /* not O_CLOEXEC */

	CHECK_EQ(vm_attach(fd, 0), 0);
	CSR_WRITE(CSR_HUSCRATCH, 0xabcd);
	snprintf(number, sizeof(number), "%d", fd);
	setenv("SHIMTEST_NESTED", number, 1);
	execl("/proc/self/exe", "self", (char *)program, (char *)NULL);
}

/* A case, and what it executes: exec replaces the image, and only the fd is left. */
TEST(exec_ends_membership)
{
	const char *number = getenv("SHIMTEST_NESTED");
	struct guest *guest;
	int fd;

	if (!number) {
		CHECK_EQ(in_child(exec_self, "exec_ends_membership"), 0);
		return;
	}
	fd = atoi(number);
	sleep_ms(1); /* at the latest when the thread is next switched */
	CHECK(!is_member());
	CHECK_EQ(vm_attach(fd, 0), -EPERM);
	guest = guest_new(guest_hello);
	guest_boot(guest);
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
}

static void *exec_from_thread(void *unused)
{
	(void)unused;
	exec_self("exec_ends_membership");
	return NULL;
}

static void exec_beside_members(void *unused)
{
	(void)unused;
	pthread_join(start(exec_from_thread, NULL), NULL);
}

TEST(exec_by_a_thread_of_many)
{
	CHECK_EQ(in_child(exec_beside_members, NULL), 0);
}

static int receive_fd(int socket)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec io = {&byte, 1};
	struct msghdr message = {.msg_iov = &io,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	int fd;

	CHECK_EQ(recvmsg(socket, &message, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void send_fd(int socket, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {&byte, 1};
	struct msghdr message = {.msg_iov = &io,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

TEST(passed_fd_gives_no_membership_but_keeps_the_vm)
{
	int sockets[2], fd, status;
	pid_t child;
	char byte;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		fd = receive_fd(sockets[1]);
		CHECK_EQ(vm_attach(fd, 1), -EPERM);
		CHECK_EQ(vm_attach(fd, DUVISOR_INDEX_NONE), -EPERM);
		CHECK(write(sockets[1], "", 1) == 1 && read(sockets[1], &byte, 1) == 1);
		close(fd); /* the last one */
		CHECK(write(sockets[1], "", 1) == 1);
		_exit(0);
	}
	fd = vm_open();
	CHECK_EQ(vm_attach(fd, 0), 0);
	send_fd(sockets[0], fd);
	CHECK(read(sockets[0], &byte, 1) == 1);
	close(fd);
	CHECK(is_member());
	CHECK(write(sockets[0], "", 1) == 1 && read(sockets[0], &byte, 1) == 1);
	CHECK(!is_member());
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
}

/* --- close --- */

TEST(close_ends_own_membership)
{
	int fd = vm_open();

	CHECK_EQ(vm_attach(fd, 0), 0);
	close(fd);
	CHECK(!is_member());
	fd = vm_open();
	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK(is_member());
}

/* What a process that dies leaves behind. */
struct trace {
	volatile uint64_t rounds, rounds_at_close;
};

struct spinner {
	int fd;
	struct guest *guest;
	struct trace *trace;
	volatile uint64_t rounds;
	volatile bool stop, refuse;
};

static void *spin_in_guest(void *arg)
{
	struct spinner *spinner = arg;

	CHECK_EQ(vm_attach(spinner->fd, 0), 0);
	guest_load_vcpu(spinner->guest, GUEST_BASE);
	spinner->guest->frame.gpr[A0] = GUEST_BASE + 0x1000;
	for (;; spinner->rounds++)
		(void)guest_run(spinner->guest);
}

static bool guest_runs(const struct spinner *spinner)
{
	volatile uint64_t *counter = (volatile void *)(spinner->guest->memory + 0x1000);
	uint64_t before = *counter;

	for (int i = 0; i < 1000 && *counter == before; i++)
		sleep_ms(1);
	return *counter != before;
}

static void *trace_hu(void *arg)
{
	struct spinner *spinner = arg;
	struct trace *trace = spinner->trace;

	CHECK_EQ(vm_attach(spinner->fd, 0), 0);
	for (;; trace->rounds++)
		(void)CSR_READ(CSR_HUTVAL);
}

static void close_under_hu(void *arg)
{
	struct spinner spinner = {.fd = vm_open(), .trace = arg};
	struct trace *trace = arg;

	start(trace_hu, &spinner);
	for (uint64_t end = now() + 2000000000; trace->rounds < 1000 && now() < end;)
		sleep_ms(1);
	CHECK(trace->rounds >= 1000);
	close(spinner.fd);
	trace->rounds_at_close = trace->rounds;
	sleep_ms(1000);
}

TEST(close_takes_the_hart_from_a_running_hypervisor)
{
	struct trace *trace =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	CHECK(trace != MAP_FAILED);
	status = in_child(close_under_hu, trace);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGILL);
	/* Not sooner or later, but before close() returns; or even the closer was dead by then. */
	if (trace->rounds_at_close)
		CHECK(trace->rounds - trace->rounds_at_close <= 1);
}

static void close_under_guest(void *close_it)
{
	struct spinner spinner = {.fd = vm_open(), .guest = guest_new(guest_spin)};

	start(spin_in_guest, &spinner);
	CHECK(guest_runs(&spinner));
	if (close_it)
		close(spinner.fd);
	sleep_ms(1000);
}

TEST(close_takes_the_hart_from_a_running_guest)
{
	int status = in_child(close_under_guest, "yes");

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGILL);
	/* The control: without the close, nothing happens. */
	CHECK_EQ(in_child(close_under_guest, NULL), 0);
}

static void *sleep_attached(void *arg)
{
	struct spinner *spinner = arg;

	CHECK_EQ(vm_attach(spinner->fd, 0), 0);
	spinner->rounds = 1;
	while (!spinner->stop)
		sleep_ms(1);
	CHECK(!is_member());
	CHECK_EQ(vm_attach(vm_open(), 0), 0); /* as if it had never been one */
	CHECK(is_member());
	return NULL;
}

TEST(close_takes_membership_from_a_sleeper)
{
	struct spinner spinner = {.fd = vm_open()};
	pthread_t thread = start(sleep_attached, &spinner);

	while (!spinner.rounds)
		sleep_ms(1);
	close(spinner.fd);
	spinner.stop = true;
	pthread_join(thread, NULL);
}

/* Threads that attach, run and go while the file is closed under them. */
static void *attach_and_go(void *arg)
{
	volatile int *fd = arg;

	for (int i = 0; i < 50; i++) {
		if (!vm_attach(*fd, (unsigned int)i % 64)) {
			(void)is_member();
			(void)vm_detach(*fd);
		}
	}
	return NULL;
}

TEST(close_races_with_attach_and_exit)
{
	volatile int fd;

	for (int round = 0; round < 100; round++) {
		pthread_t threads[4];

		fd = vm_open();
		for (int i = 0; i < 4; i++)
			threads[i] = start(attach_and_go, (void *)&fd);
		for (int i = 0; i < round % 10; i++)
			sched_yield();
		close(fd);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	wait_for_users(0);
}

/* --- threads' and processes' ends --- */

static void *attach_and_exit(void *arg)
{
	CHECK_EQ(vm_attach(*(int *)arg, 0), 0);
	CHECK(is_member());
	return NULL;
}

TEST(joined_thread_has_left_its_index)
{
	int fd = vm_open();

	for (int i = 0; i < 500; i++)
		pthread_join(start(attach_and_exit, &fd), NULL);
	CHECK_EQ(vm_attach(fd, 0), 0);
}

static void run_guest_for_ever(void *unused)
{
	struct spinner spinner = {.fd = vm_open(), .guest = guest_new(guest_spin)};

	(void)unused;
	start(spin_in_guest, &spinner);
	pause();
}

static pid_t running_guest(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child)
		run_guest_for_ever(NULL);
	return child;
}

TEST(kill_9_leaves_nothing)
{
	int status;

	for (int i = 0; i < 20; i++) {
		pid_t child = running_guest();

		sleep_ms((unsigned int)i * 3);
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	wait_for_users(0);
}

TEST(sigstop_and_sigcont)
{
	struct spinner spinner = {.fd = vm_open()};
	volatile uint64_t *counter;
	uint64_t seen;
	int status;
	pid_t child;

	spinner.guest = guest_new(guest_spin);
	/* Shared, so that we see the child's guest count. */
	CHECK(mmap(spinner.guest->memory + 0x1000, 4096, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	counter = (volatile void *)(spinner.guest->memory + 0x1000);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		spinner.fd = vm_open();
		spin_in_guest(&spinner);
	}
	for (int i = 0; i < 5; i++) {
		CHECK(guest_runs(&spinner));
		kill(child, SIGSTOP);
		CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
		seen = *counter;
		sleep_ms(50);
		CHECK_EQ(*counter, seen);
		kill(child, SIGCONT);
	}
	CHECK(guest_runs(&spinner));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

/* --- the module --- */

static void *outlive_the_file(void *arg)
{
	struct spinner *spinner = arg;

	CHECK_EQ(vm_attach(spinner->fd, 0), 0);
	spinner->rounds = 1;
	while (!spinner->stop)
		sleep_ms(1);
	return NULL;
}

TEST(module_in_use_stays)
{
	struct spinner spinner = {.fd = vm_open()};
	pthread_t thread;
	pid_t child;
	int status;

	CHECK_EQ(unload(), -EWOULDBLOCK);
	thread = start(outlive_the_file, &spinner);
	while (!spinner.rounds)
		sleep_ms(1);
	close(spinner.fd);
	/* No file any more, but a thread with our notifier on its list. */
	CHECK_EQ(unload(), -EWOULDBLOCK);
	spinner.stop = true;
	pthread_join(thread, NULL);
	wait_for_users(0);

	child = running_guest();
	sleep_ms(100);
	CHECK_EQ(unload(), -EWOULDBLOCK);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	wait_for_users(0);

	CHECK_EQ(unload(), 0);
	CHECK(open(DUVISOR_DEVICE, O_RDWR) < 0);
	load();
	guest_boot(guest_new(guest_hello));
}

TEST(module_goes_right_after_the_last_thread)
{
	for (int i = 0; i < 30; i++) {
		int fd = vm_open(), result;

		pthread_join(start(attach_and_exit, &fd), NULL);
		close(fd);
		/* The thread may be on its last way out: try until it works. */
		for (uint64_t end = now() + 2000000000; (result = unload()) && now() < end;)
			CHECK_EQ(result, -EWOULDBLOCK);
		CHECK_EQ(result, 0);
		load();
	}
}

/* --- CPUs --- */

static void set_online(int cpu, bool online)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK(write(fd, online ? "1" : "0", 1) == 1);
	close(fd);
}

static void *compute_for_ever(void *arg)
{
	struct spinner *spinner = arg;

	CHECK_EQ(vm_attach(spinner->fd, 0), 0);
	guest_load_vcpu(spinner->guest, GUEST_BASE);
	CSR_WRITE(CSR_HUVSSCRATCH, 0x123456789);
	for (uint64_t round = 0; !spinner->stop; round++) {
		spinner->guest->frame.gpr[A0] = 10000;
		spinner->guest->frame.gpr[A1] = 5;
		spinner->guest->frame.gpr[A2] = round;
		CSR_WRITE(CSR_HUEPC, GUEST_BASE);
		CHECK_EQ(guest_run(spinner->guest), DV_CAUSE_VS_ECALL);
		CHECK_EQ(spinner->guest->frame.gpr[A2], compute(10000, 5, round));
		CHECK_EQ(spinner->guest->frame.gpr[A3], 0x123456789);
		spinner->rounds = round + 1;
	}
	return NULL;
}

TEST(cpus_go_and_come_back_under_guests)
{
	struct spinner spinners[3] = {0};
	pthread_t threads[3];

	for (int i = 0; i < 3; i++) {
		spinners[i].fd = vm_open();
		spinners[i].guest = guest_new(guest_compute);
		threads[i] = start(compute_for_ever, &spinners[i]);
	}
	for (int round = 0; round < 5; round++) {
		set_online(1, false);
		sleep_ms(50);
		set_online(1, true);
		sleep_ms(50);
	}
	for (int i = 0; i < 3; i++) {
		spinners[i].stop = true;
		pthread_join(threads[i], NULL);
		CHECK(spinners[i].rounds > 10);
	}
}

/* --- leaks --- */

#define CYCLES 1000
#define VMIDS (1 << 14)

#define CACHES 512

struct slab {
	char name[CACHES][64];
	long active[CACHES];
	int count;
};

/* Objects in use, by slab cache. */
static void read_slab(struct slab *slab)
{
	char line[512];
	FILE *f;

	f = fopen("/proc/sys/vm/drop_caches", "w");
	CHECK(f && fputs("3", f) >= 0 && !fclose(f));
	sleep_ms(6000); /* the kernel lets what RCU frees lie for up to five seconds */
	f = fopen("/proc/slabinfo", "r");
	CHECK(f);
	slab->count = 0;
	while (fgets(line, sizeof(line), f) && slab->count < CACHES)
		if (sscanf(line, "%63s %ld", slab->name[slab->count], &slab->active[slab->count]) ==
		    2)
			slab->count++;
	fclose(f);
	CHECK(slab->count > 10);
}

/* By how much the cache that grew most has grown. */
static long slab_growth(const struct slab *before, const struct slab *after)
{
	long most = 0;

	for (int i = 0; i < after->count; i++) {
		for (int j = 0; j < before->count; j++) {
			long grown = after->active[i] - before->active[j];

			/* The kernel purges the areas of dead threads' stacks when it likes. */
			if (strcmp(after->name[i], before->name[j]) || grown < 20 ||
			    !strcmp(after->name[i], "vmap_area"))
				continue;
			note("slab %s: %ld", after->name[i], grown);
			most = grown > most ? grown : most;
		}
	}
	return most;
}

/* What processes and the kernel hold; MemFree also moves with the CPUs' own lists of free pages. */
static long used_kib(void)
{
	static const char *const kinds[] = {"AnonPages",  "Shmem",         "Slab",  "KernelStack",
					    "PageTables", "SecPageTables", "Percpu"};
	char line[128], name[32];
	long kib, total = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (sscanf(line, "%31[^:]: %ld", name, &kib) == 2 &&
			    !strcmp(name, kinds[i]))
				total += kib;
	fclose(f);
	return total;
}

static void *idle_member(void *arg)
{
	struct spinner *spinner = arg;

	CHECK_EQ(vm_attach(spinner->fd, DUVISOR_INDEX_NONE), 0);
	spinner->rounds = 1;
	pause();
	return NULL;
}

/* A process, a VM, a vCPU that ran a guest, a thread without an index, and a way to end. */
static void lead_life(void *arg)
{
	struct guest *guest = guest_new(guest_hello);
	struct spinner idle = {.fd = guest_boot(guest)};
	int fd = idle.fd;

	start(idle_member, &idle);
	while (!idle.rounds)
		sched_yield();
	CHECK_EQ(guest_run(guest), DV_CAUSE_VS_ECALL);
	switch ((uintptr_t)arg) {
	case 0:
		exit(0);
	case 1:
		vm_detach(fd);
		close(fd);
		break;
	case 2:
		close(fd);
		break;
	default:
		raise(SIGKILL);
	}
}

static void live(uintptr_t way)
{
	CHECK_EQ(in_child(lead_life, (void *)way), way == 3 ? SIGKILL : 0);
}

TEST(a_thousand_lives_leave_no_memory)
{
	static struct slab before, after;
	int fds[CYCLES];
	long kib;

	for (int i = 0; i < 100; i++)
		live((uintptr_t)i % 4);
	read_slab(&before);
	kib = used_kib();
	for (int i = 0; i < CYCLES; i++)
		live((uintptr_t)i % 4);
	read_slab(&after);
	kib = used_kib() - kib;
	note("%d lives: %ld KiB", CYCLES, kib);
	CHECK(slab_growth(&before, &after) < CYCLES / 4);
	/* A page a life would be four times that. */
	CHECK(kib < CYCLES);
	CHECK_EQ(users(), 0);

	/* The control: what is really kept is seen. */
	read_slab(&before);
	for (int i = 0; i < CYCLES; i++)
		CHECK((fds[i] = open(DUVISOR_DEVICE, O_RDWR)) >= 0);
	read_slab(&after);
	CHECK(slab_growth(&before, &after) >= CYCLES / 2);
	for (int i = 0; i < CYCLES; i++)
		close(fds[i]);
}

TEST(vmids_are_given_back)
{
	/* More VMs than there can be VMIDs, one after the other ... */
	for (int i = 0; i < VMIDS + 1000; i++)
		close(vm_open());
	/* ... and members whose files are closed keep none. */
	for (int i = 0; i < 1000; i++) {
		int fd = vm_open();

		CHECK_EQ(vm_attach(fd, 0), 0);
		close(fd);
	}
}

TEST(vmids_run_out_politely)
{
	int children = VMIDS / 512 + 1, refused = 0, status, ready[2], go[2];
	char byte;

	CHECK(!pipe(ready) && !pipe(go));
	for (int c = 0; c < children; c++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child)
			continue;
		close(go[1]);
		for (int i = 0; i < 512; i++) {
			if (open(DUVISOR_DEVICE, O_RDWR) >= 0)
				continue;
			refused = errno == ENOSPC ? 1 : 2;
			break;
		}
		CHECK(write(ready[1], "", 1) == 1);
		(void)!read(go[0], &byte, 1);
		_exit(refused);
	}
	close(go[0]);
	for (int c = 0; c < children; c++)
		CHECK(read(ready[0], &byte, 1) == 1);
	close(go[1]);
	for (int c = 0; c < children; c++) {
		CHECK(wait(&status) > 0 && WIFEXITED(status));
		CHECK(WEXITSTATUS(status) < 2);
		refused += WEXITSTATUS(status);
	}
	CHECK(refused > 0);
	close(vm_open());
}
