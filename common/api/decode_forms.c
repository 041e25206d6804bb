// SPDX-License-Identifier: Apache-2.0
// Scalars of the API in the form that upstream prints: a value is checked by its
// schema kind and rewritten in place only where its text would change.

#include "common/api/decode_forms.h"

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/quantity.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

static void set_text(struct arena *arena, struct json *value, const char *text)
{
	if (value->type != JSON_STRING || strcmp(value->text, text) != 0)
		json_assign(value, json_string(arena, text));
}

// Whether a text has no NUL inside, so that C's string functions see all of it.
static bool is_plain_text(const struct json *value)
{
	return value->type == JSON_STRING && memchr(value->text, '\0', value->length) == NULL;
}

static int normalize_string(struct arena *arena, const struct schema_type *type, struct json *value,
                            const struct field_path *path, struct err *err)
{
	(void)arena;
	return value->type == JSON_STRING ? 0 : field_path_type_error(path, type, value, err);
}

static int normalize_int32(struct arena *arena, const struct schema_type *type, struct json *value,
                           const struct field_path *path, struct err *err)
{
	(void)arena;
	if (value->type != JSON_INTEGER || value->integer < INT32_MIN || value->integer > INT32_MAX)
		return field_path_type_error(path, type, value, err);
	return 0;
}

static int normalize_int64(struct arena *arena, const struct schema_type *type, struct json *value,
                           const struct field_path *path, struct err *err)
{
	(void)arena;
	return value->type == JSON_INTEGER ? 0 : field_path_type_error(path, type, value, err);
}

static int normalize_bool(struct arena *arena, const struct schema_type *type, struct json *value,
                          const struct field_path *path, struct err *err)
{
	(void)arena;
	return value->type == JSON_BOOL ? 0 : field_path_type_error(path, type, value, err);
}

static int normalize_double(struct arena *arena, const struct schema_type *type, struct json *value,
                            const struct field_path *path, struct err *err)
{
	(void)arena;
	bool number = value->type == JSON_INTEGER || value->type == JSON_NUMBER;
	return number ? 0 : field_path_type_error(path, type, value, err);
}

// Go's decoder passes over line ends inside of base64, and names the byte where it gave up.
static size_t first_bad_base64(const char *text, size_t length)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t digits = 0, position = 0;
	for (; position < length; position++) {
		char character = text[position];
		if (character == '\n' || character == '\r')
			continue;
		if (character == '=' && digits % 4 >= 2)
			break;
		if (character == '\0' || strchr(alphabet, character) == NULL)
			return position;
		digits++;
	}
	return position;
}

static int normalize_bytes(struct arena *arena, const struct schema_type *type, struct json *value,
                           const struct field_path *path, struct err *err)
{
	if (value->type != JSON_STRING)
		return field_path_type_error(path, type, value, err);
	char *packed = arena_alloc(arena, value->length + 1);
	size_t length = 0;
	for (size_t i = 0; i < value->length; i++)
		if (value->text[i] != '\n' && value->text[i] != '\r')
			packed[length++] = value->text[i];
	packed[length] = '\0';
	uint8_t *data = NULL;
	size_t data_length = 0;
	if (!base64_decode(arena, packed, length, &data, &data_length))
		return err_set(err, ERR_PARSE, "illegal base64 data at input byte %zu",
		               first_bad_base64(value->text, value->length));
	if (length != value->length)
		json_assign(value, json_string_n(arena, packed, length));
	return 0;
}

static int normalize_quantity(struct arena *arena, const struct schema_type *type, struct json *value,
                              const struct field_path *path, struct err *err)
{
	(void)type;
	(void)path;
	const char *text = value->text;
	if (value->type == JSON_INTEGER)
		text = arena_printf(arena, "%" PRId64, value->integer);
	else if (value->type != JSON_NUMBER && !is_plain_text(value))
		return err_set(err, ERR_PARSE,
		               "quantities must match the regular expression "
		               "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	struct quantity quantity;
	int result = quantity_parse(text, &quantity, err);
	if (result < 0)
		return result;
	char canonical[QUANTITY_TEXT_BYTES];
	quantity_format(&quantity, canonical);
	set_text(arena, value, canonical);
	return 0;
}

static int normalize_int_or_string(struct arena *arena, const struct schema_type *type, struct json *value,
                                   const struct field_path *path, struct err *err)
{
	(void)arena;
	(void)type;
	(void)path;
	if (value->type == JSON_STRING)
		return 0;
	if (value->type == JSON_INTEGER && value->integer >= INT32_MIN && value->integer <= INT32_MAX)
		return 0;
	return go_value_error(value, "int32", err);
}

// --- times ------------------------------------------------------------------------

// Go's time.Parse stops at the first element of the layout that the text doesn't match.
static int time_error(const char *text, const char *layout, struct err *err)
{
	static const struct {
		const char *element;
		size_t digits; // 0: the element's own text
	} steps[] = {
	        {"2006", 4}, {"-", 0}, {"01", 2}, {"-", 0}, {"02", 2}, {"T", 0},
	        {"15", 2},   {":", 0}, {"04", 2}, {":", 0}, {"05", 2},
	};
	const char *rest = text, *element = "Z07:00";
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		size_t length = steps[i].digits != 0 ? steps[i].digits : 1;
		bool fits =
		        steps[i].digits != 0 ? strspn(rest, "0123456789") >= length : rest[0] == steps[i].element[0];
		if (!fits) {
			element = steps[i].element;
			break;
		}
		rest += length;
	}
	return err_set(err, ERR_PARSE, "parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"%s\"", text, layout,
	               rest, element);
}

static int normalize_time(struct arena *arena, const struct schema_type *type, struct json *value,
                          const struct field_path *path, struct err *err)
{
	(void)path;
	bool micro = type->kind == SCHEMA_MICRO_TIME;
	if (value->type != JSON_STRING)
		return go_value_error(value, "string", err);
	int64_t time_ns = 0;
	if (!is_plain_text(value) || !api_time_parse(value->text, &time_ns))
		return time_error(value->text, micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00",
		                  err);
	if (time_ns == INT64_MIN && strncmp(value->text, "0001-01-01T00:00:00", 19) == 0) {
		json_assign(value, json_null(arena)); // Go's zero time
		return 0;
	}
	if (time_ns == INT64_MIN || time_ns == INT64_MAX)
		return 0; // beyond what nanoseconds can count: kept as written
	char canonical[API_TIME_BYTES];
	if (micro)
		api_micro_time_format(time_ns, canonical);
	else
		api_time_format(time_ns, canonical);
	set_text(arena, value, canonical);
	return 0;
}

static int normalize_duration(struct arena *arena, const struct schema_type *type, struct json *value,
                              const struct field_path *path, struct err *err)
{
	(void)type;
	(void)path;
	if (value->type != JSON_STRING)
		return go_value_error(value, "string", err);
	int64_t duration_ns = 0;
	if (!is_plain_text(value))
		return err_set(err, ERR_PARSE, "time: invalid duration \"%s\"", value->text);
	int result = duration_parse_err(value->text, &duration_ns, err);
	if (result < 0)
		return result;
	char canonical[32];
	duration_format(duration_ns, canonical);
	set_text(arena, value, canonical);
	return 0;
}

typedef int (*normalize_function)(struct arena *arena, const struct schema_type *type, struct json *value,
                                  const struct field_path *path, struct err *err);

static const normalize_function normalizers[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = normalize_string,     [SCHEMA_INT32] = normalize_int32,
        [SCHEMA_INT64] = normalize_int64,       [SCHEMA_BOOL] = normalize_bool,
        [SCHEMA_DOUBLE] = normalize_double,     [SCHEMA_BYTES] = normalize_bytes,
        [SCHEMA_QUANTITY] = normalize_quantity, [SCHEMA_INT_OR_STRING] = normalize_int_or_string,
        [SCHEMA_TIME] = normalize_time,         [SCHEMA_MICRO_TIME] = normalize_time,
        [SCHEMA_DURATION] = normalize_duration,
};

int decode_scalar(struct arena *arena, const struct schema_type *type, struct json *value,
                  const struct field_path *path, struct err *err)
{
	return normalizers[type->kind](arena, type, value, path, err);
}

// --- zero values ------------------------------------------------------------------

struct json *decode_zero_value(struct arena *arena, const struct schema_type *type)
{
	switch (type->kind) {
	case SCHEMA_STRING:
		return json_string(arena, "");
	case SCHEMA_INT32:
	case SCHEMA_INT64:
	case SCHEMA_DOUBLE:
	case SCHEMA_INT_OR_STRING:
		return json_integer(arena, 0);
	case SCHEMA_BOOL:
		return json_bool(arena, false);
	case SCHEMA_QUANTITY:
		return json_string(arena, "0");
	case SCHEMA_DURATION:
		return json_string(arena, "0s");
	case SCHEMA_STRUCT:
		return json_object(arena);
	default:
		return json_null(arena);
	}
}

struct json *decode_zero_field(struct arena *arena, const struct schema_field *field)
{
	return (field->flags & SCHEMA_POINTER) ? json_null(arena) : decode_zero_value(arena, field->type);
}

bool decode_is_zero(const struct json *value)
{
	if (value == NULL)
		return true;
	switch (value->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !value->boolean;
	case JSON_INTEGER:
		return value->integer == 0;
	case JSON_STRING:
	case JSON_ARRAY:
		return value->length == 0;
	default:
		return false;
	}
}
