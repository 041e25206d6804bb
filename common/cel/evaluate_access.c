// SPDX-License-Identifier: Apache-2.0
//
// Variables, selections and indices. An optional operand makes everything after it
// optional; what isn't there is an error otherwise. The fields of a composition are
// programs that run when they are first asked for.
#include <string.h>

#include "common/cel/evaluate.h"

// --- variables ----------------------------------------------------------------------

static struct cel_value call_binding(struct cel_eval *eval, const struct cel_binding *binding, int variable)
{
	if (!eval->called) {
		eval->called = cel_allocate(eval, eval->binding_count * sizeof(*eval->called));
		if (!eval->called)
			return cel_abort(eval);
		for (size_t i = 0; i < eval->binding_count; i++)
			eval->called[i] = (struct cel_value){.kind = CEL_KIND_COUNT_};
	}
	struct cel_value *known = &eval->called[variable];
	if (known->kind == CEL_KIND_COUNT_) {
		struct cel_error error = {.message = "variable has no value"};
		if (binding->call.get(binding->call.context, eval->run, known, &error))
			*known = cel_fail_text(error.message);
	}
	return *known;
}

static struct cel_value bound_value(struct cel_eval *eval, const struct cel_expr *expr)
{
	int variable = expr->ident.variable;
	const struct cel_binding *binding = (size_t)variable < eval->binding_count ? &eval->bindings[variable] : NULL;
	switch (binding ? binding->kind : CEL_BINDING_ABSENT) {
	case CEL_BINDING_VALUE:
		return binding->value;
	case CEL_BINDING_JSON:
		return cel_from_json(eval, binding->json, cel_type_unwrap(expr->type));
	case CEL_BINDING_CALL:
		return call_binding(eval, binding, variable);
	case CEL_BINDING_COMPOSITION:
		return (struct cel_value){.kind = CEL_OBJECT,
		                          .flags = CEL_FORM_COMPOSITION,
		                          .type = binding->composition->type,
		                          .opaque = binding->composition};
	default:
		return cel_fail(eval, "no such attribute(s): %s", expr->ident.name.text);
	}
}

struct cel_value cel_eval_ident(struct cel_eval *eval, const struct cel_expr *expr)
{
	if (expr->ident.local >= 0)
		return cel_spend(eval, 1, eval->locals[expr->ident.local]);
	if (expr->ident.type_value) // a constant
		return cel_make_type(expr->ident.type_value);
	return cel_spend(eval, 1, bound_value(eval, expr));
}

// --- fields ------------------------------------------------------------------------------

static struct cel_value composed_value(struct cel_eval *eval, struct cel_composition *composition, size_t number)
{
	struct cel_composed_value *composed = &composition->values[number];
	if (!composed->known) {
		struct cel_run *run = eval->run;
		if (run->depth > 64)
			return cel_fail_text("variables refer to each other");
		run->depth++;
		if (cel_eval(composition->programs[number], run, composition->bindings, composition->binding_count,
		             &composed->value, &composed->error))
			composed->value = (struct cel_value){.kind = CEL_ERROR, .text = composed->error.message};
		run->depth--;
		composed->known = true;
	}
	if (composed->value.kind == CEL_ERROR && composed->error.kind == CEL_ERROR_BUDGET) {
		eval->aborted = true;
		eval->abort_kind = CEL_ERROR_BUDGET;
		eval->abort_message = composed->error.message;
	}
	if (composed->value.kind == CEL_ERROR)
		return cel_fail(eval, "composited variable \"%s\" fails to evaluate: %s", composition->names[number],
		                composed->value.text);
	return composed->value;
}

static bool composition_get(struct cel_eval *eval, const struct cel_value *object, const struct cel_text *name,
                            struct cel_value *ret_value)
{
	struct cel_composition *composition = (struct cel_composition *)object->opaque;
	for (size_t i = 0; i < composition->count; i++) {
		if (strlen(composition->names[i]) != name->length ||
		    memcmp(composition->names[i], name->text, name->length) != 0)
			continue;
		*ret_value = composed_value(eval, composition, i);
		return true;
	}
	return false;
}

bool cel_object_get(struct cel_eval *eval, const struct cel_value *object, const struct cel_text *name,
                    const struct cel_field *declared, struct cel_value *ret_value)
{
	if (object->flags == CEL_FORM_COMPOSITION)
		return composition_get(eval, object, name, ret_value);
	if (object->flags == CEL_FORM_MADE) {
		for (uint32_t i = 0; i < object->object->count; i++) {
			const struct cel_text *field = &object->object->names[i];
			if (field->length != name->length || memcmp(field->text, name->text, name->length) != 0)
				continue;
			*ret_value = object->object->values[i];
			return true;
		}
		return false;
	}
	if (!declared)
		declared = cel_type_find_field(object->type, name->text, name->length);
	struct json *member =
	        declared ? cel_json_member(eval, object->json, declared->json_name, declared->json_name_length) : NULL;
	if (!member || (member->type == JSON_NULL && object->type->null_is_absent))
		return false;
	*ret_value = cel_from_json(eval, member, declared->type);
	return true;
}

// The member of a map or object; false when it isn't there, or `container` has no members.
static bool find_member(struct cel_eval *eval, const struct cel_value *container, const struct cel_expr *expr,
                        const struct cel_text *name, struct cel_value *ret_value)
{
	if (container->kind == CEL_OBJECT) {
		bool known = expr && expr->select.declared && container->type == expr->select.object;
		return cel_object_get(eval, container, name, known ? expr->select.declared : NULL, ret_value);
	}
	if (container->kind != CEL_MAP)
		return false;
	struct cel_value key = cel_value_string(name->text, name->length);
	return cel_map_find(eval, container, &key, ret_value);
}

static struct cel_value optional_member(struct cel_eval *eval, const struct cel_value *container,
                                        const struct cel_text *name)
{
	struct cel_value value;
	const struct cel_value *inner = container;
	if (container->kind == CEL_OPTIONAL) {
		if (!cel_has_value(container))
			return cel_optional_none;
		inner = container->inner;
	}
	if (!find_member(eval, inner, NULL, name, &value))
		return cel_optional_none;
	return value.kind == CEL_OPTIONAL ? value : cel_make_optional(eval, value);
}

// What isn't there costs nothing to look for.
static struct cel_value spend_optional(struct cel_eval *eval, struct cel_value value)
{
	return cel_spend(eval, value.kind != CEL_OPTIONAL || cel_has_value(&value), value);
}

static struct cel_value test_member(struct cel_eval *eval, const struct cel_expr *expr, const struct cel_value *operand)
{
	struct cel_value value = {0};
	if (operand->kind == CEL_OPTIONAL) {
		value = optional_member(eval, operand, &expr->select.field);
		return value.kind == CEL_ERROR ? value : cel_value_bool(cel_has_value(&value));
	}
	return cel_value_bool(find_member(eval, operand, expr, &expr->select.field, &value));
}

struct cel_value cel_eval_select(struct cel_eval *eval, const struct cel_expr *expr)
{
	struct cel_value value, operand = cel_evaluate(eval, expr->select.operand);
	if (cel_is_error(&operand))
		return operand;
	if (expr->test_only)
		return test_member(eval, expr, &operand);
	if (operand.kind == CEL_OPTIONAL)
		return spend_optional(eval, optional_member(eval, &operand, &expr->select.field));
	if (find_member(eval, &operand, expr, &expr->select.field, &value))
		return cel_spend(eval, 1, value);
	value = cel_value_string(expr->select.field.text, expr->select.field.length);
	return cel_spend(eval, 1, cel_no_such_key(eval, &value));
}

// --- indices ----------------------------------------------------------------------------------

static bool whole_index(const struct cel_value *index, int64_t *ret_index)
{
	*ret_index = index->integer;
	if (index->kind == CEL_INT)
		return true;
	if (index->kind == CEL_UINT)
		return index->unsigned_integer <= INT64_MAX;
	*ret_index = index->kind == CEL_DOUBLE && index->real >= 0 && index->real < 4e9 ? (int64_t)index->real : -1;
	return index->kind == CEL_DOUBLE && (double)*ret_index == index->real;
}

bool cel_usable_key(const struct cel_value *key)
{
	return key->kind == CEL_STRING || key->kind == CEL_BOOL || key->kind == CEL_INT || key->kind == CEL_UINT ||
	       key->kind == CEL_DOUBLE;
}

// The element; false with *ret_value the error that a plain index yields.
static bool find_element(struct cel_eval *eval, const struct cel_value *container, const struct cel_value *index,
                         struct cel_value *ret_value)
{
	int64_t number;
	if (container->kind == CEL_LIST) {
		if (!whole_index(index, &number)) {
			*ret_value = cel_fail(eval, "unsupported index type '%s' in list", cel_value_type_name(index));
			return false;
		}
		if (number < 0 || (uint64_t)number >= container->length) {
			*ret_value = cel_fail(eval, "index out of bounds: %lld", (long long)number);
			return false;
		}
		*ret_value = cel_list_get(eval, container, (size_t)number);
		return true;
	}
	if (container->kind == CEL_MAP && cel_usable_key(index) && cel_map_find(eval, container, index, ret_value))
		return true;
	if (container->kind == CEL_OBJECT && index->kind == CEL_STRING) {
		struct cel_text name = {index->text, index->length};
		if (cel_object_get(eval, container, &name, NULL, ret_value))
			return true;
	}
	*ret_value = container->kind == CEL_MAP || container->kind == CEL_OBJECT ? cel_no_such_key(eval, index)
	                                                                         : cel_no_such_overload();
	return false;
}

struct cel_value cel_eval_index(struct cel_eval *eval, const struct cel_expr *expr)
{
	bool optional = expr->call.call_kind == CEL_CALL_OPTIONAL_INDEX;
	const struct cel_expr *index_expr = expr->call.operands[1];
	struct cel_value value, container = cel_evaluate(eval, expr->call.operands[0]);
	if (cel_is_error(&container))
		return container;
	struct cel_value index = cel_evaluate(eval, index_expr);
	if (cel_is_error(&index))
		return index;
	if (index_expr->kind == CEL_EXPR_IDENT)
		eval->cost--; // a plain variable as an index is part of the access
	const struct cel_value *inner = &container;
	if (container.kind == CEL_OPTIONAL) {
		if (!cel_has_value(&container))
			return spend_optional(eval, cel_optional_none);
		inner = container.inner;
		optional = true;
	}
	bool found = find_element(eval, inner, &index, &value);
	if (!optional || (inner->kind != CEL_LIST && inner->kind != CEL_MAP && inner->kind != CEL_OBJECT))
		return cel_spend(eval, 1, value);
	if (!found)
		return spend_optional(eval, cel_optional_none);
	return cel_spend(eval, 1, value.kind == CEL_OPTIONAL ? value : cel_make_optional(eval, value));
}

struct cel_value cel_eval_optional_select(struct cel_eval *eval, const struct cel_expr *expr)
{
	const struct cel_value *field = &expr->call.operands[1]->literal;
	struct cel_text name = {field->text, field->length};
	struct cel_value operand = cel_evaluate(eval, expr->call.operands[0]);
	if (cel_is_error(&operand))
		return operand;
	return spend_optional(eval, optional_member(eval, &operand, &name));
}
