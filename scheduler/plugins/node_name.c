// SPDX-License-Identifier: Apache-2.0
// A pod that names its node in the specification goes there or nowhere.

#include <string.h>

#include "scheduler/plugins/plugins.h"

static bool pre_filter(struct cycle *cycle, void **state)
{
	*state = NULL;
	const char *wanted = cycle->pod->pod->spec.node_name;
	return wanted && wanted[0];
}

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	(void)state;
	if (strcmp(cycle->pod->pod->spec.node_name, node->name) == 0)
		return FILTER_PASS;
	return filter_refuse(reasons, FILTER_REFUSE_FOR_EVER, "node(s) didn't match the requested node name");
}

const struct plugin plugin_node_name = {
        .name = "NodeName",
        .helped_by = EVENT_NODE_ADDED,
        .pre_filter = pre_filter,
        .filter = filter,
};
