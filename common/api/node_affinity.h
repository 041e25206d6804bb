// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which nodes a pod may run on by its own wishes: nodeSelector, required node
// affinity, and the taints that it tolerates.

#include <stdbool.h>

struct core_v1_node;
struct core_v1_pod_spec;
struct core_v1_taint;
struct core_v1_toleration;
struct core_v1_toleration_array;

// nodeSelector and the required node affinity together.
bool node_affinity_accepts(const struct core_v1_pod_spec *spec, const struct core_v1_node *node);

bool taint_is_tolerated_by(const struct core_v1_taint *taint, const struct core_v1_toleration *toleration);
bool taint_is_tolerated(const struct core_v1_taint *taint, const struct core_v1_toleration_array *tolerations);
bool taint_is(const struct core_v1_taint *taint, const char *key, const char *effect);
