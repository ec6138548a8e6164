/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of the user's that goes into guest memory. Files are as little to be trusted as guests are. Whatever
 * is wrong is said here, in one line that names the file.
 */
#ifndef DUVISOR_LOADER_FILE_H
#define DUVISOR_LOADER_FILE_H

#include <stdbool.h>

#include "types.h"

struct loader_file;

/* Open a regular, readable file that is not empty; what is "kernel", "initrd" ... NULL: said to the user. */
struct loader_file *loader_file_open(const char *what, const char *path);
void loader_file_close(struct loader_file *file);

/* Look at its type and size again. 0; or -1, said to the user. */
int loader_file_refresh(struct loader_file *file);

/* Its bytes on disk. */
uint64_t loader_file_size(const struct loader_file *file);

/* Print "WHAT 'PATH' MESSAGE" and return -1. */
__attribute__((format(printf, 2, 3))) int loader_file_error(const struct loader_file *file,
							    const char *fmt, ...);

/* Read exactly len bytes at off. 0 or -1. */
int loader_file_read_at(const struct loader_file *file, uint64_t off, void *buf, size_t len);

/* From now on loader_file_next() gets what is at off; gzip: inflate it. 0 or -1. */
int loader_file_start(struct loader_file *file, uint64_t off, bool gzip);

/* Get the next len bytes into buf and how many they were into got: fewer only at the end. 0 or -1. */
int loader_file_next(struct loader_file *file, void *buf, size_t len, size_t *got);

/* Give back what inflating took. The file stays open. */
void loader_file_finish(struct loader_file *file);

#endif
