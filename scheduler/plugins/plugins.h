// SPDX-License-Identifier: Apache-2.0
#pragma once
// The rows of all plug-ins, one from each file of this folder.

#include "scheduler/framework.h"

extern const struct plugin plugin_image_locality;
extern const struct plugin plugin_node_affinity;
extern const struct plugin plugin_node_name;
extern const struct plugin plugin_node_ports;
extern const struct plugin plugin_node_resources_balanced_allocation;
extern const struct plugin plugin_node_resources_fit;
extern const struct plugin plugin_node_unschedulable;
extern const struct plugin plugin_taint_toleration;
