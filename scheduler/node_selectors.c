// SPDX-License-Identifier: Apache-2.0
#include "scheduler/node_selectors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/view.h"

static bool parse_integer(const char *text, int64_t *ret_value)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || errno)
		return false;
	*ret_value = value;
	return true;
}

static bool matches_in(const char *value, const struct string_array *values)
{
	return value && string_array_contains(values, value);
}

static bool matches_not_in(const char *value, const struct string_array *values)
{
	return !value || !string_array_contains(values, value);
}

static bool matches_exists(const char *value, const struct string_array *values)
{
	(void)values;
	return value != NULL;
}

static bool matches_does_not_exist(const char *value, const struct string_array *values)
{
	(void)values;
	return value == NULL;
}

static bool both_integers(const char *value, const struct string_array *values, int64_t *ret_value, int64_t *ret_limit)
{
	return value && values->count == 1 && parse_integer(value, ret_value) &&
	       parse_integer(values->items[0], ret_limit);
}

static bool matches_greater(const char *value, const struct string_array *values)
{
	int64_t number;
	int64_t limit;
	return both_integers(value, values, &number, &limit) && number > limit;
}

static bool matches_less(const char *value, const struct string_array *values)
{
	int64_t number;
	int64_t limit;
	return both_integers(value, values, &number, &limit) && number < limit;
}

static const struct {
	const char *name;
	bool (*matches)(const char *value, const struct string_array *values);
} operators[] = {
        {"In", matches_in},         {"NotIn", matches_not_in},
        {"Exists", matches_exists}, {"DoesNotExist", matches_does_not_exist},
        {"Gt", matches_greater},    {"Lt", matches_less},
};

static bool requirement_matches(const struct core_v1_node_selector_requirement *requirement, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (requirement->operator&& strcmp(operators[i].name, requirement->operator) == 0)
			return operators[i].matches(value, &requirement->values);
	return false;
}

bool node_selector_term_matches(const struct core_v1_node_selector_term *term, const struct node_info *node)
{
	if (term->match_expressions.count == 0 && term->match_fields.count == 0)
		return false;
	const struct string_map *labels = &node->node->metadata.labels;
	for (size_t i = 0; i < term->match_expressions.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_expressions.items[i];
		if (!requirement_matches(requirement, string_map_get(labels, requirement->key)))
			return false;
	}
	for (size_t i = 0; i < term->match_fields.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_fields.items[i];
		bool is_name = requirement->key && strcmp(requirement->key, "metadata.name") == 0;
		if (!is_name || !requirement_matches(requirement, node->name))
			return false;
	}
	return true;
}

bool node_selector_matches(const struct core_v1_node_selector *selector, const struct node_info *node)
{
	for (size_t i = 0; i < selector->node_selector_terms.count; i++)
		if (node_selector_term_matches(&selector->node_selector_terms.items[i], node))
			return true;
	return false;
}

static bool labels_contain(const struct string_map *labels, const struct string_map *wanted)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = string_map_get(labels, wanted->entries[i].key);
		if (!value || strcmp(value, wanted->entries[i].value) != 0)
			return false;
	}
	return true;
}

bool pod_accepts_node(const struct core_v1_pod *pod, const struct node_info *node)
{
	if (!labels_contain(&node->node->metadata.labels, &pod->spec.node_selector))
		return false;
	const struct core_v1_affinity *affinity = pod->spec.affinity;
	const struct core_v1_node_affinity *node_affinity = affinity ? affinity->node_affinity : NULL;
	const struct core_v1_node_selector *required =
	        node_affinity ? node_affinity->required_during_scheduling_ignored_during_execution : NULL;
	return !required || node_selector_matches(required, node);
}
