// SPDX-License-Identifier: Apache-2.0
// Only what may help a waiting pod is compared. Nodes post heartbeats every few
// seconds: were each of these an event, all waiting pods would be tried again.

#include "scheduler/changes.h"

#include <string.h>

#include "common/api/node_affinity.h"
#include "common/api/view.h"
#include "common/base/text.h"
#include "scheduler/framework.h"

// Heartbeats change times, and those don't count.
static bool same_conditions(const struct core_v1_node_condition_array *a, const struct core_v1_node_condition_array *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!text_equal(a->items[i].type, b->items[i].type) ||
		    !text_equal(a->items[i].status, b->items[i].status))
			return false;
	return true;
}

unsigned node_change_events(const struct core_v1_node *before, const struct core_v1_node *after)
{
	unsigned events = 0;
	if (!string_map_equal(&before->status.allocatable, &after->status.allocatable))
		events |= EVENT_NODE_ALLOCATABLE;
	if (!string_map_equal(&before->metadata.labels, &after->metadata.labels))
		events |= EVENT_NODE_LABELS;
	if (!taints_equal(&before->spec.taints, &after->spec.taints) ||
	    before->spec.unschedulable != after->spec.unschedulable)
		events |= EVENT_NODE_TAINTS;
	if (!same_conditions(&before->status.conditions, &after->status.conditions))
		events |= EVENT_NODE_CONDITION;
	return events;
}

static bool asks_less(const struct resources *before, const struct resources *after)
{
	if (after->milli_cpu < before->milli_cpu || after->memory_bytes < before->memory_bytes ||
	    after->ephemeral_storage_bytes < before->ephemeral_storage_bytes)
		return true;
	for (size_t i = 0; i < before->scalar_count; i++)
		if (resources_scalar(after, before->scalars[i].name) < before->scalars[i].value)
			return true;
	return false;
}

unsigned pod_change_events(const struct pod_info *before, const struct pod_info *after)
{
	unsigned events = 0;
	if (asks_less(&before->requests, &after->requests))
		events |= EVENT_POD_SHRUNK;
	if (!string_map_equal(&before->pod->metadata.labels, &after->pod->metadata.labels))
		events |= EVENT_POD_LABELS;
	return events;
}

const char *cluster_event_name(unsigned events)
{
	static const struct {
		unsigned event;
		const char *name;
	} names[] = {
	        {EVENT_NODE_ADDED, "NodeAdd"},
	        {EVENT_NODE_ALLOCATABLE, "NodeAllocatableChange"},
	        {EVENT_NODE_LABELS, "NodeLabelChange"},
	        {EVENT_NODE_TAINTS, "NodeTaintChange"},
	        {EVENT_NODE_CONDITION, "NodeConditionChange"},
	        {EVENT_POD_ADDED, "AssignedPodAdd"},
	        {EVENT_POD_DELETED, "AssignedPodDelete"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (events & names[i].event)
			return names[i].name;
	return "AssignedPodUpdate";
}
