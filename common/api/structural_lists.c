// SPDX-License-Identifier: Apache-2.0
// Lists that are sets hold no value twice, lists that are maps no key twice. Each
// value is rendered once and found by a hash: ten thousand items cost no more than
// their text. Of what stands several times the second place is told, once.

#include "common/api/structural.h"

#include <string.h>

#include "common/api/field_path.h"
#include "common/base/hashmap.h"

enum {
	TEXT_MAX_BYTES = 1 << 20,
	FEW_ITEMS = 8, // compared pair by pair
};

struct walk {
	struct arena *arena;
	struct structural_errors *errors;
};

static void check(const struct walk *walk, const struct structural *node, const struct json *value,
                  const struct field_path *path);

// As field paths of built-in kinds: map keys stand in brackets. The owner of a frame tells fields from keys.
static void write_path(struct strbuf *out, const struct field_path *path)
{
	if (!path)
		return;
	write_path(out, path->parent);
	if (!path->name)
		strbuf_printf(out, "[%zu]", path->index);
	else if (!path->owner)
		strbuf_printf(out, "[%s]", path->name);
	else
		strbuf_printf(out, "%s%s", out->length ? "." : "", path->name);
}

static void complain(const struct walk *walk, const struct field_path *list, size_t index, const char *reason,
                     const char *label, const struct json *value, const char *detail)
{
	AUTO_STRBUF struct strbuf path = STRBUF_INIT(TEXT_MAX_BYTES), text = STRBUF_INIT(TEXT_MAX_BYTES);

	write_path(&path, list);
	strbuf_printf(&path, "[%zu]", index);
	strbuf_append_text(&text, label);
	structural_write_go(&text, value);
	strbuf_append_text(&text, detail);
	structural_error_add(walk->arena, walk->errors, reason, arena_strdup(walk->arena, strbuf_text(&path)),
	                     arena_strdup(walk->arena, strbuf_text(&text)));
}

// What must be unique of an item: itself, or its keys.
static const struct json *identity(const struct walk *walk, const struct structural *node, const struct json *item)
{
	struct json *keys;

	if (node->list_type != SCHEMA_LIST_MAP)
		return item;
	keys = json_object(walk->arena);
	for (const char *const *key = node->list_keys; *key; key++) {
		struct json *value = json_get(item, *key);

		if (value)
			json_set(walk->arena, keys, *key, value);
	}
	return keys;
}

static const char *rendered(const struct walk *walk, const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES);
	struct json *sorted = json_clone(walk->arena, value);

	json_sort_keys(sorted);
	json_write(&text, sorted);
	return arena_strdup(walk->arena, strbuf_text(&text));
}

static void check_unique(const struct walk *walk, const struct structural *node, const struct json *list,
                         const struct field_path *path)
{
	AUTO(hashmap_free) struct hashmap *seen = hashmap_new(NULL);
	static int once, twice;

	for (uint32_t i = 0; i < list->length; i++) {
		const struct json *value = identity(walk, node, list->items[i]);
		const char *key = rendered(walk, value);
		const int *times = hashmap_get(seen, key);

		if (times == &once)
			complain(walk, path, i, "FieldValueDuplicate", "Duplicate value: ", value, "");
		(void)hashmap_put(seen, key, times ? &twice : &once);
	}
}

static bool are_objects(const struct walk *walk, const struct json *list, const struct field_path *path)
{
	for (uint32_t i = 0; i < list->length; i++)
		if (!json_is(list->items[i], JSON_OBJECT) && !json_is(list->items[i], JSON_NULL)) {
			complain(walk, path, i, "FieldValueInvalid", "Invalid value: ", list->items[i],
			         ": must be an object for an array of list-type map");
			return false;
		}
	return true;
}

static bool differ_at_sight(const struct structural *node, const struct json *list)
{
	if (list->length < 2)
		return true;
	if (list->length > FEW_ITEMS || node->list_type == SCHEMA_LIST_MAP)
		return false;
	for (uint32_t i = 1; i < list->length; i++)
		for (uint32_t j = 0; j < i; j++)
			if (json_equal(list->items[i], list->items[j]))
				return false;
	return true;
}

static void check_list(const struct walk *walk, const struct structural *node, const struct json *list,
                       const struct field_path *path)
{
	bool unique = node->list_type == SCHEMA_LIST_SET ||
	              (node->list_type == SCHEMA_LIST_MAP && are_objects(walk, list, path));

	if (unique && !differ_at_sight(node, list))
		check_unique(walk, node, list, path);
	for (uint32_t i = 0; node->items && i < list->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);

		check(walk, node->items, list->items[i], &here);
	}
}

static void check(const struct walk *walk, const struct structural *node, const struct json *value,
                  const struct field_path *path)
{
	if (value->type == JSON_ARRAY)
		check_list(walk, node, value, path);
	if (value->type != JSON_OBJECT)
		return;
	json_for_each_member (member, value) {
		const struct structural *property = structural_property(node, member->key, member->key_length);
		struct field_path here = FIELD_PATH_FIELD(path, property ? &node->type : NULL, member->key);

		if (property || node->element)
			check(walk, property ? property : node->element, member->value, &here);
	}
}

void structural_validate_lists(struct arena *arena, const struct structural *root, const struct json *value,
                               struct structural_errors *errors)
{
	struct walk walk = {arena, errors};

	check(&walk, root, value, NULL);
}
