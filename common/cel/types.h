// SPDX-License-Identifier: Apache-2.0
#pragma once
// What types are made of, for the rest of the library: see cel.h for making them.

#include "common/cel/cel.h"

enum cel_type_kind {
	CEL_TYPE_DYN,
	CEL_TYPE_NULL,
	CEL_TYPE_BOOL,
	CEL_TYPE_INT,
	CEL_TYPE_UINT,
	CEL_TYPE_DOUBLE,
	CEL_TYPE_STRING,
	CEL_TYPE_BYTES,
	CEL_TYPE_TIMESTAMP,
	CEL_TYPE_DURATION,
	CEL_TYPE_LIST,
	CEL_TYPE_MAP,
	CEL_TYPE_OBJECT,
	CEL_TYPE_TYPE,
	CEL_TYPE_OPAQUE, // library types and optional_type
	CEL_TYPE_PARAM,  // a type variable: of a signature (index < 2), or of the checker
	CEL_TYPE_ERROR,  // of what was reported already
};

enum cel_list_kind {
	CEL_LIST_ATOMIC,
	CEL_LIST_SET, // equal in any order
	CEL_LIST_MAP, // the same, members found by their keys
};

struct cel_field {
	const char *name; // escaped
	size_t name_length;
	const char *json_name;
	size_t json_name_length;
	const struct cel_type *type;
};

struct cel_type {
	enum cel_type_kind kind;
	const char *name;                 // what type values and messages call it
	const struct cel_type *params[2]; // element; key and value
	unsigned param_count;
	unsigned index;           // of a CEL_TYPE_PARAM
	struct cel_field *fields; // CEL_TYPE_OBJECT
	size_t field_count;
	size_t field_capacity;
	int64_t max_elements; // the longest it can be in a request; 0 when it has no length
	int64_t min_size;     // the fewest bytes of JSON
	enum cel_list_kind list_kind;
	const char *const *list_keys; // NULL-terminated JSON names, for CEL_LIST_MAP
	size_t list_key_count;
	bool null_is_absent; // a field whose value is null isn't there (custom resources)
	bool int_or_string;  // dyn that is an integer or a text
	bool open;           // an object of mutating policies: every field is there, as dyn
	bool date;           // a timestamp that is a date alone
};

extern const struct cel_type cel_type_error, cel_type_type, cel_type_param_a, cel_type_param_b, cel_type_list_dyn,
        cel_type_map_dyn, cel_type_optional_dyn, cel_type_json_patch;
extern const struct cel_type cel_type_url, cel_type_ip, cel_type_cidr, cel_type_quantity, cel_type_semver,
        cel_type_named_format, cel_type_path_check, cel_type_group_check, cel_type_decision;

static inline bool cel_type_is_dyn(const struct cel_type *type)
{
	return type->kind == CEL_TYPE_DYN || type->kind == CEL_TYPE_ERROR;
}
bool cel_type_is_optional(const struct cel_type *type);
// The value of an optional type, or the type itself.
const struct cel_type *cel_type_unwrap(const struct cel_type *type);

// By escaped name; NULL = no such field.
const struct cel_field *cel_type_find_field(const struct cel_type *object, const char *name, size_t length);

// Derived types in any arena.
struct cel_type *cel_type_make(struct arena *arena, enum cel_type_kind kind, const char *name,
                               const struct cel_type *first, const struct cel_type *second);
const struct cel_type *cel_type_make_list(struct arena *arena, const struct cel_type *element);
const struct cel_type *cel_type_make_map(struct arena *arena, const struct cel_type *key, const struct cel_type *value);
const struct cel_type *cel_type_make_optional(struct arena *arena, const struct cel_type *value);
const struct cel_type *cel_type_make_type(struct arena *arena, const struct cel_type *of);
