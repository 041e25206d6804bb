// SPDX-License-Identifier: Apache-2.0
// Limit ranges and resource quotas.

#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define NANO ((__int128)1000000000)

// --- limit ranges ----------------------------------------------------------------------------------

enum bound {
	BOUND_MAX,
	BOUND_MIN,
	BOUND_DEFAULT,
	BOUND_REQUEST,
	BOUND_RATIO,
	BOUND_COUNT_,
};

static const char *const bound_names[BOUND_COUNT_] = {"max", "min", "default", "defaultRequest",
                                                      "maxLimitRequestRatio"};

// Pairs of which the first may not be greater than the second.
static const struct {
	enum bound low, high, shown, value;
	const char *text; // of both amounts
} bound_orders[] = {
        {BOUND_MIN, BOUND_MAX, BOUND_MIN, BOUND_MIN, "min value %s is greater than max value %s"},
        {BOUND_MIN, BOUND_REQUEST, BOUND_REQUEST, BOUND_REQUEST,
         "min value %s is greater than default request value %s"},
        {BOUND_REQUEST, BOUND_MAX, BOUND_REQUEST, BOUND_REQUEST,
         "default request value %s is greater than max value %s"},
        {BOUND_REQUEST, BOUND_DEFAULT, BOUND_REQUEST, BOUND_REQUEST,
         "default request value %s is greater than default limit value %s"},
        {BOUND_MIN, BOUND_DEFAULT, BOUND_DEFAULT, BOUND_MIN, "min value %s is greater than default value %s"},
        {BOUND_DEFAULT, BOUND_MAX, BOUND_DEFAULT, BOUND_MAX, "default value %s is greater than max value %s"},
};

struct bounds {
	bool given[BOUND_COUNT_];
	struct quantity of[BOUND_COUNT_];
};

static void invalid_bound(struct validation *v, const struct rule_path *item, enum bound shown, const char *name,
                          const struct quantity *value, const char *detail)
{
	struct rule_path list = FIELD(item, bound_names[shown]), path = FIELD_KEY(&list, name);

	invalid_quantity(v, &path, value, detail);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void compare_bounds(struct validation *v, const struct rule_path *item, const char *name,
                           const struct bounds *bounds)
{
	for (size_t i = 0; i < ARRAY_SIZE(bound_orders); i++) {
		enum bound low = bound_orders[i].low, high = bound_orders[i].high;

		if (bounds->given[low] && bounds->given[high] &&
		    quantity_compare(&bounds->of[low], &bounds->of[high]) > 0)
			invalid_bound(v, item, bound_orders[i].shown, name, &bounds->of[bound_orders[i].value],
			              arena_printf(v->arena, bound_orders[i].text,
			                           quantity_text(v->arena, &bounds->of[low]),
			                           quantity_text(v->arena, &bounds->of[high])));
	}
}
#pragma GCC diagnostic pop

static void validate_ratio(struct validation *v, const struct rule_path *item, const char *name,
                           const struct bounds *bounds)
{
	const struct quantity *ratio = &bounds->of[BOUND_RATIO];
	const char *text;
	double limit;

	if (!bounds->given[BOUND_RATIO])
		return;
	text = quantity_text(v->arena, ratio);
	if (ratio->nano < NANO)
		invalid_bound(v, item, BOUND_RATIO, name, ratio,
		              arena_printf(v->arena, "ratio %s is less than 1", text));
	if (!bounds->given[BOUND_MIN] || !bounds->given[BOUND_MAX] || !bounds->of[BOUND_MIN].nano)
		return;
	limit = (double)bounds->of[BOUND_MAX].nano / (double)bounds->of[BOUND_MIN].nano;
	if ((double)ratio->nano / (double)NANO > limit)
		invalid_bound(v, item, BOUND_RATIO, name, ratio,
		              arena_printf(v->arena, "ratio %s is greater than max/min = %f", text, limit));
}

static void validate_bounds(struct validation *v, const struct json *limit, const char *name,
                            const struct rule_path *item)
{
	struct bounds bounds = {0};

	for (int i = 0; i < BOUND_COUNT_; i++)
		bounds.given[i] = read_quantity(json_get(json_get(limit, bound_names[i]), name), &bounds.of[i]);
	if (text_is(limit, "type", "Pod"))
		bounds.given[BOUND_DEFAULT] = bounds.given[BOUND_REQUEST] = false;
	compare_bounds(v, item, name, &bounds);
	validate_ratio(v, item, name, &bounds);
	if (!resource_may_overcommit(name) && bounds.given[BOUND_DEFAULT] && bounds.given[BOUND_REQUEST] &&
	    quantity_compare(&bounds.of[BOUND_DEFAULT], &bounds.of[BOUND_REQUEST]))
		invalid_bound(v, item, BOUND_REQUEST, name, &bounds.of[BOUND_REQUEST],
		              arena_printf(v->arena, "default value %s must equal to defaultRequest value %s in %s",
		                           quantity_text(v->arena, &bounds.of[BOUND_DEFAULT]),
		                           quantity_text(v->arena, &bounds.of[BOUND_REQUEST]), name));
}

// The first of the lists that names the resource speaks for it.
static bool named_before(const struct json *limit, int list, const char *name)
{
	for (int i = 0; i < list; i++)
		if (json_get(json_get(limit, bound_names[i]), name))
			return true;
	return false;
}

static void validate_limit_names(struct validation *v, const struct json *limit, const struct rule_path *item)
{
	bool of_pods = text_is(limit, "type", "Pod"), of_containers = text_is(limit, "type", "Container");

	for (int i = 0; i < BOUND_COUNT_; i++) {
		struct rule_path list = FIELD(item, bound_names[i]);

		if (of_pods && (i == BOUND_DEFAULT || i == BOUND_REQUEST)) {
			rule_forbidden(v, limit, bound_names[i], item, "may not be specified when `type` is 'Pod'");
			continue;
		}
		json_for_each_member (amount, json_get(limit, bound_names[i])) {
			struct rule_path path = FIELD_KEY(&list, amount->key);

			if (of_pods || of_containers)
				validate_container_resource_name(v, amount->key, &path);
			else
				validate_resource_name(v, amount->key, &path);
		}
	}
	for (int i = 0; i < BOUND_COUNT_; i++)
		json_for_each_member (amount, json_get(limit, bound_names[i]))
			if (!named_before(limit, i, amount->key))
				validate_bounds(v, limit, amount->key, item);
}

static void validate_limit_type(struct validation *v, const struct json *limits, uint32_t index,
                                const struct rule_path *item)
{
	static const char *const types[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
	const char *type = text_of(limits->items[index], "type");
	struct rule_path path = FIELD(item, "type");
	size_t before = v->count;

	validation_string(v, &path, type, check_qualified_name);
	if (before == v->count && !strchr(type, '/') && !is_one_of(type, types))
		validation_invalid_text(v, &path, type, "must be a standard limit type or fully qualified");
	if (text_repeats(limits, index, "type"))
		validation_duplicate(v, &path, json_string(v->arena, type));
}

void validate_limit_range(struct validation *v)
{
	const struct json *limits = json_path(v->change->object, "spec", "limits");
	struct rule_path path = FIELD(NULL, "spec"), list = FIELD(&path, "limits");

	rule_for_each_item (limit, entry, limits, &list) {
		struct rule_path own = FIELD(&entry, "limits");

		validate_limit_type(v, limits, entry.index, &entry);
		if (text_is(limit, "type", "PersistentVolumeClaim") && !json_path(limit, "min", "storage") &&
		    !json_path(limit, "max", "storage"))
			validation_required(
			        v, &own,
			        "either minimum or maximum storage value is required, but neither was provided");
		validate_limit_names(v, limit, &entry);
	}
}

// --- quotas ----------------------------------------------------------------------------------------

static const char *const compute[] = {"cpu",          "memory",          "limits.cpu", "limits.memory",
                                      "requests.cpu", "requests.memory", "pods",       NULL};
static const char *const only_pods[] = {"pods", NULL};
static const char *const of_claims[] = {"persistentvolumeclaims", "requests.storage", NULL};
static const char *const other_names[] = {"ephemeral-storage",
                                          "requests.ephemeral-storage",
                                          "limits.ephemeral-storage",
                                          "resourcequotas",
                                          "services",
                                          "replicationcontrollers",
                                          "secrets",
                                          "configmaps",
                                          "services.loadbalancers",
                                          "services.nodeports",
                                          NULL};

static const struct {
	const char *scope;
	const char *const *resources;
	bool only_exists;
	const char *conflicting;
} scopes[] = {
        {"BestEffort", only_pods, true, "NotBestEffort"},
        {"CrossNamespacePodAffinity", compute, true, NULL},
        {"NotBestEffort", compute, true, NULL},
        {"NotTerminating", compute, true, NULL},
        {"PriorityClass", compute, false, NULL},
        {"Terminating", compute, true, "NotTerminating"},
        {"VolumeAttributesClass", of_claims, false, NULL},
};

static size_t scope_row(const char *scope)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(scopes) && strcmp(scopes[i].scope, scope))
		i++;
	return i;
}

static bool is_standard_name(const char *name)
{
	return is_one_of(name, compute) || is_one_of(name, of_claims) || is_one_of(name, other_names) ||
	       resource_is_hugepages(name) || !strncmp(name, "requests.hugepages-", 19);
}

static size_t misfits(const struct json *hard, const char *scope)
{
	size_t row = scope_row(scope), count = 0;

	json_for_each_member (amount, hard)
		count += row < ARRAY_SIZE(scopes) && is_standard_name(amount->key) &&
		         !is_one_of(amount->key, scopes[row].resources);
	return count;
}

static void validate_hard(struct validation *v, const struct json *holder, const char *member,
                          const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	json_for_each_member (amount, json_get(holder, member)) {
		struct rule_path entry = FIELD_KEY(&path, amount->key);

		validate_quota_resource_name(v, amount->key, &entry);
		validate_resource_amount(v, amount->key, amount->value, &entry);
	}
}

static void validate_scopes(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *list = json_get(spec, "scopes");
	struct rule_path path = FIELD(parent, "scopes");

	json_for_each_item (item, list) {
		const char *scope = json_text(item) ? json_text(item) : "";

		if (scope_row(scope) == ARRAY_SIZE(scopes))
			validation_invalid(v, &path, list, "unsupported scope");
		for (size_t i = misfits(json_get(spec, "hard"), scope); i; i--)
			validation_invalid(v, &path, list, "unsupported scope applied to resource");
	}
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (scopes[i].conflicting && list_has_text(list, scopes[i].scope) &&
		    list_has_text(list, scopes[i].conflicting))
			validation_invalid(v, &path, list, "conflicting scopes");
}

static void validate_scope_expression(struct validation *v, const struct json *spec, const struct json *expression,
                                      const struct rule_path *path)
{
	const char *scope = text_of(expression, "scopeName"), *how = text_of(expression, "operator");
	const struct json *values = json_get(expression, "values");
	struct rule_path name = FIELD(path, "scopeName"), how_path = FIELD(path, "operator"),
	                 values_path = FIELD(path, "values");
	size_t row = scope_row(scope);

	if (row == ARRAY_SIZE(scopes))
		validation_invalid_text(v, &name, scope, "unsupported scope");
	for (size_t i = misfits(json_get(spec, "hard"), scope); i; i--)
		validation_invalid(v, path, json_get(spec, "scopeSelector"), "unsupported scope applied to resource");
	if (row < ARRAY_SIZE(scopes) && scopes[row].only_exists && strcmp(how, "Exists"))
		validation_invalid_text(
		        v, &how_path, how,
		        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
		        "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
		        "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
	if (!strcmp(how, "In") || !strcmp(how, "NotIn")) {
		if (!length_of(values))
			validation_required(v, &values_path,
			                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope "
			                    "selector");
	} else if (!strcmp(how, "Exists") || !strcmp(how, "DoesNotExist")) {
		if (length_of(values))
			validation_invalid(v, &values_path, values,
			                   "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
			                   "selector");
	} else {
		validation_invalid_text(v, &how_path, how, "not a valid selector operator");
	}
}

static bool same_scopes(const struct json *a, const struct json *b)
{
	json_for_each_item (scope, a)
		if (json_text(scope) && !list_has_text(b, json_text(scope)))
			return false;
	json_for_each_item (scope, b)
		if (json_text(scope) && !list_has_text(a, json_text(scope)))
			return false;
	return true;
}

void validate_resource_quota(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"),
	                  *old = json_path(v->change->old, "spec", "scopes");
	struct rule_path path = FIELD(NULL, "spec"), status = FIELD(NULL, "status"),
	                 scopes_path = FIELD(&path, "scopes"), selector = FIELD(&path, "scopeSelector"),
	                 expressions = FIELD(&selector, "matchExpressions");

	if (!strcmp(v->change->subresource, "status")) {
		validate_hard(v, json_get(v->change->object, "status"), "hard", &status);
		validate_hard(v, json_get(v->change->object, "status"), "used", &status);
		return;
	}
	validate_hard(v, spec, "hard", &path);
	validate_scopes(v, spec, &path);
	json_for_each_item (expression, json_path(spec, "scopeSelector", "matchExpressions"))
		validate_scope_expression(v, spec, expression, &expressions);
	if (v->change->old && !same_scopes(json_get(spec, "scopes"), old))
		validation_invalid(v, &scopes_path, json_get(spec, "scopes"), IMMUTABLE_DETAIL);
}
