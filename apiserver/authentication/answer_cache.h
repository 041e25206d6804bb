// SPDX-License-Identifier: Apache-2.0
#pragma once
// What others have answered, kept for a while by a key's hash. Any thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct answer_cache;

struct answer_cache *answer_cache_new(size_t max_entries);
struct answer_cache *answer_cache_free(struct answer_cache *cache);

// The text in the arena; NULL: none, or too old at `now_ns`.
char *answer_cache_get(struct answer_cache *cache, struct arena *arena, const char *key, size_t key_length,
                       int64_t now_ns);
void answer_cache_put(struct answer_cache *cache, const char *key, size_t key_length, const char *text,
                      int64_t until_ns);
