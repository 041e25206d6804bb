// SPDX-License-Identifier: Apache-2.0
#pragma once
// The structural schemas of custom resources at run time. A definition's
// openAPIV3Schema becomes a tree of nodes; each node is a table for the engine
// (struct schema_type: apply, patches, columns) and has beside it what only custom
// resources need: defaults, pruning, and the rules of validation.
//
// A tree lives in one arena and is immutable once it is built. Values are JSON
// trees; nothing here knows of requests.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/decode.h"
#include "common/api/json.h"
#include "common/api/schema.h"

enum structural_type {
	STRUCTURAL_NONE, // no type is said
	STRUCTURAL_OBJECT,
	STRUCTURAL_ARRAY,
	STRUCTURAL_STRING,
	STRUCTURAL_INTEGER,
	STRUCTURAL_NUMBER,
	STRUCTURAL_BOOLEAN,
};

enum structural_additional {
	STRUCTURAL_ADDITIONAL_NONE,
	STRUCTURAL_ADDITIONAL_ANY,    // additionalProperties: true
	STRUCTURAL_ADDITIONAL_SCHEMA, // of this schema
};

struct structural;

// Regular expressions of RE2's syntax are another library's matter.
struct structural_patterns {
	// Into the arena; NULL with the compiler's words.
	const void *(*compile)(struct arena *arena, const char *text, struct err *err);
	bool (*matches)(const void *pattern, const char *text, size_t length);
};

struct structural_property {
	const char *name;
	uint32_t length;
	struct structural *node;
};

enum structural_bounds {
	STRUCTURAL_MAXIMUM = 1 << 0,
	STRUCTURAL_MINIMUM = 1 << 1,
	STRUCTURAL_EXCLUSIVE_MAXIMUM = 1 << 2,
	STRUCTURAL_EXCLUSIVE_MINIMUM = 1 << 3,
	STRUCTURAL_MULTIPLE_OF = 1 << 4,
	STRUCTURAL_MAX_LENGTH = 1 << 5,
	STRUCTURAL_MIN_LENGTH = 1 << 6,
	STRUCTURAL_MAX_ITEMS = 1 << 7,
	STRUCTURAL_MIN_ITEMS = 1 << 8,
	STRUCTURAL_MAX_PROPERTIES = 1 << 9,
	STRUCTURAL_MIN_PROPERTIES = 1 << 10,
};

struct structural_nodes {
	const struct structural **items;
	uint32_t count;
};

// What a value must fulfil besides its type. Most nodes have none.
struct structural_rules {
	uint32_t bounds; // which of these are set
	double maximum, minimum, multiple_of;
	int64_t max_length, min_length, max_items, min_items, max_properties, min_properties;
	const struct structural_format *format; // NULL: none, or one that is not checked
	const char *format_name;                // as the schema spells it
	const char *pattern_text;
	const void *pattern; // compiled, NULL = none
	const struct structural_patterns *patterns;
	const struct json *enumeration; // array, NULL = none
	const char *const *required;    // NULL-terminated, NULL = none
	struct structural_nodes all_of, any_of, one_of;
	const struct structural *none_of; // not
};

// Where a root's schema can be read again, as it was declared.
struct structural_source {
	// In the arena; NULL = there is none.
	const struct json *(*load)(const struct structural_source *source, struct arena *arena);
};

struct structural {
	struct schema_type type; // what the engine walks
	uint8_t value_type;      // enum structural_type
	uint8_t additional;      // enum structural_additional
	uint8_t list_type;       // enum schema_list_type
	bool root;               // the custom resource itself
	bool nullable;
	bool int_or_string;
	bool preserve_unknown;
	bool embedded;
	bool has_defaults;    // here or below
	bool has_expressions; // here or below
	uint32_t property_count;
	struct structural_property *properties; // sorted by name
	const struct structural *items;
	const struct structural *element; // of additionalProperties
	const char *const *list_keys;     // NULL-terminated
	const struct json *default_value; // NULL = none
	const struct structural_rules *rules;
	// x-kubernetes-validations, NULL = none, and what their compiler keeps with them.
	const struct json *expressions;
	const void *programs;
	const struct structural_source *source; // of the root, for documents; may be NULL
};

// Builds the nodes of a schema (the JSON of openAPIV3Schema) that has passed validation;
// what it can't use it leaves out. `schema` isn't kept. The root's type name, group and
// version are the caller's to set.
struct structural *structural_build(struct arena *arena, const struct json *schema,
                                    const struct structural_patterns *patterns);

const struct structural *structural_property(const struct structural *node, const char *name, size_t length);
// The node of an object's member: its property or the additional properties' node. NULL = none.
const struct structural *structural_member(const struct structural *node, const char *name, size_t length);

// --- decoding ------------------------------------------------------------------------

// As schema_normalize: metadata (of embedded objects too) is checked and brought to its form, unknown
// fields fall out and are noted. Wrong types elsewhere are validation's matter. `drop_invalid`: metadata that can't be
// read falls out instead of being an error (stored objects).
NODISCARD int structural_normalize(struct arena *arena, const struct structural *root, struct json *value,
                                   bool drop_invalid, struct decode_issues *issues, struct err *err);
// Unknown fields alone, silently.
void structural_prune(const struct structural *root, struct json *value);
// Nulls where none may be fall out, then defaults are set. Idempotent.
void structural_default(struct arena *arena, const struct structural *root, struct json *value);
// True when pruning and defaulting would leave the value as it is.
bool structural_is_settled(const struct structural *root, const struct json *value);

// --- validation ----------------------------------------------------------------------

struct structural_error {
	const char *reason; // "FieldValueInvalid"
	const char *field;
	const char *message;
};

struct structural_errors {
	struct structural_error *items;
	uint32_t count;
	uint32_t capacity;
};

void structural_error_add(struct arena *arena, struct structural_errors *errors, const char *reason, const char *field,
                          const char *message);

// Types and rules. `old` (NULL: none): what the value replaces; errors in parts that are as they were are forgiven.
void structural_validate(struct arena *arena, const struct structural *root, const struct json *value,
                         const struct json *old, struct structural_errors *errors);
// The same below a path ("spec.replicas"), for defaults.
void structural_validate_at(struct arena *arena, const struct structural *node, const char *path,
                            const struct json *value, struct structural_errors *errors);
// Duplicates in lists that are sets or maps.
void structural_validate_lists(struct arena *arena, const struct structural *root, const struct json *value,
                               struct structural_errors *errors);

// The old value of a list's item, by its keys; NULL = none, or not that kind of list.
const struct json *structural_old_item(const struct structural *list, const struct json *old, const struct json *item);

// --- parts ---------------------------------------------------------------------------

// NULL when the format isn't checked.
const struct structural_format *structural_format_find(const char *name);
bool structural_format_matches(const struct structural_format *format, const char *text, size_t length);

// As Go prints values of unstructured documents with %#v: map[string]interface {}{"a":1}.
void structural_write_go(struct strbuf *out, const struct json *value);
// Numbers as Go's %v: 1.5, 1e+21.
void structural_write_double(struct strbuf *out, double number);
// A number of either kind; false for anything else.
bool structural_number(const struct json *value, double *ret_number);
