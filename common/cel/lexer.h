// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tokens of an expression.

#include "common/cel/ast.h"

enum cel_token_kind {
	CEL_TOKEN_END,
	CEL_TOKEN_IDENT,
	CEL_TOKEN_ESCAPED_IDENT, // `in backquotes`
	CEL_TOKEN_INT,
	CEL_TOKEN_UINT,
	CEL_TOKEN_FLOAT,
	CEL_TOKEN_STRING,
	CEL_TOKEN_BYTES,
	CEL_TOKEN_TRUE,
	CEL_TOKEN_FALSE,
	CEL_TOKEN_NULL,
	CEL_TOKEN_IN,
	CEL_TOKEN_EQUAL,
	CEL_TOKEN_NOT_EQUAL,
	CEL_TOKEN_LESS,
	CEL_TOKEN_LESS_EQUAL,
	CEL_TOKEN_GREATER,
	CEL_TOKEN_GREATER_EQUAL,
	CEL_TOKEN_AND,
	CEL_TOKEN_OR,
	CEL_TOKEN_PUNCTUATION, // one character: []{}().,-!?:+*/%
};

struct cel_token {
	enum cel_token_kind kind;
	char character; // of a CEL_TOKEN_PUNCTUATION
	uint32_t offset;
	uint32_t length;
};

// The token at or after `offset`. Characters that begin none are issues and skipped.
struct cel_token cel_lex(struct cel_issues *issues, uint32_t offset);

// The content of a string or bytes token, escapes resolved, in the arena; false and an issue when an escape is wrong.
bool cel_unquote(struct cel_issues *issues, const struct cel_token *token, struct cel_text *ret_text);
