// SPDX-License-Identifier: Apache-2.0
// DELETE of one object: read, decide (deletion.c), then mark or remove with a
// swap on the version that was decided on; a conflict decides again. As with
// writes, a cached read is good enough to act on, not to refuse on.

#include <string.h>

#include "apiserver/body.h"
#include "apiserver/custom/conversion.h"
#include "apiserver/custom/definition.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/delete_one.h"
#include "apiserver/registry/deletion.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/strategy.h"
#include "apiserver/server.h"
#include "apiserver/services/service_allocation.h"
#include "apiserver/storage/storage.h"
#include "common/api/object.h"
#include "common/base/blob.h"

enum {
	DELETE_MAX_CONFLICTS = 5,
};

static void read_current(struct delete_one *op);

static void finish(struct delete_one *op, const struct status *status, struct stored_object *object)
{
	struct stored_object *current = op->current;

	op->current = NULL;
	op->done(op, status, object);
	stored_object_unref(current);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct delete_one *op = context;

	if (err && err->code == ERR_CONFLICT && ++op->conflicts <= DELETE_MAX_CONFLICTS) {
		op->fresh = true;
		read_current(op);
		return;
	}
	if (err) {
		finish(op, status_from_err(op->change.arena, err, op->change.resource, op->change.name), NULL);
		return;
	}
	if (op->plan == DELETION_NOW && change_is_for(&op->change, "", "services"))
		service_allocation_release(op->request->server, op->request->loop, op->change.old);
	finish(op, NULL, object);
}

static void write_plan(struct delete_one *op)
{
	struct storage_write write = {
	        .type = op->plan == DELETION_NOW ? STORAGE_DELETE : STORAGE_UPDATE,
	        .resource = op->change.resource,
	        .namespace_name = op->change.namespace_name,
	        .name = op->change.name,
	        .expected_revision = op->current->revision,
	};

	if (op->plan == DELETION_MARK)
		write.json = object_store(op->change.arena, op->change.resource, op->change.object);
	storage_write(op->request->server->storage, &write, op->request->loop, on_written, op);
}

static const struct status *decide(struct delete_one *op)
{
	const struct status *status;
	struct err err = ERR_INIT;

	// What a webhook converts is deleted as it is stored.
	op->change.old = definition_asks_webhook(op->change.resource)
	                         ? object_load_plain(op->change.arena, op->change.resource, op->current, &err)
	                         : object_load(op->change.arena, op->change.resource, op->current, &err);
	if (!op->change.old)
		return status_internal(op->change.arena, "%s", err.message);
	op->change.object = json_clone(op->change.arena, op->change.old);
	status = admission_validate(&op->change, ADMISSION_DELETE);
	if (!status)
		op->plan = deletion_decide(&op->change, op->options, &status);
	return status;
}

static void carry_out(struct delete_one *op)
{
	if (op->plan == DELETION_PENDING)
		finish(op, NULL, op->current);
	else if (op->request->options.dry_run)
		finish(op, NULL, NULL);
	else
		write_plan(op);
}

static void on_judged_by_others(void *context, const struct status *failure)
{
	struct delete_one *op = context;

	if (failure)
		finish(op, failure, NULL);
	else
		carry_out(op);
}

static void on_seen_by_others(void *context, const struct status *failure)
{
	struct delete_one *op = context;

	if (failure)
		finish(op, failure, NULL);
	else
		admission_wait(&op->wait, &op->change, ADMISSION_DELETE, ADMISSION_VALIDATE, on_judged_by_others, op);
}

static void on_current(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct delete_one *op = context;
	const struct status *status;

	(void)revision;
	if (err && err->code == ERR_NOT_FOUND && !op->fresh) {
		op->fresh = true;
		read_current(op);
		return;
	}
	if (err) {
		finish(op, status_from_err(op->change.arena, err, op->change.resource, op->change.name), NULL);
		return;
	}
	op->current = stored_object_ref(object);
	status = decide(op);
	if ((status || op->plan == DELETION_PENDING) && !op->fresh) {
		op->fresh = true;
		read_current(op);
	} else if (status) {
		finish(op, status, NULL);
	} else {
		admission_wait(&op->wait, &op->change, ADMISSION_DELETE, ADMISSION_MUTATE, on_seen_by_others, op);
	}
}

static void read_current(struct delete_one *op)
{
	struct storage_read read = {
	        .resource = op->change.resource,
	        .namespace_name = op->change.namespace_name,
	        .name = op->change.name,
	        .freshness = op->fresh ? STORAGE_CONSISTENT : STORAGE_ANY,
	};

	op->current = stored_object_unref(op->current);
	storage_get(op->request->server->storage, &read, op->request->loop, on_current, op);
}

void delete_one_start(struct delete_one *op)
{
	// Others are asked once, about what is stored now.
	op->fresh = admission_waits(&op->change, ADMISSION_DELETE, ADMISSION_MUTATE) ||
	            admission_waits(&op->change, ADMISSION_DELETE, ADMISSION_VALIDATE);
	read_current(op);
}

// --- the request ----------------------------------------------------------------------

static void on_converted(void *context, struct stored_object *const *converted, const struct err *err)
{
	struct request *request = context;

	if (err)
		request_finish_status(
		        request, status_from_err(request->arena, err, request_resource(request), request->route.name));
	else
		encode_finish_object(request, 200, converted[0]);
}

static void finish_with_object(struct request *request, struct stored_object *object)
{
	if (definition_asks_webhook(request_resource(request)))
		conversion_start(request->server, request_resource(request), &object, 1, request->loop, on_converted,
		                 request);
	else
		encode_finish_object(request, 200, object);
}

static void on_done(struct delete_one *op, const struct status *status, struct stored_object *object)
{
	struct request *request = op->request;
	const struct schema_resource *resource = op->change.resource;

	if (status)
		request_finish_status(request, status);
	else if (op->plan == DELETION_NOW && !strategy_find(resource)->returns_deleted_object)
		request_finish_tree(
		        request, 200,
		        status_success(request->arena, resource, op->change.name, object_uid(op->change.old)));
	else if (object)
		finish_with_object(request, object);
	else
		encode_finish_tree(request, 200, op->change.object);
}

const struct status *delete_options_of(struct request *request)
{
	struct json *body;
	const struct schema_type *type = schema_find_type("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
	const struct status *status = body_decode_optional(request, type, &body);

	if (!status && body)
		status = request_options_add_delete(request->arena, body, &request->options);
	return status;
}

void registry_delete(struct request *request)
{
	struct delete_one *op = ARENA_NEW(request->arena, struct delete_one);
	const struct schema_resource *resource = request_resource(request);
	const struct status *status = delete_options_of(request);

	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->request = request;
	op->options = &request->options;
	op->done = on_done;
	op->change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = resource,
	        .subresource = "",
	        .name = request->route.name,
	        .namespace_name = resource->namespaced ? request->route.namespace_name : "",
	};
	delete_one_start(op);
}
