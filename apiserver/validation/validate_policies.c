// SPDX-License-Identifier: Apache-2.0
// Small kinds: priority and runtime classes, disruption budgets, leases.

#include <string.h>

#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/validate_pod.h"

#define SYSTEM_PREFIX "system-"
#define PRIORITY_MAX 1000000000

// --- priority classes ------------------------------------------------------------------------------

static const struct {
	const char *name;
	int64_t value;
} system_classes[] = {{"system-cluster-critical", 2000000000}, {"system-node-critical", 2000001000}};

static void validate_system_class(struct validation *v, const char *name, const struct json *object)
{
	struct rule_path metadata = FIELD(NULL, "metadata"), path = FIELD(&metadata, "name");
	const char *why = arena_printf(v->arena, "%s is not a known system priority class", name);

	for (size_t i = 0; i < ARRAY_SIZE(system_classes); i++) {
		if (strcmp(system_classes[i].name, name))
			continue;
		if (integer_of(object, "value", 0) != system_classes[i].value)
			why = arena_printf(v->arena, "value of %s PriorityClass must be %lld", name,
			                   (long long)system_classes[i].value);
		else if (json_get_bool(object, "globalDefault", false))
			why = arena_printf(v->arena, "globalDefault of %s PriorityClass must be false", name);
		else
			return;
	}
	validation_forbidden(v, &path,
	                     arena_printf(v->arena,
	                                  "priority class names with '" SYSTEM_PREFIX
	                                  "' prefix are reserved for system use only. error: %s",
	                                  why));
}

void validate_priority_class(struct validation *v)
{
	static const char *const policies[] = {"PreemptLowerPriority", "Never", NULL};
	const struct json *object = v->change->object, *old = v->change->old;
	const char *name = v->change->name ? v->change->name : "";
	struct rule_path value = FIELD(NULL, "value");

	if (old) {
		if (integer_of(old, "value", 0) != integer_of(object, "value", 0))
			validation_forbidden(v, &value, "may not be changed in an update.");
		rule_immutable(v, object, old, "preemptionPolicy", NULL);
		return;
	}
	if (!strncmp(name, SYSTEM_PREFIX, strlen(SYSTEM_PREFIX)))
		validate_system_class(v, name, object);
	else if (integer_of(object, "value", 0) > PRIORITY_MAX)
		validation_forbidden(v, &value, "maximum allowed value of a user defined priority is 1000000000");
	if (json_text(json_get(object, "preemptionPolicy")))
		rule_one_of(v, object, "preemptionPolicy", NULL, true, policies);
}

// --- runtime classes -------------------------------------------------------------------------------

static bool same_toleration(const struct json *a, const struct json *b)
{
	static const char *const members[] = {"key", "operator", "value", "effect"};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!text_is(a, members[i], text_of(b, members[i])))
			return false;
	return true;
}

void validate_runtime_class(struct validation *v)
{
	const struct json *object = v->change->object, *overhead = json_path(object, "overhead", "podFixed");
	const struct json *scheduling = json_get(object, "scheduling"),
	                  *tolerations = json_get(scheduling, "tolerations");
	struct rule_path handler = FIELD(NULL, "handler"), overhead_path = FIELD(NULL, "overhead"),
	                 path = FIELD(NULL, "scheduling"), selector = FIELD(&path, "nodeSelector"),
	                 list = FIELD(&path, "tolerations");
	struct json *requirements = json_object(v->arena);

	if (v->change->old) {
		rule_immutable(v, object, v->change->old, "handler", NULL);
		return;
	}
	validation_string(v, &handler, text_of(object, "handler"), check_dns_label);
	if (overhead) {
		json_set(v->arena, requirements, "limits", json_clone(v->arena, overhead));
		validate_resource_requirements(v, requirements, NULL, &overhead_path);
	}
	validate_labels(v, json_get(scheduling, "nodeSelector"), &selector);
	validate_tolerations(v, tolerations, &list);
	for (uint32_t i = 0; i < length_of(tolerations); i++)
		for (uint32_t before = 0; before < i; before++)
			if (same_toleration(tolerations->items[before], tolerations->items[i])) {
				struct rule_path entry = FIELD_INDEX(&list, i);

				validation_duplicate(v, &entry, tolerations->items[i]);
				break;
			}
}

// --- disruption budgets ----------------------------------------------------------------------------

static void validate_budget_status(struct validation *v)
{
	static const char *const counters[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy",
	                                       "expectedPods"};
	const struct json *status = json_get(v->change->object, "status");
	struct rule_path path = FIELD(NULL, "status"), conditions = FIELD(&path, "conditions");

	rule_conditions(v, json_get(status, "conditions"), &conditions);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		rule_not_negative(v, status, counters[i], &path);
}

void validate_pod_disruption_budget(struct validation *v)
{
	static const char *const policies[] = {"AlwaysAllow", "IfHealthyBudget", NULL};
	static const char *const amounts[] = {"minAvailable", "maxUnavailable"};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), selector = FIELD(&path, "selector");

	if (!strcmp(v->change->subresource, "status")) {
		validate_budget_status(v);
		return;
	}
	if (is_present(json_get(spec, "minAvailable")) && is_present(json_get(spec, "maxUnavailable")))
		validation_invalid(v, &path, spec, "minAvailable and maxUnavailable cannot be both set");
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
		struct rule_path amount = FIELD(&path, amounts[i]);

		rule_amount(v, json_get(spec, amounts[i]), &amount);
		rule_not_over_100_percent(v, json_get(spec, amounts[i]), &amount);
	}
	validate_label_selector(v, json_get(spec, "selector"), &selector);
	rule_one_of(v, spec, "unhealthyPodEvictionPolicy", &path, false, policies);
}

// --- leases ----------------------------------------------------------------------------------------

void validate_lease(struct validation *v)
{
	static const char *const strategies[] = {"OldestEmulationVersion", NULL};
	const struct json *spec = json_get(v->change->object, "spec");
	struct rule_path path = FIELD(NULL, "spec"), strategy = FIELD(&path, "strategy"),
	                 inner = FIELD(&strategy, "strategy"), holder = FIELD(&path, "preferredHolder");
	const char *text = text_of(spec, "strategy");

	rule_at_least(v, spec, "leaseDurationSeconds", &path, 1, "must be greater than 0");
	rule_at_least(v, spec, "leaseTransitions", &path, 0, NOT_NEGATIVE_DETAIL);
	if (text[0] && strchr(text, '/'))
		validation_string(v, &inner, text, check_qualified_name);
	else if (text[0] && !is_one_of(text, strategies))
		validation_not_supported(v, &inner, text, strategies);
	if (text_of(spec, "preferredHolder")[0] && !text[0])
		validation_forbidden(v, &holder, "may only be specified if `strategy` is defined");
}
