// SPDX-License-Identifier: Apache-2.0
#pragma once
// A hash map from strings to pointers. Keys are copied; values are borrowed
// unless a destructor is given. Seeded at random per process, so keys from
// outside cannot be chosen to collide. Not for several threads at once.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/macros.h"

struct hashmap;

// `free_value` (may be NULL) is called with each value that is replaced, removed or dropped.
struct hashmap *hashmap_new(void (*free_value)(void *value));
struct hashmap *hashmap_free(struct hashmap *map);
DEFINE_CLEANUP(struct hashmap *, hashmap_free)

size_t hashmap_count(const struct hashmap *map);

// The value, or NULL for none. The _n forms take keys that are not terminated.
void *hashmap_get(const struct hashmap *map, const char *key);
void *hashmap_get_n(const struct hashmap *map, const char *key, size_t key_length);

// Stores (value must not be NULL), freeing a value it replaces. Returns true when the key was new.
bool hashmap_put(struct hashmap *map, const char *key, void *value);

// Removes and frees the value; false when there was none.
bool hashmap_remove(struct hashmap *map, const char *key);
// Removes and hands the value to the caller; NULL when there was none.
void *hashmap_take(struct hashmap *map, const char *key);

void hashmap_clear(struct hashmap *map);

// Iteration in no particular order; the current entry may be removed, nothing added.
struct hashmap_cursor {
	size_t position;
	const char *key; // borrowed until the entry is removed
	void *value;
};
#define HASHMAP_CURSOR_INIT ((struct hashmap_cursor){0})
bool hashmap_next(const struct hashmap *map, struct hashmap_cursor *cursor);

// FNV-1a, stable over processes: for names that upstream derives from it (pod template hashes).
uint32_t fnv32a(const void *data, size_t length);
uint64_t fnv64a(const void *data, size_t length);
