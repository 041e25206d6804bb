// SPDX-License-Identifier: Apache-2.0
// Reviews answer from the authorizers that requests go through. A row a kind:
// whose rights are asked about, and what the object must look like.
//
// SelfSubjectRulesReview lists rules; authorizers that have none to list (Node,
// webhooks) make the list incomplete, and it says so.

#include "apiserver/authorization/reviews.h"

#include <string.h>

#include "apiserver/authentication/token_review.h"
#include "apiserver/authorization/authorization.h"
#include "apiserver/authorization/rbac.h"
#include "apiserver/body.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/text.h"

struct review_op {
	struct request *request;
	struct json *review;
	const char *kind;
	bool self;
	struct user user;
	struct authorization_attributes attributes;
	struct authorization_ask ask;
};

// --- what is asked ---------------------------------------------------------------------------------

static const char *const *texts_of(struct arena *arena, const struct json *array, size_t *ret_count)
{
	const char **texts = ARENA_ARRAY(arena, const char *, (json_is(array, JSON_ARRAY) ? array->length : 0) + 1);

	*ret_count = 0;
	json_for_each_item (item, array)
		if (json_text(item))
			texts[(*ret_count)++] = json_text(item);
	return texts;
}

static const struct authorization_requirement *requirements_of(struct arena *arena, const struct json *list,
                                                               size_t *ret_count)
{
	struct authorization_requirement *rows = ARENA_ARRAY(arena, struct authorization_requirement,
	                                                     (json_is(list, JSON_ARRAY) ? list->length : 0) + 1);

	*ret_count = 0;
	json_for_each_item (item, list) {
		struct authorization_requirement *row = &rows[(*ret_count)++];

		row->key = text_or_empty(json_get_text(item, "key"));
		row->operator= text_or_empty(json_get_text(item, "operator"));
		row->values = texts_of(arena, json_get(item, "values"), &row->value_count);
	}
	return rows;
}

static void read_selectors(struct arena *arena, const struct json *from, struct authorization_attributes *to)
{
	const struct json *fields = json_get(from, "fieldSelector"), *labels = json_get(from, "labelSelector");

	if (json_get_text(fields, "rawSelector"))
		authorization_parse_field_selector(arena, json_get_text(fields, "rawSelector"), to);
	else
		to->field_requirements =
		        requirements_of(arena, json_get(fields, "requirements"), &to->field_requirement_count);
	if (json_get_text(labels, "rawSelector"))
		authorization_parse_label_selector(arena, json_get_text(labels, "rawSelector"), to);
	else
		to->label_requirements =
		        requirements_of(arena, json_get(labels, "requirements"), &to->label_requirement_count);
}

static void read_attributes(struct arena *arena, const struct json *spec, struct authorization_attributes *to)
{
	const struct json *resource = json_get(spec, "resourceAttributes"),
	                  *path = json_get(spec, "nonResourceAttributes");
	bool is_resource = json_is(resource, JSON_OBJECT);
	const struct json *from = is_resource ? resource : path;

	*to = (struct authorization_attributes){
	        .verb = text_or_empty(json_get_text(from, "verb")),
	        .is_resource = is_resource,
	        .path = text_or_empty(json_get_text(path, "path")),
	        .group = text_or_empty(json_get_text(resource, "group")),
	        .version = text_or_empty(json_get_text(resource, "version")),
	        .resource = text_or_empty(json_get_text(resource, "resource")),
	        .subresource = text_or_empty(json_get_text(resource, "subresource")),
	        .namespace_name = text_or_empty(json_get_text(resource, "namespace")),
	        .name = text_or_empty(json_get_text(resource, "name")),
	};
	if (is_resource && to->version[0] == '\0')
		to->version = "*";
	read_selectors(arena, resource, to);
}

// --- what it must look like ----------------------------------------------------------------------------

static const struct status *invalid(struct review_op *op, const char *field, const char *type, const char *detail)
{
	struct arena *arena = op->request->arena;
	const char *name = text_or_empty(object_name(op->review));
	const char *message =
	        arena_printf(arena, "%s.authorization.k8s.io \"%s\" is invalid: %s: %s", op->kind, name, field, detail);
	struct schema_resource named = {.group = "authorization.k8s.io", .kind = op->kind, .plural = op->kind};
	const struct status *status = status_new_for(
	        arena, ERR_INVALID, memcpy(ARENA_NEW(arena, struct schema_resource), &named, sizeof(named)), name, "%s",
	        message);

	return status_with_cause(arena, status, (struct status_cause){type, detail, field});
}

static const struct status *check(struct review_op *op)
{
	const struct json *spec = json_get(op->review, "spec");
	const struct json *resource = json_get(spec, "resourceAttributes"),
	                  *path = json_get(spec, "nonResourceAttributes");
	bool has_resource = json_is(resource, JSON_OBJECT), has_path = json_is(path, JSON_OBJECT);
	const char *ns = op->request->route.namespace_name;

	if (has_resource && has_path)
		return invalid(op, "spec.nonResourceAttributes", "FieldValueInvalid",
		               "Invalid value: \"nonResourceAttributes\": cannot be specified in combination with "
		               "resourceAttributes");
	if (!has_resource && !has_path)
		return invalid(
		        op, "spec.resourceAttributes", "FieldValueInvalid",
		        "Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must "
		        "be specified");
	if (!op->self && text_is_empty(json_get_text(spec, "user")) &&
	    !(json_is(json_get(spec, "groups"), JSON_ARRAY) && json_get(spec, "groups")->length))
		return invalid(op, "spec.user", "FieldValueInvalid",
		               "Invalid value: \"\": at least one of user or group must be specified");
	if (strcmp(op->kind, "LocalSubjectAccessReview") != 0)
		return NULL;
	if (has_path)
		return invalid(op, "spec.nonResourceAttributes", "FieldValueInvalid",
		               "Invalid value: \"nonResourceAttributes\": disallowed on this kind of request");
	if (strcmp(text_or_empty(json_get_text(resource, "namespace")), ns) != 0)
		return status_new(op->request->arena, ERR_BAD_REQUEST,
		                  "spec.resourceAttributes.namespace must match namespace: %s", ns);
	return NULL;
}

// --- access reviews --------------------------------------------------------------------------------------

static void on_answer(struct authorization_ask *ask, const struct authorization_answer *answer)
{
	struct review_op *op = container_of(ask, struct review_op, ask);
	struct arena *arena = op->request->arena;
	struct json *status = json_object(arena);

	json_set_bool(arena, status, "allowed", authorization_allows(answer));
	if (answer->decision == AUTHORIZATION_DENIED)
		json_set_bool(arena, status, "denied", true);
	if (!text_is_empty(answer->reason))
		json_set_text(arena, status, "reason", answer->reason);
	if (!text_is_empty(answer->error))
		json_set_text(arena, status, "evaluationError", answer->error);
	json_set(arena, op->review, "status", status);
	request_finish_tree(op->request, 201, op->review);
}

static void serve_access(struct request *request, const char *kind_name, bool self)
{
	struct review_op *op = ARENA_NEW(request->arena, struct review_op);
	struct body_kind kind = body_kind_of(request_resource(request));
	const struct status *failure;

	op->request = request;
	op->kind = kind_name;
	op->self = self;
	failure = body_decode_object(request, &kind, &op->review);
	if (!failure)
		failure = check(op);
	if (failure) {
		request_finish_status(request, failure);
		return;
	}
	if (self)
		op->user = request->user;
	else
		user_from_json(request->arena, json_get(op->review, "spec"), "user", &op->user);
	read_attributes(request->arena, json_get(op->review, "spec"), &op->attributes);
	op->ask = (struct authorization_ask){.server = request->server,
	                                     .loop = request->loop,
	                                     .arena = request->arena,
	                                     .user = &op->user,
	                                     .attributes = &op->attributes,
	                                     .done = on_answer};
	authorization_ask(&op->ask);
}

static void serve_self_access(struct request *request)
{
	serve_access(request, "SelfSubjectAccessReview", true);
}

static void serve_subject_access(struct request *request)
{
	serve_access(request, "SubjectAccessReview", false);
}

static void serve_local_access(struct request *request)
{
	serve_access(request, "LocalSubjectAccessReview", false);
}

// --- the list of rules -------------------------------------------------------------------------------------

struct rule_list {
	struct arena *arena;
	struct json *resources;
	struct json *paths;
	const char *errors;
};

static bool add_rule(void *context, const struct rbac_source *source, const struct rbac_rule *rule, const char *missing)
{
	struct rule_list *list = context;

	(void)source;
	if (!rule)
		list->errors = list->errors ? arena_printf(list->arena, "%s, %s", list->errors, missing) : missing;
	else
		json_append(list->arena, rule->paths.count ? list->paths : list->resources,
		            rbac_rule_to_json(list->arena, rule));
	return true;
}

static void add_everything(struct rule_list *list)
{
	static const char *const all[] = {"*", NULL};
	struct rbac_texts star = {.items = (const char **)all, .count = 1};
	const struct rbac_rule resources = {.verbs = star, .groups = star, .resources = star};
	const struct rbac_rule paths = {.verbs = star, .paths = star};

	json_append(list->arena, list->resources, rbac_rule_to_json(list->arena, &resources));
	json_append(list->arena, list->paths, rbac_rule_to_json(list->arena, &paths));
}

static void serve_rules(struct request *request)
{
	struct authorization *authorization = request->server->authorization;
	struct body_kind kind = body_kind_of(request_resource(request));
	struct rule_list list = {
	        .arena = request->arena, .resources = json_array(request->arena), .paths = json_array(request->arena)};
	struct json *review = NULL, *status = json_object(request->arena);
	const struct status *failure = body_decode_object(request, &kind, &review);
	const char *ns = json_text(json_path(review, "spec", "namespace"));

	if (!failure && text_is_empty(ns))
		failure = status_new(request->arena, ERR_BAD_REQUEST, "no namespace on request");
	if (failure) {
		request_finish_status(request, failure);
		return;
	}
	if (authorization_allows_everything(authorization) || user_is_in(&request->user, GROUP_MASTERS))
		add_everything(&list);
	if (authorization_rbac(authorization))
		rbac_visit(authorization_rbac(authorization), request->arena, &request->user, ns, add_rule, &list);
	if (authorization_has_webhook(authorization))
		list.errors = "webhook authorizer does not support user rule resolution";
	else if (authorization_has_node(authorization) && user_node_name(&request->user))
		list.errors = "node authorizer does not support user rule resolution";
	json_set(request->arena, status, "resourceRules", list.resources);
	json_set(request->arena, status, "nonResourceRules", list.paths);
	json_set_bool(request->arena, status, "incomplete", list.errors != NULL);
	if (list.errors)
		json_set_text(request->arena, status, "evaluationError", list.errors);
	json_set(request->arena, review, "status", status);
	request_finish_tree(request, 201, review);
}

// --- the table -----------------------------------------------------------------------------------------------

static const struct {
	const char *plural;
	void (*serve)(struct request *request);
} reviews[] = {
        {"localsubjectaccessreviews", serve_local_access}, {"selfsubjectaccessreviews", serve_self_access},
        {"selfsubjectreviews", self_subject_review_serve}, {"selfsubjectrulesreviews", serve_rules},
        {"subjectaccessreviews", serve_subject_access},    {"tokenreviews", token_review_serve},
};

static int find_review(const struct route *route)
{
	if (!route->is_resource ||
	    (strcmp(route->group, "authorization.k8s.io") != 0 && strcmp(route->group, "authentication.k8s.io") != 0))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(reviews); i++)
		if (!strcmp(route->resource_name, reviews[i].plural))
			return (int)i;
	return -1;
}

bool reviews_is_route(const struct route *route)
{
	return find_review(route) >= 0;
}

bool reviews_serve(struct request *request)
{
	int i = find_review(&request->route);

	if (i >= 0)
		reviews[i].serve(request);
	return i >= 0;
}
