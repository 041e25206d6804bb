// SPDX-License-Identifier: Apache-2.0
#pragma once
// The model that the schema texts are read into, and the steps of the generator:
// parse every file, resolve and check the whole, then write tables and views.
// Everything lives in one arena until the program ends.

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/strbuf.h"

struct location {
	const char *file;
	int line;
};

struct words {
	char **items;
	size_t count;
};

enum expression_kind {
	EXPRESSION_SCALAR, // a built-in type
	EXPRESSION_STRUCT,
	EXPRESSION_ALIAS, // a named list or raw type
	EXPRESSION_LIST,
	EXPRESSION_MAP,
	EXPRESSION_RAW, // raw<T>
};

struct scalar {
	const char *name;     // in schema texts
	const char *symbol;   // schema_type_<symbol>
	const char *c_type;   // of a value in a view
	const char *stem;     // of its array and map structs
	bool pointer_is_same; // *T has the same member as T: NULL says absent
	bool always_written;  // not left out when zero, as Go's omitempty on a struct
};

struct expression {
	enum expression_kind kind;
	const char *text; // as written, for messages
	const struct scalar *scalar;
	struct type *type;               // struct or alias
	struct enumeration *enumeration; // of a scalar string
	struct expression *element;
};

struct enumeration {
	struct location at;
	struct package *package;
	const char *name;
	const char **values;
	size_t count;
	bool open; // the text ends in "...": other values may come
	bool used;
	const char *doc;
};

struct field {
	struct location at;
	const char *json_name; // "" for inline
	const char *member;    // in the view
	int number;            // 0 = not in protobuf
	const char *type_text;
	bool pointer;
	struct expression *expression;
	const char *list_type; // "atomic", "set", "map", NULL
	struct words list_keys;
	const char *patch_key;
	const char *default_json;
	const char *gate;
	const char *doc;
	unsigned flags; // SCHEMA_* names by bit, see table of attributes
	bool always;    // written even when empty
	bool required;
	bool omit_empty;
	bool inlined; // a flattened copy
};

struct type {
	struct location at;
	struct package *package;
	const char *name;
	const char *c_name;
	const char *alias_text; // NULL for structs
	struct expression *alias;
	bool is_kind;
	bool atomic;
	bool in_list;
	bool in_map;
	struct field *fields;
	size_t field_count;
	struct field *flat; // with inlined structs expanded
	size_t flat_count;
	int order_state;
	const char *doc;
};

struct subresource {
	struct location at;
	const char *name;
	const char *body_text;
	struct type *body;
	struct words verbs;
	bool stream;
};

struct column {
	struct location at;
	const char *name, *type, *format;
	bool wide;
	const char *doc;
};

struct selectable {
	const char *label, *path;
};

struct resource {
	struct location at;
	struct package *package;
	const char *plural, *kind_name, *c_name;
	struct type *type;
	bool namespaced;
	struct words names, categories, verbs, generation;
	bool generation_set, generation_on_create;
	bool create_on_update, unconditional_update;
	const char *list_kind, *storage, *storage_as, *storage_hash;
	const char *storage_group, *storage_version;
	const char *deprecated, *gate, *doc;
	struct subresource *subresources;
	size_t subresource_count;
	struct column *columns;
	size_t column_count;
	struct selectable *selectables;
	size_t selectable_count;
};

struct package {
	const char *file;
	const char *group, *version; // version "" for packages without one
	const char *openapi;         // "io.k8s.api.core.v1"
	const char *short_name;      // "core_v1"
	const char *reference;       // "core/v1", as other packages name it
	bool off;
	struct type **types;
	size_t type_count;
	struct enumeration **enums;
	size_t enum_count;
	struct resource **resources;
	size_t resource_count;
	struct package **uses;
	size_t use_count;
};

struct model {
	struct arena *arena;
	struct package **packages;
	size_t package_count;
	int errors; // printed so far
};

// Prints "file:line: message" and counts it.
void model_error(struct model *model, struct location at, const char *format, ...) PRINTF_LIKE(3, 4);

// Appends `value` to a growing array of the model's arena.
#define MODEL_APPEND(model, array, count, value)                                                     \
	do {                                                                                         \
		if (((count) & ((count)-1)) == 0)                                                    \
			(array) = arena_realloc((model)->arena, (array), (count) * sizeof(*(array)), \
			                        ((count) ? (count)*2 : 1) * sizeof(*(array)));       \
		(array)[(count)++] = (value);                                                        \
	} while (0)

// parse.c: one file into a new package.
NODISCARD int parse_file(struct model *model, const char *path, struct err *err);

// names.c
const char *snake_case(struct arena *arena, const char *name);  // podIPs → pod_ips
const char *member_name(struct arena *arena, const char *name); // the same, clear of C's keywords
const struct scalar *scalar_find(const char *name);             // NULL = none
const struct scalar *scalar_at(size_t index);                   // NULL past the end
bool words_contain(const struct words *words, const char *word);

// resolve.c: references, list types, flattening; errors are counted in the model.
void resolve(struct model *model);

// documentation.c: the texts that mean the same everywhere, before structs are
// flattened; and, at the end, what has none.
void documentation_supply(struct model *model, struct package *package);
void documentation_check(struct model *model, struct package *package);

// type_names.c: C spellings.
const char *value_c_type(struct arena *arena, const struct expression *expression);
const char *member_declaration(struct arena *arena, const struct field *field);
const char *stem_of(struct arena *arena, const struct expression *expression);
const char *table_symbol(struct arena *arena, const struct expression *expression);

// emit_views.c, emit_tables.c
void emit_views(struct model *model, struct package *package, struct strbuf *out);
void emit_tables(struct model *model, struct strbuf *out);
