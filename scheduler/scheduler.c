// SPDX-License-Identifier: Apache-2.0
// Everything runs on one loop, so a cycle sees a cache that stands still:
//
//   pod without node ──► queue ──► cycle ──► no node: event, condition, back to the queue
//                                   │
//                                   ▼ node: assumed there in the cache
//                                 binding ──► failed: forgotten, back to the queue
//                                   │
//                                   ▼ done: event; the informer brings the pod with its node
//
// Invariants:
// 1. A pod is in the queue exactly while the API shows it without a node and not
//    being deleted (in flight while a binding runs), and in the cache while it is
//    shown with one or is assumed on one.
// 2. What an answer tells is believed less than what the watch tells: a binding
//    whose answer is lost is forgotten and tried again; if it was done after all,
//    the watch says so and takes the pod out of the queue, and the API refuses a
//    second binding.
// 3. Nothing is kept that a restart would need: a new process lists and carries on.
//
// Cycles run in slices of a few milliseconds between the loop's other work.

#include "scheduler/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/event_recorder.h"
#include "common/client/informer.h"
#include "common/client/rest.h"
#include "common/io/loop.h"
#include "scheduler/cache.h"
#include "scheduler/changes.h"
#include "scheduler/pod_writer.h"
#include "scheduler/queue.h"
#include "scheduler/schedule.h"
#include "scheduler/scheduler_metrics.h"

#define SLICE_NS (8 * NSEC_PER_MSEC)

enum {
	MAX_BINDINGS = 256,
	CYCLE_ARENA_BYTES = 64 << 10,
};

struct profile {
	const char *name;
	struct event_recorder *recorder;
};

struct scheduler {
	struct loop *loop;
	struct rest_client *client;
	struct informer *pods;
	struct informer *nodes;
	struct informer_handler pod_handler;
	struct informer_handler node_handler;
	struct cache *cache;
	struct queue *queue;
	struct pod_writer *writer;
	struct profile *profiles;
	size_t profile_count;
	struct schedule_policy policy;
	struct arena *cycle_arena;
	struct loop_timer cycle_timer; // the next slice
	struct loop_timer queue_timer; // a pod's back-off ends
	struct loop_turn_hook gauges_hook;
	size_t shown_counts[QUEUE_PLACE_COUNT_];
	struct scheduler_metrics metrics;
	bool running;
	bool synced;
	void (*on_synced)(void *context);
	void *context;
};

static void on_cycle_timer(struct loop_timer *timer);
static void on_queue_timer(struct loop_timer *timer);

// --- waking ------------------------------------------------------------------------------

static bool may_work(const struct scheduler *scheduler)
{
	return scheduler->running && scheduler->synced;
}

// After anything that may have changed the queue.
static void wake(struct scheduler *scheduler)
{
	if (!may_work(scheduler))
		return;
	bool has_room = pod_writer_binding_count(scheduler->writer) < MAX_BINDINGS;
	if (queue_count(scheduler->queue, QUEUE_ACTIVE) > 0 && has_room && !scheduler->cycle_timer.loop)
		loop_timer_start(scheduler->loop, &scheduler->cycle_timer, 0, on_cycle_timer);
	int64_t next_ns = queue_next_ns(scheduler->queue);
	int64_t delay_ns = next_ns - loop_now_ns(scheduler->loop);
	if (next_ns == INT64_MAX)
		loop_timer_stop(&scheduler->queue_timer);
	else
		loop_timer_start(scheduler->loop, &scheduler->queue_timer, delay_ns > 0 ? delay_ns : 0, on_queue_timer);
}

static void on_queue_timer(struct loop_timer *timer)
{
	struct scheduler *scheduler = container_of(timer, struct scheduler, queue_timer);
	queue_flush(scheduler->queue, loop_now_ns(scheduler->loop));
	wake(scheduler);
}

static void on_queue_entered(void *context, enum queue_place place, const char *event)
{
	struct scheduler *scheduler = context;
	scheduler_metrics_incoming(&scheduler->metrics, place, event);
}

static void on_turn_end(struct loop_turn_hook *hook)
{
	struct scheduler *scheduler = container_of(hook, struct scheduler, gauges_hook);
	bool changed = false;
	for (int place = 0; place < QUEUE_PLACE_COUNT_; place++) {
		size_t count = queue_count(scheduler->queue, (enum queue_place)place);
		changed |= scheduler->shown_counts[place] != count;
		scheduler->shown_counts[place] = count;
	}
	if (changed)
		scheduler_metrics_pending(&scheduler->metrics, scheduler->queue);
}

// --- what is told about a pod ----------------------------------------------------------------

static const struct profile *find_profile(const struct scheduler *scheduler, const struct core_v1_pod *pod)
{
	const char *name = pod->spec.scheduler_name;
	for (size_t i = 0; i < scheduler->profile_count; i++)
		if (strcmp(scheduler->profiles[i].name, name && name[0] ? name : "default-scheduler") == 0)
			return &scheduler->profiles[i];
	return NULL;
}

static struct event_target target_of(const struct pod_info *info)
{
	return (struct event_target){
	        .api_version = "v1",
	        .kind = "Pod",
	        .namespace_name = info->object->namespace_name,
	        .name = info->object->name,
	        .uid = info->object->uid,
	        .resource_version = info->object->resource_version,
	};
}

static void record(struct scheduler *scheduler, const struct pod_info *info, const char *type, const char *reason,
                   const char *message)
{
	const struct event_target target = target_of(info);
	event_record(find_profile(scheduler, info->pod)->recorder, &target, type, reason, "%s", message);
}

// --- bindings ----------------------------------------------------------------------------------

static void binding_done(struct scheduler *scheduler, struct pod_info *info, const char *node_name, int64_t now_ns)
{
	AUTO_FREE char *message = xasprintf("Successfully assigned %s to %s", pod_info_key(info), node_name);
	const struct queued_pod *queued = queue_find(scheduler->queue, pod_info_uid(info));
	record(scheduler, info, "Normal", "Scheduled", message);
	if (queued)
		scheduler_metrics_bound(&scheduler->metrics, queued->attempts, now_ns - queued->first_added_ns);
	queue_remove(scheduler->queue, pod_info_uid(info));
}

static void binding_failed(struct scheduler *scheduler, struct pod_info *info, const char *node_name, int64_t now_ns,
                           const struct err *err)
{
	log_error("Failed to bind pod", kv_obj("pod", info->object->namespace_name, info->object->name),
	          kv_str("node", node_name), kv_err(err));
	cache_forget(scheduler->cache, pod_info_uid(info));
	// A pod that is gone is nobody's concern; the watch takes it out of the queue.
	if (err->code != ERR_NOT_FOUND) {
		AUTO_FREE char *message = xasprintf("running Bind plugin \"DefaultBinder\": %s", err->message);
		record(scheduler, info, "Warning", "FailedScheduling", message);
	}
	queue_put_failed(scheduler->queue, pod_info_uid(info), now_ns);
	queue_on_event(scheduler->queue, EVENT_POD_DELETED, "AssignedPodDelete", now_ns);
}

static void on_bound(void *context, struct pod_info *info, const char *node_name, int64_t duration_ns,
                     const struct err *err)
{
	struct scheduler *scheduler = context;
	int64_t now_ns = loop_now_ns(scheduler->loop);
	bool assumed = false;
	bool is_placed = cache_has_pod(scheduler->cache, pod_info_uid(info), &assumed) && !assumed;
	bool bound = err->code == ERR_NONE || is_placed; // the watch knows better than a lost answer
	scheduler_metrics_attempt(&scheduler->metrics, find_profile(scheduler, info->pod)->name,
	                          bound ? ATTEMPT_SCHEDULED : ATTEMPT_ERROR, duration_ns);
	if (bound)
		binding_done(scheduler, info, node_name, now_ns);
	else
		binding_failed(scheduler, info, node_name, now_ns, err);
	wake(scheduler);
}

// --- cycles ----------------------------------------------------------------------------------------

static void pod_refused(struct scheduler *scheduler, struct pod_info *info, const struct schedule_outcome *outcome)
{
	log_v(2, "Unable to schedule pod; no fit; waiting",
	      kv_obj("pod", info->object->namespace_name, info->object->name), kv_str("err", outcome->message));
	record(scheduler, info, "Warning", "FailedScheduling", outcome->message);
	pod_writer_mark_unschedulable(scheduler->writer, info, outcome->message);
	queue_put_refused(scheduler->queue, pod_info_uid(info), outcome->refused_by, loop_now_ns(scheduler->loop));
}

static void run_cycle(struct scheduler *scheduler, struct pod_info *info)
{
	int64_t start_ns = loop_now_ns(scheduler->loop);
	struct cycle cycle = {.arena = scheduler->cycle_arena, .cache = scheduler->cache, .pod = info};
	struct schedule_outcome outcome;
	arena_reset(scheduler->cycle_arena);
	schedule_pod(&cycle, &scheduler->policy, &outcome);
	if (!outcome.node) {
		scheduler_metrics_attempt(&scheduler->metrics, find_profile(scheduler, info->pod)->name,
		                          ATTEMPT_UNSCHEDULABLE, loop_now_ns(scheduler->loop) - start_ns);
		pod_refused(scheduler, info, &outcome);
		return;
	}
	log_v(3, "Attempting to bind pod to node", kv_obj("pod", info->object->namespace_name, info->object->name),
	      kv_str("node", outcome.node->name), kv_int("evaluatedNodes", (int64_t)outcome.evaluated_count),
	      kv_int("feasibleNodes", (int64_t)outcome.feasible_count));
	cache_assume(scheduler->cache, info, outcome.node);
	pod_writer_bind(scheduler->writer, info, outcome.node->name);
}

static bool run_next(struct scheduler *scheduler)
{
	if (pod_writer_binding_count(scheduler->writer) >= MAX_BINDINGS)
		return false;
	const struct queued_pod *queued = queue_pop(scheduler->queue, loop_now_ns(scheduler->loop));
	if (!queued)
		return false;
	struct pod_info *info = pod_info_ref(queued->info);
	run_cycle(scheduler, info);
	pod_info_unref(info);
	return true;
}

static void on_cycle_timer(struct loop_timer *timer)
{
	struct scheduler *scheduler = container_of(timer, struct scheduler, cycle_timer);
	int64_t end_ns = clock_monotonic_ns(&clock_system) + SLICE_NS;
	while (run_next(scheduler) && clock_monotonic_ns(&clock_system) < end_ns)
		;
	wake(scheduler);
}

// --- pods change ------------------------------------------------------------------------------------

static bool has_node(const struct api_object *object)
{
	const struct core_v1_pod *pod = object ? object->view : NULL;
	return pod && pod->spec.node_name && pod->spec.node_name[0];
}

static bool is_being_deleted(const struct api_object *object)
{
	const struct core_v1_pod *pod = object->view;
	return pod->metadata.deletion_timestamp != NULL;
}

static void on_placed_pod(struct scheduler *scheduler, struct api_object *old_object, struct pod_info *info,
                          int64_t now_ns)
{
	unsigned events = EVENT_POD_ADDED;
	if (has_node(old_object)) {
		struct pod_info *before = pod_info_new(old_object);
		events = pod_change_events(before, info);
		pod_info_unref(before);
	}
	// A pod that is being bound stays in flight until the answer; the cache takes the API's word at once.
	if (!has_node(old_object) && queue_find(scheduler->queue, pod_info_uid(info)) &&
	    queue_find(scheduler->queue, pod_info_uid(info))->place != QUEUE_IN_FLIGHT)
		queue_remove(scheduler->queue, pod_info_uid(info));
	cache_set_pod(scheduler->cache, info);
	if (events)
		queue_on_event(scheduler->queue, events, cluster_event_name(events), now_ns);
}

static void on_waiting_pod(struct scheduler *scheduler, struct pod_info *info, int64_t now_ns)
{
	if (is_being_deleted(info->object))
		queue_remove(scheduler->queue, pod_info_uid(info));
	else if (find_profile(scheduler, info->pod))
		queue_set(scheduler->queue, info, now_ns);
}

static void on_pod_gone(struct scheduler *scheduler, const struct api_object *object, int64_t now_ns)
{
	bool assumed;
	bool was_placed = cache_has_pod(scheduler->cache, object->uid, &assumed);
	queue_remove(scheduler->queue, object->uid);
	cache_remove_pod(scheduler->cache, object->uid);
	if (was_placed)
		queue_on_event(scheduler->queue, EVENT_POD_DELETED, cluster_event_name(EVENT_POD_DELETED), now_ns);
}

static void on_pod_changed(struct informer_handler *handler, struct api_object *old_object,
                           struct api_object *new_object)
{
	struct scheduler *scheduler = container_of(handler, struct scheduler, pod_handler);
	int64_t now_ns = loop_now_ns(scheduler->loop);
	if (!new_object) {
		on_pod_gone(scheduler, old_object, now_ns);
	} else {
		struct pod_info *info = pod_info_new(new_object);
		if (has_node(new_object))
			on_placed_pod(scheduler, old_object, info, now_ns);
		else
			on_waiting_pod(scheduler, info, now_ns);
		pod_info_unref(info);
	}
	wake(scheduler);
}

// --- nodes change -----------------------------------------------------------------------------------

static void on_node_changed(struct informer_handler *handler, struct api_object *old_object,
                            struct api_object *new_object)
{
	struct scheduler *scheduler = container_of(handler, struct scheduler, node_handler);
	if (!new_object) {
		cache_remove_node(scheduler->cache, old_object->name);
		return;
	}
	unsigned events = old_object ? node_change_events(old_object->view, new_object->view) : EVENT_NODE_ADDED;
	cache_set_node(scheduler->cache, new_object);
	if (events)
		queue_on_event(scheduler->queue, events, cluster_event_name(events), loop_now_ns(scheduler->loop));
	wake(scheduler);
}

static void note_synced(struct scheduler *scheduler)
{
	if (scheduler->synced || !informer_has_synced(scheduler->pods) || !informer_has_synced(scheduler->nodes))
		return;
	scheduler->synced = true;
	log_info("Caches are synced", kv_int("nodes", (int64_t)cache_node_count(scheduler->cache)),
	         kv_int("placedPods", (int64_t)cache_pod_count(scheduler->cache)),
	         kv_int("waitingPods", (int64_t)queue_count(scheduler->queue, QUEUE_ACTIVE)));
	scheduler->on_synced(scheduler->context);
	wake(scheduler);
}

static void on_pods_synced(struct informer_handler *handler)
{
	note_synced(container_of(handler, struct scheduler, pod_handler));
}

static void on_nodes_synced(struct informer_handler *handler)
{
	note_synced(container_of(handler, struct scheduler, node_handler));
}

// --- life --------------------------------------------------------------------------------------------

static void start_informers(struct scheduler *scheduler)
{
	const struct informer_config nodes = {.resource = schema_find_resource("", "v1", "nodes")};
	const struct informer_config pods = {
	        .resource = schema_find_resource("", "v1", "pods"),
	        .field_selector = "status.phase!=Succeeded,status.phase!=Failed",
	};
	scheduler->node_handler = (struct informer_handler){.changed = on_node_changed, .synced = on_nodes_synced};
	scheduler->pod_handler = (struct informer_handler){.changed = on_pod_changed, .synced = on_pods_synced};
	scheduler->nodes = informer_new(scheduler->client, &nodes);
	scheduler->pods = informer_new(scheduler->client, &pods);
	informer_add_handler(scheduler->nodes, &scheduler->node_handler);
	informer_add_handler(scheduler->pods, &scheduler->pod_handler);
}

static void make_profiles(struct scheduler *scheduler, const struct scheduler_config *config)
{
	scheduler->profile_count = config->profile_count;
	scheduler->profiles = xcalloc(config->profile_count, sizeof(scheduler->profiles[0]));
	for (size_t i = 0; i < config->profile_count; i++) {
		const char *name = config->profile_names[i];
		scheduler->profiles[i] =
		        (struct profile){.name = name, .recorder = event_recorder_new(scheduler->client, name, NULL)};
	}
}

struct scheduler *scheduler_new(struct rest_client *client, struct metrics_registry *metrics,
                                const struct scheduler_config *config, void (*on_synced)(void *context), void *context)
{
	struct scheduler *scheduler = NEW(struct scheduler);
	const struct queue_config queue = {
	        .initial_backoff_ns = config->initial_backoff_ns,
	        .max_backoff_ns = config->max_backoff_ns,
	        .on_entered = on_queue_entered,
	        .context = scheduler,
	};
	scheduler->client = client;
	scheduler->loop = rest_client_loop(client);
	scheduler->metrics.registry = metrics;
	scheduler->on_synced = on_synced;
	scheduler->context = context;
	scheduler->cache = cache_new();
	scheduler->queue = queue_new(&queue);
	scheduler->writer = pod_writer_new(client, on_bound, scheduler);
	scheduler->cycle_arena = arena_new(CYCLE_ARENA_BYTES);
	scheduler->policy.percentage_of_nodes = config->percentage_of_nodes;
	random_bytes(&scheduler->policy.random, sizeof(scheduler->policy.random));
	scheduler->policy.random |= 1; // its generator stands still at zero
	make_profiles(scheduler, config);
	scheduler_metrics_pending(&scheduler->metrics, scheduler->queue);
	loop_turn_hook_start(scheduler->loop, &scheduler->gauges_hook, on_turn_end);
	start_informers(scheduler);
	return scheduler;
}

struct scheduler *scheduler_free(struct scheduler *scheduler)
{
	if (!scheduler)
		return NULL;
	loop_timer_stop(&scheduler->cycle_timer);
	loop_timer_stop(&scheduler->queue_timer);
	loop_turn_hook_stop(&scheduler->gauges_hook);
	informer_free(scheduler->pods);
	informer_free(scheduler->nodes);
	pod_writer_free(scheduler->writer);
	for (size_t i = 0; i < scheduler->profile_count; i++)
		event_recorder_free(scheduler->profiles[i].recorder);
	free(scheduler->profiles);
	queue_free(scheduler->queue);
	cache_free(scheduler->cache);
	arena_free(scheduler->cycle_arena);
	free(scheduler);
	return NULL;
}

void scheduler_run(struct scheduler *scheduler)
{
	scheduler->running = true;
	wake(scheduler);
}
