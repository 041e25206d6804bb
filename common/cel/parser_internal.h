// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parser's state, for its two files. Functions that return NULL or false have noted
// a syntax error.

#include "common/cel/lexer.h"

struct cel_parser {
	struct arena *arena;
	struct cel_issues *issues;
	struct cel_token token;
	unsigned depth;
	uint32_t nodes;
	bool failed; // a syntax error: unwinding
};

struct pointers {
	struct cel_expr **items;
	size_t count, capacity;
};

void parser_push(struct cel_parser *parser, struct pointers *list, struct cel_expr *item);

void parser_next(struct cel_parser *parser);
bool parser_at(const struct cel_parser *parser, char character);
bool parser_accept(struct cel_parser *parser, char character);
bool parser_expect(struct cel_parser *parser, char character);
struct cel_text parser_token_text(const struct cel_parser *parser);
struct cel_expr *parser_syntax_error(struct cel_parser *parser, const char *expected);

struct cel_expr *parser_expression(struct cel_parser *parser);
// A name after a dot or in a message: words in backquotes as well.
bool parser_field_name(struct cel_parser *parser, struct cel_text *ret_name);

// Literals (parser_literals.c); the current token begins them.
struct cel_expr *parser_literal(struct cel_parser *parser, uint32_t offset, struct cel_value value);
struct cel_expr *parser_number(struct cel_parser *parser, uint32_t offset, bool negative);
struct cel_expr *parser_text(struct cel_parser *parser);
struct cel_expr *parser_list(struct cel_parser *parser);
struct cel_expr *parser_map(struct cel_parser *parser);
struct cel_expr *parser_message(struct cel_parser *parser, struct cel_text name, bool absolute);
