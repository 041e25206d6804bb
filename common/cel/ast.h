// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tree of an expression, from the parser to the evaluator: the parser makes it
// (macros expanded), the checker adds types, variables and functions, the planner what
// evaluation needs. It lives in its program's arena and doesn't change afterwards.

#include "common/cel/cel.h"

struct cel_overload;
struct cel_regex;

enum cel_expr_kind {
	CEL_EXPR_LITERAL,
	CEL_EXPR_IDENT,
	CEL_EXPR_SELECT,
	CEL_EXPR_CALL,
	CEL_EXPR_LIST,
	CEL_EXPR_MAP,
	CEL_EXPR_MESSAGE,
	CEL_EXPR_FOLD, // a comprehension
};

// How the evaluator treats a call; CEL_CALL_FUNCTION goes by the overloads.
enum cel_call_kind {
	CEL_CALL_FUNCTION,
	CEL_CALL_AND,
	CEL_CALL_OR,
	CEL_CALL_CONDITIONAL,
	CEL_CALL_NOT_STRICTLY_FALSE,
	CEL_CALL_INDEX,
	CEL_CALL_OPTIONAL_INDEX,
	CEL_CALL_OPTIONAL_SELECT,
	CEL_CALL_OPTIONAL_OR,
	CEL_CALL_OPTIONAL_OR_VALUE,
	CEL_CALL_EQUAL,
	CEL_CALL_NOT_EQUAL,
};

struct cel_text {
	const char *text; // NUL-terminated
	size_t length;
};

struct cel_expr {
	uint8_t kind;    // enum cel_expr_kind
	bool constant;   // a literal list or map: made once
	bool test_only;  // has(…)
	bool absolute;   // the name began with a dot
	uint32_t offset; // in the source, in bytes
	uint32_t id;     // number of the node
	uint16_t depth;  // of the tree below
	bool checked, planned;
	bool in_format; // below a call of format: lists and maps may mix types
	const struct cel_type *type;
	union {
		struct cel_value literal;
		struct {
			struct cel_text name;
			int variable; // index in the bindings, -1 = none
			int local;    // slot of a fold's variable, -1 = none
			const struct cel_type *type_value;
		} ident;
		struct {
			struct cel_expr *operand;
			struct cel_text field;
			const struct cel_type *object; // of the field below
			const struct cel_field *declared;
		} select;
		struct {
			struct cel_text function;
			struct cel_expr *target; // NULL = no receiver
			struct cel_expr **args;
			uint32_t count;
			uint8_t call_kind; // enum cel_call_kind
			const struct cel_overload **overloads;
			uint32_t overload_count;
			struct cel_expr **operands; // the receiver and the arguments, for the evaluator
			uint32_t operand_count;
			const struct cel_regex *regex; // of a literal pattern
		} call;
		struct {
			struct cel_expr **items;
			bool *optional; // NULL = none is
			uint32_t count;
			struct cel_value made; // when constant
		} list;
		struct {
			struct cel_expr **keys;
			struct cel_expr **values;
			bool *optional;
			uint32_t *offsets;
			uint32_t count;
			struct cel_value made;
		} map;
		struct {
			struct cel_text name;
			struct cel_text *fields;
			struct cel_expr **values;
			bool *optional;
			uint32_t *offsets;
			uint32_t count;
		} message;
		struct {
			struct cel_expr *range, *init, *condition, *step, *result;
			struct cel_text variable, second, accumulator; // second.text NULL = one variable
			int variable_slot, second_slot, accumulator_slot;
			bool bind; // names a value, iterates over nothing
		} fold;
	};
};

// Limits of one expression.
enum {
	CEL_MAX_CODE_POINTS = 100000,
	CEL_MAX_DEPTH = 250,
	CEL_MAX_ERRORS = 100,
};

// Errors of one compilation, found in any order.
struct cel_issue {
	uint32_t offset;
	const char *message;
};

struct cel_issues {
	struct arena *arena;
	const char *source;
	size_t source_length;
	struct cel_issue list[CEL_MAX_ERRORS];
	size_t count;
};

void cel_issue(struct cel_issues *issues, uint32_t offset, const char *format, ...) PRINTF_LIKE(3, 4);
// All of them by place, with the line and a caret under it; in the arena.
char *cel_issues_format(const struct cel_issues *issues);

// Parses; NULL when there are issues. *ret_nodes: the number of nodes.
struct cel_expr *cel_parse(struct arena *arena, struct cel_issues *issues, uint32_t *ret_nodes);

// --- for the parser and its macros ---------------------------------------------------
struct cel_parser;
struct cel_expr *cel_expr_new(struct cel_parser *parser, enum cel_expr_kind kind, uint32_t offset);
// Notes a child for the limit on the tree's depth; `child` may be NULL.
void cel_expr_adopt(struct cel_parser *parser, struct cel_expr *parent, const struct cel_expr *child);
// The expansion of a macro call, or NULL when it is none. A wrong use is an issue.
struct cel_expr *cel_macro_expand(struct cel_parser *parser, struct cel_expr *call);
void cel_parser_issue(struct cel_parser *parser, uint32_t offset, const char *message);
struct arena *cel_parser_arena(struct cel_parser *parser);

extern const char cel_accumulator_name[]; // "@result"
extern const char cel_unused_name[];      // "#unused"
