// SPDX-License-Identifier: Apache-2.0
//
// Between JSON trees and values. A tree is never copied: lists, maps and objects point
// into it and hand out their parts when asked, each part seen as its declared type says.
// What has another form in JSON (timestamps, durations, bytes) is read when it is used.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/duration.h"
#include "common/base/encode.h"
#include "common/cel/evaluate.h"

static const char *json_type_name(const struct json *json)
{
	static const char *const names[] = {"null", "bool", "int64", "float64", "string", "slice", "map"};
	return names[json->type];
}

static struct cel_value mismatch(struct cel_eval *eval, const char *expected, const struct json *json)
{
	if (!eval)
		return cel_fail_text("invalid data");
	return cel_fail(eval, "invalid data, expected %s, got %s", expected, json_type_name(json));
}

static struct cel_value view(enum cel_kind kind, const struct json *json, const struct cel_type *type)
{
	return (struct cel_value){
	        .kind = (uint8_t)kind, .flags = CEL_FORM_JSON, .length = json->length, .type = type, .json = json};
}

static struct cel_value from_dyn(const struct json *json)
{
	switch (json->type) {
	case JSON_BOOL:
		return cel_value_bool(json->boolean);
	case JSON_INTEGER:
		return cel_value_int(json->integer);
	case JSON_NUMBER:
		return cel_make_double(strtod(json->text, NULL));
	case JSON_STRING:
		return cel_value_string(json->text, json->length);
	case JSON_ARRAY:
		return view(CEL_LIST, json, &cel_type_list_dyn);
	case JSON_OBJECT:
		return view(CEL_MAP, json, &cel_type_map_dyn);
	default:
		return cel_value_null();
	}
}

static struct cel_value from_bytes(struct arena *arena, const struct json *json)
{
	uint8_t *data;
	size_t length;
	if (!base64_decode(arena, json->text, json->length, &data, &length))
		return cel_fail_text("invalid data, expected base64 encoded bytes");
	return cel_make_bytes(data, length);
}

static struct cel_value from_timestamp(const struct json *json, const struct cel_type *type)
{
	struct cel_value value = {.kind = CEL_TIMESTAMP};
	bool parsed = type->date ? cel_parse_date(json->text, json->length, &value.integer)
	                         : cel_parse_timestamp(json->text, json->length, &value);
	return parsed ? value : cel_fail_text("invalid data, expected a timestamp");
}

static struct cel_value from_duration(const struct json *json)
{
	int64_t nanoseconds;
	if (strlen(json->text) != json->length || !duration_parse(json->text, &nanoseconds))
		return cel_fail_text("invalid data, expected a duration");
	return cel_make_duration(nanoseconds);
}

static struct cel_value from_text(struct arena *arena, const struct json *json, const struct cel_type *type)
{
	switch (type->kind) {
	case CEL_TYPE_BYTES:
		return from_bytes(arena, json);
	case CEL_TYPE_TIMESTAMP:
		return from_timestamp(json, type);
	case CEL_TYPE_DURATION:
		return from_duration(json);
	default:
		return cel_value_string(json->text, json->length);
	}
}

static struct cel_value from_number(const struct json *json, const struct cel_type *type)
{
	if (type->kind == CEL_TYPE_DOUBLE)
		return cel_make_double(json->type == JSON_INTEGER ? (double)json->integer : strtod(json->text, NULL));
	if (json->type == JSON_INTEGER)
		return cel_value_int(json->integer);
	double real = strtod(json->text, NULL);
	// An integer written with a fraction or an exponent that it doesn't need.
	return real == floor(real) && fabs(real) < 9.2e18 ? cel_value_int((int64_t)real) : cel_make_double(real);
}

// What JSON must be there for a type; -1 = any, numbers count as JSON_INTEGER.
static int expected_json(const struct cel_type *type)
{
	switch (type->kind) {
	case CEL_TYPE_BOOL:
		return JSON_BOOL;
	case CEL_TYPE_INT:
	case CEL_TYPE_UINT:
	case CEL_TYPE_DOUBLE:
		return JSON_INTEGER;
	case CEL_TYPE_STRING:
	case CEL_TYPE_BYTES:
	case CEL_TYPE_TIMESTAMP:
	case CEL_TYPE_DURATION:
		return JSON_STRING;
	case CEL_TYPE_LIST:
		return JSON_ARRAY;
	case CEL_TYPE_MAP:
	case CEL_TYPE_OBJECT:
		return JSON_OBJECT;
	default:
		return -1;
	}
}

static const char *expected_name(int type)
{
	static const char *const names[] = {
	        [JSON_BOOL] = "a boolean", [JSON_INTEGER] = "a number", [JSON_STRING] = "a string",
	        [JSON_ARRAY] = "a list",   [JSON_OBJECT] = "a map",
	};
	return names[type];
}

static struct cel_value from_json(struct cel_eval *eval, struct arena *arena, const struct json *json,
                                  const struct cel_type *type)
{
	if (!json || json->type == JSON_NULL)
		return cel_value_null();
	int expected = expected_json(type);
	if (expected < 0)
		return from_dyn(json);
	if ((json->type == JSON_NUMBER ? JSON_INTEGER : json->type) != expected)
		return mismatch(eval, expected_name(expected), json);
	switch (expected) {
	case JSON_BOOL:
		return cel_value_bool(json->boolean);
	case JSON_INTEGER:
		return from_number(json, type);
	case JSON_STRING:
		return from_text(arena, json, type);
	case JSON_ARRAY:
		return view(CEL_LIST, json, type);
	default:
		return view(type->kind == CEL_TYPE_MAP ? CEL_MAP : CEL_OBJECT, json, type);
	}
}

struct cel_value cel_from_json(struct cel_eval *eval, const struct json *json, const struct cel_type *type)
{
	if (type->kind == CEL_TYPE_BYTES && json && json->type == JSON_STRING) {
		eval->memory += json->length;
		if (eval->memory > eval->max_memory)
			return cel_abort(eval);
	}
	return from_json(eval, eval->arena, json, type);
}

struct cel_value cel_value_json(struct arena *arena, const struct json *json, const struct cel_type *type)
{
	return from_json(NULL, arena, json, type ? type : &cel_type_dyn);
}

// --- back ---------------------------------------------------------------------------------

static int write_value(struct arena *arena, const struct cel_value *value, unsigned depth, struct json **ret_json,
                       struct err *err);

static struct json *make_number(struct arena *arena, double real)
{
	char text[400];
	struct json *json = ARENA_NEW(arena, struct json);
	size_t length = cel_format_double(real, text);
	json->type = JSON_NUMBER;
	json->text = arena_strndup(arena, text, length);
	json->length = (uint32_t)length;
	return json;
}

static int write_list(struct arena *arena, const struct cel_value *value, unsigned depth, struct json **ret_json,
                      struct err *err)
{
	struct json *array = json_array(arena);
	for (uint32_t i = 0; i < value->length; i++) {
		struct json *item;
		int status = write_value(arena, &value->list->values[i], depth + 1, &item, err);
		if (status)
			return status;
		json_append(arena, array, item);
	}
	*ret_json = array;
	return 0;
}

static int write_map(struct arena *arena, const struct cel_value *value, unsigned depth, struct json **ret_json,
                     struct err *err)
{
	struct json *object = json_object(arena);
	for (uint32_t i = 0; i < value->length; i++) {
		struct json *member;
		const struct cel_map_entry *entry = &value->map->entries[i];
		if (entry->key.kind != CEL_STRING)
			return err_set(err, ERR_INVALID, "map key of type %s has no JSON form",
			               cel_value_type_name(&entry->key));
		int status = write_value(arena, &entry->value, depth + 1, &member, err);
		if (status)
			return status;
		json_add_n(arena, object, entry->key.text, entry->key.length, member);
	}
	*ret_json = object;
	return 0;
}

// The type of Object.spec's field x is Object.spec.x, in lists and maps as well.
static int check_names(struct arena *arena, const char *expected, const struct cel_value *value, unsigned depth,
                       struct err *err)
{
	int status = 0;
	if (value->flags == CEL_FORM_JSON || depth > 200)
		return 0;
	if (value->kind == CEL_LIST)
		for (uint32_t i = 0; i < value->length && !status; i++)
			status = check_names(arena, expected, &value->list->values[i], depth + 1, err);
	if (value->kind == CEL_MAP)
		for (uint32_t i = 0; i < value->length && !status; i++)
			status = check_names(arena, expected, &value->map->entries[i].value, depth + 1, err);
	if (value->kind == CEL_OBJECT && value->type->open && strcmp(value->type->name, expected) != 0)
		return err_set(err, ERR_INVALID,
		               "unexpected type name \"%s\", expected \"%s\", which matches field name path from root "
		               "Object type",
		               value->type->name, expected);
	return status;
}

static int check_fields(struct arena *arena, const struct cel_value *object, struct err *err)
{
	int status = 0;
	for (uint32_t i = 0; i < object->object->count && !status; i++)
		status = check_names(arena,
		                     arena_printf(arena, "%s.%s", object->type->name, object->object->names[i].text),
		                     &object->object->values[i], 0, err);
	return status;
}

static int write_object(struct arena *arena, const struct cel_value *value, unsigned depth, struct json **ret_json,
                        struct err *err)
{
	struct json *object = json_object(arena);
	if (value->flags != CEL_FORM_MADE)
		return err_set(err, ERR_INVALID, "%s has no JSON form", cel_value_type_name(value));
	int status = value->type->open ? check_fields(arena, value, err) : 0;
	if (status)
		return status;
	for (uint32_t i = 0; i < value->object->count; i++) {
		struct json *member;
		status = write_value(arena, &value->object->values[i], depth + 1, &member, err);
		if (status)
			return status;
		json_set_n(arena, object, value->object->names[i].text, value->object->names[i].length, member);
	}
	*ret_json = object;
	return 0;
}

static int write_text(struct arena *arena, const struct cel_value *value, struct json **ret_json)
{
	char text[48];
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(SIZE_MAX / 2);
	switch (value->kind) {
	case CEL_STRING:
		*ret_json = json_string_n(arena, value->text, value->length);
		return 0;
	case CEL_BYTES:
		base64_encode(&out, value->text, value->length);
		*ret_json = json_string_n(arena, strbuf_text(&out), out.length);
		return 0;
	case CEL_TIMESTAMP:
		*ret_json = json_string_n(arena, text, cel_format_timestamp(value, false, text));
		return 0;
	default:
		*ret_json = json_string_n(arena, text, cel_format_duration(value->integer, text));
		return 0;
	}
}

static int write_number(struct arena *arena, const struct cel_value *value, struct json **ret_json, struct err *err)
{
	if (value->kind == CEL_INT)
		*ret_json = json_integer(arena, value->integer);
	else if (value->kind == CEL_UINT && value->unsigned_integer <= INT64_MAX)
		*ret_json = json_integer(arena, (int64_t)value->unsigned_integer);
	else if (value->kind == CEL_UINT)
		*ret_json = make_number(arena, (double)value->unsigned_integer);
	else if (isfinite(value->real))
		*ret_json = make_number(arena, value->real);
	else
		return err_set(err, ERR_INVALID, "a number that is not finite has no JSON form");
	return 0;
}

static int write_value(struct arena *arena, const struct cel_value *value, unsigned depth, struct json **ret_json,
                       struct err *err)
{
	if (depth > 200)
		return err_set(err, ERR_INVALID, "value is nested too deep for JSON");
	bool container = value->kind == CEL_LIST || value->kind == CEL_MAP || value->kind == CEL_OBJECT;
	if (container && value->flags == CEL_FORM_JSON) {
		*ret_json = (struct json *)value->json;
		return 0;
	}
	switch (value->kind) {
	case CEL_NULL:
		*ret_json = json_null(arena);
		return 0;
	case CEL_BOOL:
		*ret_json = json_bool(arena, value->boolean);
		return 0;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
		return write_number(arena, value, ret_json, err);
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_TIMESTAMP:
	case CEL_DURATION:
		return write_text(arena, value, ret_json);
	case CEL_LIST:
		return write_list(arena, value, depth, ret_json, err);
	case CEL_MAP:
		return write_map(arena, value, depth, ret_json, err);
	case CEL_OBJECT:
		return write_object(arena, value, depth, ret_json, err);
	default:
		return err_set(err, ERR_INVALID, "%s has no JSON form", cel_value_type_name(value));
	}
}

int cel_value_to_json(struct arena *arena, const struct cel_value *value, struct json **ret_json, struct err *err)
{
	return write_value(arena, value, 0, ret_json, err);
}
