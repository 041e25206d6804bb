// SPDX-License-Identifier: Apache-2.0
//
// node-lifecycle-controller: notices nodes that fell silent, keeps their taints in
// step with their conditions, and shows their pods as not ready.
//
// A node lives while its Lease in kube-node-lease or the heartbeat of its Ready
// condition changes. What counts is when a change was seen on our own clock, not
// the time that the node wrote: clocks may differ, and after a restart every node
// gets a full grace period. A reconcile says when the node is due again; a
// heartbeat only moves the time in memory.
//
// A node that gets Ready loses its taint with the same event: this decides how
// soon a new node takes pods.
//
// Evicting (NoExecute) is done with care: nodes get the taint one after another at
// --node-eviction-rate, and none does while no node of the cluster is ready, for
// then the fault is likely on our side.
#include <stdlib.h>
#include <string.h>

#include "api/coordination_v1.h"
#include "api/core_v1.h"
#include "common/api/node_affinity.h"
#include "common/api/object.h"
#include "common/api/view.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "controller-manager/controllers.h"
#include "controller-manager/node_condition.h"
#include "controller-manager/pods.h"

#define LEASE_NAMESPACE "kube-node-lease"

struct node_health {
	int64_t seen_ns; // monotonic: when a sign of life was seen
	char *heartbeat; // of the Ready condition
	enum node_readiness readiness;
};

struct node_lifecycle {
	struct informer *nodes;
	struct informer *leases;
	struct informer *pods;
	struct hashmap *health;       // name → struct node_health
	int64_t eviction_interval_ns; // 0 = never
	int64_t next_eviction_ns;
};

static void free_health(void *value)
{
	struct node_health *health = value;
	free(health->heartbeat);
	free(health);
}

static int64_t now_ns(const struct controller *controller)
{
	return loop_now_ns(controller_loop(controller));
}

static const char *heartbeat_of(const struct core_v1_node *node)
{
	const struct core_v1_node_condition *ready = node_condition(node, "Ready");
	return ready && ready->last_heartbeat_time ? ready->last_heartbeat_time : "";
}

static struct node_health *health_of(struct controller *controller, const char *name)
{
	struct node_lifecycle *state = controller_state(controller);
	struct node_health *health = hashmap_get(state->health, name);
	if (!health) {
		health = NEW(struct node_health);
		health->seen_ns = now_ns(controller);
		health->heartbeat = xstrdup("");
		hashmap_put(state->health, name, health);
	}
	return health;
}

static void on_lease(struct controller *controller, struct api_object *old_object UNUSED, struct api_object *new_object)
{
	struct node_lifecycle *state = controller_state(controller);
	if (!new_object || strcmp(new_object->namespace_name, LEASE_NAMESPACE) != 0)
		return;
	struct node_health *health = hashmap_get(state->health, new_object->name);
	if (health)
		health->seen_ns = now_ns(controller);
}

static void record(struct controller *controller, const struct api_object *node, const char *reason, const char *text)
{
	struct event_target target = {
	        .api_version = "v1",
	        .kind = "Node",
	        .namespace_name = "",
	        .name = node->name,
	        .uid = node->uid,
	};
	event_record(controller_events(controller), &target, "Normal", reason, "%s", text);
}

// The readiness of the cluster as a whole decides about every other node's eviction.
static void enqueue_not_ready(struct controller *controller)
{
	struct node_lifecycle *state = controller_state(controller);
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(state->nodes, &cursor)) != NULL;)
		if (node_readiness(object->view) != NODE_READY)
			controller_enqueue(controller, object->key);
}

static void note_readiness(struct controller *controller, const struct api_object *object, bool is_new)
{
	struct node_health *health = health_of(controller, object->name);
	enum node_readiness readiness = node_readiness(object->view);
	if (!is_new && readiness == health->readiness)
		return;
	bool was_ready = !is_new && health->readiness == NODE_READY;
	health->readiness = readiness;
	if (was_ready) {
		AUTO_FREE char *text = xasprintf("Node %s status is now: NodeNotReady", object->name);
		record(controller, object, "NodeNotReady", text);
	}
	if (!is_new && (was_ready || readiness == NODE_READY))
		enqueue_not_ready(controller);
}

static void on_node_deleted(struct controller *controller, const struct api_object *object)
{
	struct node_lifecycle *state = controller_state(controller);
	AUTO_FREE char *text = xasprintf("Node %s event: Removing Node %s from Controller", object->name, object->name);
	record(controller, object, "RemovingNode", text);
	hashmap_remove(state->health, object->name);
	enqueue_not_ready(controller);
}

// Kubelets report every few minutes; only what matters here makes work.
static bool has_news(const struct api_object *old_object, const struct api_object *new_object)
{
	const struct core_v1_node *before = old_object->view;
	const struct core_v1_node *after = new_object->view;
	if (before->spec.unschedulable != after->spec.unschedulable ||
	    before->spec.taints.count != after->spec.taints.count ||
	    before->status.conditions.count != after->status.conditions.count)
		return true;
	for (size_t i = 0; i < after->status.conditions.count; i++) {
		const char *was = before->status.conditions.items[i].status;
		const char *is = after->status.conditions.items[i].status;
		if (strcmp(was ? was : "", is ? is : "") != 0)
			return true;
	}
	for (size_t i = 0; i < after->spec.taints.count; i++)
		if (!taint_is(&before->spec.taints.items[i], after->spec.taints.items[i].key,
		              after->spec.taints.items[i].effect))
			return true;
	return false;
}

static void on_node(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	if (!new_object) {
		on_node_deleted(controller, old_object);
		return;
	}
	struct node_health *health = health_of(controller, new_object->name);
	const char *heartbeat = heartbeat_of(new_object->view);
	if (strcmp(health->heartbeat, heartbeat) != 0) {
		free(health->heartbeat);
		health->heartbeat = xstrdup(heartbeat);
		// Our own word about a silent node is no sign of life.
		if (node_readiness(new_object->view) != NODE_UNREACHABLE)
			health->seen_ns = now_ns(controller);
	}
	if (!old_object) {
		AUTO_FREE char *text = xasprintf("Node %s event: Registered Node %s in Controller", new_object->name,
		                                 new_object->name);
		record(controller, new_object, "RegisteredNode", text);
	}
	note_readiness(controller, new_object, !old_object);
	if (!old_object || has_news(old_object, new_object))
		controller_enqueue(controller, new_object->key);
}

// A pod that comes to a node that isn't ready, or gets ready there after all.
static void on_pod(struct controller *controller, struct api_object *old_object UNUSED, struct api_object *new_object)
{
	struct node_lifecycle *state = controller_state(controller);
	const struct core_v1_pod *pod = new_object ? new_object->view : NULL;
	if (!pod || !pod->spec.node_name || !pod_is_ready(pod))
		return;
	struct api_object *node = informer_get(state->nodes, NULL, pod->spec.node_name);
	if (node && node_readiness(node->view) == NODE_UNREACHABLE)
		controller_enqueue(controller, node->key);
}

static int start(struct controller *controller, struct err *err)
{
	static const struct informer_config leases = {
	        .resource = &schema_resource_coordination_v1_leases,
	        .metadata_only = true,
	};
	const char *rate_text = controller_settings(controller)->node_eviction_rate;
	struct node_lifecycle *state = NEW(struct node_lifecycle);
	controller_set_state(controller, state);
	state->health = hashmap_new(free_health);
	char *end = NULL;
	double rate = rate_text ? strtod(rate_text, &end) : 0;
	if (rate_text && (end == rate_text || *end || !(rate >= 0)))
		return err_set(err, ERR_INVALID, "--node-eviction-rate: \"%s\" is not a rate", rate_text);
	state->eviction_interval_ns = rate > 0 ? (int64_t)(NSEC_PER_SEC / rate) : 0;
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, on_node);
	state->leases = controller_watch_with(controller, &leases, on_lease);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	informer_add_index(state->pods, "node", informer_index_pods_by_node);
	return 0;
}

static void stop(struct controller *controller)
{
	struct node_lifecycle *state = controller_state(controller);
	hashmap_free(state->health);
	free(state);
}

// --- a silent node -----------------------------------------------------------------------

static struct json *unknown_condition(struct reconcile *reconcile, const struct core_v1_node *node, const char *type)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct core_v1_node_condition *present = node_condition(node, type);
	char now[API_TIME_BYTES];
	api_time_format(loop_realtime_ns(controller_loop(reconcile_controller(reconcile))), now);
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", type);
	json_set_text(arena, condition, "status", "Unknown");
	json_set_text(arena, condition, "reason", present ? "NodeStatusUnknown" : "NodeStatusNeverUpdated");
	json_set_text(arena, condition, "message",
	              present ? "Kubelet stopped posting node status." : "Kubelet never posted node status.");
	json_set_text(arena, condition, "lastHeartbeatTime",
	              present && present->last_heartbeat_time ? present->last_heartbeat_time
	                                                      : node->metadata.creation_timestamp);
	json_set_text(arena, condition, "lastTransitionTime", now);
	return condition;
}

static bool is_unknown(const struct core_v1_node *node, const char *type)
{
	const struct core_v1_node_condition *condition = node_condition(node, type);
	return condition && condition->status && strcmp(condition->status, "Unknown") == 0;
}

static void mark_unknown(struct reconcile *reconcile, const struct api_object *object)
{
	static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
	const struct core_v1_node *node = object->view;
	struct arena *arena = reconcile_arena(reconcile);
	struct json *patch = json_object(arena);
	struct json *list = json_ensure_array(arena, json_ensure_object(arena, patch, "status"), "conditions");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!is_unknown(node, types[i]))
			json_append(arena, list, unknown_condition(reconcile, node, types[i]));
	if (list->length)
		reconcile_patch(reconcile, object, "status", REST_STRATEGIC_MERGE_PATCH, patch, true, NULL, NULL);
}

// True when the node has been silent for too long; else it is due again in time.
static bool is_silent(struct reconcile *reconcile, const struct api_object *object)
{
	struct controller *controller = reconcile_controller(reconcile);
	const struct controller_settings *settings = controller_settings(controller);
	bool has_reported = node_condition(object->view, "Ready") != NULL;
	int64_t grace_ns =
	        has_reported ? settings->node_monitor_grace_period_ns : settings->node_startup_grace_period_ns;
	int64_t left_ns = health_of(controller, object->name)->seen_ns + grace_ns - now_ns(controller);
	if (left_ns <= 0)
		return true;
	reconcile_again_after(reconcile, left_ns);
	return false;
}

// --- its pods ------------------------------------------------------------------------------

static void mark_pod_not_ready(struct reconcile *reconcile, const struct api_object *pod)
{
	struct arena *arena = reconcile_arena(reconcile);
	char now[API_TIME_BYTES];
	api_time_format(loop_realtime_ns(controller_loop(reconcile_controller(reconcile))), now);
	struct json *patch = json_object(arena);
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", "Ready");
	json_set_text(arena, condition, "status", "False");
	json_set_text(arena, condition, "lastTransitionTime", now);
	json_append(arena, json_ensure_array(arena, json_ensure_object(arena, patch, "status"), "conditions"),
	            condition);
	reconcile_patch(reconcile, pod, "status", REST_STRATEGIC_MERGE_PATCH, patch, true, NULL, NULL);
	reconcile_event(reconcile, pod, "Warning", "NodeNotReady", "Node is not ready");
}

static void mark_pods_not_ready(struct node_lifecycle *state, struct reconcile *reconcile, const char *node)
{
	size_t count;
	struct api_object *const *pods = informer_by_index(state->pods, "node", node, &count);
	for (size_t i = 0; i < count; i++)
		if (pod_is_ready(pods[i]->view))
			mark_pod_not_ready(reconcile, pods[i]);
}

// --- taints --------------------------------------------------------------------------------

static bool some_node_is_ready(const struct node_lifecycle *state)
{
	struct api_object *object;
	for (size_t cursor = 0; (object = informer_next(state->nodes, &cursor)) != NULL;)
		if (node_readiness(object->view) == NODE_READY)
			return true;
	return false;
}

static bool has_eviction_taint(const struct core_v1_node *node)
{
	for (size_t i = 0; i < node->spec.taints.count; i++)
		if (taint_is(&node->spec.taints.items[i], TAINT_NOT_READY, "NoExecute") ||
		    taint_is(&node->spec.taints.items[i], TAINT_UNREACHABLE, "NoExecute"))
			return true;
	return false;
}

// Whether the node may have its NoExecute taint now; a node that must wait for its turn is due then.
static bool may_evict(struct controller *controller, struct reconcile *reconcile, const struct core_v1_node *node)
{
	struct node_lifecycle *state = controller_state(controller);
	if (node_readiness(node) == NODE_READY || !state->eviction_interval_ns || !some_node_is_ready(state))
		return false;
	// A node that never was up has no pods to evict; it has one when it carries the taint already.
	if (has_eviction_taint(node))
		return true;
	if (!node_condition(node, "Ready"))
		return false;
	int64_t wait_ns = state->next_eviction_ns - now_ns(controller);
	if (wait_ns > 0) {
		reconcile_again_after(reconcile, wait_ns);
		return false;
	}
	state->next_eviction_ns = now_ns(controller) + state->eviction_interval_ns;
	return true;
}

static void sync_taints(struct controller *controller, struct reconcile *reconcile, const struct api_object *object)
{
	struct arena *arena = reconcile_arena(reconcile);
	bool evict = may_evict(controller, reconcile, object->view);
	struct json *taints =
	        node_taints_wanted(arena, object->view, evict, loop_realtime_ns(controller_loop(controller)));
	if (!taints)
		return;
	struct json *patch = json_object(arena);
	json_set(arena, json_ensure_object(arena, patch, "spec"), "taints", taints->length ? taints : json_null(arena));
	reconcile_patch(reconcile, object, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void reconcile_node(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct node_lifecycle *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->nodes, key);
	if (!object)
		return;
	if (is_silent(reconcile, object) && node_readiness(object->view) != NODE_UNREACHABLE) {
		// Taints follow from the changed node, which comes back as an event.
		mark_unknown(reconcile, object);
		return;
	}
	sync_taints(controller, reconcile, object);
	if (node_readiness(object->view) != NODE_READY)
		mark_pods_not_ready(state, reconcile, object->name);
}

const struct controller_type node_lifecycle_controller = {
        .name = "node-lifecycle-controller",
        .concurrent_keys = 8,
        .start = start,
        .reconcile = reconcile_node,
        .stop = stop,
};
