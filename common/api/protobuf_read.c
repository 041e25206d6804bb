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

#include <stdlib.h>
#include <string.h>

#include "common/api/protobuf.h"
#include "common/api/protobuf_internal.h"

static int enter(struct protobuf_reader *reader)
{
	if (reader->depth >= READER_MAX_DEPTH)
		return err_set(reader->err, ERR_PARSE, "proto: the message is nested too deeply");
	reader->depth++;
	return 0;
}

// --- values by their type -----------------------------------------------------------------------

static int read_struct(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                       struct json *object);
static int read_value(struct protobuf_reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json **ret_value);

// What read_value leaves NULL is null in a list or map.
static struct json *or_null(struct protobuf_reader *reader, struct json *value)
{
	return value ? value : json_null(reader->arena);
}

static int append_value(struct protobuf_reader *reader, const struct schema_type *type, const struct wire_value *wire,
                        struct json *list)
{
	struct json *item;
	int r = read_value(reader, type, wire, &item);

	if (r == 0)
		json_append(reader->arena, list, or_null(reader, item));
	return r;
}

// A named list: a message with the items under number 1.
static int read_named_list(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                           struct json **ret_value)
{
	struct json *list = json_array(reader->arena);

	while (span.at < span.end) {
		struct wire_value wire;
		uint32_t number;
		int r = protobuf_next_field(reader, &span, &number, &wire);

		if (r == 0 && number == 1)
			r = append_value(reader, type->element, &wire, list);
		if (r < 0)
			return r;
	}
	*ret_value = list;
	return 0;
}

// See write_schema_or of the writer.
static int read_schema_or(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                          struct json **ret_value)
{
	bool or_bool = protobuf_is_schema_or_bool(type), allowed = false;
	const struct schema_type *items = protobuf_is_schema_or_texts(type) ? &schema_type_string : type->element;
	struct json *schema = NULL, *list = NULL;
	int r = 0;

	while (span.at < span.end && r == 0) {
		struct wire_value wire;
		uint32_t number;

		r = protobuf_next_field(reader, &span, &number, &wire);
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

static int read_raw(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                    struct json **ret_value)
{
	return type->element ? read_schema_or(reader, type, span, ret_value)
	                     : protobuf_read_raw_text(reader, span, ret_value);
}

static int read_message(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
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
		r = protobuf_refuse(reader, "has no form in protobuf");
	}
	reader->depth--;
	return r;
}

static int read_span(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                     struct json **ret_value)
{
	if (protobuf_is_scalar(type))
		return protobuf_read_scalar(reader, type, span, ret_value);
	return read_message(reader, type, span, ret_value);
}

static unsigned wire_type_of(const struct schema_type *type)
{
	if (type->kind == SCHEMA_INT32 || type->kind == SCHEMA_INT64 || type->kind == SCHEMA_BOOL)
		return WIRE_VARINT;
	return type->kind == SCHEMA_DOUBLE ? WIRE_FIXED64 : WIRE_BYTES;
}

// *ret_value stays NULL for what JSON writes as null.
static int read_value(struct protobuf_reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json **ret_value)
{
	if (wire->wire_type != wire_type_of(type))
		return protobuf_wrong_wire_type(reader, wire->wire_type);
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
		return protobuf_read_double(reader, wire->number, ret_value);
	default:
		return read_span(reader, type, wire->bytes, ret_value);
	}
}

// --- lists and maps ---------------------------------------------------------------------------------

// Several numbers in one field.
static int read_packed(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                       struct json *list)
{
	while (span.at < span.end) {
		struct wire_value wire = {.wire_type = WIRE_VARINT};
		int r;

		if (++reader->values > READER_MAX_VALUES || !wire_read_varint(&span, &wire.number))
			return protobuf_malformed(reader);
		r = append_value(reader, type, &wire, list);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_item(struct protobuf_reader *reader, const struct schema_type *type, const struct wire_value *wire,
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
static int read_zero(struct protobuf_reader *reader, const struct schema_type *type, struct json **ret_value)
{
	static const uint8_t nothing[1];
	const struct wire_value zero = {.wire_type = wire_type_of(type), .bytes = {nothing, nothing}};

	return read_value(reader, type, &zero, ret_value);
}

static int read_entry_members(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                              struct json **ret_key, struct json **ret_value)
{
	bool has_value = false;
	int r = 0;

	*ret_key = *ret_value = NULL;
	while (span.at < span.end && r == 0) {
		struct wire_value member;
		uint32_t number;

		r = protobuf_next_field(reader, &span, &number, &member);
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

static void note_map(struct protobuf_reader *reader, struct json *map)
{
	struct protobuf_map *unsettled = ARENA_NEW(reader->arena, struct protobuf_map);

	*unsettled = (struct protobuf_map){reader->maps, map};
	reader->maps = unsettled;
}

static int read_entry(struct protobuf_reader *reader, const struct schema_type *type, const struct wire_value *wire,
                      struct json *map)
{
	struct json *key, *value;
	int r;

	if (wire->wire_type != WIRE_BYTES)
		return protobuf_wrong_wire_type(reader, wire->wire_type);
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
static void settle_map(struct protobuf_reader *reader, struct json *map)
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

static void settle_maps(struct protobuf_reader *reader)
{
	for (const struct protobuf_map *unsettled = reader->maps; unsettled; unsettled = unsettled->next)
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

static int read_member(struct protobuf_reader *reader, const struct schema_field *field, const struct wire_value *wire,
                       struct json *object)
{
	struct json *value = NULL;
	int r;

	if (field->flags & SCHEMA_INLINE) // a message on the wire, members of the parent in JSON
		return wire->wire_type == WIRE_BYTES ? read_struct(reader, field->type, wire->bytes, object)
		                                     : protobuf_wrong_wire_type(reader, wire->wire_type);
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

static int read_struct(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                       struct json *object)
{
	size_t hint = 0;
	int r = 0;

	while (span.at < span.end && r == 0) {
		const struct schema_field *field;
		struct wire_value wire;
		uint32_t number;

		r = protobuf_next_field(reader, &span, &number, &wire);
		field = r == 0 ? find_field(type, number, &hint) : NULL;
		if (!field)
			continue;
		reader->field = field->json_name[0] ? field->json_name : field->type->name;
		r = read_member(reader, field, &wire, object);
	}
	return r;
}

// --- the whole -------------------------------------------------------------------------------------------

static int read_whole(struct protobuf_reader *reader, const struct schema_type *type, struct wire_span span,
                      struct json *object)
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
	struct protobuf_reader reader = {.arena = arena, .err = err, .depth = 1, .field = ""};
	struct wire_span span = {(const uint8_t *)data, (const uint8_t *)data + length};
	struct json *object = json_object(arena);
	int r = read_whole(&reader, type, span, object);

	if (r == 0)
		*ret_object = object;
	return r;
}

static int read_type_meta(struct protobuf_reader *reader, struct wire_span span, struct json *object)
{
	static const char *const names[] = {[1] = "apiVersion", [2] = "kind"};
	struct protobuf_small meta;
	int r = protobuf_read_small(reader, span, 1 << 1 | 1 << 2, &meta);

	for (size_t i = 1; i <= 2 && r == 0; i++) {
		struct json *text;

		if (!wire_span_length(meta.texts[i]))
			continue;
		reader->field = names[i];
		r = protobuf_read_text(reader, meta.texts[i], &text);
		if (r == 0)
			json_set(reader->arena, object, names[i], text);
	}
	return r;
}

// The parts of runtime.Unknown.
static int read_envelope(struct protobuf_reader *reader, const char *data, size_t length,
                         struct protobuf_small *ret_unknown)
{
	enum { MAGIC_BYTES = 4 };

	if (!protobuf_is_envelope(data, length))
		return err_set(
		        reader->err, ERR_PARSE,
		        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
	struct wire_span span = {(const uint8_t *)data + MAGIC_BYTES, (const uint8_t *)data + length};

	return protobuf_read_small(reader, span, 1 << 1 | 1 << 2 | 1 << 3, ret_unknown);
}

int protobuf_read_type_meta(struct arena *arena, const char *data, size_t length, const char **ret_api_version,
                            const char **ret_kind, struct err *err)
{
	struct protobuf_reader reader = {.arena = arena, .err = err, .depth = 1, .field = ""};
	struct json *object = json_object(arena);
	struct protobuf_small unknown;
	int r = read_envelope(&reader, data, length, &unknown);

	if (r == 0)
		r = read_type_meta(&reader, unknown.texts[1], object);
	if (r < 0)
		return r;
	*ret_api_version = json_get_text(object, "apiVersion");
	*ret_kind = json_get_text(object, "kind");
	if (!*ret_api_version)
		*ret_api_version = "";
	if (!*ret_kind)
		*ret_kind = "";
	return 0;
}

int protobuf_read_object(struct arena *arena, const struct schema_type *type, const char *data, size_t length,
                         struct json **ret_object, struct err *err)
{
	struct protobuf_reader reader = {.arena = arena, .err = err, .depth = 1, .field = ""};
	struct json *object = json_object(arena);
	struct protobuf_small unknown;
	int r = read_envelope(&reader, data, length, &unknown);

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
