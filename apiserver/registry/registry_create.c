// SPDX-License-Identifier: Apache-2.0
// CREATE.
//
//   namespace known? ──► prepare (decode, admission, strategy, validation)
//     ──► allocate (Services) ──► write ──► 201
//                                  │ generated name taken: a new one, up to 8 times
//
// The namespace is looked up in the cache; only one that isn't there is asked
// for in etcd, so that an object created right after its namespace isn't refused.

#include "apiserver/registry/registry_create.h"

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/custom/conversion.h"
#include "apiserver/custom/definition.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/admit.h"
#include "apiserver/registry/managed_fields.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/server.h"
#include "apiserver/services/service_allocation.h"
#include "apiserver/storage/storage.h"
#include "common/base/blob.h"

enum {
	CREATE_MAX_NAMES = 8,
	CREATE_HEAVY_BYTES = 64 << 10,
};

struct create_op {
	struct request *request;
	struct change change;
	struct admit admit;
	struct service_allocation *allocation;
	bool name_is_generated;
	unsigned names_tried;
};

static void write_object(struct create_op *op);

static const struct status *prepare(struct admit *admit)
{
	struct create_op *op = container_of(admit, struct create_op, admit);
	struct change *change = &op->change;
	struct body_kind kind = body_kind_of(change->resource);
	const struct status *status = NULL;
	const char *name;

	if (!change->object)
		status = body_decode_object(op->request, &kind, &change->object);
	if (status)
		return status;
	name = json_get_text(json_get(change->object, "metadata"), "name");
	op->name_is_generated = !name || !name[0];
	status = metadata_prepare_create(change);
	if (!status && !change->fields_are_managed)
		managed_fields_update(change);
	return status;
}

static void finish_failure(struct create_op *op, const struct status *status)
{
	request_finish_status(op->request, status);
}

static void on_created(void *context, struct stored_object *object, const struct err *err)
{
	struct create_op *op = context;
	struct request *request = op->request;

	if (err && err->code == ERR_ALREADY_EXISTS && op->name_is_generated && ++op->names_tried < CREATE_MAX_NAMES &&
	    metadata_generate_name(&op->change)) {
		write_object(op);
		return;
	}
	if (err && err->code == ERR_TIMEOUT)
		op->allocation = service_allocation_abandon(op->allocation);
	else
		service_allocation_settle(op->allocation, !err);
	if (err) {
		finish_failure(op, status_from_err(request->arena, err, op->change.resource, op->change.name));
	} else if (definition_asks_webhook(op->change.resource)) {
		object_set_version(request->arena, op->change.object, object->revision);
		encode_finish_tree(request, 201, op->change.object);
	} else {
		encode_finish_object(request, 201, object);
	}
}

static void write_tree(struct create_op *op, const struct json *tree)
{
	const struct change *change = &op->change;
	struct storage_write write = {
	        .type = STORAGE_CREATE,
	        .resource = change->resource,
	        .namespace_name = change->namespace_name,
	        .name = change->name,
	        .json = object_text(tree),
	        .tree = definition_is_read_as_written(change->resource) ? tree : NULL,
	};

	if (!strcmp(change->resource->plural, "events"))
		write.lease_seconds = op->request->server->config->event_ttl_ns / NSEC_PER_SEC;
	storage_write(op->request->server->storage, &write, op->request->loop, on_created, op);
}

static void on_stored_form(void *context, struct json *converted, const struct err *err)
{
	struct create_op *op = context;

	if (err)
		finish_failure(op, status_from_err(op->request->arena, err, op->change.resource, op->change.name));
	else
		write_tree(op, converted);
}

static void write_object(struct create_op *op)
{
	const struct change *change = &op->change;
	struct json *tree = object_stored_form(change->arena, change->resource, change->object);

	if (definition_asks_webhook(change->resource))
		conversion_to_storage(op->request->server, change->resource, change->arena, tree, op->request->loop,
		                      on_stored_form, op);
	else
		write_tree(op, tree);
}

static void on_allocated(void *context, struct service_allocation *allocation, const struct status *failure)
{
	struct create_op *op = context;

	op->allocation = allocation;
	if (failure)
		finish_failure(op, failure);
	else
		write_object(op);
}

static void admitted(struct admit *admit, const struct status *failure)
{
	struct create_op *op = container_of(admit, struct create_op, admit);
	bool allocates = !failure && service_allocation_concerns(&op->change);

	if (failure) {
		finish_failure(op, failure);
	} else if (op->request->options.dry_run) {
		if (allocates)
			service_allocation_preview(&op->change);
		encode_finish_tree(op->request, 201, op->change.object);
	} else if (allocates) {
		service_allocate(&op->change, on_allocated, op);
	} else {
		write_object(op);
	}
}

static void start_admission(struct create_op *op)
{
	op->admit = (struct admit){
	        .change = &op->change,
	        .operation = ADMISSION_CREATE,
	        .heavy = op->request->http->body_length > CREATE_HEAVY_BYTES,
	        .prepare = prepare,
	        .done = admitted,
	};
	admit_start(&op->admit);
}

static void on_namespace(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct create_op *op = context;
	struct request *request = op->request;

	(void)object;
	(void)revision;
	if (err)
		finish_failure(op, status_from_err(request->arena, err, schema_find_resource("", "v1", "namespaces"),
		                                   op->change.namespace_name));
	else
		start_admission(op);
}

static void find_namespace(struct create_op *op)
{
	struct request *request = op->request;
	const struct schema_resource *namespaces = schema_find_resource("", "v1", "namespaces");
	struct stored_object *known;
	struct storage_read read = {.resource = namespaces,
	                            .namespace_name = "",
	                            .name = op->change.namespace_name,
	                            .freshness = STORAGE_CONSISTENT};

	known = op->change.namespace_name[0]
	                ? storage_peek(request->server->storage, namespaces, "", op->change.namespace_name)
	                : NULL;
	if (!op->change.namespace_name[0] || known)
		start_admission(op);
	else
		storage_get(request->server->storage, &read, request->loop, on_namespace, op);
	stored_object_unref(known);
}

static void start_create(struct request *request, struct json *object, bool fields_are_managed)
{
	struct create_op *op = ARENA_NEW(request->arena, struct create_op);
	const struct schema_resource *resource = request_resource(request);

	op->request = request;
	op->change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = resource,
	        .subresource = "",
	        .object = object,
	        .namespace_name = resource->namespaced ? request->route.namespace_name : "",
	        .fields_are_managed = fields_are_managed,
	};
	find_namespace(op);
}

void registry_create_object(struct request *request, struct json *object)
{
	start_create(request, object, false);
}

void registry_create_applied(struct request *request, struct json *object)
{
	start_create(request, object, true);
}

void registry_create(struct request *request)
{
	const struct status *status = managed_fields_check_options(request, "CreateOptions", false);

	if (status)
		request_finish_status(request, status);
	else
		registry_create_object(request, NULL);
}
