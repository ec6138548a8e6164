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

/* The user's files. They stay open: at a reboot the sandbox lets nothing be opened (sandbox.h). */
struct loader {
	struct loader_file *kernel;
	struct loader_file *initrd; /* this and dtb: NULL if not given */
	struct loader_file *dtb;
	int dump_fd; /* -1: do not dump the device tree */
};

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

static int open_dump(struct loader *loader, const char *path)
{
	loader->dump_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (loader->dump_fd >= 0)
		return 0;
	log_error("cannot write the device tree to '%s': %s", path, strerror(errno));
	return -1;
}

/* 0, or -1 if the file is needed and cannot be opened. */
static int open_file(struct loader_file **file, const char *what, const char *path)
{
	if (path)
		*file = loader_file_open(what, path);
	return path && !*file ? -1 : 0;
}

static int open_files(struct loader *loader, const struct vm_config *config)
{
	if (open_file(&loader->kernel, "kernel", config->kernel) ||
	    loader_kernel_check(loader->kernel) ||
	    open_file(&loader->initrd, "initrd", config->initrd) ||
	    open_file(&loader->dtb, "device tree", config->dtb))
		return -1;
	return config->dump_dtb ? open_dump(loader, config->dump_dtb) : 0;
}

int loader_open(struct loader **loader_out, const struct vm_config *config)
{
	struct loader *loader = calloc(1, sizeof(*loader));

	if (!loader) {
		log_error("%s", strerror(ENOMEM));
		return VM_EXIT_HOST;
	}
	loader->dump_fd = -1;
	if (open_files(loader, config)) {
		loader_close(loader);
		return VM_EXIT_USAGE;
	}
	*loader_out = loader;
	return 0;
}

void loader_close(struct loader *loader)
{
	if (!loader)
		return;
	loader_file_close(loader->kernel);
	loader_file_close(loader->initrd);
	loader_file_close(loader->dtb);
	if (loader->dump_fd >= 0)
		close(loader->dump_fd);
	free(loader);
}

/* They may have been written anew since the last boot. */
static int refresh_files(const struct loader *loader)
{
	if (loader_file_refresh(loader->kernel) ||
	    (loader->initrd && loader_file_refresh(loader->initrd)) ||
	    (loader->dtb && loader_file_refresh(loader->dtb)))
		return -1;
	if (loader->dtb && loader_file_size(loader->dtb) > DTB_MAX)
		return loader_file_error(loader->dtb,
					 "is larger than the 2 MiB that a guest can use");
	return 0;
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

/* Replace what the file has by these bytes; a pipe or a device just gets them. 0 or -errno. */
static int write_file(int fd, const uint8_t *data, size_t len)
{
	size_t done = 0;

	if (lseek(fd, 0, SEEK_SET) == 0 && ftruncate(fd, 0) && errno != EINVAL)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, data + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int dump_dtb(const struct vm *vm, const void *dtb, size_t size)
{
	int err = write_file(vm->loader->dump_fd, dtb, size);

	if (err)
		log_error("cannot write the device tree to '%s': %s", vm->config->dump_dtb,
			  strerror(-err));
	return err ? -1 : 0;
}

static int load_dtb(struct vm *vm, struct layout *layout)
{
	void *dtb = memory_at(&vm->mem, layout->dtb_gpa, layout->dtb_space);
	int size = make_dtb(vm, layout, dtb);

	if (size < 0)
		return -1;
	vm->boot.dtb = layout->dtb_gpa;
	return vm->config->dump_dtb ? dump_dtb(vm, dtb, (size_t)size) : 0;
}

static int load_kernel(struct vm *vm, const struct layout *layout)
{
	struct loader_kernel kernel = {.mem = &vm->mem, .limit = layout->limit};
	int err = loader_kernel_load(vm->loader->kernel, &kernel);

	loader_file_finish(vm->loader->kernel);
	vm->boot.entry = kernel.entry;
	return err;
}

int loader_load(struct vm *vm)
{
	struct layout layout = {.initrd = vm->loader->initrd, .dtb = vm->loader->dtb};
	int err = refresh_files(vm->loader) || plan(vm, &layout) || load_kernel(vm, &layout) ||
		load_initrd(vm, &layout) || load_dtb(vm, &layout);

	if (!err)
		log_debug("kernel at 0x%llx, device tree at 0x%llx, initrd at 0x%llx",
			  (unsigned long long)vm->boot.entry, (unsigned long long)vm->boot.dtb,
			  (unsigned long long)layout.boot.initrd);
	return err ? VM_EXIT_USAGE : 0;
}
