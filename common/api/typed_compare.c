// SPDX-License-Identifier: Apache-2.0
// The difference of two typed trees as three sets of places.
//
// A level returns what happened to the place itself and fills the sets below it;
// its caller puts both together, so that nothing is allocated where nothing
// changed. A container that wasn't there at all is added itself, besides what it
// holds; two containers that hold nothing are compared as leaves, so that null
// and {} differ.

#include <stdlib.h>
#include <string.h>

#include "common/api/json_hash.h"
#include "common/api/typed.h"

enum outcome {
	SAME,
	ADDED,
	MODIFIED,
	REMOVED,
};

static enum outcome compare(struct arena *arena, const struct typed_place *place, const struct json *from,
                            const struct json *to, struct typed_difference *below);

static enum outcome presence(const struct json *from, const struct json *to)
{
	return !from ? ADDED : !to ? REMOVED : SAME;
}

static enum outcome compare_leaf(const struct json *from, const struct json *to)
{
	enum outcome outcome = presence(from, to);

	return outcome == SAME && !json_equal(from, to) ? MODIFIED : outcome;
}

static void note(struct arena *arena, struct typed_difference *difference, const struct path_element *element,
                 enum outcome outcome, const struct typed_difference *below)
{
	if (outcome == ADDED || below->added.count)
		field_set_append(arena, &difference->added, element, outcome == ADDED, &below->added);
	if (outcome == MODIFIED || below->modified.count)
		field_set_append(arena, &difference->modified, element, outcome == MODIFIED, &below->modified);
	if (outcome == REMOVED || below->removed.count)
		field_set_append(arena, &difference->removed, element, outcome == REMOVED, &below->removed);
}

static void compare_member(struct arena *arena, const struct typed_place *place, const struct json_member *member,
                           const struct json *from, const struct json *to, struct typed_difference *difference)
{
	struct path_element element = {member->key, member->key_length, PATH_FIELD};
	struct typed_difference below = {0};
	struct typed_place here;
	enum outcome outcome;

	if (!typed_member(place, member->key, member->key_length, &here, NULL))
		return;
	outcome = compare(arena, &here, from, to, &below);
	note(arena, difference, &element, outcome, &below);
}

static void compare_members(struct arena *arena, const struct typed_place *place, const struct json *from,
                            const struct json *to, struct typed_difference *difference)
{
	AUTO_JSON_INDEX struct json_index old_members, new_members;

	json_index_init(&old_members, from);
	json_index_init(&new_members, to);
	json_for_each_member (member, to)
		compare_member(arena, place, member, json_index_get(&old_members, member->key, member->key_length),
		               member->value, difference);
	json_for_each_member (member, from)
		if (!json_index_find(&new_members, member->key, member->key_length))
			compare_member(arena, place, member, member->value, NULL, difference);
}

// --- lists ---------------------------------------------------------------------------

struct item {
	struct path_element element;
	const struct json *value;
	uint32_t position;
};

static int compare_item_order(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int order = path_element_compare(&left->element, &right->element);

	return order ? order : left->position < right->position ? -1 : left->position > right->position;
}

static struct item *sorted_items(struct arena *arena, const struct typed_place *place, const struct json *list,
                                 uint32_t *ret_count)
{
	uint32_t count = json_is(list, JSON_ARRAY) ? list->length : 0;
	struct item *items = arena_alloc(arena, count * sizeof(*items) + 1);

	for (uint32_t i = 0; i < count; i++) {
		(void)typed_item_element(arena, place, list->items[i], &items[i].element);
		items[i].value = list->items[i];
		items[i].position = i;
	}
	if (count > 1)
		qsort(items, count, sizeof(*items), compare_item_order);
	*ret_count = count;
	return items;
}

// Items from the start of `items` that have this element.
static uint32_t run_length(const struct item *items, uint32_t count, const struct path_element *element)
{
	uint32_t length = 0;

	while (length < count && !path_element_compare(&items[length].element, element))
		length++;
	return length;
}

// Items that stand more than once are compared all together.
static enum outcome compare_runs(const struct item *from, uint32_t from_count, const struct item *to, uint32_t to_count)
{
	if (!from_count || !to_count)
		return from_count ? REMOVED : ADDED;
	if (from_count != to_count)
		return MODIFIED;
	for (uint32_t i = 0; i < from_count; i++)
		if (!json_equal(from[i].value, to[i].value))
			return MODIFIED;
	return SAME;
}

static void compare_items(struct arena *arena, const struct typed_place *place, const struct json *from_list,
                          const struct json *to_list, struct typed_difference *difference)
{
	struct typed_place here = typed_item(place);
	uint32_t from_count, to_count;
	struct item *from = sorted_items(arena, place, from_list, &from_count);
	struct item *to = sorted_items(arena, place, to_list, &to_count);

	while (from_count || to_count) {
		bool first_is_old = !to_count || (from_count && path_element_compare(&from->element, &to->element) < 0);
		const struct path_element *element = first_is_old ? &from->element : &to->element;
		uint32_t olds = run_length(from, from_count, element), news = run_length(to, to_count, element);
		struct typed_difference below = {0};
		enum outcome outcome;

		if (olds > 1 || news > 1)
			outcome = compare_runs(from, olds, to, news);
		else
			outcome = compare(arena, &here, olds ? from->value : NULL, news ? to->value : NULL, &below);
		note(arena, difference, element, outcome, &below);
		from += olds;
		from_count -= olds;
		to += news;
		to_count -= news;
	}
}

static void sort_difference(struct arena *arena, struct typed_difference *difference)
{
	field_set_sort(arena, &difference->added);
	field_set_sort(arena, &difference->modified);
	field_set_sort(arena, &difference->removed);
}

static enum outcome compare(struct arena *arena, const struct typed_place *place, const struct json *from,
                            const struct json *to, struct typed_difference *below)
{
	// Most of an object is as it was, and that is seen without the tables.
	if (from && to && json_equal(from, to))
		return SAME;

	enum typed_shape shape = typed_shape_of(place, typed_is_empty(to) ? from : to);

	if (shape == TYPED_LEAF || (typed_is_empty(from) && typed_is_empty(to)))
		return compare_leaf(from, to);
	if (shape == TYPED_MEMBERS)
		compare_members(arena, place, from, to, below);
	else
		compare_items(arena, place, from, to, below);
	sort_difference(arena, below);
	return presence(from, to);
}

void typed_compare(struct arena *arena, const struct schema_type *type, const struct json *from, const struct json *to,
                   struct typed_difference *ret_difference)
{
	struct typed_place root = typed_root(type);

	*ret_difference = (struct typed_difference){0};
	(void)compare(arena, &root, from, to, ret_difference);
}
