// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sets of places in an object: who owns which fields (metadata.managedFields).
// A set is a tree of path elements; an element may itself be a member, and have
// members below it. Its JSON form is FieldsV1: "f:name" is a field, k:{…} the item
// of a list with these keys, v:… the item of this value, i:0 the item at a place,
// and "." says that the element is a member where it has others below it.
//
// Sets live in an arena. What the functions return shares parts with its inputs,
// which therefore must not be changed afterwards.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/base/strbuf.h"

enum path_element_type {
	PATH_FIELD, // text: the name
	PATH_KEY,   // text: an object of the keys in their order, as compact JSON
	PATH_VALUE, // text: the value as compact JSON
	PATH_INDEX, // text: decimal
};

struct path_element {
	const char *text;
	uint32_t length;
	uint8_t type; // enum path_element_type
};

struct field_set_entry;

struct field_set {
	struct field_set_entry *entries; // sorted by element, each once
	uint32_t count;
	uint32_t capacity;
};

struct field_set_entry {
	struct path_element element;
	bool member;
	struct field_set children;
};

#define FIELD_SET_INIT ((struct field_set){0})

// Negative, 0 or positive; the order of entries.
int path_element_compare(const struct path_element *a, const struct path_element *b);

// Appends an element without looking whether it is there or in order;
// field_set_sort must follow before the set is used.
void field_set_append(struct arena *arena, struct field_set *set, const struct path_element *element, bool member,
                      const struct field_set *children);
// Puts the entries of this level in order and unites those of one element.
void field_set_sort(struct arena *arena, struct field_set *set);

bool field_set_is_empty(const struct field_set *set);
size_t field_set_count(const struct field_set *set); // members
bool field_set_equal(const struct field_set *a, const struct field_set *b);
// The entry of an element on this level; NULL = none.
const struct field_set_entry *field_set_find(const struct field_set *set, const struct path_element *element);

struct field_set field_set_union(struct arena *arena, const struct field_set *a, const struct field_set *b);
// Members of `a` that aren't in `b`: exactly these places, not what is below them.
struct field_set field_set_difference(struct arena *arena, const struct field_set *a, const struct field_set *b);
bool field_set_overlaps(const struct field_set *a, const struct field_set *b);
struct field_set field_set_intersection(struct arena *arena, const struct field_set *a, const struct field_set *b);

// Only the top-level fields that are named (NULL-terminated), or all but these;
// with what is below them. A NULL list restricts nothing.
struct field_set field_set_restrict(struct arena *arena, const struct field_set *set, const char *const *only,
                                    const char *const *except);

// FieldsV1. Errors name the element that can't be read.
NODISCARD int field_set_parse(struct arena *arena, const struct json *fields, struct field_set *ret_set,
                              struct err *err);
struct json *field_set_to_json(struct arena *arena, const struct field_set *set);

// Calls back with each member's path as upstream prints it: .spec.containers[name="c"].image
void field_set_for_each(const struct field_set *set, void (*visit)(void *context, const char *path), void *context);

// Appends one element in that form.
void path_element_write(struct strbuf *out, const struct path_element *element);
