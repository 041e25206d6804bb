// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parsed and the compiled form of a regular expression.

#include "common/cel/regex.h"

enum { CEL_RUNE_MAX = 0x10ffff, CEL_RUNE_BAD = 0xfffd };

struct rune_range {
	uint32_t low, high;
};

// Characters of Unicode's general categories, judged by the C library.
enum rune_property {
	RUNE_LETTER,
	RUNE_UPPER,
	RUNE_LOWER,
	RUNE_DIGIT,
	RUNE_PUNCTUATION,
	RUNE_SPACE,
	RUNE_CONTROL,
};

struct rune_class {
	struct rune_range *ranges; // sorted when the class is done
	size_t count, capacity;
	uint32_t properties; // bits by enum rune_property
	uint32_t excluded;   // bits of properties that count where they are not
	bool negated;
};

bool rune_class_has(const struct rune_class *class, uint32_t rune);
bool rune_has_property(uint32_t rune, enum rune_property property);
uint32_t rune_fold_upper(uint32_t rune);
uint32_t rune_fold_lower(uint32_t rune);
// The character at `text`; malformed bytes count as one CEL_RUNE_BAD each. `length` > 0.
size_t rune_decode(const char *text, size_t length, uint32_t *ret_rune);

enum regex_node_kind {
	REGEX_EMPTY,
	REGEX_RUNE,
	REGEX_CLASS,
	REGEX_ASSERT,
	REGEX_CONCAT,
	REGEX_ALTERNATE,
	REGEX_REPEAT,
};

enum regex_assertion {
	ASSERT_TEXT_BEGIN,
	ASSERT_TEXT_END,
	ASSERT_LINE_BEGIN,
	ASSERT_LINE_END,
	ASSERT_WORD,
	ASSERT_NO_WORD,
};

struct regex_node {
	enum regex_node_kind kind;
	uint32_t rune;
	bool fold; // of REGEX_RUNE
	bool lazy;
	int minimum, maximum; // of REGEX_REPEAT; maximum -1 = no end
	enum regex_assertion assertion;
	struct rune_class *class;
	struct regex_node *left, *right; // of CONCAT and ALTERNATE; REPEAT has left
};

int regex_parse(struct arena *arena, const char *pattern, size_t length, struct regex_node **ret_root, struct err *err);

enum regex_op {
	OP_RUNE,
	OP_CLASS,
	OP_ASSERT,
	OP_SPLIT, // first x, then y
	OP_JUMP,
	OP_MATCH,
};

struct regex_step {
	enum regex_op op;
	uint32_t rune, folded; // OP_RUNE: either of both
	uint32_t x, y;
	const struct rune_class *class;
};

struct cel_regex {
	struct regex_step *steps;
	uint32_t count;
	const char *prefix; // every match begins with these bytes
	size_t prefix_length;
	bool anchored; // begins with \A
};
