/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the control plane, run as root in the emulated host. Each TEST() runs in a process of
 * its own, with a time limit, and is one line of TAP.
 */
#ifndef SHIMTEST_H
#define SHIMTEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "duvisor/isa.h"
#include "uapi/duvisor.h"

/* --- cases --- */

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(title)                                                                                \
	static void test_##title(void);                                                            \
	static const struct test *const case_##title                                               \
		__attribute__((used, section("shim_tests"))) =                                     \
			&(const struct test){#title, test_##title};                                \
	static void test_##title(void)

__attribute__((noreturn, format(printf, 3, 4))) void fail(const char *file, int line,
							  const char *format, ...);
__attribute__((noreturn)) void skip(const char *reason);
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(__FILE__, __LINE__, "%s", #condition);                                \
	} while (0)

#define CHECK_EQ(value, expected)                                                                  \
	do {                                                                                       \
		uint64_t v_ = (uint64_t)(value), e_ = (uint64_t)(expected);                        \
		if (v_ != e_)                                                                      \
			fail(__FILE__, __LINE__, "%s is %#lx, not %#lx", #value, v_, e_);          \
	} while (0)

/* --- the hart --- */

#define CSR_READ(number)                                                                           \
	({                                                                                         \
		uint64_t value_;                                                                   \
		__asm__ volatile("csrr %0, %1" : "=r"(value_) : "i"(number) : "memory");           \
		value_;                                                                            \
	})
#define CSR_WRITE(number, value)                                                                   \
	__asm__ volatile("csrw %0, %1" : : "i"(number), "rK"((uint64_t)(value)) : "memory")

uint64_t hupost(uint64_t index, uint64_t bits);
void hufence(void);
uint64_t now(void); /* ns */
void sleep_ms(unsigned int ms);
/*
 * finished() is true once the time of finish_in() has passed. It reads no clock: the emulator's
 * timers expire at such a read, and the host's ticks would come there, not in the guest.
 */
void finish_in(unsigned int ms);
bool finished(void);
void pin(int cpu); /* the calling thread; -1: any */

/* Does it take SIGILL (SIGSEGV) to do this? */
bool is_illegal(void (*what)(void));
void read_hutval(void);
bool is_member(void);

/* --- VMs --- */

int vm_open(void);
int vm_attach(int fd, unsigned int index); /* 0 or -errno */
int vm_detach(int fd);

/* --- processes and threads --- */

/* Run it in a child; its wait status. */
int in_child(void (*what)(void *), void *arg);
pthread_t start(void *(*what)(void *), void *arg);

/* --- guests: S-mode, no VS-stage translation, 2 MiB of memory at GUEST_BASE --- */

#define GUEST_BASE 0x80000000UL
#define GUEST_SIZE (2UL << 20)
#define GIB (1UL << 30)

struct frame {
	uint64_t gpr[32];
	uint64_t host[16];
};
_Static_assert(offsetof(struct frame, host) == 256, "as enter.S has it");

struct guest {
	struct frame frame;
	uint8_t *memory;      /* aligned to 1 GiB */
	uint64_t *root;       /* 16 KiB, aligned */
	unsigned int entries; /* of dv_enter */
	unsigned int host_interrupts;
	unsigned int host_faults;
	unsigned int doorbells;
};

#define A0 10
#define A1 11
#define A2 12
#define A3 13
#define A4 14

#define PTE_V 0x01
#define PTE_R 0x02
#define PTE_W 0x04
#define PTE_X 0x08
#define PTE_U 0x10
#define PTE_A 0x40
#define PTE_D 0x80
#define PTE_ALL (PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D)
/* A leaf (or with flags PTE_V a pointer) to a host-virtual address, as much of it as fits. */
#define PTE(hva, flags) (((uint64_t)(uintptr_t)(hva) >> 12 & HUGATP_VPN_MASK) << 10 | (flags))

extern const char guest_hello[], guest_access[], guest_load[], guest_fetch[], guest_compute[],
	guest_kvm_compute[], guest_spin[], guest_timer[], guest_probe[], guest_end[];

int dv_enter(struct frame *frame);
/* HLV.D: 1 and the value in A1 of the frame, or 0 after an exit. */
int dv_hlv(struct frame *frame, uint64_t gva);

/* Map one 4 KiB page at MAP_BASE + slot pages with this leaf; builds the tables on first use. */
#define MAP_BASE (3 * GIB)
uint64_t *guest_map(struct guest *guest, unsigned int slot, uint64_t pte);
/* The lower tables of that: [0] level 1, [1] level 0. */
extern uint64_t *guest_tables[2];
/* One instruction in U-mode; does it take SIGILL? */
bool insn_is_illegal(uint32_t insn);

/* Make a guest with this program in its memory, and its table: one 1 GiB leaf. */
struct guest *guest_new(const char *program);
/* Give the calling member's vCPU to the guest. */
void guest_load_vcpu(const struct guest *guest, uint64_t pc);
/* Until an exit that is not the host's business; its cause, or -1 when the hart was lost. */
uint64_t guest_run(struct guest *guest);
/* open, attach as vCPU 0, load, in one */
int guest_boot(struct guest *guest);

/* The multiplier's recurrence of guest_compute. */
uint64_t compute(uint64_t rounds, uint64_t multiplier, uint64_t value);

#endif
