// SPDX-License-Identifier: Apache-2.0
#include "common/api/node_affinity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"

static bool is_empty(const char *text)
{
	return !text || !*text;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool to_integer(const char *text, long long *ret_value)
{
	char *end;
	errno = 0;
	*ret_value = strtoll(text, &end, 10);
	return end != text && !*end && !errno;
}

// -1, 0 or 1 as `value` stands to the only listed number; 0 also when either is none.
static int compare_with_limit(const char *value, const struct string_array *values)
{
	long long number;
	long long limit;
	if (!value || values->count != 1 || !to_integer(value, &number) || !to_integer(values->items[0], &limit))
		return 0;
	return number < limit ? -1 : number > limit;
}

static bool requirement_holds(const struct core_v1_node_selector_requirement *requirement, const char *value)
{
	const char *operator= requirement->operator? requirement->operator: "";
	bool is_listed = value && string_array_contains(&requirement->values, value);
	if (strcmp(operator, "In") == 0)
		return is_listed;
	if (strcmp(operator, "NotIn") == 0)
		return !is_listed;
	if (strcmp(operator, "Exists") == 0)
		return value != NULL;
	if (strcmp(operator, "DoesNotExist") == 0)
		return value == NULL;
	if (strcmp(operator, "Gt") == 0)
		return compare_with_limit(value, &requirement->values) > 0;
	return strcmp(operator, "Lt") == 0 && compare_with_limit(value, &requirement->values) < 0;
}

static bool term_holds(const struct core_v1_node_selector_term *term, const struct core_v1_node *node)
{
	if (!term->match_expressions.count && !term->match_fields.count)
		return false;
	for (size_t i = 0; i < term->match_expressions.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_expressions.items[i];
		if (!requirement_holds(requirement, string_map_get(&node->metadata.labels, requirement->key)))
			return false;
	}
	for (size_t i = 0; i < term->match_fields.count; i++) {
		const struct core_v1_node_selector_requirement *requirement = &term->match_fields.items[i];
		if (!same_text(requirement->key, "metadata.name") ||
		    !requirement_holds(requirement, node->metadata.name))
			return false;
	}
	return true;
}

static bool selector_holds(const struct core_v1_node_selector *selector, const struct core_v1_node *node)
{
	for (size_t i = 0; i < selector->node_selector_terms.count; i++)
		if (term_holds(&selector->node_selector_terms.items[i], node))
			return true;
	return false;
}

bool node_affinity_accepts(const struct core_v1_pod_spec *spec, const struct core_v1_node *node)
{
	for (size_t i = 0; i < spec->node_selector.count; i++) {
		const char *value = string_map_get(&node->metadata.labels, spec->node_selector.entries[i].key);
		if (!value || !same_text(value, spec->node_selector.entries[i].value))
			return false;
	}
	const struct core_v1_node_affinity *affinity = spec->affinity ? spec->affinity->node_affinity : NULL;
	const struct core_v1_node_selector *required =
	        affinity ? affinity->required_during_scheduling_ignored_during_execution : NULL;
	return !required || selector_holds(required, node);
}

bool taint_is_tolerated_by(const struct core_v1_taint *taint, const struct core_v1_toleration *toleration)
{
	if (!is_empty(toleration->effect) && !same_text(toleration->effect, taint->effect))
		return false;
	if (!is_empty(toleration->key) && !same_text(toleration->key, taint->key))
		return false;
	if (is_empty(toleration->operator) || strcmp(toleration->operator, "Equal") == 0)
		return same_text(toleration->value, taint->value);
	return strcmp(toleration->operator, "Exists") == 0;
}

bool taint_is_tolerated(const struct core_v1_taint *taint, const struct core_v1_toleration_array *tolerations)
{
	for (size_t i = 0; i < tolerations->count; i++)
		if (taint_is_tolerated_by(taint, &tolerations->items[i]))
			return true;
	return false;
}

bool taint_is(const struct core_v1_taint *taint, const char *key, const char *effect)
{
	return same_text(taint->key, key) && same_text(taint->effect, effect);
}
