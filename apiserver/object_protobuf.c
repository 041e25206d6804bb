// SPDX-License-Identifier: Apache-2.0
// A decoder that walks wire format and schema side by side. Absent and zero:
// Go's encoder writes every field that isn't a pointer, so a zero of a field that
// JSON would leave out is left out; what a pointer points to is kept, zero or not.
// Unknown field numbers are skipped, as protobuf means it. Input is bounded by
// the body limit; nesting by PROTOBUF_MAX_DEPTH.

#include "apiserver/object_protobuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

enum {
	PROTOBUF_MAX_DEPTH = 100,
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

struct span {
	const uint8_t *at;
	const uint8_t *end;
};

struct wire_value {
	unsigned wire_type;
	uint64_t number;   // of varints and fixed values
	struct span bytes; // WIRE_BYTES
};

struct decoder {
	struct arena *arena;
	struct err *err;
	unsigned depth;
};

static const char magic[] = {'k', '8', 's', 0};

bool object_protobuf_is_envelope(const char *data, size_t length)
{
	return length >= sizeof(magic) && !memcmp(data, magic, sizeof(magic));
}

static int malformed(struct decoder *decoder)
{
	return err_set(decoder->err, ERR_PARSE, "proto: the message is malformed");
}

// --- the wire format ------------------------------------------------------------------------

static bool read_varint(struct span *span, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64 && span->at < span->end; shift += 7) {
		uint8_t byte = *span->at++;

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

static bool read_fixed(struct span *span, size_t bytes, uint64_t *ret_number)
{
	*ret_number = 0;
	if ((size_t)(span->end - span->at) < bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		*ret_number |= (uint64_t)*span->at++ << 8 * i;
	return true;
}

static bool read_bytes(struct span *span, struct span *ret_bytes)
{
	uint64_t length;

	if (!read_varint(span, &length) || length > (uint64_t)(span->end - span->at))
		return false;
	*ret_bytes = (struct span){span->at, span->at + length};
	span->at += length;
	return true;
}

// The next field of a message. False: malformed (the caller looks for the end itself).
static bool read_field(struct span *span, uint32_t *ret_number, struct wire_value *ret_value)
{
	uint64_t tag;

	if (!read_varint(span, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
		return false;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_value = (struct wire_value){.wire_type = tag & 7};
	switch (ret_value->wire_type) {
	case WIRE_VARINT:
		return read_varint(span, &ret_value->number);
	case WIRE_FIXED64:
		return read_fixed(span, 8, &ret_value->number);
	case WIRE_FIXED32:
		return read_fixed(span, 4, &ret_value->number);
	case WIRE_BYTES:
		return read_bytes(span, &ret_value->bytes);
	default:
		return false;
	}
}

// --- scalars --------------------------------------------------------------------------------------

static struct json *text_of_span(struct decoder *decoder, struct span span)
{
	return json_string_n(decoder->arena, (const char *)span.at, (size_t)(span.end - span.at));
}

static struct json *decode_bytes(struct decoder *decoder, struct span span)
{
	struct strbuf text = STRBUF_INIT(16 << 20);
	struct json *value;

	base64_encode(&text, span.at, (size_t)(span.end - span.at));
	value = json_string_n(decoder->arena, strbuf_text(&text), text.length);
	strbuf_done(&text);
	return value;
}

static struct json *decode_double(struct decoder *decoder, uint64_t bits)
{
	struct json *value;
	double number;
	char text[40];

	memcpy(&number, &bits, sizeof(number));
	snprintf(text, sizeof(text), "%.17g", number);
	return json_parse(decoder->arena, text, strlen(text), NULL, &value, NULL) < 0 ? json_null(decoder->arena)
	                                                                              : value;
}

// A message of which only some numbered members matter.
struct small_message {
	uint64_t numbers[4];
	struct span texts[4];
	bool any;
};

static bool read_small(struct span span, struct small_message *ret_message)
{
	struct small_message message = {0};

	while (span.at < span.end) {
		struct wire_value value;
		uint32_t number;

		if (!read_field(&span, &number, &value))
			return false;
		message.any = true;
		if (number < 4) {
			message.numbers[number] = value.number;
			message.texts[number] = value.bytes;
		}
	}
	*ret_message = message;
	return true;
}

static struct json *decode_time(struct decoder *decoder, const struct small_message *message, bool micro)
{
	int64_t realtime_ns = (int64_t)message->numbers[1] * NSEC_PER_SEC + (micro ? (int32_t)message->numbers[2] : 0);
	char text[API_TIME_BYTES];

	if (!message->any)
		return NULL; // the zero time is null
	if (micro)
		api_micro_time_format(realtime_ns, text);
	else
		api_time_format(realtime_ns, text);
	return json_string(decoder->arena, text);
}

static struct json *decode_int_or_string(struct decoder *decoder, const struct small_message *message)
{
	if (message->numbers[1] == 1)
		return text_of_span(decoder, message->texts[3]);
	return json_integer(decoder->arena, (int32_t)message->numbers[2]);
}

static struct json *decode_raw(struct decoder *decoder, struct span text)
{
	struct json *value;

	if (text.at == text.end ||
	    json_parse(decoder->arena, (const char *)text.at, (size_t)(text.end - text.at), NULL, &value, NULL) < 0)
		return NULL;
	return value;
}

static struct json *decode_duration(struct decoder *decoder, const struct small_message *message)
{
	char text[32];

	duration_format((int64_t)message->numbers[1], text);
	return json_string(decoder->arena, text);
}

// Trees hold only valid UTF-8.
static bool is_utf8(struct span span)
{
	while (span.at < span.end) {
		uint8_t lead = *span.at++;
		int more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;

		if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4 || span.end - span.at < more))
			return false;
		if ((lead == 0xe0 && *span.at < 0xa0) || (lead == 0xed && *span.at > 0x9f) ||
		    (lead == 0xf0 && *span.at < 0x90) || (lead == 0xf4 && *span.at > 0x8f))
			return false;
		for (; more; more--)
			if ((*span.at++ & 0xc0) != 0x80)
				return false;
	}
	return true;
}

// --- values by their type ---------------------------------------------------------------------------

static int decode_struct(struct decoder *decoder, const struct schema_type *type, struct span span,
                         struct json *object);
static int decode_value(struct decoder *decoder, const struct schema_type *type, const struct wire_value *wire,
                        struct json **ret_value);

// A list where one value is due: a message with the items under number 1 (ExtraValue and its like).
static int decode_wrapped_list(struct decoder *decoder, const struct schema_type *type, struct span span,
                               struct json **ret_value)
{
	struct json *list = json_array(decoder->arena);

	while (span.at < span.end) {
		struct wire_value wire;
		struct json *item = NULL;
		uint32_t number;

		if (!read_field(&span, &number, &wire))
			return malformed(decoder);
		if (number != 1)
			continue;
		int r = decode_value(decoder, type->element, &wire, &item);

		if (r < 0)
			return r;
		if (item)
			json_append(decoder->arena, list, item);
	}
	*ret_value = list;
	return 0;
}

static int decode_message(struct decoder *decoder, const struct schema_type *type, struct span span,
                          struct json **ret_value)
{
	struct small_message message;

	if (type->kind == SCHEMA_STRUCT) {
		*ret_value = json_object(decoder->arena);
		return decode_struct(decoder, type, span, *ret_value);
	}
	if (type->kind == SCHEMA_LIST)
		return decode_wrapped_list(decoder, type, span, ret_value);
	if (!read_small(span, &message))
		return malformed(decoder);
	switch (type->kind) {
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		*ret_value = decode_time(decoder, &message, type->kind == SCHEMA_MICRO_TIME);
		return 0;
	case SCHEMA_QUANTITY:
		*ret_value = text_of_span(decoder, message.texts[1]);
		return 0;
	case SCHEMA_INT_OR_STRING:
		*ret_value = decode_int_or_string(decoder, &message);
		return 0;
	case SCHEMA_DURATION:
		*ret_value = decode_duration(decoder, &message);
		return 0;
	case SCHEMA_RAW:
		*ret_value = decode_raw(decoder, message.texts[1]);
		return 0;
	default:
		return malformed(decoder);
	}
}

// *ret_value stays NULL for what JSON writes as null.
static int decode_value(struct decoder *decoder, const struct schema_type *type, const struct wire_value *wire,
                        struct json **ret_value)
{
	bool is_bytes = wire->wire_type == WIRE_BYTES;

	*ret_value = NULL;
	switch (type->kind) {
	case SCHEMA_STRING:
		if (!is_bytes || !is_utf8(wire->bytes))
			return malformed(decoder);
		*ret_value = text_of_span(decoder, wire->bytes);
		return 0;
	case SCHEMA_BYTES:
		if (is_bytes)
			*ret_value = decode_bytes(decoder, wire->bytes);
		return is_bytes ? 0 : malformed(decoder);
	case SCHEMA_INT32:
		*ret_value = json_integer(decoder->arena, (int32_t)wire->number);
		return is_bytes ? malformed(decoder) : 0;
	case SCHEMA_INT64:
		*ret_value = json_integer(decoder->arena, (int64_t)wire->number);
		return is_bytes ? malformed(decoder) : 0;
	case SCHEMA_BOOL:
		*ret_value = json_bool(decoder->arena, wire->number != 0);
		return is_bytes ? malformed(decoder) : 0;
	case SCHEMA_DOUBLE:
		*ret_value = decode_double(decoder, wire->number);
		return is_bytes ? malformed(decoder) : 0;
	default:
		return is_bytes ? decode_message(decoder, type, wire->bytes, ret_value) : malformed(decoder);
	}
}

static int decode_map_entry(struct decoder *decoder, const struct schema_type *type, const struct wire_value *wire,
                            struct json *map)
{
	struct span span = wire->bytes;
	const char *key = "";
	struct json *value = NULL;

	if (wire->wire_type != WIRE_BYTES)
		return malformed(decoder);
	while (span.at < span.end) {
		struct wire_value member;
		uint32_t number;
		int r = 0;

		if (!read_field(&span, &number, &member))
			return malformed(decoder);
		if (number == 1 && (member.wire_type != WIRE_BYTES || !is_utf8(member.bytes)))
			return malformed(decoder);
		if (number == 1)
			key = json_text(text_of_span(decoder, member.bytes));
		else if (number == 2)
			r = decode_value(decoder, type->element, &member, &value);
		if (r < 0)
			return r;
	}
	json_set(decoder->arena, map, key, value ? value : json_string(decoder->arena, ""));
	return 0;
}

// Several numbers in one field.
static int decode_packed(struct decoder *decoder, const struct schema_type *type, struct span span, struct json *list)
{
	while (span.at < span.end) {
		struct wire_value wire = {.wire_type = WIRE_VARINT};
		struct json *item;
		int r;

		if (!read_varint(&span, &wire.number))
			return malformed(decoder);
		r = decode_value(decoder, type, &wire, &item);
		if (r < 0)
			return r;
		json_append(decoder->arena, list, item);
	}
	return 0;
}

static bool is_number(const struct schema_type *type)
{
	return type->kind == SCHEMA_INT32 || type->kind == SCHEMA_INT64 || type->kind == SCHEMA_BOOL;
}

static int decode_list_item(struct decoder *decoder, const struct schema_type *type, const struct wire_value *wire,
                            struct json *list)
{
	struct json *item = NULL;
	int r;

	if (wire->wire_type == WIRE_BYTES && is_number(type->element))
		return decode_packed(decoder, type->element, wire->bytes, list);
	r = decode_value(decoder, type->element, wire, &item);
	if (r == 0)
		json_append(decoder->arena, list, item ? item : json_null(decoder->arena));
	return r;
}

// What Go's JSON encoder leaves out.
static bool is_omitted(const struct schema_field *field, const struct json *value)
{
	if (field->flags & SCHEMA_POINTER || !(field->flags & SCHEMA_OMIT_EMPTY))
		return false;
	switch (value->type) {
	case JSON_STRING:
		return !value->length;
	case JSON_INTEGER:
		return !value->integer && field->type->kind != SCHEMA_INT_OR_STRING;
	case JSON_BOOL:
		return !value->boolean;
	default:
		return false;
	}
}

static int decode_member(struct decoder *decoder, const struct schema_field *field, const struct wire_value *wire,
                         struct json *object)
{
	struct json *value = NULL;
	int r;

	if (field->flags & SCHEMA_INLINE) // a message on the wire, members of the parent in JSON
		return wire->wire_type == WIRE_BYTES ? decode_struct(decoder, field->type, wire->bytes, object)
		                                     : malformed(decoder);
	if (field->type->kind == SCHEMA_LIST)
		return decode_list_item(decoder, field->type, wire,
		                        json_ensure_array(decoder->arena, object, field->json_name));
	if (field->type->kind == SCHEMA_MAP)
		return decode_map_entry(decoder, field->type, wire,
		                        json_ensure_object(decoder->arena, object, field->json_name));
	r = decode_value(decoder, field->type, wire, &value);
	if (r == 0 && value && !is_omitted(field, value))
		json_set(decoder->arena, object, field->json_name, value);
	return r;
}

static const struct schema_field *field_by_number(const struct schema_type *type, uint32_t number)
{
	for (size_t i = 0; i < type->field_count; i++)
		if (type->fields[i].proto_number == number && !(type->fields[i].flags & SCHEMA_INLINED))
			return &type->fields[i];
	return NULL;
}

static int decode_struct(struct decoder *decoder, const struct schema_type *type, struct span span, struct json *object)
{
	int r = 0;

	if (++decoder->depth > PROTOBUF_MAX_DEPTH)
		return err_set(decoder->err, ERR_PARSE, "proto: the message is nested too deeply");
	while (span.at < span.end && r == 0) {
		const struct schema_field *field;
		struct wire_value wire;
		uint32_t number;

		if (!read_field(&span, &number, &wire))
			return malformed(decoder);
		field = field_by_number(type, number);
		if (field)
			r = decode_member(decoder, field, &wire, object);
	}
	decoder->depth--;
	return r;
}

// --- the envelope ---------------------------------------------------------------------------------------

static void set_if_there(struct decoder *decoder, struct json *object, const char *key, struct span text)
{
	if (text.at != text.end)
		json_set(decoder->arena, object, key, text_of_span(decoder, text));
}

int object_protobuf_decode(struct arena *arena, const struct schema_type *type, const char *data, size_t length,
                           struct json **ret_object, struct err *err)
{
	struct decoder decoder = {.arena = arena, .err = err};
	struct span span = {(const uint8_t *)data + sizeof(magic), (const uint8_t *)data + length};
	struct small_message unknown, meta;
	struct json *object = json_object(arena);
	int r;

	if (!object_protobuf_is_envelope(data, length))
		return err_set(err, ERR_PARSE, "provided data does not appear to be a protobuf message");
	if (!read_small(span, &unknown) || !read_small(unknown.texts[1], &meta))
		return malformed(&decoder);
	set_if_there(&decoder, object, "apiVersion", meta.texts[1]);
	set_if_there(&decoder, object, "kind", meta.texts[2]);
	r = decode_struct(&decoder, type, unknown.texts[2], object);
	if (r == 0)
		*ret_object = object;
	return r;
}
