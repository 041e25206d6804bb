// SPDX-License-Identifier: Apache-2.0
#pragma once
// Trees seen through their type, as field ownership sees them: structs and maps
// are owned field by field, lists of keyed items item by item, sets value by
// value, everything else as a whole. (The published semantics of structured merge.)

#include "common/api/field_set.h"
#include "common/api/json.h"
#include "common/api/schema.h"

// Where a value stands: its type and what the field around it says of it.
struct typed_place {
	const struct schema_type *type; // NULL: no schema knows it; maps are taken apart, lists are not
	const char *const *list_keys;
	uint8_t list_type; // enum schema_list_type
	bool atomic;
	bool granular; // although the type is owned as a whole elsewhere
};

enum typed_shape {
	TYPED_LEAF,     // owned as a whole
	TYPED_MEMBERS,  // struct or map
	TYPED_SET,      // list, items by value
	TYPED_MAP_LIST, // list, items by their keys
};

static inline struct typed_place typed_root(const struct schema_type *type)
{
	return (struct typed_place){.type = type};
}

// `value` decides where there is no type.
enum typed_shape typed_shape_of(const struct typed_place *place, const struct json *value);
// The place of a member. False: a struct that has no such field. *ret_declared (may
// be NULL) says that it is a struct's own field and not a map's key.
bool typed_member(const struct typed_place *place, const char *key, size_t length, struct typed_place *ret_place,
                  bool *ret_declared);
struct typed_place typed_item(const struct typed_place *place);
// What names an item of a set or keyed list; NULL for success, else what is wrong
// with the item (the element then has null for the missing key).
const char *typed_item_element(struct arena *arena, const struct typed_place *place, const struct json *item,
                               struct path_element *ret_element);
bool typed_is_empty(const struct json *value); // NULL, null, {} or []

// The set of a value: its leaves, list items, and what is null or empty.
struct field_set typed_to_set(struct arena *arena, const struct schema_type *type, const struct json *value);

// The set and all struct fields above its members.
struct field_set typed_with_parents(struct arena *arena, const struct typed_place *place, const struct field_set *set);

struct typed_difference {
	struct field_set added;
	struct field_set modified;
	struct field_set removed;
};

// From one value to another.
void typed_compare(struct arena *arena, const struct schema_type *type, const struct json *from, const struct json *to,
                   struct typed_difference *ret_difference);

// The live value with the applied configuration laid over it: a new tree that
// shares parts with both. Order of list items: the configuration's, items that
// only the live list has keep their place before what follows them.
struct json *typed_merge(struct arena *arena, const struct typed_place *place, struct json *live, struct json *config);

// Takes the members of the set out of the tree, in place. Returns false when nothing is left of the value.
bool typed_remove(struct arena *arena, const struct typed_place *place, struct json *value,
                  const struct field_set *set);

// Brings quantities and times to their canonical text, in place; what can't be read stays.
void typed_canonicalize(struct arena *arena, const struct typed_place *place, struct json *value);

// Checks an applied configuration. NULL, or all that is wrong:
// ".spec.unknownField: field not declared in schema".
const char *typed_check(struct arena *arena, const struct schema_type *type, const struct json *value);
