// SPDX-License-Identifier: Apache-2.0
//
// statefulset-controller: pods with names and claims of their own, "<set>-0",
// "<set>-1", … One after the other (OrderedReady) or all at once (Parallel):
//
//   1. each ordinal from the lowest: a finished pod is deleted, a missing one made;
//      one by one, nothing goes on before a pod runs and is available
//   2. pods of other ordinals go, the highest first
//   3. RollingUpdate: from the highest ordinal down to the partition, pods of
//      another revision are deleted, each when those above are available
//
// Pods below the partition are made of the revision that was current before.
#include "controller-manager/statefulset.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pod_creation.h"
#include "controller-manager/pods.h"
#include "controller-manager/revisions.h"

#define HASH_LABEL "controller.kubernetes.io/hash"

enum { DEFAULT_HISTORY = 10, MAX_REPLICAS = 100000 };

struct statefulset_controller {
	struct informer *sets;
	struct informer *pods;
	struct informer *revisions;
};

static struct statefulset_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

static void enqueue_owner(struct controller *controller, struct api_object *object)
{
	struct api_object *owner = object ? controller_find_owner(state_of(controller)->sets,
	                                                          &schema_resource_apps_v1_statefulsets, object)
	                                  : NULL;
	if (owner)
		controller_enqueue(controller, owner->key);
}

static void enqueue_candidates(struct controller *controller, const struct api_object *orphan)
{
	size_t count;
	struct api_object *const *objects =
	        informer_by_index(state_of(controller)->sets, "namespace", orphan->namespace_name, &count);
	for (size_t i = 0; i < count; i++)
		if (stateful_is_member(objects[i], orphan))
			controller_enqueue(controller, objects[i]->key);
}

static void on_owned(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	enqueue_owner(controller, old_object);
	enqueue_owner(controller, new_object);
	if (new_object && !controller_owner_of(api_object_metadata(new_object)))
		enqueue_candidates(controller, new_object);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct statefulset_controller *state = NEW(struct statefulset_controller);
	controller_set_state(controller, state);
	state->sets = controller_watch(controller, &schema_resource_apps_v1_statefulsets, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_owned);
	state->revisions = controller_watch(controller, &schema_resource_apps_v1_controllerrevisions, on_owned);
	informer_add_index(state->sets, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "controller", informer_index_by_controller);
	informer_add_index(state->revisions, "controller", informer_index_by_controller);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- pods ----------------------------------------------------------------------------------

static bool has_phase(const struct api_object *object, const char *phase)
{
	const struct core_v1_pod *pod = object->view;
	return pod->status.phase && strcmp(pod->status.phase, phase) == 0;
}

static bool is_terminating(const struct api_object *object)
{
	return api_object_metadata(object)->deletion_timestamp != NULL;
}

static bool is_running_and_ready(const struct api_object *object)
{
	return has_phase(object, "Running") && pod_is_ready(object->view);
}

static bool is_available(struct stateful_sync *sync, const struct api_object *object)
{
	int64_t wait_ns;
	bool available =
	        pod_is_available(object->view, sync->set->spec.min_ready_seconds, sync->now_realtime_ns, &wait_ns);
	if (wait_ns && (!sync->next_available_ns || wait_ns < sync->next_available_ns))
		sync->next_available_ns = wait_ns;
	return available && has_phase(object, "Running");
}

static bool has_revision(const struct api_object *pod, const struct api_object *revision)
{
	const char *label = string_map_get(&api_object_metadata(pod)->labels, REVISION_LABEL);
	return label && strcmp(label, revision->name) == 0;
}

struct ranked {
	struct api_object *pod;
	int32_t ordinal;
};

static int compare_descending(const void *a, const void *b)
{
	const struct ranked *left = a;
	const struct ranked *right = b;
	return left->ordinal < right->ordinal ? 1 : left->ordinal > right->ordinal ? -1 : 0;
}

static void place_pods(struct stateful_sync *sync, struct api_object **pods, size_t count)
{
	struct ranked *others = ARENA_ARRAY(sync->arena, struct ranked, count + 1);
	sync->replicas = ARENA_ARRAY(sync->arena, struct api_object *, (size_t)sync->replica_count + 1);
	sync->condemned = ARENA_ARRAY(sync->arena, struct api_object *, count + 1);
	for (size_t i = 0; i < count; i++) {
		int32_t ordinal = stateful_ordinal(sync->object, pods[i]);
		if (ordinal >= sync->start && ordinal - sync->start < sync->replica_count)
			sync->replicas[ordinal - sync->start] = pods[i];
		else if (ordinal >= 0)
			others[sync->condemned_count++] = (struct ranked){.pod = pods[i], .ordinal = ordinal};
	}
	qsort(others, sync->condemned_count, sizeof(*others), compare_descending);
	for (size_t i = 0; i < sync->condemned_count; i++)
		sync->condemned[i] = others[i].pod;
}

// --- the three steps -------------------------------------------------------------------------

// True when this ordinal is as it should be, or others need not wait for it.
static bool keep_replica(struct stateful_sync *sync, int32_t place)
{
	struct api_object *pod = sync->replicas[place];
	if (!pod) {
		bool is_old = place < sync->partition;
		stateful_create(sync, sync->start + place, is_old ? sync->current : sync->update);
		return !sync->one_by_one;
	}
	if (has_phase(pod, "Failed") || has_phase(pod, "Succeeded")) {
		if (!is_terminating(pod)) {
			reconcile_event(sync->reconcile, sync->object, "Warning", "RecreatingFailedPod",
			                "StatefulSet %s is recreating failed Pod %s", sync->object->key, pod->name);
			pod_delete(sync->reconcile, sync->object, pod);
		}
		return !sync->one_by_one;
	}
	return !sync->one_by_one || (!is_terminating(pod) && is_running_and_ready(pod) && is_available(sync, pod));
}

static bool keep_replicas(struct stateful_sync *sync)
{
	for (int32_t place = 0; place < sync->replica_count; place++)
		if (!keep_replica(sync, place))
			return false;
	return true;
}

// One by one, a pod goes when the ones above it have gone; one that isn't ready doesn't hold up its own end.
static bool remove_condemned(struct stateful_sync *sync)
{
	for (size_t i = 0; i < sync->condemned_count; i++) {
		struct api_object *pod = sync->condemned[i];
		if (!is_terminating(pod))
			stateful_condemn(sync, pod, stateful_ordinal(sync->object, pod));
		if (sync->one_by_one)
			return false;
	}
	return true;
}

static void roll(struct stateful_sync *sync)
{
	const char *type = sync->set->spec.update_strategy.type;
	if (type && strcmp(type, "RollingUpdate") != 0)
		return;
	for (int32_t place = sync->replica_count - 1; place >= sync->partition && place >= 0; place--) {
		struct api_object *pod = sync->replicas[place];
		if (!pod)
			return;
		if (!is_terminating(pod) && !has_revision(pod, sync->update)) {
			pod_delete(sync->reconcile, sync->object, pod);
			return;
		}
		if (is_terminating(pod) || !is_running_and_ready(pod) || !is_available(sync, pod))
			return;
	}
}

// --- status ------------------------------------------------------------------------------------

struct stateful_counts {
	int32_t replicas;
	int32_t ready;
	int32_t available;
	int32_t current;
	int32_t updated;
	const char *current_revision;
};

static void count_pod(struct stateful_sync *sync, struct stateful_counts *counts, const struct api_object *pod)
{
	if (!pod)
		return;
	counts->replicas++;
	bool is_ready = is_running_and_ready(pod);
	counts->ready += is_ready;
	counts->available += is_ready && is_available(sync, pod);
	if (is_terminating(pod))
		return;
	counts->current += has_revision(pod, sync->current);
	counts->updated += has_revision(pod, sync->update);
}

static struct stateful_counts count_all(struct stateful_sync *sync)
{
	struct stateful_counts counts = {.current_revision = sync->current->name};
	for (int32_t i = 0; i < sync->replica_count; i++)
		count_pod(sync, &counts, sync->replicas[i]);
	for (size_t i = 0; i < sync->condemned_count; i++)
		count_pod(sync, &counts, sync->condemned[i]);
	const char *type = sync->set->spec.update_strategy.type;
	bool rolls = !type || strcmp(type, "RollingUpdate") == 0;
	// The update is complete: its revision is the current one from now on.
	if (rolls && sync->partition == 0 && counts.updated == counts.replicas && counts.ready == counts.replicas &&
	    counts.updated == sync->replica_count) {
		counts.current = counts.updated;
		counts.current_revision = sync->update->name;
	}
	return counts;
}

static void update_status(struct stateful_sync *sync)
{
	const struct apps_v1_stateful_set_status *status = &sync->set->status;
	struct stateful_counts counts = count_all(sync);
	if (status->replicas == counts.replicas && status->ready_replicas == counts.ready &&
	    status->available_replicas == counts.available && status->current_replicas == counts.current &&
	    status->updated_replicas == counts.updated &&
	    text_equal(status->current_revision, counts.current_revision) &&
	    text_equal(status->update_revision, sync->update->name) &&
	    status->observed_generation == sync->set->metadata.generation)
		return;
	struct arena *arena = sync->arena;
	struct json *patch = json_object(arena);
	struct json *fields = json_ensure_object(arena, patch, "status");
	json_set_integer(arena, fields, "observedGeneration", sync->set->metadata.generation);
	json_set_integer(arena, fields, "replicas", counts.replicas);
	json_set_integer(arena, fields, "readyReplicas", counts.ready);
	json_set_integer(arena, fields, "availableReplicas", counts.available);
	json_set_integer(arena, fields, "currentReplicas", counts.current);
	json_set_integer(arena, fields, "updatedReplicas", counts.updated);
	json_set_text(arena, fields, "currentRevision", counts.current_revision);
	json_set_text(arena, fields, "updateRevision", sync->update->name);
	reconcile_patch(sync->reconcile, sync->object, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

// --- all together --------------------------------------------------------------------------------

static bool revision_is_live(void *context, const struct api_object *revision)
{
	const struct stateful_sync *sync = context;
	bool is_live = revision == sync->current || revision == sync->update;
	for (int32_t i = 0; i < sync->replica_count && !is_live; i++)
		is_live = sync->replicas[i] && has_revision(sync->replicas[i], revision);
	for (size_t i = 0; i < sync->condemned_count && !is_live; i++)
		is_live = has_revision(sync->condemned[i], revision);
	return is_live;
}

static void resolve_spec(struct stateful_sync *sync)
{
	const struct apps_v1_stateful_set_spec *spec = &sync->set->spec;
	const struct apps_v1_rolling_update_stateful_set_strategy *rolling = spec->update_strategy.rolling_update;
	int32_t wanted = spec->replicas ? *spec->replicas : 1;
	sync->replica_count = wanted < 0 ? 0 : wanted > MAX_REPLICAS ? MAX_REPLICAS : wanted;
	sync->start = spec->ordinals ? spec->ordinals->start : 0;
	sync->partition = rolling && rolling->partition ? *rolling->partition : 0;
	sync->one_by_one = !spec->pod_management_policy || strcmp(spec->pod_management_policy, "Parallel") != 0;
}

static void find_current_revision(struct stateful_sync *sync)
{
	const char *name = sync->set->status.current_revision;
	struct api_object *stored =
	        name && *name ? informer_get(state_of(sync->controller)->revisions, sync->object->namespace_name, name)
	                      : NULL;
	sync->current = stored ? stored : sync->update;
}

static void work(struct stateful_sync *sync, struct revision_sync *revisions)
{
	const int32_t *limit = sync->set->spec.revision_history_limit;
	if (!sync->set->metadata.deletion_timestamp) {
		if (keep_replicas(sync) && remove_condemned(sync))
			roll(sync);
		revisions_trim(revisions, limit && *limit >= 0 ? (size_t)*limit : DEFAULT_HISTORY, revision_is_live,
		               sync);
	}
	update_status(sync);
	if (sync->next_available_ns)
		reconcile_again_after(sync->reconcile, sync->next_available_ns);
}

static void reconcile_statefulset(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct statefulset_controller *state = state_of(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->sets, key);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	size_t count;
	if (!object)
		return;
	struct stateful_sync sync = {
	        .controller = controller,
	        .reconcile = reconcile,
	        .arena = arena,
	        .object = object,
	        .set = object->view,
	        .now_realtime_ns = loop_realtime_ns(controller_loop(controller)),
	};
	if (label_selector_from_view(arena, sync.set->spec.selector, &selector, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	struct revision_sync revisions = {
	        .reconcile = reconcile,
	        .revisions = state->revisions,
	        .owner = object,
	        .data = revision_data(arena, &sync.set->spec.template),
	        .labels = &sync.set->spec.template.metadata.labels,
	        .hash_label = HASH_LABEL,
	        .collisions = sync.set->status.collision_count,
	};
	if (sync.set->metadata.deletion_timestamp ||
	    ownership_adopt_and_release_if(reconcile, state->pods, object, selector, stateful_is_member))
		return;
	sync.update = revision_current(&revisions);
	if (!sync.update)
		return;
	resolve_spec(&sync);
	find_current_revision(&sync);
	struct api_object **pods = ownership_objects(arena, state->pods, object, &count);
	place_pods(&sync, pods, count);
	work(&sync, &revisions);
}

const struct controller_type statefulset_controller = {
        .name = "statefulset-controller",
        .start = start,
        .reconcile = reconcile_statefulset,
        .stop = stop,
};
