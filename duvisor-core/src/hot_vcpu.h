/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hot register (hot.h) can do to the vCPU that accesses it. entry.S keeps that one in t2 meanwhile. In unit tests it
 * is whom the test says.
 */
#ifndef DUVISOR_HOT_VCPU_H
#define DUVISOR_HOT_VCPU_H

#include "duvisor/isa.h"
#include "vcpu.h"

#ifdef __riscv

register struct vcpu *hot_self __asm__("t2");

static inline struct vcpu *hot_vcpu(void)
{
	return hot_self;
}

/* vcpu_send_ext_irq() for the vCPU itself. */
static inline void hot_send_ext_irq(struct vcpu *vcpu)
{
	(void)vcpu;
	__asm__ volatile("csrs %0, %1" : : "i"(CSR_HUVIP), "r"((uint64_t)HUVIP_VSEIP) : "memory");
}

/* vcpu_set_ext_irq() likewise, if that changes the level. */
static inline void hot_set_ext_irq(struct vcpu *vcpu, bool level)
{
	*(volatile uint32_t *)&vcpu->ext_irq = level;
	if (level)
		hot_send_ext_irq(vcpu);
	else
		__asm__ volatile("csrc %0, %1"
				 :
				 : "i"(CSR_HUVIP), "r"((uint64_t)HUVIP_VSEIP)
				 : "memory");
}

#else

static inline struct vcpu *hot_vcpu(void)
{
	return vcpu_self();
}

static inline void hot_send_ext_irq(struct vcpu *vcpu)
{
	vcpu_send_ext_irq(vcpu);
}

static inline void hot_set_ext_irq(struct vcpu *vcpu, bool level)
{
	vcpu_set_ext_irq(vcpu, level);
}

#endif
#endif
