// SPDX-License-Identifier: Apache-2.0
#pragma once
// Fast look-up of keys in large JSON objects: the hash that the reader finds
// duplicates with, and an index over one object for code that looks up many of
// its keys. Seeded at random per process, so that keys can't be chosen to collide.

#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"

uint64_t json_key_hash(const char *key, size_t length);

// A view of an object's members, valid while the object gains and loses none.
// Objects of few members are searched in place and cost no allocation.
struct json_index {
	const struct json *object; // NULL or not an object: finds nothing
	uint32_t *slots;           // heap; member number + 1, 0 = free; NULL for small objects
	size_t mask;
};

void json_index_init(struct json_index *index, const struct json *object);
void json_index_done(struct json_index *index);
#define AUTO_JSON_INDEX __attribute__((cleanup(json_index_done)))

// The member, or NULL. The value may be exchanged through it.
struct json_member *json_index_find(const struct json_index *index, const char *key, size_t key_length);
struct json *json_index_get(const struct json_index *index, const char *key, size_t key_length);
