// SPDX-License-Identifier: Apache-2.0
//
// deployment-controller: one ReplicaSet for each pod template that the Deployment
// has had; rollouts move pods from the old ones to the current one.
//
//   RollingUpdate   each reconcile takes one step (rollout_plan.h); the status
//                   changes of the ReplicaSets wake the next
//   Recreate        old sets to 0, wait until their pods are gone, then the new one
//   paused          only changes of size are followed
//
// Everything is derived from the stores each time: the current ReplicaSet is the
// one whose template equals the Deployment's but for the hash label.
#include "controller-manager/deployment.h"

#include <stdio.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/selector.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pods.h"
#include "controller-manager/rollout_plan.h"

struct deployment_controller {
	struct informer *deployments;
	struct informer *replicasets;
	struct informer *pods;
};

static struct deployment_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

static void enqueue_owner(struct controller *controller, struct api_object *replicaset)
{
	struct api_object *owner = replicaset ? controller_find_owner(state_of(controller)->deployments,
	                                                              &schema_resource_apps_v1_deployments, replicaset)
	                                      : NULL;
	if (owner)
		controller_enqueue(controller, owner->key);
}

static void enqueue_matching(struct controller *controller, const struct api_object *orphan)
{
	size_t count;
	struct api_object *const *objects =
	        informer_by_index(state_of(controller)->deployments, "namespace", orphan->namespace_name, &count);
	AUTO(arena_free) struct arena *arena = arena_new(0);
	for (size_t i = 0; i < count; i++) {
		const struct apps_v1_deployment *deployment = objects[i]->view;
		struct label_selector *selector = NULL;
		struct err ignored = ERR_INIT;
		if (label_selector_from_view(arena, deployment->spec.selector, &selector, &ignored) == 0 &&
		    label_selector_matches(selector, &api_object_metadata(orphan)->labels))
			controller_enqueue(controller, objects[i]->key);
	}
}

static void on_replicaset(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	enqueue_owner(controller, old_object);
	enqueue_owner(controller, new_object);
	if (new_object && !controller_owner_of(api_object_metadata(new_object)))
		enqueue_matching(controller, new_object);
}

// Only Recreate waits for pods, and only for their end.
static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	const struct core_v1_pod *pod = new_object ? new_object->view : NULL;
	if (pod && pod_is_active(pod))
		return;
	struct api_object *replicaset =
	        controller_find_owner(state_of(controller)->replicasets, &schema_resource_apps_v1_replicasets,
	                              new_object ? new_object : old_object);
	if (replicaset)
		enqueue_owner(controller, replicaset);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct deployment_controller *state = NEW(struct deployment_controller);
	controller_set_state(controller, state);
	state->deployments =
	        controller_watch(controller, &schema_resource_apps_v1_deployments, controller_enqueue_object);
	state->replicasets = controller_watch(controller, &schema_resource_apps_v1_replicasets, on_replicaset);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	informer_add_index(state->deployments, "namespace", informer_index_by_namespace);
	informer_add_index(state->replicasets, "namespace", informer_index_by_namespace);
	informer_add_index(state->replicasets, "controller", informer_index_by_controller);
	informer_add_index(state->pods, "controller", informer_index_by_controller);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- sizes ---------------------------------------------------------------------------

struct scaling {
	const struct api_object *deployment; // kept
	const char *replicaset;
	const char *direction;
	int32_t from;
	int32_t to;
};

static void on_scaled(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	const struct scaling *scaling = context;
	if (response->err.code != ERR_NONE) {
		reconcile_retry(reconcile, &response->err);
		return;
	}
	reconcile_event(reconcile, scaling->deployment, "Normal", "ScalingReplicaSet",
	                "Scaled %s replica set %s from %d to %d", scaling->direction, scaling->replicaset,
	                scaling->from, scaling->to);
}

static struct json *size_annotations(struct deployment_sync *sync, struct json *patch)
{
	struct json *annotations =
	        json_ensure_object(sync->arena, json_ensure_object(sync->arena, patch, "metadata"), "annotations");
	json_set_text(sync->arena, annotations, DESIRED_ANNOTATION, arena_printf(sync->arena, "%d", sync->desired));
	json_set_text(sync->arena, annotations, MAX_ANNOTATION,
	              arena_printf(sync->arena, "%d", sync->desired + sync->max_surge));
	return annotations;
}

void deployment_scale_set(struct deployment_sync *sync, struct api_object *replicaset, int32_t size)
{
	int32_t current = replicaset_size(replicaset);
	if (size == current)
		return;
	struct json *patch = json_object(sync->arena);
	size_annotations(sync, patch);
	json_set_integer(sync->arena, json_ensure_object(sync->arena, patch, "spec"), "replicas", size);
	struct scaling *scaling = ARENA_NEW(sync->arena, struct scaling);
	*scaling = (struct scaling){
	        .deployment = reconcile_keep(sync->reconcile, sync->object),
	        .replicaset = arena_strdup(sync->arena, replicaset->name),
	        .direction = size > current ? "up" : "down",
	        .from = current,
	        .to = size,
	};
	reconcile_patch(sync->reconcile, replicaset, NULL, REST_MERGE_PATCH, patch, true, on_scaled, scaling);
}

static struct rollout_set measure(const struct api_object *replicaset)
{
	const struct apps_v1_replica_set_status *status = &replicaset_view(replicaset)->status;
	return (struct rollout_set){
	        .size = replicaset_size(replicaset),
	        .ready = status->ready_replicas,
	        .available = status->available_replicas,
	};
}

static void apply_plan(struct deployment_sync *sync, void (*plan)(struct rollout *rollout))
{
	struct rollout_set newest = sync->newest ? measure(sync->newest) : (struct rollout_set){0};
	struct rollout rollout = {
	        .desired = sync->desired,
	        .max_surge = sync->max_surge,
	        .max_unavailable = sync->max_unavailable,
	        .newest = sync->newest ? &newest : NULL,
	        .olds = ARENA_ARRAY(sync->arena, struct rollout_set, sync->old_count + 1),
	        .old_count = sync->old_count,
	};
	for (size_t i = 0; i < sync->old_count; i++)
		rollout.olds[i] = measure(sync->olds[i]);
	plan(&rollout);
	if (sync->newest)
		deployment_scale_set(sync, sync->newest, newest.wanted);
	for (size_t i = 0; i < sync->old_count; i++)
		deployment_scale_set(sync, sync->olds[i], rollout.olds[i].wanted);
}

// --- strategies ------------------------------------------------------------------------

static void roll(struct deployment_sync *sync)
{
	if (!sync->newest) {
		int32_t existing = 0;
		for (size_t i = 0; i < sync->old_count; i++)
			existing += replicaset_size(sync->olds[i]);
		int32_t room = sync->desired + sync->max_surge - existing;
		int32_t size = room < sync->desired ? room : sync->desired;
		deployment_create_set(sync, size > 0 ? size : 0);
		return;
	}
	deployment_sync_revision(sync);
	apply_plan(sync, rollout_step);
}

static bool has_running_pods(struct deployment_sync *sync)
{
	for (size_t i = 0; i < sync->old_count; i++) {
		size_t count;
		struct api_object **pods =
		        ownership_objects(sync->arena, state_of(sync->controller)->pods, sync->olds[i], &count);
		for (size_t p = 0; p < count; p++) {
			const struct core_v1_pod *pod = pods[p]->view;
			bool is_finished = pod->status.phase && (strcmp(pod->status.phase, "Succeeded") == 0 ||
			                                         strcmp(pod->status.phase, "Failed") == 0);
			if (!is_finished)
				return true;
		}
	}
	return false;
}

static void recreate(struct deployment_sync *sync)
{
	bool shrinks = false;
	for (size_t i = 0; i < sync->old_count; i++) {
		shrinks = shrinks || replicaset_size(sync->olds[i]) > 0;
		deployment_scale_set(sync, sync->olds[i], 0);
	}
	if (shrinks || has_running_pods(sync))
		return;
	if (!sync->newest) {
		deployment_create_set(sync, sync->desired);
		return;
	}
	deployment_sync_revision(sync);
	deployment_scale_set(sync, sync->newest, sync->desired);
}

// The Deployment's own size changed since its sets were last sized.
static bool is_scaling_event(const struct deployment_sync *sync)
{
	for (size_t i = 0; i <= sync->old_count; i++) {
		const struct api_object *set = i < sync->old_count ? sync->olds[i] : sync->newest;
		if (!set || replicaset_size(set) == 0)
			continue;
		const char *recorded = string_map_get(&api_object_metadata(set)->annotations, DESIRED_ANNOTATION);
		if (recorded && strtol(recorded, NULL, 10) != sync->desired)
			return true;
	}
	return false;
}

static void resolve_strategy(struct deployment_sync *sync)
{
	const struct apps_v1_deployment_spec *spec = &sync->deployment->spec;
	sync->desired = spec->replicas ? *spec->replicas : 1;
	sync->is_recreate = spec->strategy.type && strcmp(spec->strategy.type, "Recreate") == 0;
	if (!sync->is_recreate && spec->strategy.rolling_update)
		rollout_resolve(spec->strategy.rolling_update->max_surge,
		                spec->strategy.rolling_update->max_unavailable, sync->desired, &sync->max_surge,
		                &sync->max_unavailable);
}

static void reconcile_deployment(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct deployment_controller *state = state_of(controller);
	struct api_object *object = informer_get_key(state->deployments, key);
	struct label_selector *selector;
	struct err err = ERR_INIT;
	if (!object)
		return;
	struct deployment_sync sync = {
	        .controller = controller,
	        .reconcile = reconcile,
	        .arena = reconcile_arena(reconcile),
	        .object = object,
	        .deployment = object->view,
	};
	if (label_selector_from_view(sync.arena, sync.deployment->spec.selector, &selector, &err) < 0) {
		reconcile_retry(reconcile, &err);
		return;
	}
	if (ownership_adopt_and_release(reconcile, state->replicasets, object, selector))
		return;
	size_t count;
	struct api_object **owned = ownership_objects(sync.arena, state->replicasets, object, &count);
	resolve_strategy(&sync);
	deployment_find_sets(&sync, owned, count);
	if (!sync.deployment->metadata.deletion_timestamp) {
		if (sync.deployment->spec.paused || (is_scaling_event(&sync) && !sync.is_recreate))
			apply_plan(&sync, rollout_scale);
		else if (sync.is_recreate)
			recreate(&sync);
		else
			roll(&sync);
		if (deployment_is_complete(&sync) || sync.deployment->spec.paused)
			deployment_clean_history(&sync);
	}
	deployment_update_status(&sync);
}

const struct controller_type deployment_controller = {
        .name = "deployment-controller",
        .start = start,
        .reconcile = reconcile_deployment,
        .stop = stop,
};
