// SPDX-License-Identifier: Apache-2.0
//
// A few threads around one queue. Signals are blocked in them, so that a loop's
// signalfd is the only place where they arrive.
#include <pthread.h>

#include "common/base/memory.h"
#include "common/io/loop.h"

struct work_pool {
	pthread_mutex_t mutex; // guards queue and stopping
	pthread_cond_t changed;
	struct list queue;
	bool stopping;
	int thread_count;
	pthread_t threads[];
};

static void on_done(struct loop_task *task)
{
	struct work *work = container_of(task, struct work, done_task);
	work->done(work);
}

static struct work *next_work(struct work_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	while (list_is_empty(&pool->queue) && !pool->stopping)
		pthread_cond_wait(&pool->changed, &pool->mutex);
	struct work *work = list_first(&pool->queue, struct work, node);
	if (work)
		list_remove(&work->node);
	pthread_mutex_unlock(&pool->mutex);
	return work;
}

static void *pool_thread(void *argument)
{
	struct work_pool *pool = argument;
	for (struct work *work; (work = next_work(pool));) {
		work->run(work);
		loop_post(work->loop, &work->done_task, on_done);
	}
	return NULL;
}

struct work_pool *work_pool_new(int thread_count)
{
	struct work_pool *pool = xcalloc(1, sizeof(*pool) + sizeof(pthread_t) * (size_t)thread_count);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->changed, NULL);
	list_init(&pool->queue);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->thread_count < thread_count &&
	       pthread_create(&pool->threads[pool->thread_count], NULL, pool_thread, pool) == 0)
		pool->thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pool->thread_count == 0)
		abort(); // no thread at all: as hopeless as no memory
	return pool;
}

struct work_pool *work_pool_free(struct work_pool *pool)
{
	if (!pool)
		return NULL;
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->mutex);
	for (int i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
	return NULL;
}

void work_pool_submit(struct work_pool *pool, struct work *work, struct loop *loop, void (*run)(struct work *work),
                      void (*done)(struct work *work))
{
	work->loop = loop;
	work->run = run;
	work->done = done;
	pthread_mutex_lock(&pool->mutex);
	list_append(&pool->queue, &work->node);
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->mutex);
}
