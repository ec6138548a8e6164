/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dev/imsic_file.h"

#include <errno.h>

#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIP0 0x80
#define EIP63 0xbf
#define EIE0 0xc0
#define EIE63 0xff

#define TOPEI_ID_SHIFT 16

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
	return atomic_load(&file->delivery) && top_id(file);
}

/* The identity is its own priority (section 3.9). */
static uint64_t topei(uint32_t id)
{
	return (uint64_t)id << TOPEI_ID_SHIFT | id;
}

uint64_t imsic_file_top(const struct imsic_file *file)
{
	return topei(top_id(file));
}

uint64_t imsic_file_claim(struct imsic_file *file)
{
	uint32_t id = top_id(file);

	if (id)
		atomic_fetch_and(&file->eip[id / 64], ~(1ULL << id % 64));
	return topei(id);
}

/* Senders set bits at any time: only the bits of mask may be written. */
static uint64_t update(_Atomic uint64_t *word, uint64_t value, uint64_t mask)
{
	uint64_t old = atomic_fetch_or(word, value & mask);

	if (~value & mask)
		atomic_fetch_and(word, value | ~mask);
	return old;
}

static int access_array(_Atomic uint64_t *array, uint64_t index, uint64_t *old, uint64_t value,
			uint64_t mask)
{
	/* On RV64 only the even ones exist (section 3.8.3). */
	if (index & 1)
		return -EINVAL;
	*old = 0;
	if (index / 2 >= IMSIC_WORDS)
		return 0;
	/* There is no identity 0. */
	*old = update(&array[index / 2], value, index ? mask : mask & ~1ULL);
	return 0;
}

/* A register of which only small values are legal; others leave it as it is (WARL). */
static void access_small(_Atomic uint32_t *reg, uint64_t max, uint64_t *old, uint64_t value,
			 uint64_t mask)
{
	*old = atomic_load(reg);
	value = (*old & ~mask) | (value & mask);
	if (value <= max)
		atomic_store(reg, (uint32_t)value);
}

int imsic_file_access(struct imsic_file *file, uint64_t select, uint64_t *old, uint64_t value,
		      uint64_t mask)
{
	if (select >= EIP0 && select <= EIP63)
		return access_array(file->eip, select - EIP0, old, value, mask);
	if (select >= EIE0 && select <= EIE63)
		return access_array(file->eie, select - EIE0, old, value, mask);
	if (select == EIDELIVERY)
		access_small(&file->delivery, 1, old, value, mask);
	else if (select == EITHRESHOLD)
		access_small(&file->threshold, IMSIC_MAX_ID, old, value, mask);
	else
		return -EINVAL;
	return 0;
}
