// SPDX-License-Identifier: Apache-2.0
// Places in documents and Go's wording for a value of a wrong type.

#include "common/api/field_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 4096

static void write_segment(struct strbuf *out, const char *name)
{
	if (out->length > 0)
		strbuf_append_char(out, '.');
	strbuf_append_text(out, name);
}

static void write_frames(struct strbuf *out, const struct field_path *path)
{
	if (path == NULL)
		return;
	write_frames(out, path->parent);
	if (path->name != NULL)
		write_segment(out, path->name);
	else
		strbuf_printf(out, "[%zu]", path->index);
}

void field_path_write(struct strbuf *out, const struct field_path *path, const char *leaf)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);
	write_frames(&text, path);
	if (leaf != NULL)
		write_segment(&text, leaf);
	strbuf_append_text(out, strbuf_text(&text));
}

static void write_fields(struct strbuf *out, const struct field_path *path)
{
	if (path == NULL)
		return;
	write_fields(out, path->parent);
	if (path->owner != NULL)
		strbuf_printf(out, ".%s", path->name);
}

void go_type_write(struct strbuf *out, const struct schema_type *type)
{
	if (type->kind == SCHEMA_LIST && type->name[0] == '\0') {
		strbuf_append_text(out, "[]");
		go_type_write(out, type->element);
	} else if (type->kind == SCHEMA_MAP && type->name[0] == '\0') {
		strbuf_append_text(out, "map[string]");
		go_type_write(out, type->element);
	} else if (type->version != NULL) {
		strbuf_printf(out, "%s.%s", type->version[0] != '\0' ? type->version : type->group, type->name);
	} else {
		strbuf_append_text(out, type->name);
	}
}

// What Go calls the value. Of a number that an integer can't hold the digits are shown.
static void describe(struct strbuf *out, const struct schema_type *type, const struct json *value)
{
	static const char *const names[] = {
	        [JSON_NULL] = "null",     [JSON_BOOL] = "bool",   [JSON_INTEGER] = "number", [JSON_NUMBER] = "number",
	        [JSON_STRING] = "string", [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
	};
	strbuf_append_text(out, names[value->type]);
	if (type->kind != SCHEMA_INT32 && type->kind != SCHEMA_INT64)
		return;
	if (value->type == JSON_INTEGER)
		strbuf_printf(out, " %" PRId64, value->integer);
	else if (value->type == JSON_NUMBER)
		strbuf_printf(out, " %s", value->text);
}

int field_path_type_error(const struct field_path *path, const struct schema_type *type, const struct json *value,
                          struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);
	strbuf_append_text(&text, "json: cannot unmarshal ");
	describe(&text, type, value);
	const struct field_path *owner = path;
	while (owner != NULL && owner->owner == NULL)
		owner = owner->parent;
	if (owner != NULL) {
		strbuf_printf(&text, " into Go struct field %s", owner->owner->name);
		write_fields(&text, path);
	} else {
		strbuf_append_text(&text, " into Go value");
	}
	strbuf_append_text(&text, " of type ");
	go_type_write(&text, type);
	return err_set(err, ERR_PARSE, "%s", strbuf_text(&text));
}

int go_value_error(const struct json *value, const char *go_type, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATH_MAX_BYTES);
	describe(&text, &schema_type_string, value);
	return err_set(err, ERR_PARSE, "json: cannot unmarshal %s into Go value of type %s", strbuf_text(&text),
	               go_type);
}
