/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CSRs, posts and fences of a hart with Xdv. Guest entry is in entry.S. */
#include "hart.h"

/* In entry.S: where exits of the guest arrive. */
extern const char hart_exit[];

#define CSR_READ(number)                                                                           \
	({                                                                                         \
		uint64_t v_;                                                                       \
		__asm__ volatile("csrr %0, %1" : "=r"(v_) : "i"(number) : "memory");               \
		v_;                                                                                \
	})
#define CSR_OP(op, number, value)                                                                  \
	__asm__ volatile(op " %0, %1" : : "i"(number), "rK"((uint64_t)(value)) : "memory")

#define HART_DEFINE_CSR(name, number)                                                              \
	uint64_t hart_read_##name(void)                                                            \
	{                                                                                          \
		return CSR_READ(number);                                                           \
	}                                                                                          \
	void hart_write_##name(uint64_t value)                                                     \
	{                                                                                          \
		CSR_OP("csrw", number, value);                                                     \
	}
HART_CSRS(HART_DEFINE_CSR)

void hart_set_huvip(uint64_t bits)
{
	CSR_OP("csrs", CSR_HUVIP, bits);
}

void hart_clear_huvip(uint64_t bits)
{
	CSR_OP("csrc", CSR_HUVIP, bits);
}

void hart_init(void)
{
	CSR_OP("csrw", CSR_HUTVEC, (uintptr_t)hart_exit);
}

unsigned int hart_post(unsigned int index, unsigned int bits)
{
	uint64_t delivered;

	__asm__ volatile(".insn r 0x73, 0, %1, %0, %2, %3"
			 : "=r"(delivered)
			 : "i"(DV_FUNCT7_HUPOST), "r"((uint64_t)index), "r"((uint64_t)bits)
			 : "memory");
	return delivered != 0;
}

static inline void hufence_v(uint64_t gva, uint64_t asid)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, %1, %2"
			 :
			 : "i"(DV_FUNCT7_HUFENCE_V), "r"(gva), "r"(asid)
			 : "memory");
}

void hart_fence_stage2(void)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, x0, x0" : : "i"(DV_FUNCT7_HUFENCE_G) : "memory");
}

void hart_fence_vs_all(void)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, x0, x0" : : "i"(DV_FUNCT7_HUFENCE_V) : "memory");
}

void hart_fence_vs_page(uint64_t gva)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, %1, x0"
			 :
			 : "i"(DV_FUNCT7_HUFENCE_V), "r"(gva)
			 : "memory");
}

void hart_fence_vs_asid(uint64_t asid)
{
	__asm__ volatile(".insn r 0x73, 0, %0, x0, x0, %1"
			 :
			 : "i"(DV_FUNCT7_HUFENCE_V), "r"(asid)
			 : "memory");
}

void hart_fence_vs_page_asid(uint64_t gva, uint64_t asid)
{
	hufence_v(gva, asid);
}

void hart_fence_i(void)
{
	__asm__ volatile("fence.i" : : : "memory");
}

uint64_t hart_time(void)
{
	uint64_t t;

	__asm__ volatile("rdtime %0" : "=r"(t) : : "memory");
	return t;
}
