// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a change of a node or of a placed pod means to waiting pods, as enum cluster_event.

#include "api/core_v1.h"
#include "scheduler/pod_info.h"

unsigned node_change_events(const struct core_v1_node *before, const struct core_v1_node *after);
unsigned pod_change_events(const struct pod_info *before, const struct pod_info *after);
// The metrics' name of one event out of a set.
const char *cluster_event_name(unsigned events);
