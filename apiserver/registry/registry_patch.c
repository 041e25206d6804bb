// SPDX-License-Identifier: Apache-2.0
// PATCH: JSON patch, merge patch and strategic merge patch, on the object or on
// its scale. A patch runs again on a newer object after a conflict, unless it
// names the version or uid that it was made for.

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/custom/definition.h"
#include "apiserver/registry/managed_fields.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/registry_apply.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/scale.h"
#include "common/api/object.h"
#include "common/api/patch.h"

struct patch_op {
	struct write_op write;
	enum body_format format;
	struct json *patch;
};

static const struct status *patch_failure(struct write_op *op, const struct err *err)
{
	const struct change *change = &op->change;

	// A failed test of a JSON patch is the object's state, not the request's form; upstream says no more.
	if (err->code == ERR_INVALID || err->code == ERR_CONFLICT)
		return status_new(change->arena, ERR_INVALID,
		                  "the server rejected our request due to an error in our request");
	return status_new(change->arena, err->code == ERR_INTERNAL ? ERR_BAD_REQUEST : err->code, "%s", err->message);
}

static const struct status *apply(struct patch_op *op, const struct schema_type *type, struct json **document)
{
	struct arena *arena = op->write.request->arena;
	struct json *patch = json_clone(arena, op->patch);
	struct err err = ERR_INIT;
	int r;

	switch (op->format) {
	case BODY_JSON_PATCH:
		r = patch_json(arena, document, patch, &err);
		break;
	case BODY_MERGE_PATCH:
		r = patch_merge(arena, document, patch, &err);
		break;
	default:
		r = patch_strategic(arena, type, document, patch, &err);
		break;
	}
	if (r < 0)
		return patch_failure(&op->write, &err);
	if (!json_is(*document, JSON_OBJECT))
		return status_new(arena, ERR_BAD_REQUEST, "the patch does not leave an object");
	return NULL;
}

static const struct status *check_identity(const struct write_op *op, const struct json *patched)
{
	const char *api_version = object_api_version(patched), *kind = object_kind(patched);
	const char *old_version = object_api_version(op->change.old), *old_kind = object_kind(op->change.old);

	if (!api_version || !kind || strcmp(api_version, old_version) || strcmp(kind, old_kind))
		return status_new(op->request->arena, ERR_BAD_REQUEST,
		                  "the patch changes apiVersion or kind, which a patch cannot do");
	return NULL;
}

static const struct status *transform(struct write_op *write)
{
	struct patch_op *op = container_of(write, struct patch_op, write);
	struct change *change = &write->change;
	struct body_kind kind = body_kind_of(change->resource);
	const struct status *status = apply(op, kind.type, &change->object);

	if (!status)
		status = check_identity(write, change->object);
	if (!status)
		status = body_normalize(write->request, &kind,
		                        &(struct body_patched){op->format, op->patch, change->object});
	return status;
}

static const struct status *transform_scale(struct write_op *write)
{
	struct patch_op *op = container_of(write, struct patch_op, write);
	struct change *change = &write->change;
	struct body_kind kind = body_kind_of_route(&write->request->route);
	struct json *scale = scale_from_object(change->arena, change->resource, change->object);
	const struct status *status = apply(op, kind.type, &scale);

	if (!status)
		status = body_normalize(write->request, &kind, &(struct body_patched){op->format, op->patch, scale});
	if (!status)
		status = scale_apply(change->arena, change->resource, scale, change->object);
	return status;
}

static void finish_scale(struct write_op *op, struct stored_object *object, struct json *tree)
{
	if (object)
		scale_finish(op->request, object);
	else
		scale_finish_tree(op->request, tree);
}

static void decode(struct request *request)
{
	struct patch_op *op = request->stage_context;

	op->write.failure = body_decode_patch(request, &op->format, &op->patch);
	// What merges how stands in no schema of a custom resource.
	if (!op->write.failure && op->format == BODY_STRATEGIC_PATCH &&
	    definition_version_of(request->route.resource) && !scale_is_route(&request->route))
		op->write.failure = status_new(
		        request->arena, ERR_UNSUPPORTED_MEDIA,
		        "the body of the request was in an unknown format - accepted media types include: "
		        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
}

static void decoded(struct request *request)
{
	struct patch_op *op = request->stage_context;

	if (op->write.failure)
		request_finish_status(request, op->write.failure);
	else
		write_op_start(&op->write);
}

void registry_patch(struct request *request)
{
	struct patch_op *op = ARENA_NEW(request->arena, struct patch_op);
	bool scale = scale_is_route(&request->route);
	const struct status *status;

	if (registry_apply_is_asked(request)) {
		registry_apply(request);
		return;
	}
	status = managed_fields_check_options(request, "PatchOptions", false);
	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->write.request = request;
	op->write.owns_changes = true;
	op->write.transform = scale ? transform_scale : transform;
	op->write.finish = scale ? finish_scale : NULL;
	op->write.heavy = request->http->body_length > 64 << 10;
	// The patched object carries the version it was read with, unless the patch set another.
	op->write.skip_version_check = scale;
	request->stage_context = op;
	request_run(request, op->write.heavy, decode, decoded);
}
