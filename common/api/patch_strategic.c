// SPDX-License-Identifier: Apache-2.0
//
// Applying strategic merge patches. Objects merge member by member; what a
// list does is said by the schema: lists with the merge strategy merge by key
// (or as sets of scalars), all others are replaced. Directives in the patch:
//
//   $patch: delete | replace          in an object, or in an item of a merged list
//   $retainKeys: [a, b]               all other members of the live object go
//   $setElementOrder/list: […]        the order of the merged list
//   $deleteFromPrimitiveList/list: […] values that leave a set
//
// The same engine merges a patch into another patch, for the making of three-way
// patches; then nulls and directives are kept (enum patch_target).
//
// Behaviour and error texts are those of upstream's strategicpatch, with one
// thing made certain: members are processed in document order.
#include <string.h>

#include "common/api/patch_strategic_internal.h"

struct merger {
	struct arena *arena;
	enum patch_target target;
	struct err *err;
};

static int merge_objects(struct merger *merger, const struct schema_type *type, struct json **original,
                         struct json *patch);

// --- values that are taken over --------------------------------------------------------

// Drops objects that hold $patch, at any depth. False when the value itself is one.
static bool remove_directives(struct json *value)
{
	uint32_t kept = 0;
	if (json_is(value, JSON_OBJECT)) {
		if (json_get(value, PATCH_DIRECTIVE))
			return false;
		for (uint32_t i = 0; i < value->length; i++)
			if (remove_directives(value->members[i].value))
				value->members[kept++] = value->members[i];
		value->length = kept;
	} else if (json_is(value, JSON_ARRAY)) {
		for (uint32_t i = 0; i < value->length; i++)
			if (remove_directives(value->items[i]))
				value->items[kept++] = value->items[i];
		value->length = kept;
	}
	return true;
}

static void remove_nulls(struct json *value)
{
	if (json_is(value, JSON_OBJECT)) {
		uint32_t kept = 0;
		for (uint32_t i = 0; i < value->length; i++) {
			if (value->members[i].value->type == JSON_NULL)
				continue;
			remove_nulls(value->members[i].value);
			value->members[kept++] = value->members[i];
		}
		value->length = kept;
	}
	json_for_each_item (item, value)
		remove_nulls(item);
}

// Puts the patch's value where nothing comparable was.
static void take_value(struct merger *merger, struct object_edit *edit, const char *key, size_t key_length,
                       struct json *value)
{
	if (merger->target == PATCH_TARGET_OBJECT)
		remove_nulls(value);
	if (remove_directives(value)) {
		object_edit_set(edit, key, key_length, value);
		return;
	}
	struct json_member *member = object_edit_find(edit, key, key_length);
	if (member)
		object_edit_remove(edit, member);
}

// --- $patch and $retainKeys of an object -------------------------------------------------

static int apply_object_directive(struct merger *merger, const struct json *directive, struct json *patch,
                                  struct json **original)
{
	const char *text = json_text(directive);
	if (text && strcmp(text, "replace") == 0) {
		json_remove(patch, PATCH_DIRECTIVE);
		*original = patch;
		return 0;
	}
	if (text && strcmp(text, "delete") == 0) {
		*original = json_object(merger->arena);
		return 0;
	}
	return err_set(merger->err, ERR_BAD_REQUEST, "unknown patch type: %s in map: %s",
	               go_value_text(merger->arena, directive), go_value_text(merger->arena, patch));
}

// Between two patches the directive must say the same in both.
static int carry_retain_keys(struct merger *merger, struct json *original, struct json *keys)
{
	const struct json *mine = json_get(original, PATCH_RETAIN_KEYS);
	if (!mine)
		json_set(merger->arena, original, PATCH_RETAIN_KEYS, keys);
	else if (!json_equal(mine, keys))
		return err_set(merger->err, ERR_INTERNAL,
		               "%s and %s are not deep equal: this may happen when calculating the 3-way diff patch",
		               go_value_text(merger->arena, mine), go_value_text(merger->arena, keys));
	return 0;
}

static int apply_retain_keys(struct merger *merger, struct json *original, struct json *patch)
{
	struct json *keys = json_get(patch, PATCH_RETAIN_KEYS);
	if (!keys)
		return 0;
	json_remove(patch, PATCH_RETAIN_KEYS);
	if (merger->target == PATCH_TARGET_PATCH)
		return carry_retain_keys(merger, original, keys);
	if (keys->type != JSON_ARRAY)
		return err_set(merger->err, ERR_BAD_REQUEST, "invalid patch format of retainKeys");
	struct json *wanted = json_object(merger->arena);
	json_for_each_item (key, keys)
		if (json_is(key, JSON_STRING))
			json_add_n(merger->arena, wanted, key->text, key->length, key);
	AUTO_JSON_INDEX struct json_index index;
	json_index_init(&index, wanted);
	json_for_each_member (member, patch)
		if (member->value->type != JSON_NULL && !patch_has_prefix(member, PATCH_DELETE_PREFIX) &&
		    !patch_has_prefix(member, PATCH_ORDER_PREFIX) &&
		    !json_index_find(&index, member->key, member->key_length))
			return err_set(merger->err, ERR_BAD_REQUEST, "invalid patch format of retainKeys");
	uint32_t kept = 0;
	for (uint32_t i = 0; i < original->length; i++)
		if (json_index_find(&index, original->members[i].key, original->members[i].key_length))
			original->members[kept++] = original->members[i];
	original->length = kept;
	return 0;
}

// --- lists ---------------------------------------------------------------------------------

// Scalars: the union of both, each once.
static struct json *unite_scalars(struct merger *merger, const struct json *original, const struct json *patch)
{
	struct json *all = json_array(merger->arena);
	json_for_each_item (item, original)
		json_append(merger->arena, all, item);
	json_for_each_item (item, patch)
		json_append(merger->arena, all, item);
	AUTO_IDENTITY_INDEX struct identity_index index;
	identity_index_init(&index, merger->arena, all, NULL);
	struct json *united = json_array(merger->arena);
	for (uint32_t i = 0; i < all->length; i++)
		if (identity_index_find(&index, merger->arena, all->items[i]) == i)
			json_append(merger->arena, united, all->items[i]);
	return united;
}

static struct json *subtract_scalars(struct merger *merger, const struct json *original, const struct json *removed)
{
	AUTO_IDENTITY_INDEX struct identity_index index;
	identity_index_init(&index, merger->arena, removed, NULL);
	struct json *rest = json_array(merger->arena);
	json_for_each_item (item, original)
		if (identity_index_find(&index, merger->arena, item) == IDENTITY_NONE)
			json_append(merger->arena, rest, item);
	return rest;
}

// Sorts the items of the patch by what they say: to be merged, deletions, "replace all".
static int split_special_items(struct merger *merger, const struct json *patch, const char *merge_key,
                               struct json *plain, struct json *deleted, bool *ret_replace)
{
	*ret_replace = false;
	json_for_each_item (item, patch) {
		const struct json *directive = json_get(item, PATCH_DIRECTIVE);
		const char *text = json_text(directive);
		if (!directive) {
			json_append(merger->arena, plain, item);
		} else if (text && strcmp(text, "delete") == 0) {
			if (!json_get(item, merge_key))
				return patch_no_merge_key(merger->arena, item, merge_key, merger->err);
			json_append(merger->arena, deleted, item);
		} else if (text && strcmp(text, "replace") == 0) {
			*ret_replace = true;
		} else if (text && strcmp(text, "merge") == 0) {
			return err_set(merger->err, ERR_BAD_REQUEST,
			               "merging lists cannot yet be specified in the patch");
		} else {
			return err_set(merger->err, ERR_BAD_REQUEST, "unknown patch type: %s in map: %s",
			               go_value_text(merger->arena, directive), go_value_text(merger->arena, item));
		}
	}
	return 0;
}

static struct json *drop_deleted(struct merger *merger, const struct json *list, const struct json *deleted,
                                 const char *merge_key)
{
	AUTO_IDENTITY_INDEX struct identity_index index;
	identity_index_init(&index, merger->arena, deleted, merge_key);
	struct json *rest = json_array(merger->arena);
	json_for_each_item (item, list)
		if (!json_get(item, merge_key) || identity_index_find(&index, merger->arena, item) == IDENTITY_NONE)
			json_append(merger->arena, rest, item);
	return rest;
}

// Merges each item of the patch into the one with its key, or appends it. `list` is changed.
static int merge_items(struct merger *merger, const struct patch_meta *meta, struct json *list,
                       const struct json *patch)
{
	AUTO_IDENTITY_INDEX struct identity_index known, changes;
	identity_index_init(&known, merger->arena, list, meta->merge_key);
	identity_index_init(&changes, merger->arena, patch, meta->merge_key);
	size_t *places = ARENA_ARRAY(merger->arena, size_t, patch->length + 1); // where new items went
	for (uint32_t i = 0; i < patch->length; i++) {
		struct json *item = patch->items[i];
		if (!json_get(item, meta->merge_key))
			return patch_no_merge_key(merger->arena, item, meta->merge_key, merger->err);
		size_t place = identity_index_find(&known, merger->arena, item);
		size_t first = identity_index_find(&changes, merger->arena, item);
		if (place == IDENTITY_NONE && first == i) {
			places[i] = list->length;
			json_append(merger->arena, list, item);
			continue;
		}
		int code = merge_objects(merger, meta->type,
		                         &list->items[place == IDENTITY_NONE ? places[first] : place], item);
		if (code)
			return code;
	}
	return 0;
}

static int merge_object_lists(struct merger *merger, const struct patch_meta *meta, const struct json *original,
                              const struct json *patch, struct json **ret_list)
{
	if (!meta->merge_key)
		return err_set(merger->err, ERR_BAD_REQUEST, "cannot merge lists without merge key for struct");
	struct json *plain = json_array(merger->arena);
	struct json *deleted = json_array(merger->arena);
	bool replace;
	int code = split_special_items(merger, patch, meta->merge_key, plain, deleted, &replace);
	if (code)
		return code;
	struct json *live = drop_deleted(merger, original, deleted, meta->merge_key);
	struct json *merged = replace ? plain : drop_deleted(merger, live, NULL, meta->merge_key);
	if (!replace)
		code = merge_items(merger, meta, merged, plain);
	json_for_each_item (item, merged)
		if (!code && !json_get(item, meta->merge_key))
			code = patch_no_merge_key(merger->arena, item, meta->merge_key, merger->err);
	if (code)
		return code;
	*ret_list = replace ? patch_weave(merger->arena, merged, NULL, merged, meta->merge_key)
	                    : patch_weave(merger->arena, merged, plain, live, meta->merge_key);
	return 0;
}

static int merge_lists(struct merger *merger, const struct patch_meta *meta, const struct json *original,
                       const struct json *patch, struct json **ret_list)
{
	enum json_type type;
	int code = patch_item_type(merger->arena, original, patch, &type, merger->err);
	if (code)
		return code;
	if (type == JSON_OBJECT)
		return merge_object_lists(merger, meta, original, patch, ret_list);
	struct json *united = unite_scalars(merger, original, patch);
	*ret_list = patch_weave(merger->arena, united, patch, original, NULL);
	return 0;
}

// --- $setElementOrder ---------------------------------------------------------------------

// The patch's items must stand in the order list, in its order.
static int check_order(struct merger *merger, const struct json *patch, const struct json *order, const char *merge_key)
{
	if (!patch || !patch->length || !order->length)
		return 0;
	uint32_t next = 0;
	json_for_each_item (item, patch) {
		if (merge_key && item->type != JSON_OBJECT)
			return patch_bad_type("map[string]interface {}", item, merger->err);
		if (json_get(item, PATCH_DIRECTIVE))
			continue;
		const struct json *wanted = merge_key ? json_get(item, merge_key) : item;
		if (!wanted)
			return patch_no_merge_key(merger->arena, item, merge_key, merger->err);
		bool found = false;
		for (; next < order->length && !found; next++) {
			const struct json *entry = order->items[next];
			if (merge_key && entry->type != JSON_OBJECT)
				return patch_bad_type("map[string]interface {}", entry, merger->err);
			const struct json *key = merge_key ? json_get(entry, merge_key) : entry;
			if (!key)
				return patch_no_merge_key(merger->arena, entry, merge_key, merger->err);
			found = json_equal(wanted, key);
		}
		if (!found)
			return err_set(merger->err, ERR_BAD_REQUEST,
			               "The order in patch list:\n%s\n doesn't match %s list:\n%s\n",
			               go_value_text(merger->arena, patch), PATCH_ORDER_PREFIX,
			               go_value_text(merger->arena, order));
	}
	return 0;
}

// Between two patches: the order moves to the first one, and both must agree.
static int carry_order(struct merger *merger, struct object_edit *original, const struct json_member *directive)
{
	const struct json_member *mine = object_edit_find(original, directive->key, directive->key_length);
	if (!mine)
		object_edit_set(original, directive->key, directive->key_length, directive->value);
	else if (!json_equal(mine->value, directive->value))
		return err_set(merger->err, ERR_BAD_REQUEST, "invalid patch format of setElementOrder list");
	return 0;
}

static int check_list(struct merger *merger, const struct json *value)
{
	return value && value->type != JSON_ARRAY ? patch_bad_type("[]interface {}", value, merger->err) : 0;
}

// The list as both sides make it, before it is ordered; NULL when neither has it.
static int merge_ordered_list(struct merger *merger, const struct patch_meta *meta, struct json *live,
                              struct json *patch, struct json **ret_merged)
{
	*ret_merged = live;
	if (!patch)
		return 0;
	if (live && meta->merge && (live->length || patch->length))
		return merge_lists(merger, meta, live, patch, ret_merged);
	if (!live)
		(void)remove_directives(patch);
	*ret_merged = patch;
	return 0;
}

// Checks that each item can be told from the others.
static int check_merge_keys(struct merger *merger, const struct json *list, const char *merge_key)
{
	enum json_type type;
	int code = patch_item_type(merger->arena, list, NULL, &type, merger->err);
	json_for_each_item (item, list)
		if (!code && merge_key && !json_get(item, merge_key))
			code = patch_no_merge_key(merger->arena, item, merge_key, merger->err);
	return code;
}

static int apply_order(struct merger *merger, const struct schema_type *type, struct object_edit *original,
                       struct object_edit *patch, const struct json_member *directive)
{
	const char *field;
	struct patch_meta meta;
	int code = merger->target == PATCH_TARGET_PATCH ? carry_order(merger, original, directive) : 0;
	if (!code && directive->value->type != JSON_ARRAY)
		code = patch_bad_type("[]interface {}", directive->value, merger->err);
	if (!code)
		code = patch_parallel_field(directive, PATCH_ORDER_PREFIX, &field, merger->err);
	if (code)
		return code;
	struct json_member *live = object_edit_find(original, field, strlen(field));
	struct json_member *change = object_edit_find(patch, field, strlen(field));
	struct json *live_list = live ? live->value : NULL;
	struct json *changes = change ? change->value : NULL;
	struct json *merged = NULL;
	code = check_list(merger, live_list);
	if (!code)
		code = check_list(merger, changes);
	if (!code)
		code = patch_meta_of_list(merger->arena, type, field, &meta, merger->err);
	if (!code)
		code = check_order(merger, changes, directive->value, meta.merge_key);
	if (!code)
		code = merge_ordered_list(merger, &meta, live_list, changes, &merged);
	if (!code)
		code = check_merge_keys(merger, merged, meta.merge_key);
	if (code || !merged)
		return code;
	merged = patch_weave(merger->arena, merged, directive->value, live_list, meta.merge_key);
	object_edit_set(original, field, strlen(field), merged);
	if (change)
		object_edit_remove(patch, change);
	return 0;
}

// Takes the order directives out of the patch, then carries them out; lists that
// they concern are merged here and leave the patch as well.
static int apply_orders(struct merger *merger, const struct schema_type *type, struct json *original,
                        struct json *patch)
{
	struct json *orders = json_object(merger->arena);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < patch->length; i++) {
		struct json_member *member = &patch->members[i];
		if (patch_has_prefix(member, PATCH_ORDER_PREFIX))
			json_add_n(merger->arena, orders, member->key, member->key_length, member->value);
		else
			patch->members[kept++] = *member;
	}
	patch->length = kept;
	if (!orders->length)
		return 0;
	AUTO_OBJECT_EDIT struct object_edit original_edit, patch_edit;
	object_edit_init(&original_edit, merger->arena, original);
	object_edit_init(&patch_edit, merger->arena, patch);
	int code = 0;
	for (uint32_t i = 0; i < orders->length && !code; i++)
		code = apply_order(merger, type, &original_edit, &patch_edit, &orders->members[i]);
	return code;
}

// --- objects -----------------------------------------------------------------------------

static int apply_deletion_list(struct merger *merger, struct object_edit *edit, const struct json_member *change)
{
	const char *field;
	if (merger->target == PATCH_TARGET_PATCH) {
		object_edit_set(edit, change->key, change->key_length, change->value);
		return 0;
	}
	int code = patch_parallel_field(change, PATCH_DELETE_PREFIX, &field, merger->err);
	if (code)
		return code;
	struct json_member *member = object_edit_find(edit, field, strlen(field));
	if (!member)
		return 0;
	if (change->value->type == JSON_NULL)
		object_edit_remove(edit, member);
	else if (member->value->type == JSON_ARRAY && change->value->type == JSON_ARRAY)
		member->value = subtract_scalars(merger, member->value, change->value);
	return 0;
}

// Both sides hold an object, or both a list.
static int merge_member(struct merger *merger, const struct schema_type *type, struct json_member *member,
                        struct json *change)
{
	struct patch_meta meta;
	if (change->type == JSON_OBJECT) {
		int code = patch_meta_of_object(merger->arena, type, member->key, &meta, merger->err);
		if (!code && !meta.replace)
			return merge_objects(merger, meta.type, &member->value, change);
		member->value = change;
		return code;
	}
	int code = patch_meta_of_list(merger->arena, type, member->key, &meta, merger->err);
	if (!code && meta.merge && (member->value->length || change->length))
		return merge_lists(merger, &meta, member->value, change, &member->value);
	member->value = change;
	return code;
}

static int merge_change(struct merger *merger, const struct schema_type *type, struct object_edit *edit,
                        const struct json_member *change)
{
	if (patch_has_prefix(change, PATCH_DELETE_PREFIX))
		return apply_deletion_list(merger, edit, change);
	struct json_member *member = object_edit_find(edit, change->key, change->key_length);
	enum json_type change_type = change->value->type;
	if (change_type == JSON_NULL && merger->target == PATCH_TARGET_OBJECT) {
		if (member)
			object_edit_remove(edit, member);
		return 0;
	}
	if (member && member->value->type == change_type && (change_type == JSON_OBJECT || change_type == JSON_ARRAY))
		return merge_member(merger, type, member, change->value);
	take_value(merger, edit, change->key, change->key_length, change->value);
	return 0;
}

static int merge_objects(struct merger *merger, const struct schema_type *type, struct json **original,
                         struct json *patch)
{
	const struct json *directive = json_get(patch, PATCH_DIRECTIVE);
	if (directive)
		return apply_object_directive(merger, directive, patch, original);
	if (!json_is(*original, JSON_OBJECT))
		*original = json_object(merger->arena);
	int code = apply_retain_keys(merger, *original, patch);
	if (!code)
		code = apply_orders(merger, type, *original, patch);
	AUTO_OBJECT_EDIT struct object_edit edit;
	object_edit_init(&edit, merger->arena, *original);
	for (uint32_t i = 0; i < patch->length && !code; i++)
		code = merge_change(merger, type, &edit, &patch->members[i]);
	return code;
}

int patch_strategic_merge(struct arena *arena, enum patch_target target, const struct schema_type *type,
                          struct json **original, struct json *patch, struct err *err)
{
	struct merger merger = {.arena = arena, .target = target, .err = err};
	return merge_objects(&merger, type, original, patch);
}

int patch_strategic(struct arena *arena, const struct schema_type *type, struct json **document,
                    const struct json *patch, struct err *err)
{
	int result = patch_check_is_object(patch, err);
	if (result < 0)
		return result;
	return patch_strategic_merge(arena, PATCH_TARGET_OBJECT, type, document, json_clone(arena, patch), err);
}
