// SPDX-License-Identifier: Apache-2.0
// One entry for each object that was asked for; entries that nobody asked for within
// ten minutes are dropped at the next fetch. A bundle keeps its own references, so
// that what a pod was started with can't vanish under it.

#include "kubelet/pod/object_cache.h"

#include <stdio.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

#define FORGET_NS (600 * NSEC_PER_SEC)

static const struct {
	const char *plural;
	const char *singular;
} kinds[OBJECT_CACHE_KIND_COUNT_] = {
        [OBJECT_CONFIG_MAP] = {"configmaps", "configmap"},
        [OBJECT_SECRET] = {"secrets", "secret"},
};

struct object_cache {
	struct loop *loop;
	struct rest_client *client;
	struct hashmap *entries; // "kind/namespace/name" → struct entry
};

struct waiter {
	struct list node;
	struct fetch_op *op;
	struct object_reference *reference;
};

struct entry {
	struct object_cache *cache;
	enum object_cache_kind kind;
	char *name;
	struct api_object *object; // NULL: not there
	struct err err;
	int64_t fetched_at_ns; // 0: never
	int64_t used_at_ns;
	struct rest_call *call;
	struct list waiters;
};

struct fetch_op {
	size_t waiting;
	struct err err;
	struct loop_task finish_task;
	void (*done)(void *context, const struct err *err);
	void *context;
};

static void entry_free(void *value)
{
	struct entry *entry = value;
	struct waiter *waiter;
	if (entry->call)
		rest_cancel(entry->call);
	list_for_each (waiter, &entry->waiters, node)
		free(waiter);
	api_object_unref(entry->object);
	free(entry->name);
	free(entry);
}

struct object_cache *object_cache_new(struct loop *loop, struct rest_client *client)
{
	struct object_cache *cache = NEW(struct object_cache);
	*cache = (struct object_cache){.loop = loop, .client = client, .entries = hashmap_new(entry_free)};
	return cache;
}

struct object_cache *object_cache_free(struct object_cache *cache)
{
	if (!cache)
		return NULL;
	hashmap_free(cache->entries);
	free(cache);
	return NULL;
}

// --- bundles -----------------------------------------------------------------------------

struct object_bundle *object_bundle_new(const char *namespace_name)
{
	struct arena *arena = arena_new(0);
	struct object_bundle *bundle = ARENA_NEW(arena, struct object_bundle);
	*bundle = (struct object_bundle){.arena = arena, .namespace_name = arena_strdup(arena, namespace_name)};
	return bundle;
}

struct object_bundle *object_bundle_free(struct object_bundle *bundle)
{
	if (!bundle)
		return NULL;
	for (size_t index = 0; index < bundle->count; index++)
		api_object_unref(bundle->items[index].object);
	arena_free(bundle->arena);
	return NULL;
}

void object_bundle_add(struct object_bundle *bundle, enum object_cache_kind kind, const char *name, bool optional)
{
	for (size_t index = 0; index < bundle->count; index++) {
		struct object_reference *present = &bundle->items[index];
		if (present->kind == kind && !strcmp(present->name, name)) {
			present->optional &= optional;
			return;
		}
	}
	bundle->items = arena_realloc(bundle->arena, bundle->items, bundle->count * sizeof(*bundle->items),
	                              (bundle->count + 1) * sizeof(*bundle->items));
	bundle->items[bundle->count++] = (struct object_reference){
	        .kind = kind, .name = arena_strdup(bundle->arena, name), .optional = optional};
}

const struct api_object *object_bundle_get(const struct object_bundle *bundle, enum object_cache_kind kind,
                                           const char *name)
{
	for (size_t index = 0; bundle && index < bundle->count; index++)
		if (bundle->items[index].kind == kind && !strcmp(bundle->items[index].name, name))
			return bundle->items[index].object;
	return NULL;
}

// --- fetching ------------------------------------------------------------------------------

static void on_finish(struct loop_task *task)
{
	struct fetch_op *op = container_of(task, struct fetch_op, finish_task);
	op->done(op->context, op->err.code == ERR_NONE ? NULL : &op->err);
	free(op);
}

static void give(struct entry *entry, struct object_reference *reference, struct fetch_op *op)
{
	api_object_unref(reference->object);
	reference->object = api_object_ref(entry->object);
	bool failed = entry->err.code != ERR_NONE && !(reference->optional && entry->err.code == ERR_NOT_FOUND);
	if (failed && op->err.code == ERR_NONE)
		op->err = entry->err;
}

static void on_answer(void *context, const struct rest_response *response)
{
	struct entry *entry = context;
	struct api_object *object = NULL;
	entry->call = NULL;
	entry->err = response->err;
	if (entry->err.code == ERR_NONE)
		(void)api_object_new(schema_find_resource("", "v1", kinds[entry->kind].plural), response->object,
		                     &object, &entry->err);
	if (entry->err.code == ERR_NOT_FOUND) { // in the words of the kubelet's own look-ups
		err_clear(&entry->err);
		(void)err_set(&entry->err, ERR_NOT_FOUND, "%s \"%s\" not found", kinds[entry->kind].singular,
		              entry->name);
	}
	bool definite = entry->err.code == ERR_NONE || entry->err.code == ERR_NOT_FOUND;
	entry->fetched_at_ns = definite ? loop_now_ns(entry->cache->loop) : 0;
	if (definite || !entry->object) {
		api_object_unref(entry->object);
		entry->object = object;
	} else {
		entry->err = ERR_INIT; // the apiserver is away: what is known serves on
	}
	struct waiter *waiter;
	list_for_each (waiter, &entry->waiters, node) {
		list_remove(&waiter->node);
		give(entry, waiter->reference, waiter->op);
		if (--waiter->op->waiting == 0)
			loop_post(entry->cache->loop, &waiter->op->finish_task, on_finish);
		free(waiter);
	}
}

static struct entry *entry_get(struct object_cache *cache, const char *namespace_name,
                               const struct object_reference *reference)
{
	AUTO_FREE char *key = xasprintf("%s/%s/%s", kinds[reference->kind].plural, namespace_name, reference->name);
	struct entry *entry = hashmap_get(cache->entries, key);
	if (!entry) {
		entry = NEW(struct entry);
		*entry = (struct entry){.cache = cache, .kind = reference->kind, .name = xstrdup(reference->name)};
		list_init(&entry->waiters);
		hashmap_put(cache->entries, key, entry);
	}
	entry->used_at_ns = loop_now_ns(cache->loop);
	return entry;
}

static void ask(struct entry *entry, const char *namespace_name, const char *name)
{
	if (entry->call)
		return;
	struct rest_request request = {
	        .method = "GET",
	        .resource = schema_find_resource("", "v1", kinds[entry->kind].plural),
	        .namespace_name = namespace_name,
	        .name = name,
	};
	entry->call = rest_start(entry->cache->client, &request, on_answer, entry);
}

static void forget_unused(struct object_cache *cache)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	int64_t now_ns = loop_now_ns(cache->loop);
	while (hashmap_next(cache->entries, &cursor)) {
		struct entry *entry = cursor.value;
		if (!entry->call && now_ns - entry->used_at_ns > FORGET_NS)
			hashmap_remove(cache->entries, cursor.key);
	}
}

void object_bundle_fetch(struct object_cache *cache, struct object_bundle *bundle, int64_t max_age_ns,
                         void (*done)(void *context, const struct err *err), void *context)
{
	struct fetch_op *op = NEW(struct fetch_op);
	*op = (struct fetch_op){.done = done, .context = context};
	forget_unused(cache);
	for (size_t index = 0; index < bundle->count; index++) {
		struct object_reference *reference = &bundle->items[index];
		if (!cache->client) {
			if (op->err.code == ERR_NONE && !reference->optional)
				(void)err_set(&op->err, ERR_UNAVAILABLE, "%s \"%s\" can't be had without an API server",
				              kinds[reference->kind].singular, reference->name);
			continue;
		}
		struct entry *entry = entry_get(cache, bundle->namespace_name, reference);
		bool young = entry->fetched_at_ns && loop_now_ns(cache->loop) - entry->fetched_at_ns <= max_age_ns;
		if (young && entry->err.code == ERR_NONE) {
			give(entry, reference, op);
			continue;
		}
		struct waiter *waiter = NEW(struct waiter);
		*waiter = (struct waiter){.op = op, .reference = reference};
		list_init(&waiter->node);
		list_append(&entry->waiters, &waiter->node);
		op->waiting++;
		ask(entry, bundle->namespace_name, reference->name);
	}
	if (!op->waiting)
		loop_post(cache->loop, &op->finish_task, on_finish);
}
