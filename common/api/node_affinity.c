// SPDX-License-Identifier: Apache-2.0
//
// The rules of upstream's component-helpers/scheduling/corev1, for the scheduler
// and for the controllers that must foresee what it and the kubelet will say.
// Terms of a selector are alternatives; the requirements of a term all hold.
// Operators that nobody knows hold never, so that a typing error selects nothing.
#include "common/api/node_affinity.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/macros.h"
#include "common/base/text.h"

// --- requirements ------------------------------------------------------------------

static bool to_integer(const char *text, int64_t *ret_value)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || errno)
		return false;
	*ret_value = value;
	return true;
}

static bool is_in(const char *value, const struct string_array *values)
{
	return value && string_array_contains(values, value);
}

static bool is_not_in(const char *value, const struct string_array *values)
{
	return !is_in(value, values);
}

static bool exists(const char *value, const struct string_array *values)
{
	(void)values;
	return value != NULL;
}

static bool does_not_exist(const char *value, const struct string_array *values)
{
	(void)values;
	return value == NULL;
}

static bool both_integers(const char *value, const struct string_array *values, int64_t *ret_value, int64_t *ret_limit)
{
	return value && values->count == 1 && to_integer(value, ret_value) && to_integer(values->items[0], ret_limit);
}

static bool is_greater(const char *value, const struct string_array *values)
{
	int64_t number = 0;
	int64_t limit = 0;
	return both_integers(value, values, &number, &limit) && number > limit;
}

static bool is_less(const char *value, const struct string_array *values)
{
	int64_t number = 0;
	int64_t limit = 0;
	return both_integers(value, values, &number, &limit) && number < limit;
}

static const struct {
	const char *name;
	bool (*holds)(const char *value, const struct string_array *values);
} operators[] = {
        {"DoesNotExist", does_not_exist},
        {"Exists", exists},
        {"Gt", is_greater},
        {"In", is_in},
        {"Lt", is_less},
        {"NotIn", is_not_in},
};

// `value` NULL: the node has no such label.
static bool requirement_holds(const struct core_v1_node_selector_requirement *requirement, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (text_equal(requirement->operator, operators[i].name))
			return operators[i].holds(value, &requirement->values);
	return false;
}

// --- selectors ----------------------------------------------------------------------

bool node_selector_term_accepts(const struct core_v1_node_selector_term *term, const struct core_v1_node *node)
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
		if (!text_equal(requirement->key, "metadata.name") ||
		    !requirement_holds(requirement, node->metadata.name))
			return false;
	}
	return true;
}

static bool selector_accepts(const struct core_v1_node_selector *selector, const struct core_v1_node *node)
{
	for (size_t i = 0; i < selector->node_selector_terms.count; i++)
		if (node_selector_term_accepts(&selector->node_selector_terms.items[i], node))
			return true;
	return false;
}

bool node_affinity_accepts(const struct core_v1_pod_spec *spec, const struct core_v1_node *node)
{
	for (size_t i = 0; i < spec->node_selector.count; i++) {
		const char *value = string_map_get(&node->metadata.labels, spec->node_selector.entries[i].key);
		if (!value || !text_equal(value, spec->node_selector.entries[i].value))
			return false;
	}
	const struct core_v1_node_affinity *affinity = spec->affinity ? spec->affinity->node_affinity : NULL;
	const struct core_v1_node_selector *required =
	        affinity ? affinity->required_during_scheduling_ignored_during_execution : NULL;
	return !required || selector_accepts(required, node);
}

// --- taints -------------------------------------------------------------------------

bool taint_is(const struct core_v1_taint *taint, const char *key, const char *effect)
{
	return text_equal(taint->key, key) && text_equal(taint->effect, effect);
}

bool taint_has_effect(const struct core_v1_taint *taint, const char *effect)
{
	return text_equal(taint->effect, effect);
}

bool taints_equal(const struct core_v1_taint_array *a, const struct core_v1_taint_array *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!taint_is(&a->items[i], b->items[i].key, b->items[i].effect) ||
		    !text_equal(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

// An empty key or effect of a toleration stands for all of them.
bool taint_is_tolerated_by(const struct core_v1_taint *taint, const struct core_v1_toleration *toleration)
{
	if (!text_is_empty(toleration->effect) && !text_equal(toleration->effect, taint->effect))
		return false;
	if (!text_is_empty(toleration->key) && !text_equal(toleration->key, taint->key))
		return false;
	if (text_is_empty(toleration->operator) || text_equal(toleration->operator, "Equal"))
		return text_equal(toleration->value, taint->value);
	return text_equal(toleration->operator, "Exists");
}

bool taint_is_tolerated(const struct core_v1_taint *taint, const struct core_v1_toleration_array *tolerations)
{
	for (size_t i = 0; i < tolerations->count; i++)
		if (taint_is_tolerated_by(taint, &tolerations->items[i]))
			return true;
	return false;
}
