// SPDX-License-Identifier: Apache-2.0
//
// A Deployment's status: counts summed over its ReplicaSets, and two conditions.
// Available says whether enough pods serve. Progressing says how the rollout goes:
// its lastUpdateTime moves whenever the counts move forward, and when it has stood
// still for progressDeadlineSeconds the rollout has failed.
#include <string.h>

#include "common/api/object.h"
#include "common/api/view.h"
#include "common/io/loop.h"
#include "controller-manager/deployment.h"

struct totals {
	int32_t replicas;
	int32_t updated;
	int32_t ready;
	int32_t available;
	int32_t unavailable;
};

static struct totals sum(const struct deployment_sync *sync)
{
	struct totals totals = {0};
	for (size_t i = 0; i <= sync->old_count; i++) {
		const struct api_object *object = i < sync->old_count ? sync->olds[i] : sync->newest;
		if (!object)
			continue;
		const struct apps_v1_replica_set_status *status = &replicaset_view(object)->status;
		totals.replicas += status->replicas;
		totals.ready += status->ready_replicas;
		totals.available += status->available_replicas;
		if (object == sync->newest)
			totals.updated = status->replicas;
	}
	int32_t specified = sync->newest ? replicaset_size(sync->newest) : 0;
	for (size_t i = 0; i < sync->old_count; i++)
		specified += replicaset_size(sync->olds[i]);
	totals.unavailable = specified > totals.available ? specified - totals.available : 0;
	return totals;
}

static bool totals_are_complete(const struct deployment_sync *sync, const struct totals *totals)
{
	return totals->updated == sync->desired && totals->replicas == sync->desired &&
	       totals->available == sync->desired;
}

bool deployment_is_complete(const struct deployment_sync *sync)
{
	struct totals totals = sum(sync);
	return sync->newest && totals_are_complete(sync, &totals) &&
	       sync->deployment->status.observed_generation >= sync->deployment->metadata.generation;
}

// --- conditions ------------------------------------------------------------------------

struct condition {
	const char *type;
	const char *status;
	const char *reason;
	const char *message;
	const char *update_time;
	const char *transition_time;
	bool is_new; // differs from what is stored
};

static const struct apps_v1_deployment_condition *stored_condition(const struct deployment_sync *sync, const char *type)
{
	for (size_t i = 0; i < sync->deployment->status.conditions.count; i++)
		if (strcmp(sync->deployment->status.conditions.items[i].type, type) == 0)
			return &sync->deployment->status.conditions.items[i];
	return NULL;
}

static const char *now_text(const struct deployment_sync *sync)
{
	char *text = arena_alloc(sync->arena, API_TIME_BYTES);
	api_time_format(loop_realtime_ns(controller_loop(sync->controller)), text);
	return text;
}

// `refresh`: also when status and reason are the same, the update time moves.
static struct condition make_condition(const struct deployment_sync *sync, const char *type, const char *status,
                                       const char *reason, const char *message, bool refresh)
{
	const struct apps_v1_deployment_condition *stored = stored_condition(sync, type);
	struct condition condition = {.type = type, .status = status, .reason = reason, .message = message};
	bool same =
	        stored && strcmp(stored->status, status) == 0 && stored->reason && strcmp(stored->reason, reason) == 0;
	if (same && !refresh) {
		condition.message = stored->message ? stored->message : message;
		condition.update_time = stored->last_update_time;
		condition.transition_time = stored->last_transition_time;
		return condition;
	}
	condition.is_new = true;
	condition.update_time = now_text(sync);
	condition.transition_time =
	        stored && strcmp(stored->status, status) == 0 ? stored->last_transition_time : condition.update_time;
	return condition;
}

static struct condition available_condition(const struct deployment_sync *sync, const struct totals *totals)
{
	if (totals->available >= sync->desired - sync->max_unavailable)
		return make_condition(sync, "Available", "True", "MinimumReplicasAvailable",
		                      "Deployment has minimum availability.", false);
	return make_condition(sync, "Available", "False", "MinimumReplicasUnavailable",
	                      "Deployment does not have minimum availability.", false);
}

static bool moved_forward(const struct deployment_sync *sync, const struct totals *totals)
{
	const struct apps_v1_deployment_status *status = &sync->deployment->status;
	int32_t old_before = status->replicas - status->updated_replicas;
	int32_t old_now = totals->replicas - totals->updated;
	return totals->updated > status->updated_replicas || old_now < old_before ||
	       totals->ready > status->ready_replicas || totals->available > status->available_replicas;
}

// How long until the deadline passes; 0 when it has, -1 without one.
static int64_t deadline_left_ns(const struct deployment_sync *sync)
{
	const int32_t *seconds = sync->deployment->spec.progress_deadline_seconds;
	const struct apps_v1_deployment_condition *stored = stored_condition(sync, "Progressing");
	int64_t updated_ns;
	if (!seconds || *seconds == INT32_MAX || !stored || !api_time_parse(stored->last_update_time, &updated_ns))
		return -1;
	int64_t left_ns = updated_ns + *seconds * NSEC_PER_SEC - loop_realtime_ns(controller_loop(sync->controller));
	return left_ns > 0 ? left_ns : 0;
}

static bool has_reason(const struct apps_v1_deployment_condition *stored, const char *reason)
{
	return stored && stored->reason && strcmp(stored->reason, reason) == 0;
}

// Nothing moves: the condition stays as it is until the deadline.
static struct condition standing_condition(struct deployment_sync *sync,
                                           const struct apps_v1_deployment_condition *stored, const char *kind,
                                           const char *name)
{
	int64_t left_ns = has_reason(stored, "ProgressDeadlineExceeded") ? 0 : deadline_left_ns(sync);
	if (left_ns == 0)
		return make_condition(sync, "Progressing", "False", "ProgressDeadlineExceeded",
		                      arena_printf(sync->arena, "%s \"%s\" has timed out progressing.", kind, name),
		                      false);
	if (left_ns > 0)
		reconcile_again_after(sync->reconcile, left_ns + NSEC_PER_SEC);
	if (stored && strcmp(stored->status, "True") == 0)
		return make_condition(sync, "Progressing", "True",
		                      stored->reason ? stored->reason : "ReplicaSetUpdated",
		                      stored->message ? stored->message : "", false);
	return make_condition(sync, "Progressing", "True", "ReplicaSetUpdated",
	                      arena_printf(sync->arena, "%s \"%s\" is progressing.", kind, name), true);
}

static struct condition progressing_condition(struct deployment_sync *sync, const struct totals *totals)
{
	const char *kind = sync->newest ? "ReplicaSet" : "Deployment";
	const char *name = sync->newest ? sync->newest->name : sync->object->name;
	const struct apps_v1_deployment_condition *stored = stored_condition(sync, "Progressing");
	if (sync->deployment->spec.paused)
		return make_condition(sync, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused",
		                      false);
	if (totals_are_complete(sync, totals) && sync->newest)
		return make_condition(sync, "Progressing", "True", "NewReplicaSetAvailable",
		                      arena_printf(sync->arena, "%s \"%s\" has successfully progressed.", kind, name),
		                      false);
	// The clock of a new template starts once.
	if (!sync->newest && !has_reason(stored, "NewReplicaSetCreated"))
		return make_condition(sync, "Progressing", "True", "NewReplicaSetCreated",
		                      "Created new replica set for the current template", true);
	if (!has_reason(stored, "NewReplicaSetAvailable") && !moved_forward(sync, totals))
		return standing_condition(sync, stored, kind, name);
	return make_condition(sync, "Progressing", "True", "ReplicaSetUpdated",
	                      arena_printf(sync->arena, "%s \"%s\" is progressing.", kind, name), true);
}

// --- writing -----------------------------------------------------------------------------

static void append_condition(struct arena *arena, struct json *list, const struct condition *condition)
{
	struct json *item = json_object(arena);
	json_set_text(arena, item, "type", condition->type);
	json_set_text(arena, item, "status", condition->status);
	json_set_text(arena, item, "lastUpdateTime", condition->update_time);
	json_set_text(arena, item, "lastTransitionTime", condition->transition_time);
	json_set_text(arena, item, "reason", condition->reason);
	json_set_text(arena, item, "message", condition->message);
	json_append(arena, list, item);
}

static bool totals_changed(const struct deployment_sync *sync, const struct totals *totals)
{
	const struct apps_v1_deployment_status *status = &sync->deployment->status;
	return status->replicas != totals->replicas || status->updated_replicas != totals->updated ||
	       status->ready_replicas != totals->ready || status->available_replicas != totals->available ||
	       status->unavailable_replicas != totals->unavailable ||
	       status->observed_generation != sync->deployment->metadata.generation;
}

// A zero is left out of a status, as upstream's encoding does: null takes it away.
static void set_count(struct arena *arena, struct json *fields, const char *name, int32_t count)
{
	if (count)
		json_set_integer(arena, fields, name, count);
	else
		json_set(arena, fields, name, json_null(arena));
}

// --- failure -----------------------------------------------------------------------------

static const struct apps_v1_replica_set_condition *failure_of(const struct api_object *set)
{
	const struct apps_v1_replica_set_condition_array *list = set ? &replicaset_view(set)->status.conditions : NULL;
	for (size_t i = 0; list && i < list->count; i++)
		if (list->items[i].type && strcmp(list->items[i].type, "ReplicaFailure") == 0)
			return &list->items[i];
	return NULL;
}

// That a ReplicaSet can't make its pods is the Deployment's failure too, while it lasts; the newest one's counts first.
// NULL = the stored condition is right.
static struct json *failure_patch(const struct deployment_sync *sync)
{
	const struct apps_v1_deployment_condition *stored = stored_condition(sync, "ReplicaFailure");
	const struct apps_v1_replica_set_condition *failure = failure_of(sync->newest);
	for (size_t i = sync->old_count; !failure && i-- > 0;)
		failure = failure_of(sync->olds[i]);
	if (!failure && !stored)
		return NULL;
	const char *message = failure && failure->message ? failure->message : "";
	if (failure && stored && strcmp(stored->message ? stored->message : "", message) == 0)
		return NULL;
	struct json *patch = json_object(sync->arena);
	json_set_text(sync->arena, patch, "type", "ReplicaFailure");
	if (!failure) {
		json_set_text(sync->arena, patch, "$patch", "delete");
		return patch;
	}
	json_set_text(sync->arena, patch, "status", "True");
	json_set_text(sync->arena, patch, "lastUpdateTime", now_text(sync));
	json_set_text(sync->arena, patch, "lastTransitionTime", stored ? stored->last_transition_time : now_text(sync));
	json_set_text(sync->arena, patch, "reason", failure->reason ? failure->reason : "");
	json_set_text(sync->arena, patch, "message", message);
	return patch;
}

void deployment_update_status(struct deployment_sync *sync)
{
	struct totals totals = sum(sync);
	struct condition available = available_condition(sync, &totals);
	struct condition progressing = progressing_condition(sync, &totals);
	struct json *failure = failure_patch(sync);
	if (!totals_changed(sync, &totals) && !available.is_new && !progressing.is_new && !failure)
		return;
	struct arena *arena = sync->arena;
	struct json *patch = json_object(arena);
	struct json *fields = json_ensure_object(arena, patch, "status");
	json_set_integer(arena, fields, "observedGeneration", sync->deployment->metadata.generation);
	set_count(arena, fields, "replicas", totals.replicas);
	set_count(arena, fields, "updatedReplicas", totals.updated);
	set_count(arena, fields, "readyReplicas", totals.ready);
	set_count(arena, fields, "availableReplicas", totals.available);
	set_count(arena, fields, "unavailableReplicas", totals.unavailable);
	struct json *conditions = json_ensure_array(arena, fields, "conditions");
	append_condition(arena, conditions, &available);
	append_condition(arena, conditions, &progressing);
	if (failure)
		json_append(arena, conditions, failure);
	// Strategic: other conditions of the list stay.
	reconcile_patch(sync->reconcile, sync->object, "status", REST_STRATEGIC_MERGE_PATCH, patch, false, NULL, NULL);
}
