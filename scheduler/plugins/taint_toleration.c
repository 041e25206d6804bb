// SPDX-License-Identifier: Apache-2.0
// Refuses nodes with a NoSchedule or NoExecute taint that the pod doesn't
// tolerate; prefers nodes with few PreferNoSchedule taints that it doesn't.

#include "common/api/node_affinity.h"
#include "common/base/text.h"
#include "scheduler/plugins/plugins.h"

static enum filter_code filter(struct cycle *cycle, void *state, const struct node_info *node,
                               struct filter_reasons *reasons)
{
	(void)state;
	const struct core_v1_taint_array *taints = &node->node->spec.taints;
	for (size_t i = 0; i < taints->count; i++) {
		const struct core_v1_taint *taint = &taints->items[i];
		if (!taint_has_effect(taint, "NoSchedule") && !taint_has_effect(taint, "NoExecute"))
			continue;
		if (taint_is_tolerated(taint, &cycle->pod->pod->spec.tolerations))
			continue;
		const char *text = arena_printf(cycle->arena, "node(s) had untolerated taint {%s: %s}",
		                                text_or_empty(taint->key), text_or_empty(taint->value));
		return filter_refuse(reasons, FILTER_REFUSE_FOR_EVER, text);
	}
	return FILTER_PASS;
}

// The tolerations that may speak of PreferNoSchedule.
static bool pre_score(struct cycle *cycle, void **state)
{
	const struct core_v1_toleration_array *all = &cycle->pod->pod->spec.tolerations;
	struct core_v1_toleration_array *soft = ARENA_NEW(cycle->arena, struct core_v1_toleration_array);
	soft->items = ARENA_ARRAY(cycle->arena, struct core_v1_toleration, all->count + 1);
	for (size_t i = 0; i < all->count; i++) {
		const struct core_v1_toleration *toleration = &all->items[i];
		if (text_is_empty(toleration->effect) || text_equal(toleration->effect, "PreferNoSchedule"))
			soft->items[soft->count++] = *toleration;
	}
	*state = soft;
	return true;
}

static int64_t score(struct cycle *cycle, void *state, const struct node_info *node)
{
	(void)cycle;
	const struct core_v1_toleration_array *tolerations = state;
	const struct core_v1_taint_array *taints = &node->node->spec.taints;
	int64_t intolerable = 0;
	for (size_t i = 0; i < taints->count; i++)
		if (taint_has_effect(&taints->items[i], "PreferNoSchedule") &&
		    !taint_is_tolerated(&taints->items[i], tolerations))
			intolerable++;
	return intolerable;
}

static void normalize(int64_t *scores, size_t count)
{
	normalize_scores(scores, count, true);
}

const struct plugin plugin_taint_toleration = {
        .name = "TaintToleration",
        .helped_by = EVENT_NODE_ADDED | EVENT_NODE_TAINTS | EVENT_SELF_UPDATED,
        .weight = 3,
        .filter = filter,
        .pre_score = pre_score,
        .score = score,
        .normalize = normalize,
};
