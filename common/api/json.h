// SPDX-License-Identifier: Apache-2.0
#pragma once
// JSON on the API path: a strict, single-pass reader into an arena tree, a
// writer, and the small set of edits that patches and defaults need. Integers
// keep all 64 bits, other numbers keep their text; strings may hold NULs and are
// valid UTF-8. Nodes have stable addresses: growing a container never moves its
// values. (cJSON serves where documents are small and plain; see docs/.)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/strbuf.h"

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INTEGER, // fits int64_t and was written without fraction or exponent
	JSON_NUMBER,  // any other number: its text
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_member;

struct json {
	uint8_t type;      // enum json_type
	uint32_t length;   // bytes of text, or number of items or members
	uint32_t capacity; // of items or members
	union {
		bool boolean;
		int64_t integer;
		const char *text; // NUL-terminated past its length
		struct json **items;
		struct json_member *members; // in document order, keys unique
	};
};

struct json_member {
	const char *key; // NUL-terminated
	uint32_t key_length;
	struct json *value;
};

struct json_limits {
	unsigned max_depth; // 0 = 200
	size_t max_nodes;   // 0 = 2,000,000
	// Called for each duplicate key with its path ("spec.replicas"); the last value wins. NULL: a duplicate is an
	// error.
	void (*on_duplicate)(void *context, const char *path);
	void *context;
};

// Parses one whole document. Errors name the byte offset. `text` may be freed
// afterwards. `limits` may be NULL.
NODISCARD int json_parse(struct arena *arena, const char *text, size_t length, const struct json_limits *limits,
                         struct json **ret_value, struct err *err);

// Appends compact JSON; keys in the tree's order. json_write_pretty: 4 spaces, sorted by nothing, as kubectl's -o json.
void json_write(struct strbuf *out, const struct json *value);
void json_write_pretty(struct strbuf *out, const struct json *value);
// Appends a string with quotes and escapes.
void json_write_string(struct strbuf *out, const char *text, size_t length);

// --- making ------------------------------------------------------------------
struct json *json_null(struct arena *arena);
struct json *json_bool(struct arena *arena, bool value);
struct json *json_integer(struct arena *arena, int64_t value);
struct json *json_string(struct arena *arena, const char *text); // copies
struct json *json_string_n(struct arena *arena, const char *text, size_t length);
struct json *json_array(struct arena *arena);
struct json *json_object(struct arena *arena);
struct json *json_clone(struct arena *arena, const struct json *value);

// --- reading (all accept NULL for "not there") ---------------------------------
// The member, or NULL. A JSON null is a value; json_is_null tells both apart from NULL.
struct json *json_get(const struct json *object, const char *key);
struct json *json_get_n(const struct json *object, const char *key, size_t key_length);
// Walks objects by names: json_path(pod, "spec", "nodeName").
struct json *json_path_(const struct json *object, const char *const *keys);
#define json_path(object, ...) json_path_((object), (const char *const[]){__VA_ARGS__, NULL})
// Text of a string node, else NULL.
const char *json_text(const struct json *value);
const char *json_get_text(const struct json *object, const char *key);
bool json_get_integer(const struct json *object, const char *key, int64_t *ret_value);
bool json_get_bool(const struct json *object, const char *key, bool fallback);
bool json_is(const struct json *value, enum json_type type); // false for NULL
bool json_is_null(const struct json *value);                 // a null that is there
// Deep equality; the order of keys does not matter, 1 and 1.0 differ.
bool json_equal(const struct json *a, const struct json *b);

// --- editing -------------------------------------------------------------------
// Sets or replaces a member; `value` is taken by address (same arena or longer-lived).
void json_set(struct arena *arena, struct json *object, const char *key, struct json *value);
void json_set_n(struct arena *arena, struct json *object, const char *key, size_t key_length, struct json *value);
// Appends a member whose key is known to be new, without looking for it.
void json_add_n(struct arena *arena, struct json *object, const char *key, size_t key_length, struct json *value);
void json_set_text(struct arena *arena, struct json *object, const char *key, const char *text); // copies
void json_set_integer(struct arena *arena, struct json *object, const char *key, int64_t value);
void json_set_bool(struct arena *arena, struct json *object, const char *key, bool value);
bool json_remove(struct json *object, const char *key); // true when it was there
bool json_remove_n(struct json *object, const char *key, size_t key_length);
void json_append(struct arena *arena, struct json *array, struct json *item);
void json_insert(struct arena *arena, struct json *array, size_t index, struct json *item);
void json_remove_at(struct json *array, size_t index);
// The object member `key`, made ({} ) when absent or null.
struct json *json_ensure_object(struct arena *arena, struct json *object, const char *key);
struct json *json_ensure_array(struct arena *arena, struct json *object, const char *key);
// Makes *target a shallow copy of *source in place.
void json_assign(struct json *target, const struct json *source);
// Sorts the members of all objects in the tree by key, in byte order.
void json_sort_keys(struct json *value);

#define json_for_each_member(member, object)                                                                    \
	for (struct json_member *member = (object) && (object)->type == JSON_OBJECT ? (object)->members : NULL, \
	                        *end_##member = member ? member + (object)->length : NULL;                      \
	     member != end_##member; member++)
#define json_for_each_item(item, array)                                                                    \
	for (struct json **cursor_##item = (array) && (array)->type == JSON_ARRAY ? (array)->items : NULL, \
	                 **end_##item = cursor_##item ? cursor_##item + (array)->length : NULL,            \
	                 *item = cursor_##item != end_##item ? *cursor_##item : NULL;                      \
	     cursor_##item != end_##item; cursor_##item++, item = cursor_##item != end_##item ? *cursor_##item : NULL)
