// SPDX-License-Identifier: Apache-2.0
// Where a pod may run: tolerations, affinity, spread constraints, gates.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"

#define NO_SELECTOR_DETAIL "must not be specified when labelSelector is not set"

// --- tolerations ---------------------------------------------------------------------------------

static void validate_toleration(struct validation *v, const struct json *toleration, const struct rule_path *path)
{
	static const char *const operators[] = {"Equal", "Exists", NULL};
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	const char *key = text_of(toleration, "key"), *how = text_of(toleration, "operator");
	struct rule_path how_path = FIELD(path, "operator"), effect = FIELD(path, "effect");

	rule_text(v, toleration, "key", path, check_qualified_name);
	if (!key[0] && strcmp(how, "Exists"))
		validation_invalid_text(v, &how_path, how,
		                        "operator must be Exists when `key` is empty, which means \"match all values "
		                        "and all keys\"");
	if (is_present(json_get(toleration, "tolerationSeconds")) && !text_is(toleration, "effect", "NoExecute"))
		validation_invalid_text(v, &effect, text_of(toleration, "effect"),
		                        "effect must be 'NoExecute' when `tolerationSeconds` is set");
	if (!how[0] || !strcmp(how, "Equal"))
		rule_joined(v, &how_path, text_of(toleration, "value"), check_label_value);
	else if (!strcmp(how, "Exists") && text_of(toleration, "value")[0])
		validation_invalid_text(v, &how_path, text_of(toleration, "value"),
		                        "value must be empty when `operator` is 'Exists'");
	validation_one_of(v, &how_path, json_get(toleration, "operator"), false, operators);
	validation_one_of(v, &effect, json_get(toleration, "effect"), false, effects);
}

void validate_tolerations(struct validation *v, const struct json *tolerations, const struct rule_path *path)
{
	rule_for_each_item (toleration, entry, tolerations, path)
		validate_toleration(v, toleration, &entry);
}

// --- keys of labels that a selector takes over -----------------------------------------------------

static bool selector_names(const struct json *selector, const char *key)
{
	if (json_get(json_get(selector, "matchLabels"), key))
		return true;
	json_for_each_item (expression, json_get(selector, "matchExpressions"))
		if (text_is(expression, "key", key))
			return true;
	return false;
}

static void validate_label_keys(struct validation *v, const struct json *term, const char *member,
                                const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	if (!length_of(json_get(term, member)))
		return;
	if (!is_present(json_get(term, "labelSelector")))
		validation_forbidden(v, &path, NO_SELECTOR_DETAIL);
	else
		rule_texts(v, term, member, parent, check_qualified_name);
}

static int32_t index_of_text(const struct json *list, const char *text)
{
	for (uint32_t i = length_of(list); i > 0; i--)
		if (json_text(list->items[i - 1]) && !strcmp(json_text(list->items[i - 1]), text))
			return (int32_t)i - 1;
	return -1;
}

// A pod's creation adds an expression for each key of matchLabelKeys: the second one was the user's.
static void find_doubled_keys(struct validation *v, const struct json *term, const struct rule_path *path)
{
	const struct json *selector = json_get(term, "labelSelector"), *keys = json_get(term, "matchLabelKeys");
	const struct json *expressions = json_get(selector, "matchExpressions");

	for (uint32_t i = 0; i < length_of(expressions); i++) {
		const char *key = text_of(expressions->items[i], "key");
		int32_t at = index_of_text(keys, key);
		struct rule_path entry = FIELD_INDEX(path, (uint32_t)at);

		if (at >= 0 &&
		    (json_get(json_get(selector, "matchLabels"), key) || text_repeats(expressions, i, "key")))
			validation_invalid_text(v, &entry, key, "exists in both matchLabelKeys and labelSelector");
	}
}

// --- affinity --------------------------------------------------------------------------------------

static void validate_weight(struct validation *v, const struct json *term, const struct rule_path *path)
{
	struct rule_path weight = FIELD(path, "weight");
	int64_t value = integer_of(term, "weight", 0);

	if (value < 1 || value > 100)
		validation_invalid_integer(v, &weight, value, "must be in the range 1-100");
}

static void validate_node_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path required = FIELD(path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 preferred = FIELD(path, "preferredDuringSchedulingIgnoredDuringExecution");

	if (is_present(json_get(affinity, required.name)))
		validate_node_selector(v, json_get(affinity, required.name), true, &required);
	rule_for_each_item (term, entry, json_get(affinity, preferred.name), &preferred) {
		struct rule_path preference = FIELD(&entry, "preference");

		validate_weight(v, term, &entry);
		validate_node_term(v, json_get(term, "preference"), true, &preference);
	}
}

static void validate_pod_term(struct validation *v, const struct json *term, const struct rule_path *path)
{
	const struct json *keys = json_get(term, "matchLabelKeys");
	struct rule_path selector = FIELD(path, "labelSelector"), namespaces = FIELD(path, "namespaceSelector"),
	                 topology = FIELD(path, "topologyKey"), namespace_path = FIELD(path, "namespace"),
	                 keys_path = FIELD(path, "matchLabelKeys");

	validate_label_selector(v, json_get(term, "labelSelector"), &selector);
	validate_label_selector(v, json_get(term, "namespaceSelector"), &namespaces);
	json_for_each_item (name, json_get(term, "namespaces"))
		validation_string(v, &namespace_path, json_text(name) ? json_text(name) : "", check_dns_label);
	validate_label_keys(v, term, "matchLabelKeys", path);
	validate_label_keys(v, term, "mismatchLabelKeys", path);
	find_doubled_keys(v, term, path);
	rule_for_each_item (key, entry, keys, &keys_path)
		if (json_text(key) && list_has_text(json_get(term, "mismatchLabelKeys"), json_text(key)))
			validation_invalid_text(v, &entry, json_text(key),
			                        "exists in both matchLabelKeys and mismatchLabelKeys");
	if (!text_of(term, "topologyKey")[0])
		validation_required(v, &topology, "can not be empty");
	validation_string(v, &topology, text_of(term, "topologyKey"), check_qualified_name);
}

static void validate_pod_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path required = FIELD(path, "requiredDuringSchedulingIgnoredDuringExecution"),
	                 preferred = FIELD(path, "preferredDuringSchedulingIgnoredDuringExecution");

	rule_for_each_item (term, entry, json_get(affinity, required.name), &required)
		validate_pod_term(v, term, &entry);
	rule_for_each_item (term, entry, json_get(affinity, preferred.name), &preferred) {
		struct rule_path inner = FIELD(&entry, "podAffinityTerm");

		validate_weight(v, term, &entry);
		validate_pod_term(v, json_get(term, "podAffinityTerm"), &inner);
	}
}

static void validate_affinity(struct validation *v, const struct json *affinity, const struct rule_path *path)
{
	struct rule_path node = FIELD(path, "nodeAffinity"), pod = FIELD(path, "podAffinity"),
	                 anti = FIELD(path, "podAntiAffinity");

	validate_node_affinity(v, json_get(affinity, "nodeAffinity"), &node);
	validate_pod_affinity(v, json_get(affinity, "podAffinity"), &pod);
	validate_pod_affinity(v, json_get(affinity, "podAntiAffinity"), &anti);
}

// --- spreading -------------------------------------------------------------------------------------

static void validate_spread_keys(struct validation *v, const struct json *constraint, const struct rule_path *parent)
{
	const struct json *selector = json_get(constraint, "labelSelector"),
	                  *keys = json_get(constraint, "matchLabelKeys");
	struct rule_path path = FIELD(parent, "matchLabelKeys");

	if (length_of(keys) && !is_present(selector))
		validation_forbidden(v, &path, NO_SELECTOR_DETAIL);
	rule_for_each_item (key, entry, keys, &path) {
		const char *text = json_text(key) ? json_text(key) : "";

		validation_string(v, &entry, text, check_qualified_name);
		if (selector_names(selector, text))
			validation_invalid_text(v, &entry, text, "exists in both matchLabelKeys and labelSelector");
	}
}

static void validate_domains(struct validation *v, const struct json *constraint, const struct rule_path *parent)
{
	const struct json *minimum = json_get(constraint, "minDomains");
	struct rule_path path = FIELD(parent, "minDomains");

	if (!json_is(minimum, JSON_INTEGER))
		return;
	rule_at_least(v, constraint, "minDomains", parent, 1, NOT_POSITIVE_DETAIL);
	if (!text_is(constraint, "whenUnsatisfiable", "DoNotSchedule"))
		validation_invalid(v, &path, minimum,
		                   arena_printf(v->arena,
		                                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s",
		                                text_of(constraint, "whenUnsatisfiable")));
}

static bool repeats_later(const struct json *constraints, uint32_t index)
{
	const struct json *constraint = constraints->items[index];

	for (uint32_t i = index + 1; i < constraints->length; i++)
		if (text_is(constraints->items[i], "topologyKey", text_of(constraint, "topologyKey")) &&
		    text_is(constraints->items[i], "whenUnsatisfiable", text_of(constraint, "whenUnsatisfiable")))
			return true;
	return false;
}

static void validate_spread(struct validation *v, const struct json *constraints, uint32_t index,
                            const struct rule_path *path)
{
	static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	static const char *const policies[] = {"Honor", "Ignore", NULL};
	const struct json *constraint = constraints->items[index];
	const char *key = text_of(constraint, "topologyKey"), *action = text_of(constraint, "whenUnsatisfiable");
	struct rule_path skew = FIELD(path, "maxSkew"), key_path = FIELD(path, "topologyKey"),
	                 action_path = FIELD(path, "whenUnsatisfiable"), selector = FIELD(path, "labelSelector"),
	                 both = FIELD(path, "{topologyKey, whenUnsatisfiable}");

	if (integer_of(constraint, "maxSkew", 0) <= 0)
		validation_invalid_integer(v, &skew, integer_of(constraint, "maxSkew", 0), NOT_POSITIVE_DETAIL);
	if (!key[0])
		validation_required(v, &key_path, "can not be empty");
	else
		validation_string(v, &key_path, key, check_qualified_name);
	if (!is_one_of(action, actions))
		validation_not_supported(v, &action_path, action, actions);
	if (repeats_later(constraints, index))
		validation_duplicate(v, &both, json_string(v->arena, arena_printf(v->arena, "{%s, %s}", key, action)));
	validate_domains(v, constraint, path);
	rule_one_of(v, constraint, "nodeAffinityPolicy", path, false, policies);
	rule_one_of(v, constraint, "nodeTaintsPolicy", path, false, policies);
	validate_spread_keys(v, constraint, path);
	validate_label_selector(v, json_get(constraint, "labelSelector"), &selector);
}

// --- gates and the whole ---------------------------------------------------------------------------

static void validate_gates(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *gates = json_get(spec, "schedulingGates");
	struct rule_path readiness = FIELD(path, "readinessGates"), scheduling = FIELD(path, "schedulingGates");

	rule_for_each_item (gate, entry, json_get(spec, "readinessGates"), &readiness) {
		struct rule_path type = FIELD(&entry, "conditionType");

		validation_string(v, &type, text_of(gate, "conditionType"), check_qualified_name);
	}
	rule_for_each_item (gate, entry, gates, &scheduling) {
		validation_string(v, &entry, text_of(gate, "name"), check_qualified_name);
		if (text_repeats(gates, entry.index, "name"))
			validation_duplicate(v, &entry, json_get(gate, "name"));
	}
}

void validate_pod_scheduling(struct validation *v, const struct pod_scope *scope, const struct rule_path *path)
{
	const struct json *constraints = json_get(scope->spec, "topologySpreadConstraints");
	struct rule_path tolerations = FIELD(path, "tolerations"), affinity = FIELD(path, "affinity"),
	                 spreads = FIELD(path, "topologySpreadConstraints"), selector = FIELD(path, "nodeSelector");

	validate_labels(v, json_get(scope->spec, "nodeSelector"), &selector);
	validate_affinity(v, json_get(scope->spec, "affinity"), &affinity);
	validate_gates(v, scope->spec, path);
	for (uint32_t i = 0; i < length_of(constraints); i++) {
		struct rule_path entry = FIELD_INDEX(&spreads, i);

		validate_spread(v, constraints, i, &entry);
	}
	validate_tolerations(v, json_get(scope->spec, "tolerations"), &tolerations);
}
