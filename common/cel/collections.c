// SPDX-License-Identifier: Apache-2.0
//
// Lists and maps made by expressions, and the same questions asked of trees. Made ones
// only grow at their end: a value shows the first `length` elements of its storage, so a
// fold that appends to the longest value seen needs no copy, while all shorter values
// stay what they were. Maps keep their order of insertion and are hashed once they have
// more than a few entries; a tree's large object gets an index when it is searched often.
#include <math.h>
#include <string.h>

#include "common/cel/evaluate.h"

enum {
	SMALL_MAP = 8,
	LARGE_OBJECT = 24, // members, from which on an index may pay
	SEARCHES_BEFORE_INDEX = 3,
};

// --- lists ------------------------------------------------------------------------------

struct cel_value cel_list_new(struct cel_eval *eval, size_t capacity)
{
	struct cel_list *list = cel_allocate(eval, sizeof(*list));
	if (!list)
		return cel_abort(eval);
	*list = (struct cel_list){.capacity = (uint32_t)capacity};
	if (capacity &&
	    (capacity > UINT32_MAX / 2 || !(list->values = cel_allocate(eval, capacity * sizeof(struct cel_value)))))
		return cel_abort(eval);
	return (struct cel_value){.kind = CEL_LIST, .type = &cel_type_list_dyn, .list = list};
}

static bool list_reserve(struct cel_eval *eval, struct cel_list *list, size_t capacity)
{
	struct cel_value *values = cel_allocate(eval, capacity * sizeof(*values));
	if (!values)
		return false;
	if (list->count)
		memcpy(values, list->values, list->count * sizeof(*values));
	list->values = values;
	list->capacity = (uint32_t)capacity;
	return true;
}

bool cel_list_add(struct cel_eval *eval, struct cel_value *list, struct cel_value item)
{
	struct cel_list *storage = list->list;
	if (list->kind != CEL_LIST)
		return false;
	if (storage->count == storage->capacity &&
	    !list_reserve(eval, storage, storage->capacity ? (size_t)storage->capacity * 2 : 4)) {
		*list = cel_abort(eval);
		return false;
	}
	storage->values[storage->count++] = item;
	list->length = storage->count;
	return true;
}

struct cel_value cel_list_get(struct cel_eval *eval, const struct cel_value *list, size_t index)
{
	if (list->flags != CEL_FORM_JSON)
		return list->list->values[index];
	return cel_from_json(eval, list->json->items[index], list->type->params[0]);
}

// The same elements in storage of their own, with room for more.
static struct cel_value list_copy(struct cel_eval *eval, const struct cel_value *list, size_t more)
{
	struct cel_value copy = cel_list_new(eval, ((size_t)list->length + more) * 2);
	if (copy.kind == CEL_ERROR)
		return copy;
	copy.type = list->type;
	if (!cel_work(eval, list->length))
		return cel_abort(eval);
	for (uint32_t i = 0; i < list->length; i++)
		if (!cel_list_add(eval, &copy, cel_list_get(eval, list, i)))
			return copy;
	return copy;
}

struct cel_value cel_list_concat(struct cel_eval *eval, const struct cel_value *left, const struct cel_value *right)
{
	struct cel_value joined = *left;
	if (right->length == 0)
		return *left;
	if (left->type->list_kind != CEL_LIST_ATOMIC)
		return cel_list_merge(eval, left, right);
	bool extend = left->flags == CEL_FORM_MADE && left->list->count == left->length;
	if (!extend)
		joined = list_copy(eval, left, right->length);
	if (joined.kind == CEL_ERROR || !cel_work(eval, right->length))
		return cel_is_error(&joined) ? joined : cel_abort(eval);
	for (uint32_t i = 0; i < right->length; i++)
		if (!cel_list_add(eval, &joined, cel_list_get(eval, right, i)))
			break;
	return joined;
}

bool cel_list_contains(struct cel_eval *eval, const struct cel_value *list, const struct cel_value *item)
{
	for (uint32_t i = 0; i < list->length && cel_work(eval, 1); i++) {
		struct cel_value element = cel_list_get(eval, list, i);
		if (cel_equal(eval, &element, item))
			return true;
	}
	return false;
}

// --- map keys ------------------------------------------------------------------------------

// Numbers that are equal are one key, whatever their types: integers stand for all of them.
static bool key_as_integer(const struct cel_value *key, int64_t *ret_integer)
{
	*ret_integer = key->integer;
	switch (key->kind) {
	case CEL_INT:
		return true;
	case CEL_UINT:
		return key->unsigned_integer <= INT64_MAX;
	case CEL_DOUBLE:
		if (key->real != floor(key->real) || fabs(key->real) >= 9.2e18)
			return false;
		*ret_integer = (int64_t)key->real;
		return true;
	default:
		return false;
	}
}

static uint32_t hash_key(const struct cel_value *key)
{
	int64_t integer;
	uint64_t hash;
	if (key->kind == CEL_STRING)
		hash = json_key_hash(key->text, key->length);
	else if (key_as_integer(key, &integer))
		hash = json_key_hash((const char *)&integer, sizeof(integer));
	else
		hash = json_key_hash((const char *)&key->unsigned_integer, sizeof(key->unsigned_integer));
	return (uint32_t)(hash ^ hash >> 32);
}

static bool same_key(const struct cel_value *a, const struct cel_value *b)
{
	int64_t left, right;
	if (a->kind == CEL_STRING || b->kind == CEL_STRING)
		return a->kind == b->kind && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
	if (a->kind == CEL_BOOL || b->kind == CEL_BOOL)
		return a->kind == b->kind && a->boolean == b->boolean;
	if (key_as_integer(a, &left) && key_as_integer(b, &right))
		return left == right;
	return a->kind == b->kind && a->unsigned_integer == b->unsigned_integer;
}

// --- maps ------------------------------------------------------------------------------------

struct cel_value cel_map_new(struct cel_eval *eval, size_t capacity)
{
	static const struct cel_type map_any = {
	        .kind = CEL_TYPE_MAP, .name = "map", .params = {&cel_type_dyn, &cel_type_dyn}, .param_count = 2};
	struct cel_map *map = cel_allocate(eval, sizeof(*map));
	if (!map)
		return cel_abort(eval);
	*map = (struct cel_map){.capacity = (uint32_t)capacity};
	if (capacity && (capacity > UINT32_MAX / 4 ||
	                 !(map->entries = cel_allocate(eval, capacity * sizeof(struct cel_map_entry)))))
		return cel_abort(eval);
	return (struct cel_value){.kind = CEL_MAP, .type = &map_any, .map = map};
}

static void map_link(struct cel_map *map, uint32_t number)
{
	uint32_t slot = hash_key(&map->entries[number].key) & map->mask;
	while (map->slots[slot])
		slot = (slot + 1) & map->mask;
	map->slots[slot] = number + 1;
}

static bool map_rehash(struct cel_eval *eval, struct cel_map *map)
{
	uint32_t size = 32;
	while (size < map->capacity * 2)
		size *= 2;
	uint32_t *slots = cel_allocate(eval, size * sizeof(*slots));
	if (!slots)
		return false;
	memset(slots, 0, size * sizeof(*slots));
	map->slots = slots;
	map->mask = size - 1;
	for (uint32_t i = 0; i < map->count; i++)
		map_link(map, i);
	return true;
}

static bool map_grow(struct cel_eval *eval, struct cel_map *map)
{
	uint32_t capacity = map->capacity ? map->capacity * 2 : 4;
	struct cel_map_entry *entries = cel_allocate(eval, capacity * sizeof(*entries));
	if (!entries)
		return false;
	if (map->count)
		memcpy(entries, map->entries, map->count * sizeof(*entries));
	map->entries = entries;
	map->capacity = capacity;
	return capacity <= SMALL_MAP || map_rehash(eval, map);
}

// The entry's number among the first `length`, -1 = none.
static int64_t map_search(const struct cel_map *map, uint32_t length, const struct cel_value *key)
{
	if (!map->slots) {
		for (uint32_t i = 0; i < length; i++)
			if (same_key(&map->entries[i].key, key))
				return i;
		return -1;
	}
	for (uint32_t slot = hash_key(key) & map->mask; map->slots[slot]; slot = (slot + 1) & map->mask)
		if (same_key(&map->entries[map->slots[slot] - 1].key, key))
			return map->slots[slot] <= length ? (int64_t)map->slots[slot] - 1 : -1;
	return -1;
}

enum cel_insert cel_map_insert(struct cel_eval *eval, struct cel_value *map, struct cel_value key,
                               struct cel_value value)
{
	struct cel_map *storage = map->map;
	if (map_search(storage, map->length, &key) >= 0)
		return CEL_INSERT_EXISTS;
	bool room = storage->count < storage->capacity || map_grow(eval, storage);
	bool to_hash = room && !storage->slots && storage->capacity > SMALL_MAP;
	if (!room || (to_hash && !map_rehash(eval, storage))) {
		*map = cel_abort(eval);
		return CEL_INSERT_FAILED;
	}
	storage->entries[storage->count] = (struct cel_map_entry){key, value};
	if (storage->slots)
		map_link(storage, storage->count);
	map->length = ++storage->count;
	return CEL_INSERTED;
}

void cel_map_entry(struct cel_eval *eval, const struct cel_value *map, size_t index, struct cel_value *ret_key,
                   struct cel_value *ret_value)
{
	if (map->flags != CEL_FORM_JSON) {
		*ret_key = map->map->entries[index].key;
		*ret_value = map->map->entries[index].value;
		return;
	}
	const struct json_member *member = &map->json->members[index];
	*ret_key = cel_value_string(member->key, member->key_length);
	*ret_value = cel_from_json(eval, member->value, map->type->params[1]);
}

// A map with one entry more: in place when `map` is the longest value of its storage.
struct cel_value cel_map_extend(struct cel_eval *eval, const struct cel_value *map, struct cel_value key,
                                struct cel_value value)
{
	struct cel_value grown = *map;
	if (map->flags == CEL_FORM_JSON || map->map->count != map->length) {
		grown = cel_map_new(eval, (size_t)map->length + 1);
		for (uint32_t i = 0; i < map->length && grown.kind == CEL_MAP && cel_work(eval, 1); i++) {
			struct cel_value old_key, old_value;
			cel_map_entry(eval, map, i, &old_key, &old_value);
			(void)cel_map_insert(eval, &grown, old_key, old_value);
		}
		if (grown.kind != CEL_MAP)
			return grown;
	}
	if (cel_map_insert(eval, &grown, key, value) == CEL_INSERT_EXISTS) {
		struct cel_value text = cel_convert_string(eval, &key);
		return cel_fail(eval, "insert failed: key %.*s already exists",
		                text.kind == CEL_STRING ? (int)text.length : 0,
		                text.kind == CEL_STRING ? text.text : "");
	}
	return grown;
}

// --- members of trees ----------------------------------------------------------------------------

static struct cel_json_index *find_index(struct cel_eval *eval, const struct json *object)
{
	if (!eval->indexes) {
		struct cel_json_index *indexes = cel_allocate(eval, CEL_INDEX_SLOTS * sizeof(*indexes));
		if (!indexes)
			return NULL;
		memset(indexes, 0, CEL_INDEX_SLOTS * sizeof(*indexes));
		eval->indexes = indexes;
	}
	struct cel_json_index *index = &eval->indexes[((uintptr_t)object >> 5) * 2654435761u % CEL_INDEX_SLOTS];
	if (index->object != object) {
		if (index->made)
			json_index_done(&index->index);
		*index = (struct cel_json_index){.object = object};
	}
	return index;
}

struct json *cel_json_member(struct cel_eval *eval, const struct json *object, const char *key, size_t length)
{
	if (object->length < LARGE_OBJECT)
		return json_get_n(object, key, length);
	struct cel_json_index *index = find_index(eval, object);
	if (!index)
		return NULL;
	if (!index->made && ++index->searches < SEARCHES_BEFORE_INDEX)
		return cel_work(eval, object->length / 4) ? json_get_n(object, key, length) : NULL;
	if (!index->made) {
		if (!cel_work(eval, (uint64_t)object->length * 4))
			return NULL;
		json_index_init(&index->index, object);
		index->made = true;
	}
	return cel_work(eval, 2) ? json_index_get(&index->index, key, length) : NULL;
}

bool cel_map_find(struct cel_eval *eval, const struct cel_value *map, const struct cel_value *key,
                  struct cel_value *ret_value)
{
	if (map->flags == CEL_FORM_JSON) {
		struct json *member =
		        key->kind == CEL_STRING ? cel_json_member(eval, map->json, key->text, key->length) : NULL;
		if (member)
			*ret_value = cel_from_json(eval, member, map->type->params[1]);
		return member != NULL;
	}
	if (key->kind == CEL_DOUBLE && isnan(key->real))
		return false;
	int64_t number = map_search(map->map, map->length, key);
	if (number >= 0)
		*ret_value = map->map->entries[number].value;
	return number >= 0;
}
