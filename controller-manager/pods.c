// SPDX-License-Identifier: Apache-2.0
// A ReplicaSet that shrinks gives up first the pods that are worth least, in
// upstream's order: not assigned, earlier phase, not ready, lower deletion cost, on
// a node with more pods of the set, ready for a shorter time, more restarts,
// younger.

#include "controller-manager/pods.h"

#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "controller-manager/ownership.h"

#define DELETION_COST_ANNOTATION "controller.kubernetes.io/pod-deletion-cost"

static bool text_is(const char *text, const char *expected)
{
	return text && strcmp(text, expected) == 0;
}

bool pod_is_active(const struct core_v1_pod *pod)
{
	return !pod->metadata.deletion_timestamp && !text_is(pod->status.phase, "Succeeded") &&
	       !text_is(pod->status.phase, "Failed");
}

static const struct core_v1_pod_condition *ready_condition(const struct core_v1_pod *pod)
{
	for (size_t i = 0; i < pod->status.conditions.count; i++)
		if (text_is(pod->status.conditions.items[i].type, "Ready"))
			return &pod->status.conditions.items[i];
	return NULL;
}

bool pod_is_ready(const struct core_v1_pod *pod)
{
	const struct core_v1_pod_condition *condition = ready_condition(pod);
	return condition && text_is(condition->status, "True");
}

static int64_t time_or_zero(const char *text)
{
	int64_t time_ns;
	return api_time_parse(text, &time_ns) ? time_ns : 0;
}

bool pod_is_available(const struct core_v1_pod *pod, int32_t min_ready_seconds, int64_t now_realtime_ns,
                      int64_t *ret_wait_ns)
{
	if (ret_wait_ns)
		*ret_wait_ns = 0;
	if (!pod_is_ready(pod))
		return false;
	if (min_ready_seconds <= 0)
		return true;
	int64_t since_ns = time_or_zero(ready_condition(pod)->last_transition_time);
	int64_t missing_ns = since_ns + min_ready_seconds * NSEC_PER_SEC - now_realtime_ns;
	if (since_ns && missing_ns <= 0)
		return true;
	if (ret_wait_ns)
		*ret_wait_ns = since_ns ? missing_ns : min_ready_seconds * NSEC_PER_SEC;
	return false;
}

struct core_v1_pod *pod_from_template(struct arena *arena, const struct core_v1_pod_template_spec *template,
                                      const struct api_object *owner)
{
	struct core_v1_pod *pod = ARENA_NEW(arena, struct core_v1_pod);
	pod->api_version = "v1";
	pod->kind = "Pod";
	pod->metadata.generate_name = arena_printf(arena, "%s-", owner->name);
	pod->metadata.namespace = owner->namespace_name;
	pod->metadata.labels = template->metadata.labels;
	pod->metadata.annotations = template->metadata.annotations;
	pod->metadata.finalizers = template->metadata.finalizers;
	ownership_set(arena, &pod->metadata, owner);
	pod->spec = template->spec;
	return pod;
}

// --- which to delete first -------------------------------------------------------------

struct ranked_pod {
	struct api_object *object;
	const struct core_v1_pod *pod;
	size_t on_same_node;
	int64_t deletion_cost;
	int64_t ready_since_ns;
	int64_t restarts;
	int64_t created_ns;
	int phase;
	bool is_ready;
	bool is_assigned;
};

static int compare_numbers(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

// Times: a missing one counts as the youngest, which goes first.
static int compare_times(int64_t a, int64_t b)
{
	if (a == b)
		return 0;
	if (!a || !b)
		return a ? 1 : -1;
	return a > b ? -1 : 1;
}

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked_pod *a = left;
	const struct ranked_pod *b = right;
	int order = compare_numbers(a->is_assigned, b->is_assigned);
	if (!order)
		order = compare_numbers(a->phase, b->phase);
	if (!order)
		order = compare_numbers(a->is_ready, b->is_ready);
	if (!order)
		order = compare_numbers(a->deletion_cost, b->deletion_cost);
	if (!order)
		order = compare_numbers((int64_t)b->on_same_node, (int64_t)a->on_same_node);
	if (!order && a->is_ready)
		order = compare_times(a->ready_since_ns, b->ready_since_ns);
	if (!order)
		order = compare_numbers(b->restarts, a->restarts);
	return order ? order : compare_times(a->created_ns, b->created_ns);
}

static struct ranked_pod rank(struct api_object *object)
{
	const struct core_v1_pod *pod = object->view;
	const struct core_v1_pod_condition *ready = ready_condition(pod);
	const char *cost = string_map_get(&pod->metadata.annotations, DELETION_COST_ANNOTATION);
	struct ranked_pod ranked = {
	        .object = object,
	        .pod = pod,
	        .deletion_cost = cost ? strtoll(cost, NULL, 10) : 0,
	        .ready_since_ns = ready ? time_or_zero(ready->last_transition_time) : 0,
	        .created_ns = time_or_zero(pod->metadata.creation_timestamp),
	        .phase = text_is(pod->status.phase, "Running")   ? 2
	                 : text_is(pod->status.phase, "Unknown") ? 1
	                                                         : 0,
	        .is_ready = pod_is_ready(pod),
	        .is_assigned = pod->spec.node_name && *pod->spec.node_name,
	};
	for (size_t i = 0; i < pod->status.container_statuses.count; i++)
		ranked.restarts += pod->status.container_statuses.items[i].restart_count;
	return ranked;
}

void pods_sort_for_deletion(struct api_object **pods, size_t count)
{
	AUTO_FREE struct ranked_pod *ranked = xcalloc(count + 1, sizeof(*ranked));
	for (size_t i = 0; i < count; i++)
		ranked[i] = rank(pods[i]);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			if (ranked[i].is_assigned && ranked[j].is_assigned &&
			    text_is(ranked[i].pod->spec.node_name, ranked[j].pod->spec.node_name))
				ranked[i].on_same_node++;
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < count; i++)
		pods[i] = ranked[i].object;
}
