// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the patch engines share: editing a large object without quadratic cost,
// and Go's wording of values in error texts.

#include "common/api/json.h"
#include "common/api/json_hash.h"
#include "common/api/patch.h"

// An edit of many members of one object. Look-ups see the members that were
// there at the start; keys that are added must be new. Removed members vanish
// when the edit is done.
struct object_edit {
	struct arena *arena;
	struct json *object;
	struct json_index index;
	bool removed;
};

void object_edit_init(struct object_edit *edit, struct arena *arena, struct json *object);
// The member, NULL when there is none or it was removed.
struct json_member *object_edit_find(const struct object_edit *edit, const char *key, size_t key_length);
void object_edit_remove(struct object_edit *edit, struct json_member *member);
// Replaces or adds.
void object_edit_set(struct object_edit *edit, const char *key, size_t key_length, struct json *value);
void object_edit_done(struct object_edit *edit);
#define AUTO_OBJECT_EDIT __attribute__((cleanup(object_edit_done)))

// A value as Go's %v prints it ("map[a:1 b:[x y]]"), cut when long; in the arena.
const char *go_value_text(struct arena *arena, const struct json *value);
// "string", "int64", "map[string]interface {}", …
const char *go_type_text(const struct json *value);
// Refuses a patch that is no object.
NODISCARD int patch_check_is_object(const struct json *patch, struct err *err);
