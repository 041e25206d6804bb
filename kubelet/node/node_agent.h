// SPDX-License-Identifier: Apache-2.0
#pragma once
// The node's own object in the API: registration, lease, status.

struct kubelet;
struct node_agent;

struct node_agent *node_agent_new(struct kubelet *kubelet);
struct node_agent *node_agent_free(struct node_agent *agent);
// Something about the node has changed: the status is looked at again at once. Accepts NULL.
void node_agent_wake(struct node_agent *agent);
// The uid of the Node object; NULL while it isn't known. Accepts NULL.
const char *node_agent_uid(const struct node_agent *agent);
