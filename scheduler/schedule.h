// SPDX-License-Identifier: Apache-2.0
#pragma once
// One scheduling cycle: from a pod and the cache to a node, or to the reason why
// there is none. Pure: it changes neither.

#include <stddef.h>
#include <stdint.h>

#include "scheduler/framework.h"

struct schedule_policy {
	int percentage_of_nodes; // to look for before scoring; 0 = by the cluster's size
	size_t next_node;        // where the next cycle begins, so that all nodes get their turn
	uint64_t random;         // state of the choice among equals
};

struct schedule_outcome {
	struct node_info *node; // NULL = none
	const char *message;    // why none, in the cycle's arena; NULL otherwise
	uint64_t refused_by;    // the plug-ins that did, by index
	size_t evaluated_count;
	size_t feasible_count;
};

// The cycle's arena, cache and pod are set; the rest is made here.
void schedule_pod(struct cycle *cycle, struct schedule_policy *policy, struct schedule_outcome *ret_outcome);

// How many fitting nodes are enough among `node_count`.
size_t schedule_enough_nodes(int percentage, size_t node_count);
