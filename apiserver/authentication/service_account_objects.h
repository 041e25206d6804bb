// SPDX-License-Identifier: Apache-2.0
#pragma once
// The objects that a token is bound to, as they are now.

#include "apiserver/storage/storage.h"
#include "common/api/json.h"

struct loop;

enum {
	BOUND_ACCOUNT,
	BOUND_POD,
	BOUND_SECRET,
	BOUND_NODE,
	BOUND_COUNT,
};

// Finds them in the cache; what isn't there is asked for consistently, once, since a token may be younger than the
// cache's present state.
struct bound_objects {
	struct storage *storage;
	struct loop *loop;
	struct arena *arena;
	struct {
		const char *namespace_name;
		const char *name;        // NULL: not wanted
		const struct json *tree; // NULL: not there
	} items[BOUND_COUNT];
	void (*done)(void *context); // of bound_objects_ask
	void *context;
	size_t next;
	bool failed; // storage didn't answer
};

const struct schema_resource *bound_object_resource(int which);
// From the cache, at once. True: all that is wanted is there.
bool bound_objects_peek(struct bound_objects *objects);
// Asks for what is missing; `done` on the loop, never from within the call unless nothing is missing.
void bound_objects_ask(struct bound_objects *objects);
