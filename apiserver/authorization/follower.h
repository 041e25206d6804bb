// SPDX-License-Identifier: Apache-2.0
#pragma once
// Follows one resource in storage: a list, then its changes, for ever; a watch
// that falls behind is followed by a new list. For indexes that are kept up to
// date beside the watch cache (RBAC, the node graph).

#include "apiserver/storage/storage.h"
#include "common/api/json.h"
#include "common/io/loop.h"

struct follower_type {
	const char *group;
	const char *version;
	const char *plural;
	// Each object as it is now. `tree` is in the arena of the call.
	void (*put)(void *context, const struct stored_object *object, const struct json *tree);
	void (*removed)(void *context, const struct stored_object *object);
	// Everything before and after a (new) list: what is not put in between is gone.
	void (*begin)(void *context);
	void (*end)(void *context);
};

struct follower {
	const struct follower_type *type;
	const struct schema_resource *resource;
	struct storage *storage;
	struct loop *loop;
	struct storage_watch *watch;
	struct loop_timer retry;
	void *context;
	struct follower_call *call; // storage owes us a list
	struct arena *arena;        // of one object
};

// On the loop's thread. A resource that isn't served counts as listed and empty.
void follower_start(struct follower *follower, const struct follower_type *type, struct storage *storage,
                    struct loop *loop, void *context);
void follower_stop(struct follower *follower);
