// SPDX-License-Identifier: Apache-2.0
#pragma once
// Objects of definitions that convert by webhook, in the version that is asked for.
// Reading looks like storage's own: what storage holds in another version is converted
// on the way, many objects in one call, and kept for the next reader. For all other
// resources these are storage's functions.

#include "apiserver/storage/storage.h"

struct conversion_cache;
struct definition_version;
struct server;

// As storage_get and storage_list; objects come in the version of read->resource, with its
// selectable fields. ERR_INTERNAL: the webhook failed, in upstream's words.
void conversion_get(struct server *server, const struct storage_read *read, struct loop *loop,
                    void (*done)(void *context, struct stored_object *object, int64_t revision, const struct err *err),
                    void *context);
void conversion_list(struct server *server, const struct storage_read *read, struct loop *loop,
                     void (*done)(void *context, const struct storage_list *list, const struct err *err),
                     void *context);

// Converts stored objects. `converted` is in their order, borrowed for the call, NULL on failure.
// `resource` and the objects stay the caller's, until then.
void conversion_start(struct server *server, const struct schema_resource *resource,
                      struct stored_object *const *objects, size_t count, struct loop *loop,
                      void (*done)(void *context, struct stored_object *const *converted, const struct err *err),
                      void *context);

// Converts one tree to the version that its definition stores, for a write. The result lives in `arena`, which
// nobody else uses meanwhile.
void conversion_to_storage(struct server *server, const struct schema_resource *resource, struct arena *arena,
                           struct json *object, struct loop *loop,
                           void (*done)(void *context, struct json *converted, const struct err *err), void *context);

// What was converted lately, of one version. Accept NULL.
struct conversion_cache *conversion_cache_new(const struct schema_resource *resource);
struct conversion_cache *conversion_cache_free(struct conversion_cache *cache);
