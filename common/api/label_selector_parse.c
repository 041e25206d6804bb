// SPDX-License-Identifier: Apache-2.0
//
// The text form of label selectors:
//
//   selector    = [ requirement { "," requirement } [ "," ] ]
//   requirement = [ "!" ] KEY | KEY ( "=" | "==" | "!=" ) [ VALUE ]
//               | KEY ( ">" | "<" ) VALUE | KEY ( "in" | "notin" ) "(" values ")"
//
// Read with one token of look-ahead. As upstream, "in" and "notin" are words
// like others where a key or value stands, values may be empty, and the texts of
// errors say what was found.
#include <string.h>

#include "common/api/label_selector_internal.h"

enum token_type {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_COMMA,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_NOT,
	TOKEN_OPERATOR,
};

struct token {
	enum token_type type;
	enum label_operator relation; // TOKEN_OPERATOR
	const char *text;
	size_t length;
};

struct parser {
	struct arena *arena;
	const char *cursor;
	struct token next;
	struct label_selector *selector;
	const char **values; // of the requirement being read: sorted, unique
	size_t value_count;
	size_t value_capacity;
	struct err *err;
};

static bool is_special(char character)
{
	return character && strchr("=!(),><", character);
}

static bool is_blank(char character)
{
	return character && strchr(" \t\r\n", character);
}

static struct token scan_special(const char *text)
{
	static const struct token rows[] = {
	        // Longer ones first.
	        {TOKEN_OPERATOR, LABEL_DOUBLE_EQUALS, "==", 2},
	        {TOKEN_OPERATOR, LABEL_NOT_EQUALS, "!=", 2},
	        {TOKEN_OPERATOR, LABEL_EQUALS, "=", 1},
	        {TOKEN_OPERATOR, LABEL_GREATER, ">", 1},
	        {TOKEN_OPERATOR, LABEL_LESS, "<", 1},
	        {TOKEN_COMMA, 0, ",", 1},
	        {TOKEN_OPEN, 0, "(", 1},
	        {TOKEN_CLOSE, 0, ")", 1},
	        {TOKEN_NOT, 0, "!", 1},
	};
	size_t row = 0;
	while (strncmp(text, rows[row].text, rows[row].length) != 0)
		row++;
	return rows[row];
}

static void advance(struct parser *parser)
{
	while (is_blank(*parser->cursor))
		parser->cursor++;
	const char *start = parser->cursor;
	if (!*start) {
		parser->next = (struct token){.type = TOKEN_END, .text = ""};
	} else if (is_special(*start)) {
		parser->next = scan_special(start);
	} else {
		size_t length = 0;
		while (start[length] && !is_special(start[length]) && !is_blank(start[length]))
			length++;
		parser->next = (struct token){.type = TOKEN_WORD, .text = start, .length = length};
	}
	parser->cursor += parser->next.length;
}

static struct token consume(struct parser *parser)
{
	struct token token = parser->next;
	advance(parser);
	return token;
}

static int found(struct parser *parser, const struct token *token, const char *expected)
{
	return err_set(parser->err, ERR_BAD_REQUEST, "found '%.*s'%s", (int)token->length, token->text, expected);
}

// Inserts in order, once.
static void add_value(struct parser *parser, const char *text, size_t length)
{
	char *value = arena_strndup(parser->arena, text, length);
	size_t low = 0, high = parser->value_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(parser->values[middle], value);
		if (order == 0)
			return;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (parser->value_count == parser->value_capacity) {
		size_t capacity = parser->value_capacity ? parser->value_capacity * 2 : 4;
		parser->values = arena_realloc(parser->arena, parser->values, parser->value_capacity * sizeof(char *),
		                               capacity * sizeof(char *));
		parser->value_capacity = capacity;
	}
	memmove(parser->values + low + 1, parser->values + low, (parser->value_count - low) * sizeof(char *));
	parser->values[low] = value;
	parser->value_count++;
}

// Behind "(" up to, not including, ")".
static int parse_value_list(struct parser *parser)
{
	for (;;) {
		struct token token = consume(parser);
		if (token.type == TOKEN_WORD) {
			add_value(parser, token.text, token.length);
			if (parser->next.type == TOKEN_CLOSE)
				return 0;
			if (parser->next.type != TOKEN_COMMA)
				return found(parser, &parser->next, ", expected: ',' or ')'");
		} else if (token.type == TOKEN_COMMA) {
			if (!parser->value_count)
				add_value(parser, "", 0);
			if (parser->next.type == TOKEN_CLOSE) {
				add_value(parser, "", 0);
				return 0;
			}
			if (parser->next.type == TOKEN_COMMA) {
				advance(parser);
				add_value(parser, "", 0);
			}
		} else {
			return found(parser, &token, ", expected: ',', or identifier");
		}
	}
}

static int parse_values(struct parser *parser)
{
	struct token token = consume(parser);
	if (token.type != TOKEN_OPEN)
		return found(parser, &token, " expected: '('");
	if (parser->next.type == TOKEN_CLOSE) {
		add_value(parser, "", 0);
	} else if (parser->next.type == TOKEN_WORD || parser->next.type == TOKEN_COMMA) {
		struct token first = parser->next;
		int code = parse_value_list(parser);
		if (code)
			return code;
		if (parser->next.type != TOKEN_CLOSE)
			return found(parser, &first, ", expected: ')'");
	} else {
		return found(parser, &parser->next, ", expected: ',', ')' or identifier");
	}
	advance(parser);
	return 0;
}

static int parse_exact_value(struct parser *parser)
{
	if (parser->next.type == TOKEN_END || parser->next.type == TOKEN_COMMA) {
		add_value(parser, "", 0);
		return 0;
	}
	struct token token = consume(parser);
	if (token.type != TOKEN_WORD)
		return found(parser, &token, ", expected: identifier");
	add_value(parser, token.text, token.length);
	return 0;
}

static bool is_word(const struct token *token, const char *word)
{
	return token->type == TOKEN_WORD && token->length == strlen(word) &&
	       memcmp(token->text, word, token->length) == 0;
}

static int parse_operator(struct parser *parser, enum label_operator *ret_operator)
{
	struct token token = consume(parser);
	if (is_word(&token, "in"))
		*ret_operator = LABEL_IN;
	else if (is_word(&token, "notin"))
		*ret_operator = LABEL_NOT_IN;
	else if (token.type == TOKEN_OPERATOR)
		*ret_operator = token.relation;
	else
		return found(parser, &token, ", expected: in, notin, =, ==, !=, gt, lt");
	return 0;
}

static int parse_requirement(struct parser *parser)
{
	struct token token = consume(parser);
	bool negated = token.type == TOKEN_NOT;
	if (negated)
		token = consume(parser);
	if (token.type != TOKEN_WORD)
		return found(parser, &token, ", expected: identifier");
	const char *key = arena_strndup(parser->arena, token.text, token.length);
	int code = label_key_check(key, "<nil>", parser->err);
	enum label_operator relation = negated ? LABEL_DOES_NOT_EXIST : LABEL_EXISTS;
	parser->value_count = 0;
	// Behind "!a" stands nothing more; the caller refuses "!a=b" for what follows.
	if (!code && !negated && parser->next.type != TOKEN_END && parser->next.type != TOKEN_COMMA) {
		code = parse_operator(parser, &relation);
		if (!code && (relation == LABEL_IN || relation == LABEL_NOT_IN))
			code = parse_values(parser);
		else if (!code)
			code = parse_exact_value(parser);
	}
	if (code)
		return code;
	return label_selector_add(parser->arena, parser->selector, key, relation, parser->values, parser->value_count,
	                          parser->err);
}

static int parse_selector(struct parser *parser)
{
	while (parser->next.type != TOKEN_END) {
		if (parser->next.type != TOKEN_WORD && parser->next.type != TOKEN_NOT)
			return found(parser, &parser->next, ", expected: !, identifier, or 'end of string'");
		int code = parse_requirement(parser);
		if (code) {
			err_wrap(parser->err, "unable to parse requirement");
			return code;
		}
		struct token behind = consume(parser);
		if (behind.type == TOKEN_END)
			return 0;
		if (behind.type != TOKEN_COMMA)
			return found(parser, &behind, ", expected: ',' or 'end of string'");
		if (parser->next.type != TOKEN_WORD && parser->next.type != TOKEN_NOT)
			return found(parser, &parser->next, ", expected: identifier after ','");
	}
	return 0;
}

int label_selector_parse(struct arena *arena, const char *text, struct label_selector **ret_selector, struct err *err)
{
	struct parser parser = {
	        .arena = arena,
	        .cursor = text,
	        .selector = ARENA_NEW(arena, struct label_selector),
	        .err = err,
	};
	advance(&parser);
	int code = parse_selector(&parser);
	if (code)
		return code;
	label_selector_finish(parser.selector);
	*ret_selector = parser.selector;
	return 0;
}
