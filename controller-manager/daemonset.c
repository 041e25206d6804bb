// SPDX-License-Identifier: Apache-2.0
//
// daemonset-controller: one pod on each node that the template's selectors,
// affinity and tolerations allow. The pod names its node by affinity and is bound
// by the scheduler. Nodes and pods come together in `struct daemon_sync`; a
// reconcile
//
//   1. finds or makes the ControllerRevision of the template (revisions.h), whose
//      hash marks the pods
//   2. makes missing pods; deletes failed, surplus and misplaced ones
//   3. when that left nothing to do, takes a step of a rolling update
//   4. writes the status and trims the history
#include "controller-manager/daemonset.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/node_affinity.h"
#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pod_creation.h"
#include "controller-manager/pods.h"
#include "controller-manager/revisions.h"

#define FIRST_FAILURE_DELAY_NS NSEC_PER_SEC
#define LONGEST_FAILURE_DELAY_NS (900 * NSEC_PER_SEC)

enum { MAX_BURST = 250, MAX_FAILURES = 4096, DEFAULT_HISTORY = 10 };

struct daemonset_controller {
	struct informer *daemonsets;
	struct informer *pods;
	struct informer *nodes;
	struct informer *revisions;
	struct hashmap *failures; // "uid/node" → struct failure_delay
};

// How long a failed pod of one node stays, so that a daemon that can't run isn't made anew all the time.
struct failure_delay {
	int64_t delay_ns;
	int64_t until_ns;
};

static struct daemonset_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

// --- events --------------------------------------------------------------------------------

static void enqueue_owner(struct controller *controller, struct api_object *object)
{
	struct api_object *owner = object ? controller_find_owner(state_of(controller)->daemonsets,
	                                                          &schema_resource_apps_v1_daemonsets, object)
	                                  : NULL;
	if (owner)
		controller_enqueue(controller, owner->key);
}

static void enqueue_candidates(struct controller *controller, const struct api_object *orphan)
{
	size_t count;
	struct api_object *const *objects =
	        informer_by_index(state_of(controller)->daemonsets, "namespace", orphan->namespace_name, &count);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < count; i++) {
		const struct apps_v1_daemon_set *daemonset = objects[i]->view;
		struct label_selector *selector = NULL;
		struct err ignored = ERR_INIT;
		if (label_selector_from_view(arena, daemonset->spec.selector, &selector, &ignored) == 0 &&
		    label_selector_matches(selector, &api_object_metadata(orphan)->labels))
			controller_enqueue(controller, objects[i]->key);
	}
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	enqueue_owner(controller, old_object);
	enqueue_owner(controller, new_object);
	if (new_object && !controller_owner_of(api_object_metadata(new_object)))
		enqueue_candidates(controller, new_object);
}

static void on_revision(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	enqueue_owner(controller, old_object);
	enqueue_owner(controller, new_object);
}

static void on_node(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	const struct core_v1_node *before = old_object ? old_object->view : NULL;
	const struct core_v1_node *after = new_object ? new_object->view : NULL;
	if (before && after && string_map_equal(&before->metadata.labels, &after->metadata.labels) &&
	    taints_equal(&before->spec.taints, &after->spec.taints))
		return;
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(state_of(controller)->daemonsets, &cursor)) != NULL;)
		controller_enqueue(controller, object->key);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct daemonset_controller *state = NEW(struct daemonset_controller);
	controller_set_state(controller, state);
	state->failures = hashmap_new(free);
	state->daemonsets =
	        controller_watch(controller, &schema_resource_apps_v1_daemonsets, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, on_node);
	state->revisions = controller_watch(controller, &schema_resource_apps_v1_controllerrevisions, on_revision);
	informer_add_index(state->daemonsets, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "controller", informer_index_by_controller);
	informer_add_index(state->revisions, "controller", informer_index_by_controller);
	return 0;
}

static void stop(struct controller *controller)
{
	hashmap_free(state_of(controller)->failures);
	free(controller_state(controller));
}

// --- nodes and their pods ----------------------------------------------------------------------

static struct daemon_node *node_named(struct daemon_sync *sync, struct hashmap *by_name, const char *name)
{
	struct daemon_node *node = hashmap_get(by_name, name);
	if (node)
		return node;
	node = &sync->nodes[sync->node_count++];
	node->name = name;
	hashmap_put(by_name, name, node);
	return node;
}

static void place_pods(struct daemon_sync *sync, struct hashmap *by_name, struct api_object **pods, size_t count)
{
	qsort(pods, count, sizeof(*pods), ownership_compare_age);
	for (size_t i = 0; i < count; i++) {
		const char *target = daemon_target_node(pods[i]->view);
		if (!target)
			continue;
		struct daemon_node *node = node_named(sync, by_name, target);
		if (!node->pods)
			node->pods = ARENA_ARRAY(sync->arena, struct api_object *, count - i);
		node->pods[node->pod_count++] = pods[i];
	}
}

static void survey(struct daemon_sync *sync, struct api_object **pods, size_t pod_count)
{
	struct informer *nodes = state_of(sync->controller)->nodes;
	struct core_v1_pod_spec spec = sync->daemonset->spec.template.spec;
	AUTO(hashmap_free) struct hashmap *by_name = hashmap_new(NULL);
	struct api_object *object;
	daemon_tolerate_node_faults(sync->arena, &spec);
	sync->nodes = ARENA_ARRAY(sync->arena, struct daemon_node, informer_count(nodes) + pod_count + 1);
	for (size_t cursor = 0; (object = informer_next(nodes, &cursor)) != NULL;) {
		struct daemon_node *node = node_named(sync, by_name, object->name);
		node->node = object->view;
		daemon_judge_node(&spec, node);
	}
	place_pods(sync, by_name, pods, pod_count);
	sync->create_capacity = sync->node_count * 2 < MAX_BURST ? sync->node_count * 2 : MAX_BURST;
	sync->to_create = ARENA_ARRAY(sync->arena, const struct core_v1_pod *, sync->create_capacity + 1);
}

// --- one pod on each node ------------------------------------------------------------------------

void daemon_create_on(struct daemon_sync *sync, const char *node_name)
{
	if (sync->create_count < sync->create_capacity)
		sync->to_create[sync->create_count++] = daemon_pod_for(sync, node_name);
}

void daemon_delete_pod(struct daemon_sync *sync, const struct api_object *pod)
{
	if (sync->deletions++ < MAX_BURST)
		pod_delete(sync->reconcile, sync->object, pod);
}

static bool has_failed(const struct api_object *object)
{
	const struct core_v1_pod *pod = object->view;
	return pod->status.phase &&
	       (strcmp(pod->status.phase, "Failed") == 0 || strcmp(pod->status.phase, "Succeeded") == 0);
}

// True when the delay of this node's failures is over; it doubles with each failure.
static bool may_replace_failed(struct daemon_sync *sync, const struct daemon_node *node)
{
	struct hashmap *failures = state_of(sync->controller)->failures;
	const char *key = arena_printf(sync->arena, "%s/%s", sync->object->uid, node->name);
	int64_t now_ns = loop_now_ns(controller_loop(sync->controller));
	struct failure_delay *failure = hashmap_get(failures, key);
	if (failure && failure->until_ns > now_ns) {
		reconcile_again_after(sync->reconcile, failure->until_ns - now_ns);
		return false;
	}
	if (!failure) {
		if (hashmap_count(failures) >= MAX_FAILURES)
			hashmap_clear(failures);
		failure = NEW(struct failure_delay);
		hashmap_put(failures, key, failure);
	}
	bool is_quiet = !failure->delay_ns || now_ns - failure->until_ns > 2 * LONGEST_FAILURE_DELAY_NS;
	failure->delay_ns = is_quiet ? FIRST_FAILURE_DELAY_NS : failure->delay_ns * 2;
	if (failure->delay_ns > LONGEST_FAILURE_DELAY_NS)
		failure->delay_ns = LONGEST_FAILURE_DELAY_NS;
	failure->until_ns = now_ns + failure->delay_ns;
	return true;
}

// The oldest of each template stays while the rollout surges, else the oldest of all.
static void delete_surplus(struct daemon_sync *sync, struct api_object **pods, size_t count)
{
	bool surges = daemon_max_surge(sync) > 0;
	bool has_old = false;
	bool has_new = false;
	for (size_t i = 0; i < count; i++) {
		bool *seen = surges && daemon_pod_is_current(sync, pods[i]) ? &has_new : &has_old;
		if (*seen)
			daemon_delete_pod(sync, pods[i]);
		*seen = true;
	}
}

static void manage_node(struct daemon_sync *sync, struct daemon_node *node)
{
	struct api_object **running = ARENA_ARRAY(sync->arena, struct api_object *, node->pod_count + 1);
	size_t running_count = 0;
	for (size_t i = 0; i < node->pod_count; i++) {
		struct api_object *pod = node->pods[i];
		if (api_object_metadata(pod)->deletion_timestamp)
			continue;
		if (!node->should_continue) {
			daemon_delete_pod(sync, pod);
		} else if (!has_failed(pod)) {
			running[running_count++] = pod;
		} else if (may_replace_failed(sync, node)) {
			reconcile_event(sync->reconcile, sync->object, "Warning", "FailedDaemonPod",
			                "Found failed daemon pod %s on node %s, will try to kill it", pod->key,
			                node->name);
			daemon_delete_pod(sync, pod);
		}
	}
	if (node->should_run && !node->pod_count)
		daemon_create_on(sync, node->name);
	delete_surplus(sync, running, running_count);
}

// --- status ----------------------------------------------------------------------------------------

struct daemon_counts {
	int32_t desired;
	int32_t current;
	int32_t misscheduled;
	int32_t ready;
	int32_t available;
	int32_t updated;
};

static struct daemon_counts count_nodes(struct daemon_sync *sync)
{
	struct daemon_counts counts = {0};
	for (size_t i = 0; i < sync->node_count; i++) {
		const struct daemon_node *node = &sync->nodes[i];
		counts.desired += node->should_run;
		counts.misscheduled += node->node && !node->should_run && node->pod_count > 0;
		if (!node->should_run || !node->pod_count)
			continue;
		counts.current++;
		bool is_ready = pod_is_ready(node->pods[0]->view);
		counts.ready += is_ready;
		counts.available += is_ready && daemon_pod_is_available(sync, node->pods[0]);
		counts.updated += daemon_pod_is_current(sync, node->pods[0]);
	}
	return counts;
}

static void update_status(struct daemon_sync *sync)
{
	const struct apps_v1_daemon_set_status *status = &sync->daemonset->status;
	struct daemon_counts counts = count_nodes(sync);
	int32_t unavailable = counts.desired - counts.available;
	if (status->desired_number_scheduled == counts.desired && status->current_number_scheduled == counts.current &&
	    status->number_misscheduled == counts.misscheduled && status->number_ready == counts.ready &&
	    status->number_available == counts.available && status->number_unavailable == unavailable &&
	    status->updated_number_scheduled == counts.updated &&
	    status->observed_generation == sync->daemonset->metadata.generation)
		return;
	struct json *patch = json_object(sync->arena);
	struct json *fields = json_ensure_object(sync->arena, patch, "status");
	json_set_integer(sync->arena, fields, "observedGeneration", sync->daemonset->metadata.generation);
	json_set_integer(sync->arena, fields, "desiredNumberScheduled", counts.desired);
	json_set_integer(sync->arena, fields, "currentNumberScheduled", counts.current);
	json_set_integer(sync->arena, fields, "numberMisscheduled", counts.misscheduled);
	json_set_integer(sync->arena, fields, "numberReady", counts.ready);
	json_set_integer(sync->arena, fields, "numberAvailable", counts.available);
	json_set_integer(sync->arena, fields, "numberUnavailable", unavailable);
	json_set_integer(sync->arena, fields, "updatedNumberScheduled", counts.updated);
	reconcile_patch(sync->reconcile, sync->object, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static bool revision_is_live(void *context, const struct api_object *revision)
{
	const struct daemon_sync *sync = context;
	const char *hash = string_map_get(&api_object_metadata(revision)->labels, REVISION_HASH_LABEL);
	if (!hash || strcmp(hash, sync->hash) == 0)
		return true;
	for (size_t i = 0; i < sync->node_count; i++)
		for (size_t p = 0; p < sync->nodes[i].pod_count; p++) {
			const char *own = string_map_get(&api_object_metadata(sync->nodes[i].pods[p])->labels,
			                                 REVISION_HASH_LABEL);
			if (own && strcmp(own, hash) == 0)
				return true;
		}
	return false;
}

// --- all together ------------------------------------------------------------------------------------

static void work(struct daemon_sync *sync, struct revision_sync *revisions)
{
	const int32_t *limit = sync->daemonset->spec.revision_history_limit;
	if (!sync->daemonset->metadata.deletion_timestamp) {
		for (size_t i = 0; i < sync->node_count; i++)
			manage_node(sync, &sync->nodes[i]);
		if (!sync->create_count && !sync->deletions)
			daemon_roll(sync);
		pods_create(sync->reconcile, sync->object, sync->to_create, sync->create_count, NULL);
		revisions_trim(revisions, limit && *limit >= 0 ? (size_t)*limit : DEFAULT_HISTORY, revision_is_live,
		               sync);
	}
	update_status(sync);
	if (sync->next_available_ns)
		reconcile_again_after(sync->reconcile, sync->next_available_ns);
}

static size_t keep_matching(struct api_object **pods, size_t count, const struct label_selector *selector)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (label_selector_matches(selector, &api_object_metadata(pods[i])->labels))
			pods[kept++] = pods[i];
	return kept;
}

static void reconcile_daemonset(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct daemonset_controller *state = state_of(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->daemonsets, key);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	size_t pod_count;
	if (!object)
		return;
	struct daemon_sync sync = {
	        .controller = controller,
	        .reconcile = reconcile,
	        .arena = arena,
	        .object = object,
	        .daemonset = object->view,
	        .now_realtime_ns = loop_realtime_ns(controller_loop(controller)),
	};
	if (label_selector_from_view(arena, sync.daemonset->spec.selector, &selector, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	struct revision_sync revisions = {
	        .reconcile = reconcile,
	        .revisions = state->revisions,
	        .owner = object,
	        .data = revision_data(arena, &sync.daemonset->spec.template),
	        .labels = &sync.daemonset->spec.template.metadata.labels,
	        .hash_label = REVISION_HASH_LABEL,
	        .collisions = sync.daemonset->status.collision_count,
	};
	struct api_object *revision = sync.daemonset->metadata.deletion_timestamp ? NULL : revision_current(&revisions);
	if (!revision && !sync.daemonset->metadata.deletion_timestamp)
		return;
	sync.hash = revision ? string_map_get(&api_object_metadata(revision)->labels, REVISION_HASH_LABEL) : "";
	// The revision may leave the store while pods that bear its hash are being made.
	sync.hash = arena_strdup(arena, sync.hash ? sync.hash : "");
	if (ownership_adopt_and_release(reconcile, state->pods, object, selector))
		return;
	struct api_object **pods = ownership_objects(arena, state->pods, object, &pod_count);
	pod_count = keep_matching(pods, pod_count, selector);
	survey(&sync, pods, pod_count);
	work(&sync, &revisions);
}

const struct controller_type daemonset_controller = {
        .name = "daemonset-controller",
        .start = start,
        .reconcile = reconcile_daemonset,
        .stop = stop,
};
