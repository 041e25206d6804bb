// SPDX-License-Identifier: Apache-2.0
// A host port is free on a node unless a pod there has the same port and protocol
// on the same address, or either of the two is on all addresses.

#include <string.h>

#include "scheduler/plugins/plugins.h"

static bool is_any(const char *ip)
{
	return strcmp(ip, "0.0.0.0") == 0;
}

static bool conflicts(const struct host_port *a, const struct host_port *b)
{
	return a->port == b->port && strcmp(a->protocol, b->protocol) == 0 &&
	       (is_any(a->ip) || is_any(b->ip) || strcmp(a->ip, b->ip) == 0);
}

static bool pod_conflicts(const struct pod_info *present, const struct pod_info *wanted)
{
	for (size_t i = 0; i < present->port_count; i++)
		for (size_t k = 0; k < wanted->port_count; k++)
			if (conflicts(&present->ports[i], &wanted->ports[k]))
				return true;
	return false;
}

static bool pre_filter(struct cycle *cycle, void **state)
{
	*state = NULL;
	return cycle->pod->port_count > 0;
}

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	(void)state;
	for (size_t i = 0; i < node->pod_count; i++)
		if (node->pods[i]->port_count && pod_conflicts(node->pods[i], cycle->pod))
			return filter_refuse(reasons, FILTER_REFUSE,
			                     "node(s) didn't have free ports for the requested pod ports");
	return FILTER_PASS;
}

const struct plugin plugin_node_ports = {
        .name = "NodePorts",
        .helped_by = EVENT_NODE_ADDED | EVENT_POD_DELETED,
        .pre_filter = pre_filter,
        .filter = filter,
};
