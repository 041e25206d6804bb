// SPDX-License-Identifier: Apache-2.0
//
// replicaset-controller and its elder, replicationcontroller-controller: as many
// pods of a template as asked for. Both kinds are read into one form (struct
// replicas); the rest is the same.
//
// Deletes the least valuable pods first; creates or deletes at most 500 in one
// round. The status is kept from what the store shows; that pods can't be created
// is said by the condition ReplicaFailure as long as it lasts.
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

#define FAILURE_CONDITION "ReplicaFailure"

enum { MAX_BURST = 500 };

struct counts {
	int32_t replicas;
	int32_t fully_labeled;
	int32_t ready;
	int32_t available;
};

// What both kinds say; borrowed from the object.
struct replicas {
	size_t wanted;
	int32_t min_ready_seconds;
	struct label_selector *selector;
	const struct core_v1_pod_template_spec *template;
	struct counts status;
	int64_t observed_generation;
	const char *failure_message; // of the condition ReplicaFailure, NULL = not there
};

// One of the two kinds.
struct replica_kind {
	const struct schema_resource *resource;
	int (*read)(struct arena *arena, const struct api_object *object, struct replicas *ret_replicas,
	            struct err *err);
};

struct replica_controller {
	const struct replica_kind *kind;
	struct informer *owners;
	struct informer *pods;
};

static struct replica_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

// --- the two kinds ---------------------------------------------------------------------

static size_t size_of(const int32_t *replicas)
{
	return !replicas ? 1 : *replicas > 0 ? (size_t)*replicas : 0;
}

static int read_replicaset(struct arena *arena, const struct api_object *object, struct replicas *ret_replicas,
                           struct err *err)
{
	const struct apps_v1_replica_set *view = object->view;
	*ret_replicas = (struct replicas){
	        .wanted = size_of(view->spec.replicas),
	        .min_ready_seconds = view->spec.min_ready_seconds,
	        .template = &view->spec.template,
	        .status = {.replicas = view->status.replicas,
	                   .fully_labeled = view->status.fully_labeled_replicas,
	                   .ready = view->status.ready_replicas,
	                   .available = view->status.available_replicas},
	        .observed_generation = view->status.observed_generation,
	};
	for (size_t i = 0; i < view->status.conditions.count; i++)
		if (strcmp(view->status.conditions.items[i].type, FAILURE_CONDITION) == 0)
			ret_replicas->failure_message = view->status.conditions.items[i].message
			                                        ? view->status.conditions.items[i].message
			                                        : "";
	return label_selector_from_view(arena, view->spec.selector, &ret_replicas->selector, err);
}

static int read_replication_controller(struct arena *arena, const struct api_object *object,
                                       struct replicas *ret_replicas, struct err *err)
{
	const struct core_v1_replication_controller *view = object->view;
	if (!view->spec.template || !view->spec.selector.count)
		return err_set(err, ERR_INVALID, "the ReplicationController has no template or no selector");
	*ret_replicas = (struct replicas){
	        .wanted = size_of(view->spec.replicas),
	        .min_ready_seconds = view->spec.min_ready_seconds,
	        .selector = label_selector_from_map(arena, &view->spec.selector),
	        .template = view->spec.template,
	        .status = {.replicas = view->status.replicas,
	                   .fully_labeled = view->status.fully_labeled_replicas,
	                   .ready = view->status.ready_replicas,
	                   .available = view->status.available_replicas},
	        .observed_generation = view->status.observed_generation,
	};
	for (size_t i = 0; i < view->status.conditions.count; i++)
		if (strcmp(view->status.conditions.items[i].type, FAILURE_CONDITION) == 0)
			ret_replicas->failure_message = view->status.conditions.items[i].message
			                                        ? view->status.conditions.items[i].message
			                                        : "";
	return 0;
}

static const struct replica_kind replicaset_kind = {
        .resource = &schema_resource_apps_v1_replicasets,
        .read = read_replicaset,
};

static const struct replica_kind replication_controller_kind = {
        .resource = &schema_resource_core_v1_replicationcontrollers,
        .read = read_replication_controller,
};

// --- events ----------------------------------------------------------------------------

static void enqueue_owner(struct controller *controller, struct api_object *object)
{
	struct replica_controller *state = state_of(controller);
	struct api_object *owner = object ? controller_find_owner(state->owners, state->kind->resource, object) : NULL;
	if (owner)
		controller_enqueue(controller, owner->key);
}

// A pod without a controller wakes those that could adopt it.
static void enqueue_candidates(struct controller *controller, const struct api_object *object)
{
	struct replica_controller *state = state_of(controller);
	size_t count;
	struct api_object *const *objects =
	        informer_by_index(state->owners, "namespace", object->namespace_name, &count);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < count; i++) {
		struct replicas replicas;
		struct err ignored = ERR_INIT;
		if (state->kind->read(arena, objects[i], &replicas, &ignored) == 0 &&
		    label_selector_matches(replicas.selector, &api_object_metadata(object)->labels))
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

static int start(struct controller *controller, const struct replica_kind *kind)
{
	struct replica_controller *state = NEW(struct replica_controller);
	controller_set_state(controller, state);
	state->kind = kind;
	state->owners = controller_watch(controller, kind->resource, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	informer_add_index(state->owners, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "controller", informer_index_by_controller);
	return 0;
}

static int start_replicasets(struct controller *controller, struct err *err UNUSED)
{
	return start(controller, &replicaset_kind);
}

static int start_replication_controllers(struct controller *controller, struct err *err UNUSED)
{
	return start(controller, &replication_controller_kind);
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- the failure condition ---------------------------------------------------------------

static void patch_failure(struct reconcile *reconcile, const struct api_object *object, struct json *condition)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	json_set_text(arena, condition, "type", FAILURE_CONDITION);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, patch, "status"), "conditions"),
	            condition);
	reconcile_patch(reconcile, object, "status", REST_STRATEGIC_MERGE_PATCH, patch, false, NULL, NULL);
}

// Patched only when it is new: its own event would bring the key back without end.
static void on_create_failed(struct reconcile *reconcile, struct api_object *object, const struct err *err)
{
	struct controller *controller = reconcile_controller(reconcile);
	struct arena *arena = reconcile_arena(reconcile);
	struct replicas replicas;
	struct err ignored = ERR_INIT;
	char now[API_TIME_BYTES];
	if (state_of(controller)->kind->read(arena, object, &replicas, &ignored) < 0 || replicas.failure_message)
		return;
	struct json *condition = json_object(arena);
	api_time_format(loop_realtime_ns(controller_loop(controller)), now);
	json_set_text(arena, condition, "status", "True");
	json_set_text(arena, condition, "lastTransitionTime", now);
	json_set_text(arena, condition, "reason", "FailedCreate");
	json_set_text(arena, condition, "message", err->message);
	patch_failure(reconcile, object, condition);
}

static void clear_failure(struct reconcile *reconcile, const struct api_object *object)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "$patch", "delete");
	patch_failure(reconcile, object, condition);
}

// --- creating and deleting -----------------------------------------------------------------

static void create_pods(struct reconcile *reconcile, struct api_object *owner,
                        const struct core_v1_pod_template_spec *template, size_t count)
{
	struct arena *arena = reconcile_arena(reconcile);
	size_t bounded = count < MAX_BURST ? count : MAX_BURST;
	const struct core_v1_pod *pod = pod_from_template(arena, template, owner);
	const struct core_v1_pod **pods = ARENA_ARRAY(arena, const struct core_v1_pod *, bounded);
	for (size_t i = 0; i < bounded; i++)
		pods[i] = pod;
	pods_create(reconcile, owner, pods, bounded, on_create_failed);
}

static void delete_pods(struct reconcile *reconcile, struct api_object *owner, struct api_object **active,
                        size_t active_count, size_t count)
{
	pods_sort_for_deletion(active, active_count);
	for (size_t i = 0; i < count && i < MAX_BURST; i++)
		pod_delete(reconcile, owner, active[i]);
}

// --- status ----------------------------------------------------------------------------

static bool has_all_labels(const struct string_map *labels, const struct string_map *wanted)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = string_map_get(labels, wanted->entries[i].key);
		if (!value || strcmp(value, wanted->entries[i].value) != 0)
			return false;
	}
	return true;
}

// *ret_wait_ns: when the next pod will have been ready for long enough; 0 = none is on its way.
static struct counts count_pods(const struct replicas *replicas, struct api_object **active, size_t count,
                                int64_t now_ns, int64_t *ret_wait_ns)
{
	struct counts counts = {.replicas = (int32_t)count};
	*ret_wait_ns = 0;
	for (size_t i = 0; i < count; i++) {
		const struct core_v1_pod *pod = active[i]->view;
		int64_t wait_ns;
		counts.fully_labeled += has_all_labels(&pod->metadata.labels, &replicas->template->metadata.labels);
		counts.ready += pod_is_ready(pod);
		counts.available += pod_is_available(pod, replicas->min_ready_seconds, now_ns, &wait_ns);
		if (wait_ns && (!*ret_wait_ns || wait_ns < *ret_wait_ns))
			*ret_wait_ns = wait_ns;
	}
	return counts;
}

static void update_status(struct reconcile *reconcile, const struct api_object *object, const struct replicas *replicas,
                          const struct counts *counts)
{
	int64_t generation = api_object_metadata(object)->generation;
	const struct counts *stored = &replicas->status;
	if (stored->replicas == counts->replicas && stored->fully_labeled == counts->fully_labeled &&
	    stored->ready == counts->ready && stored->available == counts->available &&
	    replicas->observed_generation == generation)
		return;
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	struct json *fields = json_ensure_object(arena, patch, "status");
	json_set_integer(arena, fields, "replicas", counts->replicas);
	json_set_integer(arena, fields, "fullyLabeledReplicas", counts->fully_labeled);
	json_set_integer(arena, fields, "readyReplicas", counts->ready);
	json_set_integer(arena, fields, "availableReplicas", counts->available);
	json_set_integer(arena, fields, "observedGeneration", generation);
	reconcile_patch(reconcile, object, "status", REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static size_t keep_active(struct api_object **pods, size_t count, const struct label_selector *selector)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (pod_is_active(pods[i]->view) &&
		    label_selector_matches(selector, &api_object_metadata(pods[i])->labels))
			pods[kept++] = pods[i];
	return kept;
}

static void reconcile_replicas(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct replica_controller *state = state_of(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->owners, key);
	struct replicas replicas;
	struct err err = ERR_INIT;
	size_t count;
	int64_t wait_ns;
	if (!object)
		return;
	if (state->kind->read(arena, object, &replicas, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	if (ownership_adopt_and_release(reconcile, state->pods, object, replicas.selector))
		return;
	struct api_object **pods = ownership_objects(arena, state->pods, object, &count);
	count = keep_active(pods, count, replicas.selector);
	struct counts counts =
	        count_pods(&replicas, pods, count, loop_realtime_ns(controller_loop(controller)), &wait_ns);
	if (!api_object_metadata(object)->deletion_timestamp) {
		if (count < replicas.wanted)
			create_pods(reconcile, object, replicas.template, replicas.wanted - count);
		else if (count > replicas.wanted)
			delete_pods(reconcile, object, pods, count, count - replicas.wanted);
		if (count >= replicas.wanted && replicas.failure_message)
			clear_failure(reconcile, object);
	}
	update_status(reconcile, object, &replicas, &counts);
	if (wait_ns)
		reconcile_again_after(reconcile, wait_ns);
}

const struct controller_type replicaset_controller = {
        .name = "replicaset-controller",
        .start = start_replicasets,
        .reconcile = reconcile_replicas,
        .stop = stop,
};

const struct controller_type replication_controller = {
        .name = "replicationcontroller-controller",
        .start = start_replication_controllers,
        .reconcile = reconcile_replicas,
        .stop = stop,
};
