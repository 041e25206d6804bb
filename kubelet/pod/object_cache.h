// SPDX-License-Identifier: Apache-2.0
#pragma once
// ConfigMaps and Secrets that pods refer to: fetched when they are needed, kept while
// they are young, several askers sharing one request.

#include "common/base/err.h"
#include "common/client/informer.h"

struct rest_client;
struct loop;
struct object_cache;

enum object_cache_kind {
	OBJECT_CONFIG_MAP,
	OBJECT_SECRET,
	OBJECT_CACHE_KIND_COUNT_,
};

// `client` may be NULL: everything is then unavailable.
struct object_cache *object_cache_new(struct loop *loop, struct rest_client *client);
struct object_cache *object_cache_free(struct object_cache *cache);

// Objects needed together, e.g. for a container's environment.
struct object_reference {
	enum object_cache_kind kind;
	const char *name;
	bool optional;
	struct api_object *object; // set when done; NULL: not found
};

struct object_bundle {
	struct arena *arena;
	const char *namespace_name;
	struct object_reference *items;
	size_t count;
};

struct object_bundle *object_bundle_new(const char *namespace_name);
struct object_bundle *object_bundle_free(struct object_bundle *bundle);
void object_bundle_add(struct object_bundle *bundle, enum object_cache_kind kind, const char *name, bool optional);
// NULL: not asked for, or not there.
const struct api_object *object_bundle_get(const struct object_bundle *bundle, enum object_cache_kind kind,
                                           const char *name);

// Fetches all that are older than `max_age_ns`. `err` is given when one that isn't optional could not be had
// ("configmap \"x\" not found"). done comes exactly once, never from inside; the bundle stays the caller's and must
// live until then.
void object_bundle_fetch(struct object_cache *cache, struct object_bundle *bundle, int64_t max_age_ns,
                         void (*done)(void *context, const struct err *err), void *context);
