// SPDX-License-Identifier: Apache-2.0
// Server-side apply.
//
// The configuration is decoded and checked once. It is then laid over what is
// stored, in a write like any other patch (again after a conflict of versions),
// or over an empty object, which is created. Of a Scale, its replicas are applied
// to the object that it is a view of.

#include "apiserver/registry/registry_apply.h"

#include <string.h>
#include <strings.h>

#include "apiserver/authorization/authorize.h"
#include "apiserver/body.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/managed_fields.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry_create.h"
#include "apiserver/registry/registry_write.h"
#include "apiserver/registry/scale.h"
#include "common/api/object.h"
#include "common/api/typed.h"
#include "common/api/yaml.h"

#define APPLY_MEDIA_TYPE "application/apply-patch+yaml"

enum {
	APPLY_MAX_NODES = 1 << 20,
	APPLY_HEAVY_BYTES = 64 << 10,
};

struct apply_op {
	struct write_op write;
	struct json *config; // of the resource's kind
};

bool registry_apply_is_asked(const struct request *request)
{
	const char *type = http_request_header(request->http, "content-type");
	size_t length = strlen(APPLY_MEDIA_TYPE);

	return type && !strncasecmp(type, APPLY_MEDIA_TYPE, length) && strchr("; ", type[length]);
}

// --- the configuration -------------------------------------------------------------------

static void on_duplicate(void *context, const char *path)
{
	bool *found = context;

	(void)path;
	*found = true;
}

// Upstream's reader of YAML tells where a key stands again: reading that refuses it gives its words.
static const char *duplicate_text(struct request *request)
{
	struct json_limits limits = {.max_nodes = APPLY_MAX_NODES};
	struct yaml_document *documents = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	if (yaml_parse(request->arena, request->http->body, request->http->body_length, &limits, &documents, &count,
	               &err) < 0)
		return arena_strdup(request->arena, err.message);
	return "";
}

static const struct status *judge_duplicates(struct request *request)
{
	if (request->options.field_validation == FIELD_VALIDATION_STRICT)
		return status_new(request->arena, ERR_BAD_REQUEST, "error strict decoding YAML: %s",
		                  duplicate_text(request));
	if (request->options.field_validation == FIELD_VALIDATION_WARN)
		request_warn(request, duplicate_text(request));
	return NULL;
}

static const struct status *parse_config(struct request *request, struct json **ret_config)
{
	bool found_duplicates = false;
	struct json_limits limits = {
	        .max_nodes = APPLY_MAX_NODES, .on_duplicate = on_duplicate, .context = &found_duplicates};
	struct yaml_document *documents = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	if (yaml_parse(request->arena, request->http->body, request->http->body_length, &limits, &documents, &count,
	               &err) < 0)
		return status_new(request->arena, ERR_BAD_REQUEST, "error decoding YAML: %s", err.message);
	if (count > 1)
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "error decoding YAML: the body must hold exactly one YAML document");
	if (count && !json_is(documents[0].value, JSON_OBJECT))
		return status_new(request->arena, ERR_BAD_REQUEST,
		                  "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
		                  "unmarshal the value into Go value of type map[string]interface {}");
	*ret_config = count ? documents[0].value : json_object(request->arena);
	return found_duplicates ? judge_duplicates(request) : NULL;
}

static const char *kind_text(struct arena *arena, const char *api_version, const char *kind)
{
	return arena_printf(arena, "%s%s, Kind=%s", strchr(api_version, '/') || !api_version[0] ? "" : "/", api_version,
	                    kind);
}

static const struct status *check_config(struct request *request, const struct body_kind *kind,
                                         const struct json *config)
{
	struct arena *arena = request->arena;
	const char *api_version = object_api_version(config), *name = object_kind(config);
	const char *expected =
	        kind->group[0] ? arena_printf(arena, "%s/%s", kind->group, kind->version) : kind->version;
	struct status *status;
	const char *wrong;

	api_version = api_version ? api_version : "";
	name = name ? name : "";
	if (strcmp(api_version, expected) || strcmp(name, kind->kind))
		return status_new(arena, ERR_BAD_REQUEST, "invalid object type: %s",
		                  kind_text(arena, api_version, name));
	if (json_path(config, "metadata", "managedFields") &&
	    !json_is_null(json_path(config, "metadata", "managedFields")))
		return status_new(arena, ERR_BAD_REQUEST, "metadata.managedFields must be nil");
	wrong = typed_check(arena, kind->type, config);
	if (!wrong)
		return NULL;
	// Upstream gives these no reason of their own.
	status = ARENA_NEW(arena, struct status);
	status->code = 500;
	status->reason = "";
	status->message = arena_printf(arena, "failed to create typed patch object (%s/%s; %s): %s",
	                               object_namespace(config) ? object_namespace(config) : "",
	                               object_name(config) ? object_name(config) : "",
	                               kind_text(arena, api_version, name), wrong);
	return status;
}

// What applying a Scale means for the object that it is a view of.
static struct json *config_of_scale(struct request *request, const struct json *scale)
{
	const struct schema_resource *resource = request_resource(request);
	struct json *replicas = json_path(scale, "spec", "replicas");
	struct json *config = json_object(request->arena), *metadata = json_get(scale, "metadata");

	json_set_text(request->arena, config, "apiVersion",
	              resource->group[0] ? arena_printf(request->arena, "%s/%s", resource->group, resource->version)
	                                 : resource->version);
	json_set_text(request->arena, config, "kind", resource->kind);
	if (metadata && object_resource_version(scale))
		json_set_text(request->arena, json_ensure_object(request->arena, config, "metadata"), "resourceVersion",
		              object_resource_version(scale));
	if (json_is(replicas, JSON_INTEGER))
		scale_set_replicas(request->arena, resource, config, replicas->integer);
	return config;
}

static void decode(struct request *request)
{
	struct apply_op *op = request->stage_context;
	struct body_kind kind = body_kind_of_route(&request->route);
	const struct status *status = parse_config(request, &op->config);

	if (!status)
		status = check_config(request, &kind, op->config);
	if (!status && scale_is_route(&request->route))
		op->config = config_of_scale(request, op->config);
	op->write.failure = status;
}

// --- the write ---------------------------------------------------------------------------

static const struct status *lay_over(struct apply_op *op, struct change *change)
{
	struct body_kind kind = body_kind_of(change->resource);
	const struct status *status = managed_fields_apply(change, op->config);

	if (status)
		return status;
	return body_normalize(op->write.request, &kind,
	                      &(struct body_patched){BODY_MERGE_PATCH, op->config, change->object});
}

static const struct status *transform(struct write_op *write)
{
	return lay_over(container_of(write, struct apply_op, write), &write->change);
}

static const struct status *check_new(struct change *change)
{
	struct json *metadata = json_ensure_object(change->arena, change->object, "metadata");
	const char *name = json_get_text(metadata, "name"), *uid = json_get_text(metadata, "uid");
	const char *version = json_get_text(metadata, "resourceVersion");

	if (uid && uid[0])
		return status_conflict(change->arena, change->resource, change->name,
		                       arena_printf(change->arena,
		                                    "uid mismatch: the provided object specified uid %s, and no "
		                                    "existing object was found",
		                                    uid));
	if (version && version[0] && strcmp(version, "0"))
		return status_not_found(change->arena, change->resource, change->name);
	if (name && name[0] && strcmp(name, change->name))
		return status_new(change->arena, ERR_BAD_REQUEST,
		                  "the name of the object (%s) does not match the name on the URL (%s)", name,
		                  change->name);
	json_set_text(change->arena, metadata, "name", change->name);
	return NULL;
}

// An apply that creates needs both permissions.
static void create_if_allowed(struct request *request, const struct status *failure)
{
	struct write_op *write = request->stage_context;

	if (failure)
		request_finish_status(request, failure);
	else
		registry_create_applied(request, write->change.object);
}

static void create(struct write_op *write)
{
	struct apply_op *op = container_of(write, struct apply_op, write);
	struct change *change = &write->change;
	const struct status *status;

	change->old = NULL;
	status = lay_over(op, change);
	if (!status)
		status = check_new(change);
	if (status) {
		request_finish_status(write->request, status);
	} else {
		write->request->stage_context = write;
		authorize_verb(write->request, "create", create_if_allowed);
	}
}

static void finish_scale(struct write_op *op, struct stored_object *object, struct json *tree)
{
	op->request->output.shape = OUTPUT_OBJECT;
	if (object)
		scale_finish(op->request, object);
	else
		request_finish_tree(op->request, 200, scale_from_object(op->request->arena, op->change.resource, tree));
}

static void decoded(struct request *request)
{
	struct apply_op *op = request->stage_context;

	if (op->write.failure)
		request_finish_status(request, op->write.failure);
	else
		write_op_start(&op->write);
}

void registry_apply(struct request *request)
{
	struct apply_op *op = ARENA_NEW(request->arena, struct apply_op);
	const struct status *status = managed_fields_check_options(request, "PatchOptions", true);

	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->write.request = request;
	op->write.transform = transform;
	op->write.absent = request->route.subresource ? NULL : create;
	op->write.finish = scale_is_route(&request->route) ? finish_scale : NULL;
	op->write.heavy = request->http->body_length > APPLY_HEAVY_BYTES;
	request->stage_context = op;
	request_run(request, op->write.heavy, decode, decoded);
}
