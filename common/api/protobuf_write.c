// SPDX-License-Identifier: Apache-2.0
// Trees to protobuf, from the end to the front: when a nested message is done its
// length is known, so every length is written once and nothing is measured first.
//
// What is written follows upstream's generated encoders (proto2, gogoproto):
//   - a field that is no pointer is always there: "" and 0 and false, an empty
//     message for a struct with its own fields in it; pointers, lists, maps and
//     byte strings only when the tree has them;
//   - numbers in lists are not packed;
//   - maps are entries {1: key, 2: value}, sorted by key;
//   - an inlined struct is a message, fed from the same tree object;
//   - Quantity, IntOrString, times, durations and raw JSON are small messages of
//     their own, told in the functions below;
//   - a list type with a name (Verbs, ExtraValue) is a message {1: items}.
// Fields stand by rising number, so that the bytes are upstream's.
//
// Errors stick: the first is kept, the writing goes on harmlessly, the end tells.

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/protobuf.h"
#include "common/api/protobuf_internal.h"
#include "common/api/protobuf_wire.h"
#include "common/base/duration.h"
#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	WRITER_FIRST_BYTES = 4 << 10,
	WRITER_MAX_BYTES = 256 << 20,
	RAW_MAX_BYTES = 64 << 20,
	STRUCT_MAX_FIELDS = 96, // a test holds the schema to it by writing every type
};

struct writer {
	char *data; // written so far: [start, capacity)
	size_t capacity;
	size_t start;
	struct arena *scratch;
	const char *field; // being written, for errors
	struct err *err;
	bool failed;
};

static void fail(struct writer *writer, const char *why)
{
	if (!writer->failed)
		(void)err_set(writer->err, ERR_PARSE, "proto: field \"%s\" %s", writer->field, why);
	writer->failed = true;
}

// --- bytes, backwards -----------------------------------------------------------------

// Room for `length` bytes before what is written; NULL past the maximum.
static char *prepend(struct writer *writer, size_t length)
{
	if (writer->start < length) {
		size_t used = writer->capacity - writer->start;
		size_t capacity = writer->capacity ? 2 * writer->capacity : WRITER_FIRST_BYTES;

		while (capacity - used < length && capacity <= WRITER_MAX_BYTES)
			capacity *= 2;
		if (capacity > WRITER_MAX_BYTES) {
			fail(writer, "makes the message too large");
			return NULL;
		}
		char *data = xmalloc(capacity);

		if (used)
			memcpy(data + capacity - used, writer->data + writer->start, used);
		free(writer->data);
		writer->data = data;
		writer->start = capacity - used;
		writer->capacity = capacity;
	}
	writer->start -= length;
	return writer->data + writer->start;
}

static void put_bytes(struct writer *writer, const void *bytes, size_t length)
{
	char *place = length ? prepend(writer, length) : NULL;

	if (place)
		memcpy(place, bytes, length);
}

static void put_varint(struct writer *writer, uint64_t number)
{
	uint8_t bytes[WIRE_VARINT_MAX_BYTES];

	put_bytes(writer, bytes, wire_put_varint(bytes, number));
}

static void put_tag(struct writer *writer, uint32_t number, enum wire_type type)
{
	put_varint(writer, (uint64_t)number << 3 | type);
}

static void put_number(struct writer *writer, uint32_t number, uint64_t value)
{
	put_varint(writer, value);
	put_tag(writer, number, WIRE_VARINT);
}

static void put_text(struct writer *writer, uint32_t number, const char *text, size_t length)
{
	put_bytes(writer, text, length);
	put_varint(writer, length);
	put_tag(writer, number, WIRE_BYTES);
}

static size_t written(const struct writer *writer)
{
	return writer->capacity - writer->start;
}

// The head of a nested message whose content is all that was written since `before`.
static void end_message(struct writer *writer, uint32_t number, size_t before)
{
	put_varint(writer, written(writer) - before);
	put_tag(writer, number, WIRE_BYTES);
}

// --- scalars --------------------------------------------------------------------------
// Each writes one value under a number; `value` NULL is Go's zero value.

static void write_value(struct writer *writer, const struct schema_type *type, const struct json *value,
                        uint32_t number);
static void write_struct(struct writer *writer, const struct schema_type *type, const struct json *object);

static void write_string(struct writer *writer, const struct json *value, uint32_t number)
{
	if (value && value->type != JSON_STRING)
		fail(writer, "holds no text");
	else
		put_text(writer, number, value ? value->text : "", value ? value->length : 0);
}

static void write_integer(struct writer *writer, const struct json *value, uint32_t number)
{
	if (value && value->type != JSON_INTEGER)
		fail(writer, "holds no integer");
	else
		put_number(writer, number, value ? (uint64_t)value->integer : 0);
}

static void write_bool(struct writer *writer, const struct json *value, uint32_t number)
{
	if (value && value->type != JSON_BOOL)
		fail(writer, "holds no boolean");
	else
		put_number(writer, number, value && value->boolean);
}

static void write_double(struct writer *writer, const struct json *value, uint32_t number)
{
	uint8_t bytes[8];
	uint64_t bits;
	double real = 0;

	if (value && value->type == JSON_INTEGER)
		real = (double)value->integer;
	else if (value && value->type == JSON_NUMBER)
		real = strtod(value->text, NULL);
	else if (value)
		fail(writer, "holds no number");
	memcpy(&bits, &real, sizeof(bits));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(bits >> 8 * i);
	put_bytes(writer, bytes, sizeof(bytes));
	put_tag(writer, number, WIRE_FIXED64);
}

static void write_bytes(struct writer *writer, const struct json *value, uint32_t number)
{
	uint8_t *data;
	size_t length;

	if (!value)
		return; // nil
	if (value->type != JSON_STRING || !base64_decode(writer->scratch, value->text, value->length, &data, &length))
		fail(writer, "holds no base64 text");
	else
		put_text(writer, number, (const char *)data, length);
}

// {1: text}
static void write_quantity(struct writer *writer, const struct json *value, uint32_t number)
{
	size_t before = written(writer);

	if (value && value->type == JSON_INTEGER) {
		char *text = arena_printf(writer->scratch, "%lld", (long long)value->integer);

		put_text(writer, 1, text, strlen(text));
	} else if (value && value->type != JSON_STRING && value->type != JSON_NUMBER) {
		fail(writer, "holds no quantity");
	} else {
		put_text(writer, 1, value ? value->text : "0", value ? value->length : 1);
	}
	end_message(writer, number, before);
}

// {1: which (0 integer, 1 text), 2: the integer, 3: the text}
static void write_int_or_string(struct writer *writer, const struct json *value, uint32_t number)
{
	bool is_text = json_is(value, JSON_STRING), is_integer = json_is(value, JSON_INTEGER);
	size_t before = written(writer);

	if (value && !is_text && !is_integer)
		fail(writer, "holds neither an integer nor text");
	put_text(writer, 3, is_text ? value->text : "", is_text ? value->length : 0);
	put_number(writer, 2, is_integer ? (uint64_t)value->integer : 0);
	put_number(writer, 1, is_text);
	end_message(writer, number, before);
}

#define ZERO_TIME_SECONDS (-62135596800) // January 1 of the year 1, Go's zero time

// {1: seconds, 2: nanoseconds}; the zero time is an empty message.
static void write_any_time(struct writer *writer, const struct json *value, uint32_t number, bool micro)
{
	size_t before = written(writer);
	int64_t seconds = ZERO_TIME_SECONDS;
	int32_t nanoseconds = 0;

	if (value && !api_time_parse_parts(json_text(value), &seconds, &nanoseconds))
		fail(writer, "holds no time");
	nanoseconds = micro ? nanoseconds / 1000 * 1000 : 0;
	if (seconds != ZERO_TIME_SECONDS || nanoseconds) {
		put_number(writer, 2, (uint64_t)nanoseconds);
		put_number(writer, 1, (uint64_t)seconds);
	}
	end_message(writer, number, before);
}

static void write_time(struct writer *writer, const struct json *value, uint32_t number)
{
	write_any_time(writer, value, number, false);
}

static void write_micro_time(struct writer *writer, const struct json *value, uint32_t number)
{
	write_any_time(writer, value, number, true);
}

// {1: nanoseconds}
static void write_duration(struct writer *writer, const struct json *value, uint32_t number)
{
	size_t before = written(writer);
	int64_t duration_ns = 0;

	if (value && (!json_is(value, JSON_STRING) || !duration_parse(value->text, &duration_ns)))
		fail(writer, "holds no duration");
	put_number(writer, 1, (uint64_t)duration_ns);
	end_message(writer, number, before);
}

// --- raw JSON ---------------------------------------------------------------------------

// {1: its text}; nothing in it for what isn't there.
static void write_raw_text(struct writer *writer, const struct json *value, uint32_t number)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(RAW_MAX_BYTES);
	size_t before = written(writer);

	if (value) {
		json_write(&text, value);
		if (text.overflowed)
			fail(writer, "is too large");
		put_text(writer, 1, text.data, text.length);
	}
	end_message(writer, number, before);
}

// A schema under one number, or what may stand in its place under the other:
// {1: schema, 2: schemas}, {1: schema, 2: texts}, or {1: allowed, 2: schema}.
static void write_schema_or(struct writer *writer, const struct schema_type *type, const struct json *value,
                            uint32_t number)
{
	bool is_object = json_is(value, JSON_OBJECT), is_array = json_is(value, JSON_ARRAY);
	bool or_bool = protobuf_is_schema_or_bool(type);
	const struct schema_type *items = protobuf_is_schema_or_texts(type) ? &schema_type_string : type->element;
	size_t before = written(writer);

	if (value && !is_object && (or_bool ? value->type != JSON_BOOL : !is_array))
		fail(writer, "holds no schema");
	if (is_array)
		for (size_t i = value->length; i-- > 0;)
			write_value(writer, items, json_is_null(value->items[i]) ? NULL : value->items[i], 2);
	if (is_object)
		write_value(writer, type->element, value, or_bool ? 2 : 1);
	if (or_bool)
		put_number(writer, 1, is_object || (json_is(value, JSON_BOOL) && value->boolean));
	end_message(writer, number, before);
}

static void write_raw(struct writer *writer, const struct schema_type *type, const struct json *value, uint32_t number)
{
	if (type->element)
		write_schema_or(writer, type, value, number);
	else
		write_raw_text(writer, value, number);
}

// --- composites ---------------------------------------------------------------------------

static void write_items(struct writer *writer, const struct schema_type *type, const struct json *list, uint32_t number)
{
	if (list && list->type != JSON_ARRAY) {
		fail(writer, "holds no list");
		return;
	}
	for (size_t i = list ? list->length : 0; i-- > 0;)
		write_value(writer, type->element, json_is_null(list->items[i]) ? NULL : list->items[i], number);
}

static int compare_members(const void *a, const void *b)
{
	const struct json_member *left = *(const struct json_member *const *)a;
	const struct json_member *right = *(const struct json_member *const *)b;
	size_t common = left->key_length < right->key_length ? left->key_length : right->key_length;
	int order = memcmp(left->key, right->key, common);

	return order ? order : (left->key_length > right->key_length) - (left->key_length < right->key_length);
}

static void write_entries(struct writer *writer, const struct schema_type *type, const struct json *map,
                          uint32_t number)
{
	const struct json_member **sorted;
	size_t count = 0;

	if (map->type != JSON_OBJECT) {
		fail(writer, "holds no map");
		return;
	}
	sorted = ARENA_ARRAY(writer->scratch, const struct json_member *, map->length + 1);
	json_for_each_member (member, map)
		sorted[count++] = member;
	qsort(sorted, count, sizeof(*sorted), compare_members);
	while (count-- > 0) {
		const struct json *value = sorted[count]->value;
		size_t before = written(writer);

		write_value(writer, type->element, json_is_null(value) ? NULL : value, 2);
		put_text(writer, 1, sorted[count]->key, sorted[count]->key_length);
		end_message(writer, number, before);
	}
}

static void write_message(struct writer *writer, const struct schema_type *type, const struct json *value,
                          uint32_t number)
{
	size_t before = written(writer);

	if (type->kind == SCHEMA_LIST)
		write_items(writer, type, value, 1);
	else
		write_struct(writer, type, value);
	end_message(writer, number, before);
}

static void write_value(struct writer *writer, const struct schema_type *type, const struct json *value,
                        uint32_t number)
{
	static void (*const scalars[SCHEMA_KIND_COUNT_])(struct writer *, const struct json *, uint32_t) = {
	        [SCHEMA_STRING] = write_string,     [SCHEMA_INT32] = write_integer,
	        [SCHEMA_INT64] = write_integer,     [SCHEMA_BOOL] = write_bool,
	        [SCHEMA_DOUBLE] = write_double,     [SCHEMA_BYTES] = write_bytes,
	        [SCHEMA_QUANTITY] = write_quantity, [SCHEMA_INT_OR_STRING] = write_int_or_string,
	        [SCHEMA_TIME] = write_time,         [SCHEMA_MICRO_TIME] = write_micro_time,
	        [SCHEMA_DURATION] = write_duration,
	};

	if (scalars[type->kind])
		scalars[type->kind](writer, value, number);
	else if (type->kind == SCHEMA_RAW)
		write_raw(writer, type, value, number);
	else if (type->kind == SCHEMA_MAP)
		fail(writer, "is a map where protobuf knows none");
	else
		write_message(writer, type, value, number);
}

static void write_field(struct writer *writer, const struct schema_field *field, const struct json *object)
{
	const struct schema_type *type = field->type;
	const struct json *value;

	if (field->flags & SCHEMA_INLINE) {
		write_message(writer, type, object, field->proto_number);
		return;
	}
	value = json_get(object, field->json_name);
	if (json_is_null(value))
		value = NULL;
	if (!value && ((field->flags & SCHEMA_POINTER) || type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP))
		return;
	writer->field = field->json_name;
	if (type->kind == SCHEMA_LIST && !protobuf_is_named_list(type))
		write_items(writer, type, value, field->proto_number);
	else if (type->kind == SCHEMA_MAP)
		write_entries(writer, type, value, field->proto_number);
	else
		write_value(writer, type, value, field->proto_number);
}

// The fields on the wire by rising number. Declarations are nearly in that order.
static size_t order_fields(const struct schema_type *type, const struct schema_field *ret_fields[STRUCT_MAX_FIELDS])
{
	size_t count = 0;

	for (size_t i = 0; i < type->field_count; i++) {
		const struct schema_field *field = &type->fields[i];
		size_t place = count;

		if (!field->proto_number || (field->flags & SCHEMA_INLINED))
			continue;
		assert(count < STRUCT_MAX_FIELDS);
		for (; place > 0 && ret_fields[place - 1]->proto_number > field->proto_number; place--)
			ret_fields[place] = ret_fields[place - 1];
		ret_fields[place] = field;
		count++;
	}
	return count;
}

static void write_struct(struct writer *writer, const struct schema_type *type, const struct json *object)
{
	const struct schema_field *fields[STRUCT_MAX_FIELDS];
	size_t count;

	if (object && object->type != JSON_OBJECT) {
		fail(writer, "holds no object");
		return;
	}
	count = order_fields(type, fields);
	while (count-- > 0)
		write_field(writer, fields[count], object);
}

// --- the whole ------------------------------------------------------------------------------

static struct blob *take(struct writer *writer)
{
	struct blob *blob = blob_new(writer->data ? writer->data + writer->start : "", written(writer));

	free(writer->data);
	return blob;
}

static int finish(struct writer *writer, struct blob **ret_blob)
{
	arena_free(writer->scratch);
	if (writer->failed) {
		free(writer->data);
		return -ERR_PARSE;
	}
	*ret_blob = take(writer);
	return 0;
}

static const char *text_or_empty(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);

	return text ? text : "";
}

static struct writer begin(struct err *err)
{
	return (struct writer){.scratch = arena_new(0), .field = "", .err = err};
}

int protobuf_write_message(const struct schema_type *type, const struct json *object, struct blob **ret_blob,
                           struct err *err)
{
	struct writer writer = begin(err);

	write_struct(&writer, type, object);
	return finish(&writer, ret_blob);
}

int protobuf_write_object(const struct schema_type *type, const struct json *object, struct blob **ret_blob,
                          struct err *err)
{
	struct writer writer = begin(err);
	AUTO_STRBUF struct strbuf head = STRBUF_INIT(WRITER_MAX_BYTES);

	put_bytes(&writer, PROTOBUF_ENVELOPE_TAIL, PROTOBUF_ENVELOPE_TAIL_BYTES);
	write_struct(&writer, type, object);
	protobuf_append_envelope_head(&head, text_or_empty(object, "apiVersion"), text_or_empty(object, "kind"),
	                              written(&writer) - PROTOBUF_ENVELOPE_TAIL_BYTES);
	put_bytes(&writer, head.data, head.length);
	return finish(&writer, ret_blob);
}
