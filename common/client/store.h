// SPDX-License-Identifier: Apache-2.0
#pragma once
// The objects of one informer by key, with any number of named indexes over them.
// One reference is held for each object.

#include <stdbool.h>
#include <stddef.h>

#include "common/client/informer.h"

struct store;

typedef void store_index_function(const struct api_object *object, struct informer_index_values *values);

struct store *store_new(void);
struct store *store_free(struct store *store);

// The index covers what is there already. Adding one under a name that is taken changes nothing.
void store_add_index(struct store *store, const char *name, store_index_function *keys);

// Takes its own reference; returns the object it replaced (the caller's reference now) or NULL.
struct api_object *store_put(struct store *store, struct api_object *object);
// Hands over the object and its reference; NULL = none.
struct api_object *store_take(struct store *store, const char *key);

struct api_object *store_get(const struct store *store, const char *key); // borrowed
size_t store_count(const struct store *store);
struct api_object *store_next(const struct store *store, size_t *cursor); // borrowed; NULL at the end
struct api_object *const *store_by_index(const struct store *store, const char *name, const char *value,
                                         size_t *ret_count);
