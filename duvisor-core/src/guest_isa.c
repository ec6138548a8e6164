/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest_isa.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "uapi/duvisor.h"

#define LIST_SIZE 4096

/*
 * What a guest may have of what the host has, in the order of the ISA string. An extension is here only if it
 * adds no state beyond what is switched (general and floating-point registers, the VS CSRs), needs no enable
 * bit that the module does not set (feature), and works as it does on the host with two more stages
 * of translation beneath. So no V (state), Svpbmt and Svadu (henvcfg), Zawrs (hustatus.VTW), Zihpm and Sscofpmf
 * (counters), H and Xdv (no nesting).
 */
static const struct {
	const char *name;
	uint64_t feature; /* DUVISOR_FEATURE_* that must be there, or 0 */
} known[] = {
	{"i", 0},
	{"m", 0},
	{"a", 0},
	{"f", 0},
	{"d", 0},
	{"c", 0},
	{"zic64b", 0},
	{"zicbom", DUVISOR_FEATURE_ZICBOM},
	{"zicbop", 0},
	{"zicboz", DUVISOR_FEATURE_ZICBOZ},
	{"ziccamoa", 0},
	{"ziccif", 0},
	{"zicclsm", 0},
	{"ziccrse", 0},
	{"zicntr", 0},
	{"zicond", 0},
	{"zicsr", 0},
	{"zifencei", 0},
	{"zihintntl", 0},
	{"zihintpause", 0},
	{"zimop", 0},
	{"zmmul", 0},
	{"za64rs", 0},
	{"zaamo", 0},
	{"zabha", 0},
	{"zacas", 0},
	{"zalrsc", 0},
	{"zfa", 0},
	{"zfh", 0},
	{"zfhmin", 0},
	{"zca", 0},
	{"zcb", 0},
	{"zcd", 0},
	{"zcmop", 0},
	{"zba", 0},
	{"zbb", 0},
	{"zbc", 0},
	{"zbkb", 0},
	{"zbkc", 0},
	{"zbkx", 0},
	{"zbs", 0},
	{"zknd", 0},
	{"zkne", 0},
	{"zknh", 0},
	{"zksed", 0},
	{"zksh", 0},
	{"zkt", 0},
	{"ssaia", DUVISOR_FEATURE_AIA},
	{"ssccptr", 0},
	{"sscounterenw", 0},
	{"sstc", DUVISOR_FEATURE_STIMECMP},
	{"sstvala", 0},
	{"sstvecd", 0},
	{"ssu64xl", 0},
	{"svade", 0},
	{"svinval", 0},
	{"svnapot", 0},
	{"svvptc", 0},
};

static bool has(const char *list, size_t size, const char *name)
{
	for (size_t i = 0; i < size; i += strnlen(list + i, size - i) + 1)
		if (!strncmp(list + i, name, size - i) && strnlen(list + i, size - i) < size - i)
			return true;
	return false;
}

static int append(struct guest_isa *isa, const char *name)
{
	size_t len = strlen(name);
	size_t used = strlen(isa->isa);
	/* Single letters follow "rv64" directly, the rest is set off by underscores. */
	int n = snprintf(isa->isa + used, sizeof(isa->isa) - used, "%s%s", len > 1 ? "_" : "",
			 name);

	if (n < 0 || (size_t)n >= sizeof(isa->isa) - used)
		return -ENOSPC;
	if (len + 1 > sizeof(isa->extensions) - isa->extensions_size)
		return -ENOSPC;
	memcpy(isa->extensions + isa->extensions_size, name, len + 1);
	isa->extensions_size += len + 1;
	return 0;
}

int guest_isa_filter(struct guest_isa *isa, const char *host, size_t size, uint64_t shim_features)
{
	strcpy(isa->isa, "rv64");
	isa->extensions_size = 0;
	if (!has(host, size, "i") || !has(host, size, "m") || !has(host, size, "a"))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int err;

		if ((known[i].feature & shim_features) != known[i].feature)
			continue;
		err = has(host, size, known[i].name) ? append(isa, known[i].name) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* Read up to size bytes of a property; its length, or -errno. */
static ssize_t read_property(int dir, const char *name, void *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

/* A big-endian cell, or 0 if there is none. */
static uint32_t read_cell(int dir, const char *name)
{
	uint8_t c[4] = {0};

	if (read_property(dir, name, c, sizeof(c)) != sizeof(c))
		return 0;
	return (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3];
}

/* The directory of the first cpu node below cpus. */
static int open_cpu(int cpus)
{
	int copy = dup(cpus);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int fd = -ENOENT;

	if (!d)
		return -errno;
	while (fd < 0 && (entry = readdir(d)))
		if (!strncmp(entry->d_name, "cpu@", 4))
			fd = openat(cpus, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	closedir(d);
	return fd;
}

static int read_cpu(struct guest_isa *isa, int cpu, uint64_t shim_features)
{
	char list[LIST_SIZE];
	ssize_t n = read_property(cpu, "riscv,isa-extensions", list, sizeof(list));
	int err;

	if (n < 0)
		return (int)n;
	err = guest_isa_filter(isa, list, (size_t)n, shim_features);
	if (err)
		return err;
	n = read_property(cpu, "mmu-type", isa->mmu_type, sizeof(isa->mmu_type) - 1);
	if (n < 0)
		return (int)n;
	if (shim_features & DUVISOR_FEATURE_ZICBOM)
		isa->cbom_block_size = read_cell(cpu, "riscv,cbom-block-size");
	if (shim_features & DUVISOR_FEATURE_ZICBOZ)
		isa->cboz_block_size = read_cell(cpu, "riscv,cboz-block-size");
	return 0;
}

int guest_isa_read(struct guest_isa *isa, const char *device_tree, uint64_t shim_features)
{
	int err = -ENOENT;
	int root = open(device_tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int cpus = root < 0 ? -1 : openat(root, "cpus", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int cpu = cpus < 0 ? -1 : open_cpu(cpus);

	*isa = (struct guest_isa){0};
	if (cpu >= 0)
		err = read_cpu(isa, cpu, shim_features);
	if (cpus >= 0)
		isa->timebase_frequency = read_cell(cpus, "timebase-frequency");
	if (!err && !isa->timebase_frequency)
		err = -ENOENT;
	if (cpu >= 0)
		close(cpu);
	if (cpus >= 0)
		close(cpus);
	if (root >= 0)
		close(root);
	if (err)
		log_error("cannot learn the host's processor from %s: %s", device_tree,
			  strerror(-err));
	return err;
}
