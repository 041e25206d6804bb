// SPDX-License-Identifier: Apache-2.0
//
// JSON merge patch (RFC 7386), its making, and the helpers that all patch
// engines share.
#include <stdio.h>
#include <string.h>

#include "common/api/patch_internal.h"

enum { VALUE_TEXT_BYTES = 160 };

// --- editing objects -------------------------------------------------------------

void object_edit_init(struct object_edit *edit, struct arena *arena, struct json *object)
{
	*edit = (struct object_edit){.arena = arena, .object = object};
	json_index_init(&edit->index, object);
}

struct json_member *object_edit_find(const struct object_edit *edit, const char *key, size_t key_length)
{
	struct json_member *member = json_index_find(&edit->index, key, key_length);
	return member && member->value ? member : NULL;
}

void object_edit_remove(struct object_edit *edit, struct json_member *member)
{
	member->value = NULL;
	edit->removed = true;
}

void object_edit_set(struct object_edit *edit, const char *key, size_t key_length, struct json *value)
{
	// A removed member's place is taken again.
	struct json_member *member = json_index_find(&edit->index, key, key_length);
	if (member)
		member->value = value;
	else
		json_add_n(edit->arena, edit->object, key, key_length, value);
}

void object_edit_done(struct object_edit *edit)
{
	json_index_done(&edit->index);
	if (!edit->removed)
		return;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < edit->object->length; i++)
		if (edit->object->members[i].value)
			edit->object->members[kept++] = edit->object->members[i];
	edit->object->length = kept;
}

// --- Go's wording ------------------------------------------------------------------

static void write_go_value(struct strbuf *out, struct arena *arena, const struct json *value)
{
	if (out->overflowed)
		return;
	if (json_is(value, JSON_STRING)) {
		strbuf_append(out, value->text, value->length);
	} else if (json_is(value, JSON_OBJECT)) {
		struct json *sorted = json_object(arena);
		json_for_each_member (member, value)
			json_add_n(arena, sorted, member->key, member->key_length, member->value);
		json_sort_keys(sorted);
		strbuf_append_text(out, "map[");
		for (uint32_t i = 0; i < sorted->length; i++) {
			strbuf_printf(out, "%s%s:", i ? " " : "", sorted->members[i].key);
			write_go_value(out, arena, sorted->members[i].value);
		}
		strbuf_append_char(out, ']');
	} else if (json_is(value, JSON_ARRAY)) {
		strbuf_append_char(out, '[');
		for (uint32_t i = 0; i < value->length; i++) {
			strbuf_append_text(out, i ? " " : "");
			write_go_value(out, arena, value->items[i]);
		}
		strbuf_append_char(out, ']');
	} else if (!value || value->type == JSON_NULL) {
		strbuf_append_text(out, "<nil>");
	} else {
		json_write(out, value);
	}
}

const char *go_value_text(struct arena *arena, const struct json *value)
{
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(VALUE_TEXT_BYTES);
	write_go_value(&out, arena, value);
	return arena_printf(arena, "%s%s", strbuf_text(&out), out.overflowed ? "..." : "");
}

const char *go_type_text(const struct json *value)
{
	static const char *const texts[] = {
	        [JSON_NULL] = "%!s(<nil>)",
	        [JSON_BOOL] = "bool",
	        [JSON_INTEGER] = "int64",
	        [JSON_NUMBER] = "float64",
	        [JSON_STRING] = "string",
	        [JSON_ARRAY] = "[]interface {}",
	        [JSON_OBJECT] = "map[string]interface {}",
	};
	return value ? texts[value->type] : texts[JSON_NULL];
}

// --- applying ------------------------------------------------------------------------

// The patch value as it looks when merged into nothing: a copy without nulls.
static struct json *merge(struct arena *arena, struct json *target, const struct json *patch)
{
	if (patch->type != JSON_OBJECT)
		return json_clone(arena, patch);
	if (!json_is(target, JSON_OBJECT))
		target = json_object(arena);
	AUTO_OBJECT_EDIT struct object_edit edit;
	object_edit_init(&edit, arena, target);
	json_for_each_member (change, patch) {
		struct json_member *member = object_edit_find(&edit, change->key, change->key_length);
		if (change->value->type != JSON_NULL)
			object_edit_set(&edit, change->key, change->key_length,
			                merge(arena, member ? member->value : NULL, change->value));
		else if (member)
			object_edit_remove(&edit, member);
	}
	return target;
}

int patch_check_is_object(const struct json *patch, struct err *err)
{
	if (json_is(patch, JSON_OBJECT))
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
	               "error decoding patch: json: cannot unmarshal %s into Go value of type map[string]interface {}",
	               json_is(patch, JSON_ARRAY)    ? "array"
	               : json_is(patch, JSON_STRING) ? "string"
	                                             : "value");
}

int patch_merge(struct arena *arena, struct json **document, const struct json *patch, struct err *err)
{
	int result = patch_check_is_object(patch, err);
	if (result < 0)
		return result;
	*document = merge(arena, *document, patch);
	return 0;
}

// --- making ---------------------------------------------------------------------------

// The differences of two objects, NULL when there are none. `keep_deletions` and
// `keep_changes` say which of them count.
static struct json *diff(struct arena *arena, const struct json *from, const struct json *to, bool keep_changes,
                         bool keep_deletions)
{
	struct json *patch = json_object(arena);
	AUTO_JSON_INDEX struct json_index from_index, to_index;
	json_index_init(&from_index, from);
	json_index_init(&to_index, to);
	json_for_each_member (member, to) {
		const struct json *old = json_index_get(&from_index, member->key, member->key_length);
		struct json *change = NULL;
		bool to_null = member->value->type == JSON_NULL;
		if (json_is(old, JSON_OBJECT) && member->value->type == JSON_OBJECT)
			change = diff(arena, old, member->value, keep_changes, keep_deletions);
		else if (to_null ? keep_deletions && old && old->type != JSON_NULL
		                 : keep_changes && !(old && json_equal(old, member->value)))
			change = json_clone(arena, member->value);
		if (change)
			json_add_n(arena, patch, member->key, member->key_length, change);
	}
	json_for_each_member (member, from)
		if (keep_deletions && !json_index_find(&to_index, member->key, member->key_length))
			json_add_n(arena, patch, member->key, member->key_length, json_null(arena));
	return patch->length ? patch : NULL;
}

struct json *patch_make_merge(struct arena *arena, const struct json *from, const struct json *to)
{
	return diff(arena, from, to, true, true);
}

// Adds the members of one patch to another; both change different things.
static void combine(struct arena *arena, struct json *patch, struct json *more)
{
	AUTO_OBJECT_EDIT struct object_edit edit;
	object_edit_init(&edit, arena, patch);
	json_for_each_member (member, more) {
		struct json_member *mine = object_edit_find(&edit, member->key, member->key_length);
		if (mine && mine->value->type == JSON_OBJECT && member->value->type == JSON_OBJECT)
			combine(arena, mine->value, member->value);
		else
			object_edit_set(&edit, member->key, member->key_length, member->value);
	}
}

int patch_make_three_way_merge(struct arena *arena, const struct json *original, const struct json *modified,
                               const struct json *current, struct json **ret_patch, struct err *err)
{
	if ((original && original->type != JSON_OBJECT) || !json_is(modified, JSON_OBJECT) ||
	    (current && current->type != JSON_OBJECT))
		return err_set(err, ERR_BAD_REQUEST, "invalid JSON document");
	struct json *deletions = diff(arena, original, modified, false, true);
	struct json *changes = diff(arena, current, modified, true, false);
	struct json *patch = deletions ? deletions : json_object(arena);
	combine(arena, patch, changes);
	json_sort_keys(patch);
	*ret_patch = patch;
	return 0;
}
