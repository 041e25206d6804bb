// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a scheduling plug-in is: one file, one row of const functions. A cycle looks
// for a place for one pod; its arena and the plug-ins' states live as long as it.
//
// For each pod:   pre_filter of all  →  filter of all on each node, until one refuses
// If several fit: pre_score of all   →  score on each fitting node  →  normalize  →  weighted sum

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "scheduler/cache.h"
#include "scheduler/pod_info.h"

// What happens in the cluster that may help a refused pod. A plug-in names those that may help a pod of its own
// refusal.
enum cluster_event {
	EVENT_NODE_ADDED = 1 << 0,
	EVENT_NODE_ALLOCATABLE = 1 << 1,
	EVENT_NODE_LABELS = 1 << 2,
	EVENT_NODE_TAINTS = 1 << 3, // spec.taints and spec.unschedulable
	EVENT_NODE_CONDITION = 1 << 4,
	EVENT_POD_ADDED = 1 << 5,    // on some node
	EVENT_POD_LABELS = 1 << 6,   // of a pod on some node
	EVENT_POD_SHRUNK = 1 << 7,   // asks for less
	EVENT_POD_DELETED = 1 << 8,  // from some node
	EVENT_SELF_UPDATED = 1 << 9, // the waiting pod's own specification
	EVENT_ALL = (1 << 10) - 1,
};

enum filter_code {
	FILTER_PASS,
	FILTER_REFUSE,          // other pods leaving could change it
	FILTER_REFUSE_FOR_EVER, // preemption can't help
};

// Why one node was refused. Texts live as long as the cycle.
struct filter_reasons {
	const char *texts[16];
	size_t count;
};

// Adds a reason (beyond the sixteenth none) and returns the code.
enum filter_code filter_refuse(struct filter_reasons *reasons, enum filter_code code, const char *text);

struct cycle {
	struct arena *arena;
	const struct cache *cache;
	const struct pod_info *pod;
	// A pre_filter may restrict the cycle to nodes of these names (NULL = all nodes).
	const char **only_nodes;
	size_t only_node_count;
	const char *impossible; // a pre_filter says so: no node can ever do; the message for all
};

enum {
	SCORE_MAX = 100,
};

struct plugin {
	const char *name;
	unsigned helped_by; // of enum cluster_event
	int weight;         // of the score; 0 = it gives none
	// Prepares *state for the filter; false: every node passes, the filter isn't called. NULL = always called.
	bool (*pre_filter)(struct cycle *cycle, void **state);
	enum filter_code (*filter)(struct cycle *cycle, void *state, const struct node_info *node,
	                           struct filter_reasons *reasons);
	// The same for the score, with a state of its own.
	bool (*pre_score)(struct cycle *cycle, void **state);
	int64_t (*score)(struct cycle *cycle, void *state, const struct node_info *node);
	// Brings the scores into 0..SCORE_MAX; NULL = they are.
	void (*normalize)(int64_t *scores, size_t count);
};

// In the order of upstream's default profile; index = bit in masks of plug-ins.
extern const struct plugin *const plugins[];
extern const size_t plugin_count;

// Scales the largest score to SCORE_MAX; `reverse`: the smallest count is the best.
void normalize_scores(int64_t *scores, size_t count, bool reverse);
