// SPDX-License-Identifier: Apache-2.0
#pragma once
// Node selectors: terms of expressions over labels and over the field metadata.name.

#include <stdbool.h>

#include "api/core_v1.h"
#include "scheduler/cache.h"

// Every requirement holds; a term without any selects nothing.
bool node_selector_term_matches(const struct core_v1_node_selector_term *term, const struct node_info *node);

// Some term matches.
bool node_selector_matches(const struct core_v1_node_selector *selector, const struct node_info *node);

// nodeSelector and the required node affinity together.
bool pod_accepts_node(const struct core_v1_pod *pod, const struct node_info *node);
