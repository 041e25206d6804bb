// SPDX-License-Identifier: Apache-2.0
// Reviews answer from the same authentication and authorization that requests
// go through: a user who is authenticated is allowed.

#include "apiserver/authorization/reviews.h"

#include <string.h>

#include "apiserver/body.h"

static void describe_user(struct request *request, struct json *status)
{
	struct json *info = json_object(request->arena), *groups = json_array(request->arena);

	json_set_text(request->arena, info, "username", request->user.name);
	for (size_t i = 0; i < request->user.group_count; i++)
		json_append(request->arena, groups, json_string(request->arena, request->user.groups[i]));
	json_set(request->arena, info, "groups", groups);
	json_set(request->arena, status, "userInfo", info);
}

// An access review of another user: allowed when it names a user that isn't anonymous.
static void answer_access(struct request *request, struct json *review, struct json *status)
{
	const struct json *spec = json_get(review, "spec");
	bool self = !strcmp(request->route.resource_name, "selfsubjectaccessreviews");
	const char *user = json_get_text(spec, "user");
	bool allowed = self ? !request->user.anonymous : user && user[0] && strcmp(user, "system:anonymous");

	json_for_each_item (group, json_get(spec, "groups"))
		if (!self && json_text(group) && !strcmp(json_text(group), "system:unauthenticated"))
			allowed = false;
	json_set_bool(request->arena, status, "allowed", allowed);
}

static void append_rule(struct arena *arena, struct json *rules, const char *const *members)
{
	struct json *rule = json_object(arena);

	for (; *members; members++) {
		struct json *all = json_array(arena);

		json_append(arena, all, json_string(arena, "*"));
		json_set(arena, rule, *members, all);
	}
	json_append(arena, rules, rule);
}

static void answer_rules(struct request *request, struct json *status)
{
	static const char *const resource[] = {"verbs", "apiGroups", "resources", NULL};
	static const char *const other[] = {"verbs", "nonResourceURLs", NULL};
	struct json *resources = json_array(request->arena), *others = json_array(request->arena);

	append_rule(request->arena, resources, resource);
	append_rule(request->arena, others, other);
	json_set(request->arena, status, "resourceRules", resources);
	json_set(request->arena, status, "nonResourceRules", others);
	json_set_bool(request->arena, status, "incomplete", false);
}

// Tokens are not issued yet: none authenticates.
static void answer_token(struct request *request, struct json *status)
{
	json_set_bool(request->arena, status, "authenticated", false);
	json_set(request->arena, status, "user", json_object(request->arena));
	json_set_text(request->arena, status, "error", "invalid bearer token");
}

bool reviews_is_route(const struct route *route)
{
	static const char *const plurals[] = {"selfsubjectreviews",      "selfsubjectaccessreviews",
	                                      "subjectaccessreviews",    "localsubjectaccessreviews",
	                                      "selfsubjectrulesreviews", "tokenreviews"};

	for (size_t i = 0; i < ARRAY_SIZE(plurals); i++)
		if (!strcmp(route->resource_name, plurals[i]))
			return true;
	return false;
}

bool reviews_serve(struct request *request)
{
	struct body_kind kind = body_kind_of(request_resource(request));
	const char *plural = request->route.resource_name;
	const struct status *failure;
	struct json *review = NULL, *status;

	if (!reviews_is_route(&request->route))
		return false;
	failure = body_decode_object(request, &kind, &review);
	if (failure) {
		request_finish_status(request, failure);
		return true;
	}
	status = json_object(request->arena);
	if (!strcmp(plural, "selfsubjectreviews"))
		describe_user(request, status);
	else if (!strcmp(plural, "selfsubjectrulesreviews"))
		answer_rules(request, status);
	else if (!strcmp(plural, "tokenreviews"))
		answer_token(request, status);
	else
		answer_access(request, review, status);
	json_set(request->arena, review, "status", status);
	request_finish_tree(request, 201, review);
	return true;
}
