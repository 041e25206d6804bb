// SPDX-License-Identifier: Apache-2.0
//
// Scalars: plain ones mean what yaml_resolve.c says, quoted ones are strings, and
// an explicit tag must agree with the text. What JSON can't hold is an error.
#include <math.h>
#include <string.h>

#include "common/api/yaml_reader.h"
#include "common/api/yaml_resolve.h"
#include "common/base/encode.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

static struct json *number_node(struct arena *arena, const char *text)
{
	struct json *node = json_string(arena, text);
	node->type = JSON_NUMBER;
	return node;
}

// A float as JSON has it: whole numbers lose their point.
static int make_float(struct yaml_reader *reader, const yaml_event_t *event, double number, struct json **ret_value)
{
	if (isnan(number) || isinf(number))
		return yaml_node_error(reader, event, "json: unsupported value: not a finite number");
	if (number == floor(number) && fabs(number) < 9e15) {
		*ret_value = json_integer(reader->arena, (int64_t)number);
		return 0;
	}
	char text[YAML_NUMBER_BYTES];
	yaml_number_text(number, text);
	*ret_value = number_node(reader->arena, text);
	return 0;
}

static int make_resolved(struct yaml_reader *reader, const yaml_event_t *event, const struct yaml_resolved *resolved,
                         struct json **ret_value)
{
	switch (resolved->kind) {
	case YAML_NULL:
		*ret_value = json_null(reader->arena);
		return 0;
	case YAML_TRUE:
	case YAML_FALSE:
		*ret_value = json_bool(reader->arena, resolved->kind == YAML_TRUE);
		return 0;
	case YAML_INTEGER:
		*ret_value = json_integer(reader->arena, resolved->integer);
		return 0;
	case YAML_UNSIGNED:
		*ret_value = number_node(reader->arena, arena_printf(reader->arena, "%llu",
		                                                     (unsigned long long)resolved->unsigned_integer));
		return 0;
	case YAML_FLOAT:
		return make_float(reader, event, resolved->number, ret_value);
	default:
		*ret_value =
		        json_string_n(reader->arena, (const char *)event->data.scalar.value, event->data.scalar.length);
		return 0;
	}
}

static const char *short_name(enum yaml_scalar kind)
{
	static const char *const names[] = {
	        [YAML_TEXT] = "str",    [YAML_NULL] = "null",    [YAML_TRUE] = "bool",   [YAML_FALSE] = "bool",
	        [YAML_INTEGER] = "int", [YAML_UNSIGNED] = "int", [YAML_FLOAT] = "float", [YAML_TIMESTAMP] = "timestamp",
	};
	return names[kind];
}

static int read_binary(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value)
{
	uint8_t *data;
	size_t length;
	if (!base64_decode(reader->arena, (const char *)event->data.scalar.value, event->data.scalar.length, &data,
	                   &length))
		return yaml_node_error(reader, event, "!!binary value contains invalid base64 data");
	struct json *value = json_string_n(reader->arena, (const char *)data, length);
	// JSON texts are UTF-8: let the strict reader judge.
	struct strbuf text = STRBUF_INIT(SIZE_MAX / 2);
	struct err ignored = ERR_INIT;
	json_write_string(&text, value->text, value->length);
	int code = json_parse(reader->arena, text.data, text.length, NULL, ret_value, &ignored);
	strbuf_done(&text);
	return code ? yaml_node_error(reader, event, "!!binary value is not valid UTF-8") : 0;
}

// A scalar with an explicit tag: it must resolve to that type.
static int read_tagged(struct yaml_reader *reader, const yaml_event_t *event, const char *tag, struct json **ret_value)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	bool standard = strncmp(tag, TAG_PREFIX, strlen(TAG_PREFIX)) == 0;
	const char *name = standard ? tag + strlen(TAG_PREFIX) : "";
	if (strcmp(name, "binary") == 0)
		return read_binary(reader, event, ret_value);
	struct yaml_resolved resolved = yaml_resolve(text, length);
	static const char *const resolvable[] = {"bool", "int", "float", "null", "timestamp"};
	bool known = false;
	for (size_t i = 0; i < ARRAY_SIZE(resolvable); i++)
		known = known || strcmp(name, resolvable[i]) == 0;
	if (!known) { // !!str, and tags of others
		resolved.kind = YAML_TEXT;
	} else if (strcmp(name, "float") == 0 && resolved.kind == YAML_INTEGER) {
		return make_float(reader, event, (double)resolved.integer, ret_value);
	} else if (strcmp(name, short_name(resolved.kind)) != 0) {
		return err_set(reader->err, ERR_PARSE, YAML_ERROR_PREFIX "cannot decode !!%s `%.*s` as a !!%s",
		               short_name(resolved.kind), (int)(length > 60 ? 60 : length), text, name);
	}
	return make_resolved(reader, event, &resolved, ret_value);
}

int yaml_read_scalar(struct yaml_reader *reader, const yaml_event_t *event, struct json **ret_value)
{
	const char *tag = (const char *)event->data.scalar.tag;
	struct yaml_resolved resolved = {.kind = YAML_TEXT};
	if (tag && strcmp(tag, "!") != 0)
		return read_tagged(reader, event, tag, ret_value);
	if (event->data.scalar.plain_implicit)
		resolved = yaml_resolve((const char *)event->data.scalar.value, event->data.scalar.length);
	return make_resolved(reader, event, &resolved, ret_value);
}
