// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parser's state, for its two files.

#include "common/cel/regex_internal.h"

enum regex_flags {
	FLAG_FOLD = 1 << 0,
	FLAG_MULTILINE = 1 << 1,
	FLAG_DOT_NEWLINE = 1 << 2,
	FLAG_UNGREEDY = 1 << 3,
};

struct regex_parser {
	struct arena *arena;
	const char *at, *end;
	const char *pattern;
	const char *quoted_end; // of \Q…\E, NULL = not inside
	unsigned flags;
	unsigned depth;
	struct err *err;
	bool failed;
};

// Notes the first error, with the part of the pattern that it is about. Returns NULL.
void *regex_fail(struct regex_parser *parser, const char *what, const char *from, const char *to);
struct regex_node *regex_node_new(struct regex_parser *parser, enum regex_node_kind kind);

// [ ] and what stands for a class by itself: \d \s \w \p, with `at` on the backslash; false when it is none of them.
struct regex_node *regex_parse_class(struct regex_parser *parser);
bool regex_parse_class_escape(struct regex_parser *parser, struct rune_class *class);
// The character that a backslash stands for; false when the escape is wrong.
bool regex_parse_escape(struct regex_parser *parser, uint32_t *ret_rune);
void regex_add_range(struct regex_parser *parser, struct rune_class *class, uint32_t low, uint32_t high);
