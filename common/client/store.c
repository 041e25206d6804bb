// SPDX-License-Identifier: Apache-2.0
// Objects in a hash map; an index is a hash map from index values to arrays of
// borrowed objects. A replaced object that keeps its index values is exchanged in
// place, so that an update costs a look at each index and no more.

#include "common/client/store.h"

#include <assert.h>
#include <string.h>

#include "common/base/hashmap.h"
#include "common/base/memory.h"

enum {
	MAX_INDEX_VALUES = 64,
};

struct bucket {
	struct api_object **items;
	size_t count;
	size_t capacity;
};

struct store_index {
	char *name;
	store_index_function *keys;
	struct hashmap *buckets;
};

struct store {
	struct hashmap *objects;
	struct store_index *indexes;
	size_t index_count;
};

static void free_object(void *value)
{
	api_object_unref(value);
}

static void free_bucket(void *value)
{
	struct bucket *bucket = value;
	free(bucket->items);
	free(bucket);
}

struct store *store_new(void)
{
	struct store *store = NEW(struct store);
	store->objects = hashmap_new(free_object);
	return store;
}

struct store *store_free(struct store *store)
{
	if (!store)
		return NULL;
	for (size_t i = 0; i < store->index_count; i++) {
		hashmap_free(store->indexes[i].buckets);
		free(store->indexes[i].name);
	}
	free(store->indexes);
	hashmap_free(store->objects);
	free(store);
	return NULL;
}

// --- indexes ------------------------------------------------------------------------

static void bucket_add(struct hashmap *buckets, const char *value, struct api_object *object)
{
	struct bucket *bucket = hashmap_get(buckets, value);
	if (!bucket) {
		bucket = NEW(struct bucket);
		hashmap_put(buckets, value, bucket);
	}
	if (bucket->count == bucket->capacity) {
		bucket->capacity = bucket->capacity ? bucket->capacity * 2 : 2;
		bucket->items = xreallocarray(bucket->items, bucket->capacity, sizeof(bucket->items[0]));
	}
	bucket->items[bucket->count++] = object;
}

static struct api_object **bucket_find(struct bucket *bucket, const struct api_object *object)
{
	for (size_t i = 0; bucket && i < bucket->count; i++)
		if (bucket->items[i] == object)
			return &bucket->items[i];
	return NULL;
}

static void bucket_remove(struct hashmap *buckets, const char *value, const struct api_object *object)
{
	struct bucket *bucket = hashmap_get(buckets, value);
	struct api_object **place = bucket_find(bucket, object);
	if (!place)
		return;
	*place = bucket->items[--bucket->count];
	if (bucket->count == 0)
		hashmap_remove(buckets, value);
}

struct value_list {
	struct informer_index_values values;
	const char *room[MAX_INDEX_VALUES];
};

static void values_of(const struct store_index *index, const struct api_object *object, struct value_list *list)
{
	list->values = (struct informer_index_values){.items = list->room, .capacity = MAX_INDEX_VALUES};
	if (object)
		index->keys(object, &list->values);
	assert(list->values.count <= MAX_INDEX_VALUES);
}

static bool same_values(const struct value_list *a, const struct value_list *b)
{
	if (a->values.count != b->values.count)
		return false;
	for (size_t i = 0; i < a->values.count; i++)
		if (strcmp(a->room[i], b->room[i]) != 0)
			return false;
	return true;
}

static void reindex(struct store_index *index, struct api_object *old_object, struct api_object *new_object)
{
	struct value_list before;
	struct value_list after;
	values_of(index, old_object, &before);
	values_of(index, new_object, &after);
	if (old_object && new_object && same_values(&before, &after)) {
		for (size_t i = 0; i < before.values.count; i++) {
			struct api_object **place =
			        bucket_find(hashmap_get(index->buckets, before.room[i]), old_object);
			if (place)
				*place = new_object;
		}
		return;
	}
	for (size_t i = 0; i < before.values.count; i++)
		bucket_remove(index->buckets, before.room[i], old_object);
	for (size_t i = 0; i < after.values.count; i++)
		bucket_add(index->buckets, after.room[i], new_object);
}

static void reindex_all(struct store *store, struct api_object *old_object, struct api_object *new_object)
{
	for (size_t i = 0; i < store->index_count; i++)
		reindex(&store->indexes[i], old_object, new_object);
}

static struct store_index *find_index(const struct store *store, const char *name)
{
	for (size_t i = 0; i < store->index_count; i++)
		if (strcmp(store->indexes[i].name, name) == 0)
			return &store->indexes[i];
	return NULL;
}

void store_add_index(struct store *store, const char *name, store_index_function *keys)
{
	if (find_index(store, name))
		return;
	store->indexes = xreallocarray(store->indexes, store->index_count + 1, sizeof(store->indexes[0]));
	struct store_index *index = &store->indexes[store->index_count++];
	*index = (struct store_index){.name = xstrdup(name), .keys = keys, .buckets = hashmap_new(free_bucket)};
	struct api_object *object;
	for (size_t cursor = 0; (object = store_next(store, &cursor)) != NULL;)
		reindex(index, NULL, object);
}

struct api_object *const *store_by_index(const struct store *store, const char *name, const char *value,
                                         size_t *ret_count)
{
	struct store_index *index = find_index(store, name);
	assert(index);
	struct bucket *bucket = hashmap_get(index->buckets, value);
	*ret_count = bucket ? bucket->count : 0;
	return bucket ? bucket->items : NULL;
}

// --- objects --------------------------------------------------------------------------

struct api_object *store_put(struct store *store, struct api_object *object)
{
	struct api_object *old_object = hashmap_take(store->objects, object->key);
	hashmap_put(store->objects, object->key, api_object_ref(object));
	reindex_all(store, old_object, object);
	return old_object;
}

struct api_object *store_take(struct store *store, const char *key)
{
	struct api_object *object = hashmap_take(store->objects, key);
	if (object)
		reindex_all(store, object, NULL);
	return object;
}

struct api_object *store_get(const struct store *store, const char *key)
{
	return hashmap_get(store->objects, key);
}

size_t store_count(const struct store *store)
{
	return hashmap_count(store->objects);
}

struct api_object *store_next(const struct store *store, size_t *cursor)
{
	struct hashmap_cursor position = {.position = *cursor};
	if (!hashmap_next(store->objects, &position))
		return NULL;
	*cursor = position.position;
	return position.value;
}
