// SPDX-License-Identifier: Apache-2.0
//
// Making strategic three-way patches, as kubectl's client-side apply does. The
// patch is the difference from current to modified without its deletions, merged
// into the deletions from original to modified. Differences speak in directives:
//
//   a member that went               null
//   an item of a merged list         {key: …, "$patch": "delete"}
//   a scalar of a merged list        $deleteFromPrimitiveList/list
//   a change in a merged list        and $setElementOrder/list with all keys
//   a change in a retainKeys struct  and $retainKeys with all its members
//
// Keys of the result are sorted, as Go's encoding of maps sorts them.
#include <stdio.h>
#include <string.h>

#include "common/api/patch_strategic_internal.h"

struct differ {
	struct arena *arena;
	bool deletions; // only what went; otherwise only what came or changed
	struct err *err;
};

static int diff_objects(struct differ *differ, const struct schema_type *type, bool retain_keys,
                        const struct json *original, const struct json *modified, struct json **ret_patch);

static void add(struct differ *differ, struct json *patch, const struct json_member *member, struct json *value)
{
	json_add_n(differ->arena, patch, member->key, member->key_length, value);
}

static void add_parallel(struct differ *differ, struct json *patch, const char *prefix,
                         const struct json_member *member, struct json *value)
{
	json_set(differ->arena, patch, arena_printf(differ->arena, "%s/%s", prefix, member->key), value);
}

// --- lists of scalars --------------------------------------------------------------------

// How scalars compare: by their text.
static const char *scalar_text(struct arena *arena, const struct json *value)
{
	return json_is(value, JSON_STRING) ? value->text : go_value_text(arena, value);
}

struct keyed {
	struct json *item;
	const char *text;
	size_t position;
};

static int compare_keyed(const void *left, const void *right)
{
	const struct keyed *a = left, *b = right;
	int order = strcmp(a->text, b->text);
	return order ? order : (a->position > b->position) - (a->position < b->position);
}

// The items sorted by the text of their key (or of themselves).
static struct keyed *sort_items(struct arena *arena, const struct json *list, const char *merge_key)
{
	struct keyed *sorted = ARENA_ARRAY(arena, struct keyed, list->length + 1);
	for (uint32_t i = 0; i < list->length; i++) {
		const struct json *key = merge_key ? json_get(list->items[i], merge_key) : list->items[i];
		sorted[i] = (struct keyed){list->items[i], scalar_text(arena, key), i};
	}
	qsort(sorted, list->length, sizeof(*sorted), compare_keyed);
	return sorted;
}

static void diff_scalars(struct differ *differ, const struct json *original, const struct json *modified,
                         struct json *added, struct json *deleted)
{
	struct keyed *old = sort_items(differ->arena, original, NULL);
	struct keyed *new = sort_items(differ->arena, modified, NULL);
	const char *last_deleted = NULL;
	uint32_t i = 0, j = 0;
	while (i < original->length || j < modified->length) {
		int order = i == original->length ? 1 : j == modified->length ? -1 : strcmp(old[i].text, new[j].text);
		if (order > 0 && !differ->deletions)
			json_append(differ->arena, added, new[j].item);
		if (order < 0 && differ->deletions && (!last_deleted || strcmp(last_deleted, old[i].text) != 0)) {
			last_deleted = old[i].text;
			json_append(differ->arena, deleted, old[i].item);
		}
		i += order <= 0;
		j += order >= 0;
	}
}

static void add_scalar_diff(struct differ *differ, const struct json *original, struct json_member *member,
                            struct json *patch)
{
	struct json *added = json_array(differ->arena);
	struct json *deleted = json_array(differ->arena);
	diff_scalars(differ, original, member->value, added, deleted);
	if (added->length)
		add(differ, patch, member, patch_sort_by_order(differ->arena, added, member->value, NULL));
	if (deleted->length)
		add_parallel(differ, patch, PATCH_DELETE_PREFIX, member, deleted);
	bool changed = differ->deletions ? deleted->length > 0 : !json_equal(original, member->value);
	if (changed && member->value->length)
		add_parallel(differ, patch, PATCH_ORDER_PREFIX, member, member->value);
}

// --- lists of objects ----------------------------------------------------------------------

static int check_keys(struct differ *differ, const struct json *list, const char *merge_key)
{
	json_for_each_item (item, list)
		if (!json_get(item, merge_key))
			return patch_no_merge_key(differ->arena, item, merge_key, differ->err);
	return 0;
}

static struct json *deletion_of(struct differ *differ, const struct json *item, const char *merge_key)
{
	struct json *deletion = json_object(differ->arena);
	json_set_text(differ->arena, deletion, PATCH_DIRECTIVE, "delete");
	json_set(differ->arena, deletion, merge_key, json_get(item, merge_key));
	return deletion;
}

// The same item on both sides: its own difference, with the key.
static int diff_item(struct differ *differ, const struct patch_meta *meta, const struct json *original,
                     const struct json *modified, struct json *changes)
{
	struct json *patch = NULL;
	int code = diff_objects(differ, meta->type, meta->retain_keys, original, modified, &patch);
	if (code || !patch->length)
		return code;
	json_set(differ->arena, patch, meta->merge_key, json_get(modified, meta->merge_key));
	json_append(differ->arena, changes, patch);
	return 0;
}

static int diff_items(struct differ *differ, const struct patch_meta *meta, const struct json *original,
                      const struct json *modified, struct json *changes, struct json *deletions)
{
	struct keyed *old = sort_items(differ->arena, original, meta->merge_key);
	struct keyed *new = sort_items(differ->arena, modified, meta->merge_key);
	uint32_t i = 0, j = 0;
	while (i < original->length || j < modified->length) {
		int order = i == original->length ? 1 : j == modified->length ? -1 : strcmp(old[i].text, new[j].text);
		int code = order == 0 ? diff_item(differ, meta, old[i].item, new[j].item, changes) : 0;
		if (code)
			return code;
		if (order > 0 && !differ->deletions)
			json_append(differ->arena, changes, new[j].item);
		if (order < 0 && differ->deletions)
			json_append(differ->arena, deletions, deletion_of(differ, old[i].item, meta->merge_key));
		i += order <= 0;
		j += order >= 0;
	}
	return 0;
}

static bool same_order(const struct json *original, const struct json *modified, const char *merge_key)
{
	if (original->length != modified->length)
		return false;
	for (uint32_t i = 0; i < original->length; i++)
		if (!json_equal(json_get(original->items[i], merge_key), json_get(modified->items[i], merge_key)))
			return false;
	return true;
}

// [{key: a}, {key: b}]
static struct json *order_list(struct differ *differ, const struct json *list, const char *merge_key)
{
	struct json *order = json_array(differ->arena);
	json_for_each_item (item, list) {
		struct json *entry = json_object(differ->arena);
		json_set(differ->arena, entry, merge_key, json_get(item, merge_key));
		json_append(differ->arena, order, entry);
	}
	return order;
}

static int add_object_diff(struct differ *differ, const struct patch_meta *meta, const struct json *original,
                           struct json_member *member, struct json *patch)
{
	const struct json *modified = member->value;
	if (!meta->merge_key)
		return err_set(differ->err, ERR_BAD_REQUEST, "cannot merge lists without merge key for struct");
	int code = check_keys(differ, original, meta->merge_key);
	if (!code)
		code = check_keys(differ, modified, meta->merge_key);
	struct json *changes = json_array(differ->arena);
	struct json *deletions = json_array(differ->arena);
	if (!code)
		code = diff_items(differ, meta, original, modified, changes, deletions);
	if (code)
		return code;
	changes = patch_sort_by_order(differ->arena, changes, modified, meta->merge_key);
	json_for_each_item (deletion, deletions)
		json_append(differ->arena, changes, deletion);
	if (changes->length)
		add(differ, patch, member, changes);
	bool reordered = !differ->deletions && !same_order(original, modified, meta->merge_key);
	if ((changes->length || reordered) && modified->length)
		add_parallel(differ, patch, PATCH_ORDER_PREFIX, member, order_list(differ, modified, meta->merge_key));
	return 0;
}

static int diff_list(struct differ *differ, const struct schema_type *type, const struct json *original,
                     struct json_member *member, struct json *patch)
{
	struct patch_meta meta;
	enum json_type item_type;
	if (json_equal(original, member->value))
		return 0;
	int code = patch_meta_of_list(differ->arena, type, member->key, &meta, differ->err);
	if (code)
		return code;
	if (!meta.merge || !original->length) {
		if (!differ->deletions && (!meta.merge || member->value->length))
			add(differ, patch, member, member->value);
		return 0;
	}
	code = patch_item_type(differ->arena, original, member->value, &item_type, differ->err);
	if (code)
		return code;
	if (item_type == JSON_OBJECT)
		return add_object_diff(differ, &meta, original, member, patch);
	add_scalar_diff(differ, original, member, patch);
	return 0;
}

// --- objects ---------------------------------------------------------------------------------

static int diff_object(struct differ *differ, const struct schema_type *type, const struct json *original,
                       struct json_member *member, struct json *patch)
{
	struct patch_meta meta;
	if (json_equal(original, member->value))
		return 0;
	int code = patch_meta_of_object(differ->arena, type, member->key, &meta, differ->err);
	if (code)
		return code;
	if (meta.replace) {
		if (!differ->deletions)
			add(differ, patch, member, member->value);
		return 0;
	}
	struct json *change = NULL;
	code = diff_objects(differ, meta.type, meta.retain_keys, original, member->value, &change);
	if (!code && change->length)
		add(differ, patch, member, change);
	return code;
}

static int diff_member(struct differ *differ, const struct schema_type *type, const struct json *original,
                       struct json_member *member, struct json *patch)
{
	if (original && original->type == member->value->type) {
		if (original->type == JSON_OBJECT)
			return diff_object(differ, type, original, member, patch);
		if (original->type == JSON_ARRAY)
			return diff_list(differ, type, original, member, patch);
	}
	if (!differ->deletions && !json_equal(original, member->value))
		add(differ, patch, member, member->value);
	return 0;
}

static int compare_text_items(const void *left, const void *right)
{
	return strcmp((*(struct json *const *)left)->text, (*(struct json *const *)right)->text);
}

// All members that the modified object keeps, when something about it changes.
static void add_retain_keys(struct differ *differ, const struct json *original, const struct json *modified,
                            struct json *patch)
{
	struct json *keys = json_array(differ->arena);
	json_for_each_member (member, modified)
		if (member->value->type != JSON_NULL)
			json_append(differ->arena, keys, json_string_n(differ->arena, member->key, member->key_length));
	bool clears = false;
	AUTO_JSON_INDEX struct json_index index;
	json_index_init(&index, modified);
	json_for_each_member (member, original)
		clears = clears || (member->value->type != JSON_NULL &&
		                    !json_index_find(&index, member->key, member->key_length));
	if (!keys->length || !(patch->length || clears))
		return;
	qsort(keys->items, keys->length, sizeof(*keys->items), compare_text_items);
	json_set(differ->arena, patch, PATCH_RETAIN_KEYS, keys);
}

static int diff_objects(struct differ *differ, const struct schema_type *type, bool retain_keys,
                        const struct json *original, const struct json *modified, struct json **ret_patch)
{
	struct json *patch = json_object(differ->arena);
	AUTO_JSON_INDEX struct json_index old_index, new_index;
	json_index_init(&old_index, original);
	json_index_init(&new_index, modified);
	json_for_each_member (member, modified) {
		const struct json *old = json_index_get(&old_index, member->key, member->key_length);
		int code = diff_member(differ, type, old, member, patch);
		if (code)
			return code;
	}
	json_for_each_member (member, original)
		if (differ->deletions && !json_index_find(&new_index, member->key, member->key_length))
			add(differ, patch, member, json_null(differ->arena));
	if (retain_keys)
		add_retain_keys(differ, original, modified, patch);
	*ret_patch = patch;
	return 0;
}

int patch_make_three_way_strategic(struct arena *arena, const struct schema_type *type, const struct json *original,
                                   const struct json *modified, const struct json *current, struct json **ret_patch,
                                   struct err *err)
{
	if ((original && original->type != JSON_OBJECT) || !json_is(modified, JSON_OBJECT) ||
	    (current && current->type != JSON_OBJECT))
		return err_set(err, ERR_BAD_REQUEST, "invalid JSON document");
	struct differ changes = {.arena = arena, .deletions = false, .err = err};
	struct differ deletions = {.arena = arena, .deletions = true, .err = err};
	struct json *delta = NULL;
	struct json *patch = NULL;
	int code = diff_objects(&changes, type, false, current, modified, &delta);
	if (!code)
		code = diff_objects(&deletions, type, false, original, modified, &patch);
	if (code)
		return code;
	// The two share nodes with each other and with the inputs: merge copies.
	patch = json_clone(arena, patch);
	code = patch_strategic_merge(arena, PATCH_TARGET_PATCH, type, &patch, json_clone(arena, delta), err);
	if (code)
		return code;
	json_sort_keys(patch);
	*ret_patch = patch;
	return 0;
}
