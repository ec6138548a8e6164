/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dev/imsic_file.h"

#include <stddef.h>

_Static_assert(sizeof(struct imsic_file) == XDV_FILE_SIZE, "size of a file");
_Static_assert(offsetof(struct imsic_file, eip) == XDV_FILE_EIP, "eip");
_Static_assert(offsetof(struct imsic_file, eie) == XDV_FILE_EIE, "eie");
_Static_assert(offsetof(struct imsic_file, delivery) == XDV_FILE_EIDELIVERY, "eidelivery");
_Static_assert(offsetof(struct imsic_file, threshold) == XDV_FILE_EITHRESHOLD, "eithreshold");
_Static_assert(offsetof(struct imsic_file, notify) == XDV_FILE_NOTIFY, "notify");

void imsic_file_reset(struct imsic_file *file)
{
	for (unsigned int w = 0; w < IMSIC_WORDS; w++) {
		atomic_store(&file->eip[w], 0);
		atomic_store(&file->eie[w], 0);
	}
	atomic_store(&file->delivery, 0);
	atomic_store(&file->threshold, 0);
}

/* The lowest identity that is pending and enabled and below the threshold, or 0. */
static uint32_t top_id(const struct imsic_file *file)
{
	uint32_t threshold = atomic_load(&file->threshold);

	for (unsigned int w = 0; w < IMSIC_WORDS; w++) {
		uint64_t ready = atomic_load(&file->eip[w]) & atomic_load(&file->eie[w]);
		uint32_t id;

		if (!ready)
			continue;
		id = w * 64 + (uint32_t)__builtin_ctzll(ready);
		return !threshold || id < threshold ? id : 0;
	}
	return 0;
}

bool imsic_file_send(struct imsic_file *file, uint32_t id)
{
	if (!id || id > IMSIC_MAX_ID)
		return false;
	atomic_fetch_or(&file->eip[id / 64], 1ULL << id % 64);
	return imsic_file_output(file);
}

bool imsic_file_output(const struct imsic_file *file)
{
	return atomic_load(&file->delivery) == 1 && top_id(file);
}
