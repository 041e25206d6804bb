// SPDX-License-Identifier: Apache-2.0
// Roles and their bindings.

#include <string.h>

#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

static bool is_namespaced(const struct validation *v)
{
	return v->change->resource->namespaced;
}

static void validate_rule(struct validation *v, const struct json *rule, const struct rule_path *path)
{
	const struct json *urls = json_get(rule, "nonResourceURLs");
	struct rule_path verbs = FIELD(path, "verbs"), urls_path = FIELD(path, "nonResourceURLs"),
	                 groups = FIELD(path, "apiGroups"), resources = FIELD(path, "resources");

	if (!length_of(json_get(rule, "verbs")))
		validation_required(v, &verbs, "verbs must contain at least one value");
	if (length_of(urls)) {
		if (is_namespaced(v))
			validation_invalid(v, &urls_path, urls, "namespaced rules cannot apply to non-resource URLs");
		if (length_of(json_get(rule, "apiGroups")) || length_of(json_get(rule, "resources")) ||
		    length_of(json_get(rule, "resourceNames")))
			validation_invalid(v, &urls_path, urls,
			                   "rules cannot apply to both regular resources and non-resource URLs");
		return;
	}
	if (!length_of(json_get(rule, "apiGroups")))
		validation_required(v, &groups, "resource rules must supply at least one api group");
	if (!length_of(json_get(rule, "resources")))
		validation_required(v, &resources, "resource rules must supply at least one resource");
}

void validate_role(struct validation *v)
{
	const struct json *aggregation = json_get(v->change->object, "aggregationRule");
	const struct json *selectors = json_get(aggregation, "clusterRoleSelectors");
	struct rule_path rules = FIELD(NULL, "rules"), path = FIELD(NULL, "aggregationRule"),
	                 list = FIELD(&path, "clusterRoleSelectors");

	rule_for_each_item (rule, entry, json_get(v->change->object, "rules"), &rules)
		validate_rule(v, rule, &entry);
	if (!is_present(aggregation))
		return;
	if (!length_of(selectors))
		validation_required(v, &list,
		                    "at least one clusterRoleSelector required if aggregationRule is non-nil");
	rule_for_each_item (selector, entry, selectors, &list)
		validate_label_selector(v, selector, &entry);
}

static void validate_subject(struct validation *v, const struct json *subject, const struct rule_path *path)
{
	static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
	static const char *const no_group[] = {"", NULL}, *const own_group[] = {RBAC_GROUP, NULL};
	const char *kind = text_of(subject, "kind"), *group = text_of(subject, "apiGroup");
	struct rule_path kind_path = FIELD(path, "kind"), group_path = FIELD(path, "apiGroup"),
	                 name = FIELD(path, "name"), namespace_path = FIELD(path, "namespace");

	if (!text_of(subject, "name")[0])
		validation_required(v, &name, "");
	if (!is_one_of(kind, kinds)) {
		validation_not_supported(v, &kind_path, kind, kinds);
	} else if (strcmp(kind, "ServiceAccount")) {
		if (strcmp(group, RBAC_GROUP))
			validation_not_supported(v, &group_path, group, own_group);
	} else {
		rule_text(v, subject, "name", path, check_dns_subdomain);
		if (group[0])
			validation_not_supported(v, &group_path, group, no_group);
		if (!is_namespaced(v) && !text_of(subject, "namespace")[0])
			validation_required(v, &namespace_path, "");
	}
}

void validate_role_binding(struct validation *v)
{
	static const char *const any[] = {"Role", "ClusterRole", NULL}, *const cluster_only[] = {"ClusterRole", NULL};
	static const char *const group[] = {RBAC_GROUP, NULL};
	const char *const *kinds = is_namespaced(v) ? any : cluster_only;
	const struct json *reference = json_get(v->change->object, "roleRef");
	struct rule_path path = FIELD(NULL, "roleRef"), group_path = FIELD(&path, "apiGroup"),
	                 kind = FIELD(&path, "kind"), subjects = FIELD(NULL, "subjects");

	if (!text_is(reference, "apiGroup", RBAC_GROUP))
		validation_not_supported(v, &group_path, text_of(reference, "apiGroup"), group);
	if (!is_one_of(text_of(reference, "kind"), kinds))
		validation_not_supported(v, &kind, text_of(reference, "kind"), kinds);
	rule_required_text(v, reference, "name", &path, check_path_segment);
	rule_for_each_item (subject, entry, json_get(v->change->object, "subjects"), &subjects)
		validate_subject(v, subject, &entry);
	if (v->change->old && !json_equal(reference, json_get(v->change->old, "roleRef")))
		validation_invalid_rendered(v, &path,
		                            arena_printf(v->arena,
		                                         "rbac.RoleRef{APIGroup:\"%s\", Kind:\"%s\", Name:\"%s\"}",
		                                         text_of(reference, "apiGroup"), text_of(reference, "kind"),
		                                         text_of(reference, "name")),
		                            "cannot change roleRef");
}
