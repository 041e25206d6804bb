// SPDX-License-Identifier: Apache-2.0
//
// replicaset-controller: as many pods of the template as asked for. Deletes the
// least valuable pods first; creates or deletes at most 500 in one round. Keeps
// status from what the store shows.
#include <string.h>

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pod_creation.h"
#include "controller-manager/pods.h"

enum { MAX_BURST = 500 };

struct replicaset_controller {
	struct informer *replicasets;
	struct informer *pods;
};

static struct replicaset_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

static void enqueue_owner(struct controller *controller, struct api_object *object)
{
	struct api_object *owner = object ? controller_find_owner(state_of(controller)->replicasets,
	                                                          &schema_resource_apps_v1_replicasets, object)
	                                  : NULL;
	if (owner)
		controller_enqueue(controller, owner->key);
}

// A pod without a controller wakes the ReplicaSets that could adopt it.
static void enqueue_candidates(struct controller *controller, const struct api_object *object)
{
	size_t count;
	struct api_object *const *objects =
	        informer_by_index(state_of(controller)->replicasets, "namespace", object->namespace_name, &count);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < count; i++) {
		const struct apps_v1_replica_set *replicaset = objects[i]->view;
		struct label_selector *selector = NULL;
		struct err ignored = ERR_INIT;
		if (label_selector_from_view(arena, replicaset->spec.selector, &selector, &ignored) == 0 &&
		    label_selector_matches(selector, &api_object_metadata(object)->labels))
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

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct replicaset_controller *state = NEW(struct replicaset_controller);
	controller_set_state(controller, state);
	state->replicasets =
	        controller_watch(controller, &schema_resource_apps_v1_replicasets, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	informer_add_index(state->replicasets, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "controller", informer_index_by_controller);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- creating and deleting -----------------------------------------------------------

static void create_pods(struct reconcile *reconcile, struct api_object *replicaset, size_t count)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct apps_v1_replica_set *view = replicaset->view;
	size_t bounded = count < MAX_BURST ? count : MAX_BURST;
	const struct core_v1_pod *pod = pod_from_template(arena, &view->spec.template, replicaset);
	const struct core_v1_pod **pods = ARENA_ARRAY(arena, const struct core_v1_pod *, bounded);
	for (size_t i = 0; i < bounded; i++)
		pods[i] = pod;
	pods_create(reconcile, replicaset, pods, bounded);
}

static void on_deleted(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	(void)context;
	if (response->err.code != ERR_NONE && response->err.code != ERR_NOT_FOUND)
		reconcile_retry(reconcile, &response->err);
}

static void delete_pods(struct reconcile *reconcile, struct api_object *replicaset, struct api_object **active,
                        size_t active_count, size_t count)
{
	pods_sort_for_deletion(active, active_count);
	for (size_t i = 0; i < count && i < MAX_BURST; i++) {
		reconcile_delete(reconcile, active[i], on_deleted, NULL);
		reconcile_event(reconcile, replicaset, "Normal", "SuccessfulDelete", "Deleted pod: %s",
		                active[i]->name);
	}
}

// --- status ----------------------------------------------------------------------------

struct counts {
	int32_t replicas;
	int32_t fully_labeled;
	int32_t ready;
	int32_t available;
	int64_t next_available_ns; // 0 = none is on its way
};

static bool has_all_labels(const struct string_map *labels, const struct string_map *wanted)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = string_map_get(labels, wanted->entries[i].key);
		if (!value || strcmp(value, wanted->entries[i].value) != 0)
			return false;
	}
	return true;
}

static struct counts count_pods(const struct apps_v1_replica_set *replicaset, struct api_object **active, size_t count,
                                int64_t now_ns)
{
	struct counts counts = {.replicas = (int32_t)count};
	for (size_t i = 0; i < count; i++) {
		const struct core_v1_pod *pod = active[i]->view;
		int64_t wait_ns;
		counts.fully_labeled +=
		        has_all_labels(&pod->metadata.labels, &replicaset->spec.template.metadata.labels);
		counts.ready += pod_is_ready(pod);
		counts.available += pod_is_available(pod, replicaset->spec.min_ready_seconds, now_ns, &wait_ns);
		if (wait_ns && (!counts.next_available_ns || wait_ns < counts.next_available_ns))
			counts.next_available_ns = wait_ns;
	}
	return counts;
}

static void update_status(struct reconcile *reconcile, const struct api_object *object, const struct counts *counts)
{
	const struct apps_v1_replica_set *replicaset = object->view;
	const struct apps_v1_replica_set_status *status = &replicaset->status;
	if (status->replicas == counts->replicas && status->fully_labeled_replicas == counts->fully_labeled &&
	    status->ready_replicas == counts->ready && status->available_replicas == counts->available &&
	    status->observed_generation == replicaset->metadata.generation)
		return;
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	struct json *fields = json_ensure_object(arena, patch, "status");
	json_set_integer(arena, fields, "replicas", counts->replicas);
	json_set_integer(arena, fields, "fullyLabeledReplicas", counts->fully_labeled);
	json_set_integer(arena, fields, "readyReplicas", counts->ready);
	json_set_integer(arena, fields, "availableReplicas", counts->available);
	json_set_integer(arena, fields, "observedGeneration", replicaset->metadata.generation);
	reconcile_patch(reconcile, object, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void reconcile_replicaset(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct replicaset_controller *state = state_of(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->replicasets, key);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	if (!object)
		return;
	const struct apps_v1_replica_set *replicaset = object->view;
	if (label_selector_from_view(arena, replicaset->spec.selector, &selector, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	if (ownership_adopt_and_release(reconcile, state->pods, object, selector))
		return;
	size_t owned_count;
	struct api_object **owned = ownership_objects(arena, state->pods, object, &owned_count);
	size_t active_count = 0;
	for (size_t i = 0; i < owned_count; i++)
		if (pod_is_active(owned[i]->view) &&
		    label_selector_matches(selector, &api_object_metadata(owned[i])->labels))
			owned[active_count++] = owned[i];
	size_t wanted =
	        replicaset->spec.replicas && *replicaset->spec.replicas > 0 ? (size_t)*replicaset->spec.replicas : 0;
	struct counts counts =
	        count_pods(replicaset, owned, active_count, loop_realtime_ns(controller_loop(controller)));
	if (!replicaset->metadata.deletion_timestamp) {
		if (active_count < wanted)
			create_pods(reconcile, object, wanted - active_count);
		else if (active_count > wanted)
			delete_pods(reconcile, object, owned, active_count, active_count - wanted);
	}
	update_status(reconcile, object, &counts);
	if (counts.next_available_ns)
		reconcile_again_after(reconcile, counts.next_available_ns);
}

const struct controller_type replicaset_controller = {
        .name = "replicaset-controller",
        .start = start,
        .reconcile = reconcile_replicaset,
        .stop = stop,
};
