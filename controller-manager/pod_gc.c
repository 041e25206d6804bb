// SPDX-License-Identifier: Apache-2.0
//
// pod-garbage-collector-controller: takes away the pods that nobody else does.
//
//   orphaned      bound to a node that has been away for a while, and that the
//                 server, asked, doesn't have either
//   unscheduled   being deleted and bound to no node: no kubelet will finish it
//   finished      beyond --terminated-pod-gc-threshold, the oldest first
//
// One key, "all", comes every 20 seconds, and sooner for what an event shows.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/ownership.h"
#include "controller-manager/pod_disruption.h"

#define KEY "all"
#define PERIOD_NS (20 * NSEC_PER_SEC)
#define QUARANTINE_NS (40 * NSEC_PER_SEC)

struct pod_gc {
	struct informer *pods;
	struct informer *nodes;
	struct hashmap *missing; // node → struct missing_node
};

struct missing_node {
	int64_t since_ns; // monotonic
	bool still_used;  // seen in this pass
};

static bool is_unscheduled_and_deleted(const struct core_v1_pod *pod)
{
	return pod->metadata.deletion_timestamp && !(pod->spec.node_name && *pod->spec.node_name);
}

static void on_pod(struct controller *controller, struct api_object *old_object UNUSED, struct api_object *new_object)
{
	if (new_object && is_unscheduled_and_deleted(new_object->view))
		controller_enqueue(controller, KEY);
}

static void on_node(struct controller *controller, struct api_object *old_object UNUSED, struct api_object *new_object)
{
	if (!new_object)
		controller_enqueue(controller, KEY);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct pod_gc *state = NEW(struct pod_gc);
	controller_set_state(controller, state);
	state->missing = hashmap_new(free);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, on_node);
	informer_add_index(state->pods, "node", informer_index_pods_by_node);
	controller_enqueue(controller, KEY);
	return 0;
}

static void stop(struct controller *controller)
{
	struct pod_gc *state = controller_state(controller);
	hashmap_free(state->missing);
	free(state);
}

// --- orphaned ----------------------------------------------------------------------------------

struct node_question {
	struct pod_gc *state;
	const char *name;
};

static void remove_pods_of(struct reconcile *reconcile, const struct node_question *question)
{
	static const struct disruption disruption = {
	        .reason = "DeletionByPodGC",
	        .message = "PodGC: node no longer exists",
	        .fail = true,
	        .now = true,
	};
	size_t count;
	struct api_object *const *pods = informer_by_index(question->state->pods, "node", question->name, &count);
	for (size_t i = 0; i < count; i++)
		pod_disrupt(reconcile, pods[i], &disruption);
}

static void on_node_answer(struct reconcile *reconcile, void *context, const struct rest_response *response)
{
	if (response->err.code == ERR_NOT_FOUND)
		remove_pods_of(reconcile, context);
}

static void ask_for_node(struct pod_gc *state, struct reconcile *reconcile, const char *name)
{
	struct node_question *question = ARENA_NEW(reconcile_arena(reconcile), struct node_question);
	question->state = state;
	question->name = arena_strdup(reconcile_arena(reconcile), name);
	const struct rest_request request = {
	        .method = "GET",
	        .resource = &schema_resource_core_v1_nodes,
	        .name = question->name,
	};
	reconcile_request(reconcile, &request, on_node_answer, question);
}

static void note_missing(struct pod_gc *state, const char *name, int64_t now_ns)
{
	struct missing_node *missing = hashmap_get(state->missing, name);
	if (!missing) {
		missing = NEW(struct missing_node);
		missing->since_ns = now_ns;
		hashmap_put(state->missing, name, missing);
	}
	missing->still_used = true;
}

static void remove_orphaned(struct pod_gc *state, struct reconcile *reconcile, int64_t now_ns)
{
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(state->pods, &cursor)) != NULL;) {
		const struct core_v1_pod *pod = object->view;
		const char *name = pod->spec.node_name;
		if (name && *name && !informer_get(state->nodes, NULL, name))
			note_missing(state, name, now_ns);
	}
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	while (hashmap_next(state->missing, &cursor)) {
		struct missing_node *missing = cursor.value;
		if (!missing->still_used) {
			hashmap_remove(state->missing, cursor.key);
			continue;
		}
		missing->still_used = false;
		if (now_ns - missing->since_ns >= QUARANTINE_NS)
			ask_for_node(state, reconcile, cursor.key);
	}
}

// --- unscheduled and finished ------------------------------------------------------------------

static void remove_unscheduled(struct pod_gc *state, struct reconcile *reconcile)
{
	static const struct disruption disruption = {.fail = true, .now = true};
	size_t count;
	struct api_object *const *pods = informer_by_index(state->pods, "node", "", &count);
	for (size_t i = 0; i < count; i++)
		if (is_unscheduled_and_deleted(pods[i]->view))
			pod_disrupt(reconcile, pods[i], &disruption);
}

static bool is_finished(const struct core_v1_pod *pod)
{
	return pod->status.phase && !pod->metadata.deletion_timestamp &&
	       (strcmp(pod->status.phase, "Succeeded") == 0 || strcmp(pod->status.phase, "Failed") == 0);
}

static void remove_finished(struct pod_gc *state, struct reconcile *reconcile, int64_t threshold)
{
	static const struct disruption disruption = {.now = true};
	struct api_object *object;
	size_t count = 0;
	if (threshold <= 0 || informer_count(state->pods) <= (size_t)threshold)
		return;
	struct api_object **finished =
	        ARENA_ARRAY(reconcile_arena(reconcile), struct api_object *, informer_count(state->pods));
	for (size_t cursor = 0; (object = informer_next(state->pods, &cursor)) != NULL;)
		if (is_finished(object->view))
			finished[count++] = object;
	if (count <= (size_t)threshold)
		return;
	qsort(finished, count, sizeof(*finished), ownership_compare_age);
	for (size_t i = 0; i < count - (size_t)threshold; i++)
		pod_disrupt(reconcile, finished[i], &disruption);
}

static void reconcile_all(struct controller *controller, struct reconcile *reconcile, const char *key UNUSED)
{
	struct pod_gc *state = controller_state(controller);
	remove_orphaned(state, reconcile, loop_now_ns(controller_loop(controller)));
	remove_unscheduled(state, reconcile);
	remove_finished(state, reconcile, controller_settings(controller)->terminated_pod_gc_threshold);
	reconcile_again_after(reconcile, PERIOD_NS);
}

const struct controller_type pod_gc_controller = {
        .name = "pod-garbage-collector-controller",
        .concurrent_keys = 1,
        .start = start,
        .reconcile = reconcile_all,
        .stop = stop,
};
