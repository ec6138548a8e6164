/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the module share. How they work together: docs/abi.md. */
#ifndef DUVISOR_SHIM_H
#define DUVISOR_SHIM_H

#include <linux/list.h>
#include <linux/llist.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/types.h>

#define DV_MAX_VCPUS 64
#define DV_SWITCHED_CSRS 25

struct dv_member;

/* One open file of /dev/duvisor. It lives exactly as long as the file. */
struct dv_vm {
	struct mm_struct *mm; /* only its threads can be members; holds an mm_count */
	unsigned int vmid;
	/* protected by members_lock */
	struct list_head members;
	struct dv_member *vcpus[DV_MAX_VCPUS];
};

/* A thread that the VM lends the hart to. */
struct dv_member {
	struct preempt_notifier notifier;
	struct task_struct *task; /* holds a reference */
	struct mm_struct *mm; /* the VM's; never dereferenced */
	unsigned int index; /* of the vCPU, or DUVISOR_INDEX_NONE */
	bool revoked; /* set by anyone, never cleared: is not loaded again */

	/* hart.c, with interrupts off on the hart where the thread is */
	int cpu; /* where it was loaded last, or -1 */
	unsigned long hgatp;
	/* The member's while it is on no hart, the host's while it is on one. */
	unsigned long csrs[DV_SWITCHED_CSRS];
	unsigned long vsie;
	unsigned long hvip;
	/* the host's */
	unsigned long host_henvcfg;
	unsigned long host_hgatp;

	/* protected by members_lock; vm is NULL when revoked by others */
	struct dv_vm *vm;
	struct list_head link;

	/* once the thread is dead */
	struct llist_node dead;
	struct rcu_head rcu;
};

/* hart.c: the registers of one hart */
int dv_hart_init(void);
void dv_hart_exit(void);
unsigned int dv_hart_max_vmid(void);
extern bool dv_hart_has_aia; /* guests have the CSRs of Ssaia */
void dv_hart_prepare(struct dv_member *member, unsigned int vmid);
void dv_hart_load(struct dv_member *member);
void dv_hart_unload(struct dv_member *member);
void dv_hart_unload_revoked(void *unused);

/* member.c: threads joining and leaving */
int dv_member_attach(struct dv_vm *vm, unsigned int index);
int dv_member_detach(struct dv_vm *vm);
void dv_member_revoke_all(struct dv_vm *vm);
void dv_member_exit(void);

#endif
