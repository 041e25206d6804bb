// SPDX-License-Identifier: Apache-2.0
// Places, elements and sets of typed trees.
//
// Whether a list is a set, a keyed list or a whole stands in the field around it
// (list_type, list_keys); whether a map or struct is a whole in the field or in
// its type. Below a place without a type (unknown fields that a custom resource
// keeps) objects are maps and lists are wholes.

#include "common/api/typed.h"

#include <string.h>

#include "common/api/decode_forms.h"

enum {
	ELEMENT_MAX_BYTES = 1 << 20,
};

// Free JSON of a custom resource, which no schema knows.
static bool is_free(const struct schema_type *type)
{
	return type->kind == SCHEMA_RAW && type->preserve_unknown;
}

enum typed_shape typed_shape_of(const struct typed_place *place, const struct json *value)
{
	static const enum typed_shape lists[] = {
	        [SCHEMA_LIST_ATOMIC] = TYPED_LEAF,
	        [SCHEMA_LIST_SET] = TYPED_SET,
	        [SCHEMA_LIST_MAP] = TYPED_MAP_LIST,
	};

	if (!place->type || is_free(place->type))
		return json_is(value, JSON_OBJECT) ? TYPED_MEMBERS : TYPED_LEAF;
	if (place->atomic || (place->type->atomic && !place->granular))
		return TYPED_LEAF;
	if (place->type->kind == SCHEMA_STRUCT || place->type->kind == SCHEMA_MAP)
		return TYPED_MEMBERS;
	return place->type->kind == SCHEMA_LIST ? lists[place->list_type] : TYPED_LEAF;
}

bool typed_member(const struct typed_place *place, const char *key, size_t length, struct typed_place *ret_place,
                  bool *ret_declared)
{
	const struct schema_field *field = NULL;

	*ret_place = (struct typed_place){0};
	if (place->type && place->type->kind == SCHEMA_STRUCT)
		field = schema_find_field(place->type, key, length, NULL);
	if (ret_declared)
		*ret_declared = field != NULL;
	if (field) {
		*ret_place = (struct typed_place){
		        .type = field->type,
		        .list_keys = field->list_keys,
		        .list_type = field->list_type,
		        .atomic = (field->flags & SCHEMA_ATOMIC) != 0,
		        .granular = (field->flags & SCHEMA_GRANULAR) != 0,
		};
		return true;
	}
	if (place->type && place->type->kind == SCHEMA_MAP)
		ret_place->type = place->type->element;
	return !place->type || place->type->kind == SCHEMA_MAP || place->type->preserve_unknown;
}

struct typed_place typed_item(const struct typed_place *place)
{
	return typed_root(place->type->element);
}

bool typed_is_empty(const struct json *value)
{
	return !value || value->type == JSON_NULL ||
	       ((value->type == JSON_OBJECT || value->type == JSON_ARRAY) && !value->length);
}

// --- elements ------------------------------------------------------------------------

static const char *default_of_key(const struct schema_type *type, const char *key)
{
	const struct schema_field *field =
	        type->kind == SCHEMA_STRUCT ? schema_find_field(type, key, strlen(key), NULL) : NULL;

	return field ? field->default_json : NULL;
}

static const char *write_keys(struct arena *arena, const struct typed_place *place, const struct json *item,
                              struct strbuf *text)
{
	const char *wrong = NULL, *sorted[8];
	size_t count = 0;

	// Few keys, nearly always in order.
	for (const char *const *key = place->list_keys; *key && count < ARRAY_SIZE(sorted); key++) {
		size_t i = count++;

		for (; i > 0 && strcmp(sorted[i - 1], *key) > 0; i--)
			sorted[i] = sorted[i - 1];
		sorted[i] = *key;
	}
	for (size_t i = 0; i < count; i++) {
		const struct json *value = json_get(item, sorted[i]);
		const char *standing_in = default_of_key(place->type->element, sorted[i]);

		strbuf_append_char(text, i ? ',' : '{');
		json_write_string(text, sorted[i], strlen(sorted[i]));
		strbuf_append_char(text, ':');
		if (value)
			json_write(text, value);
		else
			strbuf_append_text(text, standing_in ? standing_in : "null");
		if (!value && !standing_in)
			wrong = arena_printf(
			        arena,
			        "associative list with keys has an element that omits key field \"%s\" (and "
			        "doesn't have default value)",
			        sorted[i]);
	}
	strbuf_append_text(text, count ? "}" : "{}");
	return wrong;
}

static const char *write_element(struct arena *arena, const struct typed_place *place, const struct json *item,
                                 struct strbuf *text)
{
	if (place->list_type == SCHEMA_LIST_MAP) {
		const char *wrong = write_keys(arena, place, item, text);

		if (json_is(item, JSON_NULL))
			return "associative list with keys may not have a null element";
		return json_is(item, JSON_OBJECT) ? wrong : "associative list with keys may not have non-map elements";
	}
	json_write(text, item);
	if (json_is(item, JSON_OBJECT))
		return "associative list without keys has an element that's a map type";
	return json_is(item, JSON_ARRAY) ? "not supported: associative list with lists as elements" : NULL;
}

const char *typed_item_element(struct arena *arena, const struct typed_place *place, const struct json *item,
                               struct path_element *ret_element)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(ELEMENT_MAX_BYTES);
	const char *wrong = write_element(arena, place, item, &text);

	*ret_element = (struct path_element){
	        .text = arena_strndup(arena, strbuf_text(&text), text.length),
	        .length = (uint32_t)text.length,
	        .type = place->list_type == SCHEMA_LIST_MAP ? PATH_KEY : PATH_VALUE,
	};
	return wrong;
}

// --- sets ----------------------------------------------------------------------------

static bool collect(struct arena *arena, const struct typed_place *place, const struct json *value,
                    struct field_set *set);

static void collect_members(struct arena *arena, const struct typed_place *place, const struct json *value,
                            struct field_set *set)
{
	json_for_each_member (member, value) {
		struct path_element element = {member->key, member->key_length, PATH_FIELD};
		struct field_set below = FIELD_SET_INIT;
		struct typed_place here;
		bool declared, self;

		if (!typed_member(place, member->key, member->key_length, &here, &declared))
			continue;
		self = collect(arena, &here, member->value, &below) || !declared;
		if (json_is(member->value, JSON_NULL) ||
		    (json_is(member->value, JSON_OBJECT) && !member->value->length))
			self = true;
		if (self || below.count)
			field_set_append(arena, set, &element, self, &below);
	}
}

static void collect_items(struct arena *arena, const struct typed_place *place, const struct json *value,
                          struct field_set *set)
{
	struct typed_place here = typed_item(place);

	json_for_each_item (item, value) {
		struct field_set below = FIELD_SET_INIT;
		struct path_element element;

		(void)typed_item_element(arena, place, item, &element);
		(void)collect(arena, &here, item, &below);
		field_set_append(arena, set, &element, true, &below);
	}
}

// Whether the value itself is a member; what is below it goes into the set.
static bool collect(struct arena *arena, const struct typed_place *place, const struct json *value,
                    struct field_set *set)
{
	enum typed_shape shape = typed_shape_of(place, value);

	if (shape == TYPED_LEAF)
		return true;
	if (shape == TYPED_MEMBERS)
		collect_members(arena, place, value, set);
	else
		collect_items(arena, place, value, set);
	field_set_sort(arena, set);
	return false;
}

struct field_set typed_to_set(struct arena *arena, const struct schema_type *type, const struct json *value)
{
	struct typed_place root = typed_root(type);
	struct field_set set = FIELD_SET_INIT;

	(void)collect(arena, &root, value, &set);
	return set;
}

struct field_set typed_with_parents(struct arena *arena, const struct typed_place *place, const struct field_set *set)
{
	struct field_set result = FIELD_SET_INIT;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct field_set_entry *entry = &set->entries[i];
		struct typed_place here = {0};
		struct field_set children;
		bool declared = false;

		if (entry->element.type == PATH_FIELD)
			(void)typed_member(place, entry->element.text, entry->element.length, &here, &declared);
		else if (place->type && place->type->kind == SCHEMA_LIST)
			here = typed_item(place);
		children = typed_with_parents(arena, &here, &entry->children);
		field_set_append(arena, &result, &entry->element, entry->member || declared, &children);
	}
	return result;
}

// --- removal -------------------------------------------------------------------------

static bool remove_items(struct arena *arena, const struct typed_place *place, struct json *value,
                         const struct field_set *set)
{
	struct typed_place here = typed_item(place);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < value->length; i++) {
		struct json *item = value->items[i];
		const struct field_set_entry *entry;
		struct path_element element;

		(void)typed_item_element(arena, place, item, &element);
		entry = field_set_find(set, &element);
		if (entry && entry->member)
			continue;
		if (entry)
			(void)typed_remove(arena, &here, item, &entry->children);
		value->items[kept++] = item;
	}
	value->length = kept;
	return kept > 0;
}

bool typed_remove(struct arena *arena, const struct typed_place *place, struct json *value, const struct field_set *set)
{
	enum typed_shape shape = typed_shape_of(place, value);
	uint32_t kept = 0;

	if (shape == TYPED_LEAF || typed_is_empty(value) || !set->count)
		return true;
	if (shape != TYPED_MEMBERS)
		return json_is(value, JSON_ARRAY) ? remove_items(arena, place, value, set) : true;
	for (uint32_t i = 0; json_is(value, JSON_OBJECT) && i < value->length; i++) {
		struct json_member member = value->members[i];
		struct path_element element = {member.key, member.key_length, PATH_FIELD};
		const struct field_set_entry *entry = field_set_find(set, &element);
		struct typed_place here;

		(void)typed_member(place, member.key, member.key_length, &here, NULL);
		if (entry && (entry->member || !typed_remove(arena, &here, member.value, &entry->children)))
			continue;
		value->members[kept++] = member;
	}
	if (json_is(value, JSON_OBJECT))
		value->length = kept;
	return value->length > 0;
}

// --- canonical forms -----------------------------------------------------------------

static bool has_canonical_text(enum schema_kind kind)
{
	return kind == SCHEMA_QUANTITY || kind == SCHEMA_TIME || kind == SCHEMA_MICRO_TIME || kind == SCHEMA_DURATION;
}

void typed_canonicalize(struct arena *arena, const struct typed_place *place, struct json *value)
{
	if (!place->type || json_is(value, JSON_NULL))
		return;
	if (has_canonical_text(place->type->kind)) {
		if (decode_scalar(arena, place->type, value, NULL, NULL) < 0)
			return;
	} else if (place->type->kind == SCHEMA_LIST) {
		struct typed_place here = typed_item(place);

		json_for_each_item (item, value)
			typed_canonicalize(arena, &here, item);
	} else if (place->type->kind == SCHEMA_STRUCT || place->type->kind == SCHEMA_MAP) {
		json_for_each_member (member, value) {
			struct typed_place here;

			if (typed_member(place, member->key, member->key_length, &here, NULL))
				typed_canonicalize(arena, &here, member->value);
		}
	}
}
