// SPDX-License-Identifier: Apache-2.0
// Deleting the objects of a definition that is being deleted. Objects with finalizers
// are marked and wait for whoever cares for them; the others are removed at once. Each
// round looks at the cache, starts a bounded number of writes and leaves it at that:
// reconciling comes back until nothing is there. A write that loses against another one
// is simply seen again in the next round.

#include <string.h>

#include "apiserver/custom/custom_internal.h"
#include "apiserver/object_io.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/server.h"
#include "common/api/object.h"
#include "common/base/memory.h"

enum {
	CLEAN_ROUND = 256,
};

static void on_cleaned(void *context, struct stored_object *object, const struct err *err)
{
	(void)context;
	(void)object;
	(void)err;
}

static void clean_one(struct definition_entry *entry, const struct stored_object *object)
{
	struct custom *custom = entry->custom;
	AUTO(arena_free) struct arena *arena = arena_new(16 << 10);
	const struct schema_resource *resource = &entry->definition->stored.resource;
	struct json *tree = NULL;
	struct storage_write write = {
	        .type = STORAGE_DELETE,
	        .resource = resource,
	        .namespace_name = object->namespace_name ? object->namespace_name : "",
	        .name = object->name,
	        .expected_revision = object->revision,
	};

	if (json_parse(arena, object->json->data, object->json->length, NULL, &tree, NULL) < 0)
		return;
	if (metadata_has_finalizers(tree)) {
		if (object_is_being_deleted(tree))
			return;
		metadata_mark_deleted(arena, tree, loop_realtime_ns(custom->loop), 0);
		write.type = STORAGE_UPDATE;
		write.json = object_store(arena, resource, tree);
	}
	storage_write(custom->server->storage, &write, custom->loop, on_cleaned, NULL);
}

// The cache may be behind a write that began before the definition was marked.
static void on_confirmed(void *context, const struct storage_list *list, const struct err *err)
{
	struct definition_entry *entry = context;

	entry->confirmed_empty = !err && !list->count;
	entry->stale = !err;
	if (err && !entry->gone)
		custom_retry_later(entry);
	custom_call_ended(entry);
}

static void confirm(struct definition_entry *entry)
{
	struct storage_read read = {.resource = &entry->definition->stored.resource,
	                            .namespace_name = "",
	                            .freshness = STORAGE_CONSISTENT,
	                            .limit = 1};

	entry->writing = true;
	storage_list(entry->custom->server->storage, &read, entry->custom->loop, on_confirmed, entry);
}

// Returns how many there are.
static size_t clean_some(struct definition_entry *entry)
{
	struct stored_object **objects;
	size_t count =
	        storage_peek_all(entry->custom->server->storage, &entry->definition->stored.resource, "", &objects);

	for (size_t i = 0; i < count; i++) {
		if (i < CLEAN_ROUND)
			clean_one(entry, objects[i]);
		stored_object_unref(objects[i]);
	}
	free(objects);
	return count;
}

bool custom_clean(struct definition_entry *entry, bool *ret_waits)
{
	*ret_waits = false;
	if (!entry->definition)
		return true;
	if (clean_some(entry)) {
		entry->confirmed_empty = false;
		return false;
	}
	if (entry->confirmed_empty)
		return true;
	confirm(entry);
	*ret_waits = true;
	return false;
}
