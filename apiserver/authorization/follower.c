// SPDX-License-Identifier: Apache-2.0
//
//   list ──► watch ──► (ended: fell behind, cache reset) ──► list …
//     └ failed: again after a moment
//
// The list's answer may come after the follower has ended: it finds its call
// without an owner and frees it.

#include "apiserver/authorization/follower.h"

#include "apiserver/object_io.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define FOLLOWER_RETRY_NS (NSEC_PER_SEC / 4)

struct follower_call {
	struct follower *follower; // NULL: it has ended
};

static void start_list(struct follower *follower);

static void on_retry(struct loop_timer *timer)
{
	start_list(container_of(timer, struct follower, retry));
}

static void try_again(struct follower *follower)
{
	follower->watch = storage_watch_close(follower->watch);
	loop_timer_start(follower->loop, &follower->retry, FOLLOWER_RETRY_NS, on_retry);
}

static void put(struct follower *follower, const struct stored_object *object)
{
	struct err err = ERR_INIT;
	struct json *tree;

	arena_reset(follower->arena);
	tree = object_load_plain(follower->arena, follower->resource, object, &err);
	if (tree)
		follower->type->put(follower->context, object, tree);
	else
		log_warning("Stored object can't be read", kv_str("resource", follower->type->plural),
		            kv_str("namespace", object->namespace_name), kv_str("name", object->name), kv_err(&err));
}

static void on_readable(void *context)
{
	struct follower *follower = context;
	struct storage_event event;
	struct err err = ERR_INIT;

	while (follower->watch && storage_watch_next(follower->watch, &event, &err)) {
		if (event.type == STORAGE_EVENT_PUT)
			put(follower, event.object);
		else if (event.type == STORAGE_EVENT_DELETED)
			follower->type->removed(follower->context, event.object);
	}
	if (err.code)
		try_again(follower);
}

static void start_watch(struct follower *follower, int64_t revision)
{
	struct storage_watch_config config = {
	        .resource = follower->resource,
	        .namespace_name = "",
	        .after_revision = revision,
	        .loop = follower->loop,
	        .readable = on_readable,
	        .context = follower,
	};

	if (storage_watch_open(follower->storage, &config, &follower->watch, NULL) < 0)
		try_again(follower);
}

static void on_list(void *context, const struct storage_list *list, const struct err *err)
{
	struct follower_call *call = context;
	struct follower *follower = call->follower;

	free(call);
	if (!follower)
		return;
	follower->call = NULL;
	if (err) {
		try_again(follower);
		return;
	}
	follower->type->begin(follower->context);
	for (size_t i = 0; i < list->count; i++)
		put(follower, list->objects[i]);
	follower->type->end(follower->context);
	start_watch(follower, list->revision);
}

static void start_list(struct follower *follower)
{
	struct storage_read read = {.resource = follower->resource, .namespace_name = "", .freshness = STORAGE_ANY};

	follower->call = NEW(struct follower_call);
	follower->call->follower = follower;
	storage_list(follower->storage, &read, follower->loop, on_list, follower->call);
}

void follower_start(struct follower *follower, const struct follower_type *type, struct storage *storage,
                    struct loop *loop, void *context)
{
	*follower = (struct follower){
	        .type = type,
	        .resource = schema_find_resource(type->group, type->version, type->plural),
	        .storage = storage,
	        .loop = loop,
	        .context = context,
	        .arena = arena_new(16 << 10),
	};
	if (follower->resource && follower->resource->storage_prefix && follower->resource->enabled_by_default) {
		start_list(follower);
		return;
	}
	type->begin(context);
	type->end(context);
}

void follower_stop(struct follower *follower)
{
	if (!follower->loop)
		return;
	if (follower->call)
		follower->call->follower = NULL;
	loop_timer_stop(&follower->retry);
	follower->watch = storage_watch_close(follower->watch);
	arena_free(follower->arena);
	*follower = (struct follower){0};
}
