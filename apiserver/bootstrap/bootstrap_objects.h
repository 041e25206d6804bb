// SPDX-License-Identifier: Apache-2.0
#pragma once
// The fixed objects of a cluster, in the order in which they are made.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/base/arena.h"
#include "common/base/blob.h"

struct schema_resource;
struct server;

struct bootstrap_object {
	const struct schema_resource *resource;
	const char *namespace_name;
	const char *name;
	struct blob *json; // the caller's reference
};

// The object at `index` (its texts in the arena); false past the end.
bool bootstrap_object_at(struct server *server, struct arena *arena, size_t index, int64_t now_realtime_ns,
                         struct bootstrap_object *ret_object);

// A tree as a new object: completed with uid, creation time and defaults.
struct blob *bootstrap_encode_tree(struct arena *arena, const struct schema_resource *resource, struct json *object,
                                   int64_t now_realtime_ns);
// A text of JSON as a new object: completed with uid, creation time and defaults.
struct blob *bootstrap_encode(struct arena *arena, const struct schema_resource *resource, const char *text,
                              int64_t now_realtime_ns);
