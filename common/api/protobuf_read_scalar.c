// SPDX-License-Identifier: Apache-2.0
// Reading protobuf's leaves: text, byte strings, numbers with a text form, and the
// small messages that are one value in JSON (quantities, times, durations,
// IntOrString, raw JSON); and the errors of the reader.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/protobuf_internal.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

enum {
	READER_MAX_BYTES_TEXT = 256 << 20,
};

#define MINIMUM_SECONDS (-62135596800) // 0001-01-01, Go's zero time
#define MAXIMUM_SECONDS 253402300799   // 9999-12-31

int protobuf_malformed(struct protobuf_reader *reader)
{
	return err_set(reader->err, ERR_PARSE, "proto: unexpected EOF or illegal tag after field \"%s\"",
	               reader->field);
}

int protobuf_refuse(struct protobuf_reader *reader, const char *why)
{
	return err_set(reader->err, ERR_PARSE, "proto: field \"%s\" %s", reader->field, why);
}

int protobuf_wrong_wire_type(struct protobuf_reader *reader, unsigned wire_type)
{
	return err_set(reader->err, ERR_PARSE, "proto: wrong wireType = %u for field \"%s\"", wire_type, reader->field);
}

int protobuf_next_field(struct protobuf_reader *reader, struct wire_span *span, uint32_t *ret_number,
                        struct wire_value *ret_value)
{
	if (++reader->values > READER_MAX_VALUES)
		return err_set(reader->err, ERR_PARSE, "proto: the message holds too many values");
	return wire_read_field(span, ret_number, ret_value) ? 0 : protobuf_malformed(reader);
}

// --- text ---------------------------------------------------------------------------------

static bool is_utf8(struct wire_span span)
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

int protobuf_read_text(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	if (!is_utf8(span))
		return protobuf_refuse(reader, "holds invalid UTF-8");
	*ret_value = json_string_n(reader->arena, (const char *)span.at, wire_span_length(span));
	return 0;
}

static int read_bytes(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(READER_MAX_BYTES_TEXT);

	base64_encode(&text, span.at, wire_span_length(span));
	*ret_value = json_string_n(reader->arena, strbuf_text(&text), text.length);
	return 0;
}

// The shortest text that reads as the same number.
int protobuf_read_double(struct protobuf_reader *reader, uint64_t bits, struct json **ret_value)
{
	double number;
	char text[40];

	memcpy(&number, &bits, sizeof(number));
	if (!isfinite(number))
		return protobuf_refuse(reader, "holds no finite number");
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	return json_parse(reader->arena, text, strlen(text), NULL, ret_value, reader->err);
}

// --- small messages -------------------------------------------------------------------------

int protobuf_read_small(struct protobuf_reader *reader, struct wire_span span, unsigned texts,
                        struct protobuf_small *ret_small)
{
	*ret_small = (struct protobuf_small){0};
	while (span.at < span.end) {
		struct wire_value value;
		uint32_t number;
		int r = protobuf_next_field(reader, &span, &number, &value);

		if (r < 0)
			return r;
		if (number >= SMALL_FIELDS)
			continue;
		if (value.wire_type != (texts >> number & 1 ? WIRE_BYTES : WIRE_VARINT))
			return protobuf_wrong_wire_type(reader, value.wire_type);
		ret_small->numbers[number] = value.number;
		ret_small->texts[number] = value.bytes;
		ret_small->has[number] = true;
	}
	return 0;
}

// *ret_value stays NULL for the zero time, which JSON writes as null.
static int read_time(struct protobuf_reader *reader, struct wire_span span, bool micro, struct json **ret_value)
{
	struct protobuf_small small;
	char text[API_TIME_BYTES];
	int r = protobuf_read_small(reader, span, 0, &small);

	if (r < 0 || span.at == span.end)
		return r;
	int64_t seconds = (int64_t)small.numbers[1];
	int64_t nanoseconds = micro ? (int64_t)small.numbers[2] : 0;

	if (seconds < MINIMUM_SECONDS || seconds > MAXIMUM_SECONDS || nanoseconds < 0 || nanoseconds > 999999999)
		return protobuf_refuse(reader, "holds a time out of range");
	if (seconds == MINIMUM_SECONDS && nanoseconds / 1000 == 0)
		return 0;
	api_time_format_parts(seconds, (int32_t)nanoseconds, micro, text);
	*ret_value = json_string(reader->arena, text);
	return 0;
}

static int read_seconds(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	return read_time(reader, span, false, ret_value);
}

static int read_microseconds(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	return read_time(reader, span, true, ret_value);
}

static int read_quantity(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	struct protobuf_small small;
	int r = protobuf_read_small(reader, span, 1 << 1, &small);

	if (r < 0)
		return r;
	if (!small.has[1]) {
		*ret_value = json_string(reader->arena, "0");
		return 0;
	}
	return protobuf_read_text(reader, small.texts[1], ret_value);
}

static int read_int_or_string(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	struct protobuf_small small;
	int r = protobuf_read_small(reader, span, 1 << 3, &small);

	if (r < 0)
		return r;
	if (small.numbers[1] == 1)
		return protobuf_read_text(reader, small.texts[3], ret_value);
	if (small.numbers[1] != 0)
		return protobuf_refuse(reader, "is neither an integer nor text");
	*ret_value = json_integer(reader->arena, (int32_t)small.numbers[2]);
	return 0;
}

static int read_duration(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	struct protobuf_small small;
	char text[32];
	int r = protobuf_read_small(reader, span, 0, &small);

	if (r < 0)
		return r;
	duration_format((int64_t)small.numbers[1], text);
	*ret_value = json_string(reader->arena, text);
	return 0;
}

int protobuf_read_raw_text(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value)
{
	struct json_limits limits = {.max_depth = READER_MAX_DEPTH - reader->depth + 1, .max_nodes = READER_MAX_VALUES};
	struct protobuf_small small;
	struct err err = ERR_INIT;
	int r = protobuf_read_small(reader, span, 1 << 1, &small);

	if (r < 0 || !wire_span_length(small.texts[1]))
		return r;
	if (json_parse(reader->arena, (const char *)small.texts[1].at, wire_span_length(small.texts[1]), &limits,
	               ret_value, &err) < 0)
		return err_set(reader->err, ERR_PARSE, "proto: field \"%s\" holds no JSON: %s", reader->field,
		               err.message);
	return 0;
}

// --- all of them ------------------------------------------------------------------------

typedef int scalar_reader(struct protobuf_reader *reader, struct wire_span span, struct json **ret_value);

static scalar_reader *const scalar_readers[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = protobuf_read_text, [SCHEMA_BYTES] = read_bytes,
        [SCHEMA_QUANTITY] = read_quantity,    [SCHEMA_INT_OR_STRING] = read_int_or_string,
        [SCHEMA_TIME] = read_seconds,         [SCHEMA_MICRO_TIME] = read_microseconds,
        [SCHEMA_DURATION] = read_duration,
};

bool protobuf_is_scalar(const struct schema_type *type)
{
	return scalar_readers[type->kind] != NULL;
}

int protobuf_read_scalar(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                         struct json **ret_value)
{
	return scalar_readers[type->kind](reader, span, ret_value);
}
