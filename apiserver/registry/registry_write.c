// SPDX-License-Identifier: Apache-2.0
// The state of a write:
//
//   read ──► transform ──► admission, strategy, validation (admit.h) ──► allocate ──► write ──► done
//    ▲                        │ failed or nothing to do, on a cached read               │ conflict
//    └────────────────────────┴─────────────────────────────────────────────────────────┘
//
// The first read takes what the cache has: usually that is the newest, and it
// costs nothing. Whatever the outcome of a cached read is, other than a write
// that etcd accepted, it is judged again on a consistent one, since the cache may
// have been behind: a conflict, a refusal or "nothing to change" is never told
// from old state. Writes are swaps on the mod revision; after a conflict the
// transform runs again on what is stored now, at most five times.

#include "apiserver/registry/registry_write.h"

#include <string.h>

#include "apiserver/custom/conversion.h"
#include "apiserver/custom/definition.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/managed_fields.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/strategy.h"
#include "apiserver/server.h"
#include "apiserver/services/service_allocation.h"
#include "common/base/blob.h"

enum {
	WRITE_MAX_CONFLICTS = 5,
	WRITE_HEAVY_BYTES = 64 << 10,
};

static void read_current(struct write_op *op);
static void on_written(void *context, struct stored_object *object, const struct err *err);

static void drop_current(struct write_op *op)
{
	op->current = stored_object_unref(op->current);
}

static void finish_status(struct write_op *op, const struct status *status)
{
	drop_current(op);
	request_finish_status(op->request, status);
}

static void finish_object(struct write_op *op, struct stored_object *object, struct json *tree)
{
	struct request *request = op->request;

	if (op->finish)
		op->finish(op, object, tree);
	else if (object)
		encode_finish_object(request, 200, object);
	else
		encode_finish_tree(request, 200, tree);
}

static void finish_unchanged(struct write_op *op)
{
	struct stored_object *current = op->current;

	op->current = NULL;
	finish_object(op, current, op->change.object);
	stored_object_unref(current);
}

static bool is_unchanged(const struct write_op *op)
{
	return json_equal(op->change.object, op->change.old) &&
	       storage_is_sealed_as_wanted(op->change.server->storage, op->change.resource, op->current);
}

static const struct status *prepare(struct admit *admit)
{
	struct write_op *op = container_of(admit, struct write_op, admit);
	struct change *change = &op->change;
	bool unconditional = op->skip_version_check || change->resource->allow_unconditional_update;
	const struct status *status;
	struct err err = ERR_INIT;

	change->old = object_load(change->arena, change->resource, op->current, &err);
	if (!change->old)
		return status_internal(change->arena, "%s", err.message);
	change->object = json_clone(change->arena, change->old);
	status = op->transform(op);
	if (!status)
		status = metadata_prepare_update(change, unconditional);
	if (!status && op->owns_changes)
		managed_fields_update(change);
	return status;
}

static void settle(struct admit *admit)
{
	struct write_op *op = container_of(admit, struct write_op, admit);

	managed_fields_settle(&op->change);
	if (strategy_should_delete(&op->change))
		op->plan = WRITE_DELETE;
	else
		op->plan = is_unchanged(op) ? WRITE_NOTHING : WRITE_UPDATE;
}

static void write_tree(struct write_op *op, const struct json *tree)
{
	struct storage_write write = {
	        .type = op->plan == WRITE_DELETE ? STORAGE_DELETE : STORAGE_UPDATE,
	        .resource = op->change.resource,
	        .namespace_name = op->change.namespace_name,
	        .name = op->change.name,
	        .expected_revision = op->current->revision,
	};

	if (op->plan == WRITE_UPDATE) {
		write.tree = definition_is_read_as_written(op->change.resource) ? tree : NULL;
		write.json = object_text(tree);
		if (!strcmp(op->change.resource->plural, "events"))
			write.lease_seconds = op->request->server->config->event_ttl_ns / NSEC_PER_SEC;
	}
	storage_write(op->request->server->storage, &write, op->request->loop, on_written, op);
}

static void on_stored_form(void *context, struct json *converted, const struct err *err)
{
	struct write_op *op = context;

	if (err)
		finish_status(op, status_from_err(op->request->arena, err, op->change.resource, op->change.name));
	else
		write_tree(op, converted);
}

static void write_planned(struct write_op *op)
{
	struct change *change = &op->change;
	struct json *tree = NULL;

	if (op->plan == WRITE_UPDATE)
		tree = object_stored_form(op->request->arena, change->resource, change->object);
	if (tree && definition_asks_webhook(change->resource))
		conversion_to_storage(op->request->server, change->resource, op->request->arena, tree,
		                      op->request->loop, on_stored_form, op);
	else
		write_tree(op, tree);
}

static void on_allocated(void *context, struct service_allocation *allocation, const struct status *failure)
{
	struct write_op *op = context;

	op->allocation = allocation;
	if (failure)
		finish_status(op, failure);
	else
		write_planned(op);
}

static void settle_allocation(struct write_op *op, bool written)
{
	service_allocation_settle(op->allocation, written);
	op->allocation = NULL;
}

static void admitted(struct admit *admit, const struct status *failure)
{
	struct write_op *op = container_of(admit, struct write_op, admit);

	if ((failure || op->plan == WRITE_NOTHING) && !op->fresh) {
		op->fresh = true;
		read_current(op);
	} else if (failure) {
		finish_status(op, failure);
	} else if (op->plan == WRITE_NOTHING) {
		finish_unchanged(op);
	} else if (op->request->options.dry_run) {
		drop_current(op);
		finish_object(op, NULL, op->change.object);
	} else if (op->plan == WRITE_UPDATE && service_allocation_concerns(&op->change)) {
		service_allocate(&op->change, on_allocated, op);
	} else {
		write_planned(op);
	}
}

static void on_current(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct write_op *op = context;
	struct request *request = op->request;

	(void)revision;
	if (err && err->code == ERR_NOT_FOUND && !op->fresh) {
		op->fresh = true;
		read_current(op);
		return;
	}
	if (err && err->code == ERR_NOT_FOUND && op->absent) {
		op->absent(op);
		return;
	}
	if (err) {
		finish_status(op, status_from_err(request->arena, err, op->change.resource, op->change.name));
		return;
	}
	op->current = stored_object_ref(object);
	op->admit = (struct admit){
	        .change = &op->change,
	        .operation = ADMISSION_UPDATE,
	        .heavy = op->heavy || object->json->length > WRITE_HEAVY_BYTES,
	        .prepare = prepare,
	        .settle = settle,
	        .done = admitted,
	};
	admit_start(&op->admit);
}

static void read_current(struct write_op *op)
{
	struct storage_read read = {
	        .resource = op->change.resource,
	        .namespace_name = op->change.namespace_name,
	        .name = op->change.name,
	        .freshness = op->fresh ? STORAGE_CONSISTENT : STORAGE_ANY,
	};

	drop_current(op);
	conversion_get(op->request->server, &read, op->request->loop, on_current, op);
}

// What was written may be shown as the tree when storage has only the bytes of a deletion.
static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct write_op *op = context;

	if (err && err->code == ERR_CONFLICT && ++op->conflicts <= WRITE_MAX_CONFLICTS) {
		settle_allocation(op, false);
		op->fresh = true;
		read_current(op);
		return;
	}
	// A write whose fate is unknown keeps what it allocated: the repair loop decides.
	if (err && err->code == ERR_TIMEOUT)
		op->allocation = service_allocation_abandon(op->allocation);
	else
		settle_allocation(op, !err);
	if (err) {
		finish_status(op, status_from_err(op->request->arena, err, op->change.resource, op->change.name));
		return;
	}
	drop_current(op);
	if (op->plan == WRITE_DELETE && change_is_for(&op->change, "", "services"))
		service_allocation_release(op->request->server, op->request->loop, op->change.object);
	if (op->plan == WRITE_DELETE) {
		finish_object(op, NULL, op->change.object);
	} else if (definition_asks_webhook(op->change.resource)) {
		object_set_version(op->request->arena, op->change.object, object->revision);
		finish_object(op, NULL, op->change.object);
	} else {
		finish_object(op, object, op->change.object);
	}
}

void write_op_start(struct write_op *op)
{
	struct request *request = op->request;
	const struct schema_resource *resource = request_resource(request);

	op->change = (struct change){
	        .request = request,
	        .server = request->server,
	        .arena = request->arena,
	        .resource = resource,
	        .subresource = request->route.subresource_name,
	        .name = op->name ? op->name : request->route.name,
	        .namespace_name = resource->namespaced ? request->route.namespace_name : "",
	};
	// Others are asked once, about what is stored now.
	op->fresh = admission_waits(&op->change, ADMISSION_UPDATE, ADMISSION_MUTATE) ||
	            admission_waits(&op->change, ADMISSION_UPDATE, ADMISSION_VALIDATE);
	read_current(op);
}
