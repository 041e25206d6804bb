// SPDX-License-Identifier: Apache-2.0
//
// Unification. Type variables are bound as types are compared; every binding is noted on
// a trail with what it replaced, so that a trial can be undone. A variable that meets a
// more general type is bound anew; it never comes to stand within itself.
#include <string.h>

#include "common/cel/checker_internal.h"

// --- variables --------------------------------------------------------------------

enum { FIRST_VARIABLE = 2 }; // after the parameters of signatures

const struct cel_type *checker_new_variable(struct checker *checker)
{
	if (checker->bound_count == checker->bound_capacity) {
		size_t old = checker->bound_capacity, capacity = old ? old * 2 : 16;
		checker->bound = arena_realloc(checker->arena, checker->bound, old * sizeof(checker->bound[0]),
		                               capacity * sizeof(checker->bound[0]));
		checker->bound_capacity = capacity;
	}
	struct cel_type *type = cel_type_make(checker->arena, CEL_TYPE_PARAM, "", NULL, NULL);
	type->index = (unsigned)checker->bound_count + FIRST_VARIABLE;
	type->name = arena_printf(checker->arena, "_var%zu", checker->bound_count);
	checker->bound[checker->bound_count++] = NULL;
	return type;
}

static void bind(struct checker *checker, const struct cel_type *variable, const struct cel_type *type)
{
	uint32_t number = variable->index - FIRST_VARIABLE;
	if (checker->trail_count == checker->trail_capacity) {
		size_t old = checker->trail_capacity, capacity = old ? old * 2 : 32;
		checker->trail = arena_realloc(checker->arena, checker->trail, old * sizeof(checker->trail[0]),
		                               capacity * sizeof(checker->trail[0]));
		checker->old = arena_realloc(checker->arena, checker->old, old * sizeof(checker->old[0]),
		                             capacity * sizeof(checker->old[0]));
		checker->trail_capacity = capacity;
	}
	checker->trail[checker->trail_count] = number;
	checker->old[checker->trail_count++] = checker->bound[number];
	checker->bound[number] = type;
}

void checker_undo(struct checker *checker, size_t mark)
{
	while (checker->trail_count > mark) {
		checker->trail_count--;
		checker->bound[checker->trail[checker->trail_count]] = checker->old[checker->trail_count];
	}
}

static const struct cel_type *binding_of(const struct checker *checker, const struct cel_type *type)
{
	return type->kind == CEL_TYPE_PARAM ? checker->bound[type->index - FIRST_VARIABLE] : NULL;
}

// With all bound variables replaced; free ones become dyn when `to_dyn`.
const struct cel_type *checker_substitute(struct checker *checker, const struct cel_type *type, bool to_dyn)
{
	const struct cel_type *params[2] = {NULL, NULL};
	bool changed = false;
	while (type->kind == CEL_TYPE_PARAM) {
		const struct cel_type *bound = binding_of(checker, type);
		if (!bound)
			return to_dyn ? &cel_type_dyn : type;
		type = bound;
	}
	for (unsigned i = 0; i < type->param_count; i++) {
		params[i] = checker_substitute(checker, type->params[i], to_dyn);
		changed |= params[i] != type->params[i];
	}
	if (!changed)
		return type;
	struct cel_type *copy = ARENA_NEW(checker->arena, struct cel_type);
	*copy = *type;
	copy->params[0] = params[0];
	copy->params[1] = params[1];
	return copy;
}

// A signature's type with its parameters replaced by fresh variables.
const struct cel_type *checker_instantiate(struct checker *checker, const struct cel_type *type,
                                           const struct cel_type *fresh[2])
{
	if (type->kind == CEL_TYPE_PARAM) {
		if (!fresh[type->index])
			fresh[type->index] = checker_new_variable(checker);
		return fresh[type->index];
	}
	if (type->param_count == 0)
		return type;
	struct cel_type *copy = ARENA_NEW(checker->arena, struct cel_type);
	*copy = *type;
	for (unsigned i = 0; i < type->param_count; i++)
		copy->params[i] = checker_instantiate(checker, type->params[i], fresh);
	return copy;
}

// --- assignability --------------------------------------------------------------------------

static bool occurs_in(const struct checker *checker, const struct cel_type *variable, const struct cel_type *type)
{
	if (cel_type_equal(variable, type))
		return true;
	const struct cel_type *bound = binding_of(checker, type);
	if (bound)
		return occurs_in(checker, variable, bound);
	for (unsigned i = 0; i < type->param_count; i++)
		if (occurs_in(checker, variable, type->params[i]))
			return true;
	return false;
}

static bool less_specific(const struct cel_type *a, const struct cel_type *b)
{
	if (a->kind == CEL_TYPE_DYN || a->kind == CEL_TYPE_PARAM)
		return true;
	if (b->kind == CEL_TYPE_DYN || b->kind == CEL_TYPE_PARAM || a->kind != b->kind)
		return false;
	if (a->kind == CEL_TYPE_TYPE)
		return true;
	if (a->param_count == 0 || a->param_count != b->param_count || strcmp(a->name, b->name) != 0)
		return cel_type_equal(a, b);
	for (unsigned i = 0; i < a->param_count; i++)
		if (!less_specific(a->params[i], b->params[i]))
			return false;
	return true;
}

const struct cel_type *checker_most_general(const struct cel_type *a, const struct cel_type *b)
{
	return less_specific(a, b) ? a : b;
}

// Whether the variable can stand for `type`, which binds it. *ret_known: it was bound before.
static bool bind_or_agree(struct checker *checker, const struct cel_type *type, const struct cel_type *variable,
                          bool *ret_known)
{
	*ret_known = true;
	if (cel_type_equal(type, variable))
		return true;
	const struct cel_type *bound = binding_of(checker, variable);
	if (!bound) {
		*ret_known = false;
		if (occurs_in(checker, variable, type))
			return false;
		bind(checker, variable, type);
		return true;
	}
	if (cel_type_equal(type, bound))
		return true;
	if (!checker_assignable(checker, type, bound))
		return false;
	const struct cel_type *general = checker_most_general(type, bound);
	if (!occurs_in(checker, variable, general))
		bind(checker, variable, general);
	return true;
}

static bool takes_null(const struct cel_type *type)
{
	return type->kind == CEL_TYPE_NULL || type->kind == CEL_TYPE_OBJECT || type->kind == CEL_TYPE_OPAQUE ||
	       type->kind == CEL_TYPE_TIMESTAMP || type->kind == CEL_TYPE_DURATION;
}

static bool assignable_params(struct checker *checker, const struct cel_type *from, const struct cel_type *to)
{
	if (from->param_count != to->param_count)
		return false;
	for (unsigned i = 0; i < from->param_count; i++)
		if (!checker_assignable(checker, from->params[i], to->params[i]))
			return false;
	return true;
}

bool checker_assignable(struct checker *checker, const struct cel_type *from, const struct cel_type *to)
{
	bool known;
	if (to->kind == CEL_TYPE_PARAM) {
		if (bind_or_agree(checker, from, to, &known))
			return true;
		if (known)
			return false;
	}
	if (from->kind == CEL_TYPE_PARAM)
		return bind_or_agree(checker, to, from, &known);
	if (cel_type_is_dyn(from) || cel_type_is_dyn(to))
		return true;
	if (from->kind == CEL_TYPE_NULL)
		return takes_null(to);
	if (to->kind == CEL_TYPE_NULL)
		return takes_null(from);
	if (from->kind != to->kind)
		return false;
	switch (from->kind) {
	case CEL_TYPE_OBJECT:
		return strcmp(from->name, to->name) == 0;
	case CEL_TYPE_OPAQUE:
		return strcmp(from->name, to->name) == 0 && assignable_params(checker, from, to);
	case CEL_TYPE_LIST:
	case CEL_TYPE_MAP:
		return assignable_params(checker, from, to);
	default:
		return true;
	}
}

bool checker_try_assign(struct checker *checker, const struct cel_type *from, const struct cel_type *to)
{
	size_t mark = checker->trail_count;
	if (checker_assignable(checker, from, to))
		return true;
	checker_undo(checker, mark);
	return false;
}
