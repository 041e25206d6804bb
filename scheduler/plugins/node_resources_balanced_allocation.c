// SPDX-License-Identifier: Apache-2.0
// Prefers nodes whose CPU and memory would be used to about the same share, so
// that neither runs out while the other lies idle. Pods that ask for neither
// change nothing and are not judged.

#include "scheduler/plugins/plugins.h"

static bool pre_score(struct cycle *cycle, void **state)
{
	*state = NULL;
	return cycle->pod->requests.milli_cpu > 0 || cycle->pod->requests.memory_bytes > 0;
}

static double share(int64_t requested, int64_t allocatable)
{
	double fraction = (double)requested / (double)allocatable;
	return fraction > 1 ? 1 : fraction;
}

static int64_t score(struct cycle *cycle, void *state, const struct node_info *node)
{
	(void)state;
	const struct resources *asked = &cycle->pod->requests;
	// With one of the two there is nothing to balance: no deviation.
	if (node->allocatable.milli_cpu <= 0 || node->allocatable.memory_bytes <= 0)
		return SCORE_MAX;
	double cpu = share(node->requested.milli_cpu + asked->milli_cpu, node->allocatable.milli_cpu);
	double memory = share(node->requested.memory_bytes + asked->memory_bytes, node->allocatable.memory_bytes);
	double deviation = (cpu > memory ? cpu - memory : memory - cpu) / 2;
	return (int64_t)((1 - deviation) * SCORE_MAX);
}

const struct plugin plugin_node_resources_balanced_allocation = {
        .name = "NodeResourcesBalancedAllocation",
        .weight = 1,
        .pre_score = pre_score,
        .score = score,
};
