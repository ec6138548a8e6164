/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control_client.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_command.h"
#include "log.h"
#include "unix_socket.h"

/* The VM answers at once, unless it is stopped or its host is very busy. */
#define PATIENCE_MS 10000
/* What the guest says of itself is as old as the last question; older than this, the question is put again after this. */
#define STALE_MS 1000
#define REFRESH_MS 200

/* 0 or -errno. */
static int wait_for(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	int n = poll(&one, 1, PATIENCE_MS);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int send_request(int fd, const struct control_call *call)
{
	const char *argument;
	cJSON *request = cJSON_CreateObject();
	char line[CONTROL_LINE];
	int err = 0;
	size_t len;

	control_known(call->command, &argument);
	cJSON_AddStringToObject(request, "command", call->command);
	if (argument)
		cJSON_AddStringToObject(request, argument, call->argument);
	if (!cJSON_PrintPreallocated(request, line, sizeof(line) - 1, false))
		err = -E2BIG;
	cJSON_Delete(request);
	if (err)
		return err;
	len = strlen(line);
	line[len++] = '\n';
	/* An empty socket takes it whole. */
	return send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -errno;
}

/* One line without its newline. 0 or -errno. */
static int read_answer(int fd, char *line, size_t size)
{
	size_t have = 0;

	while (have < size) {
		int err = wait_for(fd, POLLIN);
		ssize_t n = err ? 0 : recv(fd, line + have, size - have, MSG_DONTWAIT);
		char *end = n > 0 ? memchr(line + have, '\n', (size_t)n) : NULL;

		if (err || n < 0)
			return err ? err : -errno;
		if (!n)
			return -ECONNRESET;
		if (end) {
			*end = '\0';
			return 0;
		}
		have += (size_t)n;
	}
	return -EMSGSIZE;
}

static int exchange(const struct control_call *call, char *line, size_t size)
{
	int fd = unix_connect(call->path);
	int err = fd < 0 ? fd : send_request(fd, call);

	err = err ?: read_answer(fd, line, size);
	if (fd >= 0)
		close(fd);
	return err;
}

static bool is_stale(const char *line)
{
	cJSON *answer = cJSON_Parse(line);
	const cJSON *age = cJSON_GetObjectItemCaseSensitive(answer, "guest_age_ms");
	bool stale = cJSON_IsNumber(age) && age->valuedouble > STALE_MS;

	cJSON_Delete(answer);
	return stale;
}

/* What the VM says goes to a terminal: nothing but printable text. */
static void print_text(const char *text)
{
	for (; *text; text++)
		putchar(*text >= ' ' && *text != 0x7f ? *text : '?');
}

static void print_member(const cJSON *item)
{
	print_text(item->string);
	printf(": ");
	if (cJSON_IsString(item))
		print_text(item->valuestring);
	else if (cJSON_IsNumber(item))
		printf("%.0f", item->valuedouble);
	else
		printf("%s", cJSON_IsTrue(item) ? "yes" : "no");
	printf("\n");
}

static enum control_exit print_answer(const struct control_call *call, const char *line)
{
	cJSON *answer = cJSON_Parse(line);
	const cJSON *why = cJSON_GetObjectItemCaseSensitive(answer, "error");
	bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
	const cJSON *item;

	if (call->json) {
		print_text(line);
		printf("\n");
	} else if (ok) {
		cJSON_ArrayForEach(item, answer) if (strcmp(item->string, "ok") != 0)
			print_member(item);
	}
	if (!ok)
		log_error("%s: %s", call->path,
			  cJSON_IsString(why) ? why->valuestring : "no answer of a VM");
	cJSON_Delete(answer);
	return ok ? CONTROL_EXIT_OK : CONTROL_EXIT_REFUSED;
}

enum control_exit control_call(const struct control_call *call)
{
	char line[CONTROL_LINE + 1];
	int err = exchange(call, line, sizeof(line));

	if (!err && is_stale(line)) {
		poll(NULL, 0, REFRESH_MS);
		err = exchange(call, line, sizeof(line));
	}
	if (!err)
		return print_answer(call, line);
	if (err == -ECONNREFUSED || err == -ENOENT)
		log_error("no VM listens at '%s'", call->path);
	else
		log_error("cannot ask at '%s': %s", call->path, strerror(-err));
	return CONTROL_EXIT_REFUSED;
}
