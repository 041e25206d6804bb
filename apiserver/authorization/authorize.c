// SPDX-License-Identifier: Apache-2.0
// The stage, and the words of its refusals. Who may do what is the authorizers'
// matter (authorization.c).

#include "apiserver/authorization/authorize.h"

#include <string.h>

#include "apiserver/audit/audit_annotations.h"
#include "apiserver/authorization/authorizer.h"
#include "common/api/selector.h"
#include "common/base/text.h"

// --- what is asked for --------------------------------------------------------------------

void authorization_parse_field_selector(struct arena *arena, const char *text,
                                        struct authorization_attributes *attributes)
{
	struct field_selector selector = {0};
	struct authorization_requirement *rows;

	if (text_is_empty(text) || field_selector_parse(arena, text, &selector, NULL) < 0)
		return;
	rows = ARENA_ARRAY(arena, struct authorization_requirement, selector.count + 1);
	for (size_t i = 0; i < selector.count; i++) {
		const char **value = ARENA_ARRAY(arena, const char *, 1);

		value[0] = selector.requirements[i].value;
		rows[i] = (struct authorization_requirement){
		        .key = selector.requirements[i].field,
		        .operator= selector.requirements[i].negated ? "NotIn" : "In",
		        .values = value,
		        .value_count = 1,
		};
	}
	attributes->field_requirements = rows;
	attributes->field_requirement_count = selector.count;
}

// A list of the one object of this name asks for that object.
static const char *selected_name(const struct authorization_attributes *attributes)
{
	for (size_t i = 0; i < attributes->field_requirement_count; i++) {
		const struct authorization_requirement *row = &attributes->field_requirements[i];

		if (!strcmp(row->key, "metadata.name") && !strcmp(row->operator, "In") &&
		    !strpbrk(row->values[0], "/%") && strcmp(row->values[0], ".") != 0 &&
		    strcmp(row->values[0], "..") != 0)
			return row->values[0];
	}
	return "";
}

void authorization_attributes_of(struct request *request, const char *verb,
                                 struct authorization_attributes *ret_attributes)
{
	const struct route *route = &request->route;

	*ret_attributes = (struct authorization_attributes){
	        .verb = verb ? verb : route->verb,
	        .is_resource = route->is_resource,
	        .path = route->path,
	        .group = text_or_empty(route->group),
	        .version = text_or_empty(route->version),
	        .resource = text_or_empty(route->resource_name),
	        .subresource = text_or_empty(route->subresource_name),
	        .namespace_name = text_or_empty(route->namespace_name),
	        .name = text_or_empty(route->name),
	};
	if (!route->is_resource ||
	    (strcmp(route->verb, "list") && strcmp(route->verb, "watch") && strcmp(route->verb, "deletecollection")))
		return;
	authorization_parse_field_selector(request->arena, query_get(&request->query, "fieldSelector"), ret_attributes);
	authorization_parse_label_selector(request->arena, query_get(&request->query, "labelSelector"), ret_attributes);
	if (!ret_attributes->name[0])
		ret_attributes->name = selected_name(ret_attributes);
}

// --- refusals -------------------------------------------------------------------------------

static const char *describe(struct arena *arena, const struct user *user,
                            const struct authorization_attributes *attributes)
{
	const char *resource = attributes->resource, *scope = "at the cluster scope";

	if (!attributes->is_resource)
		return arena_printf(arena, "User \"%s\" cannot %s path \"%s\"", user->name, attributes->verb,
		                    attributes->path);
	if (attributes->subresource[0])
		resource = arena_printf(arena, "%s/%s", resource, attributes->subresource);
	if (attributes->namespace_name[0])
		scope = arena_printf(arena, "in the namespace \"%s\"", attributes->namespace_name);
	return arena_printf(arena, "User \"%s\" cannot %s resource \"%s\" in API group \"%s\" %s", user->name,
	                    attributes->verb, resource, attributes->group, scope);
}

const char *authorization_refusal(struct arena *arena, const struct user *user,
                                  const struct authorization_attributes *attributes, const char *reason)
{
	const char *text = describe(arena, user, attributes);

	return text_is_empty(reason) ? text : arena_printf(arena, "%s: %s", text, reason);
}

const struct status *authorize_refuse(struct request *request, const struct user *user,
                                      const struct authorization_attributes *attributes,
                                      const struct authorization_answer *answer)
{
	const char *text = authorization_refusal(request->arena, user, attributes, answer->reason);
	struct schema_resource named = {.group = attributes->group, .plural = attributes->resource};

	if (answer->decision != AUTHORIZATION_DENIED && answer->error && text_is_empty(answer->reason))
		return status_internal(request->arena, "%s", answer->error);
	if (!attributes->is_resource)
		return status_new(request->arena, ERR_FORBIDDEN, "forbidden: %s", text);
	return status_forbidden(request->arena,
	                        memcpy(ARENA_NEW(request->arena, struct schema_resource), &named, sizeof(named)),
	                        attributes->name, text);
}

// --- the stage --------------------------------------------------------------------------------

struct authorize_op {
	struct request *request;
	struct authorization_ask ask;
	struct authorization_attributes attributes;
	void (*done)(struct request *request, const struct status *failure);
};

static void on_answer(struct authorization_ask *ask, const struct authorization_answer *answer)
{
	struct authorize_op *op = container_of(ask, struct authorize_op, ask);
	struct request *request = op->request;

	audit_annotate(request, "authorization.k8s.io/decision", authorization_allows(answer) ? "allow" : "forbid");
	audit_annotate(request, "authorization.k8s.io/reason", answer->reason);
	op->done(request, authorization_allows(answer)
	                          ? NULL
	                          : authorize_refuse(request, &request->user, &op->attributes, answer));
}

void authorize_verb(struct request *request, const char *verb,
                    void (*done)(struct request *request, const struct status *failure))
{
	struct authorize_op *op = ARENA_NEW(request->arena, struct authorize_op);

	op->request = request;
	op->done = done;
	authorization_attributes_of(request, verb, &op->attributes);
	op->ask = (struct authorization_ask){.server = request->server,
	                                     .loop = request->loop,
	                                     .arena = request->arena,
	                                     .user = &request->user,
	                                     .attributes = &op->attributes,
	                                     .done = on_answer};
	authorization_ask(&op->ask);
}

void authorize(struct request *request)
{
	authorize_verb(request, NULL, request_next);
}
