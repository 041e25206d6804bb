// SPDX-License-Identifier: Apache-2.0
// The apps kinds and replication controllers: selectors that match their
// templates, update strategies, and what may not change.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/selector.h"

static const struct json *spec_of(const struct validation *v)
{
	return json_get(v->change->object, "spec");
}

static bool is_status(const struct validation *v)
{
	return !strcmp(v->change->subresource, "status");
}

static void not_negative(struct validation *v, const struct json *object, const char *member,
                         const struct rule_path *parent)
{
	struct rule_path path = FIELD(parent, member);

	validation_not_negative(v, &path, json_get(object, member));
}

// --- selectors and templates -------------------------------------------------------------------

static const char *join_values(struct arena *arena, const struct json *values)
{
	const char *joined = "";

	json_for_each_item (value, values)
		if (json_text(value))
			joined = arena_printf(arena, "%s%s%s", joined, joined[0] ? "," : "", json_text(value));
	return joined;
}

// The selector in text form, to be matched by the one matcher there is.
static const char *selector_text(struct arena *arena, const struct json *selector)
{
	const char *text = "";

	json_for_each_member (label, json_get(selector, "matchLabels"))
		text = arena_printf(arena, "%s%s%s=%s", text, text[0] ? "," : "", label->key,
		                    json_text(label->value) ? json_text(label->value) : "");
	json_for_each_item (expression, json_get(selector, "matchExpressions")) {
		const char *operator= text_of(expression, "operator"), *key = text_of(expression, "key");
		const char *comma = text[0] ? "," : "";

		if (!strcmp(operator, "Exists"))
			text = arena_printf(arena, "%s%s%s", text, comma, key);
		else if (!strcmp(operator, "DoesNotExist"))
			text = arena_printf(arena, "%s%s!%s", text, comma, key);
		else
			text = arena_printf(arena, "%s%s%s %s (%s)", text, comma, key,
			                    !strcmp(operator, "In") ? "in" : "notin",
			                    join_values(arena, json_get(expression, "values")));
	}
	return text;
}

static void check_template_labels(struct validation *v, const char *selector_text, const struct json *template,
                                  const struct rule_path *template_path)
{
	struct rule_path metadata = FIELD(template_path, "metadata"), labels = FIELD(&metadata, "labels");
	const struct json *held = json_path(template, "metadata", "labels");
	struct label_selector *selector = NULL;

	// No selector at all selects nothing.
	if (selector_text && label_selector_parse(v->arena, selector_text, &selector, NULL) < 0)
		return;
	if (selector_text && label_selector_matches_json(selector, held))
		return;
	if (is_present(held))
		validation_invalid(v, &labels, held, "`selector` does not match template `labels`");
	else
		validation_invalid_nil_map(v, &labels, "`selector` does not match template `labels`");
}

// A template whose pods are always restarted.
static void validate_always_template(struct validation *v, const struct json *template, const struct rule_path *path)
{
	static const char *const always[] = {"Always", NULL};
	const struct json *spec = json_get(template, "spec");
	struct rule_path spec_path = FIELD(path, "spec"), restart = FIELD(&spec_path, "restartPolicy"),
	                 deadline = FIELD(&spec_path, "activeDeadlineSeconds");

	if (text_of(spec, "restartPolicy")[0] && strcmp(text_of(spec, "restartPolicy"), "Always"))
		validation_not_supported(v, &restart, text_of(spec, "restartPolicy"), always);
	if (is_present(json_get(spec, "activeDeadlineSeconds")))
		validation_forbidden(v, &deadline,
		                     arena_printf(v->arena, "activeDeadlineSeconds in %s is not Supported",
		                                  v->change->resource->kind));
}

static void validate_selector_and_template(struct validation *v, const char *kind, const struct rule_path *path)
{
	const struct json *spec = spec_of(v), *selector = json_get(spec, "selector");
	const struct json *template = json_get(spec, "template");
	struct rule_path selector_path = FIELD(path, "selector"), template_path = FIELD(path, "template");
	size_t before = v->count;

	if (!is_present(selector)) {
		validation_required(v, &selector_path, "");
	} else {
		validate_label_selector(v, selector, &selector_path);
		if (!length_of(json_get(selector, "matchLabels")) && !length_of(json_get(selector, "matchExpressions")))
			validation_invalid_selector(v, &selector_path, selector,
			                            arena_printf(v->arena, "empty selector is invalid for %s", kind));
	}
	if (!is_present(selector))
		check_template_labels(v, NULL, template, &template_path);
	else if (before == v->count)
		check_template_labels(v, selector_text(v->arena, selector), template, &template_path);
	validate_pod_template(v, template, &template_path);
	validate_always_template(v, template, &template_path);
}

static void immutable_selector(struct validation *v, const struct rule_path *path)
{
	struct rule_path selector = FIELD(path, "selector");

	const struct json *now = json_get(spec_of(v), "selector");
	const struct json *old = change_is_create(v->change) ? now : json_path(v->change->old, "spec", "selector");

	if (now != old && (!is_present(now) || !is_present(old) || !json_equal(now, old)))
		validation_invalid_selector(v, &selector, now, "field is immutable");
}

// --- int-or-percent -----------------------------------------------------------------------------

// The amount, percent or not, for comparisons with zero; -1 when malformed (and said so).
static int64_t validate_amount(struct validation *v, const struct json *value, const struct rule_path *path)
{
	int percent;

	if (json_is(value, JSON_INTEGER)) {
		validation_not_negative(v, path, value);
		return value->integer;
	}
	if (!json_text(value))
		return 0;
	if (!is_percent(json_text(value), &percent)) {
		validation_invalid_text(
		        v, path, json_text(value),
		        "a valid percent string must be a numeric string followed by an ending '%' (e.g. "
		        "'1%',  or '93%', regex used for validation is '[0-9]+%')");
		return -1;
	}
	return percent;
}

static void not_over_100_percent(struct validation *v, const struct json *value, const struct rule_path *path)
{
	int percent;

	if (json_text(value) && is_percent(json_text(value), &percent) && percent > 100)
		validation_invalid_text(v, path, json_text(value), "must not be greater than 100%");
}

// --- deployments ------------------------------------------------------------------------------------

static void validate_strategy(struct validation *v, const struct json *strategy, const struct rule_path *path)
{
	static const char *const types[] = {"Recreate", "RollingUpdate", NULL};
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	struct rule_path type = FIELD(path, "type"), rolling_path = FIELD(path, "rollingUpdate"),
	                 unavailable_path = FIELD(&rolling_path, "maxUnavailable"),
	                 surge_path = FIELD(&rolling_path, "maxSurge");
	int64_t unavailable, surge;

	if (!strcmp(text_of(strategy, "type"), "Recreate")) {
		if (is_present(rolling))
			validation_forbidden(v, &rolling_path,
			                     "may not be specified when strategy `type` is 'Recreate'");
		return;
	}
	if (strcmp(text_of(strategy, "type"), "RollingUpdate")) {
		validation_not_supported(v, &type, text_of(strategy, "type"), types);
		return;
	}
	if (!is_present(rolling)) {
		validation_required(v, &rolling_path, "this should be defaulted and never be nil");
		return;
	}
	unavailable = validate_amount(v, json_get(rolling, "maxUnavailable"), &unavailable_path);
	surge = validate_amount(v, json_get(rolling, "maxSurge"), &surge_path);
	if (!unavailable && !surge)
		validation_invalid(v, &unavailable_path, json_get(rolling, "maxUnavailable"),
		                   "may not be 0 when `maxSurge` is 0");
	not_over_100_percent(v, json_get(rolling, "maxUnavailable"), &unavailable_path);
}

void validate_deployment(struct validation *v)
{
	const struct json *spec = spec_of(v);
	struct rule_path path = FIELD(NULL, "spec"), strategy = FIELD(&path, "strategy"),
	                 deadline = FIELD(&path, "progressDeadlineSeconds");
	const struct json *seconds = json_get(spec, "progressDeadlineSeconds");

	if (is_status(v))
		return;
	not_negative(v, spec, "replicas", &path);
	validate_selector_and_template(v, "deployment", &path);
	validate_strategy(v, json_get(spec, "strategy"), &strategy);
	not_negative(v, spec, "minReadySeconds", &path);
	not_negative(v, spec, "revisionHistoryLimit", &path);
	if (json_is(seconds, JSON_INTEGER)) {
		validation_not_negative(v, &deadline, seconds);
		if (seconds->integer <= integer_of(spec, "minReadySeconds", 0))
			validation_invalid(v, &deadline, seconds, "must be greater than minReadySeconds");
	}
	immutable_selector(v, &path);
}

void validate_replica_set(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "spec");

	if (is_status(v))
		return;
	not_negative(v, spec_of(v), "replicas", &path);
	not_negative(v, spec_of(v), "minReadySeconds", &path);
	validate_selector_and_template(v, "deployment", &path);
	immutable_selector(v, &path);
}

void validate_replication_controller(struct validation *v)
{
	const struct json *spec = spec_of(v), *selector = json_get(spec, "selector");
	struct rule_path path = FIELD(NULL, "spec"), selector_path = FIELD(&path, "selector"),
	                 template = FIELD(&path, "template");
	const char *text = "";

	if (is_status(v))
		return;
	not_negative(v, spec, "replicas", &path);
	not_negative(v, spec, "minReadySeconds", &path);
	if (!length_of(selector))
		validation_required(v, &selector_path, "");
	if (!is_present(json_get(spec, "template"))) {
		validation_required(v, &template, "");
		return;
	}
	json_for_each_member (label, selector)
		text = arena_printf(v->arena, "%s%s%s=%s", text, text[0] ? "," : "", label->key,
		                    json_text(label->value) ? json_text(label->value) : "");
	if (length_of(selector))
		check_template_labels(v, text, json_get(spec, "template"), &template);
	validate_pod_template(v, json_get(spec, "template"), &template);
	validate_always_template(v, json_get(spec, "template"), &template);
}

// --- daemon sets ------------------------------------------------------------------------------------

static void validate_daemon_strategy(struct validation *v, const struct json *strategy, const struct rule_path *path)
{
	static const char *const types[] = {"OnDelete", "RollingUpdate", NULL};
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	struct rule_path type = FIELD(path, "type"), rolling_path = FIELD(path, "rollingUpdate"),
	                 unavailable_path = FIELD(&rolling_path, "maxUnavailable"),
	                 surge_path = FIELD(&rolling_path, "maxSurge");
	int64_t unavailable, surge;

	validation_one_of(v, &type, json_get(strategy, "type"), true, types);
	if (strcmp(text_of(strategy, "type"), "RollingUpdate"))
		return;
	if (!is_present(rolling)) {
		validation_required(v, &rolling_path, "");
		return;
	}
	unavailable = validate_amount(v, json_get(rolling, "maxUnavailable"), &unavailable_path);
	surge = validate_amount(v, json_get(rolling, "maxSurge"), &surge_path);
	not_over_100_percent(v, json_get(rolling, "maxUnavailable"), &unavailable_path);
	not_over_100_percent(v, json_get(rolling, "maxSurge"), &surge_path);
	if (unavailable > 0 && surge > 0)
		validation_invalid(v, &surge_path, json_get(rolling, "maxSurge"),
		                   "may not be set when maxUnavailable is non-zero");
	if (!unavailable && !surge)
		validation_required(v, &unavailable_path, "cannot be 0 when maxSurge is 0");
}

void validate_daemon_set(struct validation *v)
{
	const struct json *spec = spec_of(v);
	struct rule_path path = FIELD(NULL, "spec"), strategy = FIELD(&path, "updateStrategy");

	if (is_status(v))
		return;
	validate_selector_and_template(v, "daemonset", &path);
	not_negative(v, spec, "minReadySeconds", &path);
	not_negative(v, spec, "revisionHistoryLimit", &path);
	validate_daemon_strategy(v, json_get(spec, "updateStrategy"), &strategy);
	immutable_selector(v, &path);
}

// --- stateful sets -------------------------------------------------------------------------------------

static bool stateful_set_differs(struct validation *v)
{
	static const char *const mutable_members[] = {"replicas",
	                                              "ordinals",
	                                              "template",
	                                              "updateStrategy",
	                                              "revisionHistoryLimit",
	                                              "persistentVolumeClaimRetentionPolicy",
	                                              "minReadySeconds"};
	struct json *now = json_clone(v->arena, spec_of(v));
	struct json *before = json_clone(v->arena, json_get(v->change->old, "spec"));

	for (size_t i = 0; i < ARRAY_SIZE(mutable_members); i++) {
		json_remove(now, mutable_members[i]);
		json_remove(before, mutable_members[i]);
	}
	return !json_equal(now, before);
}

void validate_stateful_set(struct validation *v)
{
	static const char *const management[] = {"OrderedReady", "Parallel", NULL};
	const struct json *spec = spec_of(v), *strategy = json_get(spec, "updateStrategy");
	struct rule_path path = FIELD(NULL, "spec"), management_path = FIELD(&path, "podManagementPolicy"),
	                 strategy_path = FIELD(&path, "updateStrategy"), type = FIELD(&strategy_path, "type"),
	                 rolling = FIELD(&strategy_path, "rollingUpdate"), partition = FIELD(&rolling, "partition"),
	                 service = FIELD(&path, "serviceName");
	const char *strategy_type = text_of(strategy, "type");

	if (is_status(v))
		return;
	validation_one_of(v, &management_path, json_get(spec, "podManagementPolicy"), true, management);
	if (!strategy_type[0])
		validation_required(v, &type, "");
	else if (strcmp(strategy_type, "OnDelete") && strcmp(strategy_type, "RollingUpdate"))
		validation_invalid_text(v, &type, strategy_type, "must be 'RollingUpdate' or 'OnDelete'");
	if (!strcmp(strategy_type, "OnDelete") && is_present(json_get(strategy, "rollingUpdate")))
		validation_invalid(v, &rolling, json_get(strategy, "rollingUpdate"),
		                   "only allowed for updateStrategy 'RollingUpdate'");
	validation_not_negative(v, &partition, json_path(strategy, "rollingUpdate", "partition"));
	not_negative(v, spec, "replicas", &path);
	not_negative(v, spec, "minReadySeconds", &path);
	if (change_is_create(v->change) && text_of(spec, "serviceName")[0])
		validation_string(v, &service, text_of(spec, "serviceName"), check_dns_label);
	validate_selector_and_template(v, "statefulset", &path);
	if (!change_is_create(v->change) && stateful_set_differs(v))
		validation_forbidden(
		        v, &path,
		        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
		        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
		        "'minReadySeconds' are forbidden");
}

void validate_controller_revision(struct validation *v)
{
	struct rule_path revision = FIELD(NULL, "revision"), data = FIELD(NULL, "data");
	const struct json *object = v->change->object;

	validation_not_negative(v, &revision, json_get(object, "revision"));
	if (!json_is(json_get(object, "data"), JSON_OBJECT))
		validation_required(v, &data, "data is mandatory");
	if (!change_is_create(v->change))
		validation_immutable(v, &data, json_get(object, "data"), json_get(v->change->old, "data"));
}
