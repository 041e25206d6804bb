// SPDX-License-Identifier: Apache-2.0
//
// The JSON tree: making, reading and editing of nodes. A container holds
// pointers to its values, never the values themselves, so that a node keeps its
// address while its container grows. Containers made by the reader are exactly
// as large as their contents; the first edit that adds to one moves its table
// to a larger place in the arena and leaves the old one behind.
//
// Look-up is linear: API objects have a dozen members. What walks large maps as
// a whole (equality, merging) builds a struct json_index first, so that no work
// is quadratic in what a client sends.
#include "common/api/json.h"

#include <assert.h>
#include <string.h>

#include "common/api/json_hash.h"

enum { JSON_FIRST_CAPACITY = 4 };

static struct json *node_new(struct arena *arena, enum json_type type)
{
	struct json *node = ARENA_NEW(arena, struct json);
	node->type = type;
	return node;
}

struct json *json_null(struct arena *arena)
{
	return node_new(arena, JSON_NULL);
}

struct json *json_bool(struct arena *arena, bool value)
{
	struct json *node = node_new(arena, JSON_BOOL);
	node->boolean = value;
	return node;
}

struct json *json_integer(struct arena *arena, int64_t value)
{
	struct json *node = node_new(arena, JSON_INTEGER);
	node->integer = value;
	return node;
}

static char *copy_text(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	if (length)
		memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

struct json *json_string_n(struct arena *arena, const char *text, size_t length)
{
	assert(length <= UINT32_MAX);
	struct json *node = node_new(arena, JSON_STRING);
	node->text = copy_text(arena, text, length);
	node->length = (uint32_t)length;
	return node;
}

struct json *json_string(struct arena *arena, const char *text)
{
	return json_string_n(arena, text, strlen(text));
}

struct json *json_array(struct arena *arena)
{
	return node_new(arena, JSON_ARRAY);
}

struct json *json_object(struct arena *arena)
{
	return node_new(arena, JSON_OBJECT);
}

struct json *json_clone(struct arena *arena, const struct json *value)
{
	struct json *copy = node_new(arena, value->type);
	*copy = *value;
	copy->capacity = value->length;
	if (value->type == JSON_STRING || value->type == JSON_NUMBER) {
		copy->text = copy_text(arena, value->text, value->length);
	} else if (value->type == JSON_ARRAY && value->length) {
		copy->items = arena_alloc(arena, value->length * sizeof(*copy->items));
		for (uint32_t i = 0; i < value->length; i++)
			copy->items[i] = json_clone(arena, value->items[i]);
	} else if (value->type == JSON_OBJECT && value->length) {
		copy->members = arena_alloc(arena, value->length * sizeof(*copy->members));
		for (uint32_t i = 0; i < value->length; i++) {
			const struct json_member *member = &value->members[i];
			copy->members[i] = (struct json_member){
			        .key = copy_text(arena, member->key, member->key_length),
			        .key_length = member->key_length,
			        .value = json_clone(arena, member->value),
			};
		}
	} else if (value->type == JSON_ARRAY || value->type == JSON_OBJECT) {
		copy->items = NULL;
	}
	return copy;
}

// --- reading -------------------------------------------------------------------

static struct json_member *find_member(const struct json *object, const char *key, size_t key_length)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (uint32_t i = 0; i < object->length; i++) {
		struct json_member *member = &object->members[i];
		if (member->key_length == key_length && memcmp(member->key, key, key_length) == 0)
			return member;
	}
	return NULL;
}

struct json *json_get_n(const struct json *object, const char *key, size_t key_length)
{
	struct json_member *member = find_member(object, key, key_length);
	return member ? member->value : NULL;
}

struct json *json_get(const struct json *object, const char *key)
{
	return json_get_n(object, key, strlen(key));
}

struct json *json_path_(const struct json *object, const char *const *keys)
{
	const struct json *value = object;
	for (; *keys && value; keys++)
		value = json_get(value, *keys);
	return (struct json *)value;
}

const char *json_text(const struct json *value)
{
	return json_is(value, JSON_STRING) ? value->text : NULL;
}

const char *json_get_text(const struct json *object, const char *key)
{
	return json_text(json_get(object, key));
}

bool json_get_integer(const struct json *object, const char *key, int64_t *ret_value)
{
	const struct json *value = json_get(object, key);
	if (!json_is(value, JSON_INTEGER))
		return false;
	*ret_value = value->integer;
	return true;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
	const struct json *value = json_get(object, key);
	return json_is(value, JSON_BOOL) ? value->boolean : fallback;
}

bool json_is(const struct json *value, enum json_type type)
{
	return value && value->type == type;
}

bool json_is_null(const struct json *value)
{
	return json_is(value, JSON_NULL);
}

static bool arrays_equal(const struct json *a, const struct json *b)
{
	for (uint32_t i = 0; i < a->length; i++)
		if (!json_equal(a->items[i], b->items[i]))
			return false;
	return true;
}

static bool objects_equal(const struct json *a, const struct json *b)
{
	struct json_index index;
	json_index_init(&index, b);
	bool equal = true;
	for (uint32_t i = 0; i < a->length && equal; i++) {
		// The same key usually stands at the same place.
		const struct json_member *mine = &a->members[i];
		const struct json_member *other = &b->members[i];
		const struct json *value = other->value;
		if (other->key_length != mine->key_length || memcmp(other->key, mine->key, mine->key_length) != 0)
			value = json_index_get(&index, mine->key, mine->key_length);
		equal = value && json_equal(mine->value, value);
	}
	json_index_done(&index);
	return equal;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->type != b->type)
		return false;
	switch ((enum json_type)a->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->boolean == b->boolean;
	case JSON_INTEGER:
		return a->integer == b->integer;
	case JSON_NUMBER:
	case JSON_STRING:
		return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
	case JSON_ARRAY:
		return a->length == b->length && arrays_equal(a, b);
	case JSON_OBJECT:
		return a->length == b->length && objects_equal(a, b);
	}
	return false;
}

// --- editing -------------------------------------------------------------------

static void *grow_table(struct arena *arena, void *table, uint32_t length, uint32_t *capacity, size_t entry_bytes)
{
	if (length < *capacity)
		return table;
	assert(length < UINT32_MAX / 2);
	uint32_t larger = length < JSON_FIRST_CAPACITY ? JSON_FIRST_CAPACITY : length * 2;
	table = arena_realloc(arena, table, *capacity * entry_bytes, larger * entry_bytes);
	*capacity = larger;
	return table;
}

static void append_member(struct arena *arena, struct json *object, const char *key, size_t key_length,
                          struct json *value)
{
	object->members =
	        grow_table(arena, object->members, object->length, &object->capacity, sizeof(*object->members));
	object->members[object->length++] = (struct json_member){
	        .key = copy_text(arena, key, key_length),
	        .key_length = (uint32_t)key_length,
	        .value = value,
	};
}

void json_set_n(struct arena *arena, struct json *object, const char *key, size_t key_length, struct json *value)
{
	assert(object->type == JSON_OBJECT);
	struct json_member *member = find_member(object, key, key_length);
	if (member)
		member->value = value;
	else
		append_member(arena, object, key, key_length, value);
}

void json_add_n(struct arena *arena, struct json *object, const char *key, size_t key_length, struct json *value)
{
	assert(object->type == JSON_OBJECT);
	append_member(arena, object, key, key_length, value);
}

void json_set(struct arena *arena, struct json *object, const char *key, struct json *value)
{
	json_set_n(arena, object, key, strlen(key), value);
}

void json_set_text(struct arena *arena, struct json *object, const char *key, const char *text)
{
	json_set(arena, object, key, json_string(arena, text));
}

void json_set_integer(struct arena *arena, struct json *object, const char *key, int64_t value)
{
	json_set(arena, object, key, json_integer(arena, value));
}

void json_set_bool(struct arena *arena, struct json *object, const char *key, bool value)
{
	json_set(arena, object, key, json_bool(arena, value));
}

bool json_remove_n(struct json *object, const char *key, size_t key_length)
{
	struct json_member *member = find_member(object, key, key_length);
	if (!member)
		return false;
	size_t after = (size_t)(object->members + object->length - (member + 1));
	memmove(member, member + 1, after * sizeof(*member));
	object->length--;
	return true;
}

bool json_remove(struct json *object, const char *key)
{
	return json_remove_n(object, key, strlen(key));
}

void json_append(struct arena *arena, struct json *array, struct json *item)
{
	assert(array->type == JSON_ARRAY);
	array->items = grow_table(arena, array->items, array->length, &array->capacity, sizeof(struct json *));
	array->items[array->length++] = item;
}

void json_insert(struct arena *arena, struct json *array, size_t index, struct json *item)
{
	assert(index <= array->length);
	json_append(arena, array, item);
	memmove(array->items + index + 1, array->items + index, (array->length - 1 - index) * sizeof(struct json *));
	array->items[index] = item;
}

void json_remove_at(struct json *array, size_t index)
{
	assert(array->type == JSON_ARRAY && index < array->length);
	memmove(array->items + index, array->items + index + 1, (array->length - 1 - index) * sizeof(struct json *));
	array->length--;
}

static struct json *ensure(struct arena *arena, struct json *object, const char *key, enum json_type type)
{
	struct json *value = json_get(object, key);
	if (value && value->type != JSON_NULL)
		return value;
	value = node_new(arena, type);
	json_set(arena, object, key, value);
	return value;
}

struct json *json_ensure_object(struct arena *arena, struct json *object, const char *key)
{
	return ensure(arena, object, key, JSON_OBJECT);
}

struct json *json_ensure_array(struct arena *arena, struct json *object, const char *key)
{
	return ensure(arena, object, key, JSON_ARRAY);
}

void json_assign(struct json *target, const struct json *source)
{
	*target = *source;
}

static int compare_members(const void *left, const void *right)
{
	const struct json_member *a = left;
	const struct json_member *b = right;
	uint32_t shorter = a->key_length < b->key_length ? a->key_length : b->key_length;
	int order = memcmp(a->key, b->key, shorter);
	return order ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

void json_sort_keys(struct json *value)
{
	if (json_is(value, JSON_OBJECT) && value->length) {
		qsort(value->members, value->length, sizeof(*value->members), compare_members);
		for (uint32_t i = 0; i < value->length; i++)
			json_sort_keys(value->members[i].value);
	} else if (json_is(value, JSON_ARRAY)) {
		for (uint32_t i = 0; i < value->length; i++)
			json_sort_keys(value->items[i]);
	}
}
