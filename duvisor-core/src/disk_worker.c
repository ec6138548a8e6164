/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread that performs one request after the other. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "disk.h"

struct list {
	struct disk_request *first;
	struct disk_request **last;
};

struct disk_worker {
	const struct disk *disk;
	pthread_t thread;
	unsigned int unfinished;   /* I/O thread only */
	_Atomic uint32_t any_done; /* done is not empty */
	pthread_mutex_t lock;      /* protects what follows */
	pthread_cond_t todo_changed;
	pthread_cond_t done_changed;
	struct list todo;
	struct list done;
	bool ending;
};

static void append(struct list *list, struct disk_request *request)
{
	request->next = NULL;
	*list->last = request;
	list->last = &request->next;
}

static struct disk_request *take_all(struct list *list)
{
	struct disk_request *first = list->first;

	*list = (struct list){.last = &list->first};
	return first;
}

static struct disk_request *take_first(struct list *list)
{
	struct disk_request *first = list->first;

	list->first = first->next;
	if (!list->first)
		list->last = &list->first;
	return first;
}

/* The next request, or NULL at the end. */
static struct disk_request *wait_for_request(struct disk_worker *worker)
{
	struct disk_request *request = NULL;

	pthread_mutex_lock(&worker->lock);
	while (!worker->todo.first && !worker->ending)
		pthread_cond_wait(&worker->todo_changed, &worker->lock);
	if (worker->todo.first)
		request = take_first(&worker->todo);
	pthread_mutex_unlock(&worker->lock);
	return request;
}

static void report(struct disk_worker *worker, struct disk_request *request)
{
	pthread_mutex_lock(&worker->lock);
	append(&worker->done, request);
	atomic_store(&worker->any_done, 1);
	pthread_cond_signal(&worker->done_changed);
	pthread_mutex_unlock(&worker->lock);
	io_wake(worker->disk->io);
}

static void *worker_main(void *arg)
{
	struct disk_worker *worker = arg;
	struct disk_request *request;

	while ((request = wait_for_request(worker))) {
		request->result = disk_perform(worker->disk, request);
		report(worker, request);
	}
	return NULL;
}

/* Signals are the main thread's business. */
static int start_thread(struct disk_worker *worker)
{
	sigset_t all;
	sigset_t saved;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return -err;
}

int disk_worker_create(struct disk *disk)
{
	struct disk_worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return -ENOMEM;
	worker->disk = disk;
	worker->todo.last = &worker->todo.first;
	worker->done.last = &worker->done.first;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->todo_changed, NULL);
	pthread_cond_init(&worker->done_changed, NULL);
	err = start_thread(worker);
	if (err)
		free(worker);
	else
		disk->worker = worker;
	return err;
}

void disk_worker_destroy(struct disk *disk)
{
	struct disk_worker *worker = disk->worker;

	pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	pthread_cond_signal(&worker->todo_changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->todo_changed);
	pthread_cond_destroy(&worker->done_changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

void disk_worker_submit(struct disk *disk, struct disk_request *request)
{
	struct disk_worker *worker = disk->worker;

	worker->unfinished++;
	pthread_mutex_lock(&worker->lock);
	append(&worker->todo, request);
	pthread_cond_signal(&worker->todo_changed);
	pthread_mutex_unlock(&worker->lock);
}

bool disk_worker_reap(struct disk *disk)
{
	struct disk_worker *worker = disk->worker;
	struct disk_request *request;

	if (!atomic_load_explicit(&worker->any_done, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&worker->lock);
	request = take_all(&worker->done);
	atomic_store(&worker->any_done, 0);
	pthread_mutex_unlock(&worker->lock);
	while (request) {
		struct disk_request *next = request->next;

		worker->unfinished--;
		request->done(request, request->result);
		request = next;
	}
	return true;
}

void disk_worker_drain(struct disk *disk)
{
	struct disk_worker *worker = disk->worker;

	while (worker->unfinished) {
		pthread_mutex_lock(&worker->lock);
		while (!worker->done.first)
			pthread_cond_wait(&worker->done_changed, &worker->lock);
		pthread_mutex_unlock(&worker->lock);
		disk_worker_reap(disk);
	}
}
