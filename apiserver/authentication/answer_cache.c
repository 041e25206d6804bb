// SPDX-License-Identifier: Apache-2.0
// Keys are kept as their SHA-256 alone: tokens don't stay in memory. A full cache
// loses what is too old, and all of it when that isn't enough.

#include "apiserver/authentication/answer_cache.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

struct answer {
	int64_t until_ns;
	char text[];
};

struct answer_cache {
	pthread_mutex_t mutex;
	struct hashmap *answers;
	size_t max_entries;
};

static void hash(const char *key, size_t length, char out[2 * EVP_MAX_MD_SIZE + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_length = 0;

	EVP_Digest(key, length, digest, &digest_length, EVP_sha256(), NULL);
	hex_encode(out, digest, digest_length);
}

struct answer_cache *answer_cache_new(size_t max_entries)
{
	struct answer_cache *cache = NEW(struct answer_cache);

	pthread_mutex_init(&cache->mutex, NULL);
	cache->answers = hashmap_new(free);
	cache->max_entries = max_entries;
	return cache;
}

struct answer_cache *answer_cache_free(struct answer_cache *cache)
{
	if (!cache)
		return NULL;
	hashmap_free(cache->answers);
	pthread_mutex_destroy(&cache->mutex);
	free(cache);
	return NULL;
}

char *answer_cache_get(struct answer_cache *cache, struct arena *arena, const char *key, size_t key_length,
                       int64_t now_ns)
{
	char name[2 * EVP_MAX_MD_SIZE + 1], *text = NULL;
	const struct answer *answer;

	hash(key, key_length, name);
	pthread_mutex_lock(&cache->mutex);
	answer = hashmap_get(cache->answers, name);
	if (answer && answer->until_ns > now_ns)
		text = arena_strdup(arena, answer->text);
	pthread_mutex_unlock(&cache->mutex);
	return text;
}

static void make_room(struct answer_cache *cache, int64_t now_ns)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;

	while (hashmap_next(cache->answers, &cursor))
		if (((const struct answer *)cursor.value)->until_ns <= now_ns)
			hashmap_remove(cache->answers, cursor.key);
	if (hashmap_count(cache->answers) >= cache->max_entries)
		hashmap_clear(cache->answers);
}

void answer_cache_put(struct answer_cache *cache, const char *key, size_t key_length, const char *text,
                      int64_t until_ns)
{
	char name[2 * EVP_MAX_MD_SIZE + 1];
	size_t length = strlen(text);
	struct answer *answer = xmalloc(sizeof(*answer) + length + 1);

	answer->until_ns = until_ns;
	memcpy(answer->text, text, length + 1);
	hash(key, key_length, name);
	pthread_mutex_lock(&cache->mutex);
	if (hashmap_count(cache->answers) >= cache->max_entries)
		make_room(cache, until_ns);
	hashmap_put(cache->answers, name, answer);
	pthread_mutex_unlock(&cache->mutex);
}
