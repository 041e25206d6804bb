// SPDX-License-Identifier: Apache-2.0
// nodeSelector and node affinity: refuses nodes that don't match what is required,
// prefers those that match what is preferred.
//
// Pods of a DaemonSet require a node by metadata.name. When every required term
// does so, the cycle looks at those nodes alone, however many there are.

#include <string.h>

#include "common/api/node_affinity.h"
#include "common/base/text.h"
#include "scheduler/plugins/plugins.h"

static const struct core_v1_node_affinity *affinity_of(const struct cycle *cycle)
{
	const struct core_v1_affinity *affinity = cycle->pod->pod->spec.affinity;
	return affinity ? affinity->node_affinity : NULL;
}

static const struct core_v1_node_selector *required_of(const struct cycle *cycle)
{
	const struct core_v1_node_affinity *affinity = affinity_of(cycle);
	return affinity ? affinity->required_during_scheduling_ignored_during_execution : NULL;
}

struct name_set {
	const char **items;
	size_t count;
};

static bool contains_name(const struct name_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->items[i], name) == 0)
			return true;
	return false;
}

// The names that a term allows by "metadata.name In (…)"; false: it doesn't speak of names.
static bool names_of_term(struct arena *arena, const struct core_v1_node_selector_term *term,
                          struct name_set *ret_names)
{
	bool found = false;
	for (size_t i = 0; i < term->match_fields.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_fields.items[i];
		if (!text_equal(requirement->key, "metadata.name") || !text_equal(requirement->operator, "In"))
			continue;
		struct name_set kept = {.items = ARENA_ARRAY(arena, const char *, requirement->values.count + 1)};
		for (size_t k = 0; k < requirement->values.count; k++)
			if (!found || contains_name(ret_names, requirement->values.items[k]))
				kept.items[kept.count++] = requirement->values.items[k];
		*ret_names = kept;
		found = true;
	}
	return found;
}

static void add_names(struct arena *arena, struct name_set *all, const struct name_set *more)
{
	const char **items = ARENA_ARRAY(arena, const char *, all->count + more->count + 1);
	if (all->count)
		memcpy(items, all->items, all->count * sizeof(items[0]));
	all->items = items;
	for (size_t i = 0; i < more->count; i++)
		if (!contains_name(all, more->items[i]))
			all->items[all->count++] = more->items[i];
}

static void restrict_nodes(struct cycle *cycle, const struct core_v1_node_selector *required)
{
	struct name_set all = {0};
	for (size_t i = 0; i < required->node_selector_terms.count; i++) {
		struct name_set names = {0};
		if (!names_of_term(cycle->arena, &required->node_selector_terms.items[i], &names))
			return;
		add_names(cycle->arena, &all, &names);
	}
	if (required->node_selector_terms.count == 0)
		return;
	if (all.count == 0)
		cycle->impossible = "pod affinity terms conflict";
	cycle->only_nodes = all.items;
	cycle->only_node_count = all.count;
}

static bool pre_filter(struct cycle *cycle, void **state)
{
	*state = NULL;
	const struct core_v1_node_selector *required = required_of(cycle);
	if (required)
		restrict_nodes(cycle, required);
	return required || cycle->pod->pod->spec.node_selector.count > 0;
}

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	(void)state;
	if (node_affinity_accepts(&cycle->pod->pod->spec, node->node))
		return FILTER_PASS;
	return filter_refuse(reasons, FILTER_REFUSE_FOR_EVER, "node(s) didn't match Pod's node affinity/selector");
}

static bool pre_score(struct cycle *cycle, void **state)
{
	*state = NULL;
	const struct core_v1_node_affinity *affinity = affinity_of(cycle);
	return affinity && affinity->preferred_during_scheduling_ignored_during_execution.count > 0;
}

static int64_t score(struct cycle *cycle, void *state, const struct node_info *node)
{
	(void)state;
	const struct core_v1_preferred_scheduling_term_array *terms =
	        &affinity_of(cycle)->preferred_during_scheduling_ignored_during_execution;
	int64_t sum = 0;
	for (size_t i = 0; i < terms->count; i++)
		if (terms->items[i].weight && node_selector_term_accepts(&terms->items[i].preference, node->node))
			sum += terms->items[i].weight;
	return sum;
}

static void normalize(int64_t *scores, size_t count)
{
	normalize_scores(scores, count, false);
}

const struct plugin plugin_node_affinity = {
        .name = "NodeAffinity",
        .helped_by = EVENT_NODE_ADDED | EVENT_NODE_LABELS,
        .weight = 2,
        .pre_filter = pre_filter,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
};
