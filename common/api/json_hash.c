// SPDX-License-Identifier: Apache-2.0
//
// Open addressing over member numbers. The hash folds eight bytes at a time
// with a 64 by 64 bit multiplication whose secrets come from the kernel once.
#include "common/api/json_hash.h"

#include <pthread.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"

enum { INDEX_MINIMUM_MEMBERS = 24 };

static uint64_t secrets[2];
static pthread_once_t secrets_once = PTHREAD_ONCE_INIT;

static void make_secrets(void)
{
	random_bytes(secrets, sizeof(secrets));
	secrets[1] |= 1;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t json_key_hash(const char *key, size_t length)
{
	pthread_once(&secrets_once, make_secrets);
	uint64_t hash = secrets[0] ^ length;
	for (; length >= 8; key += 8, length -= 8) {
		uint64_t word;
		memcpy(&word, key, 8);
		hash = fold(hash ^ word, secrets[1]);
		hash += secrets[0];
	}
	uint64_t rest = 0;
	if (length)
		memcpy(&rest, key, length);
	return fold(hash ^ rest, secrets[1] ^ UINT64_C(0x9e3779b97f4a7c15));
}

void json_index_init(struct json_index *index, const struct json *object)
{
	*index = (struct json_index){.object = json_is(object, JSON_OBJECT) ? object : NULL};
	if (!index->object || object->length < INDEX_MINIMUM_MEMBERS)
		return;
	size_t size = 64;
	while (size < (size_t)object->length * 2)
		size *= 2;
	index->mask = size - 1;
	index->slots = xcalloc(size, sizeof(*index->slots));
	for (uint32_t i = 0; i < object->length; i++) {
		size_t slot = json_key_hash(object->members[i].key, object->members[i].key_length) & index->mask;
		while (index->slots[slot])
			slot = (slot + 1) & index->mask;
		index->slots[slot] = i + 1;
	}
}

void json_index_done(struct json_index *index)
{
	free(index->slots);
	*index = (struct json_index){0};
}

static bool key_is(const struct json_member *member, const char *key, size_t key_length)
{
	return member->key_length == key_length && memcmp(member->key, key, key_length) == 0;
}

struct json_member *json_index_find(const struct json_index *index, const char *key, size_t key_length)
{
	if (!index->object)
		return NULL;
	struct json_member *members = index->object->members;
	if (!index->slots) {
		for (uint32_t i = 0; i < index->object->length; i++)
			if (key_is(&members[i], key, key_length))
				return &members[i];
		return NULL;
	}
	size_t slot = json_key_hash(key, key_length) & index->mask;
	for (; index->slots[slot]; slot = (slot + 1) & index->mask)
		if (key_is(&members[index->slots[slot] - 1], key, key_length))
			return &members[index->slots[slot] - 1];
	return NULL;
}

struct json *json_index_get(const struct json_index *index, const char *key, size_t key_length)
{
	struct json_member *member = json_index_find(index, key, key_length);
	return member ? member->value : NULL;
}
