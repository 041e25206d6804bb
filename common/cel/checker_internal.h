// SPDX-License-Identifier: Apache-2.0
#pragma once
// The checker's state, and types with variables (checker_types.c).

#include "common/cel/env.h"

struct scope {
	const struct scope *outer;
	const char *name;
	const struct cel_type *type;
};

struct checker {
	struct cel_env *env;
	struct arena *arena;
	struct cel_issues *issues;
	const struct scope *scope;
	const struct cel_type **bound; // by number of the type variable; NULL = free
	size_t bound_count, bound_capacity;
	uint32_t *trail; // variables that were bound, with their old values beside
	const struct cel_type **old;
	size_t trail_count, trail_capacity;
	bool in_format;
	struct cel_expr **seen; // every node, to settle its type at the end
	size_t seen_count, seen_capacity;
};

// A type that isn't known yet.
const struct cel_type *checker_new_variable(struct checker *checker);
// With all bound variables replaced; free ones become dyn when `to_dyn`.
const struct cel_type *checker_substitute(struct checker *checker, const struct cel_type *type, bool to_dyn);
// A signature's type with its parameters replaced by variables, made in `fresh` when first met.
const struct cel_type *checker_instantiate(struct checker *checker, const struct cel_type *type,
                                           const struct cel_type *fresh[2]);
// Whether a value of one type may stand where another is wanted. What fails leaves bindings behind: see
// checker_undo, or use checker_try_assign.
bool checker_assignable(struct checker *checker, const struct cel_type *from, const struct cel_type *to);
bool checker_try_assign(struct checker *checker, const struct cel_type *from, const struct cel_type *to);
// Back to what was bound when the trail had `mark` entries.
void checker_undo(struct checker *checker, size_t mark);
// Of two types that agree, the one that says less.
const struct cel_type *checker_most_general(const struct cel_type *a, const struct cel_type *b);
