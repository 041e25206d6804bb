// SPDX-License-Identifier: Apache-2.0
#pragma once
// A change on its way to storage: the object that is wanted and the one that is
// stored. Admission, strategies and validation all work on it. Pure: what they
// need of other objects they read from the watch cache's present state.

#include <stdbool.h>

#include "apiserver/request.h"
#include "common/api/json.h"

struct change {
	struct request *request;
	struct server *server;
	struct arena *arena;
	const struct schema_resource *resource;
	const char *subresource; // "" = the object itself
	struct json *object;     // wanted
	const struct json *old;  // stored, NULL on create
	const char *name;
	const char *namespace_name;  // "" for cluster scope
	bool fields_are_managed;     // its managedFields are settled: it was applied
	bool awaits_service_account; // its pod's account isn't in the cache yet
	struct json *options;        // what a CONNECT asks for, as its options object; NULL for others
};

static inline bool change_is_create(const struct change *change)
{
	return !change->old;
}

// True for this kind, as "pods" of group "".
bool change_is_for(const struct change *change, const char *group, const char *plural);
