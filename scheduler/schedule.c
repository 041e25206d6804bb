// SPDX-License-Identifier: Apache-2.0
// Filtering stops as soon as enough nodes fit: all of them up to a hundred nodes,
// then a share that falls from 50 % to 5 % as clusters grow, as upstream does. The
// next cycle begins where this one ended.
//
// The message of a failure counts nodes by reason, since that is what people read:
//   0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}.

#include "scheduler/schedule.h"

#include <stdlib.h>
#include <string.h>

enum {
	FEW_NODES = 100,
	LEAST_PERCENTAGE = 5,
	MAX_PLUGINS = 64,
};

size_t schedule_enough_nodes(int percentage, size_t node_count)
{
	if (node_count < FEW_NODES || percentage >= 100)
		return node_count;
	if (percentage <= 0) {
		percentage = 50 - (int)(node_count / 125);
		if (percentage < LEAST_PERCENTAGE)
			percentage = LEAST_PERCENTAGE;
	}
	size_t enough = node_count * (size_t)percentage / 100;
	return enough < FEW_NODES ? FEW_NODES : enough;
}

// --- reasons ----------------------------------------------------------------------------

struct reason_count {
	const char *text;
	size_t nodes;
};

struct histogram {
	struct reason_count *items;
	size_t count;
	size_t capacity;
};

static void count_reason(struct arena *arena, struct histogram *histogram, const char *text, size_t nodes)
{
	for (size_t i = 0; i < histogram->count; i++) {
		if (histogram->items[i].text == text || strcmp(histogram->items[i].text, text) == 0) {
			histogram->items[i].nodes += nodes;
			return;
		}
	}
	if (histogram->count == histogram->capacity) {
		size_t capacity = histogram->capacity ? histogram->capacity * 2 : 8;
		histogram->items =
		        arena_realloc(arena, histogram->items, histogram->capacity * sizeof(histogram->items[0]),
		                      capacity * sizeof(histogram->items[0]));
		histogram->capacity = capacity;
	}
	histogram->items[histogram->count++] = (struct reason_count){.text = text, .nodes = nodes};
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Upstream sorts the finished texts, counts included.
static const char *failure_message(struct arena *arena, const struct histogram *histogram, size_t node_count)
{
	const char **texts = ARENA_ARRAY(arena, const char *, histogram->count + 1);
	for (size_t i = 0; i < histogram->count; i++)
		texts[i] = arena_printf(arena, "%zu %s", histogram->items[i].nodes, histogram->items[i].text);
	if (histogram->count)
		qsort(texts, histogram->count, sizeof(texts[0]), compare_texts);
	AUTO_STRBUF struct strbuf message = STRBUF_INIT(1 << 20);
	strbuf_printf(&message, "0/%zu nodes are available:", node_count);
	for (size_t i = 0; i < histogram->count; i++)
		strbuf_printf(&message, "%s %s", i ? "," : "", texts[i]);
	if (histogram->count)
		strbuf_append_char(&message, '.');
	return arena_strdup(arena, strbuf_text(&message));
}

// --- filtering ----------------------------------------------------------------------------

struct search {
	struct cycle *cycle;
	void *filter_states[MAX_PLUGINS];
	bool filter_skipped[MAX_PLUGINS];
	struct histogram reasons;
	uint64_t refused_by;
	struct node_info **feasible;
	size_t feasible_count;
	size_t evaluated_count;
	size_t restricting_plugin; // that set only_nodes
};

static uint64_t plugin_bit(size_t index)
{
	return UINT64_C(1) << index;
}

static void run_pre_filters(struct search *search)
{
	struct cycle *cycle = search->cycle;
	for (size_t i = 0; i < plugin_count && !cycle->impossible; i++) {
		bool was_restricted = cycle->only_nodes != NULL;
		if (!plugins[i]->filter ||
		    (plugins[i]->pre_filter && !plugins[i]->pre_filter(cycle, &search->filter_states[i])))
			search->filter_skipped[i] = true;
		if (cycle->only_nodes && !was_restricted)
			search->restricting_plugin = i;
		if (cycle->impossible)
			search->refused_by |= plugin_bit(i);
	}
}

static bool fits(struct search *search, const struct node_info *node)
{
	struct filter_reasons reasons = {.count = 0};
	for (size_t i = 0; i < plugin_count; i++) {
		if (search->filter_skipped[i] ||
		    plugins[i]->filter(search->cycle, search->filter_states[i], node, &reasons) == FILTER_PASS)
			continue;
		search->refused_by |= plugin_bit(i);
		for (size_t k = 0; k < reasons.count; k++)
			count_reason(search->cycle->arena, &search->reasons, reasons.texts[k], 1);
		return false;
	}
	return true;
}

static void try_node(struct search *search, struct node_info *node)
{
	search->evaluated_count++;
	if (fits(search, node))
		search->feasible[search->feasible_count++] = node;
}

static void filter_named_nodes(struct search *search)
{
	struct cycle *cycle = search->cycle;
	size_t node_count = cache_node_count(cycle->cache);
	search->feasible = ARENA_ARRAY(cycle->arena, struct node_info *, cycle->only_node_count + 1);
	for (size_t i = 0; i < cycle->only_node_count; i++) {
		struct node_info *node = cache_find_node(cycle->cache, cycle->only_nodes[i]);
		if (node)
			try_node(search, node);
	}
	if (search->evaluated_count == node_count)
		return;
	const char *text = arena_printf(cycle->arena, "node(s) didn't satisfy plugin(s) [%s]",
	                                plugins[search->restricting_plugin]->name);
	search->refused_by |= plugin_bit(search->restricting_plugin);
	count_reason(cycle->arena, &search->reasons, text, node_count - search->evaluated_count);
}

static void filter_nodes(struct search *search, struct schedule_policy *policy)
{
	const struct cache *cache = search->cycle->cache;
	size_t node_count = cache_node_count(cache);
	size_t enough = schedule_enough_nodes(policy->percentage_of_nodes, node_count);
	search->feasible = ARENA_ARRAY(search->cycle->arena, struct node_info *, enough + 1);
	size_t start = policy->next_node % node_count;
	while (search->evaluated_count < node_count && search->feasible_count < enough)
		try_node(search, cache_node_at(cache, (start + search->evaluated_count) % node_count));
	policy->next_node = (start + search->evaluated_count) % node_count;
}

// --- scoring -------------------------------------------------------------------------------

static void add_scores(struct search *search, const struct plugin *plugin, int64_t *totals)
{
	struct cycle *cycle = search->cycle;
	void *state = NULL;
	if (plugin->weight == 0 || (plugin->pre_score && !plugin->pre_score(cycle, &state)))
		return;
	int64_t *scores = ARENA_ARRAY(cycle->arena, int64_t, search->feasible_count);
	for (size_t i = 0; i < search->feasible_count; i++)
		scores[i] = plugin->score(cycle, state, search->feasible[i]);
	if (plugin->normalize)
		plugin->normalize(scores, search->feasible_count);
	for (size_t i = 0; i < search->feasible_count; i++)
		totals[i] += scores[i] * plugin->weight;
}

static uint64_t next_random(struct schedule_policy *policy)
{
	policy->random ^= policy->random << 13;
	policy->random ^= policy->random >> 7;
	policy->random ^= policy->random << 17;
	return policy->random;
}

static struct node_info *best_node(struct search *search, struct schedule_policy *policy)
{
	if (search->feasible_count <= 1)
		return search->feasible_count ? search->feasible[0] : NULL;
	int64_t *totals = ARENA_ARRAY(search->cycle->arena, int64_t, search->feasible_count);
	for (size_t i = 0; i < plugin_count; i++)
		add_scores(search, plugins[i], totals);
	size_t best = 0;
	size_t equals = 1;
	for (size_t i = 1; i < search->feasible_count; i++) {
		if (totals[i] > totals[best]) {
			best = i;
			equals = 1;
		} else if (totals[i] == totals[best] && next_random(policy) % ++equals == 0) {
			best = i;
		}
	}
	return search->feasible[best];
}

// --- the cycle -------------------------------------------------------------------------------

void schedule_pod(struct cycle *cycle, struct schedule_policy *policy, struct schedule_outcome *ret_outcome)
{
	struct search search = {.cycle = cycle};
	size_t node_count = cache_node_count(cycle->cache);
	*ret_outcome = (struct schedule_outcome){0};
	if (node_count == 0) {
		ret_outcome->message = "no nodes available to schedule pods";
		ret_outcome->refused_by = UINT64_MAX;
		return;
	}
	run_pre_filters(&search);
	if (cycle->impossible) {
		ret_outcome->message =
		        arena_printf(cycle->arena, "0/%zu nodes are available: %s.", node_count, cycle->impossible);
		ret_outcome->refused_by = search.refused_by;
		return;
	}
	if (cycle->only_nodes)
		filter_named_nodes(&search);
	else
		filter_nodes(&search, policy);
	ret_outcome->node = best_node(&search, policy);
	ret_outcome->evaluated_count = search.evaluated_count;
	ret_outcome->feasible_count = search.feasible_count;
	if (!ret_outcome->node) {
		ret_outcome->refused_by = search.refused_by;
		ret_outcome->message = failure_message(cycle->arena, &search.reasons, node_count);
	}
}
