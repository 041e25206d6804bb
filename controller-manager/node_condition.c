// SPDX-License-Identifier: Apache-2.0
// Taints follow conditions as upstream's node lifecycle controller has it: each
// condition has its own taints, which are added and removed without touching those
// of others. NoExecute only when the caller has decided that pods shall leave.

#include "controller-manager/node_condition.h"

#include <string.h>

#include "api/core_v1.h"
#include "common/api/node_affinity.h"
#include "common/api/object.h"
#include "common/api/view.h"

// Conditions whose status becomes a taint; Ready and spec.unschedulable are handled beside.
static const struct {
	const char *condition;
	const char *key;
} mirrored[] = {
        {"MemoryPressure", "node.kubernetes.io/memory-pressure"},
        {"DiskPressure", "node.kubernetes.io/disk-pressure"},
        {"PIDPressure", "node.kubernetes.io/pid-pressure"},
        {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"},
};

#define TAINT_UNSCHEDULABLE "node.kubernetes.io/unschedulable"

const struct core_v1_node_condition *node_condition(const struct core_v1_node *node, const char *type)
{
	for (size_t i = 0; i < node->status.conditions.count; i++)
		if (node->status.conditions.items[i].type && strcmp(node->status.conditions.items[i].type, type) == 0)
			return &node->status.conditions.items[i];
	return NULL;
}

static bool condition_is(const struct core_v1_node *node, const char *type, const char *status)
{
	const struct core_v1_node_condition *condition = node_condition(node, type);
	return condition && condition->status && strcmp(condition->status, status) == 0;
}

enum node_readiness node_readiness(const struct core_v1_node *node)
{
	if (condition_is(node, "Ready", "True"))
		return NODE_READY;
	return condition_is(node, "Ready", "Unknown") ? NODE_UNREACHABLE : NODE_NOT_READY;
}

struct wanted_taint {
	const char *key;
	const char *effect;
	bool wanted;
};

enum { MAX_OWN_TAINTS = ARRAY_SIZE(mirrored) + 5 };

static size_t own_taints(const struct core_v1_node *node, bool evict, struct wanted_taint taints[MAX_OWN_TAINTS])
{
	enum node_readiness readiness = node_readiness(node);
	size_t count = 0;
	taints[count++] = (struct wanted_taint){TAINT_NOT_READY, "NoSchedule", readiness == NODE_NOT_READY};
	taints[count++] = (struct wanted_taint){TAINT_UNREACHABLE, "NoSchedule", readiness == NODE_UNREACHABLE};
	taints[count++] = (struct wanted_taint){TAINT_NOT_READY, "NoExecute", evict && readiness == NODE_NOT_READY};
	taints[count++] = (struct wanted_taint){TAINT_UNREACHABLE, "NoExecute", evict && readiness == NODE_UNREACHABLE};
	taints[count++] = (struct wanted_taint){TAINT_UNSCHEDULABLE, "NoSchedule", node->spec.unschedulable};
	for (size_t i = 0; i < ARRAY_SIZE(mirrored); i++)
		taints[count++] = (struct wanted_taint){mirrored[i].key, "NoSchedule",
		                                        condition_is(node, mirrored[i].condition, "True")};
	return count;
}

static const struct core_v1_taint *find_taint(const struct core_v1_node *node, const struct wanted_taint *wanted)
{
	for (size_t i = 0; i < node->spec.taints.count; i++)
		if (taint_is(&node->spec.taints.items[i], wanted->key, wanted->effect))
			return &node->spec.taints.items[i];
	return NULL;
}

static bool is_unwanted(const struct core_v1_taint *taint, const struct wanted_taint *own, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!own[i].wanted && taint_is(taint, own[i].key, own[i].effect))
			return true;
	return false;
}

static struct json *new_taint(struct arena *arena, const struct wanted_taint *wanted, int64_t now_ns)
{
	char time[API_TIME_BYTES];
	struct json *taint = json_object(arena);
	api_time_format(now_ns, time);
	json_set_text(arena, taint, "key", wanted->key);
	json_set_text(arena, taint, "effect", wanted->effect);
	json_set_text(arena, taint, "timeAdded", time);
	return taint;
}

struct json *node_taints_wanted(struct arena *arena, const struct core_v1_node *node, bool evict, int64_t now_ns)
{
	struct wanted_taint own[MAX_OWN_TAINTS];
	size_t count = own_taints(node, evict, own);
	struct json *list = json_array(arena);
	bool changed = false;
	for (size_t i = 0; i < node->spec.taints.count; i++) {
		const struct core_v1_taint *taint = &node->spec.taints.items[i];
		if (is_unwanted(taint, own, count))
			changed = true;
		else
			json_append(arena, list, view_to_json(arena, &schema_type_core_v1_taint, taint));
	}
	for (size_t i = 0; i < count; i++) {
		if (!own[i].wanted || find_taint(node, &own[i]))
			continue;
		changed = true;
		json_append(arena, list, new_taint(arena, &own[i], now_ns));
	}
	return changed ? list : NULL;
}
