// SPDX-License-Identifier: Apache-2.0
// LIST. Without a limit: one read, the selected objects, the answer. With a
// limit and a selector a chunk may select too little: reads follow one another
// at the version of the first until the limit is filled or the end is reached.
//
//   read → on_chunk ─ enough or end → answer
//            ▲          │ more needed
//            └──────────┘
//
// An expired version answers 410 with a token that goes on at the current one.

#include <string.h>

#include "apiserver/custom/conversion.h"
#include "apiserver/encoding/encode.h"
#include "apiserver/registry/read_options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/selection.h"
#include "apiserver/server.h"
#include "common/base/memory.h"

struct list_op {
	struct request *request;
	struct storage_read read;
	struct list_position position;
	struct selection selection;
	struct list_answer answer;
	size_t capacity;
	size_t limit; // 0 = all
};

static void on_chunk(void *context, const struct storage_list *list, const struct err *err);

static void read_chunk(struct list_op *op)
{
	conversion_list(op->request->server, &op->read, op->request->loop, on_chunk, op);
}

static void drop(struct list_op *op)
{
	for (size_t i = 0; i < op->answer.count; i++)
		stored_object_unref(op->answer.objects[i]);
	free(op->answer.objects);
}

static void on_error(struct list_op *op, const struct err *err)
{
	struct request *request = op->request;
	const struct status *status = status_from_err(request->arena, err, request_resource(request), "");

	if (err->code == ERR_EXPIRED && op->position.continue_key)
		status = status_expired(
		        request->arena,
		        "The provided continue parameter is too old to display a consistent list result. You can start "
		        "a "
		        "new list without the continue parameter, or use the continue token in this response to "
		        "retrieve "
		        "the remainder of the results. Continuing with the provided token results in an inconsistent "
		        "list - objects that were created, modified, or deleted between the time the first chunk was "
		        "returned and now may show up in the list.",
		        read_options_token(request, -1, op->position.continue_key));
	else if (err->code == ERR_EXPIRED)
		status = status_expired(request->arena, "The resourceVersion for the provided list is too old.", NULL);
	drop(op);
	request_finish_status(request, status);
}

static const char *key_of(struct arena *arena, const struct stored_object *object)
{
	if (object->namespace_name && object->namespace_name[0])
		return arena_printf(arena, "%s/%s", object->namespace_name, object->name);
	return arena_strdup(arena, object->name);
}

static void add(struct list_op *op, struct stored_object *object)
{
	if (op->answer.count == op->capacity) {
		op->capacity = op->capacity ? 2 * op->capacity : 64;
		op->answer.objects = xreallocarray(op->answer.objects, op->capacity, sizeof(*op->answer.objects));
	}
	op->answer.objects[op->answer.count++] = stored_object_ref(object);
}

// Takes what is selected; returns how many objects of the chunk were looked at.
static size_t select_from(struct list_op *op, const struct storage_list *list)
{
	size_t i = 0;

	for (; i < list->count && (!op->limit || op->answer.count < op->limit); i++)
		if (selection_matches(&op->selection, list->objects[i]))
			add(op, list->objects[i]);
	return i;
}

static void finish(struct list_op *op, const struct storage_list *list, size_t looked_at)
{
	struct request *request = op->request;
	bool more = list->more || looked_at < list->count;

	op->answer.remaining = -1;
	if (more) {
		const char *key = key_of(request->arena, list->objects[looked_at - 1]);

		op->answer.continue_token = read_options_token(request, op->answer.revision, key);
		if (selection_is_everything(&op->selection))
			op->answer.remaining = (int64_t)(list->remaining + (list->count - looked_at));
	}
	encode_finish_list(request, &op->answer);
}

static void on_chunk(void *context, const struct storage_list *list, const struct err *err)
{
	struct list_op *op = context;
	size_t looked_at;

	if (err) {
		on_error(op, err);
		return;
	}
	if (!op->answer.revision)
		op->answer.revision = list->revision;
	looked_at = select_from(op, list);
	if (op->limit && op->answer.count < op->limit && list->more && list->count) {
		op->read.continue_key = key_of(op->request->arena, list->objects[list->count - 1]);
		op->position.continue_key = op->read.continue_key;
		op->read.freshness = STORAGE_EXACT;
		op->read.revision = op->answer.revision;
		read_chunk(op);
		return;
	}
	finish(op, list, looked_at);
}

// An inconsistent token: learn the version of now, then read exactly there.
static void on_current_revision(void *context, const struct storage_list *list, const struct err *err)
{
	struct list_op *op = context;

	if (err) {
		on_error(op, err);
		return;
	}
	op->read.freshness = STORAGE_EXACT;
	op->read.revision = list->revision;
	op->read.limit = op->limit;
	op->read.continue_key = op->position.continue_key;
	read_chunk(op);
}

void registry_list(struct request *request)
{
	struct list_op *op = ARENA_NEW(request->arena, struct list_op);
	const struct status *status = read_options_list(request, &op->read, &op->position);

	op->request = request;
	if (!status)
		status = selection_parse(request->arena, request_resource(request), request->options.label_selector,
		                         request->options.field_selector, &op->selection);
	if (status) {
		request_finish_status(request, status);
		return;
	}
	op->limit = op->read.limit;
	op->read.field_label = op->selection.field_label;
	op->read.field_value = op->selection.field_value;
	if (op->position.inconsistent) {
		op->read.continue_key = NULL;
		op->read.limit = 1;
		storage_list(request->server->storage, &op->read, request->loop, on_current_revision, op);
		return;
	}
	read_chunk(op);
}
