// SPDX-License-Identifier: Apache-2.0

#include "apiserver/fairness/flow_schema.h"

#include <string.h>

#include "common/base/macros.h"

#define SERVICE_ACCOUNT_PREFIX "system:serviceaccount:"

static bool has(const struct string_array *list, const char *value)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], value) || !strcmp(list->items[i], "*"))
			return true;
	return false;
}

// --- who ------------------------------------------------------------------------------------

static bool matches_user(const struct flowcontrol_v1_subject *subject, const struct flow_attributes *attributes)
{
	const char *wanted = subject->user ? subject->user->name : NULL;

	return wanted && (!strcmp(wanted, "*") || !strcmp(wanted, attributes->user));
}

static bool matches_group(const struct flowcontrol_v1_subject *subject, const struct flow_attributes *attributes)
{
	const char *wanted = subject->group ? subject->group->name : NULL;

	if (wanted && !strcmp(wanted, "*"))
		return true;
	for (size_t i = 0; wanted && i < attributes->group_count; i++)
		if (!strcmp(wanted, attributes->groups[i]))
			return true;
	return false;
}

// "system:serviceaccount:NAMESPACE:NAME"
static bool matches_service_account(const struct flowcontrol_v1_subject *subject,
                                    const struct flow_attributes *attributes)
{
	const struct flowcontrol_v1_service_account_subject *wanted = subject->service_account;
	size_t prefix = strlen(SERVICE_ACCOUNT_PREFIX), length;
	const char *rest;

	if (!wanted || !wanted->namespace || !wanted->name || strncmp(attributes->user, SERVICE_ACCOUNT_PREFIX, prefix))
		return false;
	rest = attributes->user + prefix;
	length = strlen(wanted->namespace);
	if (strncmp(rest, wanted->namespace, length) || rest[length] != ':')
		return false;
	return !strcmp(wanted->name, "*") || !strcmp(wanted->name, rest + length + 1);
}

static bool matches_subject(const struct flowcontrol_v1_subject *subject, const struct flow_attributes *attributes)
{
	static const struct {
		const char *kind;
		bool (*matches)(const struct flowcontrol_v1_subject *subject, const struct flow_attributes *attributes);
	} kinds[] = {
	        {"User", matches_user},
	        {"Group", matches_group},
	        {"ServiceAccount", matches_service_account},
	};

	for (size_t i = 0; subject->kind && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(subject->kind, kinds[i].kind))
			return kinds[i].matches(subject, attributes);
	return false;
}

// --- what -----------------------------------------------------------------------------------

static bool matches_resource(const struct flowcontrol_v1_resource_policy_rule *rule,
                             const struct flow_attributes *attributes)
{
	if (!has(&rule->verbs, attributes->verb) || !has(&rule->api_groups, attributes->api_group) ||
	    !has(&rule->resources, attributes->resource))
		return false;
	return attributes->namespace_name[0] ? has(&rule->namespaces, attributes->namespace_name) : rule->cluster_scope;
}

static bool matches_path(const char *wanted, const char *path)
{
	size_t length = strlen(wanted);

	if (!strcmp(wanted, "*") || !strcmp(wanted, path))
		return true;
	return length >= 2 && !strcmp(wanted + length - 2, "/*") && !strncmp(wanted, path, length - 1);
}

static bool matches_non_resource(const struct flowcontrol_v1_non_resource_policy_rule *rule,
                                 const struct flow_attributes *attributes)
{
	if (!has(&rule->verbs, attributes->verb))
		return false;
	for (size_t i = 0; i < rule->non_resource_urls.count; i++)
		if (matches_path(rule->non_resource_urls.items[i], attributes->path))
			return true;
	return false;
}

static bool matches_what(const struct flowcontrol_v1_policy_rules_with_subjects *rule,
                         const struct flow_attributes *attributes)
{
	if (attributes->is_resource) {
		for (size_t i = 0; i < rule->resource_rules.count; i++)
			if (matches_resource(&rule->resource_rules.items[i], attributes))
				return true;
		return false;
	}
	for (size_t i = 0; i < rule->non_resource_rules.count; i++)
		if (matches_non_resource(&rule->non_resource_rules.items[i], attributes))
			return true;
	return false;
}

bool flow_schema_matches(const struct flowcontrol_v1_flow_schema_spec *spec, const struct flow_attributes *attributes)
{
	for (size_t i = 0; i < spec->rules.count; i++) {
		const struct flowcontrol_v1_policy_rules_with_subjects *rule = &spec->rules.items[i];

		for (size_t j = 0; j < rule->subjects.count; j++)
			if (matches_subject(&rule->subjects.items[j], attributes) && matches_what(rule, attributes))
				return true;
	}
	return false;
}

const char *flow_schema_distinguisher(const struct flowcontrol_v1_flow_schema_spec *spec,
                                      const struct flow_attributes *attributes)
{
	const char *type = spec->distinguisher_method ? spec->distinguisher_method->type : NULL;

	if (type && !strcmp(type, "ByUser"))
		return attributes->user;
	if (type && !strcmp(type, "ByNamespace"))
		return attributes->namespace_name;
	return "";
}

int flow_schema_compare(const struct flowcontrol_v1_flow_schema *a, const struct flowcontrol_v1_flow_schema *b)
{
	if (a->spec.matching_precedence != b->spec.matching_precedence)
		return a->spec.matching_precedence < b->spec.matching_precedence ? -1 : 1;
	return strcmp(a->metadata.name, b->metadata.name);
}
