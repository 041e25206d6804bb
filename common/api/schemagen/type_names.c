// SPDX-License-Identifier: Apache-2.0
// How a type expression is spelled in C: the member of a view, the stem of its
// array and map structs, the symbol of its table.

#include "common/api/schemagen/schemagen.h"

#include <string.h>

const char *stem_of(struct arena *arena, const struct expression *expression)
{
	switch (expression->kind) {
	case EXPRESSION_SCALAR:
		return expression->scalar->stem;
	case EXPRESSION_STRUCT:
		return expression->type->c_name;
	case EXPRESSION_ALIAS:
		return stem_of(arena, expression->type->alias);
	case EXPRESSION_LIST:
		return arena_printf(arena, "%s_array", stem_of(arena, expression->element));
	case EXPRESSION_MAP:
		return arena_printf(arena, "%s_map", stem_of(arena, expression->element));
	case EXPRESSION_RAW:
		break;
	}
	return "json";
}

// Ends in a space or an asterisk, ready for the member's name.
const char *value_c_type(struct arena *arena, const struct expression *expression)
{
	switch (expression->kind) {
	case EXPRESSION_SCALAR:
		return expression->scalar->c_type;
	case EXPRESSION_ALIAS:
		return value_c_type(arena, expression->type->alias);
	case EXPRESSION_STRUCT:
	case EXPRESSION_LIST:
	case EXPRESSION_MAP:
		return arena_printf(arena, "struct %s ", stem_of(arena, expression));
	case EXPRESSION_RAW:
		break;
	}
	return "const struct json *";
}

static bool pointer_is_same(const struct expression *expression)
{
	if (expression->kind == EXPRESSION_ALIAS)
		return pointer_is_same(expression->type->alias);
	return expression->kind == EXPRESSION_RAW ||
	       (expression->kind == EXPRESSION_SCALAR && expression->scalar->pointer_is_same);
}

const char *member_declaration(struct arena *arena, const struct field *field)
{
	const char *value = value_c_type(arena, field->expression);
	if (!field->pointer || pointer_is_same(field->expression))
		return arena_printf(arena, "%s%s", value, field->member);
	return arena_printf(arena, "const %s*%s", value, field->member);
}

const char *table_symbol(struct arena *arena, const struct expression *expression)
{
	switch (expression->kind) {
	case EXPRESSION_SCALAR:
		return arena_printf(arena, "schema_type_%s", expression->scalar->symbol);
	case EXPRESSION_STRUCT:
	case EXPRESSION_ALIAS:
		return arena_printf(arena, "schema_type_%s", expression->type->c_name);
	case EXPRESSION_LIST:
		return arena_printf(arena, "list_of_%s", table_symbol(arena, expression->element));
	case EXPRESSION_MAP:
		return arena_printf(arena, "map_of_%s", table_symbol(arena, expression->element));
	case EXPRESSION_RAW:
		break;
	}
	return arena_printf(arena, "raw_of_%s", table_symbol(arena, expression->element));
}
