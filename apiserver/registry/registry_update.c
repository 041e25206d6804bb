// SPDX-License-Identifier: Apache-2.0
// PUT: the body takes the place of what is stored. Some kinds are created by it
// when the name isn't there.

#include <string.h>

#include "apiserver/authorization/authorize.h"
#include "apiserver/body.h"
#include "apiserver/registry/managed_fields.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/registry_create.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/scale.h"
#include "common/api/object.h"

static const struct status *replace(struct write_op *op)
{
	struct change *change = &op->change;
	const struct json *body = op->context;

	if (scale_is_route(&op->request->route))
		return scale_apply(change->arena, change->resource, body, change->object);
	change->object = json_clone(change->arena, body);
	return NULL;
}

static void finish_scale(struct write_op *op, struct stored_object *object, struct json *tree)
{
	if (object)
		scale_finish(op->request, object);
	else
		scale_finish_tree(op->request, tree);
}

// A PUT that creates needs both permissions.
static void create_if_allowed(struct request *request, const struct status *failure)
{
	struct write_op *op = request->stage_context;

	if (failure)
		request_finish_status(request, failure);
	else
		registry_create_object(request, op->context);
}

static void create_instead(struct write_op *op)
{
	struct json *body = op->context;
	const char *version = object_resource_version(body);

	// A version says that it was there before.
	if (version && version[0] && version[0] != '0') {
		request_finish_status(op->request,
		                      status_not_found(op->request->arena, op->change.resource, op->change.name));
		return;
	}
	op->request->stage_context = op;
	authorize_verb(op->request, "create", create_if_allowed);
}

static void decode(struct request *request)
{
	struct write_op *op = request->stage_context;
	struct body_kind kind = body_kind_of_route(&request->route);
	struct json *body = NULL;

	op->failure = body_decode_object(request, &kind, &body);
	op->context = body;
}

static const struct status *check_name(struct request *request, struct json *body)
{
	struct json *metadata = json_ensure_object(request->arena, body, "metadata");
	const char *name = json_get_text(metadata, "name");

	if (!name || !name[0])
		json_set_text(request->arena, metadata, "name", request->route.name);
	else if (strcmp(name, request->route.name))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "the name of the object (%s) does not match the name on the URL (%s)", name,
		                  request->route.name);
	return NULL;
}

static void decoded(struct request *request)
{
	struct write_op *op = request->stage_context;

	if (!op->failure)
		op->failure = check_name(request, op->context);
	if (op->failure)
		request_finish_status(request, op->failure);
	else
		write_op_start(op);
}

void registry_update(struct request *request)
{
	struct write_op *op = ARENA_NEW(request->arena, struct write_op);
	const struct status *status = managed_fields_check_options(request, "UpdateOptions", false);

	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->request = request;
	op->transform = replace;
	op->owns_changes = true;
	op->heavy = request->http->body_length > 64 << 10;
	if (scale_is_route(&request->route)) {
		op->finish = finish_scale;
		op->skip_version_check = true;
	} else if (request_resource(request)->allow_create_on_update && !request->route.subresource) {
		op->absent = create_instead;
	}
	request->stage_context = op;
	request_run(request, op->heavy, decode, decoded);
}
