// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which nodes a pod may run on by its own wishes: nodeSelector, node affinity, and
// the taints that it tolerates. Texts that are absent count as empty ones.

#include <stdbool.h>

struct core_v1_node;
struct core_v1_node_selector_term;
struct core_v1_pod_spec;
struct core_v1_taint;
struct core_v1_taint_array;
struct core_v1_toleration;
struct core_v1_toleration_array;

// Every requirement of the term holds; a term without any accepts nothing.
bool node_selector_term_accepts(const struct core_v1_node_selector_term *term, const struct core_v1_node *node);

// nodeSelector and the required node affinity together.
bool node_affinity_accepts(const struct core_v1_pod_spec *spec, const struct core_v1_node *node);

bool taint_is(const struct core_v1_taint *taint, const char *key, const char *effect);
bool taint_has_effect(const struct core_v1_taint *taint, const char *effect);
// The same keys, values and effects in the same order.
bool taints_equal(const struct core_v1_taint_array *a, const struct core_v1_taint_array *b);

bool taint_is_tolerated_by(const struct core_v1_taint *taint, const struct core_v1_toleration *toleration);
// Some toleration of the list does.
bool taint_is_tolerated(const struct core_v1_taint *taint, const struct core_v1_toleration_array *tolerations);
