// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a node's conditions say, and the taints that follow from them. Pure functions.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"

struct core_v1_node;
struct core_v1_node_condition;

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"

enum node_readiness {
	NODE_READY,
	NODE_NOT_READY,   // it says so itself, or has not said anything yet
	NODE_UNREACHABLE, // Unknown
};

// NULL = none.
const struct core_v1_node_condition *node_condition(const struct core_v1_node *node, const char *type);
enum node_readiness node_readiness(const struct core_v1_node *node);

// The taints as they should be: those with effect NoSchedule that mirror conditions and spec.unschedulable, and those
// with effect NoExecute of `readiness` when `evict`; all others stay. NULL when nothing changes.
struct json *node_taints_wanted(struct arena *arena, const struct core_v1_node *node, bool evict,
                                int64_t now_realtime_ns);
