/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fdt_tree.h"
#include "log.h"
#include "vm.h"

#define PAGE_SIZE 4096ULL
#define DTB_MAX (2ULL << 20) /* what Linux maps of it */
#define DTB_SLACK 4096       /* what fdt_tree_adapt() adds, the command line apart */

/* What goes to the top of RAM. */
struct layout {
	struct loader_file *initrd;
	struct loader_file *dtb;
	struct fdt_tree_boot boot;
	gpa_t dtb_gpa;
	size_t dtb_space;
	gpa_t limit; /* the kernel ends below it */
};

static uint64_t align_up(uint64_t value)
{
	return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static int open_files(const struct vm_config *config, struct layout *layout)
{
	if (config->initrd) {
		layout->initrd = loader_file_open("initrd", config->initrd);
		if (!layout->initrd)
			return -1;
	}
	if (config->dtb) {
		layout->dtb = loader_file_open("device tree", config->dtb);
		if (!layout->dtb)
			return -1;
		if (loader_file_size(layout->dtb) > DTB_MAX)
			return loader_file_error(layout->dtb,
						 "is larger than the 2 MiB that a guest "
						 "can use");
	}
	return 0;
}

static void close_files(struct layout *layout)
{
	loader_file_close(layout->initrd);
	loader_file_close(layout->dtb);
}

int loader_check(const struct vm_config *config)
{
	struct layout layout = {0};
	struct loader_file *kernel = loader_file_open("kernel", config->kernel);
	int err = !kernel || loader_kernel_check(kernel) || open_files(config, &layout);

	loader_file_close(kernel);
	close_files(&layout);
	return err ? VM_EXIT_USAGE : 0;
}

/* From the top down: device tree, initrd. */
static int plan(const struct vm *vm, struct layout *layout)
{
	const struct memory *mem = &vm->mem;
	uint64_t initrd = layout->initrd ? align_up(loader_file_size(layout->initrd)) : 0;
	uint64_t dtb = fdt_tree_size_bound(vm);

	if (layout->dtb)
		dtb += loader_file_size(layout->dtb) + DTB_SLACK;
	dtb = align_up(dtb);
	if (dtb > mem->size || initrd > mem->size - dtb) {
		if (layout->initrd)
			return loader_file_error(layout->initrd,
						 "does not fit into %llu MiB of memory: "
						 "use a larger --mem",
						 (unsigned long long)(mem->size >> 20));
		log_error("%llu KiB of memory are not even enough for the device tree: use a "
			  "larger --mem",
			  (unsigned long long)(mem->size >> 10));
		return -1;
	}
	layout->dtb_space = dtb;
	layout->dtb_gpa = mem->base + mem->size - dtb;
	layout->limit = layout->dtb_gpa - initrd;
	layout->boot.initrd = layout->limit;
	layout->boot.initrd_size = layout->initrd ? loader_file_size(layout->initrd) : 0;
	return 0;
}

static int load_initrd(const struct vm *vm, struct layout *layout)
{
	uint64_t size = layout->boot.initrd_size;

	if (!layout->initrd)
		return 0;
	return loader_file_read_at(layout->initrd, 0,
				   memory_at(&vm->mem, layout->boot.initrd, size), size);
}

static int adapt_dtb(struct vm *vm, struct layout *layout, void *buf)
{
	size_t size = loader_file_size(layout->dtb);
	void *in = malloc(size);
	int result = -FDT_ERR_NOSPACE;

	if (in && !loader_file_read_at(layout->dtb, 0, in, size))
		result = fdt_tree_adapt(vm, &layout->boot, in, size, buf, layout->dtb_space);
	free(in);
	if (result < 0)
		loader_file_error(layout->dtb, "is no device tree that can be used: %s",
				  fdt_strerror(result));
	else
		log_info("device tree '%s': filled in memory, seeds%s%s", vm->config->dtb,
			 vm->config->cmdline ? ", bootargs" : "", layout->initrd ? ", initrd" : "");
	return result;
}

static int make_dtb(struct vm *vm, struct layout *layout, void *buf)
{
	int size;

	if (layout->dtb)
		return adapt_dtb(vm, layout, buf);
	size = fdt_tree_generate(vm, &layout->boot, buf, layout->dtb_space);
	if (size < 0)
		log_error("cannot generate the device tree: %s", fdt_strerror(size));
	return size;
}

static int write_file(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t done = 0;
	int err = fd < 0 ? errno : 0;

	while (!err && done < len) {
		ssize_t n = write(fd, data + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			err = errno;
	}
	if (fd >= 0 && close(fd) && !err)
		err = errno;
	if (err)
		log_error("cannot write the device tree to '%s': %s", path, strerror(err));
	return err ? -1 : 0;
}

static int load_dtb(struct vm *vm, struct layout *layout)
{
	void *dtb = memory_at(&vm->mem, layout->dtb_gpa, layout->dtb_space);
	int size = make_dtb(vm, layout, dtb);

	if (size < 0)
		return -1;
	vm->boot.dtb = layout->dtb_gpa;
	return vm->config->dump_dtb ? write_file(vm->config->dump_dtb, dtb, (size_t)size) : 0;
}

static int load_kernel(struct vm *vm, const struct layout *layout)
{
	struct loader_kernel kernel = {.mem = &vm->mem, .limit = layout->limit};
	struct loader_file *file = loader_file_open("kernel", vm->config->kernel);
	int err = file ? loader_kernel_load(file, &kernel) : -1;

	loader_file_close(file);
	vm->boot.entry = kernel.entry;
	return err;
}

int loader_load(struct vm *vm)
{
	struct layout layout = {0};
	int err = open_files(vm->config, &layout) || plan(vm, &layout) ||
		load_kernel(vm, &layout) || load_initrd(vm, &layout) || load_dtb(vm, &layout);

	close_files(&layout);
	if (!err)
		log_debug("kernel at 0x%llx, device tree at 0x%llx, initrd at 0x%llx",
			  (unsigned long long)vm->boot.entry, (unsigned long long)vm->boot.dtb,
			  (unsigned long long)layout.boot.initrd);
	return err ? VM_EXIT_USAGE : 0;
}
