// SPDX-License-Identifier: Apache-2.0
//
// The rules of strategic merging that come from the schema, and the order of
// merged lists. Items are found by identity through an index, so that merging
// long lists is not quadratic.
#include <string.h>

#include "common/api/patch_strategic_internal.h"

// --- errors ------------------------------------------------------------------------

int patch_no_merge_key(struct arena *arena, const struct json *item, const char *key, struct err *err)
{
	return err_set(err, ERR_BAD_REQUEST, "map: %s does not contain declared merge key: %s",
	               go_value_text(arena, item), key);
}

int patch_bad_type(const char *expected, const struct json *actual, struct err *err)
{
	return err_set(err, ERR_BAD_REQUEST, "expected a %s, but received a %s", expected, go_type_text(actual));
}

// --- the schema's rules --------------------------------------------------------------

static const char *kind_text(const struct schema_type *type)
{
	switch (type->kind) {
	case SCHEMA_LIST:
		return "slice";
	case SCHEMA_MAP:
		return "map";
	case SCHEMA_BYTES:
		return "slice";
	case SCHEMA_INT32:
		return "int32";
	case SCHEMA_INT64:
		return "int64";
	case SCHEMA_BOOL:
		return "bool";
	case SCHEMA_DOUBLE:
		return "float64";
	case SCHEMA_STRING:
		return "string";
	default:
		return "struct";
	}
}

static int unknown_field(const struct schema_type *type, const char *key, struct err *err)
{
	return err_set(err, ERR_BAD_REQUEST, "unable to find api field in struct %s for the json field \"%s\"",
	               type->name, key);
}

int patch_meta_of_object(struct arena *arena, const struct schema_type *type, const char *key,
                         struct patch_meta *ret_meta, struct err *err)
{
	(void)arena;
	*ret_meta = (struct patch_meta){0};
	if (!type || type->kind == SCHEMA_RAW)
		return 0;
	if (type->kind == SCHEMA_MAP) {
		ret_meta->type = type->element;
		return 0;
	}
	if (type->kind != SCHEMA_STRUCT)
		return type->kind == SCHEMA_LIST || type->kind < SCHEMA_QUANTITY
		               ? err_set(err, ERR_BAD_REQUEST,
		                         "merging an object in json but data type is not struct, instead is: %s",
		                         kind_text(type))
		               : unknown_field(type, key, err);
	const struct schema_field *field = schema_find_field(type, key, strlen(key), NULL);
	if (!field)
		return type->preserve_unknown ? 0 : unknown_field(type, key, err);
	*ret_meta = (struct patch_meta){
	        .type = field->type,
	        .merge = field->flags & SCHEMA_PATCH_MERGE,
	        .replace = field->flags & SCHEMA_PATCH_REPLACE,
	        .retain_keys = field->flags & SCHEMA_PATCH_REPLACE_KEYS,
	        .merge_key = field->patch_merge_key,
	};
	return 0;
}

int patch_meta_of_list(struct arena *arena, const struct schema_type *type, const char *key,
                       struct patch_meta *ret_meta, struct err *err)
{
	int code = patch_meta_of_object(arena, type, key, ret_meta, err);
	if (code || !ret_meta->type || ret_meta->type->kind == SCHEMA_RAW)
		return code;
	if (ret_meta->type->kind != SCHEMA_LIST)
		return err_set(err, ERR_BAD_REQUEST, "expected slice or array type, but got: %s", kind_text(type));
	ret_meta->type = ret_meta->type->element;
	return 0;
}

bool patch_has_prefix(const struct json_member *member, const char *prefix)
{
	size_t length = strlen(prefix);
	return member->key_length >= length && memcmp(member->key, prefix, length) == 0;
}

int patch_parallel_field(const struct json_member *member, const char *prefix, const char **ret_field, struct err *err)
{
	const char *rest = member->key + strlen(prefix);
	if (*rest != '/')
		return err_set(err, ERR_BAD_REQUEST, "invalid patch format of %s",
		               strcmp(prefix, PATCH_DELETE_PREFIX) == 0 ? "primitive list" : "setElementOrder list");
	*ret_field = rest + 1;
	return 0;
}

static int check_items(struct arena *arena, const struct json *list, bool *first, enum json_type *type, struct err *err)
{
	json_for_each_item (item, list) {
		if (item->type == JSON_ARRAY)
			return err_set(err, ERR_BAD_REQUEST, "lists of lists are not supported");
		if (!*first && item->type != *type)
			return err_set(err, ERR_BAD_REQUEST, "list element types are not identical: %s",
			               go_value_text(arena, list));
		*first = false;
		*type = item->type;
	}
	return 0;
}

int patch_item_type(struct arena *arena, const struct json *first, const struct json *second, enum json_type *ret_type,
                    struct err *err)
{
	bool is_first = true;
	enum json_type type = JSON_NULL;
	int code = check_items(arena, first, &is_first, &type, err);
	if (!code)
		code = check_items(arena, second, &is_first, &type, err);
	if (!code)
		*ret_type = type;
	return code;
}

// --- identities ------------------------------------------------------------------------

// The scalar as a text that tells types apart.
static const char *identity_text(struct arena *arena, const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	if (!value)
		return "absent";
	json_write(&text, value);
	char *copy = arena_alloc(arena, text.length + 1);
	memcpy(copy, text.data, text.length + 1);
	return copy;
}

static const struct json *identity_of(const struct json *item, const char *merge_key)
{
	return merge_key ? json_get(item, merge_key) : item;
}

void identity_index_init(struct identity_index *identities, struct arena *arena, const struct json *list,
                         const char *merge_key)
{
	*identities = (struct identity_index){.merge_key = merge_key, .names = json_object(arena)};
	json_for_each_item (item, list) {
		const char *name = identity_text(arena, identity_of(item, merge_key));
		json_add_n(arena, identities->names, name, strlen(name), (struct json *)item);
	}
	json_index_init(&identities->index, identities->names);
}

void identity_index_done(struct identity_index *identities)
{
	json_index_done(&identities->index);
}

size_t identity_index_find_value(struct identity_index *identities, struct arena *arena, const struct json *value)
{
	const char *name = identity_text(arena, value);
	struct json_member *found = json_index_find(&identities->index, name, strlen(name));
	return found ? (size_t)(found - identities->names->members) : IDENTITY_NONE;
}

size_t identity_index_find(struct identity_index *identities, struct arena *arena, const struct json *item)
{
	return identity_index_find_value(identities, arena, identity_of(item, identities->merge_key));
}

bool patch_is_deletion(const struct json *item)
{
	const char *directive = json_get_text(item, PATCH_DIRECTIVE);
	return directive && strcmp(directive, "delete") == 0;
}

// --- order --------------------------------------------------------------------------------

struct ranked {
	struct json *item;
	size_t rank;
	size_t position;
};

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return (a->position > b->position) - (a->position < b->position);
}

static struct json *sort_by_index(struct arena *arena, const struct json *items, struct identity_index *order)
{
	struct json *sorted = json_array(arena);
	struct ranked *ranked = ARENA_ARRAY(arena, struct ranked, items->length + 1);
	size_t count = 0;
	json_for_each_item (item, items)
		if (!patch_is_deletion(item))
			ranked[count] = (struct ranked){item, identity_index_find(order, arena, item), count}, count++;
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < count; i++)
		json_append(arena, sorted, ranked[i].item);
	json_for_each_item (item, items)
		if (patch_is_deletion(item))
			json_append(arena, sorted, item);
	return sorted;
}

struct json *patch_sort_by_order(struct arena *arena, const struct json *items, const struct json *order,
                                 const char *merge_key)
{
	AUTO_IDENTITY_INDEX struct identity_index index;
	identity_index_init(&index, arena, order, merge_key);
	return sort_by_index(arena, items, &index);
}

struct json *patch_weave(struct arena *arena, const struct json *merged, const struct json *patch_order,
                         const struct json *live, const char *merge_key)
{
	AUTO_IDENTITY_INDEX struct identity_index ordered, known;
	identity_index_init(&ordered, arena, patch_order, merge_key);
	identity_index_init(&known, arena, live, merge_key);
	struct json *patched = json_array(arena);
	struct json *others = json_array(arena);
	json_for_each_item (item, merged) {
		bool is_ordered = identity_index_find(&ordered, arena, item) != IDENTITY_NONE;
		json_append(arena, is_ordered ? patched : others, item);
	}
	patched = sort_by_index(arena, patched, &ordered);
	others = sort_by_index(arena, others, &known);
	// An other one goes first only where the live list says so.
	struct json *result = json_array(arena);
	uint32_t i = 0, j = 0;
	while (i < others->length || j < patched->length) {
		bool take_other = j == patched->length;
		if (i < others->length && j < patched->length) {
			size_t left = identity_index_find(&known, arena, others->items[i]);
			size_t right = identity_index_find(&known, arena, patched->items[j]);
			take_other = left != IDENTITY_NONE && right != IDENTITY_NONE && left < right;
		}
		json_append(arena, result, take_other ? others->items[i++] : patched->items[j++]);
	}
	return result;
}
