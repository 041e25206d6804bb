// SPDX-License-Identifier: Apache-2.0
#include "ctl/explain.h"

#include <string.h>

enum {
	TEXT_INDENT = 4,
	TEXT_WIDTH = 76, // of lines without their indent, as kubectl's
	MAX_DEPTH = 32,
	BRIEF_VALUES = 4,
};

// --- types -------------------------------------------------------------------------------

static const char *const scalar_names[SCHEMA_KIND_COUNT_] = {
        [SCHEMA_STRING] = "string",     [SCHEMA_INT32] = "integer",
        [SCHEMA_INT64] = "integer",     [SCHEMA_BOOL] = "boolean",
        [SCHEMA_DOUBLE] = "number",     [SCHEMA_BYTES] = "string",
        [SCHEMA_QUANTITY] = "Quantity", [SCHEMA_INT_OR_STRING] = "IntOrString",
        [SCHEMA_TIME] = "string",       [SCHEMA_MICRO_TIME] = "string",
        [SCHEMA_DURATION] = "string",   [SCHEMA_RAW] = "Object",
};

static void write_type(const struct schema_type *type, struct strbuf *out)
{
	for (; type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP; type = type->element)
		strbuf_append_text(out, type->kind == SCHEMA_LIST ? "[]" : "map[string]");
	if (type->kind == SCHEMA_STRUCT || (type->kind == SCHEMA_RAW && type->openapi_name))
		strbuf_append_text(out, type->name ? type->name : "Object");
	else
		strbuf_append_text(out, scalar_names[type->kind]);
}

// The struct that a field's lists and maps hold; NULL for scalars.
static const struct schema_type *inner_struct(const struct schema_type *type)
{
	while (type->kind == SCHEMA_LIST || type->kind == SCHEMA_MAP)
		type = type->element;
	return type->kind == SCHEMA_STRUCT ? type : NULL;
}

static const char *required_mark(const struct schema_field *field)
{
	return field->flags & SCHEMA_REQUIRED ? " -required-" : "";
}

// --- texts -------------------------------------------------------------------------------

// Broken between words.
static void write_text(const char *text, struct strbuf *out)
{
	while (*text) {
		size_t length = 0, next = strcspn(text, " ");
		while (text[length] && (!length || next <= TEXT_WIDTH)) {
			length = next;
			next = length + strspn(text + length, " ");
			next += strcspn(text + next, " ");
		}
		strbuf_printf(out, "%*s%.*s\n", TEXT_INDENT, "", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

// --- fields --------------------------------------------------------------------------------

// A tree of fields shows the first values only.
static void write_enum_line(const struct schema_field *field, int indent, bool brief, struct strbuf *out)
{
	if (!field->enum_values || field->type->kind == SCHEMA_LIST) // values of the items are not the field's
		return;
	strbuf_printf(out, "%*senum: ", indent, "");
	for (size_t i = 0; field->enum_values[i]; i++) {
		if (brief && i == BRIEF_VALUES) {
			strbuf_append_text(out, ", ....");
			break;
		}
		strbuf_printf(out, "%s%s", i ? ", " : "", field->enum_values[i][0] ? field->enum_values[i] : "\"\"");
	}
	strbuf_append_char(out, '\n');
}

static void write_field_line(const struct schema_field *field, int indent, bool brief, struct strbuf *out)
{
	strbuf_printf(out, "%*s%s\t<", indent, "", field->json_name);
	write_type(field->type, out);
	strbuf_printf(out, ">%s\n", required_mark(field));
	write_enum_line(field, indent, brief, out);
}

static bool is_within(const struct schema_type *const *outer, int depth, const struct schema_type *type)
{
	for (int i = 0; i < depth; i++)
		if (outer[i] == type)
			return true;
	return false;
}

static void write_tree(const struct schema_type *type, const struct schema_type **outer, int depth, struct strbuf *out)
{
	if (depth == MAX_DEPTH)
		return;
	outer[depth] = type;
	for (size_t i = 0; i < type->name_count; i++) {
		const struct schema_field *field = &type->fields[type->fields_by_name[i]];
		const struct schema_type *inner = inner_struct(field->type);
		write_field_line(field, 2 + depth * 2, true, out);
		if (inner && !is_within(outer, depth + 1, inner)) // a type that holds itself is opened once
			write_tree(inner, outer, depth + 1, out);
	}
}

static void write_fields(const struct schema_type *type, bool recursive, struct strbuf *out)
{
	const struct schema_type *outer[MAX_DEPTH];
	strbuf_append_text(out, "FIELDS:\n");
	if (recursive) {
		write_tree(type, outer, 0, out);
		return;
	}
	for (size_t i = 0; i < type->name_count; i++) {
		const struct schema_field *field = &type->fields[type->fields_by_name[i]];
		write_field_line(field, 2, false, out);
		write_text(field->doc && field->doc[0] ? field->doc : "<no description>", out);
		strbuf_append_char(out, '\n');
	}
}

static void write_description(const char *doc, struct strbuf *out)
{
	bool known = doc && doc[0];
	strbuf_append_text(out, "DESCRIPTION:\n");
	write_text(known ? doc : "<empty>", out);
	if (known)
		strbuf_printf(out, "%*s\n", TEXT_INDENT, "");
}

// --- the path ------------------------------------------------------------------------------

static void write_head(const struct schema_resource *resource, struct strbuf *out)
{
	if (resource->group[0])
		strbuf_printf(out, "GROUP:      %s\n", resource->group);
	strbuf_printf(out, "KIND:       %s\nVERSION:    %s\n\n", resource->kind, resource->version);
}

static void write_field_head(const struct schema_field *field, struct strbuf *out)
{
	strbuf_printf(out, "FIELD: %s <", field->json_name);
	write_type(field->type, out);
	strbuf_printf(out, ">%s\n", required_mark(field));
	if (field->enum_values) {
		strbuf_append_text(out, "ENUM:\n");
		for (size_t i = 0; field->enum_values[i]; i++)
			strbuf_printf(out, "    %s\n", field->enum_values[i]);
	} else {
		strbuf_append_char(out, '\n');
	}
	strbuf_append_char(out, '\n');
}

// The field at the end of the path; NULL: *err.
static const struct schema_field *find_field(const struct schema_type *type, const char *path, struct err *err)
{
	const struct schema_field *field = NULL;
	while (*path) {
		size_t length = strcspn(path, ".");
		field = type ? schema_find_field(type, path, length, NULL) : NULL;
		if (!field) {
			(void)err_set(err, ERR_NOT_FOUND, "field \"%.*s\" does not exist", (int)length, path);
			return NULL;
		}
		type = inner_struct(field->type);
		path += length + (path[length] == '.');
	}
	return field;
}

int explain_write(const struct schema_resource *resource, const char *path, bool recursive, struct strbuf *out,
                  struct err *err)
{
	const struct schema_type *type = resource->type;
	const char *doc = resource->doc;
	write_head(resource, out);
	if (path[0]) {
		const struct schema_field *field = find_field(type, path, err);
		if (!field)
			return -err->code;
		write_field_head(field, out);
		type = inner_struct(field->type);
		doc = field->doc && field->doc[0] ? field->doc : type ? type->doc : NULL;
	}
	write_description(doc, out);
	if (type)
		write_fields(type, recursive, out);
	strbuf_append_char(out, '\n');
	return 0;
}
