// SPDX-License-Identifier: Apache-2.0
//
// taint-eviction-controller: deletes pods from nodes with taints of effect
// NoExecute that they don't tolerate, at once, or after the shortest
// tolerationSeconds of the tolerations that apply.
//
// The time runs from the taint's timeAdded or the pod's own start, whichever is
// later, so that a restart of this program doesn't prolong it; for a taint without
// a time it runs from when it was first seen. Keys are pods.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/node_affinity.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/pod_disruption.h"

struct taint_eviction {
	struct informer *pods;
	struct informer *nodes;
	struct hashmap *seen; // pod key → struct eviction: pods that wait for their end
};

struct eviction {
	int64_t since_ns; // wall clock
};

static bool evicts(const struct core_v1_taint *taint)
{
	return taint->effect && strcmp(taint->effect, "NoExecute") == 0;
}

static bool has_evicting_taint(const struct core_v1_node *node)
{
	for (size_t i = 0; i < node->spec.taints.count; i++)
		if (evicts(&node->spec.taints.items[i]))
			return true;
	return false;
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct taint_eviction *state = controller_state(controller);
	if (!new_object) {
		hashmap_remove(state->seen, old_object->key);
		return;
	}
	const struct core_v1_pod *pod = new_object->view;
	struct api_object *node = pod->spec.node_name && *pod->spec.node_name
	                                  ? informer_get(state->nodes, NULL, pod->spec.node_name)
	                                  : NULL;
	if (node && has_evicting_taint(node->view))
		controller_enqueue(controller, new_object->key);
}

static bool same_evicting_taints(const struct core_v1_node *a, const struct core_v1_node *b)
{
	size_t left = 0;
	size_t found = 0;
	for (size_t i = 0; i < a->spec.taints.count; i++)
		left += evicts(&a->spec.taints.items[i]);
	for (size_t i = 0; i < b->spec.taints.count; i++) {
		const struct core_v1_taint *taint = &b->spec.taints.items[i];
		if (!evicts(taint))
			continue;
		bool is_known = false;
		for (size_t j = 0; j < a->spec.taints.count; j++)
			is_known =
			        is_known || (taint->key && taint_is(&a->spec.taints.items[j], taint->key, "NoExecute"));
		if (!is_known)
			return false;
		found++;
	}
	return left == found;
}

static void on_node(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct taint_eviction *state = controller_state(controller);
	if (!new_object || (old_object ? same_evicting_taints(old_object->view, new_object->view)
	                               : !has_evicting_taint(new_object->view)))
		return;
	size_t count;
	struct api_object *const *pods = informer_by_index(state->pods, "node", new_object->name, &count);
	for (size_t i = 0; i < count; i++)
		controller_enqueue(controller, pods[i]->key);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct taint_eviction *state = NEW(struct taint_eviction);
	controller_set_state(controller, state);
	state->seen = hashmap_new(free);
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, on_node);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	informer_add_index(state->pods, "node", informer_index_pods_by_node);
	return 0;
}

static void stop(struct controller *controller)
{
	struct taint_eviction *state = controller_state(controller);
	hashmap_free(state->seen);
	free(state);
}

// --- deciding --------------------------------------------------------------------------------

// What the taints allow a pod.
struct verdict {
	bool stays;       // for ever
	int64_t seconds;  // else: this long
	int64_t added_ns; // the latest timeAdded, 0 = unknown
};

static int64_t time_or_zero(const char *text)
{
	int64_t time_ns;
	return api_time_parse(text, &time_ns) ? time_ns : 0;
}

// Any toleration of the taint without a limit tolerates it for ever; else the shortest limit counts.
static bool weigh_taint(struct verdict *verdict, const struct core_v1_taint *taint,
                        const struct core_v1_toleration_array *tolerations)
{
	for (size_t i = 0; i < tolerations->count; i++) {
		const struct core_v1_toleration *toleration = &tolerations->items[i];
		if (!taint_is_tolerated_by(taint, toleration))
			continue;
		if (toleration->toleration_seconds) {
			int64_t seconds = *toleration->toleration_seconds > 0 ? *toleration->toleration_seconds : 0;
			if (verdict->stays || seconds < verdict->seconds)
				verdict->seconds = seconds;
			verdict->stays = false;
		}
		return true;
	}
	return false;
}

static struct verdict judge(const struct core_v1_node *node, const struct core_v1_pod *pod)
{
	struct verdict verdict = {.stays = true};
	for (size_t i = 0; i < node->spec.taints.count; i++) {
		const struct core_v1_taint *taint = &node->spec.taints.items[i];
		if (!evicts(taint))
			continue;
		if (!weigh_taint(&verdict, taint, &pod->spec.tolerations))
			return (struct verdict){.stays = false, .seconds = 0};
		int64_t added_ns = time_or_zero(taint->time_added);
		if (added_ns > verdict.added_ns)
			verdict.added_ns = added_ns;
	}
	return verdict;
}

// When the time began to run; remembered while the pod waits.
static int64_t begin_of(struct taint_eviction *state, const struct api_object *object, const struct verdict *verdict,
                        int64_t now_ns)
{
	struct eviction *eviction = hashmap_get(state->seen, object->key);
	if (eviction)
		return eviction->since_ns;
	const struct core_v1_pod *pod = object->view;
	int64_t began_ns = verdict->added_ns ? verdict->added_ns : now_ns;
	int64_t pod_ns =
	        time_or_zero(pod->status.start_time ? pod->status.start_time : pod->metadata.creation_timestamp);
	eviction = NEW(struct eviction);
	eviction->since_ns = pod_ns > began_ns ? pod_ns : began_ns;
	if (eviction->since_ns > now_ns)
		eviction->since_ns = now_ns;
	hashmap_put(state->seen, object->key, eviction);
	return eviction->since_ns;
}

static void evict(struct reconcile *reconcile, struct api_object *pod)
{
	static const struct disruption disruption = {
	        .reason = "DeletionByTaintManager",
	        .message = "Taint manager: deleting due to NoExecute taint",
	};
	reconcile_event(reconcile, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %s", pod->key);
	pod_disrupt(reconcile, pod, &disruption);
}

static void reconcile_pod(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct taint_eviction *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->pods, key);
	const struct core_v1_pod *pod = object ? object->view : NULL;
	if (!pod || pod->metadata.deletion_timestamp || !pod->spec.node_name || !*pod->spec.node_name) {
		hashmap_remove(state->seen, key);
		return;
	}
	struct api_object *node = informer_get(state->nodes, NULL, pod->spec.node_name);
	struct verdict verdict = node ? judge(node->view, pod) : (struct verdict){.stays = true};
	if (verdict.stays) {
		if (hashmap_remove(state->seen, key))
			reconcile_event(reconcile, object, "Normal", "TaintManagerEviction",
			                "Cancelling deletion of Pod %s", key);
		return;
	}
	int64_t now_ns = loop_realtime_ns(controller_loop(controller));
	int64_t left_ns = verdict.seconds > INT64_MAX / (2 * NSEC_PER_SEC)
	                          ? INT64_MAX / 2
	                          : begin_of(state, object, &verdict, now_ns) + verdict.seconds * NSEC_PER_SEC - now_ns;
	if (left_ns > 0)
		reconcile_again_after(reconcile, left_ns);
	else
		evict(reconcile, object);
}

const struct controller_type taint_eviction_controller = {
        .name = "taint-eviction-controller",
        .concurrent_keys = 8,
        .start = start,
        .reconcile = reconcile_pod,
        .stop = stop,
};
