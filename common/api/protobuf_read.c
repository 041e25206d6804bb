// SPDX-License-Identifier: Apache-2.0
// Protobuf to trees: wire format and schema are walked side by side.
//
// As Go's decoders: unknown numbers are skipped, the last of several scalars wins,
// several messages of one field merge, numbers in lists come packed or not. Go's
// encoders write every field that is no pointer, so a zero of a field that JSON
// would leave out is left out here; what a pointer points to is kept, zero or not.
//
// Bounds: the nesting of the tree stays under what the JSON reader takes, since
// the tree is stored as JSON; each value read costs at least two bytes of input and
// counts against READER_MAX_VALUES. Text is UTF-8 or refused. Map entries are
// appended and settled once at the end, so that many keys cost no quadratic search.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/protobuf.h"
#include "common/api/protobuf_internal.h"
#include "common/api/protobuf_wire.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

enum {
	READER_MAX_DEPTH = 190, // of the tree
	READER_MAX_VALUES = 1 << 20,
	READER_MAX_BYTES_TEXT = 256 << 20,
};

#define MINIMUM_SECONDS (-62135596800) // 0001-01-01, Go's zero time
#define MAXIMUM_SECONDS 253402300799   // 9999-12-31

// A map that entries were appended to.
struct unsettled {
	struct unsettled *next;
	struct json *map;
};

struct reader {
	struct arena *arena;
	struct err *err;
	unsigned depth;
	size_t values;
	struct unsettled *maps;
	const char *field; // being read, for errors
};

static int malformed(struct reader *reader)
{
	return err_set(reader->err, ERR_PARSE, "proto: unexpected EOF or illegal tag after field \"%s\"",
	               reader->field);
}

static int refuse(struct reader *reader, const char *why)
{
	return err_set(reader->err, ERR_PARSE, "proto: field \"%s\" %s", reader->field, why);
}

static int wrong_wire_type(struct reader *reader, unsigned wire_type)
{
	return err_set(reader->err, ERR_PARSE, "proto: wrong wireType = %u for field \"%s\"", wire_type, reader->field);
}

static int next_field(struct reader *reader, struct wire_span *span, uint32_t *ret_number, struct wire_value *ret_value)
{
	if (++reader->values > READER_MAX_VALUES)
		return err_set(reader->err, ERR_PARSE, "proto: the message holds too many values");
	return wire_read_field(span, ret_number, ret_value) ? 0 : malformed(reader);
}

static int enter(struct reader *reader)
{
	if (reader->depth >= READER_MAX_DEPTH)
		return err_set(reader->err, ERR_PARSE, "proto: the message is nested too deeply");
	reader->depth++;
	return 0;
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

static int read_text(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	if (!is_utf8(span))
		return refuse(reader, "holds invalid UTF-8");
	*ret_value = json_string_n(reader->arena, (const char *)span.at, wire_span_length(span));
	return 0;
}

static int read_bytes(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(READER_MAX_BYTES_TEXT);

	base64_encode(&text, span.at, wire_span_length(span));
	*ret_value = json_string_n(reader->arena, strbuf_text(&text), text.length);
	return 0;
}

// The shortest text that reads as the same number.
static int read_double(struct reader *reader, uint64_t bits, struct json **ret_value)
{
	double number;
	char text[40];

	memcpy(&number, &bits, sizeof(number));
	if (!isfinite(number))
		return refuse(reader, "holds no finite number");
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	return json_parse(reader->arena, text, strlen(text), NULL, ret_value, reader->err);
}

// --- small messages -------------------------------------------------------------------------

enum {
	SMALL_FIELDS = 4,
};

// A message of a few scalars, by their numbers.
struct small {
	uint64_t numbers[SMALL_FIELDS];
	struct wire_span texts[SMALL_FIELDS];
	bool has[SMALL_FIELDS];
};

// `texts`: a bit for each number that is text.
static int read_small(struct reader *reader, struct wire_span span, unsigned texts, struct small *ret_small)
{
	*ret_small = (struct small){0};
	while (span.at < span.end) {
		struct wire_value value;
		uint32_t number;
		int r = next_field(reader, &span, &number, &value);

		if (r < 0)
			return r;
		if (number >= SMALL_FIELDS)
			continue;
		if (value.wire_type != (texts >> number & 1 ? WIRE_BYTES : WIRE_VARINT))
			return wrong_wire_type(reader, value.wire_type);
		ret_small->numbers[number] = value.number;
		ret_small->texts[number] = value.bytes;
		ret_small->has[number] = true;
	}
	return 0;
}

// *ret_value stays NULL for the zero time, which JSON writes as null.
static int read_time(struct reader *reader, struct wire_span span, bool micro, struct json **ret_value)
{
	struct small small;
	char text[API_TIME_BYTES];
	int r = read_small(reader, span, 0, &small);

	if (r < 0 || span.at == span.end)
		return r;
	int64_t seconds = (int64_t)small.numbers[1];
	int64_t nanoseconds = micro ? (int64_t)small.numbers[2] : 0;

	if (seconds < MINIMUM_SECONDS || seconds > MAXIMUM_SECONDS || nanoseconds < 0 || nanoseconds > 999999999)
		return refuse(reader, "holds a time out of range");
	if (seconds == MINIMUM_SECONDS && nanoseconds / 1000 == 0)
		return 0;
	api_time_format_parts(seconds, (int32_t)nanoseconds, micro, text);
	*ret_value = json_string(reader->arena, text);
	return 0;
}

static int read_seconds(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	return read_time(reader, span, false, ret_value);
}

static int read_microseconds(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	return read_time(reader, span, true, ret_value);
}

static int read_quantity(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	struct small small;
	int r = read_small(reader, span, 1 << 1, &small);

	if (r < 0)
		return r;
	if (!small.has[1]) {
		*ret_value = json_string(reader->arena, "0");
		return 0;
	}
	return read_text(reader, small.texts[1], ret_value);
}

static int read_int_or_string(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	struct small small;
	int r = read_small(reader, span, 1 << 3, &small);

	if (r < 0)
		return r;
	if (small.numbers[1] == 1)
		return read_text(reader, small.texts[3], ret_value);
	if (small.numbers[1] != 0)
		return refuse(reader, "is neither an integer nor text");
	*ret_value = json_integer(reader->arena, (int32_t)small.numbers[2]);
	return 0;
}

static int read_duration(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	struct small small;
	char text[32];
	int r = read_small(reader, span, 0, &small);

	if (r < 0)
		return r;
	duration_format((int64_t)small.numbers[1], text);
	*ret_value = json_string(reader->arena, text);
	return 0;
}

static int read_raw_text(struct reader *reader, struct wire_span span, struct json **ret_value)
{
	struct json_limits limits = {.max_depth = READER_MAX_DEPTH - reader->depth + 1, .max_nodes = READER_MAX_VALUES};
	struct small small;
	struct err err = ERR_INIT;
	int r = read_small(reader, span, 1 << 1, &small);

	if (r < 0 || !wire_span_length(small.texts[1]))
		return r;
	if (json_parse(reader->arena, (const char *)small.texts[1].at, wire_span_length(small.texts[1]), &limits,
	               ret_value, &err) < 0)
		return err_set(reader->err, ERR_PARSE, "proto: field \"%s\" holds no JSON: %s", reader->field,
		               err.message);
	return 0;
}

// --- values by their type -----------------------------------------------------------------------

static int read_struct(struct reader *reader, const struct schema_type *type, struct wire_span span,
                       struct json *object);
static int read_value(struct reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json **ret_value);

// What read_value leaves NULL is null in a list or map.
static struct json *or_null(struct reader *reader, struct json *value)
{
	return value ? value : json_null(reader->arena);
}

static int append_value(struct reader *reader, const struct schema_type *type, const struct wire_value *wire,
                        struct json *list)
{
	struct json *item;
	int r = read_value(reader, type, wire, &item);

	if (r == 0)
		json_append(reader->arena, list, or_null(reader, item));
	return r;
}

// A named list: a message with the items under number 1.
static int read_named_list(struct reader *reader, const struct schema_type *type, struct wire_span span,
                           struct json **ret_value)
{
	struct json *list = json_array(reader->arena);

	while (span.at < span.end) {
		struct wire_value wire;
		uint32_t number;
		int r = next_field(reader, &span, &number, &wire);

		if (r == 0 && number == 1)
			r = append_value(reader, type->element, &wire, list);
		if (r < 0)
			return r;
	}
	*ret_value = list;
	return 0;
}

// See write_schema_or of the writer.
static int read_schema_or(struct reader *reader, const struct schema_type *type, struct wire_span span,
                          struct json **ret_value)
{
	bool or_bool = protobuf_is_schema_or_bool(type), allowed = false;
	const struct schema_type *items = protobuf_is_schema_or_texts(type) ? &schema_type_string : type->element;
	struct json *schema = NULL, *list = NULL;
	int r = 0;

	while (span.at < span.end && r == 0) {
		struct wire_value wire;
		uint32_t number;

		r = next_field(reader, &span, &number, &wire);
		if (r < 0)
			return r;
		if (or_bool && number == 1)
			allowed = wire.number != 0;
		else if (number == (or_bool ? 2 : 1))
			r = read_value(reader, type->element, &wire, &schema);
		else if (number == 2) {
			list = list ? list : json_array(reader->arena);
			r = append_value(reader, items, &wire, list);
		}
	}
	if (r == 0)
		*ret_value = schema ? schema : or_bool ? json_bool(reader->arena, allowed) : list;
	return r;
}

static int read_raw(struct reader *reader, const struct schema_type *type, struct wire_span span,
                    struct json **ret_value)
{
	return type->element ? read_schema_or(reader, type, span, ret_value) : read_raw_text(reader, span, ret_value);
}

static int read_message(struct reader *reader, const struct schema_type *type, struct wire_span span,
                        struct json **ret_value)
{
	int r = enter(reader);

	if (r < 0)
		return r;
	switch (type->kind) {
	case SCHEMA_STRUCT:
		if (!*ret_value)
			*ret_value = json_object(reader->arena);
		r = read_struct(reader, type, span, *ret_value);
		break;
	case SCHEMA_LIST:
		r = read_named_list(reader, type, span, ret_value);
		break;
	case SCHEMA_RAW:
		r = read_raw(reader, type, span, ret_value);
		break;
	default:
		r = refuse(reader, "has no form in protobuf");
	}
	reader->depth--;
	return r;
}

static int read_span(struct reader *reader, const struct schema_type *type, struct wire_span span,
                     struct json **ret_value)
{
	static int (*const readers[SCHEMA_KIND_COUNT_])(struct reader *, struct wire_span, struct json **) = {
	        [SCHEMA_STRING] = read_text,       [SCHEMA_BYTES] = read_bytes,
	        [SCHEMA_QUANTITY] = read_quantity, [SCHEMA_INT_OR_STRING] = read_int_or_string,
	        [SCHEMA_TIME] = read_seconds,      [SCHEMA_MICRO_TIME] = read_microseconds,
	        [SCHEMA_DURATION] = read_duration,
	};

	if (readers[type->kind])
		return readers[type->kind](reader, span, ret_value);
	return read_message(reader, type, span, ret_value);
}

static unsigned wire_type_of(const struct schema_type *type)
{
	if (type->kind == SCHEMA_INT32 || type->kind == SCHEMA_INT64 || type->kind == SCHEMA_BOOL)
		return WIRE_VARINT;
	return type->kind == SCHEMA_DOUBLE ? WIRE_FIXED64 : WIRE_BYTES;
}

// *ret_value stays NULL for what JSON writes as null.
static int read_value(struct reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json **ret_value)
{
	if (wire->wire_type != wire_type_of(type))
		return wrong_wire_type(reader, wire->wire_type);
	*ret_value = NULL;
	switch (type->kind) {
	case SCHEMA_INT32:
		*ret_value = json_integer(reader->arena, (int32_t)wire->number);
		return 0;
	case SCHEMA_INT64:
		*ret_value = json_integer(reader->arena, (int64_t)wire->number);
		return 0;
	case SCHEMA_BOOL:
		*ret_value = json_bool(reader->arena, wire->number != 0);
		return 0;
	case SCHEMA_DOUBLE:
		return read_double(reader, wire->number, ret_value);
	default:
		return read_span(reader, type, wire->bytes, ret_value);
	}
}

// --- lists and maps ---------------------------------------------------------------------------------

// Several numbers in one field.
static int read_packed(struct reader *reader, const struct schema_type *type, struct wire_span span, struct json *list)
{
	while (span.at < span.end) {
		struct wire_value wire = {.wire_type = WIRE_VARINT};
		int r;

		if (++reader->values > READER_MAX_VALUES || !wire_read_varint(&span, &wire.number))
			return malformed(reader);
		r = append_value(reader, type, &wire, list);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_item(struct reader *reader, const struct schema_type *type, const struct wire_value *wire,
                     struct json *list)
{
	int r = enter(reader);

	if (r < 0)
		return r;
	if (wire->wire_type == WIRE_BYTES && wire_type_of(type->element) == WIRE_VARINT)
		r = read_packed(reader, type->element, wire->bytes, list);
	else
		r = append_value(reader, type->element, wire, list);
	reader->depth--;
	return r;
}

// The zero value of a map's element, for an entry that doesn't say its value.
static int read_zero(struct reader *reader, const struct schema_type *type, struct json **ret_value)
{
	static const uint8_t nothing[1];
	const struct wire_value zero = {.wire_type = wire_type_of(type), .bytes = {nothing, nothing}};

	return read_value(reader, type, &zero, ret_value);
}

static int read_entry_members(struct reader *reader, const struct schema_type *type, struct wire_span span,
                              struct json **ret_key, struct json **ret_value)
{
	bool has_value = false;
	int r = 0;

	*ret_key = *ret_value = NULL;
	while (span.at < span.end && r == 0) {
		struct wire_value member;
		uint32_t number;

		r = next_field(reader, &span, &number, &member);
		if (r == 0 && number == 1)
			r = read_value(reader, &schema_type_string, &member, ret_key);
		else if (r == 0 && number == 2) {
			r = read_value(reader, type->element, &member, ret_value);
			has_value = true;
		}
	}
	if (r == 0 && !has_value)
		r = read_zero(reader, type->element, ret_value);
	return r;
}

static void note_map(struct reader *reader, struct json *map)
{
	struct unsettled *unsettled = ARENA_NEW(reader->arena, struct unsettled);

	*unsettled = (struct unsettled){reader->maps, map};
	reader->maps = unsettled;
}

static int read_entry(struct reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json *map)
{
	struct json *key, *value;
	int r;

	if (wire->wire_type != WIRE_BYTES)
		return wrong_wire_type(reader, wire->wire_type);
	r = enter(reader);
	if (r == 0)
		r = read_entry_members(reader, type, wire->bytes, &key, &value);
	if (r < 0)
		return r;
	if (!map->length)
		note_map(reader, map);
	json_add_n(reader->arena, map, key ? key->text : "", key ? key->length : 0, or_null(reader, value));
	reader->depth--;
	return 0;
}

struct entry {
	struct json_member member;
	size_t position;
};

static int compare_keys(const struct json_member *a, const struct json_member *b)
{
	size_t common = a->key_length < b->key_length ? a->key_length : b->key_length;
	int order = memcmp(a->key, b->key, common);

	return order ? order : (a->key_length > b->key_length) - (a->key_length < b->key_length);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order = compare_keys(&left->member, &right->member);

	return order ? order : (left->position > right->position) - (left->position < right->position);
}

static bool is_strictly_sorted(const struct json *map)
{
	for (uint32_t i = 1; i < map->length; i++)
		if (compare_keys(&map->members[i - 1], &map->members[i]) >= 0)
			return false;
	return true;
}

// Keys once, the last of equals. Encoders write maps sorted, so there is seldom work.
static void settle_map(struct reader *reader, struct json *map)
{
	struct entry *entries;
	uint32_t kept = 0;

	if (is_strictly_sorted(map))
		return;
	entries = ARENA_ARRAY(reader->arena, struct entry, map->length);
	for (uint32_t i = 0; i < map->length; i++)
		entries[i] = (struct entry){map->members[i], i};
	qsort(entries, map->length, sizeof(*entries), compare_entries);
	for (uint32_t i = 0; i < map->length; i++) {
		if (i + 1 < map->length && compare_keys(&entries[i].member, &entries[i + 1].member) == 0)
			continue;
		map->members[kept++] = entries[i].member;
	}
	map->length = kept;
}

static void settle_maps(struct reader *reader)
{
	for (const struct unsettled *unsettled = reader->maps; unsettled; unsettled = unsettled->next)
		settle_map(reader, unsettled->map);
}

// --- structs ------------------------------------------------------------------------------------------

// What Go's JSON encoder leaves out.
static bool is_omitted(const struct schema_field *field, const struct json *value)
{
	if ((field->flags & SCHEMA_POINTER) || !(field->flags & SCHEMA_OMIT_EMPTY))
		return false;
	switch (field->type->kind) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
		return !value->length;
	case SCHEMA_INT32:
	case SCHEMA_INT64:
		return !value->integer;
	case SCHEMA_BOOL:
		return !value->boolean;
	case SCHEMA_DOUBLE:
		return value->type == JSON_INTEGER && !value->integer;
	default:
		return false;
	}
}

static int read_member(struct reader *reader, const struct schema_field *field, const struct wire_value *wire,
                       struct json *object)
{
	struct json *value = NULL;
	int r;

	if (field->flags & SCHEMA_INLINE) // a message on the wire, members of the parent in JSON
		return wire->wire_type == WIRE_BYTES ? read_struct(reader, field->type, wire->bytes, object)
		                                     : wrong_wire_type(reader, wire->wire_type);
	if (field->type->kind == SCHEMA_LIST && !protobuf_is_named_list(field->type))
		return read_item(reader, field->type, wire, json_ensure_array(reader->arena, object, field->json_name));
	if (field->type->kind == SCHEMA_MAP)
		return read_entry(reader, field->type, wire,
		                  json_ensure_object(reader->arena, object, field->json_name));
	if (field->type->kind == SCHEMA_STRUCT && wire->wire_type == WIRE_BYTES) {
		value = json_get(object, field->json_name); // merged, if it came before
		r = read_message(reader, field->type, wire->bytes, &value);
	} else {
		r = read_value(reader, field->type, wire, &value);
	}
	if (r < 0)
		return r;
	if (value && !is_omitted(field, value))
		json_set(reader->arena, object, field->json_name, value);
	else
		(void)json_remove(object, field->json_name);
	return 0;
}

// Fields come in about the order of their declaration: the search goes on where the last one ended.
static const struct schema_field *find_field(const struct schema_type *type, uint32_t number, size_t *hint)
{
	for (size_t i = 0; i < type->field_count; i++) {
		size_t at = (*hint + i) % type->field_count;
		const struct schema_field *field = &type->fields[at];

		if (field->proto_number == number && !(field->flags & SCHEMA_INLINED)) {
			*hint = at;
			return field;
		}
	}
	return NULL;
}

static int read_struct(struct reader *reader, const struct schema_type *type, struct wire_span span,
                       struct json *object)
{
	size_t hint = 0;
	int r = 0;

	while (span.at < span.end && r == 0) {
		const struct schema_field *field;
		struct wire_value wire;
		uint32_t number;

		r = next_field(reader, &span, &number, &wire);
		field = r == 0 ? find_field(type, number, &hint) : NULL;
		if (!field)
			continue;
		reader->field = field->json_name[0] ? field->json_name : field->type->name;
		r = read_member(reader, field, &wire, object);
	}
	return r;
}

// --- the whole -------------------------------------------------------------------------------------------

static int read_whole(struct reader *reader, const struct schema_type *type, struct wire_span span, struct json *object)
{
	if (!protobuf_serves_type(type))
		return err_set(reader->err, ERR_PARSE, "proto: the type %s has no protobuf form",
		               type && type->name ? type->name : "of this resource");
	int r = read_struct(reader, type, span, object);

	if (r == 0)
		settle_maps(reader);
	return r;
}

int protobuf_read_message(struct arena *arena, const struct schema_type *type, const char *data, size_t length,
                          struct json **ret_object, struct err *err)
{
	struct reader reader = {.arena = arena, .err = err, .depth = 1, .field = ""};
	struct wire_span span = {(const uint8_t *)data, (const uint8_t *)data + length};
	struct json *object = json_object(arena);
	int r = read_whole(&reader, type, span, object);

	if (r == 0)
		*ret_object = object;
	return r;
}

static int read_type_meta(struct reader *reader, struct wire_span span, struct json *object)
{
	static const char *const names[] = {[1] = "apiVersion", [2] = "kind"};
	struct small meta;
	int r = read_small(reader, span, 1 << 1 | 1 << 2, &meta);

	for (size_t i = 1; i <= 2 && r == 0; i++) {
		struct json *text;

		if (!wire_span_length(meta.texts[i]))
			continue;
		reader->field = names[i];
		r = read_text(reader, meta.texts[i], &text);
		if (r == 0)
			json_set(reader->arena, object, names[i], text);
	}
	return r;
}

int protobuf_read_object(struct arena *arena, const struct schema_type *type, const char *data, size_t length,
                         struct json **ret_object, struct err *err)
{
	enum { MAGIC_BYTES = 4 };
	struct reader reader = {.arena = arena, .err = err, .depth = 1, .field = ""};
	struct json *object = json_object(arena);
	struct small unknown;
	int r;

	if (!protobuf_is_envelope(data, length))
		return err_set(
		        err, ERR_PARSE,
		        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
	struct wire_span span = {(const uint8_t *)data + MAGIC_BYTES, (const uint8_t *)data + length};

	r = read_small(&reader, span, 1 << 1 | 1 << 2 | 1 << 3, &unknown);
	if (r == 0)
		r = read_type_meta(&reader, unknown.texts[1], object);
	if (r == 0 && wire_span_length(unknown.texts[3]))
		r = err_set(err, ERR_PARSE, "proto: the content encoding of the object is not supported");
	if (r == 0)
		r = read_whole(&reader, type, unknown.texts[2], object);
	if (r == 0)
		*ret_object = object;
	return r;
}
