// SPDX-License-Identifier: Apache-2.0
// HorizontalPodAutoscalers, in both of their versions. A v1 object has one
// metric, the CPU, and is judged as the v2 object that it stands for.

#include <string.h>

#include "apiserver/validation/resource_names.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

enum {
	STABILIZATION_MAX_SECONDS = 3600,
	PERIOD_MAX_SECONDS = 1800,
};

static void validate_object_reference(struct validation *v, const struct json *reference, const struct rule_path *path)
{
	rule_required_text(v, reference, "kind", path, check_path_segment);
	rule_required_text(v, reference, "name", path, check_path_segment);
}

// --- targets ---------------------------------------------------------------------------------------

static bool has(const struct json *object, const char *member)
{
	return is_present(json_get(object, member));
}

static void validate_target(struct validation *v, const struct json *target, const struct rule_path *path)
{
	static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
	static const char *const amounts[] = {"value", "averageValue"};
	struct rule_path type = FIELD(path, "type");

	if (!text_of(target, "type")[0])
		validation_required(v, &type, "must specify a metric target type");
	if (!is_one_of(text_of(target, "type"), types))
		validation_invalid_text(v, &type, text_of(target, "type"),
		                        "must be either Utilization, Value, or AverageValue");
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
		struct rule_path own = FIELD(path, amounts[i]);
		struct quantity quantity;

		if (read_quantity(json_get(target, amounts[i]), &quantity) && quantity.nano <= 0)
			validation_invalid_rendered(v, &own, quantity_text(v->arena, &quantity), "must be positive");
	}
	rule_at_least(v, target, "averageUtilization", path, 1, "must be greater than 0");
}

static void validate_metric_name(struct validation *v, const struct json *source, const struct rule_path *parent)
{
	const char *name = text_of(json_get(source, "metric"), "name");
	struct rule_path path = FIELD(parent, "metric"), own = FIELD(&path, "name");

	if (!name[0])
		validation_required(v, &own, "must specify a metric name");
	else
		validation_string(v, &own, name, check_path_segment);
}

static void require_target(struct validation *v, const char *member, const char *detail, const struct rule_path *parent)
{
	struct rule_path target = FIELD(parent, "target"), path = FIELD(&target, member);

	validation_required(v, &path, detail);
}

static void forbid_target(struct validation *v, const char *member, const char *detail, const struct rule_path *parent)
{
	struct rule_path target = FIELD(parent, "target"), path = FIELD(&target, member);

	validation_forbidden(v, &path, detail);
}

// --- sources ---------------------------------------------------------------------------------------

static void validate_object_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	const struct json *target = json_get(source, "target");
	struct rule_path described = FIELD(path, "describedObject"), target_path = FIELD(path, "target");

	validate_object_reference(v, json_get(source, "describedObject"), &described);
	validate_metric_name(v, source, path);
	validate_target(v, target, &target_path);
	if (!has(target, "value") && !has(target, "averageValue"))
		require_target(v, "averageValue", "must set either a target value or averageValue", path);
}

static void validate_external_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	const struct json *target = json_get(source, "target");
	struct rule_path target_path = FIELD(path, "target");

	validate_metric_name(v, source, path);
	validate_target(v, target, &target_path);
	if (!has(target, "value") && !has(target, "averageValue"))
		require_target(v, "averageValue", "must set either a target value for metric or a per-pod target",
		               path);
	if (has(target, "value") && has(target, "averageValue"))
		forbid_target(v, "value", "may not set both a target value for metric and a per-pod target", path);
}

static void validate_pods_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	struct rule_path target_path = FIELD(path, "target");

	validate_metric_name(v, source, path);
	validate_target(v, json_get(source, "target"), &target_path);
	if (!has(json_get(source, "target"), "averageValue"))
		require_target(v, "averageValue", "must specify a positive target averageValue", path);
}

static void validate_resource_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	const struct json *target = json_get(source, "target");
	struct rule_path name = FIELD(path, "name"), target_path = FIELD(path, "target");

	if (!text_of(source, "name")[0])
		validation_required(v, &name, "must specify a resource name");
	validate_target(v, target, &target_path);
	if (!has(target, "averageUtilization") && !has(target, "averageValue"))
		require_target(v, "averageUtilization", "must set either a target raw value or a target utilization",
		               path);
	if (has(target, "averageUtilization") && has(target, "averageValue"))
		forbid_target(v, "averageValue", "may not set both a target raw value and a target utilization", path);
}

static void validate_container_source(struct validation *v, const struct json *source, const struct rule_path *path)
{
	struct rule_path name = FIELD(path, "name"), container = FIELD(path, "container");

	if (text_of(source, "name")[0])
		validate_container_resource_name(v, text_of(source, "name"), &name);
	if (!text_of(source, "container")[0])
		validation_required(v, &container, "must specify a container");
	else
		validation_string(v, &container, text_of(source, "container"), check_dns_label);
	validate_resource_source(v, source, path);
}

static const struct {
	const char *member;
	const char *type;
	void (*validate)(struct validation *v, const struct json *source, const struct rule_path *path);
} sources[] = {
        {"object", "Object", validate_object_source},
        {"external", "External", validate_external_source},
        {"pods", "Pods", validate_pods_source},
        {"resource", "Resource", validate_resource_source},
        {"containerResource", "ContainerResource", validate_container_source},
};

static void validate_metric_type(struct validation *v, const char *type, const struct rule_path *parent)
{
	static const char *const types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
	struct rule_path path = FIELD(parent, "type");

	if (!type[0])
		validation_required(v, &path, "must specify a metric source type");
	if (!is_one_of(type, types))
		validation_not_supported(v, &path, type, types);
}

static void validate_metric(struct validation *v, const struct json *metric, const struct rule_path *path)
{
	const char *type = text_of(metric, "type");
	size_t count = 0;

	validate_metric_type(v, type, path);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct rule_path own = FIELD(path, sources[i].member);

		if (has(metric, sources[i].member) && ++count == 1)
			sources[i].validate(v, json_get(metric, sources[i].member), &own);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct rule_path own = FIELD(path, sources[i].member);

		if (!strcmp(type, sources[i].type) && !has(metric, sources[i].member))
			validation_required(v, &own, "must populate information for the given metric source");
		if (count > 1 && strcmp(type, sources[i].type) && has(metric, sources[i].member))
			validation_forbidden(v, &own, "must populate the given metric source only");
	}
}

// --- behaviour -------------------------------------------------------------------------------------

static void validate_policy(struct validation *v, const struct json *policy, const struct rule_path *path)
{
	static const char *const types[] = {"Percent", "Pods", NULL};
	struct rule_path type = FIELD(path, "type"), value = FIELD(path, "value"),
	                 period = FIELD(path, "periodSeconds");
	int64_t seconds = integer_of(policy, "periodSeconds", 0);

	if (!is_one_of(text_of(policy, "type"), types))
		validation_not_supported(v, &type, text_of(policy, "type"), types);
	if (integer_of(policy, "value", 0) <= 0)
		validation_invalid_integer(v, &value, integer_of(policy, "value", 0), NOT_POSITIVE_DETAIL);
	if (seconds <= 0)
		validation_invalid_integer(v, &period, seconds, NOT_POSITIVE_DETAIL);
	if (seconds > PERIOD_MAX_SECONDS)
		validation_invalid_integer(v, &period, seconds, "must be less than or equal to 1800");
}

static void validate_scaling(struct validation *v, const struct json *behavior, const char *direction,
                             const struct rule_path *parent)
{
	static const char *const choices[] = {"Disabled", "Max", "Min", NULL};
	const struct json *rules = json_get(behavior, direction),
	                  *window = json_get(rules, "stabilizationWindowSeconds");
	struct rule_path path = FIELD(parent, direction), window_path = FIELD(&path, "stabilizationWindowSeconds"),
	                 policies = FIELD(&path, "policies");

	if (!is_present(rules))
		return;
	rule_at_least(v, rules, window_path.name, &path, 0, "must be greater than or equal to zero");
	if (json_is(window, JSON_INTEGER) && window->integer > STABILIZATION_MAX_SECONDS)
		validation_invalid(v, &window_path, window, "must be less than or equal to 3600");
	rule_one_of(v, rules, "selectPolicy", &path, false, choices);
	if (!length_of(json_get(rules, "policies")))
		validation_required(v, &policies, "must specify at least one Policy");
	rule_for_each_item (policy, entry, json_get(rules, "policies"), &policies)
		validate_policy(v, policy, &entry);
}

static void validate_replicas(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	struct rule_path maximum = FIELD(path, "maxReplicas");
	int64_t high = integer_of(spec, "maxReplicas", 0);

	rule_at_least(v, spec, "minReplicas", path, 1, "must be greater than or equal to 1");
	if (high < 1)
		validation_invalid_integer(v, &maximum, high, "must be greater than 0");
	if (has(spec, "minReplicas") && high < integer_of(spec, "minReplicas", 0))
		validation_invalid_integer(v, &maximum, high, "must be greater than or equal to `minReplicas`");
}

// The one metric of a v1 object, where v2 has it.
static void validate_utilization(struct validation *v, const struct json *spec, const struct rule_path *parent)
{
	const struct json *percent = json_get(spec, "targetCPUUtilizationPercentage");
	struct rule_path metrics = FIELD(parent, "metrics"), first = FIELD_INDEX(&metrics, 0),
	                 resource = FIELD(&first, "resource"), target = FIELD(&resource, "target"),
	                 path = FIELD(&target, "averageUtilization");

	if (json_is(percent, JSON_INTEGER) && percent->integer < 1)
		validation_invalid(v, &path, percent, "must be greater than 0");
}

void validate_autoscaler(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *status = json_get(v->change->object, "status");
	struct rule_path path = FIELD(NULL, "spec"), reference = FIELD(&path, "scaleTargetRef"),
	                 metrics = FIELD(&path, "metrics"), behavior = FIELD(&path, "behavior"),
	                 status_path = FIELD(NULL, "status");

	if (!strcmp(v->change->subresource, "status")) {
		rule_not_negative(v, status, "currentReplicas", &status_path);
		rule_not_negative(v, status, "desiredReplicas", &status_path);
		return;
	}
	validate_replicas(v, spec, &path);
	validate_object_reference(v, json_get(spec, "scaleTargetRef"), &reference);
	validate_utilization(v, spec, &path);
	rule_for_each_item (metric, entry, json_get(spec, "metrics"), &metrics)
		validate_metric(v, metric, &entry);
	validate_scaling(v, json_get(spec, "behavior"), "scaleUp", &behavior);
	validate_scaling(v, json_get(spec, "behavior"), "scaleDown", &behavior);
}
