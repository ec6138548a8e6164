// SPDX-License-Identifier: GPL-2.0-only
/* /dev/duvisor: one open file is one VM. The ABI is in docs/abi.md. */
#include <linux/compiler.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <uapi/duvisor.h>

#include "shim.h"

static DEFINE_IDA(vmids);

/*
 * The VMID is the VM's identity in hardware, for translations and posts: no
 * two VMs share one. KVM's VMIDs are others, for EN is part of the tag.
 */
static int dv_open(struct inode *inode, struct file *file)
{
	struct dv_vm *vm;
	int vmid;

	if (!current->mm)
		return -EINVAL;
	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return -ENOMEM;
	vmid = ida_alloc_max(&vmids, dv_hart_max_vmid(), GFP_KERNEL);
	if (vmid < 0) {
		kfree(vm);
		return vmid;
	}
	vm->vmid = vmid;
	INIT_LIST_HEAD(&vm->members);
	mmgrab(current->mm);
	vm->mm = current->mm;
	file->private_data = vm;
	return 0;
}

static int dv_release(struct inode *inode, struct file *file)
{
	struct dv_vm *vm = file->private_data;

	dv_member_revoke_all(vm);
	/* Not before no hart has it. */
	ida_free(&vmids, vm->vmid);
	mmdrop(vm->mm);
	kfree(vm);
	return 0;
}

static long get_info(struct duvisor_info __user *arg)
{
	struct duvisor_info info = {
		.version = DUVISOR_ABI_VERSION,
		.max_vcpus = DV_MAX_VCPUS,
		.features = DUVISOR_FEATURE_STIMECMP,
	};

	/* As guest_envcfg() does: a guest may do what user mode may. */
	if (csr_read(CSR_SENVCFG) & ENVCFG_CBZE)
		info.features |= DUVISOR_FEATURE_ZICBOZ;
	if (csr_read(CSR_SENVCFG) & ENVCFG_CBCFE)
		info.features |= DUVISOR_FEATURE_ZICBOM;
	if (dv_hart_has_aia)
		info.features |= DUVISOR_FEATURE_AIA;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long attach(struct dv_vm *vm, const struct duvisor_attach __user *arg)
{
	struct duvisor_attach attach;

	if (copy_from_user(&attach, arg, sizeof(attach)))
		return -EFAULT;
	if (attach.flags)
		return -EINVAL;
	return dv_member_attach(vm, attach.index);
}

static long dv_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dv_vm *vm = file->private_data;

	switch (cmd) {
	case DUVISOR_GET_INFO:
		return get_info((void __user *)arg);
	case DUVISOR_ATTACH:
		return attach(vm, (const void __user *)arg);
	case DUVISOR_DETACH:
		return dv_member_detach(vm);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations dv_fops = {
	.owner = THIS_MODULE,
	.open = dv_open,
	.release = dv_release,
	.unlocked_ioctl = dv_ioctl,
};

static struct miscdevice dv_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "duvisor",
	.mode = 0660,
	.fops = &dv_fops,
};

static int __init dv_init(void)
{
	int ret;

	ret = dv_hart_init();
	if (ret)
		return ret;
	preempt_notifier_inc(); /* for good: members can outlive every file */
	ret = misc_register(&dv_device);
	if (ret) {
		preempt_notifier_dec();
		dv_hart_exit();
	}
	return ret;
}
module_init(dv_init);

static void __exit dv_exit(void)
{
	misc_deregister(&dv_device);
	preempt_notifier_dec();
	dv_member_exit();
	dv_hart_exit();
}
module_exit(dv_exit);

MODULE_DESCRIPTION("Delegated virtualization: who may run guests from user mode");
MODULE_LICENSE("GPL");
