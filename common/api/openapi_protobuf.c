// SPDX-License-Identifier: Apache-2.0
//
// The version 2 document in protobuf, as gnostic's openapiv2 messages: the same
// tree, encoded by tables that give each member its field number and form. What
// begins with "x-" is a vendor extension: a name and a YAML text (JSON is one).
#include <string.h>

#include "common/api/openapi.h"
#include "common/api/openapi_internal.h"

enum form {
	FORM_STRING,
	FORM_BOOL,
	FORM_STRINGS,
	FORM_MESSAGE,
	FORM_MESSAGES, // a list of them
	FORM_NAMED,    // an object as a list of {name = 1, value = 2}
	FORM_ANY,      // {yaml = 2}
	FORM_ANYS,
	FORM_TYPE,       // {value = 1}
	FORM_ADDITIONAL, // {schema = 1}, or {boolean = 2}
	FORM_PARAMETERS, // wrapped by where they stand, or references
	FORM_SHARED,     // the parameters that are referred to, by name
};

enum { MOST_WRAPPERS = 2 };

struct message;

struct field {
	const char *key; // "" stands for the object's own members
	unsigned number;
	enum form form;
	const struct message *message;
	unsigned wrappers[MOST_WRAPPERS]; // messages of one field around each value; 0 = none
};

struct message {
	const struct field *fields;
	size_t field_count;
	unsigned extension_number; // of vendor extensions, 0 = none
};

#define MESSAGE(fields, extension_number)                    \
	{                                                    \
		fields, ARRAY_SIZE(fields), extension_number \
	}

// --- the messages --------------------------------------------------------------------

static const struct message schema_message;

static const struct field properties_fields[] = {{"", 1, FORM_NAMED, &schema_message, {0}}};
static const struct message properties_message = MESSAGE(properties_fields, 0);

static const struct field schema_fields[] = {
        {"$ref", 1, FORM_STRING, NULL, {0}},
        {"format", 2, FORM_STRING, NULL, {0}},
        {"description", 4, FORM_STRING, NULL, {0}},
        {"default", 5, FORM_ANY, NULL, {0}},
        {"uniqueItems", 16, FORM_BOOL, NULL, {0}},
        {"required", 19, FORM_STRINGS, NULL, {0}},
        {"enum", 20, FORM_ANYS, NULL, {0}},
        {"additionalProperties", 21, FORM_ADDITIONAL, &schema_message, {0}},
        {"type", 22, FORM_TYPE, NULL, {0}},
        {"items", 23, FORM_MESSAGE, &schema_message, {1}},
        {"allOf", 24, FORM_MESSAGES, &schema_message, {0}},
        {"properties", 25, FORM_MESSAGE, &properties_message, {0}},
};
static const struct message schema_message = MESSAGE(schema_fields, 31);

static const struct field body_parameter_fields[] = {
        {"description", 1, FORM_STRING, NULL, {0}},
        {"name", 2, FORM_STRING, NULL, {0}},
        {"in", 3, FORM_STRING, NULL, {0}},
        {"required", 4, FORM_BOOL, NULL, {0}},
        {"schema", 5, FORM_MESSAGE, &schema_message, {0}},
};
static const struct message body_parameter_message = MESSAGE(body_parameter_fields, 6);

static const struct field query_parameter_fields[] = {
        {"required", 1, FORM_BOOL, NULL, {0}},      {"in", 2, FORM_STRING, NULL, {0}},
        {"description", 3, FORM_STRING, NULL, {0}}, {"name", 4, FORM_STRING, NULL, {0}},
        {"type", 6, FORM_STRING, NULL, {0}},        {"format", 7, FORM_STRING, NULL, {0}},
        {"uniqueItems", 20, FORM_BOOL, NULL, {0}},
};
static const struct message query_parameter_message = MESSAGE(query_parameter_fields, 23);

static const struct field path_parameter_fields[] = {
        {"required", 1, FORM_BOOL, NULL, {0}},      {"in", 2, FORM_STRING, NULL, {0}},
        {"description", 3, FORM_STRING, NULL, {0}}, {"name", 4, FORM_STRING, NULL, {0}},
        {"type", 5, FORM_STRING, NULL, {0}},        {"format", 6, FORM_STRING, NULL, {0}},
        {"uniqueItems", 19, FORM_BOOL, NULL, {0}},
};
static const struct message path_parameter_message = MESSAGE(path_parameter_fields, 22);

static const struct field response_fields[] = {
        {"description", 1, FORM_STRING, NULL, {0}},
        {"schema", 2, FORM_MESSAGE, &schema_message, {1}},
};
static const struct message response_message = MESSAGE(response_fields, 5);

static const struct field responses_fields[] = {{"", 1, FORM_NAMED, &response_message, {1}}};
static const struct message responses_message = MESSAGE(responses_fields, 2);

static const struct field operation_fields[] = {
        {"tags", 1, FORM_STRINGS, NULL, {0}},
        {"description", 3, FORM_STRING, NULL, {0}},
        {"operationId", 5, FORM_STRING, NULL, {0}},
        {"produces", 6, FORM_STRINGS, NULL, {0}},
        {"consumes", 7, FORM_STRINGS, NULL, {0}},
        {"parameters", 8, FORM_PARAMETERS, NULL, {0}},
        {"responses", 9, FORM_MESSAGE, &responses_message, {0}},
        {"schemes", 10, FORM_STRINGS, NULL, {0}},
};
static const struct message operation_message = MESSAGE(operation_fields, 13);

static const struct field path_item_fields[] = {
        {"get", 2, FORM_MESSAGE, &operation_message, {0}},     {"put", 3, FORM_MESSAGE, &operation_message, {0}},
        {"post", 4, FORM_MESSAGE, &operation_message, {0}},    {"delete", 5, FORM_MESSAGE, &operation_message, {0}},
        {"options", 6, FORM_MESSAGE, &operation_message, {0}}, {"head", 7, FORM_MESSAGE, &operation_message, {0}},
        {"patch", 8, FORM_MESSAGE, &operation_message, {0}},   {"parameters", 9, FORM_PARAMETERS, NULL, {0}},
};
static const struct message path_item_message = MESSAGE(path_item_fields, 10);

static const struct field paths_fields[] = {{"", 2, FORM_NAMED, &path_item_message, {0}}};
static const struct message paths_message = MESSAGE(paths_fields, 1);

static const struct field info_fields[] = {
        {"title", 1, FORM_STRING, NULL, {0}},
        {"version", 2, FORM_STRING, NULL, {0}},
        {"description", 3, FORM_STRING, NULL, {0}},
};
static const struct message info_message = MESSAGE(info_fields, 7);

static const struct field definitions_fields[] = {{"", 1, FORM_NAMED, &schema_message, {0}}};
static const struct message definitions_message = MESSAGE(definitions_fields, 0);

static const struct field api_key_fields[] = {
        {"type", 1, FORM_STRING, NULL, {0}},
        {"name", 2, FORM_STRING, NULL, {0}},
        {"in", 3, FORM_STRING, NULL, {0}},
        {"description", 4, FORM_STRING, NULL, {0}},
};
static const struct message api_key_message = MESSAGE(api_key_fields, 5);

static const struct field security_fields[] = {{"", 1, FORM_NAMED, &api_key_message, {2}}};
static const struct message security_message = MESSAGE(security_fields, 0);

// {"BearerToken": []}: a name and a list of texts, empty here.
static const struct message texts_message = {NULL, 0, 0};
static const struct field requirement_fields[] = {{"", 1, FORM_NAMED, &texts_message, {0}}};
static const struct message requirement_message = MESSAGE(requirement_fields, 0);

static const struct field document_fields[] = {
        {"swagger", 1, FORM_STRING, NULL, {0}},
        {"info", 2, FORM_MESSAGE, &info_message, {0}},
        {"paths", 8, FORM_MESSAGE, &paths_message, {0}},
        {"definitions", 9, FORM_MESSAGE, &definitions_message, {0}},
        {"parameters", 10, FORM_SHARED, NULL, {0}},
        {"security", 12, FORM_MESSAGES, &requirement_message, {0}},
        {"securityDefinitions", 13, FORM_MESSAGE, &security_message, {0}},
};
static const struct message document_message = MESSAGE(document_fields, 16);

// --- encoding --------------------------------------------------------------------------

static void put_varint(struct strbuf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		strbuf_append_char(out, (char)(value | 0x80));
	strbuf_append_char(out, (char)value);
}

static void put_bytes(struct strbuf *out, unsigned number, const char *data, size_t length)
{
	put_varint(out, (uint64_t)number << 3 | 2);
	put_varint(out, length);
	strbuf_append(out, data, length);
}

static void put_text(struct strbuf *out, unsigned number, const struct json *value)
{
	if (json_is(value, JSON_STRING))
		put_bytes(out, number, value->text, value->length);
}

// A nested message is written behind its tag; its length is put in when it is known.
static size_t begin_message(struct strbuf *out, unsigned number)
{
	put_varint(out, (uint64_t)number << 3 | 2);
	return out->length;
}

static void end_message(struct strbuf *out, size_t start)
{
	size_t length = out->length - start;
	size_t bytes = 1;
	for (size_t rest = length; rest >= 0x80; rest >>= 7)
		bytes++;
	char *place = strbuf_reserve(out, bytes);
	if (!place)
		return;
	memmove(out->data + start + bytes, out->data + start, length);
	for (size_t i = 0, rest = length; i < bytes; i++, rest >>= 7)
		out->data[start + i] = (char)((rest & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
	strbuf_commit(out, bytes);
}

static void put_message(struct strbuf *out, const struct message *message, const struct json *value);

// Writes the value inside its wrappers, into an open field.
static void put_wrapped(struct strbuf *out, const struct field *field, const struct json *value)
{
	size_t starts[MOST_WRAPPERS];
	size_t depth = 0;
	for (; depth < MOST_WRAPPERS && field->wrappers[depth]; depth++)
		starts[depth] = begin_message(out, field->wrappers[depth]);
	put_message(out, field->message, value);
	while (depth > 0)
		end_message(out, starts[--depth]);
}

static void put_any(struct strbuf *out, unsigned number, const struct json *value)
{
	size_t start = begin_message(out, number);
	size_t text = begin_message(out, 2);
	json_write(out, value);
	end_message(out, text);
	end_message(out, start);
}

static void put_extension(struct strbuf *out, unsigned number, const struct json_member *member)
{
	size_t start = begin_message(out, number);
	put_bytes(out, 1, member->key, member->key_length);
	put_any(out, 2, member->value);
	end_message(out, start);
}

static bool is_extension(const struct json_member *member)
{
	return member->key_length > 2 && memcmp(member->key, "x-", 2) == 0;
}

static void put_named(struct strbuf *out, const struct field *field, const struct json *value)
{
	json_for_each_member (member, value) {
		size_t start = begin_message(out, field->number);
		put_bytes(out, 1, member->key, member->key_length);
		size_t inner = begin_message(out, 2);
		put_wrapped(out, field, member->value);
		end_message(out, inner);
		end_message(out, start);
	}
}

static void put_additional(struct strbuf *out, const struct field *field, const struct json *value)
{
	size_t start = begin_message(out, field->number);
	if (json_is(value, JSON_BOOL)) {
		put_varint(out, 2 << 3);
		put_varint(out, value->boolean);
	} else {
		size_t inner = begin_message(out, 1);
		put_message(out, field->message, value);
		end_message(out, inner);
	}
	end_message(out, start);
}

// Parameter { body = 1 | other = 2: { query = 3 | path = 4 } }
static void put_parameter(struct strbuf *out, unsigned number, const struct json *value)
{
	const char *where = json_get_text(value, "in");
	bool is_body = where && strcmp(where, "body") == 0;
	bool is_path = where && strcmp(where, "path") == 0;
	size_t parameter = begin_message(out, number);
	size_t choice = begin_message(out, is_body ? 1 : 2);
	if (is_body) {
		put_message(out, &body_parameter_message, value);
	} else {
		size_t inner = begin_message(out, is_path ? 4 : 3);
		put_message(out, is_path ? &path_parameter_message : &query_parameter_message, value);
		end_message(out, inner);
	}
	end_message(out, choice);
	end_message(out, parameter);
}

// ParametersItem { parameter = 1 | reference = 2: { ref = 1 } }
static void put_parameter_item(struct strbuf *out, unsigned number, const struct json *value)
{
	const struct json *reference = json_get(value, "$ref");
	size_t item = begin_message(out, number);
	if (reference) {
		size_t inner = begin_message(out, 2);
		put_text(out, 1, reference);
		end_message(out, inner);
	} else {
		put_parameter(out, 1, value);
	}
	end_message(out, item);
}

// ParameterDefinitions { repeated = 1: { name = 1, value = 2: Parameter } }
static void put_shared_parameters(struct strbuf *out, unsigned number, const struct json *value)
{
	size_t all = begin_message(out, number);
	json_for_each_member (member, value) {
		size_t named = begin_message(out, 1);
		put_bytes(out, 1, member->key, member->key_length);
		put_parameter(out, 2, member->value);
		end_message(out, named);
	}
	end_message(out, all);
}

static void put_field(struct strbuf *out, const struct field *field, const struct json *value)
{
	size_t start;
	switch (field->form) {
	case FORM_STRING:
		put_text(out, field->number, value);
		break;
	case FORM_BOOL:
		put_varint(out, (uint64_t)field->number << 3);
		put_varint(out, json_is(value, JSON_BOOL) && value->boolean);
		break;
	case FORM_STRINGS:
		json_for_each_item (item, value)
			put_text(out, field->number, item);
		break;
	case FORM_MESSAGE:
		start = begin_message(out, field->number);
		put_wrapped(out, field, value);
		end_message(out, start);
		break;
	case FORM_MESSAGES:
		json_for_each_item (item, value) {
			start = begin_message(out, field->number);
			put_message(out, field->message, item);
			end_message(out, start);
		}
		break;
	case FORM_NAMED:
		put_named(out, field, value);
		break;
	case FORM_ANY:
		put_any(out, field->number, value);
		break;
	case FORM_ANYS:
		json_for_each_item (item, value)
			put_any(out, field->number, item);
		break;
	case FORM_TYPE:
		start = begin_message(out, field->number);
		put_text(out, 1, value);
		end_message(out, start);
		break;
	case FORM_ADDITIONAL:
		put_additional(out, field, value);
		break;
	case FORM_PARAMETERS:
		json_for_each_item (item, value)
			put_parameter_item(out, field->number, item);
		break;
	case FORM_SHARED:
		put_shared_parameters(out, field->number, value);
		break;
	}
}

static void put_message(struct strbuf *out, const struct message *message, const struct json *value)
{
	for (size_t i = 0; i < message->field_count; i++) {
		const struct field *field = &message->fields[i];
		const struct json *member = *field->key ? json_get(value, field->key) : value;
		if (member)
			put_field(out, field, member);
	}
	json_for_each_member (member, value)
		if (message->extension_number && is_extension(member))
			put_extension(out, message->extension_number, member);
}

void openapi_write_v2_protobuf(struct strbuf *out, const struct schema_resource *const *resources, size_t count)
{
	AUTO(arena_free) struct arena *arena = arena_new(1 << 20);
	struct openapi_builder builder = {.arena = arena};
	openapi_select_resources(&builder, resources, count);
	put_message(out, &document_message, openapi_build_v2(&builder));
}
