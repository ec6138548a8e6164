/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test program has: it runs in M-mode, builds the page tables of a
 * host process and of a guest (the world), runs a few instructions in some
 * mode below and looks at where they trapped.
 */
#ifndef ISATEST_H
#define ISATEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "csr.h"
#include "insn.h"

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE_SIZE 4096ul
#define MAX_HARTS 4

/* Modes that code can be run in. */
enum mode {
	IN_M,
	IN_HS,
	IN_U,   /* V=0, EN=0 */
	IN_HU,  /* V=0, EN=1 */
	IN_DVS, /* VS-mode of a DV guest */
	IN_DVU,
	IN_VS, /* VS-mode of a plain guest */
	IN_VU,
	MODES
};

/* Where a trap arrived first. */
enum where { AT_M, AT_HS, AT_HU, AT_VS };

extern const char *const mode_name[MODES];

/* The state after a run: where it ended, and all trap CSRs. */
struct outcome {
	enum where where;
	/* The code came to its closing ecall. */
	bool done;
	/* As the CSRs of the mode that got the trap say. */
	u64 cause, epc, tval, gpa, tinst;
	/* All of them, as they were when M-mode came to look. */
	u64 mcause, mepc, mtval, mtval2, mtinst, mstatus;
	u64 scause, sepc, stval, htval, htinst, hstatus, sstatus;
	u64 hustatus, huepc, hucause, hutval, hugpa, hutinst;
	u64 vsstatus, vsepc, vscause, vstval;
	u64 x[32];
};

/* ---- page tables ---- */

struct table {
	int mode; /* ATP_* */
	bool x4;
	u64 root; /* physical */
	/* Tables are named by physical address + this, in PTEs and in the root. */
	u64 name_offset;
};

struct table table_new(int mode, bool x4, u64 name_offset);
int table_levels(const struct table *t);
/* The PTE of @va at @level (0: 4 KiB), making or splitting what is above it. */
u64 *table_pte(const struct table *t, u64 va, int level);
void table_map(const struct table *t, u64 va, u64 target, int level, u64 flags);
/* All of RAM in leaves of 2 MiB: physical address + @offset leads to physical address + @target_offset. */
void table_map_ram(const struct table *t, u64 offset, u64 target_offset, u64 flags);
/* The physical address of the table that holds the PTE of @va at @level. */
u64 table_page(const struct table *t, u64 va, int level);
u64 table_atp(const struct table *t);
static inline u64 make_pte(u64 target, u64 flags)
{
	return (target >> 12) << 10 | flags;
}
static inline u64 level_size(int level)
{
	return PAGE_SIZE << (9 * level);
}
/* Zeroed pages, all free again with the next world. */
void *alloc_pages(unsigned int n);

/* ---- the world ---- */

/*
 * All of RAM is mapped in each address space: at its physical address for
 * HS-mode, and at physical address + offset for
 */
struct world {
	u64 hva; /* the process */
	u64 gpa; /* stage 2 */
	u64 gvs; /* VS-mode (U=0), */
	u64 gvu; /* VU-mode (U=1) by vsatp */
	struct table host, stage2, guest;
};

extern struct world world;

/* All CSRs as after reset, PMP open, traps to the library. */
void fresh(void);
/* fresh() and tables of these modes (ATP_*). */
void new_world(int satp, int hugatp, int vsatp);
/* new_world(Sv39, Sv39x4, Bare) */
void usual_world(void);
/* Let this hart's CSRs name the tables of the world. */
void load_world(void);
void fence_all(void);
/* The address at which code in @mode sees physical address @pa. */
u64 at(enum mode mode, const volatile void *pa);
u64 at_pa(enum mode mode, u64 pa);
void set_en(bool en);

/* ---- running ---- */

/* Registers of the next run; kept from one to the next. */
u64 *regs(void);
/* Put the instructions, closed by an ecall, where all modes can run them. */
void *put_code(const u32 *insns, unsigned int n);
/* Run what is at @pc, an address of @mode. */
const struct outcome *run_at(enum mode mode, u64 pc);
const struct outcome *run_insns(enum mode mode, const u32 *insns, unsigned int n);
#define RUN(mode, ...)                                                                             \
	run_insns(mode, (const u32[]){__VA_ARGS__}, ARRAY_SIZE(((const u32[]){__VA_ARGS__})))
/* Run the instructions after huret in HU, as hustatus says. */
const struct outcome *huret_to(enum mode mode, u64 pc);
/* The address of instruction @n of the last put_code(), as @mode sees it. */
u64 code_addr(enum mode mode, unsigned int n);
/* ... as the last exit left it; @mode is where that leads. */
const struct outcome *huret_again(enum mode mode);
/* Any CSR by number, through an instruction in M-mode. */
u64 read_csr(unsigned int csr);
void write_csr(unsigned int csr, u64 value);

extern char hs_trap[], hu_trap[], vs_trap[], do_huret[], do_sret[];
/* @n instructions that do nothing, and as many more as it takes to call this. */
void spend(u64 n);
#define SPEND_MAX 1024

/* ---- a page of the guest, to be accessed through chosen PTEs ---- */

struct window {
	u64 pa, hva, gpa, gva;
	/* Its leaves; NULL where the stage is Bare. */
	u64 *host_pte, *stage2_pte, *guest_pte;
	int host_level, stage2_level, guest_level;
	enum mode mode;
};

enum access { FETCH, LOAD, STORE, AMO, ACCESSES };
extern const char *const access_name[ACCESSES];
extern const u64 page_fault[ACCESSES], guest_page_fault[ACCESSES];
/* What a host fault of this access is: fetches are loads there. */
extern const u64 host_page_fault[ACCESSES], host_access_fault[ACCESSES];

#define WINDOW_MAGIC 0x5a17c0de5a17c0deul
#define WINDOW_DATA 64

/* Map a page in the world for @mode by leaves of these levels. */
struct window window_map(enum mode mode, int guest_level, int stage2_level, int host_level);
/* ... by 4 KiB leaves */
struct window window_new(enum mode mode);
/* What is accessed: the address in the window. */
u64 access_offset(enum access kind);
const struct outcome *run_access(enum mode mode, enum access kind, u64 base);
const struct outcome *window_access(const struct window *w, enum access kind);
/* The pc of the access. */
u64 access_pc(enum mode mode, enum access kind, u64 base);
#define CHECK_ACCESS_OK(o, w, kind) check_access_ok(__FILE__, __LINE__, o, w, kind)
bool check_access_ok(const char *file, int line, const struct outcome *o, const struct window *w,
		     enum access kind);
/* A DV exit from the window access. */
#define CHECK_EXIT(o, w, kind, cause, gpa, tinst)                                                  \
	check_exit(__FILE__, __LINE__, o, w, kind, cause, gpa, tinst)
void check_exit(const char *file, int line, const struct outcome *o, const struct window *w,
		enum access kind, u64 cause, u64 gpa, u64 tinst);
/* [HOST-2]: exit 49, then the exception at hutvec. */
#define CHECK_HOST_FAULT(o, mode, pc, cause, hva)                                                  \
	check_host_fault(__FILE__, __LINE__, o, mode, pc, cause, hva)
void check_host_fault(const char *file, int line, const struct outcome *o, enum mode mode, u64 pc,
		      u64 cause, u64 hva);
#define DELEGATE_HOST_FAULTS (1 << 5 | 1 << 7 | 1 << 13 | 1 << 15)

/* ---- harts ---- */
void start_hart(unsigned int hart, void (*fn)(void));
static inline unsigned int hart_id(void)
{
	return csr_read(0xf14);
}
/* Words by which harts tell each other where they are. */
static inline u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void set(u64 *p, u64 v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}
/* False: given up, after far longer than anything takes. */
bool wait_for(const u64 *p, u64 v);

/* ---- results ---- */

/* Begin a case; the one before ends. It passes if it made checks and all held. */
__attribute__((format(printf, 1, 2))) void test(const char *fmt, ...);
/* More about the checks that follow, shown if they fail; NULL: nothing. */
__attribute__((format(printf, 1, 2))) void note(const char *fmt, ...);
bool check(bool ok, const char *file, int line, const char *what, u64 got, u64 want);
bool check_trap(const char *file, int line, const struct outcome *o, enum where where, u64 cause,
		u64 epc, u64 tval);
#define CHECK_EQ(got, want) check_eq(__FILE__, __LINE__, #got, (u64)(got), (u64)(want))
#define CHECK(cond) check((cond), __FILE__, __LINE__, #cond, 0, 1)
#define CHECK_TRAP(o, where, cause, epc, tval)                                                     \
	check_trap(__FILE__, __LINE__, o, where, cause, epc, tval)
#define CHECK_DONE(o) check_done(__FILE__, __LINE__, o)
bool check_eq(const char *file, int line, const char *what, u64 got, u64 want);
bool check_done(const char *file, int line, const struct outcome *o);
/* No more than this many failed checks are described for each case. */
#define MAX_COMPLAINTS 6

__attribute__((format(printf, 1, 2))) void print(const char *fmt, ...);
void vformat(char *buf, size_t size, const char *fmt, va_list args);
/* Wait for a byte on the serial port. */
u8 read_byte(void);
__attribute__((noreturn)) void power_off(bool ok);

/* A program for a hart without Xdv defines its own. */
bool have_xdv(void);
/* The test program. */
void test_main(void);
/* Called first of all, before the library writes any CSR; may be left out. */
void at_reset(void);

/* Called by assembly */
struct context;
void enter_context(struct context *context);
void boot_hart(void);
void boot_other_hart(unsigned int hart);
void unexpected_trap(void);

void *memset(void *dst, int c, size_t n);
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
