/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "log.h"

#define GIB (1ULL << 30)
#define HUGE_SIZE (2ULL << 20)
#define PAGE_SIZE 4096ULL

/*
 * The host overcommits, so asking for more than it has would succeed and kill us later:
 * refuse what could never be filled.
 */
static int check_size(uint64_t size)
{
	struct sysinfo info;
	uint64_t have;

	if (!size || size & (PAGE_SIZE - 1))
		return -EINVAL;
	if (sysinfo(&info))
		return -errno;
	have = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	return size > have ? -ENOMEM : 0;
}

static void *map_anonymous(void *at, uint64_t size, int prot, int flags)
{
	return mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* Reserve addresses that are congruent to the RAM's gpa modulo 1 GiB. */
static int reserve(struct memory *mem)
{
	uint8_t *start = map_anonymous(NULL, mem->size + GIB, PROT_NONE, MAP_NORESERVE);
	uint64_t before;

	if (start == MAP_FAILED)
		return -errno;
	before = (mem->base - (uintptr_t)start) & (GIB - 1);
	mem->hva = start + before;
	if (before)
		munmap(start, before);
	munmap(mem->hva + mem->size, GIB - before);
	return 0;
}

/*
 * mmap() reserves what the host has set aside, so that no page can be missing later. It takes whole pages only, and what it
 * rounds up to may be somebody else's.
 */
static int map_reserved(const struct memory *mem)
{
	if (mem->size % HUGE_SIZE) {
		log_error("huge pages need guest memory in steps of 2 MiB");
		return -EINVAL;
	}
	if (map_anonymous(mem->hva, mem->size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_HUGETLB) !=
	    MAP_FAILED)
		return 0;
	log_error("the host has not set aside %llu MiB of huge pages (sysctl vm.nr_hugepages)",
		  (unsigned long long)(mem->size >> 20));
	return -ENOMEM;
}

static int map_ram(const struct memory *mem, const struct memory_options *options)
{
	int err;

	if (options->pages == MEMORY_PAGES_RESERVED)
		return map_reserved(mem);
	if (mprotect(mem->hva, mem->size, PROT_READ | PROT_WRITE)) {
		err = -errno;
		log_error("cannot map guest memory: %s", strerror(-err));
		return err;
	}
	/* Only a wish: a host may be built without. */
	madvise(mem->hva, mem->size,
		options->pages == MEMORY_PAGES_SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return 0;
}

static int lock_ram(const struct memory *mem)
{
	int err;

	/* Locking populates: each page gets a frame of its own, writable. */
	if (!mlock(mem->hva, mem->size))
		return 0;
	err = -errno;
	log_error("cannot lock %llu MiB of guest memory: %s (see ulimit -l)",
		  (unsigned long long)(mem->size >> 20), strerror(-err));
	return err;
}

int memory_create(struct memory *mem, uint64_t size, const struct memory_options *options)
{
	int err;

	*mem = (struct memory){.base = MEMORY_BASE, .size = size};
	err = check_size(size);
	if (!err)
		err = reserve(mem);
	if (err) {
		mem->hva = NULL;
		log_error("the host cannot give %llu MiB of guest memory: %s",
			  (unsigned long long)(size >> 20), strerror(-err));
		return err;
	}
	err = map_ram(mem, options);
	/* A process that we start has no use for it, and would have us copy what we write. */
	if (!err && madvise(mem->hva, mem->size, MADV_DONTFORK))
		err = -errno;
	if (!err && options->prealloc)
		err = lock_ram(mem);
	if (err)
		memory_destroy(mem);
	return err;
}

void memory_destroy(struct memory *mem)
{
	if (mem->hva)
		munmap(mem->hva, mem->size);
	mem->hva = NULL;
}

void memory_clear(const struct memory *mem)
{
	/* Fails for locked pages, which the host will not take back. */
	if (madvise(mem->hva, mem->size, MADV_DONTNEED))
		memset(mem->hva, 0, mem->size);
}

void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len)
{
	uint64_t offset = gpa - mem->base;

	if (gpa < mem->base || len > mem->size || offset > mem->size - len)
		return NULL;
	return mem->hva + offset;
}
