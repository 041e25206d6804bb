// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which objects a node's own pods use. Any thread may ask; one thread writes.

#include <stdbool.h>

#include "common/api/json.h"

enum node_graph_kind {
	NODE_GRAPH_POD,
	NODE_GRAPH_SECRET,
	NODE_GRAPH_CONFIG_MAP,
	NODE_GRAPH_CLAIM, // PersistentVolumeClaim
	NODE_GRAPH_VOLUME,
	NODE_GRAPH_ATTACHMENT,
	NODE_GRAPH_SERVICE_ACCOUNT,
	NODE_GRAPH_RESOURCE_CLAIM,
};

struct node_graph;

struct node_graph *node_graph_new(void);
struct node_graph *node_graph_free(struct node_graph *graph);

// The object as it is now; a pod without a node is nowhere.
void node_graph_put_pod(struct node_graph *graph, const char *namespace_name, const char *name, const struct json *pod);
void node_graph_remove_pod(struct node_graph *graph, const char *namespace_name, const char *name);
void node_graph_put_volume(struct node_graph *graph, const char *name, const struct json *volume);
void node_graph_remove_volume(struct node_graph *graph, const char *name);
void node_graph_put_attachment(struct node_graph *graph, const char *name, const struct json *attachment);
void node_graph_remove_attachment(struct node_graph *graph, const char *name);

// Forgets all of one kind of source (NODE_GRAPH_POD, _VOLUME, _ATTACHMENT): a new list follows.
void node_graph_forget(struct node_graph *graph, enum node_graph_kind source);

// Whether the node may see the object; `namespace_name` "" for cluster scope.
bool node_graph_reaches(struct node_graph *graph, const char *node, enum node_graph_kind kind,
                        const char *namespace_name, const char *name);
