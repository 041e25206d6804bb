// SPDX-License-Identifier: Apache-2.0
#pragma once
// What applying and making strategic merge patches share: the schema's rules for
// a field, the names of directives, and lists that are merged by key.

#include "common/api/patch_internal.h"

#define PATCH_DIRECTIVE "$patch"
#define PATCH_RETAIN_KEYS "$retainKeys"
#define PATCH_ORDER_PREFIX "$setElementOrder"
#define PATCH_DELETE_PREFIX "$deleteFromPrimitiveList"

// How a field of an object, or the items of its list, are merged.
struct patch_meta {
	const struct schema_type *type; // of the value, or of the items; NULL: unknown, merged by the plain rules
	bool merge;                     // a list is merged, by key or as a set
	bool replace;                   // a struct is replaced as a whole
	bool retain_keys;
	const char *merge_key; // NULL = none
};

// The rules for the member `key` of an object of `type` that holds an object (or a list).
// An unknown field is an error.
NODISCARD int patch_meta_of_object(struct arena *arena, const struct schema_type *type, const char *key,
                                   struct patch_meta *ret_meta, struct err *err);
NODISCARD int patch_meta_of_list(struct arena *arena, const struct schema_type *type, const char *key,
                                 struct patch_meta *ret_meta, struct err *err);

// The one JSON type of all items of both lists (NULL = empty). Empty lists give JSON_NULL.
NODISCARD int patch_item_type(struct arena *arena, const struct json *first, const struct json *second,
                              enum json_type *ret_type, struct err *err);

bool patch_has_prefix(const struct json_member *member, const char *prefix);

// "$setElementOrder/x" and the like: the "x" in it; an error when there is none.
NODISCARD int patch_parallel_field(const struct json_member *member, const char *prefix, const char **ret_field,
                                   struct err *err);

// "map: … does not contain declared merge key: k"
int patch_no_merge_key(struct arena *arena, const struct json *item, const char *key, struct err *err);
// "expected a X, but received a Y"
int patch_bad_type(const char *expected, const struct json *actual, struct err *err);

// --- lists by identity -----------------------------------------------------------------
// An item is identified by the value of its merge key, or by itself when it is a scalar.

// Where the identities of a list stand; the first one counts.
struct identity_index {
	const char *merge_key; // NULL: scalars
	struct json *names;    // member i stands for item i
	struct json_index index;
};

void identity_index_init(struct identity_index *identities, struct arena *arena, const struct json *list,
                         const char *merge_key);
void identity_index_done(struct identity_index *identities);
#define AUTO_IDENTITY_INDEX __attribute__((cleanup(identity_index_done)))
#define IDENTITY_NONE SIZE_MAX
// The position of the first item with the identity of `item`, or IDENTITY_NONE.
size_t identity_index_find(struct identity_index *identities, struct arena *arena, const struct json *item);
// The position of the first item whose identity is this scalar.
size_t identity_index_find_value(struct identity_index *identities, struct arena *arena, const struct json *value);

// True for an item with "$patch": "delete".
bool patch_is_deletion(const struct json *item);

// The items in the order in which their identities stand in `order` (stable; unknown ones
// behind); deletions go last. A new array.
struct json *patch_sort_by_order(struct arena *arena, const struct json *items, const struct json *order,
                                 const char *merge_key);

// Merged items in their final order: those of `patch_order` in that order, the others as they
// stood in `live`, woven together so that pairs which `live` knows keep their order.
struct json *patch_weave(struct arena *arena, const struct json *merged, const struct json *patch_order,
                         const struct json *live, const char *merge_key);

// --- the engine ----------------------------------------------------------------------------

enum patch_target {
	PATCH_TARGET_OBJECT, // a live object: directives are carried out, nulls vanish
	PATCH_TARGET_PATCH,  // another patch: directives and nulls are kept
};

// Merges `patch` (which is consumed) into `*original`, NULL standing for {}.
NODISCARD int patch_strategic_merge(struct arena *arena, enum patch_target target, const struct schema_type *type,
                                    struct json **original, struct json *patch, struct err *err);
