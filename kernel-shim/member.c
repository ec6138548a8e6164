// SPDX-License-Identifier: GPL-2.0-only
/*
 * Members: threads that a VM lends the hart to, from DUVISOR_ATTACH until they
 * detach, exit, or the file is closed, in whatever order these come.
 *
 * A preempt notifier is on its thread's own list, which only that thread may
 * touch. So when a file is closed, other threads' members are revoked and stay,
 * unlinked, until their threads end; and an end is seen in the last sched_out,
 * where the runqueue is locked and nothing can be freed: an irq_work does it.
 *
 * members_lock is innermost and not taken when threads are switched. Each
 * member holds a reference to the module.
 */
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <uapi/duvisor.h>

#include "shim.h"

static DEFINE_SPINLOCK(members_lock);
static LLIST_HEAD(dead_members);

/* With members_lock. Afterwards the VM may go, and its index is free. */
static void unlink_member(struct dv_member *member)
{
	WRITE_ONCE(member->revoked, true);
	if (!member->vm)
		return;
	list_del(&member->link);
	if (member->index != DUVISOR_INDEX_NONE)
		member->vm->vcpus[member->index] = NULL;
	member->vm = NULL;
}

/* It is on no hart any more. In any context. */
static void release_member(struct dv_member *member)
{
	unsigned long flags;

	spin_lock_irqsave(&members_lock, flags);
	unlink_member(member);
	spin_unlock_irqrestore(&members_lock, flags);
	put_task_struct(member->task);
	kfree_rcu(member, rcu); /* its last sched_out may still be returning, on another CPU */
	module_put(THIS_MODULE);
}

static void reap(struct irq_work *work)
{
	struct dv_member *member, *next;

	llist_for_each_entry_safe(member, next, llist_del_all(&dead_members), dead)
		release_member(member);
}

static DEFINE_IRQ_WORK(reap_work, reap);

static void member_sched_in(struct preempt_notifier *notifier, int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	dv_hart_load(container_of(notifier, struct dv_member, notifier));
	local_irq_restore(flags);
}

/* Interrupts are off and the runqueue is locked. */
static void member_sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct dv_member *member = container_of(notifier, struct dv_member, notifier);

	dv_hart_unload(member);
	if (READ_ONCE(current->__state) == TASK_DEAD) {
		llist_add(&member->dead, &dead_members);
		irq_work_queue(&reap_work);
	}
}

static struct preempt_ops member_ops = {
	.sched_in = member_sched_in,
	.sched_out = member_sched_out,
};

static struct dv_member *current_member(void)
{
	struct preempt_notifier *notifier;

	hlist_for_each_entry(notifier, &current->preempt_notifiers, link)
		if (notifier->ops == &member_ops)
			return container_of(notifier, struct dv_member, notifier);
	return NULL;
}

/* Of current's own member only. */
static void leave(struct dv_member *member)
{
	local_irq_disable();
	dv_hart_unload(member);
	preempt_notifier_unregister(&member->notifier);
	local_irq_enable();
	release_member(member);
}

/* Not after exec, nor after using KVM, which takes the hart (EN-5); unloading is what notices. */
static bool is_alive(struct dv_member *member)
{
	local_irq_disable();
	dv_hart_unload(member);
	dv_hart_load(member);
	local_irq_enable();
	return !READ_ONCE(member->revoked) && current->mm == member->mm;
}

/*
 * Enter the member in the VM's books, or -EBUSY. The index of a thread that has
 * begun to exit is free: it runs no user code, though it may still be there for
 * a while after it was joined. Returns 1 if it must be made to leave its hart.
 */
static int link_member(struct dv_vm *vm, struct dv_member *member)
{
	struct dv_member **slot = NULL;
	int ret = 0;

	if (member->index != DUVISOR_INDEX_NONE)
		slot = &vm->vcpus[member->index];
	spin_lock_irq(&members_lock);
	if (slot && *slot) {
		ret = READ_ONCE((*slot)->task->flags) & PF_EXITING ? 1 : -EBUSY;
		if (ret == 1)
			unlink_member(*slot);
	}
	if (ret >= 0) {
		list_add(&member->link, &vm->members);
		member->vm = vm;
		if (slot)
			*slot = member;
	}
	spin_unlock_irq(&members_lock);
	return ret;
}

int dv_member_attach(struct dv_vm *vm, unsigned int index)
{
	struct dv_member *member = current_member();
	int ret;

	if (index >= DV_MAX_VCPUS && index != DUVISOR_INDEX_NONE)
		return -EINVAL;
	if (current->mm != vm->mm)
		return -EPERM;
	if (member && is_alive(member))
		return -EBUSY;
	if (member)
		leave(member);

	member = kzalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;
	member->task = get_task_struct(current);
	member->mm = vm->mm;
	member->index = index;
	dv_hart_prepare(member, vm->vmid);
	preempt_notifier_init(&member->notifier, &member_ops);
	__module_get(THIS_MODULE);
	ret = link_member(vm, member);
	if (ret < 0) {
		release_member(member);
		return ret;
	}
	if (ret)
		on_each_cpu(dv_hart_unload_revoked, NULL, 1);

	local_irq_disable();
	preempt_notifier_register(&member->notifier);
	dv_hart_load(member);
	local_irq_enable();
	return 0;
}

int dv_member_detach(struct dv_vm *vm)
{
	struct dv_member *member = current_member();

	if (!member || READ_ONCE(member->vm) != vm)
		return -ESRCH;
	leave(member);
	return 0;
}

/* The file is being closed: nobody attaches or detaches any more. */
void dv_member_revoke_all(struct dv_vm *vm)
{
	bool any;

	dv_member_detach(vm);
	spin_lock_irq(&members_lock);
	any = !list_empty(&vm->members);
	while (!list_empty(&vm->members))
		unlink_member(list_first_entry(&vm->members, struct dv_member, link));
	spin_unlock_irq(&members_lock);
	/* Who is switched in after this sees that it is revoked. */
	if (any)
		on_each_cpu(dv_hart_unload_revoked, NULL, 1);
}

/* The reaper may still be returning from giving the last reference away. */
void dv_member_exit(void)
{
	irq_work_sync(&reap_work);
}
