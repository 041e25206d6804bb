// SPDX-License-Identifier: Apache-2.0
// The desk. All charging happens on the main loop, one batch at a time for each
// namespace, so that many changes share one write of a quota's status:
//
//   request's loop ─post─► line of the namespace ─► batch: read quotas, check and charge in order
//        ▲                                             │ swap each charged quota on its revision
//        │                                             ▼
//        └───────────post──── answers ◄──────── all written
//                                                      │ lost a swap (another apiserver, the controller):
//                                                      └─► read that quota anew, check and charge again
//
// What the desk wrote itself may be newer than the cache: it is kept by name until
// the cache has caught up. A charge whose object is never written (a later refusal,
// a crash) is taken back when the controller counts again, as upstream does it.
//
// A request's arena belongs to the desk from the post to the answer.

#include "apiserver/admission/quota.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/quota_check.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "apiserver/validation/validation.h"
#include "common/api/quota.h"
#include "common/base/hashmap.h"
#include "common/base/list.h"
#include "common/base/memory.h"

enum {
	QUOTA_MAX_CONFLICTS = 10,
	QUOTA_MAX_BATCH = 256,
};

struct quota_desk {
	struct server *server;
	const struct json *limited; // of the configuration
	struct hashmap *lines;      // namespace → struct quota_line
};

struct quota_line {
	struct quota_desk *desk;
	char *namespace_name;
	struct list waiting; // struct quota_item
	struct quota_batch *running;
	struct hashmap *written; // name → struct stored_object, newer than the cache when it was written
};

// A request at the desk, in its arena.
struct quota_item {
	struct list node;
	struct loop_task task;
	struct quota_desk *desk;
	struct admission_wait *wait;
	const struct status *status;
	bool decided; // refused: out of the batch's further rounds
};

struct quota_ballot {
	struct stored_object *object;
	struct json *tree;
	struct quota_batch *batch;
	struct quota_state *state;
};

struct quota_batch {
	struct quota_line *line; // NULL: the desk is gone
	struct arena *arena;
	struct list items;
	struct quota_state *states;
	struct quota_ballot *ballots; // as many
	size_t count;
	size_t pending; // reads and writes under way
	unsigned conflicts;
};

static void start_batch(struct quota_line *line);
static void write_charged(struct quota_batch *batch);

static const struct schema_resource *quotas_resource(void)
{
	return schema_find_resource("", "v1", "resourcequotas");
}

// --- the desk -----------------------------------------------------------------------------

static void object_free(void *value)
{
	stored_object_unref(value);
}

static void batch_free(struct quota_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		stored_object_unref(batch->ballots[i].object);
	arena_free(batch->arena);
	free(batch);
}

static void line_free(void *value)
{
	struct quota_line *line = value;

	if (line->running)
		line->running->line = NULL; // its last answer frees it
	hashmap_free(line->written);
	free(line->namespace_name);
	free(line);
}

struct quota_desk *quota_desk_new(struct server *server, const struct json *configuration)
{
	struct quota_desk *desk = NEW(struct quota_desk);

	desk->server = server;
	desk->limited = json_get(configuration, "limitedResources");
	desk->lines = hashmap_new(line_free);
	return desk;
}

struct quota_desk *quota_desk_free(struct quota_desk *desk)
{
	if (!desk)
		return NULL;
	hashmap_free(desk->lines);
	free(desk);
	return NULL;
}

static struct quota_line *find_line(struct quota_desk *desk, const char *namespace_name)
{
	struct quota_line *line = hashmap_get(desk->lines, namespace_name);

	if (line)
		return line;
	line = NEW(struct quota_line);
	line->desk = desk;
	line->namespace_name = xstrdup(namespace_name);
	list_init(&line->waiting);
	line->written = hashmap_new(object_free);
	hashmap_put(desk->lines, namespace_name, line);
	return line;
}

// --- answers --------------------------------------------------------------------------------

static void on_answer(struct loop_task *task)
{
	struct quota_item *item = container_of(task, struct quota_item, task);

	admission_wait_next(item->wait, item->status);
}

static void finish_batch(struct quota_batch *batch)
{
	struct quota_line *line = batch->line;
	struct quota_item *item;

	list_for_each (item, &batch->items, node) {
		list_remove(&item->node);
		loop_post(item->wait->change->request->loop, &item->task, on_answer);
	}
	batch_free(batch);
	line->running = NULL;
	if (list_is_empty(&line->waiting))
		hashmap_remove(line->desk->lines, line->namespace_name);
	else
		start_batch(line);
}

static void refuse_all(struct quota_batch *batch, const struct err *err)
{
	struct quota_item *item;

	list_for_each (item, &batch->items, node) {
		const struct change *change = item->wait->change;

		if (!item->decided)
			item->status = status_from_err(change->arena, err, quotas_resource(), "");
		item->decided = true;
	}
}

// --- reading quotas -------------------------------------------------------------------------

static void load_state(struct quota_ballot *ballot, struct stored_object *object)
{
	struct arena *arena = ballot->batch->arena;
	struct json *tree = object_load(arena, quotas_resource(), object, NULL);
	struct quota_state *state = ballot->state;

	stored_object_unref(ballot->object);
	ballot->object = stored_object_ref(object);
	ballot->tree = tree;
	*state = (struct quota_state){
	        .name = arena_strdup(arena, object->name),
	        .spec = json_get(tree, "spec"),
	        .hard = json_path(tree, "status", "hard"),
	        .arena = arena,
	};
	resource_amounts_read(arena, &state->used, json_path(tree, "status", "used"));
}

// The newer one of what the cache has and what the desk wrote.
static struct stored_object *newest(struct quota_line *line, struct stored_object *cached)
{
	struct stored_object *written = hashmap_get(line->written, cached->name);

	if (written && written->revision > cached->revision)
		return written;
	hashmap_remove(line->written, cached->name);
	return cached;
}

static void read_quotas(struct quota_batch *batch)
{
	struct quota_line *line = batch->line;
	struct stored_object **all;
	size_t count = storage_peek_all(line->desk->server->storage, quotas_resource(), line->namespace_name, &all);

	batch->states = ARENA_ARRAY(batch->arena, struct quota_state, count + 1);
	batch->ballots = ARENA_ARRAY(batch->arena, struct quota_ballot, count + 1);
	for (size_t i = 0; i < count; i++) {
		batch->ballots[i].batch = batch;
		batch->ballots[i].state = &batch->states[i];
		load_state(&batch->ballots[i], newest(line, all[i]));
		stored_object_unref(all[i]);
	}
	free(all);
	batch->count = count;
}

// --- checking and charging --------------------------------------------------------------------

// `only` NULL: the first round, against all quotas.
static void check_items(struct quota_batch *batch, const struct quota_state *only)
{
	struct quota_item *item;

	list_for_each (item, &batch->items, node) {
		struct quota_claim claim = {
		        .change = item->wait->change,
		        .operation = item->wait->operation,
		        .limited = batch->line->desk->limited,
		};

		if (item->decided)
			continue;
		item->status = quota_check(&claim, batch->states, batch->count, only);
		item->decided = item->status != NULL;
	}
}

// --- writing ----------------------------------------------------------------------------------

static struct blob *encode(const struct quota_ballot *ballot)
{
	struct arena *arena = ballot->batch->arena;
	struct json *status = json_ensure_object(arena, ballot->tree, "status");
	struct json *used = json_ensure_object(arena, status, "used");

	for (size_t i = 0; i < ballot->state->used.count; i++) {
		char text[QUANTITY_TEXT_BYTES];

		quantity_format(&ballot->state->used.items[i].amount, text);
		json_set_text(arena, used, ballot->state->used.items[i].name, text);
	}
	return object_store(arena, quotas_resource(), ballot->tree);
}

static void settle_if_done(struct quota_batch *batch)
{
	if (--batch->pending)
		return;
	if (!batch->line)
		batch_free(batch);
	else
		write_charged(batch);
}

// After a lost swap: the quota as it is now.
static void on_read_again(void *context, struct stored_object *object, int64_t revision, const struct err *err)
{
	struct quota_ballot *ballot = context;
	struct quota_batch *batch = ballot->batch;

	(void)revision;
	if (batch->line && !err) {
		load_state(ballot, object);
		check_items(batch, ballot->state);
	} else if (batch->line && err->code == ERR_NOT_FOUND) {
		ballot->state->hard = NULL; // it limits nothing any more
		ballot->state->charged = false;
	} else if (batch->line) {
		refuse_all(batch, err);
		ballot->state->charged = false;
	}
	settle_if_done(batch);
}

static void read_again(struct quota_ballot *ballot)
{
	struct quota_batch *batch = ballot->batch;
	struct server *server = batch->line->desk->server;
	struct storage_read read = {
	        .resource = quotas_resource(),
	        .namespace_name = batch->line->namespace_name,
	        .name = ballot->state->name,
	        .freshness = STORAGE_CONSISTENT,
	};

	batch->pending++;
	storage_get(server->storage, &read, server->main_loop, on_read_again, ballot);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct quota_ballot *ballot = context;
	struct quota_batch *batch = ballot->batch;

	if (batch->line && !err) {
		hashmap_put(batch->line->written, ballot->state->name, stored_object_ref(object));
	} else if (batch->line && (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND) &&
	           ++batch->conflicts <= QUOTA_MAX_CONFLICTS) {
		hashmap_remove(batch->line->written, ballot->state->name);
		read_again(ballot);
	} else if (batch->line) {
		refuse_all(batch, err);
	}
	settle_if_done(batch);
}

static void write_one(struct quota_ballot *ballot)
{
	struct quota_batch *batch = ballot->batch;
	struct server *server = batch->line->desk->server;
	struct storage_write write = {
	        .type = STORAGE_UPDATE,
	        .resource = quotas_resource(),
	        .namespace_name = batch->line->namespace_name,
	        .name = ballot->state->name,
	        .expected_revision = ballot->object->revision,
	        .json = encode(ballot),
	};

	ballot->state->charged = false;
	batch->pending++;
	storage_write(server->storage, &write, server->main_loop, on_written, ballot);
}

static void write_charged(struct quota_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->states[i].charged)
			write_one(&batch->ballots[i]);
	if (!batch->pending)
		finish_batch(batch);
}

// --- batches ----------------------------------------------------------------------------------

static void start_batch(struct quota_line *line)
{
	struct quota_batch *batch = NEW(struct quota_batch);

	batch->line = line;
	batch->arena = arena_new(16 << 10);
	list_init(&batch->items);
	line->running = batch;
	for (size_t i = 0; i < QUOTA_MAX_BATCH && !list_is_empty(&line->waiting); i++) {
		struct list *node = line->waiting.next;

		list_remove(node);
		list_append(&batch->items, node);
	}
	read_quotas(batch);
	check_items(batch, NULL);
	write_charged(batch);
}

static void on_arrival(struct loop_task *task)
{
	struct quota_item *item = container_of(task, struct quota_item, task);
	struct quota_line *line = find_line(item->desk, item->wait->change->namespace_name);

	list_append(&line->waiting, &item->node);
	if (!line->running)
		start_batch(line);
}

// --- the plug-in ----------------------------------------------------------------------------

static bool is_charged(const struct change *change, enum admission_operation operation)
{
	enum quota_kind kind = quota_kind_of(change->resource);

	if (!change->namespace_name[0] || !quota_counts(change->resource))
		return false;
	if (operation == ADMISSION_CREATE)
		return !change->subresource[0];
	if (kind == QUOTA_PODS)
		return !strcmp(change->subresource, "resize");
	return kind != QUOTA_OBJECTS && !change->subresource[0];
}

static bool has_quotas(const struct change *change)
{
	struct stored_object **all;
	size_t count = storage_peek_all(change->server->storage, quotas_resource(), change->namespace_name, &all);

	for (size_t i = 0; i < count; i++)
		stored_object_unref(all[i]);
	free(all);
	return count > 0;
}

bool admission_quota_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase)
{
	return phase == ADMISSION_VALIDATE && is_charged(change, operation) &&
	       (change->server->admission->quota_is_limiting || has_quotas(change));
}

void admission_quota_start(struct admission_wait *wait)
{
	struct quota_item *item = ARENA_NEW(wait->change->arena, struct quota_item);
	struct server *server = wait->change->server;

	item->desk = server->admission->quota;
	item->wait = wait;
	list_init(&item->node);
	loop_post(server->main_loop, &item->task, on_arrival);
}
