// SPDX-License-Identifier: Apache-2.0
// From a parsed document to what upstream's decoder would hold of it.
//
// Upstream decodes into Go structs and encodes them again. What that does to a
// document is done here to the tree itself, guided by the schema's tables:
// unknown fields fall out (noted for strict and warning validation), nulls fall
// out or, in lists and maps, become zero values, empty values fall out where Go
// would omit them, scalars take their canonical text, and what a struct always writes is added (schema_fill_shape).
// Wrong types end it with Go's words.
//
// Inlined structs are flattened in the tables, so a struct is one loop over its
// members. Depth and size are bounded by the reader's limits.

#include "common/api/decode.h"

#include <string.h>

#include "common/api/decode_forms.h"
#include "common/api/structural.h"

#define ISSUES_MAXIMUM 100
#define PATH_MAX_BYTES 4096

struct normalizer {
	struct arena *arena;
	struct decode_issues *issues; // NULL: not noted
	struct err *err;
};

static int normalize(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                     const struct field_path *path);

void decode_issues_add(struct arena *arena, struct decode_issues *issues, const char *what, const char *path)
{
	if (issues->count >= ISSUES_MAXIMUM)
		return;
	if (issues->texts == NULL)
		issues->texts = ARENA_ARRAY(arena, const char *, ISSUES_MAXIMUM);
	issues->texts[issues->count++] = arena_printf(arena, "%s \"%s\"", what, path);
}

static void note_unknown(const struct normalizer *normalizer, const struct field_path *path, const char *key)
{
	if (normalizer->issues == NULL)
		return;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);
	field_path_write(&text, path, key);
	decode_issues_add(normalizer->arena, normalizer->issues, "unknown field", strbuf_text(&text));
}

// Whether a null stands for something by itself: in raw lists, and where a custom resource allows it.
static bool keeps_null(const struct schema_field *field)
{
	return (field->flags & SCHEMA_NULLABLE) != 0;
}

// Whether the encoder would leave the member out again: Go's omitempty on what
// isn't a pointer, and times that read as nothing.
static bool vanishes(const struct schema_field *field, const struct json *value)
{
	if (field->type->kind == SCHEMA_RAW)
		return false;
	if (value->type == JSON_NULL)
		return true;
	if ((field->flags & SCHEMA_POINTER) || !(field->flags & SCHEMA_OMIT_EMPTY))
		return false;
	return decode_is_zero(value) || (field->type->kind == SCHEMA_MAP && value->length == 0);
}

enum member_outcome {
	MEMBER_DROP,
	MEMBER_KEEP,
};

// An error is negative, else the outcome.
static int normalize_member(const struct normalizer *normalizer, const struct schema_type *type,
                            struct json_member *member, const struct field_path *path)
{
	const struct schema_field *field = schema_find_field(type, member->key, member->key_length, NULL);
	if (field == NULL) {
		if (type->preserve_unknown)
			return MEMBER_KEEP;
		note_unknown(normalizer, path, member->key);
		return MEMBER_DROP;
	}
	if (member->value->type == JSON_NULL)
		return keeps_null(field) ? MEMBER_KEEP : MEMBER_DROP;
	struct field_path here = FIELD_PATH_FIELD(path, type, field->json_name);
	int result = normalize(normalizer, field->type, member->value, &here);
	if (result < 0)
		return result;
	return vanishes(field, member->value) ? MEMBER_DROP : MEMBER_KEEP;
}

static int normalize_struct(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                            const struct field_path *path)
{
	if (value->type != JSON_OBJECT)
		return field_path_type_error(path, type, value, normalizer->err);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < value->length; i++) {
		struct json_member member = value->members[i];
		int result = normalize_member(normalizer, type, &member, path);
		if (result < 0)
			return result;
		if (result == MEMBER_KEEP)
			value->members[kept++] = member;
	}
	value->length = kept;
	return 0;
}

// An element of a list or map: a null is the zero value of its type.
static int normalize_element(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                             const struct field_path *path)
{
	if (value->type == JSON_NULL) {
		json_assign(value, decode_zero_value(normalizer->arena, type));
		return 0;
	}
	return normalize(normalizer, type, value, path);
}

static int normalize_list(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                          const struct field_path *path)
{
	if (value->type != JSON_ARRAY)
		return field_path_type_error(path, type, value, normalizer->err);
	for (uint32_t i = 0; i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);
		int result = normalize_element(normalizer, type->element, value->items[i], &here);
		if (result < 0)
			return result;
	}
	return 0;
}

static int normalize_map(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                         const struct field_path *path)
{
	if (value->type != JSON_OBJECT)
		return field_path_type_error(path, type, value, normalizer->err);
	json_for_each_member (member, value) {
		struct field_path here = FIELD_PATH_KEY(path, member->key);
		int result = normalize_element(normalizer, type->element, member->value, &here);
		if (result < 0)
			return result;
	}
	return 0;
}

// Free JSON. Where objects in it have a type (a schema, or schemas in a list),
// they are read by that type, silently: upstream's own readers of these forms
// know no strictness.
static int normalize_raw(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                         const struct field_path *path)
{
	const struct normalizer silent = {.arena = normalizer->arena, .err = normalizer->err};
	if (type->element == NULL)
		return 0;
	if (value->type == JSON_OBJECT)
		return normalize(&silent, type->element, value, path);
	if (value->type != JSON_ARRAY)
		return 0;
	for (uint32_t i = 0; i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);
		int result = normalize_raw(&silent, type, value->items[i], &here);
		if (result < 0)
			return result;
	}
	return 0;
}

static int normalize(const struct normalizer *normalizer, const struct schema_type *type, struct json *value,
                     const struct field_path *path)
{
	switch (type->kind) {
	case SCHEMA_STRUCT:
		return normalize_struct(normalizer, type, value, path);
	case SCHEMA_LIST:
		return normalize_list(normalizer, type, value, path);
	case SCHEMA_MAP:
		return normalize_map(normalizer, type, value, path);
	case SCHEMA_RAW:
		return normalize_raw(normalizer, type, value, path);
	default:
		return decode_scalar(normalizer->arena, type, value, path, normalizer->err);
	}
}

int schema_normalize(struct arena *arena, const struct schema_type *type, struct json *value,
                     struct decode_issues *issues, struct err *err)
{
	const struct normalizer normalizer = {.arena = arena, .issues = issues, .err = err};
	if (type->structural)
		return structural_normalize(arena, type->structural, value, false, issues, err);
	return normalize(&normalizer, type, value, NULL);
}

// --- shape ------------------------------------------------------------------------

static void fill_elements(struct arena *arena, const struct schema_type *type, struct json *value)
{
	json_for_each_item (item, value)
		schema_fill_shape(arena, type->element, item);
	json_for_each_member (member, value)
		schema_fill_shape(arena, type->element, member->value);
}

// Whether there is anything to fill in below a value of the type.
static bool has_shape(const struct schema_type *type)
{
	return type->kind == SCHEMA_STRUCT ||
	       ((type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP) && has_shape(type->element));
}

static void fill_field(struct arena *arena, const struct schema_field *field, struct json *object)
{
	if ((field->flags & SCHEMA_OMIT_EMPTY) && !has_shape(field->type))
		return;
	struct json *value = json_get(object, field->json_name);
	bool absent = value == NULL || value->type == JSON_NULL;
	if (absent && (field->flags & SCHEMA_OMIT_EMPTY))
		return;
	if (absent) {
		value = decode_zero_field(arena, field);
		json_set(arena, object, field->json_name, value);
	}
	schema_fill_shape(arena, field->type, value);
}

void schema_fill_shape(struct arena *arena, const struct schema_type *type, struct json *value)
{
	if (type->structural)
		return; // nothing is written that nobody gave
	if (type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP) {
		fill_elements(arena, type, value);
		return;
	}
	if (type->kind != SCHEMA_STRUCT || value->type != JSON_OBJECT)
		return;
	for (size_t i = 0; i < type->field_count; i++)
		if (!(type->fields[i].flags & SCHEMA_INLINE))
			fill_field(arena, &type->fields[i], value);
}
