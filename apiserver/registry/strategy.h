// SPDX-License-Identifier: Apache-2.0
#pragma once
// What create and update do to an object of a kind beyond the generic rules:
// one row for each kind that needs any.

#include "apiserver/registry/change.h"
#include "apiserver/validation/validation.h"

struct strategy {
	const char *group;
	const char *plural;
	// Dotted members of the object whose change counts a generation, besides
	// "spec"; NULL-terminated. NULL: "spec" alone, where the kind has generations.
	const char *const *generation_members;
	// After the generic part (status cleared or kept).
	void (*prepare_create)(struct change *change);
	void (*prepare_update)(struct change *change);
	bool keeps_status_on_create;
	bool returns_deleted_object; // the answer to a final delete
	bool orphans_by_default;     // a delete without a propagation policy
};

// Never NULL.
const struct strategy *strategy_find(const struct schema_resource *resource);

// Server-owned parts of the object, in place.
void strategy_prepare_create(struct change *change);
void strategy_prepare_update(struct change *change);

// True when what this update leaves is an object that was only waiting for its finalizers.
bool strategy_should_delete(const struct change *change);
