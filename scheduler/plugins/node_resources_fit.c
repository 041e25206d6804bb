// SPDX-License-Identifier: Apache-2.0
// A node must have room for what the pod asks for; among those that have, the
// emptiest is best (upstream's LeastAllocated strategy over CPU and memory).

#include "scheduler/plugins/plugins.h"

static bool is_short(int64_t asked, int64_t allocatable, int64_t requested)
{
	return asked > 0 && asked > allocatable - requested;
}

struct shortage {
	struct filter_reasons *reasons;
	enum filter_code code;
};

static void check(struct shortage *shortage, const char *text, int64_t asked, int64_t allocatable, int64_t requested)
{
	if (!is_short(asked, allocatable, requested))
		return;
	// More than the node has at all: nobody's leaving could help.
	if (asked > allocatable)
		shortage->code = FILTER_REFUSE_FOR_EVER;
	else if (shortage->code == FILTER_PASS)
		shortage->code = FILTER_REFUSE;
	(void)filter_refuse(shortage->reasons, FILTER_REFUSE, text);
}

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	(void)state;
	const struct resources *asked = &cycle->pod->requests;
	struct shortage shortage = {.reasons = reasons, .code = FILTER_PASS};
	if ((int64_t)node->pod_count + 1 > node->allowed_pods) {
		shortage.code = FILTER_REFUSE;
		(void)filter_refuse(reasons, FILTER_REFUSE, "Too many pods");
	}
	check(&shortage, "Insufficient cpu", asked->milli_cpu, node->allocatable.milli_cpu, node->requested.milli_cpu);
	check(&shortage, "Insufficient memory", asked->memory_bytes, node->allocatable.memory_bytes,
	      node->requested.memory_bytes);
	check(&shortage, "Insufficient ephemeral-storage", asked->ephemeral_storage_bytes,
	      node->allocatable.ephemeral_storage_bytes, node->requested.ephemeral_storage_bytes);
	for (size_t i = 0; i < asked->scalar_count; i++) {
		const struct scalar_resource *scalar = &asked->scalars[i];
		int64_t allocatable = resources_scalar(&node->allocatable, scalar->name);
		int64_t requested = resources_scalar(&node->requested, scalar->name);
		if (is_short(scalar->value, allocatable, requested))
			check(&shortage, arena_printf(cycle->arena, "Insufficient %s", scalar->name), scalar->value,
			      allocatable, requested);
	}
	return shortage.code;
}

static int64_t free_share(int64_t requested, int64_t allocatable)
{
	return requested > allocatable ? 0 : (int64_t)((__int128)(allocatable - requested) * SCORE_MAX / allocatable);
}

static int64_t score(struct cycle *cycle, void *state, const struct node_info *node)
{
	(void)state;
	const struct nonzero_requests *asked = &cycle->pod->nonzero;
	int64_t sum = 0;
	int64_t parts = 0;
	if (node->allocatable.milli_cpu > 0) {
		sum += free_share(node->nonzero.milli_cpu + asked->milli_cpu, node->allocatable.milli_cpu);
		parts++;
	}
	if (node->allocatable.memory_bytes > 0) {
		sum += free_share(node->nonzero.memory_bytes + asked->memory_bytes, node->allocatable.memory_bytes);
		parts++;
	}
	return parts ? sum / parts : 0;
}

const struct plugin plugin_node_resources_fit = {
        .name = "NodeResourcesFit",
        .helped_by =
                EVENT_NODE_ADDED | EVENT_NODE_ALLOCATABLE | EVENT_POD_DELETED | EVENT_POD_SHRUNK | EVENT_SELF_UPDATED,
        .weight = 1,
        .filter = filter,
        .score = score,
};
