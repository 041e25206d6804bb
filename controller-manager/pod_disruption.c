// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/pod_disruption.h"

#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/io/loop.h"
#include "controller-manager/controller.h"

struct removal {
	struct api_object *pod; // kept
	bool now;
};

static void delete_pod(struct reconcile *reconcile, const struct removal *removal)
{
	const struct deletion_options options = {.now = removal->now};
	reconcile_delete_with(reconcile, removal->pod, &options, NULL, NULL);
}

static void on_marked(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	if (response->err.code == ERR_NONE)
		delete_pod(reconcile, context);
	else if (response->err.code != ERR_NOT_FOUND)
		reconcile_retry(reconcile, &response->err);
}

static bool is_marked(const struct core_v1_pod *pod)
{
	for (size_t i = 0; i < pod->status.conditions.count; i++)
		if (pod->status.conditions.items[i].type &&
		    strcmp(pod->status.conditions.items[i].type, "DisruptionTarget") == 0)
			return pod->status.conditions.items[i].status &&
			       strcmp(pod->status.conditions.items[i].status, "True") == 0;
	return false;
}

static bool has_finished(const struct core_v1_pod *pod)
{
	return pod->status.phase &&
	       (strcmp(pod->status.phase, "Failed") == 0 || strcmp(pod->status.phase, "Succeeded") == 0);
}

static void add_condition(struct reconcile *reconcile, struct json *status, const struct disruption *disruption)
{
	struct arena *arena = reconcile_arena(reconcile);
	struct json *condition = json_object(arena);
	char now[API_TIME_BYTES];
	api_time_format(loop_realtime_ns(controller_loop(reconcile_controller(reconcile))), now);
	json_set_text(arena, condition, "type", "DisruptionTarget");
	json_set_text(arena, condition, "status", "True");
	json_set_text(arena, condition, "lastTransitionTime", now);
	json_set_text(arena, condition, "reason", disruption->reason);
	json_set_text(arena, condition, "message", disruption->message);
	json_append(arena, json_ensure_array(arena, status, "conditions"), condition);
}

void pod_disrupt(struct reconcile *reconcile, struct api_object *pod, const struct disruption *disruption)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct core_v1_pod *view = pod->view;
	struct removal *removal = ARENA_NEW(arena, struct removal);
	removal->pod = reconcile_keep(reconcile, pod);
	removal->now = disruption->now;
	bool marks = disruption->reason && !is_marked(view) && !has_finished(view);
	bool fails = disruption->fail && !has_finished(view);
	if (!marks && !fails) {
		delete_pod(reconcile, removal);
		return;
	}
	struct json *patch = json_object(arena);
	struct json *status = json_ensure_object(arena, patch, "status");
	json_set_text(arena, json_ensure_object(arena, patch, "metadata"), "uid", pod->uid);
	if (fails)
		json_set_text(arena, status, "phase", "Failed");
	if (marks)
		add_condition(reconcile, status, disruption);
	reconcile_patch(reconcile, pod, "status", REST_STRATEGIC_MERGE_PATCH, patch, false, on_marked, removal);
}
