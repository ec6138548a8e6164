/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ABI (docs/abi.md): each ioctl, each argument, each refusal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shimtest.h"

static int ioctl_error(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static void open_as_nobody(void *unused)
{
	(void)unused;
	CHECK(!setgid(65534) && !setuid(65534));
	CHECK(open(DUVISOR_DEVICE, O_RDWR) < 0 && errno == EACCES);
}

TEST(device_belongs_to_root)
{
	struct stat st;

	CHECK(!stat(DUVISOR_DEVICE, &st));
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0660);
	CHECK_EQ(st.st_uid, 0);
	CHECK_EQ(in_child(open_as_nobody, NULL), 0);
}

TEST(info_tells_version_and_limits)
{
	struct duvisor_info info;
	int fd = vm_open();

	memset(&info, 0xa5, sizeof(info));
	CHECK_EQ(ioctl_error(fd, DUVISOR_GET_INFO, &info), 0);
	CHECK_EQ(info.version, DUVISOR_ABI_VERSION);
	CHECK_EQ(info.max_vcpus, 64);
	CHECK(info.features & DUVISOR_FEATURE_STIMECMP);
	CHECK(!(info.features &
		~(DUVISOR_FEATURE_STIMECMP | DUVISOR_FEATURE_ZICBOZ | DUVISOR_FEATURE_ZICBOM |
		  DUVISOR_FEATURE_AIA)));
	for (size_t i = 0; i < sizeof(info.reserved) / sizeof(info.reserved[0]); i++)
		CHECK_EQ(info.reserved[i], 0);
}

TEST(bad_pointers_are_refused)
{
	static const uintptr_t bad[] = {0,
					1,
					0x80200000,
					UINTPTR_MAX - 4096,
					UINTPTR_MAX,
					0xffffffff80000000,
					0xff60000000000000};
	int fd = vm_open();
	char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	CHECK(!munmap(page + 4096, 4096));
	CHECK_EQ(ioctl_error(fd, DUVISOR_GET_INFO, page), -EFAULT);
	CHECK_EQ(ioctl_error(fd, DUVISOR_ATTACH, page + 4092), -EFAULT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(ioctl_error(fd, DUVISOR_GET_INFO, (void *)bad[i]), -EFAULT);
		CHECK_EQ(ioctl_error(fd, DUVISOR_ATTACH, (void *)bad[i]), -EFAULT);
	}
	CHECK(!is_member());
	CHECK_EQ(vm_attach(fd, 0), 0);
}

TEST(unknown_requests_are_refused)
{
	struct duvisor_attach attach = {0};
	int fd = vm_open();
	char byte;

	for (unsigned int nr = 3; nr < 256; nr++)
		CHECK_EQ(ioctl_error(fd, _IOW('D', nr, struct duvisor_attach), &attach), -ENOTTY);
	/* Another size or direction is another request. */
	CHECK_EQ(ioctl_error(fd, _IOW('D', 1, uint64_t[2]), &attach), -ENOTTY);
	CHECK_EQ(ioctl_error(fd, _IOR('D', 1, struct duvisor_attach), &attach), -ENOTTY);
	CHECK_EQ(ioctl_error(fd, _IO('K', 1), &attach), -ENOTTY);
	CHECK(read(fd, &byte, 1) < 0 && errno == EINVAL);
	CHECK(write(fd, "", 1) < 0 && errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(!is_member());
}

TEST(bad_indices_and_flags_are_refused)
{
	static const unsigned int bad[] = {64, 65, 0xfffe, 0x10000, 0x1ffff, 0x80000000, ~0U};
	struct duvisor_attach attach = {.index = 0};
	int fd = vm_open();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(vm_attach(fd, bad[i]), -EINVAL);
	for (unsigned int bit = 0; bit < 32; bit++) {
		attach.flags = 1U << bit;
		CHECK_EQ(ioctl_error(fd, DUVISOR_ATTACH, &attach), -EINVAL);
	}
	CHECK(!is_member());
	CHECK_EQ(vm_attach(fd, 63), 0);
	CHECK(is_member());
}

TEST(a_thread_is_member_once)
{
	int fd = vm_open(), other = vm_open();

	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK_EQ(vm_attach(fd, 0), -EBUSY);
	CHECK_EQ(vm_attach(fd, 1), -EBUSY);
	CHECK_EQ(vm_attach(fd, DUVISOR_INDEX_NONE), -EBUSY);
	CHECK_EQ(vm_attach(other, 0), -EBUSY);
	CHECK(is_member());
}

TEST(detach_needs_membership_of_this_vm)
{
	int fd = vm_open(), other = vm_open();

	CHECK_EQ(vm_detach(fd), -ESRCH);
	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK_EQ(vm_detach(other), -ESRCH);
	CHECK(is_member());
	CHECK_EQ(vm_detach(fd), 0);
	CHECK(!is_member());
	CHECK_EQ(vm_detach(fd), -ESRCH);
	CHECK_EQ(vm_attach(other, 0), 0);
	CHECK(is_member());
}

TEST(attach_gives_a_fresh_vcpu)
{
	int fd = vm_open();

	CHECK_EQ(vm_attach(fd, 0), 0);
	CSR_WRITE(CSR_HUSCRATCH, 0x1234);
	CSR_WRITE(CSR_HUVSSCRATCH, 0x5678);
	CSR_WRITE(CSR_HUVSTIMECMP, 0x9abc);
	CSR_WRITE(CSR_HUVIP, HUVIP_VSSIP);
	CHECK_EQ(vm_detach(fd), 0);
	CHECK_EQ(vm_attach(fd, 0), 0);
	CHECK_EQ(CSR_READ(CSR_HUSCRATCH), 0);
	CHECK_EQ(CSR_READ(CSR_HUVSSCRATCH), 0);
	CHECK_EQ(CSR_READ(CSR_HUVSTIMECMP), UINT64_MAX);
	CHECK_EQ(CSR_READ(CSR_HUVIP), 0);
}

struct crowd {
	int fd;
	pthread_barrier_t all, go;
};

struct one_of_crowd {
	struct crowd *crowd;
	unsigned int index;
	int result;
	bool member;
};

static void *join_crowd(void *arg)
{
	struct one_of_crowd *one = arg;

	one->result = vm_attach(one->crowd->fd, one->index);
	one->member = is_member();
	pthread_barrier_wait(&one->crowd->all);
	pthread_barrier_wait(&one->crowd->go);
	return NULL;
}

/* Threads that take their indices, are all there at once, and end. */
static void crowd(int fd, struct one_of_crowd *ones, unsigned int count, int while_there)
{
	struct crowd crowd = {.fd = fd};
	pthread_t threads[count];

	pthread_barrier_init(&crowd.all, NULL, count + 1);
	pthread_barrier_init(&crowd.go, NULL, count + 1);
	for (unsigned int i = 0; i < count; i++) {
		ones[i].crowd = &crowd;
		threads[i] = start(join_crowd, &ones[i]);
	}
	pthread_barrier_wait(&crowd.all);
	for (unsigned int i = 0; i < count && while_there; i++)
		CHECK_EQ(vm_attach(fd, ones[i].index), while_there);
	pthread_barrier_wait(&crowd.go);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

TEST(every_index_is_taken_once)
{
	struct one_of_crowd ones[64] = {0};
	int fd = vm_open();

	/* The second time: all are free again at once. */
	for (int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 64; i++)
			ones[i].index = i;
		crowd(fd, ones, 64, -EBUSY);
		for (unsigned int i = 0; i < 64; i++) {
			CHECK_EQ(ones[i].result, 0);
			CHECK(ones[i].member);
		}
	}
}

TEST(no_index_is_taken_often)
{
	struct one_of_crowd ones[100] = {0};
	int fd = vm_open();

	for (unsigned int i = 0; i < 100; i++)
		ones[i].index = DUVISOR_INDEX_NONE;
	crowd(fd, ones, 100, 0);
	for (unsigned int i = 0; i < 100; i++) {
		CHECK_EQ(ones[i].result, 0);
		CHECK(ones[i].member);
	}
}

TEST(index_is_of_one_vm_only)
{
	struct one_of_crowd one = {0};

	CHECK_EQ(vm_attach(vm_open(), 7), 0);
	one.index = 7;
	crowd(vm_open(), &one, 1, 0);
	CHECK_EQ(one.result, 0);
}

TEST(random_arguments_do_no_harm)
{
	unsigned int seed = 1, attached = 0;
	int fd = vm_open();
	struct duvisor_info info;
	uint32_t words[64];

	for (int i = 0; i < 100000; i++) {
		unsigned long request =
			(unsigned long)rand_r(&seed) << 16 ^ (unsigned long)rand_r(&seed);

		for (size_t w = 0; w < 2; w++)
			words[w] = (uint32_t)rand_r(&seed) >> (rand_r(&seed) & 31);
		if (i & 1)
			request = i & 2 ? DUVISOR_ATTACH : DUVISOR_DETACH;
		if (i & 4)
			words[1] = 0;
		attached += !ioctl(fd, request, words) && request == DUVISOR_ATTACH;
	}
	/* The fuzz was not all noise. */
	CHECK(attached > 10);
	CHECK_EQ(ioctl_error(fd, DUVISOR_GET_INFO, &info), 0);
}
