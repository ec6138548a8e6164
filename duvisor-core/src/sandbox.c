/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "types.h"
#include "uapi/duvisor.h"

#if defined(__riscv)
#define OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "the unit tests need the name of this architecture here"
#endif

/* Allowed if (the low 32 bits of argument arg & mask) == value; several rows of one call are alternatives. */
struct rule {
	unsigned int call;
	unsigned int arg;
	uint32_t mask; /* 0: whatever the arguments are */
	uint32_t value;
	bool own; /* the value is the id of this process */
};

#define IOCTL(request)                                                                             \
	{                                                                                          \
		.call = SYS_ioctl, .arg = 1, .mask = ~0U, .value = (uint32_t)(request)             \
	}

static const struct rule rules[] = {
	/* to run: sleep, wake, end */
	{.call = SYS_futex},
	{.call = SYS_restart_syscall},
	{.call = SYS_exit},
	{.call = SYS_exit_group},
	{.call = SYS_sched_yield},
	{.call = SYS_membarrier},
	{.call = SYS_set_robust_list},
	IOCTL(DUVISOR_DETACH),

	/* events, time, signals */
	{.call = SYS_epoll_pwait},
#ifdef SYS_epoll_wait
	{.call = SYS_epoll_wait},
#endif
	{.call = SYS_epoll_ctl},
	{.call = SYS_ppoll},
#ifdef SYS_poll
	{.call = SYS_poll},
#endif
	{.call = SYS_timerfd_settime},
	{.call = SYS_timerfd_gettime},
	{.call = SYS_clock_gettime},
	{.call = SYS_clock_nanosleep},
	{.call = SYS_nanosleep},
	{.call = SYS_rt_sigaction},
	{.call = SYS_rt_sigprocmask},
	{.call = SYS_rt_sigreturn},
	{.call = SYS_getpid},
	{.call = SYS_gettid},
	/* to stop, and to die of the signal that ended us: nobody else's */
	{.call = SYS_kill, .mask = ~0U, .own = true},
	{.call = SYS_tgkill, .mask = ~0U, .own = true},
	{.call = SYS_tkill, .mask = ~0U, .own = true}, /* that is the main thread */
	{.call = SYS_wait4},                           /* child.c */

	/* what is open already */
	{.call = SYS_read},
	{.call = SYS_readv},
	{.call = SYS_pread64},
	{.call = SYS_write},
	{.call = SYS_writev},
	{.call = SYS_lseek},
	{.call = SYS_close},
	{.call = SYS_fstat},
	{.call = SYS_ftruncate}, /* --dump-dtb, at a reboot */
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_GETFL},
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_SETFL},
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_SETFD},

	/* the terminal, after a stop */
	{.call = SYS_getpgid},
	IOCTL(TIOCGPGRP),
	IOCTL(TCGETS),
	IOCTL(TCSETS),
	IOCTL(TCSETSW),
	IOCTL(TCSETSF),
	IOCTL(TIOCGWINSZ),

	/* disks */
	{.call = SYS_io_uring_enter}, /* the ring has limits of its own (disk_uring.c) */
	{.call = SYS_preadv},
	{.call = SYS_pwritev},
	{.call = SYS_pwritev2},
	{.call = SYS_pwrite64},
	{.call = SYS_fdatasync},
	{.call = SYS_fallocate},
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_OFD_SETLK},

	/* clients of the console and of vsock */
	{.call = SYS_accept4},

	/* connections of the guest, which another process makes (vsock_connector.h) */
	{.call = SYS_recvmsg},
	{.call = SYS_shutdown},

	/* networks, by descriptors that are open */
	{.call = SYS_sendto},
	{.call = SYS_recvfrom},
	IOCTL(TUNSETOFFLOAD),
	IOCTL(TUNSETQUEUE),

	/* memory, but none that can be executed */
	{.call = SYS_brk},
	{.call = SYS_munmap},
	{.call = SYS_mremap},
	{.call = SYS_madvise},
	{.call = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0},
	{.call = SYS_mprotect, .arg = 2, .mask = PROT_EXEC, .value = 0},
	{.call = SYS_getrandom},
};

/* Of a process that serves a directory (p9/process.h). That it makes no descriptor for anything else is its root's doing. */
static const struct rule share_rules[] = {
	{.call = SYS_recvfrom},
	{.call = SYS_sendto},
	{.call = SYS_exit_group},

	/* names */
	{.call = SYS_openat},
	{.call = SYS_close},
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_DUPFD_CLOEXEC},
	{.call = SYS_fcntl, .arg = 1, .mask = ~0U, .value = F_SETFD}, /* musl, behind that */
#ifdef SYS_statx
	{.call = SYS_statx},
#endif
	{.call = SYS_newfstatat},
	{.call = SYS_fstat},
	{.call = SYS_fstatfs},
	{.call = SYS_readlinkat},
	{.call = SYS_getdents64},
	{.call = SYS_lseek},
	{.call = SYS_mkdirat},
	{.call = SYS_mknodat},
	{.call = SYS_symlinkat},
	{.call = SYS_linkat},
	{.call = SYS_unlinkat},
	{.call = SYS_renameat2},
#ifdef SYS_renameat
	{.call = SYS_renameat},
#endif

	/* contents and attributes */
	{.call = SYS_pread64},
	{.call = SYS_pwrite64},
	{.call = SYS_ftruncate},
	{.call = SYS_fsync},
	{.call = SYS_fdatasync},
	{.call = SYS_fchmodat},
	{.call = SYS_fchownat},
	{.call = SYS_utimensat},

	/* memory, but none that can be executed */
	{.call = SYS_brk},
	{.call = SYS_munmap},
	{.call = SYS_mmap, .arg = 2, .mask = PROT_EXEC, .value = 0},
	{.call = SYS_mprotect, .arg = 2, .mask = PROT_EXEC, .value = 0},
	{.call = SYS_madvise},
};

/* Of the process that makes the host's end of a guest's connection: one kind of socket, and to pass it on. */
static const struct rule connector_rules[] = {
	{.call = SYS_recvfrom}, {.call = SYS_socket, .arg = 0, .mask = ~0U, .value = AF_UNIX},
	{.call = SYS_connect},  {.call = SYS_sendmsg},
	{.call = SYS_close},    {.call = SYS_exit_group},
};

static const struct {
	const struct rule *rules;
	size_t count;
} tables[] = {
	[SANDBOX_HYPERVISOR] = {rules, ARRAY_SIZE(rules)},
	[SANDBOX_SHARE] = {share_rules, ARRAY_SIZE(share_rules)},
	[SANDBOX_VSOCK_CONNECTOR] = {connector_rules, ARRAY_SIZE(connector_rules)},
};

/* A rule is at most six instructions; four begin the filter, one ends it. */
#define MAX_FILTER (6 * ARRAY_SIZE(rules) + 5)
_Static_assert(ARRAY_SIZE(share_rules) <= ARRAY_SIZE(rules), "the largest table fits");

struct program {
	struct sock_filter code[MAX_FILTER];
	unsigned short length;
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_EQUAL_SKIP(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

static void emit(struct program *program, const struct sock_filter *code, size_t count)
{
	memcpy(program->code + program->length, code, count * sizeof(*code));
	program->length += count;
}

static void emit_rule(struct program *program, const struct rule *rule)
{
	const struct sock_filter any[] = {
		LOAD(nr),
		UNLESS_EQUAL_SKIP(rule->call, 1),
		RETURN(SECCOMP_RET_ALLOW),
	};
	/* All architectures here are little-endian: the low half comes first. */
	const struct sock_filter some[] = {
		LOAD(nr),
		UNLESS_EQUAL_SKIP(rule->call, 4),
		LOAD(args[rule->arg]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask),
		UNLESS_EQUAL_SKIP(rule->own ? (uint32_t)getpid() : rule->value, 1),
		RETURN(SECCOMP_RET_ALLOW),
	};

	if (rule->mask)
		emit(program, some, ARRAY_SIZE(some));
	else
		emit(program, any, ARRAY_SIZE(any));
}

static void compile(struct program *program, const struct rule *table, size_t count)
{
	/* The numbers above are those of one architecture. */
	const struct sock_filter begin[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_filter end[] = {RETURN(SECCOMP_RET_TRAP)};

	program->length = 0;
	emit(program, begin, ARRAY_SIZE(begin));
	for (size_t i = 0; i < count; i++)
		emit_rule(program, &table[i]);
	emit(program, end, ARRAY_SIZE(end));
}

/* In vCPU threads, which block all signals, the kernel ends the process by SIGSYS without asking this. */
static void refused(int number, siginfo_t *info, void *context)
{
	char line[96];
	int length = snprintf(line, sizeof(line),
			      "duvisor: system call %d is not allowed here (see --no-sandbox)\n",
			      info->si_syscall);

	(void)context;
	(void)!write(STDERR_FILENO, line, (size_t)length);
	/* Not _exit(), which sanitizers take for an end that they may work at. */
	syscall(SYS_exit_group, 128 + number);
}

int sandbox_enter(enum sandbox which)
{
	const struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};
	struct program program;
	struct sock_fprog filter = {.filter = program.code};

	compile(&program, tables[which].rules, tables[which].count);
	filter.len = program.length;
	if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter))
		return 0;
	if (errno != ENOSYS && errno != EINVAL)
		return -errno;
	log_warn("this kernel has no seccomp filters: running without a sandbox");
	return 0;
}
