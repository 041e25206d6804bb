// SPDX-License-Identifier: Apache-2.0
// One queue under one mutex, held for a few instructions at a time.
//
// An object's slot is emptied in two ways: by the queue's bound while the object
// lives, and by the object's end. The end looks at the slot without the lock
// first, since most objects have no second encoding. Therefore dropping an
// encoding empties the slot last, as its final touch of the object.

#include "apiserver/encoding/encoding_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/list.h"
#include "common/base/memory.h"

struct encoding {
	struct list node; // in the queue, the oldest first
	struct encoding_slot *slot;
	struct blob *blob;
};

static struct {
	pthread_mutex_t lock;
	struct list queue;
	size_t bytes;
	size_t limit_bytes;
} cache = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .queue = LIST_INIT(cache.queue),
        .limit_bytes = 64 << 20,
};

// With the lock held.
static void drop(struct encoding *encoding)
{
	struct encoding_slot *slot = encoding->slot;

	list_remove(&encoding->node);
	cache.bytes -= encoding->blob->length;
	blob_unref(encoding->blob);
	free(encoding);
	atomic_store_explicit(&slot->encoding, NULL, memory_order_release);
}

static void trim(void)
{
	while (cache.bytes > cache.limit_bytes)
		drop(list_first(&cache.queue, struct encoding, node));
}

struct blob *encoding_slot_get(struct encoding_slot *slot)
{
	struct encoding *encoding;
	struct blob *blob = NULL;

	if (!atomic_load_explicit(&slot->encoding, memory_order_relaxed))
		return NULL;
	pthread_mutex_lock(&cache.lock);
	encoding = atomic_load_explicit(&slot->encoding, memory_order_relaxed);
	if (encoding)
		blob = blob_ref(encoding->blob);
	pthread_mutex_unlock(&cache.lock);
	return blob;
}

void encoding_slot_put(struct encoding_slot *slot, struct blob *blob)
{
	pthread_mutex_lock(&cache.lock);
	if (!atomic_load_explicit(&slot->encoding, memory_order_relaxed) && blob->length <= cache.limit_bytes) {
		struct encoding *encoding = NEW(struct encoding);

		encoding->slot = slot;
		encoding->blob = blob_ref(blob);
		list_append(&cache.queue, &encoding->node);
		cache.bytes += blob->length;
		atomic_store_explicit(&slot->encoding, encoding, memory_order_release);
		trim();
	}
	pthread_mutex_unlock(&cache.lock);
}

void encoding_slot_done(struct encoding_slot *slot)
{
	struct encoding *encoding;

	if (!atomic_load_explicit(&slot->encoding, memory_order_acquire))
		return;
	pthread_mutex_lock(&cache.lock);
	encoding = atomic_load_explicit(&slot->encoding, memory_order_relaxed);
	if (encoding)
		drop(encoding);
	pthread_mutex_unlock(&cache.lock);
}

void encoding_cache_set_limit(size_t limit_bytes)
{
	pthread_mutex_lock(&cache.lock);
	cache.limit_bytes = limit_bytes;
	trim();
	pthread_mutex_unlock(&cache.lock);
}

size_t encoding_cache_bytes(void)
{
	size_t bytes;

	pthread_mutex_lock(&cache.lock);
	bytes = cache.bytes;
	pthread_mutex_unlock(&cache.lock);
	return bytes;
}
