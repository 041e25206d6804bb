// SPDX-License-Identifier: Apache-2.0
//
// What this apiserver has just written comes back by etcd's watch. Both the answer
// and the cache want the same stored object, so it is made once:
//
//   put under way ──etcd's answer──> answered ──its event──> gone
//        └─────────its event───────> seen ──etcd's answer──> gone
//
// The object is parsed before it is sent, on the writer's loop, as of revision 0;
// whoever comes first has it made with the real revision, the second takes it. An
// event belongs to a put when cache, key and every byte of the value are the same:
// then parsing it would have given the same object, whoever wrote it.
//
// A put whose event never comes (the watch was lost, then everything is listed)
// falls out behind newer ones. All on the storage thread.
#include "apiserver/storage/storage_internal.h"

#include <string.h>

#include "apiserver/storage/storage_object.h"
#include "common/base/memory.h"

#define WRITTEN_MAX 1024

struct written {
	struct list node; // the oldest first
	struct storage *storage;
	char *key;
	struct watch_cache *cache;
	struct blob *value;
	struct stored_object *draft; // as of revision 0
	struct stored_object *object;
	bool answered;
	bool seen;
};

static void forget(struct written *written)
{
	struct writes *writes = &written->storage->writes;
	(void)hashmap_remove(writes->written, written->key);
	list_remove(&written->node);
	writes->written_count--;
	watch_cache_unref(written->cache);
	blob_unref(written->value);
	stored_object_unref(written->draft);
	stored_object_unref(written->object);
	free(written->key);
	free(written);
}

static struct stored_object *take_object(struct written *written, int64_t revision)
{
	if (!written->object || written->object->revision != revision) {
		stored_object_unref(written->object);
		written->object = storage_object_with_revision(written->draft, revision);
	}
	return stored_object_ref(written->object);
}

void written_add(struct storage *storage, const char *key, struct watch_cache *cache, struct blob *value,
                 struct stored_object *draft)
{
	struct writes *writes = &storage->writes;
	if (hashmap_get(writes->written, key))
		return; // another put of the same key is under way: each makes its own
	if (writes->written_count == WRITTEN_MAX)
		forget(list_first(&writes->written_list, struct written, node));
	struct written *written = NEW(struct written);
	*written = (struct written){
	        .storage = storage,
	        .key = xstrdup(key),
	        .cache = watch_cache_ref(cache),
	        .value = blob_ref(value),
	        .draft = stored_object_ref(draft),
	};
	list_append(&writes->written_list, &written->node);
	writes->written_count++;
	(void)hashmap_put(writes->written, key, written);
}

struct stored_object *written_answer(struct storage *storage, const char *key, const struct blob *value,
                                     struct stored_object *draft, int64_t revision)
{
	struct written *written = hashmap_get(storage->writes.written, key);
	if (!written || written->value != value)
		return storage_object_with_revision(draft, revision);
	struct stored_object *object = take_object(written, revision);
	written->answered = true;
	if (written->seen)
		forget(written);
	return object;
}

void written_fail(struct storage *storage, const char *key, const struct blob *value)
{
	struct written *written = hashmap_get(storage->writes.written, key);
	if (written && written->value == value)
		forget(written);
}

struct stored_object *written_event(struct storage *storage, const struct watch_cache *cache, struct etcd_bytes key,
                                    struct etcd_bytes value, int64_t revision)
{
	struct written *written = hashmap_get_n(storage->writes.written, key.data, key.length);
	if (!written || written->cache != cache || written->value->length != value.length ||
	    memcmp(written->value->data, value.data, value.length) != 0)
		return NULL;
	struct stored_object *object = take_object(written, revision);
	written->seen = true;
	if (written->answered)
		forget(written);
	return object;
}

void written_init(struct storage *storage)
{
	storage->writes.written = hashmap_new(NULL);
	list_init(&storage->writes.written_list);
}

void written_done(struct storage *storage)
{
	struct written *written;
	while ((written = list_first(&storage->writes.written_list, struct written, node)))
		forget(written);
	hashmap_free(storage->writes.written);
}
