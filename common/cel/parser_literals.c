// SPDX-License-Identifier: Apache-2.0
//
// Literals: numbers, texts, lists, maps and messages. A number that doesn't fit is noted
// and the parse goes on.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/parser_internal.h"

// --- scalars -------------------------------------------------------------------------

struct cel_expr *parser_literal(struct cel_parser *parser, uint32_t offset, struct cel_value value)
{
	struct cel_expr *expr = cel_expr_new(parser, CEL_EXPR_LITERAL, offset);
	expr->literal = value;
	return expr;
}

static struct cel_expr *integer_literal(struct cel_parser *parser, uint32_t offset, const char *text, bool negative,
                                        bool is_unsigned)
{
	char *end;
	errno = 0;
	unsigned long long magnitude = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	uint64_t limit = is_unsigned ? UINT64_MAX : (uint64_t)INT64_MAX + negative;
	if (errno == ERANGE || magnitude > limit)
		cel_issue(parser->issues, offset, is_unsigned ? "invalid uint literal" : "invalid int literal");
	if (is_unsigned)
		return parser_literal(parser, offset,
		                      (struct cel_value){.kind = CEL_UINT, .unsigned_integer = magnitude});
	return parser_literal(parser, offset, cel_value_int(negative ? (int64_t)-magnitude : (int64_t)magnitude));
}

struct cel_expr *parser_number(struct cel_parser *parser, uint32_t offset, bool negative)
{
	enum cel_token_kind kind = parser->token.kind;
	struct cel_text text = parser_token_text(parser);
	parser_next(parser);
	if (kind != CEL_TOKEN_FLOAT)
		return integer_literal(parser, offset, text.text, negative, kind == CEL_TOKEN_UINT);
	double real = strtod(text.text, NULL);
	if (real > 1.7976931348623157e308)
		cel_issue(parser->issues, offset, "invalid double literal");
	return parser_literal(parser, offset, (struct cel_value){.kind = CEL_DOUBLE, .real = negative ? -real : real});
}

struct cel_expr *parser_text(struct cel_parser *parser)
{
	struct cel_text text = {"", 0};
	struct cel_token token = parser->token;
	(void)cel_unquote(parser->issues, &token, &text);
	parser_next(parser);
	struct cel_value value = cel_value_string(text.text, text.length);
	if (token.kind == CEL_TOKEN_BYTES)
		value.kind = CEL_BYTES;
	return parser_literal(parser, token.offset, value);
}

// --- containers ----------------------------------------------------------------------------

void parser_push(struct cel_parser *parser, struct pointers *list, struct cel_expr *item)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 4;
		list->items = arena_realloc(parser->arena, list->items, list->capacity * sizeof(item),
		                            capacity * sizeof(item));
		list->capacity = capacity;
	}
	list->items[list->count++] = item;
}

// What stands beside each element of a literal.
struct marks {
	bool *optional;
	uint32_t *offsets;
	struct cel_text *names;
	bool any_optional;
	size_t capacity;
};

static void mark(struct cel_parser *parser, struct marks *marks, size_t index, bool optional, uint32_t offset,
                 struct cel_text name)
{
	if (index == marks->capacity) {
		size_t old = marks->capacity, capacity = old ? old * 2 : 4;
		struct arena *arena = parser->arena;
		marks->optional = arena_realloc(arena, marks->optional, old, capacity);
		marks->offsets =
		        arena_realloc(arena, marks->offsets, old * sizeof(uint32_t), capacity * sizeof(uint32_t));
		marks->names = arena_realloc(arena, marks->names, old * sizeof(struct cel_text),
		                             capacity * sizeof(struct cel_text));
		marks->capacity = capacity;
	}
	marks->optional[index] = optional;
	marks->offsets[index] = offset;
	marks->names[index] = name;
	marks->any_optional |= optional;
}

struct cel_expr *parser_list(struct cel_parser *parser)
{
	struct pointers items = {0};
	struct marks marks = {0};
	struct cel_expr *list = cel_expr_new(parser, CEL_EXPR_LIST, parser->token.offset);
	parser_next(parser);
	while (!parser_at(parser, ']')) {
		uint32_t offset = parser->token.offset;
		bool optional = parser_accept(parser, '?');
		struct cel_expr *item = parser_expression(parser);
		if (!item)
			return NULL;
		mark(parser, &marks, items.count, optional, offset, (struct cel_text){0});
		parser_push(parser, &items, item);
		cel_expr_adopt(parser, list, item);
		if (!parser_accept(parser, ','))
			break;
	}
	if (!parser_expect(parser, ']'))
		return NULL;
	list->list.items = items.items;
	list->list.count = (uint32_t)items.count;
	list->list.optional = marks.any_optional ? marks.optional : NULL;
	return list;
}

struct cel_expr *parser_map(struct cel_parser *parser)
{
	struct pointers keys = {0}, values = {0};
	struct marks marks = {0};
	struct cel_expr *map = cel_expr_new(parser, CEL_EXPR_MAP, parser->token.offset), *key, *value;
	parser_next(parser);
	while (!parser_at(parser, '}')) {
		bool optional = parser_accept(parser, '?');
		key = parser_expression(parser);
		uint32_t offset = parser->token.offset;
		if (!key || !parser_expect(parser, ':') || !(value = parser_expression(parser)))
			return NULL;
		mark(parser, &marks, keys.count, optional, offset, (struct cel_text){0});
		parser_push(parser, &keys, key);
		parser_push(parser, &values, value);
		cel_expr_adopt(parser, map, key);
		cel_expr_adopt(parser, map, value);
		if (!parser_accept(parser, ','))
			break;
	}
	if (!parser_expect(parser, '}'))
		return NULL;
	map->map.keys = keys.items;
	map->map.values = values.items;
	map->map.offsets = marks.offsets;
	map->map.count = (uint32_t)keys.count;
	map->map.optional = marks.any_optional ? marks.optional : NULL;
	return map;
}

struct cel_expr *parser_message(struct cel_parser *parser, struct cel_text name, bool absolute)
{
	struct pointers values = {0};
	struct marks marks = {0};
	struct cel_text field;
	struct cel_expr *message = cel_expr_new(parser, CEL_EXPR_MESSAGE, parser->token.offset), *value;
	message->absolute = absolute;
	parser_next(parser);
	while (!parser_at(parser, '}')) {
		bool optional = parser_accept(parser, '?');
		if (!parser_field_name(parser, &field))
			return NULL;
		uint32_t offset = parser->token.offset;
		if (!parser_expect(parser, ':') || !(value = parser_expression(parser)))
			return NULL;
		mark(parser, &marks, values.count, optional, offset, field);
		parser_push(parser, &values, value);
		cel_expr_adopt(parser, message, value);
		if (!parser_accept(parser, ','))
			break;
	}
	if (!parser_expect(parser, '}'))
		return NULL;
	message->message.name = name;
	message->message.fields = marks.names;
	message->message.offsets = marks.offsets;
	message->message.values = values.items;
	message->message.count = (uint32_t)values.count;
	message->message.optional = marks.any_optional ? marks.optional : NULL;
	return message;
}
