// SPDX-License-Identifier: Apache-2.0
// DELETE of a collection: the selected objects of one consistent list, a few at
// a time. Objects that vanish meanwhile are fine; the first real failure ends it
// (after what was under way), as upstream does. The answer is the list.

#include "apiserver/custom/conversion.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/registry/delete_one.h"
#include "apiserver/registry/read_options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/selection.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/base/memory.h"

enum {
	DELETE_PARALLEL = 8,
};

struct collection_op;

struct collection_slot {
	struct collection_op *collection;
	struct arena *arena; // of the object under way
	struct delete_one one;
};

struct collection_op {
	struct request *request;
	struct storage_read read;
	struct list_position position;
	struct selection selection;
	struct list_answer answer;
	const struct status *failure;
	size_t next;
	size_t running;
	struct collection_slot slots[DELETE_PARALLEL];
};

static void start_next(struct collection_op *op, struct collection_slot *slot);

static void finish(struct collection_op *op)
{
	struct request *request = op->request;

	for (size_t i = 0; i < DELETE_PARALLEL; i++)
		op->slots[i].arena = arena_free(op->slots[i].arena);
	if (!op->failure) {
		encode_finish_list(request, &op->answer);
		return;
	}
	for (size_t i = 0; i < op->answer.count; i++)
		stored_object_unref(op->answer.objects[i]);
	free(op->answer.objects);
	request_finish_status(request, op->failure);
}

static void on_deleted(struct delete_one *one, const struct status *status, struct stored_object *object)
{
	struct collection_slot *slot = container_of(one, struct collection_slot, one);
	struct collection_op *op = slot->collection;

	(void)object;
	if (status && status->code != 404 && !op->failure) {
		struct status *kept = ARENA_NEW(op->request->arena, struct status);

		*kept = *status;
		kept->message = arena_strdup(op->request->arena, status->message);
		kept->name = arena_strdup(op->request->arena, status->name);
		kept->causes = NULL;
		kept->cause_count = 0;
		op->failure = kept;
	}
	op->running--;
	start_next(op, slot);
	if (!op->running)
		finish(op);
}

static void start_next(struct collection_op *op, struct collection_slot *slot)
{
	const struct stored_object *object;

	if (op->failure || op->next == op->answer.count)
		return;
	object = op->answer.objects[op->next++];
	// The slot's former object is still on the stack of its callback: its arena is reset, not freed.
	arena_reset(slot->arena);
	slot->one = (struct delete_one){
	        .request = op->request,
	        .options = &op->request->options,
	        .done = on_deleted,
	        .change =
	                {
	                        .request = op->request,
	                        .server = op->request->server,
	                        .arena = slot->arena,
	                        .resource = request_resource(op->request),
	                        .subresource = "",
	                        .name = object->name,
	                        .namespace_name = object->namespace_name ? object->namespace_name : "",
	                },
	};
	op->running++;
	delete_one_start(&slot->one);
}

static void start(struct collection_op *op)
{
	for (size_t i = 0; i < DELETE_PARALLEL && i < op->answer.count; i++) {
		op->slots[i].collection = op;
		op->slots[i].arena = arena_new(0);
		start_next(op, &op->slots[i]);
	}
	if (!op->running)
		finish(op);
}

static void on_list(void *context, const struct storage_list *list, const struct err *err)
{
	struct collection_op *op = context;
	struct arena *arena = op->request->arena;

	if (err) {
		request_finish_status(op->request, status_from_err(arena, err, request_resource(op->request), ""));
		return;
	}
	op->answer.revision = list->revision;
	op->answer.remaining = -1;
	op->answer.objects = xcalloc(list->count + 1, sizeof(*op->answer.objects));
	for (size_t i = 0; i < list->count; i++)
		if (selection_matches(&op->selection, list->objects[i]))
			op->answer.objects[op->answer.count++] = stored_object_ref(list->objects[i]);
	start(op);
}

void registry_delete_collection(struct request *request)
{
	struct collection_op *op = ARENA_NEW(request->arena, struct collection_op);
	const struct status *status = delete_options_of(request);

	op->request = request;
	if (!status)
		status = read_options_list(request, &op->read, &op->position);
	if (!status)
		status = selection_parse(request->arena, request_resource(request), request->options.label_selector,
		                         request->options.field_selector, &op->selection);
	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->read.limit = 0;
	op->read.continue_key = NULL;
	op->read.freshness = STORAGE_CONSISTENT;
	op->read.field_label = op->selection.field_label;
	op->read.field_value = op->selection.field_value;
	conversion_list(request->server, &op->read, request->loop, on_list, op);
}
