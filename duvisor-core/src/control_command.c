/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control_command.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dev/board.h"
#include "size.h"
#include "types.h"
#include "virtio/balloon.h"
#include "virtio/virtio.h"
#include "vm.h"

#define PAGE_SIZE 4096

/* What to say if there is no memory to say it with. */
#define NO_MEMORY "{\"ok\":false,\"error\":\"out of memory\"}"

struct command {
	const char *name;
	const char *argument; /* the member that it needs; NULL: none */
	/* Fill the answer; NULL, or the error to answer instead. */
	const char *(*run)(struct control_context *context, const cJSON *request, cJSON *answer);
};

static void add_number(cJSON *answer, const char *key, uint64_t value)
{
	/* All that is said here is below 2^53. */
	cJSON_AddNumberToObject(answer, key, (double)value);
}

/* Bytes: a number of JSON's, or "512M". 0 or -1. */
static int read_size(const cJSON *item, uint64_t *size)
{
	if (cJSON_IsString(item))
		return size_parse(item->valuestring, size);
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
	    !(item->valuedouble <= (double)SIZE_LIMIT))
		return -1;
	*size = (uint64_t)item->valuedouble;
	return (double)*size == item->valuedouble ? 0 : -1;
}

static const char *run_balloon(struct control_context *context, const cJSON *request, cJSON *answer)
{
	uint64_t size = 0;

	if (read_size(cJSON_GetObjectItemCaseSensitive(request, "size"), &size) || size % PAGE_SIZE)
		return "size must be a multiple of 4K: a number of bytes, or a text such as "
		       "\"512M\"";
	switch (balloon_set_target(context->vm, size)) {
	case 0:
		add_number(answer, "balloon_target", size);
		return NULL;
	case -ERANGE:
		return "the balloon is as large as the guest's memory";
	default:
		return "this VM has no balloon";
	}
}

static void add_counter(cJSON *answer, unsigned int slot, const char *device, const char *what,
			uint64_t value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s@%llx.%s", device, BOARD_VIRTIO_BASE(slot), what);
	add_number(answer, key, value);
}

static const char *run_counters(struct control_context *context, const cJSON *request,
				cJSON *answer)
{
	struct vm *vm = context->vm;
	struct virtio_counters counters;

	(void)request;
	add_number(answer, "io_wake_ups", atomic_load(&vm->io.wake_ups));
	for (unsigned int slot = 0; virtio_get_counters(vm, slot, &counters); slot++) {
		add_counter(answer, slot, counters.name, "buffers", counters.buffers);
		add_counter(answer, slot, counters.name, "notifications", counters.notifications);
		add_counter(answer, slot, counters.name, "interrupts", counters.interrupts);
	}
	return NULL;
}

static const char *run_help(struct control_context *context, const cJSON *request, cJSON *answer)
{
	(void)context;
	(void)request;
	cJSON_AddStringToObject(answer, "commands", CONTROL_COMMANDS);
	return NULL;
}

static const char *run_hint(struct control_context *context, const cJSON *request, cJSON *answer)
{
	(void)request;
	switch (balloon_start_hinting(context->vm)) {
	case 0:
		cJSON_AddStringToObject(answer, "hinting", "asked");
		return NULL;
	case -EPERM:
		return "the guest's memory is locked (--prealloc)";
	case -ENOTCONN:
		return "the guest has no driver that hints at free pages";
	default:
		return "this VM has no balloon";
	}
}

static void add_guest(const struct balloon_status *status, cJSON *answer)
{
	add_number(answer, "guest_total", status->guest_total);
	add_number(answer, "guest_free", status->guest_free);
	add_number(answer, "guest_available", status->guest_available);
	add_number(answer, "guest_caches", status->guest_caches);
	add_number(answer, "guest_age_ms", status->guest_age_ms);
}

static void add_balloon(struct vm *vm, cJSON *answer)
{
	static const char *const hinting[] = {
		[BALLOON_HINTING_NONE] = "none",
		[BALLOON_HINTING_ASKED] = "asked",
		[BALLOON_HINTING_RUNNING] = "running",
		[BALLOON_HINTING_DONE] = "done",
	};
	struct balloon_status status;

	if (!balloon_get_status(vm, &status))
		return;
	add_number(answer, "balloon_target", status.target);
	add_number(answer, "balloon_actual", status.actual);
	add_number(answer, "reported", status.reported);
	add_number(answer, "hinted", status.hinted);
	cJSON_AddStringToObject(answer, "hinting", hinting[status.hinting]);
	if (status.has_guest)
		add_guest(&status, answer);
}

static const char *run_status(struct control_context *context, const cJSON *request, cJSON *answer)
{
	struct vm *vm = context->vm;
	enum vm_phase phase;

	(void)request;
	pthread_mutex_lock(&vm->lock);
	phase = vm->phase;
	pthread_mutex_unlock(&vm->lock);
	if (context->name)
		cJSON_AddStringToObject(answer, "name", context->name);
	cJSON_AddStringToObject(answer, "state",
				phase == VM_RUNNING && !context->stop ? "running" : "stopping");
	add_number(answer, "vcpus", vm->vcpu_count);
	add_number(answer, "memory", vm->mem.size);
	add_balloon(vm, answer);
	return NULL;
}

static const char *run_stop(struct control_context *context, const cJSON *request, cJSON *answer)
{
	(void)request;
	(void)answer;
	context->stop = true;
	return NULL;
}

static const struct command table[] = {
	{"balloon", "size", run_balloon}, {"counters", NULL, run_counters},
	{"help", NULL, run_help},         {"hint", NULL, run_hint},
	{"status", NULL, run_status},     {"stop", NULL, run_stop},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

bool control_known(const char *command, const char **argument)
{
	const struct command *known = find(command);

	*argument = known ? known->argument : NULL;
	return known;
}

/* Fill the answer, or say what is wrong with the request. */
static const char *run(struct control_context *context, const cJSON *request, cJSON *answer)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(request, "command");
	const struct command *command;

	if (!cJSON_IsObject(request))
		return "this is no JSON object on one line";
	if (!cJSON_IsString(name))
		return "no command: give {\"command\": NAME}";
	command = find(name->valuestring);
	if (!command)
		return "unknown command: known are " CONTROL_COMMANDS;
	return command->run(context, request, answer);
}

/* What was begun of a good answer is forgotten. */
static cJSON *refuse(const char *why, cJSON *answer)
{
	cJSON_Delete(answer);
	answer = cJSON_CreateObject();
	if (answer &&
	    (!cJSON_AddFalseToObject(answer, "ok") ||
	     !cJSON_AddStringToObject(answer, "error", why))) {
		cJSON_Delete(answer);
		answer = NULL;
	}
	return answer;
}

/* len bytes and '\0' are at line. NULL: there is no memory. */
static cJSON *answer_to(struct control_context *context, const char *line, size_t len)
{
	/* To cJSON, '\0' is white space. */
	cJSON *request = memchr(line, '\0', len)
		? NULL
		: cJSON_ParseWithLengthOpts(line, len + 1, NULL, true);
	cJSON *answer = cJSON_CreateObject();
	const char *why = NULL;

	if (answer && cJSON_AddTrueToObject(answer, "ok"))
		why = run(context, request, answer);
	if (answer && why)
		answer = refuse(why, answer);
	cJSON_Delete(request);
	return answer;
}

size_t control_answer(struct control_context *context, char *line, size_t len, char *answer)
{
	cJSON *object;

	line[len] = '\0';
	object = answer_to(context, line, len);
	if (!object || !cJSON_PrintPreallocated(object, answer, CONTROL_LINE, false))
		memcpy(answer, NO_MEMORY, sizeof(NO_MEMORY));
	cJSON_Delete(object);
	len = strlen(answer);
	answer[len++] = '\n';
	answer[len] = '\0';
	return len;
}
