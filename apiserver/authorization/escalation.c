// SPDX-License-Identifier: Apache-2.0
// A role may be written by who has all its rules already, or may `escalate` on it;
// a binding by who has all rules of its role, or may `bind` that role.
// system:masters may everything. What changes neither rules nor subjects is no
// grant. An aggregated cluster role could become anything, so whoever writes the
// aggregation must be able to do everything.

#include "apiserver/authorization/escalation.h"

#include <string.h>

#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/rbac.h"
#include "apiserver/server.h"
#include "common/base/encode.h"
#include "common/base/text.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

struct held {
	struct arena *arena;
	struct rbac_rules rules;
	size_t capacity;
	const char *errors;
};

static bool collect(void *context, const struct rbac_source *source, const struct rbac_rule *rule, const char *missing)
{
	struct held *held = context;

	(void)source;
	if (!rule) {
		held->errors = held->errors ? arena_printf(held->arena, "%s, %s", held->errors, missing) : missing;
		return true;
	}
	if (held->rules.count == held->capacity) {
		size_t capacity = held->capacity ? 2 * held->capacity : 32;

		held->rules.items =
		        arena_realloc(held->arena, held->rules.items, held->capacity * sizeof(*held->rules.items),
		                      capacity * sizeof(*held->rules.items));
		held->capacity = capacity;
	}
	rbac_rule_copy(held->arena, rule, &held->rules.items[held->rules.count++]);
	return true;
}

static const char *quote_groups(struct arena *arena, const struct user *user)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(64 << 10);

	strbuf_append_char(&out, '[');
	for (size_t i = 0; i < user->group_count; i++) {
		if (i)
			strbuf_append_char(&out, ' ');
		quote_append(&out, user->groups[i], strlen(user->groups[i]));
	}
	strbuf_append_char(&out, ']');
	return arena_strdup(arena, strbuf_text(&out));
}

// NULL when the user has all of these rules.
static const struct status *confirm(struct change *change, const struct rbac_rules *wanted)
{
	const struct user *user = &change->request->user;
	struct held held = {.arena = change->arena};
	struct rbac_rules missing;
	const char *text;

	rbac_visit(authorization_rbac(change->server->authorization), change->arena, user, change->namespace_name,
	           collect, &held);
	if (rbac_rules_cover(change->arena, &held.rules, wanted, &missing))
		return NULL;
	text = arena_printf(change->arena,
	                    "user \"%s\" (groups=%s) is attempting to grant RBAC permissions not currently held:\n%s",
	                    user->name, quote_groups(change->arena, user),
	                    rbac_rules_describe(change->arena, &missing));
	if (held.errors)
		text = arena_printf(change->arena, "%s; resolution errors: [%s]", text, held.errors);
	return status_forbidden(change->arena, change->resource, change->name, text);
}

static bool may(struct change *change, const char *verb, const char *resource, const char *namespace_name,
                const char *name)
{
	const struct authorization_attributes attributes = {.verb = verb,
	                                                    .is_resource = true,
	                                                    .path = "",
	                                                    .group = RBAC_GROUP,
	                                                    .version = "*",
	                                                    .resource = resource,
	                                                    .subresource = "",
	                                                    .namespace_name = namespace_name,
	                                                    .name = name};
	struct authorization_answer answer;

	authorize_attributes(change->server, change->arena, &change->request->user, &attributes, &answer);
	return authorization_allows(&answer);
}

// Absent, null and empty lists are one.
static bool same(const struct json *a, const struct json *b, const char *member)
{
	const struct json *left = json_get(a, member), *right = json_get(b, member);
	bool left_empty = !left || json_is_null(left) || !left->length;
	bool right_empty = !right || json_is_null(right) || !right->length;

	return left_empty || right_empty ? left_empty && right_empty : json_equal(left, right);
}

static const struct status *check_role(struct change *change)
{
	static const char *const all[] = {"*"};
	const struct json *aggregation = json_get(change->object, "aggregationRule");
	struct rbac_texts star = {.items = (const char **)all, .count = 1};
	struct rbac_rule everything[] = {{.verbs = star, .groups = star, .resources = star},
	                                 {.verbs = star, .paths = star}};
	struct rbac_rules wanted;
	const struct status *failure = NULL;

	if (change->old && same(change->old, change->object, "rules") &&
	    same(change->old, change->object, "aggregationRule"))
		return NULL;
	if (may(change, "escalate", change->resource->plural, change->namespace_name, text_or_empty(change->name)))
		return NULL;
	rbac_rules_parse(change->arena, json_get(change->object, "rules"), &wanted);
	if (json_is(aggregation, JSON_OBJECT) &&
	    !(change->old && same(change->old, change->object, "aggregationRule"))) {
		const struct rbac_rules full = {.items = everything, .count = 2};

		failure = confirm(change, &full);
		if (failure)
			return status_forbidden(change->arena, change->resource, change->name,
			                        "must have cluster-admin privileges to use an aggregationRule");
	}
	return confirm(change, &wanted);
}

static const struct status *check_binding(struct change *change)
{
	const struct json *reference = json_get(change->object, "roleRef");
	const char *kind = text_or_empty(json_get_text(reference, "kind"));
	const char *name = text_or_empty(json_get_text(reference, "name"));
	bool cluster = !strcmp(kind, "ClusterRole");
	struct rbac_rules rules;

	if (change->old && same(change->old, change->object, "roleRef") &&
	    same(change->old, change->object, "subjects"))
		return NULL;
	if ((!cluster && strcmp(kind, "Role") != 0) || (!cluster && !change->namespace_name[0]))
		return NULL; // validation says what is wrong
	if (may(change, "bind", cluster ? "clusterroles" : "roles", change->namespace_name, name))
		return NULL;
	if (!rbac_role_rules(authorization_rbac(change->server->authorization), change->arena, cluster,
	                     change->namespace_name, name, &rules)) {
		struct schema_resource named = {.group = RBAC_GROUP, .plural = cluster ? "clusterrole" : "role"};

		return status_not_found(change->arena,
		                        memcpy(ARENA_NEW(change->arena, struct schema_resource), &named, sizeof(named)),
		                        name);
	}
	return confirm(change, &rules);
}

static const struct {
	const char *plural;
	const struct status *(*check)(struct change *change);
} rows[] = {
        {"clusterrolebindings", check_binding},
        {"clusterroles", check_role},
        {"rolebindings", check_binding},
        {"roles", check_role},
};

const struct status *escalation_check(struct change *change)
{
	if (strcmp(change->resource->group, RBAC_GROUP) != 0 || !change->object ||
	    !authorization_rbac(change->server->authorization) || user_is_in(&change->request->user, GROUP_MASTERS))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].plural, change->resource->plural))
			return rows[i].check(change);
	return NULL;
}
