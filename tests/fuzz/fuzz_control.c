/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the control socket that says anything: the input is one line. What reaches the balloon is in range, and the answer is
 * one line with an object in it that says whether it is good.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_command.h"
#include "dev/board.h"
#include "size.h"
#include "virtio/balloon.h"
#include "virtio/virtio.h"
#include "vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool done;

/* The VM's side, which only looks at what it is asked for. */
bool balloon_get_status(struct vm *vm, struct balloon_status *status)
{
	(void)vm;
	*status = (struct balloon_status){.reported = ~0ULL, .has_guest = true};
	done = true;
	return true;
}

bool virtio_get_counters(const struct vm *vm, unsigned int slot, struct virtio_counters *counters)
{
	(void)vm;
	*counters = (struct virtio_counters){"virtio-console", ~0ULL, ~0ULL, ~0ULL};
	done = true;
	return slot < BOARD_VIRTIO_SLOTS;
}

int balloon_set_target(struct vm *vm, uint64_t size)
{
	(void)vm;
	if (size % 4096 || size > SIZE_LIMIT)
		abort();
	done = size < 1ULL << 30;
	return done ? 0 : -ERANGE;
}

int balloon_start_hinting(struct vm *vm)
{
	(void)vm;
	done = true;
	return 0;
}

static void check(const char *answer, size_t len)
{
	cJSON *object;
	const cJSON *ok;

	if (len > CONTROL_LINE || strlen(answer) != len || strchr(answer, '\n') != answer + len - 1)
		abort();
	object = cJSON_Parse(answer);
	ok = cJSON_GetObjectItemCaseSensitive(object, "ok");
	if (!cJSON_IsBool(ok) || (done && !cJSON_IsTrue(ok)))
		abort();
	if (cJSON_IsFalse(ok) && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(object, "error")))
		abort();
	cJSON_Delete(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm vm = {.lock = PTHREAD_MUTEX_INITIALIZER, .phase = VM_RUNNING};
	struct control_context context = {.vm = &vm, .name = "name"};
	/* Exactly as large as it must be, for the address sanitizer. */
	char *line;
	char *answer;

	if (size >= CONTROL_LINE)
		return 0;
	line = malloc(size + 1);
	answer = malloc(CONTROL_LINE + 1);
	done = false;
	if (line && answer) {
		memcpy(line, data, size);
		check(answer, control_answer(&context, line, size, answer));
	}
	free(line);
	free(answer);
	return 0;
}
