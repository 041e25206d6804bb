// SPDX-License-Identifier: Apache-2.0
//
//            queue_set                     queue_pop
//   (none) ───────────► active ◄───────┐ ────────────► in flight ──► queue_remove (has a node)
//      │  gates            ▲           │                │      │
//      └──────► gated ─────┘           │ back-off over  │      │ put_failed
//               gates gone             │                │      ▼
//                          └─────── back-off ◄──────────┼──────┘
//                               ▲       event may help, │ put_refused
//                               │       still too early ▼
//                               └──────────────── unschedulable
//                                  event may help, back-off over: to active
//
// The back-off of a pod is counted from the end of its last attempt: 1 s, doubled
// with each attempt, 10 s at most. A pod that no event has helped for five minutes
// is tried anyway, in case an event was not foreseen.

#include "scheduler/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/view.h"
#include "common/base/clock.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "scheduler/framework.h"

#define LONGEST_UNSCHEDULABLE_NS (300 * NSEC_PER_SEC)

struct queue {
	struct queue_config config;
	struct hashmap *pods; // by uid
	struct heap active;
	struct heap backoff;
	struct list unschedulable; // oldest first
	size_t counts[QUEUE_PLACE_COUNT_];
	uint64_t next_sequence;
};

const char *queue_place_to_string(enum queue_place place)
{
	static const char *const names[] = {
	        [QUEUE_ACTIVE] = "active", [QUEUE_BACKOFF] = "backoff",     [QUEUE_UNSCHEDULABLE] = "unschedulable",
	        [QUEUE_GATED] = "gated",   [QUEUE_IN_FLIGHT] = "in-flight",
	};
	return names[place];
}

static const struct queued_pod *pod_of(const struct heap_node *node)
{
	return container_of(node, const struct queued_pod, heap_node);
}

// Priority first, then the longest waiting.
static bool runs_before(const struct heap_node *left, const struct heap_node *right)
{
	const struct queued_pod *a = pod_of(left);
	const struct queued_pod *b = pod_of(right);
	if (a->info->priority != b->info->priority)
		return a->info->priority > b->info->priority;
	if (a->added_ns != b->added_ns)
		return a->added_ns < b->added_ns;
	return a->sequence < b->sequence;
}

static bool is_due_before(const struct heap_node *left, const struct heap_node *right)
{
	return pod_of(left)->backoff_until_ns < pod_of(right)->backoff_until_ns;
}

// --- places ----------------------------------------------------------------------------

static void leave(struct queue *queue, struct queued_pod *pod)
{
	if (pod->place == QUEUE_ACTIVE)
		heap_remove(&queue->active, &pod->heap_node);
	else if (pod->place == QUEUE_BACKOFF)
		heap_remove(&queue->backoff, &pod->heap_node);
	else if (pod->place == QUEUE_UNSCHEDULABLE)
		list_remove(&pod->list_node);
	queue->counts[pod->place]--;
}

static void enter(struct queue *queue, struct queued_pod *pod, enum queue_place place, const char *event)
{
	pod->place = place;
	queue->counts[place]++;
	if (place == QUEUE_ACTIVE)
		heap_push(&queue->active, &pod->heap_node);
	else if (place == QUEUE_BACKOFF)
		heap_push(&queue->backoff, &pod->heap_node);
	else if (place == QUEUE_UNSCHEDULABLE)
		list_append(&queue->unschedulable, &pod->list_node);
	if (queue->config.on_entered && event)
		queue->config.on_entered(queue->config.context, place, event);
}

static void move(struct queue *queue, struct queued_pod *pod, enum queue_place place, const char *event)
{
	leave(queue, pod);
	enter(queue, pod, place, event);
}

static void retry(struct queue *queue, struct queued_pod *pod, const char *event, int64_t now_ns)
{
	move(queue, pod, pod->backoff_until_ns > now_ns ? QUEUE_BACKOFF : QUEUE_ACTIVE, event);
}

static int64_t backoff_ns(const struct queue *queue, unsigned attempts)
{
	int64_t delay_ns = queue->config.initial_backoff_ns;
	for (unsigned i = 1; i < attempts && delay_ns < queue->config.max_backoff_ns; i++)
		delay_ns *= 2;
	return delay_ns < queue->config.max_backoff_ns ? delay_ns : queue->config.max_backoff_ns;
}

// --- life -------------------------------------------------------------------------------

static void free_pod(void *value)
{
	struct queued_pod *pod = value;
	pod_info_unref(pod->info);
	free(pod);
}

struct queue *queue_new(const struct queue_config *config)
{
	struct queue *queue = NEW(struct queue);
	queue->config = *config;
	queue->pods = hashmap_new(free_pod);
	queue->active = HEAP_INIT(runs_before);
	queue->backoff = HEAP_INIT(is_due_before);
	list_init(&queue->unschedulable);
	return queue;
}

struct queue *queue_free(struct queue *queue)
{
	if (!queue)
		return NULL;
	heap_done(&queue->active);
	heap_done(&queue->backoff);
	hashmap_free(queue->pods);
	free(queue);
	return NULL;
}

// --- pods come and go ----------------------------------------------------------------------

static bool is_gated(const struct pod_info *info)
{
	return info->pod->spec.scheduling_gates.count > 0;
}

// Whether anything that a scheduler looks at has changed: not the status, which it writes itself.
static bool is_changed(const struct pod_info *before, const struct pod_info *after)
{
	static const size_t limit = 16 << 20;
	AUTO_STRBUF struct strbuf old_text = STRBUF_INIT(limit);
	AUTO_STRBUF struct strbuf new_text = STRBUF_INIT(limit);
	const struct schema_type *type = after->object->resource->type;
	struct core_v1_pod old_pod = {.metadata.labels = before->pod->metadata.labels, .spec = before->pod->spec};
	struct core_v1_pod new_pod = {.metadata.labels = after->pod->metadata.labels, .spec = after->pod->spec};
	view_write(&old_text, type, &old_pod);
	view_write(&new_text, type, &new_pod);
	return strcmp(strbuf_text(&old_text), strbuf_text(&new_text)) != 0;
}

static void add_pod(struct queue *queue, struct pod_info *info, int64_t now_ns)
{
	struct queued_pod *pod = NEW(struct queued_pod);
	pod->info = pod_info_ref(info);
	pod->first_added_ns = pod->added_ns = now_ns;
	pod->sequence = queue->next_sequence++;
	list_init(&pod->list_node);
	hashmap_put(queue->pods, pod_info_uid(info), pod);
	enter(queue, pod, is_gated(info) ? QUEUE_GATED : QUEUE_ACTIVE, "PodAdd");
}

static unsigned helping_events(uint64_t refused_by)
{
	unsigned events = 0;
	for (size_t i = 0; i < plugin_count; i++)
		if (refused_by & (UINT64_C(1) << i))
			events |= plugins[i]->helped_by;
	return events;
}

void queue_set(struct queue *queue, struct pod_info *info, int64_t now_ns)
{
	struct queued_pod *pod = hashmap_get(queue->pods, pod_info_uid(info));
	if (!pod) {
		add_pod(queue, info, now_ns);
		return;
	}
	struct pod_info *before = pod->info;
	pod->info = pod_info_ref(info);
	if (pod->place == QUEUE_ACTIVE) {
		heap_update(&queue->active, &pod->heap_node);
	} else if (pod->place == QUEUE_GATED && !is_gated(info)) {
		pod->added_ns = now_ns;
		move(queue, pod, QUEUE_ACTIVE, "PodUpdate");
	} else if (pod->place == QUEUE_UNSCHEDULABLE && (helping_events(pod->refused_by) & EVENT_SELF_UPDATED) &&
	           is_changed(before, info)) {
		retry(queue, pod, "PodUpdate", now_ns);
	}
	pod_info_unref(before);
}

void queue_remove(struct queue *queue, const char *uid)
{
	struct queued_pod *pod = hashmap_take(queue->pods, uid);
	if (!pod)
		return;
	leave(queue, pod);
	free_pod(pod);
}

const struct queued_pod *queue_find(const struct queue *queue, const char *uid)
{
	return hashmap_get(queue->pods, uid);
}

// --- the way through ------------------------------------------------------------------------

const struct queued_pod *queue_pop(struct queue *queue, int64_t now_ns)
{
	queue_flush(queue, now_ns);
	struct heap_node *first = heap_first(&queue->active);
	if (!first)
		return NULL;
	struct queued_pod *pod = container_of(first, struct queued_pod, heap_node);
	move(queue, pod, QUEUE_IN_FLIGHT, NULL);
	pod->attempts++;
	return pod;
}

static struct queued_pod *land(struct queue *queue, const char *uid, int64_t now_ns)
{
	struct queued_pod *pod = hashmap_get(queue->pods, uid);
	if (!pod || pod->place != QUEUE_IN_FLIGHT)
		return NULL;
	pod->added_ns = now_ns;
	pod->backoff_until_ns = now_ns + backoff_ns(queue, pod->attempts);
	return pod;
}

void queue_put_refused(struct queue *queue, const char *uid, uint64_t refused_by, int64_t now_ns)
{
	struct queued_pod *pod = land(queue, uid, now_ns);
	if (!pod)
		return;
	pod->refused_by = refused_by;
	move(queue, pod, QUEUE_UNSCHEDULABLE, "ScheduleAttemptFailure");
}

void queue_put_failed(struct queue *queue, const char *uid, int64_t now_ns)
{
	struct queued_pod *pod = land(queue, uid, now_ns);
	if (pod)
		move(queue, pod, QUEUE_BACKOFF, "ScheduleAttemptFailure");
}

void queue_on_event(struct queue *queue, unsigned events, const char *event_name, int64_t now_ns)
{
	struct queued_pod *pod;
	list_for_each (pod, &queue->unschedulable, list_node) {
		if (helping_events(pod->refused_by) & events)
			retry(queue, pod, event_name, now_ns);
	}
}

void queue_flush(struct queue *queue, int64_t now_ns)
{
	struct heap_node *first;
	while ((first = heap_first(&queue->backoff)) && pod_of(first)->backoff_until_ns <= now_ns)
		move(queue, container_of(first, struct queued_pod, heap_node), QUEUE_ACTIVE, "BackoffComplete");
	struct queued_pod *oldest;
	while ((oldest = list_first(&queue->unschedulable, struct queued_pod, list_node)) &&
	       oldest->added_ns + LONGEST_UNSCHEDULABLE_NS <= now_ns)
		retry(queue, oldest, "UnschedulableTimeout", now_ns);
}

int64_t queue_next_ns(const struct queue *queue)
{
	const struct heap_node *first = heap_first(&queue->backoff);
	const struct queued_pod *oldest = list_first(&queue->unschedulable, struct queued_pod, list_node);
	int64_t next_ns = first ? pod_of(first)->backoff_until_ns : INT64_MAX;
	if (oldest && oldest->added_ns + LONGEST_UNSCHEDULABLE_NS < next_ns)
		next_ns = oldest->added_ns + LONGEST_UNSCHEDULABLE_NS;
	return next_ns;
}

size_t queue_count(const struct queue *queue, enum queue_place place)
{
	return queue->counts[place];
}
