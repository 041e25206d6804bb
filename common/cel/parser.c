// SPDX-License-Identifier: Apache-2.0
//
// Recursive descent over the grammar of the language definition. Chains of && and ||
// become balanced trees, other chains lean to the left. Both the nesting in the source
// and the depth of the tree are limited, since everything after walks it recursively.
// The first syntax error ends the parse; wrong literals, reserved words and wrong macro
// calls are noted and the parse goes on.
#include <string.h>

#include "common/cel/parser_internal.h"

const char cel_accumulator_name[] = "@result";
const char cel_unused_name[] = "#unused";

enum { MAX_TREE_DEPTH = 600 };

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

void parser_next(struct cel_parser *parser)
{
	parser->token = cel_lex(parser->issues, parser->token.offset + parser->token.length);
}

bool parser_at(const struct cel_parser *parser, char character)
{
	return parser->token.kind == CEL_TOKEN_PUNCTUATION && parser->token.character == character;
}

bool parser_accept(struct cel_parser *parser, char character)
{
	if (!parser_at(parser, character))
		return false;
	parser_next(parser);
	return true;
}

struct cel_text parser_token_text(const struct cel_parser *parser)
{
	return (struct cel_text){
	        arena_strndup(parser->arena, parser->issues->source + parser->token.offset, parser->token.length),
	        parser->token.length};
}

static const char *shown_token(const struct cel_parser *parser)
{
	return parser->token.kind == CEL_TOKEN_END ? "<EOF>" : parser_token_text(parser).text;
}

struct cel_expr *parser_syntax_error(struct cel_parser *parser, const char *expected)
{
	if (!parser->failed)
		cel_issue(parser->issues, parser->token.offset, "Syntax error: mismatched input '%s' expecting %s",
		          shown_token(parser), expected);
	parser->failed = true;
	return NULL;
}

bool parser_expect(struct cel_parser *parser, char character)
{
	const char quoted[] = {'\'', character, '\'', '\0'};
	if (parser_accept(parser, character))
		return true;
	parser_syntax_error(parser, quoted);
	return false;
}

static struct cel_expr *word_literal(struct cel_parser *parser, struct cel_value value)
{
	uint32_t offset = parser->token.offset;
	parser_next(parser);
	return parser_literal(parser, offset, value);
}

static bool parse_arguments(struct cel_parser *parser, struct pointers *args)
{
	if (parser_accept(parser, ')'))
		return true;
	do {
		struct cel_expr *arg = parser_expression(parser);
		if (!arg)
			return false;
		parser_push(parser, args, arg);
	} while (parser_accept(parser, ','));
	return parser_expect(parser, ')');
}

bool parser_field_name(struct cel_parser *parser, struct cel_text *ret_name)
{
	struct cel_text name = parser_token_text(parser);
	if (parser->token.kind == CEL_TOKEN_ESCAPED_IDENT)
		name = (struct cel_text){arena_strndup(parser->arena, name.text + 1, name.length - 2), name.length - 2};
	else if (parser->token.kind != CEL_TOKEN_IDENT)
		return parser_syntax_error(parser, "IDENTIFIER") != NULL;
	parser_next(parser);
	*ret_name = name;
	return true;
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
	parser_push(parser, &args, first);
	if (second)
		parser_push(parser, &args, second);
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
	struct cel_text name = parser_token_text(parser);
	uint32_t name_offset = parser->token.offset;
	if (parser->token.kind != CEL_TOKEN_IDENT)
		return parser_syntax_error(parser, "IDENTIFIER");
	parser_next(parser);
	if (parser_at(parser, '{'))
		return parser_message(parser, name, absolute);
	refuse_reserved(parser, name, name_offset);
	if (parser_at(parser, '(')) {
		struct pointers args = {0};
		uint32_t open = parser->token.offset;
		parser_next(parser);
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
	parser_next(parser);
	struct cel_expr *inner = parser_expression(parser);
	return inner && parser_expect(parser, ')') ? inner : NULL;
}

static struct cel_expr *parse_punctuated(struct cel_parser *parser)
{
	uint32_t offset = parser->token.offset;
	switch (parser->token.character) {
	case '(':
		return parse_parentheses(parser);
	case '[':
		return parser_list(parser);
	case '{':
		return parser_map(parser);
	case '.':
		parser_next(parser);
		return parse_name(parser, true, offset);
	default:
		return parser_syntax_error(parser, primary_tokens);
	}
}

static struct cel_expr *parse_primary(struct cel_parser *parser)
{
	switch (parser->token.kind) {
	case CEL_TOKEN_INT:
	case CEL_TOKEN_UINT:
	case CEL_TOKEN_FLOAT:
		return parser_number(parser, parser->token.offset, false);
	case CEL_TOKEN_STRING:
	case CEL_TOKEN_BYTES:
		return parser_text(parser);
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
		return parser_syntax_error(parser, primary_tokens);
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
	parser_next(parser);
	if (!parse_arguments(parser, &args))
		return NULL;
	return finish_call(parser, make_call(parser, open, name.text, target, &args));
}

static struct cel_expr *parse_selection(struct cel_parser *parser, struct cel_expr *target)
{
	struct cel_text field;
	uint32_t offset = parser->token.offset;
	parser_next(parser);
	bool optional = parser_accept(parser, '?');
	bool plain = parser->token.kind == CEL_TOKEN_IDENT;
	if (!parser_field_name(parser, &field))
		return NULL;
	if (!optional && plain && parser_at(parser, '('))
		return parse_method(parser, target, field);
	if (optional) {
		struct cel_expr *name = parser_literal(parser, offset, cel_value_string(field.text, field.length));
		return make_operator(parser, offset, "_?._", target, name);
	}
	struct cel_expr *select = cel_expr_new(parser, CEL_EXPR_SELECT, offset);
	select->select.operand = target;
	select->select.field = field;
	cel_expr_adopt(parser, select, target);
	struct cel_text name;
	if (parser_at(parser, '{') && plain && qualified_name(parser, select, &name))
		return parser_message(parser, name, false);
	return select;
}

static struct cel_expr *parse_index(struct cel_parser *parser, struct cel_expr *target)
{
	uint32_t offset = parser->token.offset;
	parser_next(parser);
	bool optional = parser_accept(parser, '?');
	struct cel_expr *index = parser_expression(parser);
	if (!index || !parser_expect(parser, ']'))
		return NULL;
	return make_operator(parser, offset, optional ? "_[?_]" : "_[_]", target, index);
}

static struct cel_expr *parse_members(struct cel_parser *parser, struct cel_expr *expr)
{
	unsigned chain = 0;
	while (expr && (parser_at(parser, '.') || parser_at(parser, '['))) {
		if (++chain + parser->depth > CEL_MAX_DEPTH)
			return too_deep(parser);
		expr = parser_at(parser, '.') ? parse_selection(parser, expr) : parse_index(parser, expr);
	}
	return expr;
}

static struct cel_expr *parse_unary(struct cel_parser *parser)
{
	uint32_t offset = parser->token.offset;
	char sign = parser_at(parser, '!') ? '!' : parser_at(parser, '-') ? '-' : 0;
	unsigned count = 0;
	struct cel_expr *operand = NULL;
	for (; sign && parser_at(parser, sign); count++) {
		parser_next(parser);
		enum cel_token_kind kind = parser->token.kind;
		if (sign == '-' && (kind == CEL_TOKEN_INT || kind == CEL_TOKEN_FLOAT)) {
			operand = parser_number(parser, offset, true);
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
		parser_next(parser);
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
		parser_push(parser, &chain.terms, term);
		if (parser->token.kind != kind)
			break;
		if (chain.capacity < chain.terms.capacity) {
			chain.offsets = arena_realloc(parser->arena, chain.offsets, chain.capacity * sizeof(uint32_t),
			                              chain.terms.capacity * sizeof(uint32_t));
			chain.capacity = chain.terms.capacity;
		}
		chain.offsets[chain.terms.count - 1] = parser->token.offset;
		parser_next(parser);
	}
	return balance(parser, kind == CEL_TOKEN_OR ? "_||_" : "_&&_", &chain, 0, chain.terms.count - 1);
}

static struct cel_expr *parse_conditional(struct cel_parser *parser)
{
	struct pointers args = {0};
	struct cel_expr *condition = parse_logic(parser, CEL_TOKEN_OR), *yes, *no;
	uint32_t offset = parser->token.offset;
	if (!condition || !parser_accept(parser, '?'))
		return condition;
	if (!(yes = parse_logic(parser, CEL_TOKEN_OR)) || !parser_expect(parser, ':') ||
	    !(no = parser_expression(parser)))
		return NULL;
	parser_push(parser, &args, condition);
	parser_push(parser, &args, yes);
	parser_push(parser, &args, no);
	return make_call(parser, offset, "_?_:_", NULL, &args);
}

struct cel_expr *parser_expression(struct cel_parser *parser)
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
		parser_syntax_error(parser, "<EOF>");
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
	parser_next(&parser);
	struct cel_expr *expr = parser_expression(&parser);
	if (expr && parser.token.kind != CEL_TOKEN_END)
		refuse_rest(&parser);
	*ret_nodes = parser.nodes;
	return issues->count == 0 && !parser.failed ? expr : NULL;
}
