// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a command works on: a named object or a collection, perhaps with the
// object itself, read from a file or from the server.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/arena.h"

struct target {
	const struct schema_resource *resource;
	const char *namespace_name; // NULL: cluster scope, or a collection of all namespaces
	const char *name;           // NULL = the collection, or an object whose name the server makes
	struct json *object;        // NULL = not read yet
	const char *source;         // "STDIN" or a path; NULL = the command line
};

struct target_list {
	struct target *items; // in the arena
	size_t count;
	size_t capacity;
};

void target_list_add(struct arena *arena, struct target_list *list, const struct target *target);
