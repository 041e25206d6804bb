// SPDX-License-Identifier: Apache-2.0
// Cordoned nodes take only pods that tolerate node.kubernetes.io/unschedulable.

#include "common/api/node_affinity.h"
#include "scheduler/plugins/plugins.h"

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	static const struct core_v1_taint cordon = {.key = "node.kubernetes.io/unschedulable", .effect = "NoSchedule"};
	(void)state;
	if (!node->node->spec.unschedulable || taint_is_tolerated(&cordon, &cycle->pod->pod->spec.tolerations))
		return FILTER_PASS;
	return filter_refuse(reasons, FILTER_REFUSE_FOR_EVER, "node(s) were unschedulable");
}

const struct plugin plugin_node_unschedulable = {
        .name = "NodeUnschedulable",
        .helped_by = EVENT_NODE_ADDED | EVENT_NODE_TAINTS | EVENT_SELF_UPDATED,
        .filter = filter,
};
