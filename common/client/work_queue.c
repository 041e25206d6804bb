// SPDX-License-Identifier: Apache-2.0
// A key's entry lives as long as anything is known of it: it waits, it is worked
// on, it comes back later, or it has failures to remember.
//
//            add                 dispatch               done
//   (none) ───────► ready (FIFO) ─────────► in progress ─────► (none)
//      ▲               ▲  ▲                  │  add: again       │ WORK_RETRY,
//      │ timer         │  └──────────────────┘  when done        │ or added meanwhile
//      └── delayed ────┴─────────────────────────────────────────┘
//
// Retries wait for the longer of the key's own exponential delay and of an overall
// token bucket (10 a second, 100 at once), as upstream's default rate limiter.
// Keys are handed out from a timer, never from inside an add, and for at most
// SLICE_NS in one turn, so that a long queue doesn't hold up the loop.

#include "common/client/work_queue.h"

#include <assert.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/io/loop.h"

#define SLICE_NS (10 * NSEC_PER_MSEC)
#define BUCKET_BURST 100
#define BUCKET_INTERVAL_NS (NSEC_PER_SEC / 10)

struct work_entry {
	struct work_queue *queue;
	struct list node; // on `ready` while queued
	struct loop_timer timer;
	bool queued;
	bool in_progress;
	bool again; // added while in progress
	unsigned failures;
	char key[];
};

struct work_queue {
	struct loop *loop;
	struct work_queue_config config;
	struct hashmap *entries;
	struct list ready;
	size_t ready_count;
	size_t in_progress_count;
	struct loop_timer dispatch_timer;
	bool paused;
	bool dispatching;
	int64_t bucket_full_ns; // when the bucket of retries is full again
};

static void free_entry(void *value)
{
	struct work_entry *entry = value;
	loop_timer_stop(&entry->timer);
	free(entry);
}

struct work_queue *work_queue_new(struct loop *loop, const struct work_queue_config *config)
{
	struct work_queue *queue = NEW(struct work_queue);
	queue->loop = loop;
	queue->config = *config;
	if (queue->config.max_in_progress == 0)
		queue->config.max_in_progress = 1;
	if (queue->config.base_delay_ns == 0)
		queue->config.base_delay_ns = 5 * NSEC_PER_MSEC;
	if (queue->config.max_delay_ns == 0)
		queue->config.max_delay_ns = 1000 * NSEC_PER_SEC;
	queue->entries = hashmap_new(free_entry);
	list_init(&queue->ready);
	return queue;
}

struct work_queue *work_queue_free(struct work_queue *queue)
{
	if (!queue)
		return NULL;
	assert(!queue->dispatching);
	loop_timer_stop(&queue->dispatch_timer);
	hashmap_free(queue->entries);
	free(queue);
	return NULL;
}

static struct work_entry *ensure_entry(struct work_queue *queue, const char *key)
{
	struct work_entry *entry = hashmap_get(queue->entries, key);
	if (entry)
		return entry;
	size_t length = strlen(key);
	entry = xcalloc(1, sizeof(*entry) + length + 1);
	entry->queue = queue;
	memcpy(entry->key, key, length);
	list_init(&entry->node);
	hashmap_put(queue->entries, key, entry);
	return entry;
}

static void forget_if_idle(struct work_entry *entry)
{
	if (!entry->queued && !entry->in_progress && !entry->timer.loop && entry->failures == 0)
		hashmap_remove(entry->queue->entries, entry->key);
}

// --- handing out ------------------------------------------------------------------

static bool may_dispatch(const struct work_queue *queue)
{
	return !queue->paused && queue->ready_count > 0 && queue->in_progress_count < queue->config.max_in_progress;
}

static void dispatch_one(struct work_queue *queue)
{
	struct work_entry *entry = list_first(&queue->ready, struct work_entry, node);
	list_remove(&entry->node);
	queue->ready_count--;
	queue->in_progress_count++;
	entry->queued = false;
	entry->in_progress = true;
	queue->config.process(queue->config.context, entry->key);
}

static void on_dispatch_timer(struct loop_timer *timer)
{
	struct work_queue *queue = container_of(timer, struct work_queue, dispatch_timer);
	int64_t end_ns = clock_monotonic_ns(&clock_system) + SLICE_NS;
	queue->dispatching = true;
	while (may_dispatch(queue) && clock_monotonic_ns(&clock_system) < end_ns)
		dispatch_one(queue);
	queue->dispatching = false;
	if (may_dispatch(queue))
		loop_timer_start(queue->loop, &queue->dispatch_timer, 0, on_dispatch_timer);
}

static void wake(struct work_queue *queue)
{
	if (may_dispatch(queue) && !queue->dispatching && !queue->dispatch_timer.loop)
		loop_timer_start(queue->loop, &queue->dispatch_timer, 0, on_dispatch_timer);
}

// --- adding -----------------------------------------------------------------------

static void make_ready(struct work_entry *entry)
{
	struct work_queue *queue = entry->queue;
	if (entry->in_progress) {
		entry->again = true;
		return;
	}
	if (entry->queued)
		return;
	entry->queued = true;
	list_append(&queue->ready, &entry->node);
	queue->ready_count++;
	wake(queue);
}

static void on_delay_over(struct loop_timer *timer)
{
	make_ready(container_of(timer, struct work_entry, timer));
}

void work_queue_add(struct work_queue *queue, const char *key)
{
	make_ready(ensure_entry(queue, key));
}

static void delay_entry(struct work_entry *entry, int64_t delay_ns)
{
	struct work_queue *queue = entry->queue;
	if (entry->timer.loop && entry->timer.deadline_ns <= loop_now_ns(queue->loop) + delay_ns)
		return;
	loop_timer_start(queue->loop, &entry->timer, delay_ns, on_delay_over);
}

void work_queue_add_after(struct work_queue *queue, const char *key, int64_t delay_ns)
{
	struct work_entry *entry = ensure_entry(queue, key);
	if (delay_ns <= 0)
		make_ready(entry);
	else
		delay_entry(entry, delay_ns);
}

// --- results -----------------------------------------------------------------------

static int64_t exponential_delay_ns(const struct work_queue *queue, unsigned failures)
{
	int64_t delay_ns = queue->config.base_delay_ns;
	while (failures-- > 0 && delay_ns < queue->config.max_delay_ns)
		delay_ns *= 2;
	return delay_ns < queue->config.max_delay_ns ? delay_ns : queue->config.max_delay_ns;
}

// Takes a token, on credit if need be; returns how long to wait for it.
static int64_t bucket_delay_ns(struct work_queue *queue)
{
	int64_t now_ns = loop_now_ns(queue->loop);
	if (queue->bucket_full_ns < now_ns)
		queue->bucket_full_ns = now_ns;
	queue->bucket_full_ns += BUCKET_INTERVAL_NS;
	int64_t wait_ns = queue->bucket_full_ns - now_ns - BUCKET_BURST * BUCKET_INTERVAL_NS;
	return wait_ns > 0 ? wait_ns : 0;
}

static void retry_entry(struct work_entry *entry)
{
	int64_t own_ns = exponential_delay_ns(entry->queue, entry->failures);
	int64_t overall_ns = bucket_delay_ns(entry->queue);
	entry->failures++;
	delay_entry(entry, own_ns > overall_ns ? own_ns : overall_ns);
}

void work_queue_done(struct work_queue *queue, const char *key, enum work_result result)
{
	struct work_entry *entry = hashmap_get(queue->entries, key);
	assert(entry && entry->in_progress);
	entry->in_progress = false;
	queue->in_progress_count--;
	if (result == WORK_RETRY)
		retry_entry(entry);
	else
		entry->failures = 0;
	if (entry->again) {
		entry->again = false;
		make_ready(entry);
	}
	forget_if_idle(entry);
	wake(queue);
}

size_t work_queue_depth(const struct work_queue *queue)
{
	return queue->ready_count;
}

void work_queue_pause(struct work_queue *queue)
{
	queue->paused = true;
}

void work_queue_resume(struct work_queue *queue)
{
	queue->paused = false;
	wake(queue);
}
