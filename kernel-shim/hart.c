// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers of one hart: lending them to a member and taking them back
 * (docs/isa.md, section 8). The host's values are put back as they were, so
 * KVM, the only other user of them, cannot tell that a member was here.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitfield.h>
#include <linux/ctype.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <asm/cpufeature.h>
#include <asm/csr.h>
#include <asm/insn-def.h>
#include <duvisor/isa.h>
#include <uapi/duvisor.h>

#include "shim.h"

#define ROOT_ORDER 2 /* Sv39x4: 16 KiB, naturally aligned */

struct dv_hart {
	struct dv_member *loaded;
	const struct dv_member *last; /* the vCPU whose translations it may hold; only compared */
};

static DEFINE_PER_CPU(struct dv_hart, dv_harts);

/*
 * hgatp names this empty root while a member is loaded: a DV guest does not
 * use it, and a plain guest entered by mistake can reach nothing (MEM-5).
 */
static struct page *root;
static unsigned int max_vmid;
bool dv_hart_has_aia __ro_after_init;

#define SWAP(number) (*csrs = csr_swap(number, *csrs), csrs++)

/*
 * Exchange what the hart holds for what the member does; again, and both are
 * as before. Not here, for their order matters: vsie, hvip, henvcfg, hgatp.
 */
static void swap_csrs(unsigned long *csrs)
{
	SWAP(CSR_VSTIMECMP);
	SWAP(CSR_VSSTATUS);
	SWAP(CSR_VSTVEC);
	SWAP(CSR_VSSCRATCH);
	SWAP(CSR_VSEPC);
	SWAP(CSR_VSCAUSE);
	SWAP(CSR_VSTVAL);
	SWAP(CSR_VSATP);
	SWAP(CSR_HUVSCOUNTEREN);
	SWAP(CSR_HUVSENVCFG);
	SWAP(CSR_HUSTATUS);
	SWAP(CSR_HUEDELEG);
	SWAP(CSR_HUTVEC);
	SWAP(CSR_HUSCRATCH);
	SWAP(CSR_HUEPC);
	SWAP(CSR_HUCAUSE);
	SWAP(CSR_HUTVAL);
	SWAP(CSR_HUGPA);
	SWAP(CSR_HUTINST);
	SWAP(CSR_HUGATP);
	SWAP(CSR_HUTIMEDELTA);
	SWAP(CSR_HUCOUNTEREN);
	if (dv_hart_has_aia) {
		SWAP(CSR_VSISELECT);
		SWAP(CSR_HUFILEGPA);
		SWAP(CSR_HUFILES);
	}
}

/* The state of a new vCPU: zero, but a timer that never rings. */
void dv_hart_prepare(struct dv_member *member, unsigned int vmid)
{
	member->cpu = -1;
	member->csrs[0] = ULONG_MAX;
	member->hgatp = HGATP_MODE_SV39X4 << HGATP_MODE_SHIFT |
			FIELD_PREP(HGATP_VMID, (unsigned long)vmid) | page_to_pfn(root);
}

/* What a guest may do is at most what the process may do in U-mode. */
static unsigned long guest_envcfg(void)
{
	return ENVCFG_STCE | (csr_read(CSR_SENVCFG) & (ENVCFG_CBZE | ENVCFG_CBCFE));
}

/* Forget all translations of the member's VMID, which hgatp holds. */
static void fence(const struct dv_member *member)
{
	unsigned long vmid = FIELD_GET(HGATP_VMID, member->hgatp);

	/* hfence.gvma x0, vmid */
	asm volatile(".insn r 0x73, 0, 0x31, x0, x0, %0" : : "r" (vmid) : "memory");
	asm volatile(HFENCE_VVMA(zero, zero) : : : "memory");
}

/*
 * Can the hart hold translations that the vCPU must not see: another vCPU's of
 * the VM, its own from before a fence it made elsewhere, an earlier VM's? A
 * member without an index enters no guest, or makes the fences itself.
 */
static bool is_stale(struct dv_hart *hart, struct dv_member *member, int cpu)
{
	bool stale = hart->last != member || member->cpu != cpu;

	if (member->index == DUVISOR_INDEX_NONE)
		return false;
	hart->last = member;
	member->cpu = cpu;
	return stale;
}

/*
 * Lend this hart to current, whose member it is, if it may have it. Interrupts
 * are off. hgatp before EN, which a write of it clears (EN-5); hvip before EN,
 * because from then on others post to it; vsie after EN, because before it can
 * hold nothing (IE-1).
 */
void dv_hart_load(struct dv_member *member)
{
	struct dv_hart *hart = this_cpu_ptr(&dv_harts);
	unsigned long vsie = member->vsie;

	if (hart->loaded == member || READ_ONCE(member->revoked) || current->mm != member->mm)
		return;
	hart->loaded = member;

	member->vsie = csr_swap(CSR_VSIE, 0);
	member->hvip = csr_swap(CSR_HVIP, member->hvip);
	member->host_henvcfg = csr_swap(CSR_HENVCFG, guest_envcfg());
	member->host_hgatp = csr_swap(CSR_HGATP, member->hgatp);
	csr_write(CSR_HDVCTL, HDVCTL_EN | (unsigned long)member->index << HDVCTL_INDEX_SHIFT);
	swap_csrs(member->csrs);
	csr_write(CSR_VSIE, vsie);
	/* Who posted while the vCPU was on no hart has left a request: go and look. */
	csr_write(CSR_HUDOORBELL, 1);
	if (is_stale(hart, member, smp_processor_id()))
		fence(member);
}

/*
 * Take this hart back from current, if it has it. Interrupts are off. Without
 * vsie nothing that pends reaches the host, whatever hideleg is; hvip after
 * EN, for others post to it until then (POST-4).
 */
void dv_hart_unload(struct dv_member *member)
{
	struct dv_hart *hart = this_cpu_ptr(&dv_harts);
	unsigned long vsie;

	if (hart->loaded != member)
		return;
	hart->loaded = NULL;

	if (!(csr_read(CSR_HDVCTL) & HDVCTL_EN)) {
		/* This thread used KVM (EN-5): all is KVM's now, the vCPU's state gone. */
		WRITE_ONCE(member->revoked, true);
		return;
	}

	vsie = csr_swap(CSR_VSIE, 0);
	csr_write(CSR_HDVCTL, 0);
	member->hvip = csr_swap(CSR_HVIP, member->hvip);
	swap_csrs(member->csrs);
	csr_write(CSR_HGATP, member->host_hgatp);
	csr_write(CSR_HENVCFG, member->host_henvcfg);
	csr_write(CSR_VSIE, member->vsie);
	member->vsie = vsie;
}

/* An IPI: somebody has been revoked; is it the one here? */
void dv_hart_unload_revoked(void *unused)
{
	struct dv_member *member = this_cpu_read(dv_harts.loaded);

	if (member && READ_ONCE(member->revoked))
		dv_hart_unload(member);
}

unsigned int dv_hart_max_vmid(void)
{
	return max_vmid;
}

/* What may follow a name: the string's end, a version, the next name. */
static bool __init isa_string_has(const char *isa, const char *name)
{
	while ((isa = strstr(isa, name))) {
		isa += strlen(name);
		if (!*isa || *isa == '_' || isdigit(*isa))
			return true;
	}
	return false;
}

static bool __init cpu_has_xdv(int cpu)
{
	struct device_node *node = of_cpu_device_node_get(cpu);
	const char *isa;
	bool found;

	found = of_property_match_string(node, "riscv,isa-extensions", "xdv") >= 0 ||
		(!of_property_read_string(node, "riscv,isa", &isa) && isa_string_has(isa, "_xdv"));
	of_node_put(node);
	return found;
}

int __init dv_hart_init(void)
{
	unsigned long host_hgatp;
	int cpu;

	for_each_possible_cpu(cpu) {
		if (cpu_has_xdv(cpu) && riscv_isa_extension_available(NULL, h) &&
		    riscv_isa_extension_available(NULL, SSTC))
			continue;
		pr_info("CPU %d has not the extensions Xdv, H and Sstc\n", cpu);
		return -ENODEV;
	}
	root = alloc_pages(GFP_KERNEL | __GFP_ZERO, ROOT_ORDER);
	if (!root)
		return -ENOMEM;

	/* hstateen would have a say in what guests have of AIA, and nobody here sets it. */
	dv_hart_has_aia = riscv_isa_extension_available(NULL, SSAIA) &&
			  !riscv_isa_extension_available(NULL, SMSTATEEN);

	/* VMIDs are as wide as hgatp says; nothing uses it meanwhile. */
	local_irq_disable();
	host_hgatp = csr_read(CSR_HGATP);
	csr_write(CSR_HGATP, host_hgatp | HGATP_VMID);
	max_vmid = FIELD_GET(HGATP_VMID, csr_swap(CSR_HGATP, host_hgatp));
	local_irq_enable();
	return 0;
}

void dv_hart_exit(void)
{
	__free_pages(root, ROOT_ORDER);
}
