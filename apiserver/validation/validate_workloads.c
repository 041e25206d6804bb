// SPDX-License-Identifier: Apache-2.0
// The apps kinds and replication controllers: selectors that match their
// templates, update strategies, what may not change, and statuses that add up.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate_pod.h"
#include "common/api/selector.h"

static const struct json *spec_of(const struct validation *v)
{
	return json_get(v->change->object, "spec");
}

static bool is_status(const struct validation *v)
{
	return !strcmp(v->change->subresource, "status");
}

// --- selectors and templates -------------------------------------------------------------------

void validate_template_labels(struct validation *v, const struct json *selector, const struct json *template,
                              const struct rule_path *template_path)
{
	struct rule_path metadata = FIELD(template_path, "metadata"), labels = FIELD(&metadata, "labels");
	const struct json *held = json_path(template, "metadata", "labels");
	struct label_selector *parsed = NULL;

	if (label_selector_from_json(v->arena, selector, &parsed, NULL) < 0 ||
	    label_selector_matches_json(parsed, held))
		return;
	if (is_present(held))
		validation_invalid(v, &labels, held, "`selector` does not match template `labels`");
	else
		validation_invalid_nil_map(v, &labels, "`selector` does not match template `labels`");
}

// Pods that end by themselves are Jobs' matter.
static void validate_always(struct validation *v, const struct json *template, const char *kind,
                            const struct rule_path *path)
{
	static const char *const always[] = {"Always", NULL};
	const struct json *spec = json_get(template, "spec");
	struct rule_path spec_path = FIELD(path, "spec"), restart = FIELD(&spec_path, "restartPolicy"),
	                 deadline = FIELD(&spec_path, "activeDeadlineSeconds");

	if (!text_is(spec, "restartPolicy", "Always"))
		validation_not_supported(v, &restart, text_of(spec, "restartPolicy"), always);
	if (is_present(json_get(spec, "activeDeadlineSeconds")))
		validation_forbidden(v, &deadline,
		                     arena_printf(v->arena, "activeDeadlineSeconds in %s is not Supported", kind));
}

static bool is_empty_selector(const struct json *selector)
{
	return !length_of(json_get(selector, "matchLabels")) && !length_of(json_get(selector, "matchExpressions"));
}

// Whose selector must be there and select something.
static void validate_selector(struct validation *v, const char *kind, const struct rule_path *path)
{
	const struct json *selector = json_get(spec_of(v), "selector");
	struct rule_path own = FIELD(path, "selector");

	if (!is_present(selector)) {
		validation_required(v, &own, "");
		return;
	}
	validate_label_selector(v, selector, &own);
	if (is_empty_selector(selector))
		validation_invalid_selector(v, &own, selector,
		                            arena_printf(v->arena, "empty selector is invalid for %s", kind));
}

static void validate_template(struct validation *v, const char *kind, const struct rule_path *path)
{
	const struct json *selector = json_get(spec_of(v), "selector"), *template = json_get(spec_of(v), "template");
	struct rule_path own = FIELD(path, "template");

	if (!is_present(selector) || !is_empty_selector(selector))
		validate_template_labels(v, selector, template, &own);
	validate_pod_template(v, template, &own);
	validate_always(v, template, kind, &own);
}

static void immutable_selector(struct validation *v, const struct rule_path *path)
{
	const struct json *now = json_get(spec_of(v), "selector");
	struct rule_path own = FIELD(path, "selector");

	if (v->change->old && !rule_equal(now, json_path(v->change->old, "spec", "selector")))
		validation_invalid_selector(v, &own, now, IMMUTABLE_DETAIL);
}

// --- statuses ------------------------------------------------------------------------------------

struct status_rules {
	const char *const *counters;
	const char *const *within_replicas; // none may be more than status.replicas
	const char *whole;                  // how the message calls that
	const char *ready_detail;           // availableReplicas against readyReplicas; NULL: not compared
};

static void validate_counters(struct validation *v, const struct status_rules *rules)
{
	const struct json *status = json_get(v->change->object, "status"), *old = json_get(v->change->old, "status");
	struct rule_path path = FIELD(NULL, "status"), available = FIELD(&path, "availableReplicas"),
	                 collisions = FIELD(&path, "collisionCount");

	for (const char *const *counter = rules->counters; *counter; counter++)
		rule_not_negative(v, status, *counter, &path);
	for (const char *const *counter = rules->within_replicas; counter && *counter; counter++) {
		struct rule_path own = FIELD(&path, *counter);

		if (integer_of(status, *counter, 0) > integer_of(status, "replicas", 0))
			validation_invalid_integer(v, &own, integer_of(status, *counter, 0), rules->whole);
	}
	if (rules->ready_detail && integer_of(status, "availableReplicas", 0) > integer_of(status, "readyReplicas", 0))
		validation_invalid_integer(v, &available, integer_of(status, "availableReplicas", 0),
		                           rules->ready_detail);
	if (integer_of(status, "collisionCount", 0) < integer_of(old, "collisionCount", 0))
		validation_invalid_integer(v, &collisions, integer_of(status, "collisionCount", 0),
		                           "cannot be decremented");
}

// --- deployments -----------------------------------------------------------------------------------

// The number, percent or not; what is malformed counts as zero, as it does upstream.
static int64_t amount_of(const struct json *value)
{
	int percent;

	if (json_is(value, JSON_INTEGER))
		return value->integer;
	return json_text(value) && is_percent(json_text(value), &percent) ? percent : 0;
}

static void validate_rolling_update(struct validation *v, const struct json *update, const struct rule_path *path)
{
	const struct json *unavailable = json_get(update, "maxUnavailable"), *surge = json_get(update, "maxSurge");
	struct rule_path unavailable_path = FIELD(path, "maxUnavailable"), surge_path = FIELD(path, "maxSurge");

	rule_amount(v, unavailable, &unavailable_path);
	rule_amount(v, surge, &surge_path);
	if (!amount_of(unavailable) && !amount_of(surge))
		validation_invalid_amount(v, &unavailable_path, unavailable, "may not be 0 when `maxSurge` is 0");
	rule_not_over_100_percent(v, unavailable, &unavailable_path);
}

// A strategy of an unknown type is shown as Go prints the struct.
static void unknown_strategy(struct validation *v, const char *struct_name, const char *update_name, const char *type,
                             const char *const *types, const struct rule_path *path)
{
	validation_not_supported_rendered(
	        v, path,
	        arena_printf(v->arena, "%s{Type:\"%s\", RollingUpdate:(*%s)(nil)}", struct_name, type, update_name),
	        types);
}

static void validate_strategy(struct validation *v, const struct json *strategy, const struct rule_path *path)
{
	static const char *const types[] = {"Recreate", "RollingUpdate", NULL};
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	struct rule_path rolling_path = FIELD(path, "rollingUpdate");

	if (text_is(strategy, "type", "Recreate")) {
		rule_forbidden(v, strategy, "rollingUpdate", path,
		               "may not be specified when strategy `type` is 'Recreate'");
	} else if (!text_is(strategy, "type", "RollingUpdate")) {
		unknown_strategy(v, "apps.DeploymentStrategy", "apps.RollingUpdateDeployment",
		                 text_of(strategy, "type"), types, path);
	} else if (!is_present(rolling)) {
		validation_required(v, &rolling_path, "this should be defaulted and never be nil");
	} else {
		validate_rolling_update(v, rolling, &rolling_path);
	}
}

static void validate_deployment_status(struct validation *v)
{
	static const char *const counters[] = {"observedGeneration",  "replicas",          "updatedReplicas",
	                                       "readyReplicas",       "availableReplicas", "unavailableReplicas",
	                                       "terminatingReplicas", "collisionCount",    NULL};
	static const char *const within[] = {"updatedReplicas", "readyReplicas", "availableReplicas", NULL};
	static const struct status_rules rules = {counters, within, "cannot be greater than status.replicas",
	                                          "cannot be greater than readyReplicas"};

	validate_counters(v, &rules);
}

void validate_deployment(struct validation *v)
{
	const struct json *spec = spec_of(v), *deadline = json_get(spec, "progressDeadlineSeconds");
	struct rule_path path = FIELD(NULL, "spec"), strategy = FIELD(&path, "strategy"),
	                 deadline_path = FIELD(&path, "progressDeadlineSeconds");

	if (is_status(v)) {
		validate_deployment_status(v);
		return;
	}
	rule_not_negative(v, spec, "replicas", &path);
	validate_selector(v, "deployment", &path);
	validate_template(v, "ReplicaSet", &path);
	validate_strategy(v, json_get(spec, "strategy"), &strategy);
	rule_not_negative(v, spec, "minReadySeconds", &path);
	rule_not_negative(v, spec, "revisionHistoryLimit", &path);
	rule_not_negative(v, spec, "progressDeadlineSeconds", &path);
	if (json_is(deadline, JSON_INTEGER) && deadline->integer <= integer_of(spec, "minReadySeconds", 0))
		validation_invalid(v, &deadline_path, deadline, "must be greater than minReadySeconds");
	immutable_selector(v, &path);
}

// --- replica sets and controllers -----------------------------------------------------------------

static void validate_replica_status(struct validation *v)
{
	static const char *const counters[] = {"replicas",
	                                       "fullyLabeledReplicas",
	                                       "readyReplicas",
	                                       "availableReplicas",
	                                       "terminatingReplicas",
	                                       "observedGeneration",
	                                       NULL};
	static const char *const within[] = {"fullyLabeledReplicas", "readyReplicas", "availableReplicas", NULL};
	static const struct status_rules rules = {counters, within, "cannot be greater than status.replicas",
	                                          "cannot be greater than readyReplicas"};

	validate_counters(v, &rules);
}

void validate_replica_set(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "spec");

	if (is_status(v)) {
		validate_replica_status(v);
		return;
	}
	rule_not_negative(v, spec_of(v), "replicas", &path);
	rule_not_negative(v, spec_of(v), "minReadySeconds", &path);
	validate_selector(v, "deployment", &path);
	validate_template(v, "ReplicaSet", &path);
	immutable_selector(v, &path);
}

void validate_replication_controller(struct validation *v)
{
	const struct json *spec = spec_of(v), *selector = json_get(spec, "selector"),
	                  *template = json_get(spec, "template");
	struct rule_path path = FIELD(NULL, "spec"), selector_path = FIELD(&path, "selector"),
	                 template_path = FIELD(&path, "template");
	struct json *labels = json_object(v->arena);

	if (is_status(v)) {
		validate_replica_status(v);
		return;
	}
	rule_not_negative(v, spec, "minReadySeconds", &path);
	if (!length_of(selector))
		validation_required(v, &selector_path, "");
	if (rule_required(v, spec, "replicas", &path, ""))
		rule_not_negative(v, spec, "replicas", &path);
	if (!is_present(template)) {
		validation_required(v, &template_path, "");
		return;
	}
	if (length_of(selector)) {
		json_set(v->arena, labels, "matchLabels", json_clone(v->arena, selector));
		validate_template_labels(v, labels, template, &template_path);
	}
	validate_pod_template(v, template, &template_path);
	validate_always(v, template, "ReplicationController", &template_path);
}

// --- daemon sets -----------------------------------------------------------------------------------

static void validate_daemon_update(struct validation *v, const struct json *update, const struct rule_path *path)
{
	const struct json *unavailable = json_get(update, "maxUnavailable"), *surge = json_get(update, "maxSurge");
	struct rule_path unavailable_path = FIELD(path, "maxUnavailable"), surge_path = FIELD(path, "maxSurge");

	rule_amount(v, unavailable, &unavailable_path);
	rule_amount(v, surge, &surge_path);
	rule_not_over_100_percent(v, unavailable, &unavailable_path);
	rule_not_over_100_percent(v, surge, &surge_path);
	if (amount_of(unavailable) && amount_of(surge))
		validation_invalid_amount(v, &surge_path, surge, "may not be set when maxUnavailable is non-zero");
	else if (!amount_of(unavailable) && !amount_of(surge))
		validation_required(v, &unavailable_path, "cannot be 0 when maxSurge is 0");
}

static void validate_daemon_strategy(struct validation *v, const struct json *strategy, const struct rule_path *path)
{
	static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};
	struct rule_path rolling = FIELD(path, "rollingUpdate");

	if (text_is(strategy, "type", "OnDelete"))
		return;
	if (!text_is(strategy, "type", "RollingUpdate"))
		unknown_strategy(v, "apps.DaemonSetUpdateStrategy", "apps.RollingUpdateDaemonSet",
		                 text_of(strategy, "type"), types, path);
	else if (rule_required(v, strategy, "rollingUpdate", path, ""))
		validate_daemon_update(v, json_get(strategy, "rollingUpdate"), &rolling);
}

void validate_daemon_set(struct validation *v)
{
	static const char *const counters[] = {"currentNumberScheduled", "numberMisscheduled",
	                                       "desiredNumberScheduled", "numberReady",
	                                       "observedGeneration",     "updatedNumberScheduled",
	                                       "numberAvailable",        "numberUnavailable",
	                                       "collisionCount",         NULL};
	static const struct status_rules rules = {.counters = counters};
	const struct json *spec = spec_of(v), *selector = json_get(spec, "selector"),
	                  *template = json_get(spec, "template");
	struct rule_path path = FIELD(NULL, "spec"), strategy = FIELD(&path, "updateStrategy"),
	                 selector_path = FIELD(&path, "selector"), template_path = FIELD(&path, "template");

	if (is_status(v)) {
		validate_counters(v, &rules);
		return;
	}
	validate_label_selector(v, selector, &selector_path);
	validate_template_labels(v, selector, template, &template_path);
	if (is_present(selector) && is_empty_selector(selector))
		validation_invalid_selector(v, &selector_path, selector, "empty selector is invalid for daemonset");
	validate_pod_template(v, template, &template_path);
	validate_always(v, template, "DaemonSet", &template_path);
	rule_not_negative(v, spec, "minReadySeconds", &path);
	validate_daemon_strategy(v, json_get(spec, "updateStrategy"), &strategy);
	rule_not_negative(v, spec, "revisionHistoryLimit", &path);
	immutable_selector(v, &path);
}

// --- stateful sets -----------------------------------------------------------------------------------

static bool stateful_set_differs(struct validation *v)
{
	static const char *const changeable[] = {"replicas",
	                                         "ordinals",
	                                         "template",
	                                         "updateStrategy",
	                                         "minReadySeconds",
	                                         "revisionHistoryLimit",
	                                         "persistentVolumeClaimRetentionPolicy"};
	struct json *now = json_clone(v->arena, spec_of(v));
	struct json *before = json_clone(v->arena, json_get(v->change->old, "spec"));

	for (size_t i = 0; i < ARRAY_SIZE(changeable); i++) {
		json_remove(now, changeable[i]);
		json_remove(before, changeable[i]);
	}
	return !json_equal(now, before);
}

static void validate_stateful_strategy(struct validation *v, const struct json *strategy, const struct rule_path *path)
{
	const struct json *rolling = json_get(strategy, "rollingUpdate");
	const char *type = text_of(strategy, "type");
	struct rule_path rolling_path = FIELD(path, "rollingUpdate");

	if (!type[0]) {
		validation_required(v, path, "");
	} else if (!strcmp(type, "OnDelete")) {
		if (is_present(rolling))
			validation_invalid(v, &rolling_path, rolling,
			                   "only allowed for updateStrategy 'RollingUpdate'");
	} else if (!strcmp(type, "RollingUpdate")) {
		rule_not_negative(v, rolling, "partition", &rolling_path);
	} else {
		validation_invalid_rendered(v, path,
		                            arena_printf(v->arena,
		                                         "apps.StatefulSetUpdateStrategy{Type:\"%s\", "
		                                         "RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}",
		                                         type),
		                            "must be 'RollingUpdate' or 'OnDelete'");
	}
}

static void validate_retention(struct validation *v, const struct json *policy, const struct rule_path *path)
{
	static const char *const choices[] = {"Retain", "Delete", NULL};
	static const char *const members[] = {"whenDeleted", "whenScaled"};

	for (size_t i = 0; is_present(policy) && i < ARRAY_SIZE(members); i++) {
		struct rule_path own = FIELD(path, members[i]);

		if (!is_one_of(text_of(policy, members[i]), choices))
			validation_not_supported(v, &own, text_of(policy, members[i]), choices);
	}
}

// The template's volumes come from the claims too, so its pods are judged when they are made.
static void validate_stateful_template(struct validation *v, const struct rule_path *path)
{
	const struct json *selector = json_get(spec_of(v), "selector"), *template = json_get(spec_of(v), "template");
	const struct json *metadata = json_get(template, "metadata");
	struct rule_path own = FIELD(path, "template"), labels = FIELD(&own, "labels"),
	                 annotations = FIELD(&own, "annotations");

	if (!is_present(selector) || !is_empty_selector(selector))
		validate_template_labels(v, selector, template, &own);
	validate_labels(v, json_get(metadata, "labels"), &labels);
	validate_annotations(v, json_get(metadata, "annotations"), &annotations);
	validate_pod_annotations(v, json_get(metadata, "annotations"), json_get(template, "spec"), &annotations);
	validate_always(v, template, "StatefulSet", &own);
}

static void validate_stateful_status(struct validation *v)
{
	static const char *const counters[] = {
	        "replicas",          "readyReplicas",      "currentReplicas", "updatedReplicas",
	        "availableReplicas", "observedGeneration", "collisionCount",  NULL};
	static const char *const within[] = {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
	                                     NULL};
	static const struct status_rules rules = {counters, within, "cannot be greater than status.replicas",
	                                          "cannot be greater than status.readyReplicas"};

	validate_counters(v, &rules);
}

void validate_stateful_set(struct validation *v)
{
	static const char *const management[] = {"OrderedReady", "Parallel", NULL};
	const struct json *spec = spec_of(v);
	const char *policy = text_of(spec, "podManagementPolicy");
	struct rule_path path = FIELD(NULL, "spec"), policy_path = FIELD(&path, "podManagementPolicy"),
	                 strategy = FIELD(&path, "updateStrategy"),
	                 retention = FIELD(&path, "persistentVolumeClaimRetentionPolicy"),
	                 start = FIELD(&path, "ordinals.start");

	if (is_status(v)) {
		validate_stateful_status(v);
		return;
	}
	if (!policy[0])
		validation_required(v, &policy_path, "");
	else if (!is_one_of(policy, management))
		validation_invalid_text(v, &policy_path, policy, "must be 'OrderedReady' or 'Parallel'");
	validate_stateful_strategy(v, json_get(spec, "updateStrategy"), &strategy);
	validate_retention(v, json_get(spec, "persistentVolumeClaimRetentionPolicy"), &retention);
	rule_not_negative(v, spec, "replicas", &path);
	rule_not_negative(v, spec, "minReadySeconds", &path);
	validation_not_negative(v, &start, json_path(spec, "ordinals", "start"));
	if (change_is_create(v->change))
		rule_text(v, spec, "serviceName", &path, check_dns_label);
	validate_selector(v, "statefulset", &path);
	validate_stateful_template(v, &path);
	if (v->change->old && stateful_set_differs(v))
		validation_forbidden(v, &path,
		                     "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
		                     "'template', 'updateStrategy', 'revisionHistoryLimit', "
		                     "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

// --- revisions ---------------------------------------------------------------------------------------

void validate_controller_revision(struct validation *v)
{
	const struct json *object = v->change->object, *data = json_get(object, "data");
	struct rule_path path = FIELD(NULL, "data");

	rule_not_negative(v, object, "revision", NULL);
	if (v->change->old)
		rule_immutable(v, object, v->change->old, "data", NULL);
	else if (!is_present(data))
		validation_required(v, &path, "data is mandatory");
	else if (!json_is(data, JSON_OBJECT))
		validation_required(v, &path, "data must be a valid JSON object");
}
