/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder of the test's own with a name for a socket in it, and clients of that. */
#ifndef TESTS_FAKE_PLACE_H
#define TESTS_FAKE_PLACE_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char place[] = "/tmp/duvisor-unit-XXXXXX";
static char path[64];

/* Before and after all tests. */
static inline int place_setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(place));
	snprintf(path, sizeof(path), "%s/ü s", place);
	return 0;
}

static inline int place_teardown(void **state)
{
	(void)state;
	return rmdir(place);
}

/* Connected to who listens at path. */
static inline int place_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

#endif
