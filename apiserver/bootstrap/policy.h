// SPDX-License-Identifier: Apache-2.0
#pragma once
// The roles and bindings of rbac.policy as objects.

#include "apiserver/authorization/rbac.h"

struct policy_row;

struct policy_object {
	enum rbac_kind kind;
	const char *namespace_name; // "" for cluster scope
	const char *name;
	const struct policy_row *rows; // the object's own and those of what it holds
	size_t row_count;
};

// The object at `*cursor` (0 at first), which moves on; false past the end. In the order of their kinds:
// cluster roles, roles, cluster bindings, bindings.
bool policy_next(size_t *cursor, struct policy_object *ret_object);

// As it is made: metadata with label and annotation, rules or subjects.
struct json *policy_to_json(struct arena *arena, const struct policy_object *object);

// The rules of a cluster role of the policy.
void policy_rules(struct arena *arena, const char *role, struct rbac_rules *ret_rules);

// The resource that objects of this kind are stored as.
const struct schema_resource *policy_resource(enum rbac_kind kind);
