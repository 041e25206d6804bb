// SPDX-License-Identifier: Apache-2.0
//
// Recursive descent over the grammar of the language definition. Chains of && and ||
// become balanced trees, other chains lean to the left. Both the nesting in the source
// and the depth of the tree are limited, since everything after walks it recursively.
// The first syntax error ends the parse; wrong literals, reserved words and wrong macro
// calls are noted and the parse goes on.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/lexer.h"

const char cel_accumulator_name[] = "@result";
const char cel_unused_name[] = "#unused";

enum { MAX_TREE_DEPTH = 600 };

struct cel_parser {
	struct arena *arena;
	struct cel_issues *issues;
	struct cel_token token;
	unsigned depth;
	uint32_t nodes;
	bool failed; // a syntax error: unwinding
};

static struct cel_expr *parse_expression(struct cel_parser *parser);

struct arena *cel_parser_arena(struct cel_parser *parser)
{
	return parser->arena;
}

void cel_parser_issue(struct cel_parser *parser, uint32_t offset, const char *message)
{
	cel_issue(parser->issues, offset, "%s", message);
}

struct cel_expr *cel_expr_new(struct cel_parser *parser, enum cel_expr_kind kind, uint32_t offset)
{
	struct cel_expr *expr = ARENA_NEW(parser->arena, struct cel_expr);
	expr->kind = (uint8_t)kind;
	expr->offset = offset;
	expr->id = parser->nodes++;
	return expr;
}

static struct cel_expr *too_deep(struct cel_parser *parser)
{
	if (!parser->failed)
		cel_issue(parser->issues, 0, "expression recursion limit exceeded: %d", CEL_MAX_DEPTH);
	parser->failed = true;
	return NULL;
}

void cel_expr_adopt(struct cel_parser *parser, struct cel_expr *parent, const struct cel_expr *child)
{
	if (child && child->depth >= parent->depth)
		parent->depth = (uint16_t)(child->depth + 1);
	if (parent->depth > MAX_TREE_DEPTH)
		too_deep(parser);
}

static void next(struct cel_parser *parser)
{
	parser->token = cel_lex(parser->issues, parser->token.offset + parser->token.length);
}

static bool at(const struct cel_parser *parser, char character)
{
	return parser->token.kind == CEL_TOKEN_PUNCTUATION && parser->token.character == character;
}

static bool accept(struct cel_parser *parser, char character)
{
	if (!at(parser, character))
		return false;
	next(parser);
	return true;
}

static struct cel_text token_text(const struct cel_parser *parser)
{
	return (struct cel_text){
	        arena_strndup(parser->arena, parser->issues->source + parser->token.offset, parser->token.length),
	        parser->token.length};
}

static const char *shown_token(const struct cel_parser *parser)
{
	return parser->token.kind == CEL_TOKEN_END ? "<EOF>" : token_text(parser).text;
}

static struct cel_expr *syntax_error(struct cel_parser *parser, const char *expected)
{
	if (!parser->failed)
		cel_issue(parser->issues, parser->token.offset, "Syntax error: mismatched input '%s' expecting %s",
		          shown_token(parser), expected);
	parser->failed = true;
	return NULL;
}

static bool expect(struct cel_parser *parser, char character)
{
	const char quoted[] = {'\'', character, '\'', '\0'};
	if (accept(parser, character))
		return true;
	syntax_error(parser, quoted);
	return false;
}

// --- literals -------------------------------------------------------------------------

static struct cel_expr *literal(struct cel_parser *parser, uint32_t offset, struct cel_value value)
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
		return literal(parser, offset, (struct cel_value){.kind = CEL_UINT, .unsigned_integer = magnitude});
	return literal(parser, offset, cel_value_int(negative ? (int64_t)-magnitude : (int64_t)magnitude));
}

static struct cel_expr *number_literal(struct cel_parser *parser, uint32_t offset, bool negative)
{
	enum cel_token_kind kind = parser->token.kind;
	struct cel_text text = token_text(parser);
	next(parser);
	if (kind != CEL_TOKEN_FLOAT)
		return integer_literal(parser, offset, text.text, negative, kind == CEL_TOKEN_UINT);
	double real = strtod(text.text, NULL);
	if (real > 1.7976931348623157e308)
		cel_issue(parser->issues, offset, "invalid double literal");
	return literal(parser, offset, (struct cel_value){.kind = CEL_DOUBLE, .real = negative ? -real : real});
}

static struct cel_expr *text_literal(struct cel_parser *parser)
{
	struct cel_text text = {"", 0};
	struct cel_token token = parser->token;
	(void)cel_unquote(parser->issues, &token, &text);
	next(parser);
	struct cel_value value = cel_value_string(text.text, text.length);
	if (token.kind == CEL_TOKEN_BYTES)
		value.kind = CEL_BYTES;
	return literal(parser, token.offset, value);
}

static struct cel_expr *word_literal(struct cel_parser *parser, struct cel_value value)
{
	uint32_t offset = parser->token.offset;
	next(parser);
	return literal(parser, offset, value);
}

// --- lists of things ------------------------------------------------------------------------

struct pointers {
	struct cel_expr **items;
	size_t count, capacity;
};

static void push(struct cel_parser *parser, struct pointers *list, struct cel_expr *item)
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

static bool parse_arguments(struct cel_parser *parser, struct pointers *args)
{
	if (accept(parser, ')'))
		return true;
	do {
		struct cel_expr *arg = parse_expression(parser);
		if (!arg)
			return false;
		push(parser, args, arg);
	} while (accept(parser, ','));
	return expect(parser, ')');
}

static struct cel_expr *parse_list(struct cel_parser *parser)
{
	struct pointers items = {0};
	struct marks marks = {0};
	struct cel_expr *list = cel_expr_new(parser, CEL_EXPR_LIST, parser->token.offset);
	next(parser);
	while (!at(parser, ']')) {
		uint32_t offset = parser->token.offset;
		bool optional = accept(parser, '?');
		struct cel_expr *item = parse_expression(parser);
		if (!item)
			return NULL;
		mark(parser, &marks, items.count, optional, offset, (struct cel_text){0});
		push(parser, &items, item);
		cel_expr_adopt(parser, list, item);
		if (!accept(parser, ','))
			break;
	}
	if (!expect(parser, ']'))
		return NULL;
	list->list.items = items.items;
	list->list.count = (uint32_t)items.count;
	list->list.optional = marks.any_optional ? marks.optional : NULL;
	return list;
}

static struct cel_expr *parse_map(struct cel_parser *parser)
{
	struct pointers keys = {0}, values = {0};
	struct marks marks = {0};
	struct cel_expr *map = cel_expr_new(parser, CEL_EXPR_MAP, parser->token.offset), *key, *value;
	next(parser);
	while (!at(parser, '}')) {
		bool optional = accept(parser, '?');
		key = parse_expression(parser);
		uint32_t offset = parser->token.offset;
		if (!key || !expect(parser, ':') || !(value = parse_expression(parser)))
			return NULL;
		mark(parser, &marks, keys.count, optional, offset, (struct cel_text){0});
		push(parser, &keys, key);
		push(parser, &values, value);
		cel_expr_adopt(parser, map, key);
		cel_expr_adopt(parser, map, value);
		if (!accept(parser, ','))
			break;
	}
	if (!expect(parser, '}'))
		return NULL;
	map->map.keys = keys.items;
	map->map.values = values.items;
	map->map.offsets = marks.offsets;
	map->map.count = (uint32_t)keys.count;
	map->map.optional = marks.any_optional ? marks.optional : NULL;
	return map;
}

// A name after a dot or in a message: words in backquotes as well.
static bool parse_field_name(struct cel_parser *parser, struct cel_text *ret_name)
{
	struct cel_text name = token_text(parser);
	if (parser->token.kind == CEL_TOKEN_ESCAPED_IDENT)
		name = (struct cel_text){arena_strndup(parser->arena, name.text + 1, name.length - 2), name.length - 2};
	else if (parser->token.kind != CEL_TOKEN_IDENT)
		return syntax_error(parser, "IDENTIFIER") != NULL;
	next(parser);
	*ret_name = name;
	return true;
}

static struct cel_expr *parse_message(struct cel_parser *parser, struct cel_text name, bool absolute)
{
	struct pointers values = {0};
	struct marks marks = {0};
	struct cel_text field;
	struct cel_expr *message = cel_expr_new(parser, CEL_EXPR_MESSAGE, parser->token.offset), *value;
	message->absolute = absolute;
	next(parser);
	while (!at(parser, '}')) {
		bool optional = accept(parser, '?');
		if (!parse_field_name(parser, &field))
			return NULL;
		uint32_t offset = parser->token.offset;
		if (!expect(parser, ':') || !(value = parse_expression(parser)))
			return NULL;
		mark(parser, &marks, values.count, optional, offset, field);
		push(parser, &values, value);
		cel_expr_adopt(parser, message, value);
		if (!accept(parser, ','))
			break;
	}
	if (!expect(parser, '}'))
		return NULL;
	message->message.name = name;
	message->message.fields = marks.names;
	message->message.offsets = marks.offsets;
	message->message.values = values.items;
	message->message.count = (uint32_t)values.count;
	message->message.optional = marks.any_optional ? marks.optional : NULL;
	return message;
}

// --- primaries and members ------------------------------------------------------------------

static struct cel_expr *make_call(struct cel_parser *parser, uint32_t offset, const char *function,
                                  struct cel_expr *target, const struct pointers *args)
{
	struct cel_expr *call = cel_expr_new(parser, CEL_EXPR_CALL, offset);
	call->call.function = (struct cel_text){function, strlen(function)};
	call->call.target = target;
	call->call.args = args->items;
	call->call.count = (uint32_t)args->count;
	cel_expr_adopt(parser, call, target);
	for (size_t i = 0; i < args->count; i++)
		cel_expr_adopt(parser, call, args->items[i]);
	return call;
}

static struct cel_expr *make_operator(struct cel_parser *parser, uint32_t offset, const char *function,
                                      struct cel_expr *first, struct cel_expr *second)
{
	struct pointers args = {0};
	push(parser, &args, first);
	if (second)
		push(parser, &args, second);
	return make_call(parser, offset, function, NULL, &args);
}

static struct cel_expr *finish_call(struct cel_parser *parser, struct cel_expr *call)
{
	struct cel_expr *expanded = call->absolute ? NULL : cel_macro_expand(parser, call);
	return expanded ? expanded : call;
}

static void refuse_reserved(struct cel_parser *parser, struct cel_text name, uint32_t offset)
{
	static const char *const reserved[] = {"as",        "break",  "const",  "continue", "else", "for",
	                                       "function",  "if",     "import", "let",      "loop", "package",
	                                       "namespace", "return", "var",    "void",     "while"};
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(reserved[i], name.text) == 0)
			cel_issue(parser->issues, offset, "reserved identifier: %s", name.text);
}

static struct cel_expr *parse_name(struct cel_parser *parser, bool absolute, uint32_t offset)
{
	struct cel_text name = token_text(parser);
	uint32_t name_offset = parser->token.offset;
	if (parser->token.kind != CEL_TOKEN_IDENT)
		return syntax_error(parser, "IDENTIFIER");
	next(parser);
	if (at(parser, '{'))
		return parse_message(parser, name, absolute);
	refuse_reserved(parser, name, name_offset);
	if (at(parser, '(')) {
		struct pointers args = {0};
		uint32_t open = parser->token.offset;
		next(parser);
		if (!parse_arguments(parser, &args))
			return NULL;
		struct cel_expr *call = make_call(parser, open, name.text, NULL, &args);
		call->absolute = absolute;
		return finish_call(parser, call);
	}
	struct cel_expr *ident = cel_expr_new(parser, CEL_EXPR_IDENT, offset);
	ident->ident.name = name;
	ident->absolute = absolute;
	return ident;
}

static const char primary_tokens[] = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, "
                                     "NUM_UINT, STRING, BYTES, IDENTIFIER}";

static struct cel_expr *parse_parentheses(struct cel_parser *parser)
{
	next(parser);
	struct cel_expr *inner = parse_expression(parser);
	return inner && expect(parser, ')') ? inner : NULL;
}

static struct cel_expr *parse_punctuated(struct cel_parser *parser)
{
	uint32_t offset = parser->token.offset;
	switch (parser->token.character) {
	case '(':
		return parse_parentheses(parser);
	case '[':
		return parse_list(parser);
	case '{':
		return parse_map(parser);
	case '.':
		next(parser);
		return parse_name(parser, true, offset);
	default:
		return syntax_error(parser, primary_tokens);
	}
}

static struct cel_expr *parse_primary(struct cel_parser *parser)
{
	switch (parser->token.kind) {
	case CEL_TOKEN_INT:
	case CEL_TOKEN_UINT:
	case CEL_TOKEN_FLOAT:
		return number_literal(parser, parser->token.offset, false);
	case CEL_TOKEN_STRING:
	case CEL_TOKEN_BYTES:
		return text_literal(parser);
	case CEL_TOKEN_TRUE:
		return word_literal(parser, cel_value_bool(true));
	case CEL_TOKEN_FALSE:
		return word_literal(parser, cel_value_bool(false));
	case CEL_TOKEN_NULL:
		return word_literal(parser, cel_value_null());
	case CEL_TOKEN_IDENT:
		return parse_name(parser, false, parser->token.offset);
	case CEL_TOKEN_PUNCTUATION:
		return parse_punctuated(parser);
	default:
		return syntax_error(parser, primary_tokens);
	}
}

// "a.b.c" of plain selections, for the name of a message; false when it is something else.
static bool qualified_name(struct cel_parser *parser, const struct cel_expr *expr, struct cel_text *ret_name)
{
	struct cel_text outer;
	if (expr->kind == CEL_EXPR_IDENT) {
		*ret_name = expr->ident.name;
		return true;
	}
	if (expr->kind != CEL_EXPR_SELECT || expr->test_only || !qualified_name(parser, expr->select.operand, &outer))
		return false;
	ret_name->text = arena_printf(parser->arena, "%s.%s", outer.text, expr->select.field.text);
	ret_name->length = strlen(ret_name->text);
	return true;
}

static struct cel_expr *parse_method(struct cel_parser *parser, struct cel_expr *target, struct cel_text name)
{
	struct pointers args = {0};
	uint32_t open = parser->token.offset;
	next(parser);
	if (!parse_arguments(parser, &args))
		return NULL;
	return finish_call(parser, make_call(parser, open, name.text, target, &args));
}

static struct cel_expr *parse_selection(struct cel_parser *parser, struct cel_expr *target)
{
	struct cel_text field;
	uint32_t offset = parser->token.offset;
	next(parser);
	bool optional = accept(parser, '?');
	bool plain = parser->token.kind == CEL_TOKEN_IDENT;
	if (!parse_field_name(parser, &field))
		return NULL;
	if (!optional && plain && at(parser, '('))
		return parse_method(parser, target, field);
	if (optional) {
		struct cel_expr *name = literal(parser, offset, cel_value_string(field.text, field.length));
		return make_operator(parser, offset, "_?._", target, name);
	}
	struct cel_expr *select = cel_expr_new(parser, CEL_EXPR_SELECT, offset);
	select->select.operand = target;
	select->select.field = field;
	cel_expr_adopt(parser, select, target);
	struct cel_text name;
	if (at(parser, '{') && plain && qualified_name(parser, select, &name))
		return parse_message(parser, name, false);
	return select;
}

static struct cel_expr *parse_index(struct cel_parser *parser, struct cel_expr *target)
{
	uint32_t offset = parser->token.offset;
	next(parser);
	bool optional = accept(parser, '?');
	struct cel_expr *index = parse_expression(parser);
	if (!index || !expect(parser, ']'))
		return NULL;
	return make_operator(parser, offset, optional ? "_[?_]" : "_[_]", target, index);
}

static struct cel_expr *parse_members(struct cel_parser *parser, struct cel_expr *expr)
{
	unsigned chain = 0;
	while (expr && (at(parser, '.') || at(parser, '['))) {
		if (++chain + parser->depth > CEL_MAX_DEPTH)
			return too_deep(parser);
		expr = at(parser, '.') ? parse_selection(parser, expr) : parse_index(parser, expr);
	}
	return expr;
}

static struct cel_expr *parse_unary(struct cel_parser *parser)
{
	uint32_t offset = parser->token.offset;
	char sign = at(parser, '!') ? '!' : at(parser, '-') ? '-' : 0;
	unsigned count = 0;
	struct cel_expr *operand = NULL;
	for (; sign && at(parser, sign); count++) {
		next(parser);
		enum cel_token_kind kind = parser->token.kind;
		if (sign == '-' && (kind == CEL_TOKEN_INT || kind == CEL_TOKEN_FLOAT)) {
			operand = number_literal(parser, offset, true);
			break; // this sign belongs to the number
		}
	}
	if (!operand)
		operand = parse_primary(parser);
	operand = parse_members(parser, operand);
	if (!operand || count % 2 == 0)
		return operand;
	return make_operator(parser, offset, sign == '!' ? "!_" : "-_", operand, NULL);
}

// --- operators ------------------------------------------------------------------------------

struct binary_operator {
	enum cel_token_kind kind;
	char character;
	int level; // the higher, the tighter
	const char *function;
};

static const struct binary_operator binary_operators[] = {
        {CEL_TOKEN_LESS, 0, 1, "_<_"},
        {CEL_TOKEN_LESS_EQUAL, 0, 1, "_<=_"},
        {CEL_TOKEN_GREATER, 0, 1, "_>_"},
        {CEL_TOKEN_GREATER_EQUAL, 0, 1, "_>=_"},
        {CEL_TOKEN_EQUAL, 0, 1, "_==_"},
        {CEL_TOKEN_NOT_EQUAL, 0, 1, "_!=_"},
        {CEL_TOKEN_IN, 0, 1, "@in"},
        {CEL_TOKEN_PUNCTUATION, '+', 2, "_+_"},
        {CEL_TOKEN_PUNCTUATION, '-', 2, "_-_"},
        {CEL_TOKEN_PUNCTUATION, '*', 3, "_*_"},
        {CEL_TOKEN_PUNCTUATION, '/', 3, "_/_"},
        {CEL_TOKEN_PUNCTUATION, '%', 3, "_%_"},
};

static const struct binary_operator *current_operator(const struct cel_parser *parser)
{
	for (size_t i = 0; i < ARRAY_SIZE(binary_operators); i++)
		if (binary_operators[i].kind == parser->token.kind &&
		    (parser->token.kind != CEL_TOKEN_PUNCTUATION ||
		     binary_operators[i].character == parser->token.character))
			return &binary_operators[i];
	return NULL;
}

static struct cel_expr *parse_binary(struct cel_parser *parser, int level)
{
	const struct binary_operator *operator;
	unsigned chain = 0;
	struct cel_expr *left = level == 3 ? parse_unary(parser) : parse_binary(parser, level + 1);
	while (left && (operator= current_operator(parser)) && operator->level == level) {
		uint32_t offset = parser->token.offset;
		if (++chain + parser->depth > CEL_MAX_DEPTH)
			return too_deep(parser);
		next(parser);
		struct cel_expr *right = level == 3 ? parse_unary(parser) : parse_binary(parser, level + 1);
		if (!right)
			return NULL;
		left = make_operator(parser, offset, operator->function, left, right);
	}
	return left;
}

struct logic_chain {
	struct pointers terms;
	uint32_t *offsets; // of the operator after each term
	size_t capacity;
};

static struct cel_expr *balance(struct cel_parser *parser, const char *function, const struct logic_chain *chain,
                                size_t first, size_t last)
{
	if (first == last)
		return chain->terms.items[first];
	size_t middle = (first + last) / 2;
	return make_operator(parser, chain->offsets[middle], function, balance(parser, function, chain, first, middle),
	                     balance(parser, function, chain, middle + 1, last));
}

static struct cel_expr *parse_logic(struct cel_parser *parser, enum cel_token_kind kind)
{
	struct logic_chain chain = {0};
	for (;;) {
		struct cel_expr *term =
		        kind == CEL_TOKEN_OR ? parse_logic(parser, CEL_TOKEN_AND) : parse_binary(parser, 1);
		if (!term)
			return NULL;
		push(parser, &chain.terms, term);
		if (parser->token.kind != kind)
			break;
		if (chain.capacity < chain.terms.capacity) {
			chain.offsets = arena_realloc(parser->arena, chain.offsets, chain.capacity * sizeof(uint32_t),
			                              chain.terms.capacity * sizeof(uint32_t));
			chain.capacity = chain.terms.capacity;
		}
		chain.offsets[chain.terms.count - 1] = parser->token.offset;
		next(parser);
	}
	return balance(parser, kind == CEL_TOKEN_OR ? "_||_" : "_&&_", &chain, 0, chain.terms.count - 1);
}

static struct cel_expr *parse_conditional(struct cel_parser *parser)
{
	struct pointers args = {0};
	struct cel_expr *condition = parse_logic(parser, CEL_TOKEN_OR), *yes, *no;
	uint32_t offset = parser->token.offset;
	if (!condition || !accept(parser, '?'))
		return condition;
	if (!(yes = parse_logic(parser, CEL_TOKEN_OR)) || !expect(parser, ':') || !(no = parse_expression(parser)))
		return NULL;
	push(parser, &args, condition);
	push(parser, &args, yes);
	push(parser, &args, no);
	return make_call(parser, offset, "_?_:_", NULL, &args);
}

static struct cel_expr *parse_expression(struct cel_parser *parser)
{
	if (parser->failed || ++parser->depth > CEL_MAX_DEPTH)
		return too_deep(parser);
	struct cel_expr *expr = parse_conditional(parser);
	parser->depth--;
	return expr;
}

// --- the whole -----------------------------------------------------------------------------

static size_t count_code_points(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static void refuse_rest(struct cel_parser *parser)
{
	struct cel_token after = cel_lex(parser->issues, parser->token.offset + parser->token.length);
	if (after.kind == CEL_TOKEN_END)
		cel_issue(parser->issues, parser->token.offset, "Syntax error: extraneous input '%s' expecting <EOF>",
		          shown_token(parser));
	else
		syntax_error(parser, "<EOF>");
}

struct cel_expr *cel_parse(struct arena *arena, struct cel_issues *issues, uint32_t *ret_nodes)
{
	struct cel_parser parser = {.arena = arena, .issues = issues};
	size_t size = count_code_points(issues->source, issues->source_length);
	if (size > CEL_MAX_CODE_POINTS) {
		cel_issue(issues, 0, "expression code point size exceeds limit: size: %zu, limit %d", size,
		          CEL_MAX_CODE_POINTS);
		return NULL;
	}
	next(&parser);
	struct cel_expr *expr = parse_expression(&parser);
	if (expr && parser.token.kind != CEL_TOKEN_END)
		refuse_rest(&parser);
	*ret_nodes = parser.nodes;
	return issues->count == 0 && !parser.failed ? expr : NULL;
}
