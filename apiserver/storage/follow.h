// SPDX-License-Identifier: Apache-2.0
#pragma once
// Following a resource inside the apiserver: all its objects once, then each
// change, and all of them again whenever events may have been missed. For what
// keeps an index or a compiled form of objects: roles, webhooks, policies,
// priority levels.

#include "apiserver/storage/storage.h"

struct follow;

struct follow_config {
	struct storage *storage;
	const struct schema_resource *resource; // outlives the following
	struct loop *loop;                      // calls come on it, never from inside follow_start
	// What there is now; whatever was known before is void. Objects are borrowed for the call.
	void (*all)(void *context, struct stored_object *const *objects, size_t count);
	// One change after that (put or deleted), borrowed for the call.
	void (*changed)(void *context, const struct storage_event *event);
	void *context;
};

struct follow *follow_start(const struct follow_config *config);
// On the loop. No call comes afterwards. Returns NULL.
struct follow *follow_stop(struct follow *follow);
