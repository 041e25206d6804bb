// SPDX-License-Identifier: Apache-2.0
// The table is made from rbac.policy at build time, a row a line (see there for
// the language). Rows that hold a role's or binding's content follow its own row.

#include "apiserver/bootstrap/policy.h"

#include <string.h>

#include "common/api/schema.h"

enum policy_what {
	POLICY_CLUSTER_ROLE,
	POLICY_ROLE,
	POLICY_CLUSTER_BINDING,
	POLICY_BINDING,
	POLICY_LABEL, // what stands within one of these, from here on
	POLICY_AGGREGATE,
	POLICY_ALLOW,
	POLICY_ALLOW_PATHS,
	POLICY_USER,
	POLICY_GROUP,
	POLICY_ACCOUNT,
};

struct policy_row {
	enum policy_what what;
	const char *a, *b, *c, *d, *e; // by what it is: namespace, name, role; verbs, groups, resources, names; …
};

static const struct policy_row rows[] = {
#include "api/bootstrap_policy.inc"
};

static const enum rbac_kind kinds[] = {
        [POLICY_CLUSTER_ROLE] = RBAC_CLUSTER_ROLES,
        [POLICY_ROLE] = RBAC_ROLES,
        [POLICY_CLUSTER_BINDING] = RBAC_CLUSTER_ROLE_BINDINGS,
        [POLICY_BINDING] = RBAC_ROLE_BINDINGS,
};

static const struct {
	const char *plural;
	const char *kind;
} kind_names[RBAC_KIND_COUNT_] = {
        [RBAC_CLUSTER_ROLES] = {"clusterroles", "ClusterRole"},
        [RBAC_ROLES] = {"roles", "Role"},
        [RBAC_CLUSTER_ROLE_BINDINGS] = {"clusterrolebindings", "ClusterRoleBinding"},
        [RBAC_ROLE_BINDINGS] = {"rolebindings", "RoleBinding"},
};

const struct schema_resource *policy_resource(enum rbac_kind kind)
{
	return schema_find_resource("rbac.authorization.k8s.io", "v1", kind_names[kind].plural);
}

bool policy_next(size_t *cursor, struct policy_object *ret_object)
{
	const struct policy_row *row = &rows[*cursor];
	size_t end = *cursor + 1;

	if (*cursor >= ARRAY_SIZE(rows))
		return false;
	while (end < ARRAY_SIZE(rows) && rows[end].what >= POLICY_LABEL)
		end++;
	*ret_object = (struct policy_object){.kind = kinds[row->what],
	                                     .namespace_name = row->a,
	                                     .name = row->b,
	                                     .rows = row,
	                                     .row_count = end - *cursor};
	*cursor = end;
	return true;
}

// --- documents ---------------------------------------------------------------------------------

// "a,b" as an array; "core" among API groups is "".
static struct json *split(struct arena *arena, const char *list, bool groups)
{
	struct json *array = json_array(arena);

	for (const char *at = list; *at;) {
		size_t length = strcspn(at, ",");
		bool core = groups && length == 4 && !strncmp(at, "core", 4);

		json_append(arena, array, json_string_n(arena, at, core ? 0 : length));
		at += length + (at[length] == ',');
	}
	return array;
}

static struct json *rule_of(struct arena *arena, const struct policy_row *row)
{
	struct json *rule = json_object(arena);

	json_set(arena, rule, "verbs", split(arena, row->a, false));
	if (row->what == POLICY_ALLOW_PATHS) {
		json_set(arena, rule, "nonResourceURLs", split(arena, row->b, false));
		return rule;
	}
	json_set(arena, rule, "apiGroups", split(arena, row->b, true));
	json_set(arena, rule, "resources", split(arena, row->c, false));
	if (row->d[0])
		json_set(arena, rule, "resourceNames", split(arena, row->d, false));
	return rule;
}

static struct json *subject_of(struct arena *arena, const struct policy_row *row)
{
	struct json *subject = json_object(arena);

	json_set_text(arena, subject, "kind",
	              row->what == POLICY_USER    ? "User"
	              : row->what == POLICY_GROUP ? "Group"
	                                          : "ServiceAccount");
	if (row->what != POLICY_ACCOUNT)
		json_set_text(arena, subject, "apiGroup", "rbac.authorization.k8s.io");
	json_set_text(arena, subject, "name", row->b);
	if (row->what == POLICY_ACCOUNT)
		json_set_text(arena, subject, "namespace", row->a);
	return subject;
}

static struct json *selector_of(struct arena *arena, const struct policy_row *row)
{
	struct json *rule = json_object(arena), *selectors = json_array(arena), *selector = json_object(arena),
	            *labels = json_object(arena);

	json_set_text(arena, labels, row->a, row->b);
	json_set(arena, selector, "matchLabels", labels);
	json_append(arena, selectors, selector);
	json_set(arena, rule, "clusterRoleSelectors", selectors);
	return rule;
}

static void add_row(struct arena *arena, struct json *object, struct json *labels, const struct policy_row *row)
{
	switch (row->what) {
	case POLICY_LABEL:
		json_set_text(arena, labels, row->a, row->b);
		break;
	case POLICY_AGGREGATE:
		json_set(arena, object, "aggregationRule", selector_of(arena, row));
		break;
	case POLICY_ALLOW:
	case POLICY_ALLOW_PATHS:
		json_append(arena, json_ensure_array(arena, object, "rules"), rule_of(arena, row));
		break;
	default:
		json_append(arena, json_ensure_array(arena, object, "subjects"), subject_of(arena, row));
	}
}

static struct json *role_reference(struct arena *arena, const struct policy_object *object)
{
	struct json *reference = json_object(arena);

	json_set_text(arena, reference, "apiGroup", "rbac.authorization.k8s.io");
	json_set_text(arena, reference, "kind", object->kind == RBAC_ROLE_BINDINGS ? "Role" : "ClusterRole");
	json_set_text(arena, reference, "name", object->rows->c);
	return reference;
}

struct json *policy_to_json(struct arena *arena, const struct policy_object *object)
{
	struct json *tree = json_object(arena), *metadata = json_object(arena), *labels = json_object(arena),
	            *annotations = json_object(arena);

	json_set_text(arena, tree, "kind", kind_names[object->kind].kind);
	json_set_text(arena, tree, "apiVersion", "rbac.authorization.k8s.io/v1");
	json_set(arena, tree, "metadata", metadata);
	json_set_text(arena, metadata, "name", object->name);
	if (object->namespace_name[0])
		json_set_text(arena, metadata, "namespace", object->namespace_name);
	json_set_text(arena, labels, "kubernetes.io/bootstrapping", "rbac-defaults");
	json_set(arena, metadata, "labels", labels);
	json_set_text(arena, annotations, "rbac.authorization.kubernetes.io/autoupdate", "true");
	json_set(arena, metadata, "annotations", annotations);
	if (object->kind == RBAC_ROLE_BINDINGS || object->kind == RBAC_CLUSTER_ROLE_BINDINGS)
		json_set(arena, tree, "roleRef", role_reference(arena, object));
	for (size_t i = 1; i < object->row_count; i++)
		add_row(arena, tree, labels, &object->rows[i]);
	return tree;
}

void policy_rules(struct arena *arena, const char *role, struct rbac_rules *ret_rules)
{
	struct policy_object object;
	size_t cursor = 0;

	*ret_rules = (struct rbac_rules){0};
	while (policy_next(&cursor, &object))
		if (object.kind == RBAC_CLUSTER_ROLES && !strcmp(object.name, role))
			rbac_rules_parse(arena, json_get(policy_to_json(arena, &object), "rules"), ret_rules);
}
