// SPDX-License-Identifier: Apache-2.0
#pragma once
// The toolkit of validation: field paths on the stack, errors in the order they
// are found, and the Invalid status made of them. Rules walk JSON trees, so that
// absent, null and zero stay three things.
//
//   struct rule_path spec = FIELD(&root, "spec");
//   struct rule_path item = FIELD_INDEX(&containers, i);
//   validation_required(v, &FIELD(&item, "image"), "");

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/registry/change.h"
#include "apiserver/status.h"
#include "common/api/json.h"

struct rule_path {
	const struct rule_path *parent;
	const char *name; // NULL: an index
	bool is_key;      // name stands in brackets
	uint32_t index;
};

#define FIELD(parent_path, field_name) ((struct rule_path){.parent = (parent_path), .name = (field_name)})
#define FIELD_INDEX(parent_path, at) ((struct rule_path){.parent = (parent_path), .index = (at)})
#define FIELD_KEY(parent_path, key) ((struct rule_path){.parent = (parent_path), .name = (key), .is_key = true})

struct field_error {
	struct field_error *next;
	const char *reason; // FieldValueRequired, …
	const char *field;
	const char *message; // `Invalid value: "x": detail`
};

struct validation {
	struct arena *arena;
	const struct change *change;
	struct field_error *first;
	struct field_error **last;
	size_t count;
};

void validation_init(struct validation *v, const struct change *change);
// NULL when nothing was found.
const struct status *validation_status(const struct validation *v);

// One more error, found and worded elsewhere; the texts are in the arena.
void validation_add(struct validation *v, const char *reason, const char *field, const char *message);

const char *rule_path_text(struct arena *arena, const struct rule_path *path);

// `detail` may be "". Values are rendered as Go prints them.
void validation_required(struct validation *v, const struct rule_path *path, const char *detail);
void validation_invalid(struct validation *v, const struct rule_path *path, const struct json *value,
                        const char *detail);
void validation_invalid_text(struct validation *v, const struct rule_path *path, const char *value, const char *detail);
void validation_invalid_nil_map(struct validation *v, const struct rule_path *path, const char *detail);
// A LabelSelector, as Go prints the struct.
void validation_invalid_selector(struct validation *v, const struct rule_path *path, const struct json *selector,
                                 const char *detail);
// An IntOrString, as Go prints the struct.
void validation_invalid_amount(struct validation *v, const struct rule_path *path, const struct json *value,
                               const char *detail);
// `rendered` stands as it is, without quotes.
void validation_invalid_rendered(struct validation *v, const struct rule_path *path, const char *rendered,
                                 const char *detail);
// Without a value: "Invalid value: DETAIL".
void validation_invalid_omitted(struct validation *v, const struct rule_path *path, const char *detail);
void validation_invalid_integer(struct validation *v, const struct rule_path *path, int64_t value, const char *detail);
void validation_forbidden(struct validation *v, const struct rule_path *path, const char *detail);
void validation_duplicate(struct validation *v, const struct rule_path *path, const struct json *value);
void validation_duplicate_detail(struct validation *v, const struct rule_path *path, const struct json *value,
                                 const char *detail);
void validation_duplicate_rendered(struct validation *v, const struct rule_path *path, const char *rendered);
void validation_not_found(struct validation *v, const struct rule_path *path, const char *value);
void validation_too_long(struct validation *v, const struct rule_path *path, size_t maximum_bytes);
void validation_too_many(struct validation *v, const struct rule_path *path, size_t count, size_t maximum);
// `supported` ends with NULL.
void validation_not_supported(struct validation *v, const struct rule_path *path, const char *value,
                              const char *const *supported);
void validation_not_supported_value(struct validation *v, const struct rule_path *path, const struct json *value,
                                    const char *const *supported);
void validation_not_supported_rendered(struct validation *v, const struct rule_path *path, const char *rendered,
                                       const char *const *supported);
// A text of the wrong form, as FieldValueTypeInvalid.
void validation_type_invalid_text(struct validation *v, const struct rule_path *path, const char *value,
                                  const char *detail);
// Forgets what was found.
void validation_clear(struct validation *v);

// --- common rules; an absent value passes unless said otherwise --------------------
void validation_one_of(struct validation *v, const struct rule_path *path, const struct json *value, bool required,
                       const char *const *supported);
// A check of string_checks.h on a text; each complaint is one Invalid.
typedef const char *(*string_check)(struct arena *arena, const char *text, size_t index);
void validation_string(struct validation *v, const struct rule_path *path, const char *text, string_check check);
void validation_not_negative(struct validation *v, const struct rule_path *path, const struct json *value);
void validation_range(struct validation *v, const struct rule_path *path, const struct json *value, int64_t low,
                      int64_t high);
// The new value equals the old one, or "field is immutable".
void validation_immutable(struct validation *v, const struct rule_path *path, const struct json *value,
                          const struct json *old);

static inline const char *text_of(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);

	return text ? text : "";
}

static inline int64_t integer_of(const struct json *object, const char *key, int64_t fallback)
{
	int64_t value;

	return json_get_integer(object, key, &value) ? value : fallback;
}

static inline bool is_present(const struct json *value)
{
	return value && !json_is(value, JSON_NULL);
}

static inline uint32_t length_of(const struct json *value)
{
	return json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT) ? value->length : 0;
}
