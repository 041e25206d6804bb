// SPDX-License-Identifier: Apache-2.0
#pragma once
// The functions of the language and of Kubernetes' libraries: tables of overloads, each
// with the types it takes, the C function that does it and the rule for its cost.
//
// Signatures are written with one character a simple type:
//   n null  b bool  i int  u uint  d double  s string  y bytes  t timestamp  r duration  * dyn
//   A B type variables  [T list  {KV map  ?T optional  @T type
//   U URL  I IP  C CIDR  Q quantity  V semver  F named format
//   Z authorizer  P path check  G group check  R resource check  E decision
// then the result after '>'; a '.' after the first type makes it a receiver: "s.s>b".

#include "common/cel/ast.h"
#include "common/cel/types.h"

struct cel_eval;

typedef struct cel_value cel_function(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                      unsigned count);

// What a call costs beyond its arguments; cost.c and estimate.c have a row for each.
enum cel_cost_rule {
	CEL_COST_ONE,
	CEL_COST_PREFIX,     // startsWith, endsWith
	CEL_COST_TRAVERSE,   // all of the first operand's text
	CEL_COST_TRAVERSE_2, // twice
	CEL_COST_IN_LIST,
	CEL_COST_COMPARE, // the shorter of both
	CEL_COST_EQUAL,   // the same; one unit for library types
	CEL_COST_ADD_TEXT,
	CEL_COST_ADD_LIST,
	CEL_COST_MATCHES,
	CEL_COST_FIND, // the same, yielding texts
	CEL_COST_CONTAINS,
	CEL_COST_LIST_SCAN, // every element
	CEL_COST_TEXT_SCAN, // the same as TRAVERSE, yielding a text of that size
	CEL_COST_TO_BYTES,
	CEL_COST_TO_TEXT,
	CEL_COST_QUOTE,
	CEL_COST_REPLACE,
	CEL_COST_SPLIT,
	CEL_COST_JOIN,
	CEL_COST_CONTAINS_IP,
	CEL_COST_CONTAINS_IP_TEXT,
	CEL_COST_CONTAINS_CIDR,
	CEL_COST_CONTAINS_CIDR_TEXT,
	CEL_COST_VALIDATE,
	CEL_COST_SETS,   // both lists multiplied
	CEL_COST_SETS_2, // the same, both ways
	CEL_COST_CHECK,  // asking the authorizer
	CEL_COST_SELECTOR,
	CEL_COST_COUNT_,
};

struct cel_function_row {
	const char *function; // "_+_", "startsWith", "optional.of"
	const char *signature;
	cel_function *call;
	enum cel_cost_rule cost;
	uint16_t since;  // enum cel_version, 0 = always
	bool mutation;   // only for mutating policies
	bool any_kinds;  // the function judges its operands itself
	bool conversion; // of a literal is done when compiling
	bool by_name;    // its cost rule holds even when the overload is only known at run time
};

struct cel_library {
	const struct cel_function_row *rows;
	size_t count;
};
#define CEL_LIBRARY(table)                                  \
	{                                                   \
		.rows = (table), .count = ARRAY_SIZE(table) \
	}

enum { CEL_MAX_PARAMS = 4 };

struct cel_overload {
	const struct cel_function_row *row;
	const struct cel_type *params[CEL_MAX_PARAMS]; // the receiver first
	unsigned param_count;
	const struct cel_type *result;
	bool member;
	bool generic;                    // has type variables
	uint32_t kinds[CEL_MAX_PARAMS];  // accepted at run time, bits by enum cel_kind
	const struct cel_overload *next; // of the same function, in the table's order
};

// The first overload of a function, NULL = no such function.
const struct cel_overload *cel_library_find(const char *function);
// Whether a value may stand for a parameter.
bool cel_overload_accepts(const struct cel_overload *overload, const struct cel_value *args, unsigned count);

extern const struct cel_library cel_library_operators, cel_library_compare, cel_library_convert, cel_library_text,
        cel_library_time, cel_library_strings, cel_library_lists, cel_library_sets, cel_library_optional,
        cel_library_regex, cel_library_url, cel_library_ip, cel_library_cidr, cel_library_quantity, cel_library_semver,
        cel_library_format, cel_library_authorizer, cel_library_maps;
