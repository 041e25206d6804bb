// SPDX-License-Identifier: Apache-2.0
#pragma once
// Typed views: C structs generated from the schema, decoded from a JSON tree and
// encoded back. Layout of a member by its schema kind:
//
//   string, Quantity, Time, MicroTime, Duration   const char *           NULL = absent
//   int32, int64, bool, double                    the C type; with SCHEMA_POINTER `const T *`
//   bytes                                         struct bytes
//   IntOrString                                   struct int_or_string; or `const struct … *`
//   struct                                        the struct itself; with SCHEMA_POINTER `const struct … *`
//   list of T                                     struct <T>_array {items, count}   (string_array, …)
//   map to string-like / bytes / T                struct string_map, bytes_map, <T>_map {entries, count}
//   raw JSON                                      const struct json *
//
// So `pod->spec.containers.items[0].image`, as in upstream's Go. Everything a
// view points to lives in the arena that it was decoded into. A view of a
// daemon is for reading and for creating; to change an object, patch it: what
// the view doesn't know must survive.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"

struct bytes {
	const uint8_t *data; // NULL = absent
	size_t length;
};

struct int_or_string {
	bool is_string;
	int32_t integer;
	const char *text;
};

struct string_array {
	const char **items;
	size_t count;
};

struct int32_array {
	int32_t *items;
	size_t count;
};

struct int64_array {
	int64_t *items;
	size_t count;
};

struct json_array {
	const struct json **items;
	size_t count;
};

struct json_map_entry {
	const char *key;
	const struct json *value;
};

struct json_map {
	struct json_map_entry *entries;
	size_t count;
};

struct string_map_entry {
	const char *key;
	const char *value;
};

struct string_map {
	struct string_map_entry *entries;
	size_t count;
};

struct bytes_map_entry {
	const char *key;
	struct bytes value;
};

struct bytes_map {
	struct bytes_map_entry *entries;
	size_t count;
};

// Lists of texts by name (the extra attributes of a user).
struct string_array_map_entry {
	const char *key;
	struct string_array value;
};

struct string_array_map {
	struct string_array_map_entry *entries;
	size_t count;
};

// Decodes into `view` (type->view_size bytes, cleared here). Unknown fields are
// skipped; a value of a wrong type is an error naming its path, worded like Go's
// json ("json: cannot unmarshal string into Go struct field PodSpec.spec.x of type int32").
NODISCARD int view_decode(struct arena *arena, const struct schema_type *type, const struct json *value, void *view,
                          struct err *err);
// From text.
NODISCARD int view_decode_text(struct arena *arena, const struct schema_type *type, const char *text, size_t length,
                               void *view, struct err *err);

// Encodes: the omit-empty rules of the schema decide what is written.
struct json *view_to_json(struct arena *arena, const struct schema_type *type, const void *view);
void view_write(struct strbuf *out, const struct schema_type *type, const void *view);

// NULL = no such key.
const char *string_map_get(const struct string_map *map, const char *key);
// The same keys with the same values.
bool string_map_equal(const struct string_map *a, const struct string_map *b);
bool string_array_contains(const struct string_array *array, const char *text);
// Adds or replaces, in the arena.
void string_map_set(struct arena *arena, struct string_map *map, const char *key, const char *value);
