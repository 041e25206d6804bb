// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an environment holds, for the checker and the planner.

#include <stdatomic.h>

#include "common/cel/library.h"

struct cel_variable {
	const char *name;
	const struct cel_type *type;
};

struct cel_env {
	atomic_uint references;
	struct arena *arena;
	enum cel_version version;
	bool mutation;
	bool heterogeneous;
	const char *container;
	struct cel_variable *variables;
	size_t variable_count, variable_capacity;
	const struct cel_type **objects; // by name, for messages and type values
	size_t object_count, object_capacity;
};

// -1 = none. Resolved in the container unless `absolute`.
int cel_env_find_variable(const struct cel_env *env, const char *name, bool absolute);
// The type that a name stands for ("int", "list", "JSONPatch"), NULL = none.
const struct cel_type *cel_env_find_type(struct cel_env *env, struct arena *arena, const char *name);
// The first overload that this environment has; NULL = no such function.
const struct cel_overload *cel_env_find_function(const struct cel_env *env, const char *name);
// The next of the chain that it has.
const struct cel_overload *cel_env_next_overload(const struct cel_env *env, const struct cel_overload *overload);
void cel_env_add_object(struct cel_env *env, const struct cel_type *object);

// Types of every node; the result is the expression's. Mistakes go to `issues`.
const struct cel_type *cel_check(struct cel_env *env, struct arena *arena, struct cel_issues *issues,
                                 struct cel_expr *root);
// Costs before any run; `nodes` = number of nodes of the tree.
void cel_estimate(const struct cel_env *env, const struct cel_expr *root, uint32_t nodes, uint64_t *ret_minimum,
                  uint64_t *ret_maximum);
