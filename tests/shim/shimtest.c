/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shimtest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT 120
#define EXIT_SKIP 77

extern const struct test *const __start_shim_tests[], *const __stop_shim_tests[];

/* --- cases --- */

void fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# %s:%d: ", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
	vprintf(format, args);
	printf(" (errno: %s)\n", strerror(errno));
	va_end(args);
	fflush(stdout);
	_exit(1);
}

void skip(const char *reason)
{
	printf("# SKIP %s\n", reason);
	fflush(stdout);
	_exit(EXIT_SKIP);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

static void run_body(void *body)
{
	alarm(TIME_LIMIT);
	((const struct test *)body)->run();
}

static void report(int number, const struct test *test, int status)
{
	if (WIFSIGNALED(status))
		note("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (status == EXIT_SKIP << 8)
		printf("ok %d - %s # SKIP\n", number, test->name);
	else
		printf("%sok %d - %s\n", status ? "not " : "", number, test->name);
}

int main(int argc, char **argv)
{
	const struct test *const *test;
	int number = 0, failed = 0, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!getenv("SHIMTEST_NESTED"))
		printf("1..%d\n",
		       argc > 1 ? argc - 1 : (int)(__stop_shim_tests - __start_shim_tests));
	for (test = __start_shim_tests; test < __stop_shim_tests; test++) {
		bool wanted = argc < 2;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], (*test)->name);
		if (!wanted)
			continue;
		/* What a test executes is to see what its own thread has become. */
		if (getenv("SHIMTEST_NESTED")) {
			run_body((void *)*test);
			return 0;
		}
		status = in_child(run_body, (void *)*test);
		report(++number, *test, status);
		failed |= status && status != EXIT_SKIP << 8;
	}
	return failed;
}

/* --- the hart --- */

uint64_t hupost(uint64_t index, uint64_t bits)
{
	uint64_t delivered;

	__asm__ volatile(".insn r 0x73, 0, %1, %0, %2, %3"
			 : "=r"(delivered)
			 : "i"(DV_FUNCT7_HUPOST), "r"(index), "r"(bits)
			 : "memory");
	return delivered;
}

void hufence(void)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, x0, x0" : : "i"(DV_FUNCT7_HUFENCE_G) : "memory");
	__asm__ volatile(".insn r 0x73, 0, %0, x0, x0, x0" : : "i"(DV_FUNCT7_HUFENCE_V) : "memory");
}

uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static atomic_bool is_finished;

static void *finish(void *ms)
{
	sleep_ms((unsigned int)(uintptr_t)ms);
	atomic_store(&is_finished, true);
	return NULL;
}

void finish_in(unsigned int ms)
{
	atomic_store(&is_finished, false);
	start(finish, (void *)(uintptr_t)ms);
}

bool finished(void)
{
	return atomic_load_explicit(&is_finished, memory_order_relaxed);
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < 64; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

static __thread sigjmp_buf trapped;
static __thread volatile bool armed;

/* The handler stays, for all threads; who did not ask for it dies as without. */
static void on_trap(int number)
{
	if (armed)
		siglongjmp(trapped, number);
	signal(number, SIG_DFL);
}

bool is_illegal(void (*what)(void))
{
	struct sigaction action = {.sa_handler = on_trap};
	volatile bool illegal = true;

	CHECK(!sigaction(SIGILL, &action, NULL));
	if (!sigsetjmp(trapped, 1)) {
		armed = true;
		what();
		illegal = false;
	}
	armed = false;
	return illegal;
}

static void (*insn_page)(void);

static void call_insn(void)
{
	insn_page();
}

bool insn_is_illegal(uint32_t insn)
{
	uint32_t *page = (uint32_t *)(uintptr_t)insn_page;

	if (!page) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(page != MAP_FAILED);
		insn_page = (void (*)(void))(uintptr_t)page;
		page[1] = 0x00008067; /* ret */
	}
	page[0] = insn;
	__builtin___clear_cache((char *)page, (char *)(page + 2));
	return is_illegal(call_insn);
}

void read_hutval(void)
{
	(void)CSR_READ(CSR_HUTVAL);
}

bool is_member(void)
{
	return !is_illegal(read_hutval);
}

/* --- VMs --- */

int vm_open(void)
{
	int fd = open(DUVISOR_DEVICE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

int vm_attach(int fd, unsigned int index)
{
	struct duvisor_attach attach = {.index = index};

	return ioctl(fd, DUVISOR_ATTACH, &attach) ? -errno : 0;
}

int vm_detach(int fd)
{
	return ioctl(fd, DUVISOR_DETACH) ? -errno : 0;
}

/* --- processes and threads --- */

int in_child(void (*what)(void *), void *arg)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		what(arg);
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

pthread_t start(void *(*what)(void *), void *arg)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, what, arg);
	CHECK(!errno);
	return thread;
}

/* --- guests --- */

struct guest *guest_new(const char *program)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	uint8_t *space = mmap(NULL, 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(guest && space != MAP_FAILED);
	guest->memory = (uint8_t *)(((uintptr_t)space + GIB - 1) & -GIB);
	CHECK(!mprotect(guest->memory, GUEST_SIZE, PROT_READ | PROT_WRITE));
	memcpy(guest->memory, program, (size_t)(guest_end - program));
	CHECK(!posix_memalign((void **)&guest->root, 16384, 16384));
	memset(guest->root, 0, 16384);
	guest->root[GUEST_BASE / GIB] = PTE(guest->memory, PTE_ALL);
	return guest;
}

uint64_t *guest_tables[2];

uint64_t *guest_map(struct guest *guest, unsigned int slot, uint64_t pte)
{
	for (int i = 0; i < 2; i++) {
		if (guest_tables[i])
			continue;
		CHECK(!posix_memalign((void **)&guest_tables[i], 4096, 4096));
		memset(guest_tables[i], 0, 4096);
	}
	guest->root[MAP_BASE / GIB] = PTE(guest_tables[0], PTE_V);
	guest_tables[0][0] = PTE(guest_tables[1], PTE_V);
	guest_tables[1][slot] = pte;
	return &guest_tables[1][slot];
}

void guest_load_vcpu(const struct guest *guest, uint64_t pc)
{
	CSR_WRITE(CSR_HUGATP,
		  (uint64_t)HUGATP_MODE_SV39X4 << HUGATP_MODE_SHIFT | (uintptr_t)guest->root >> 12);
	CSR_WRITE(CSR_HUVSATP, 0);
	CSR_WRITE(CSR_HUEDELEG, 0);
	CSR_WRITE(CSR_HUCOUNTEREN, 7);
	CSR_WRITE(CSR_HUSTATUS, HUSTATUS_SPV | HUSTATUS_SPVP);
	CSR_WRITE(CSR_HUEPC, pc);
	hufence();
}

uint64_t guest_run(struct guest *guest)
{
	for (;;) {
		guest->entries++;
		if (dv_enter(&guest->frame))
			return UINT64_MAX;
		switch (CSR_READ(CSR_HUCAUSE)) {
		case DV_CAUSE_HOST_INTERRUPT:
			guest->host_interrupts++;
			break;
		case DV_CAUSE_HOST_FAULT:
			guest->host_faults++;
			break;
		case DV_CAUSE_DOORBELL:
			guest->doorbells++;
			break;
		default:
			return CSR_READ(CSR_HUCAUSE);
		}
	}
}

int guest_boot(struct guest *guest)
{
	int fd = vm_open();

	CHECK_EQ(vm_attach(fd, 0), 0);
	guest_load_vcpu(guest, GUEST_BASE);
	return fd;
}

uint64_t compute(uint64_t rounds, uint64_t multiplier, uint64_t value)
{
	while (rounds--)
		value = value * multiplier + 1;
	return value;
}
