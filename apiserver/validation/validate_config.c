// SPDX-License-Identifier: Apache-2.0
// Configuration and identity: ConfigMaps, Secrets, namespaces, events, leases,
// limits and quotas, priorities, roles.

#include <string.h>

#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/api/object.h"

enum {
	CONFIG_MAX_BYTES = 1 << 20,
};

static const struct json *spec_of(const struct validation *v)
{
	return json_get(v->change->object, "spec");
}

// --- config maps and secrets ---------------------------------------------------------------------

static size_t validate_keys(struct validation *v, const struct json *values, const struct rule_path *path)
{
	size_t total = 0;

	json_for_each_member (value, values) {
		struct rule_path item = FIELD_KEY(path, value->key);

		validation_string(v, &item, value->key, check_config_key);
		total += json_is(value->value, JSON_STRING) ? value->value->length : 0;
	}
	return total;
}

static void immutable_when_set(struct validation *v, const char *const *members)
{
	const struct json *object = v->change->object, *old = v->change->old;
	struct rule_path immutable = FIELD(NULL, "immutable");
	char *reason = "field is immutable when `immutable` is set";

	if (!old || !json_get_bool(old, "immutable", false))
		return;
	if (!json_get_bool(object, "immutable", false))
		validation_forbidden(v, &immutable, reason);
	for (; *members; members++) {
		struct rule_path member = FIELD(NULL, *members);
		const struct json *now = json_get(object, *members), *before = json_get(old, *members);

		if (length_of(now) != length_of(before) || (length_of(now) && !json_equal(now, before)))
			validation_forbidden(v, &member, reason);
	}
}

void validate_config_map(struct validation *v)
{
	static const char *const members[] = {"data", "binaryData", NULL};
	const struct json *object = v->change->object;
	struct rule_path data = FIELD(NULL, "data"), binary = FIELD(NULL, "binaryData"), root = FIELD(NULL, "");
	size_t total = validate_keys(v, json_get(object, "data"), &data);

	total += validate_keys(v, json_get(object, "binaryData"), &binary) / 4 * 3;
	json_for_each_member (value, json_get(object, "data")) {
		struct rule_path item = FIELD_KEY(&data, value->key);

		if (json_get(json_get(object, "binaryData"), value->key))
			validation_invalid_text(v, &item, value->key, "duplicate of key present in binaryData");
	}
	if (total > CONFIG_MAX_BYTES)
		validation_too_long(v, &root, CONFIG_MAX_BYTES);
	immutable_when_set(v, members);
}

static void require_data(struct validation *v, const char *key)
{
	struct rule_path data = FIELD(NULL, "data"), path = FIELD_KEY(&data, key);

	if (!json_get(json_get(v->change->object, "data"), key))
		validation_required(v, &path, "");
}

static void validate_secret_type(struct validation *v, const char *type)
{
	const struct json *data = json_get(v->change->object, "data");
	struct rule_path metadata = FIELD(NULL, "metadata"), annotations = FIELD(&metadata, "annotations"),
	                 account = FIELD_KEY(&annotations, "kubernetes.io/service-account.name");

	if (!strcmp(type, "kubernetes.io/service-account-token")) {
		const char *name = json_get_text(json_path(v->change->object, "metadata", "annotations"),
		                                 "kubernetes.io/service-account.name");

		if (!name || !name[0])
			validation_required(v, &account, "");
	} else if (!strcmp(type, "kubernetes.io/dockercfg")) {
		require_data(v, ".dockercfg");
	} else if (!strcmp(type, "kubernetes.io/dockerconfigjson")) {
		require_data(v, ".dockerconfigjson");
	} else if (!strcmp(type, "kubernetes.io/basic-auth")) {
		if (!json_get(data, "username") && !json_get(data, "password")) {
			require_data(v, "username");
			require_data(v, "password");
		}
	} else if (!strcmp(type, "kubernetes.io/ssh-auth")) {
		require_data(v, "ssh-privatekey");
	} else if (!strcmp(type, "kubernetes.io/tls")) {
		require_data(v, "tls.crt");
		require_data(v, "tls.key");
	}
}

void validate_secret(struct validation *v)
{
	static const char *const members[] = {"data", NULL};
	const struct json *object = v->change->object;
	struct rule_path data = FIELD(NULL, "data"), type = FIELD(NULL, "type");

	if (validate_keys(v, json_get(object, "data"), &data) / 4 * 3 > CONFIG_MAX_BYTES)
		validation_too_long(v, &data, CONFIG_MAX_BYTES);
	validate_secret_type(v, text_of(object, "type"));
	if (v->change->old)
		validation_immutable(v, &type, json_get(object, "type"), json_get(v->change->old, "type"));
	immutable_when_set(v, members);
}

// --- namespaces, events, leases --------------------------------------------------------------------

void validate_namespace(struct validation *v)
{
	struct rule_path spec = FIELD(NULL, "spec"), finalizers = FIELD(&spec, "finalizers"),
	                 status = FIELD(NULL, "status"), phase = FIELD(&status, "phase");
	const char *text = text_of(json_get(v->change->object, "status"), "phase");

	json_for_each_item (item, json_get(spec_of(v), "finalizers"))
		if (json_text(item))
			validation_string(v, &finalizers, json_text(item), check_qualified_name);
	if (strcmp(v->change->subresource, "status"))
		return;
	if (object_is_being_deleted(v->change->object) ? strcmp(text, "Terminating") : strcmp(text, "Active"))
		validation_invalid_text(v, &phase, text,
		                        object_is_being_deleted(v->change->object)
		                                ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
		                                : "may only be 'Active' if `deletionTimestamp` is empty");
}

void validate_event(struct validation *v)
{
	bool core = !v->change->resource->group[0];
	const struct json *object = v->change->object;
	const struct json *reference = json_get(object, core ? "involvedObject" : "regarding");
	struct rule_path involved = FIELD(NULL, core ? "involvedObject" : "regarding"),
	                 namespace_path = FIELD(&involved, "namespace"), type = FIELD(NULL, "type"),
	                 reason = FIELD(NULL, "reason"), action = FIELD(NULL, "action"),
	                 controller = FIELD(NULL, "reportingController");
	const char *of = text_of(reference, "namespace");

	if (change_is_create(v->change) && strcmp(of[0] ? of : "default", v->change->namespace_name) &&
	    (of[0] || strcmp(v->change->namespace_name, "kube-system")))
		validation_invalid_text(v, &namespace_path, of, "does not match event.namespace");
	if (core || !change_is_create(v->change))
		return;
	static const char *const types[] = {"Normal", "Warning", NULL};

	if (!is_present(json_get(object, "eventTime"))) {
		struct rule_path time = FIELD(NULL, "eventTime");

		validation_required(v, &time, "");
	}
	if (!text_of(object, "reportingController")[0])
		validation_required(v, &controller, "");
	if (!text_of(object, "reason")[0])
		validation_required(v, &reason, "");
	if (!text_of(object, "action")[0])
		validation_required(v, &action, "");
	validation_one_of(v, &type, json_get(object, "type"), true, types);
}

void validate_lease(struct validation *v)
{
	const struct json *spec = spec_of(v), *seconds = json_get(spec, "leaseDurationSeconds");
	struct rule_path path = FIELD(NULL, "spec"), duration = FIELD(&path, "leaseDurationSeconds"),
	                 transitions = FIELD(&path, "leaseTransitions");

	if (json_is(seconds, JSON_INTEGER) && seconds->integer <= 0)
		validation_invalid(v, &duration, seconds, "must be greater than 0");
	if (integer_of(spec, "leaseTransitions", 0) < 0)
		validation_invalid(v, &transitions, json_get(spec, "leaseTransitions"),
		                   "must be greater than or equal to 0");
}

// --- limits, quotas, priorities --------------------------------------------------------------------

void validate_resource_quota(struct validation *v)
{
	struct rule_path path = FIELD(NULL, "spec"), hard = FIELD(&path, "hard"), scopes = FIELD(&path, "scopes");

	json_for_each_member (amount, json_get(spec_of(v), "hard")) {
		struct rule_path item = FIELD_KEY(&hard, amount->key);

		validation_string(v, &item, amount->key, check_qualified_name);
		if (json_text(amount->value) && json_text(amount->value)[0] == '-')
			validation_invalid_text(v, &item, json_text(amount->value),
			                        "must be greater than or equal to 0");
	}
	if (v->change->old)
		validation_immutable(v, &scopes, json_get(spec_of(v), "scopes"),
		                     json_path(v->change->old, "spec", "scopes"));
}

void validate_limit_range(struct validation *v)
{
	static const char *const defaults[] = {"default", "defaultRequest"};
	struct rule_path path = FIELD(NULL, "spec"), limits = FIELD(&path, "limits");
	const struct json *list = json_get(spec_of(v), "limits");
	uint32_t index = 0;

	json_for_each_item (limit, list) {
		struct rule_path item = FIELD_INDEX(&limits, index++), type = FIELD(&item, "type");
		const char *kind = text_of(limit, "type");

		validation_string(v, &type, kind, check_qualified_name);
		for (uint32_t before = 0; before + 1 < index; before++)
			if (!strcmp(text_of(list->items[before], "type"), kind))
				validation_duplicate(v, &type, json_get(limit, "type"));
		for (size_t i = 0; !strcmp(kind, "Pod") && i < ARRAY_SIZE(defaults); i++) {
			struct rule_path member = FIELD(&item, defaults[i]);

			if (length_of(json_get(limit, defaults[i])))
				validation_forbidden(v, &member, "may not be specified when `type` is 'Pod'");
		}
	}
}

void validate_priority_class(struct validation *v)
{
	const struct json *object = v->change->object;
	struct rule_path value = FIELD(NULL, "value"), metadata = FIELD(NULL, "metadata"),
	                 name = FIELD(&metadata, "name"), policy = FIELD(NULL, "preemptionPolicy");
	static const char *const policies[] = {"Never", "PreemptLowerPriority", NULL};
	int64_t number = integer_of(object, "value", 0);
	const char *text = v->change->name ? v->change->name : "";
	bool known = (!strcmp(text, "system-node-critical") && number == 2000001000) ||
	             (!strcmp(text, "system-cluster-critical") && number == 2000000000);

	if (!strncmp(text, "system-", 7) && !known)
		validation_forbidden(v, &name,
		                     "priority class names with 'system-' prefix are reserved for system use only");
	else if (!known && number > 1000000000)
		validation_forbidden(v, &value, "maximum allowed value of a user defined priority is 1000000000");
	validation_one_of(v, &policy, json_get(object, "preemptionPolicy"), false, policies);
	if (!v->change->old)
		return;
	if (integer_of(v->change->old, "value", 0) != number)
		validation_forbidden(v, &value, "may not be changed in an update.");
	validation_immutable(v, &policy, json_get(object, "preemptionPolicy"),
	                     json_get(v->change->old, "preemptionPolicy"));
}

void validate_runtime_class(struct validation *v)
{
	struct rule_path handler = FIELD(NULL, "handler");

	validation_string(v, &handler, text_of(v->change->object, "handler"), check_dns_label);
	if (v->change->old)
		validation_immutable(v, &handler, json_get(v->change->object, "handler"),
		                     json_get(v->change->old, "handler"));
}

void validate_pod_disruption_budget(struct validation *v)
{
	const struct json *spec = spec_of(v);
	struct rule_path path = FIELD(NULL, "spec"), selector = FIELD(&path, "selector");
	static const char *const members[] = {"minAvailable", "maxUnavailable"};

	if (!strcmp(v->change->subresource, "status"))
		return;
	if (is_present(json_get(spec, "minAvailable")) && is_present(json_get(spec, "maxUnavailable")))
		validation_invalid_text(v, &path, "", "minAvailable and maxUnavailable cannot be both set");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct rule_path member = FIELD(&path, members[i]);
		const struct json *amount = json_get(spec, members[i]);
		int percent;

		validation_not_negative(v, &member, amount);
		if (json_text(amount) && (!is_percent(json_text(amount), &percent) || percent > 100))
			validation_invalid_text(v, &member, json_text(amount), "must not be greater than 100%");
	}
	validate_label_selector(v, json_get(spec, "selector"), &selector);
}

void validate_autoscaler(struct validation *v)
{
	const struct json *spec = spec_of(v), *target = json_get(spec, "scaleTargetRef");
	struct rule_path path = FIELD(NULL, "spec"), minimum = FIELD(&path, "minReplicas"),
	                 maximum = FIELD(&path, "maxReplicas"), reference = FIELD(&path, "scaleTargetRef"),
	                 kind = FIELD(&reference, "kind"), name = FIELD(&reference, "name");
	int64_t low = integer_of(spec, "minReplicas", 1), high = integer_of(spec, "maxReplicas", 0);

	if (!strcmp(v->change->subresource, "status"))
		return;
	if (low < 1)
		validation_invalid_integer(v, &minimum, low, "must be greater than or equal to 1");
	if (high < 1)
		validation_invalid_integer(v, &maximum, high, "must be greater than 0");
	if (high < low)
		validation_invalid_integer(v, &maximum, high, "must be greater than or equal to `minReplicas`");
	if (!text_of(target, "kind")[0])
		validation_required(v, &kind, "");
	if (!text_of(target, "name")[0])
		validation_required(v, &name, "");
}

// --- roles -------------------------------------------------------------------------------------------

void validate_role(struct validation *v)
{
	bool cluster = !v->change->resource->namespaced;
	struct rule_path rules = FIELD(NULL, "rules");
	uint32_t index = 0;

	json_for_each_item (rule, json_get(v->change->object, "rules")) {
		struct rule_path item = FIELD_INDEX(&rules, index++), verbs = FIELD(&item, "verbs"),
		                 urls = FIELD(&item, "nonResourceURLs"), groups = FIELD(&item, "apiGroups"),
		                 resources = FIELD(&item, "resources");
		bool has_urls = length_of(json_get(rule, "nonResourceURLs"));

		if (!length_of(json_get(rule, "verbs")))
			validation_required(v, &verbs, "verbs must contain at least one value");
		if (has_urls && !cluster)
			validation_invalid(v, &urls, json_get(rule, "nonResourceURLs"),
			                   "namespaced rules cannot apply to non-resource URLs");
		if (has_urls && (length_of(json_get(rule, "apiGroups")) || length_of(json_get(rule, "resources"))))
			validation_invalid(v, &urls, json_get(rule, "nonResourceURLs"),
			                   "rules cannot apply to both regular resources and non-resource URLs");
		if (has_urls)
			continue;
		if (!length_of(json_get(rule, "apiGroups")))
			validation_required(v, &groups, "resource rules must supply at least one api group");
		if (!length_of(json_get(rule, "resources")))
			validation_required(v, &resources, "resource rules must supply at least one resource");
	}
}

static void validate_subject(struct validation *v, const struct json *subject, bool cluster,
                             const struct rule_path *path)
{
	static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
	struct rule_path name = FIELD(path, "name"), kind = FIELD(path, "kind"),
	                 namespace_path = FIELD(path, "namespace");

	if (!text_of(subject, "name")[0])
		validation_required(v, &name, "");
	validation_one_of(v, &kind, json_get(subject, "kind"), true, kinds);
	if (!strcmp(text_of(subject, "kind"), "ServiceAccount") && !text_of(subject, "namespace")[0] && cluster)
		validation_required(v, &namespace_path, "");
}

void validate_role_binding(struct validation *v)
{
	static const char *const any[] = {"Role", "ClusterRole", NULL};
	static const char *const cluster_only[] = {"ClusterRole", NULL};
	bool cluster = !v->change->resource->namespaced;
	const struct json *reference = json_get(v->change->object, "roleRef");
	struct rule_path ref = FIELD(NULL, "roleRef"), kind = FIELD(&ref, "kind"), name = FIELD(&ref, "name"),
	                 subjects = FIELD(NULL, "subjects");
	uint32_t index = 0;

	validation_one_of(v, &kind, json_get(reference, "kind"), true, cluster ? cluster_only : any);
	if (!text_of(reference, "name")[0])
		validation_required(v, &name, "");
	json_for_each_item (subject, json_get(v->change->object, "subjects")) {
		struct rule_path item = FIELD_INDEX(&subjects, index++);

		validate_subject(v, subject, cluster, &item);
	}
	if (v->change->old && !json_equal(reference, json_get(v->change->old, "roleRef")))
		validation_invalid(v, &ref, reference, "cannot change roleRef");
}
