// SPDX-License-Identifier: Apache-2.0
// The two ways between JSON trees and typed views, both driven by the schema's
// tables: one function for each schema kind and direction, one loop over fields.
// Nothing here knows a type.
//
// A null leaves a member zero, as it does in Go. When decoding from a caller's
// tree every text is copied, so that the view lives by its arena alone; the tree
// that view_decode_text makes lives in that arena already and is shared.

#include "common/api/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/field_path.h"
#include "common/base/encode.h"
#include "common/base/text.h"

struct decoder {
	struct arena *arena;
	bool copy;
	struct err *err;
};

typedef int (*decode_function)(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                               void *out, const struct field_path *path);
typedef struct json *(*encode_function)(struct arena *arena, const struct schema_type *type, const void *in);

static int decode_value(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                        void *out, const struct field_path *path);
static struct json *encode_value(struct arena *arena, const struct schema_type *type, const void *in);

// Map entries are {const char *key; T value}: no T needs more alignment than a pointer.
#define ENTRY_VALUE_OFFSET sizeof(const char *)

static size_t entry_size(const struct schema_type *element)
{
	size_t align = sizeof(void *);
	return ENTRY_VALUE_OFFSET + (element->view_size + align - 1) / align * align;
}

// Every array and map struct looks like this.
struct any_array {
	void *items;
	size_t count;
};

// --- decoding ---------------------------------------------------------------------

static const char *take_text(const struct decoder *decoder, const struct json *value)
{
	return decoder->copy ? arena_strndup(decoder->arena, value->text, value->length) : value->text;
}

static int decode_text_kind(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                            void *out, const struct field_path *path)
{
	if (value->type != JSON_STRING)
		return field_path_type_error(path, type, value, decoder->err);
	*(const char **)out = take_text(decoder, value);
	return 0;
}

static int decode_quantity(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                           void *out, const struct field_path *path)
{
	if (value->type == JSON_INTEGER)
		*(const char **)out = arena_printf(decoder->arena, "%" PRId64, value->integer);
	else if (value->type == JSON_NUMBER)
		*(const char **)out = take_text(decoder, value);
	else
		return decode_text_kind(decoder, type, value, out, path);
	return 0;
}

static int decode_int32(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                        void *out, const struct field_path *path)
{
	if (value->type != JSON_INTEGER || value->integer < INT32_MIN || value->integer > INT32_MAX)
		return field_path_type_error(path, type, value, decoder->err);
	*(int32_t *)out = (int32_t)value->integer;
	return 0;
}

static int decode_int64(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                        void *out, const struct field_path *path)
{
	if (value->type != JSON_INTEGER)
		return field_path_type_error(path, type, value, decoder->err);
	*(int64_t *)out = value->integer;
	return 0;
}

static int decode_bool(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                       void *out, const struct field_path *path)
{
	if (value->type != JSON_BOOL)
		return field_path_type_error(path, type, value, decoder->err);
	*(bool *)out = value->boolean;
	return 0;
}

static int decode_double(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                         void *out, const struct field_path *path)
{
	if (value->type == JSON_INTEGER)
		*(double *)out = (double)value->integer;
	else if (value->type == JSON_NUMBER)
		*(double *)out = strtod(value->text, NULL);
	else
		return field_path_type_error(path, type, value, decoder->err);
	return 0;
}

static int decode_bytes(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                        void *out, const struct field_path *path)
{
	struct bytes *bytes = out;
	if (value->type != JSON_STRING)
		return field_path_type_error(path, type, value, decoder->err);
	uint8_t *data = NULL;
	if (!base64_decode(decoder->arena, value->text, value->length, &data, &bytes->length))
		return err_set(decoder->err, ERR_PARSE, "illegal base64 data in %s",
		               path != NULL && path->name != NULL ? path->name : "the document");
	bytes->data = data;
	return 0;
}

static int decode_int_or_string(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                                void *out, const struct field_path *path)
{
	struct int_or_string *both = out;
	if (value->type == JSON_STRING) {
		both->is_string = true;
		both->text = take_text(decoder, value);
		return 0;
	}
	(void)type;
	return decode_int32(decoder, &schema_type_int32, value, &both->integer, path);
}

static int decode_raw(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                      void *out, const struct field_path *path)
{
	(void)type;
	(void)path;
	*(const struct json **)out = decoder->copy ? json_clone(decoder->arena, value) : value;
	return 0;
}

static int decode_list(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                       void *out, const struct field_path *path)
{
	if (value->type != JSON_ARRAY)
		return field_path_type_error(path, type, value, decoder->err);
	struct any_array *array = out;
	size_t stride = type->element->view_size;
	array->items = arena_zalloc(decoder->arena, stride * (value->length + 1));
	array->count = value->length;
	for (size_t i = 0; i < value->length; i++) {
		struct field_path here = FIELD_PATH_INDEX(path, i);
		int result =
		        decode_value(decoder, type->element, value->items[i], (char *)array->items + i * stride, &here);
		if (result < 0)
			return result;
	}
	return 0;
}

static int decode_map(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                      void *out, const struct field_path *path)
{
	if (value->type != JSON_OBJECT)
		return field_path_type_error(path, type, value, decoder->err);
	struct any_array *map = out;
	size_t stride = entry_size(type->element);
	map->items = arena_zalloc(decoder->arena, stride * (value->length + 1));
	map->count = value->length;
	for (size_t i = 0; i < value->length; i++) {
		const struct json_member *member = &value->members[i];
		char *entry = (char *)map->items + i * stride;
		*(const char **)entry =
		        decoder->copy ? arena_strndup(decoder->arena, member->key, member->key_length) : member->key;
		struct field_path here = FIELD_PATH_KEY(path, member->key);
		int result = decode_value(decoder, type->element, member->value, entry + ENTRY_VALUE_OFFSET, &here);
		if (result < 0)
			return result;
	}
	return 0;
}

// Kinds whose pointer is told apart from the value in a view; the others say "absent" by NULL.
static bool pointer_differs(const struct schema_field *field)
{
	if ((field->flags & SCHEMA_POINTER) == 0)
		return false;
	switch (field->type->kind) {
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_BOOL:
	case SCHEMA_DOUBLE:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_STRUCT:
		return true;
	default:
		return false;
	}
}

static int decode_field(const struct decoder *decoder, const struct schema_field *field, const struct json *value,
                        void *view, const struct field_path *path)
{
	void *member = (char *)view + field->view_offset;
	if (value->type == JSON_NULL)
		return 0;
	if (pointer_differs(field)) {
		void *target = arena_zalloc(decoder->arena, field->type->view_size);
		*(void **)member = target;
		member = target;
	}
	return decode_value(decoder, field->type, value, member, path);
}

static int decode_struct(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                         void *out, const struct field_path *path)
{
	if (value->type != JSON_OBJECT)
		return field_path_type_error(path, type, value, decoder->err);
	json_for_each_member (member, value) {
		const struct schema_field *field = schema_find_field(type, member->key, member->key_length, NULL);
		if (field == NULL)
			continue;
		struct field_path here = FIELD_PATH_FIELD(path, type, field->json_name);
		int result = decode_field(decoder, field, member->value, out, &here);
		if (result < 0)
			return result;
	}
	return 0;
}

static const decode_function decoders[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = decode_text_kind,
        [SCHEMA_INT32] = decode_int32,
        [SCHEMA_INT64] = decode_int64,
        [SCHEMA_BOOL] = decode_bool,
        [SCHEMA_DOUBLE] = decode_double,
        [SCHEMA_BYTES] = decode_bytes,
        [SCHEMA_QUANTITY] = decode_quantity,
        [SCHEMA_INT_OR_STRING] = decode_int_or_string,
        [SCHEMA_TIME] = decode_text_kind,
        [SCHEMA_MICRO_TIME] = decode_text_kind,
        [SCHEMA_DURATION] = decode_text_kind,
        [SCHEMA_RAW] = decode_raw,
        [SCHEMA_STRUCT] = decode_struct,
        [SCHEMA_LIST] = decode_list,
        [SCHEMA_MAP] = decode_map,
};

static int decode_value(const struct decoder *decoder, const struct schema_type *type, const struct json *value,
                        void *out, const struct field_path *path)
{
	if (value->type == JSON_NULL && type->kind != SCHEMA_RAW)
		return 0;
	return decoders[type->kind](decoder, type, value, out, path);
}

static int decode_root(struct arena *arena, bool copy, const struct schema_type *type, const struct json *value,
                       void *view, struct err *err)
{
	const struct decoder decoder = {.arena = arena, .copy = copy, .err = err};
	memset(view, 0, type->view_size);
	return decode_value(&decoder, type, value, view, NULL);
}

int view_decode(struct arena *arena, const struct schema_type *type, const struct json *value, void *view,
                struct err *err)
{
	return decode_root(arena, true, type, value, view, err);
}

int view_decode_text(struct arena *arena, const struct schema_type *type, const char *text, size_t length, void *view,
                     struct err *err)
{
	struct json *value = NULL;
	int result = json_parse(arena, text, length, NULL, &value, err);
	return result < 0 ? result : decode_root(arena, false, type, value, view, err);
}

// --- encoding ---------------------------------------------------------------------

// The texts that a zero value has where it must be written.
static struct json *encode_absent_text(struct arena *arena, const struct schema_type *type)
{
	switch (type->kind) {
	case SCHEMA_QUANTITY:
		return json_string(arena, "0");
	case SCHEMA_DURATION:
		return json_string(arena, "0s");
	case SCHEMA_STRING:
		return json_string(arena, "");
	default:
		return json_null(arena); // times
	}
}

static struct json *encode_text_kind(struct arena *arena, const struct schema_type *type, const void *in)
{
	const char *text = *(const char *const *)in;
	return text != NULL ? json_string(arena, text) : encode_absent_text(arena, type);
}

static struct json *encode_int32(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	return json_integer(arena, *(const int32_t *)in);
}

static struct json *encode_int64(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	return json_integer(arena, *(const int64_t *)in);
}

static struct json *encode_bool(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	return json_bool(arena, *(const bool *)in);
}

// The shortest text that reads back as the same number.
static struct json *encode_double(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	double number = *(const double *)in;
	if (number >= -1e15 && number <= 1e15 && number == (double)(int64_t)number)
		return json_integer(arena, (int64_t)number);
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	struct json *value = json_string(arena, text);
	value->type = JSON_NUMBER;
	return value;
}

static struct json *encode_bytes(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	const struct bytes *bytes = in;
	if (bytes->data == NULL)
		return json_null(arena);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(bytes->length / 3 * 4 + 8);
	base64_encode(&text, bytes->data, bytes->length);
	return json_string_n(arena, strbuf_text(&text), text.length);
}

static struct json *encode_int_or_string(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	const struct int_or_string *both = in;
	if (!both->is_string)
		return json_integer(arena, both->integer);
	return json_string(arena, both->text != NULL ? both->text : "");
}

static struct json *encode_raw(struct arena *arena, const struct schema_type *type, const void *in)
{
	(void)type;
	const struct json *value = *(const struct json *const *)in;
	return value != NULL ? json_clone(arena, value) : json_null(arena);
}

static struct json *encode_list(struct arena *arena, const struct schema_type *type, const void *in)
{
	const struct any_array *array = in;
	if (array->items == NULL)
		return json_null(arena);
	struct json *list = json_array(arena);
	for (size_t i = 0; i < array->count; i++)
		json_append(arena, list,
		            encode_value(arena, type->element, (char *)array->items + i * type->element->view_size));
	return list;
}

static struct json *encode_map(struct arena *arena, const struct schema_type *type, const void *in)
{
	const struct any_array *map = in;
	if (map->items == NULL)
		return json_null(arena);
	struct json *object = json_object(arena);
	for (size_t i = 0; i < map->count; i++) {
		const char *entry = (const char *)map->items + i * entry_size(type->element);
		json_set(arena, object, *(const char *const *)entry,
		         encode_value(arena, type->element, entry + ENTRY_VALUE_OFFSET));
	}
	return object;
}

// Whether Go's omitempty leaves the member out.
static bool is_empty(const struct schema_field *field, const void *member)
{
	if (field->flags & SCHEMA_POINTER)
		return *(const void *const *)member == NULL;
	switch (field->type->kind) {
	case SCHEMA_STRING:
	case SCHEMA_QUANTITY:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION: {
		const char *text = *(const char *const *)member;
		return text == NULL || text[0] == '\0';
	}
	case SCHEMA_INT32:
		return *(const int32_t *)member == 0;
	case SCHEMA_INT64:
		return *(const int64_t *)member == 0;
	case SCHEMA_BOOL:
		return !*(const bool *)member;
	case SCHEMA_DOUBLE:
		return *(const double *)member == 0;
	case SCHEMA_BYTES:
		return ((const struct bytes *)member)->length == 0;
	case SCHEMA_RAW:
		return *(const struct json *const *)member == NULL;
	case SCHEMA_LIST:
	case SCHEMA_MAP:
		return ((const struct any_array *)member)->count == 0;
	default:
		return false;
	}
}

static struct json *encode_field(struct arena *arena, const struct schema_field *field, const void *member)
{
	if ((field->flags & SCHEMA_POINTER) && *(const void *const *)member == NULL)
		return json_null(arena);
	return encode_value(arena, field->type, pointer_differs(field) ? *(const void *const *)member : member);
}

static struct json *encode_struct(struct arena *arena, const struct schema_type *type, const void *in)
{
	struct json *object = json_object(arena);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		const void *member = (const char *)in + field->view_offset;
		if ((field->flags & SCHEMA_INLINE) || ((field->flags & SCHEMA_OMIT_EMPTY) && is_empty(field, member)))
			continue;
		json_set(arena, object, field->json_name, encode_field(arena, field, member));
	}
	return object;
}

static const encode_function encoders[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = encode_text_kind,
        [SCHEMA_INT32] = encode_int32,
        [SCHEMA_INT64] = encode_int64,
        [SCHEMA_BOOL] = encode_bool,
        [SCHEMA_DOUBLE] = encode_double,
        [SCHEMA_BYTES] = encode_bytes,
        [SCHEMA_QUANTITY] = encode_text_kind,
        [SCHEMA_INT_OR_STRING] = encode_int_or_string,
        [SCHEMA_TIME] = encode_text_kind,
        [SCHEMA_MICRO_TIME] = encode_text_kind,
        [SCHEMA_DURATION] = encode_text_kind,
        [SCHEMA_RAW] = encode_raw,
        [SCHEMA_STRUCT] = encode_struct,
        [SCHEMA_LIST] = encode_list,
        [SCHEMA_MAP] = encode_map,
};

static struct json *encode_value(struct arena *arena, const struct schema_type *type, const void *in)
{
	return encoders[type->kind](arena, type, in);
}

struct json *view_to_json(struct arena *arena, const struct schema_type *type, const void *view)
{
	return encode_value(arena, type, view);
}

void view_write(struct strbuf *out, const struct schema_type *type, const void *view)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	json_write(out, view_to_json(arena, type, view));
}

// --- containers -------------------------------------------------------------------

const char *string_map_get(const struct string_map *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->entries[i].key, key) == 0)
			return map->entries[i].value;
	return NULL;
}

bool string_map_equal(const struct string_map *a, const struct string_map *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const char *value = string_map_get(b, a->entries[i].key);
		if (!value || !text_equal(value, a->entries[i].value))
			return false;
	}
	return true;
}

bool string_array_contains(const struct string_array *array, const char *text)
{
	for (size_t i = 0; i < array->count; i++)
		if (strcmp(array->items[i], text) == 0)
			return true;
	return false;
}

void string_map_set(struct arena *arena, struct string_map *map, const char *key, const char *value)
{
	const char *copy = arena_strdup(arena, value);
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->entries[i].key, key) == 0) {
			map->entries[i].value = copy;
			return;
		}
	}
	struct string_map_entry *entries = arena_alloc(arena, (map->count + 1) * sizeof(*entries));
	if (map->count > 0)
		memcpy(entries, map->entries, map->count * sizeof(*entries));
	entries[map->count] = (struct string_map_entry){arena_strdup(arena, key), copy};
	map->entries = entries;
	map->count++;
}
