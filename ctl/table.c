// SPDX-License-Identifier: Apache-2.0
// Cells are written with tabs and aligned by the tab writer, which remembers its
// widths, so that a watch's later rows stand under the first ones.

#include "ctl/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"

enum {
	TABLE_MAX_BYTES = 1 << 30,
};

void table_printer_init(struct table_printer *printer, struct arena *arena, const struct table_options *options)
{
	*printer = (struct table_printer){.options = *options, .writer = TAB_WRITER_TABLE, .arena = arena};
}

void table_printer_done(struct table_printer *printer)
{
	tab_writer_done(&printer->writer);
}

bool table_is_table(const struct json *object)
{
	const char *kind = json_get_text(object, "kind");
	const char *version = json_get_text(object, "apiVersion");
	return kind && version && strcmp(kind, "Table") == 0 && strncmp(version, "meta.k8s.io/", 12) == 0;
}

// --- labels ------------------------------------------------------------------------------

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

const char *labels_text(struct arena *arena, const struct json *labels)
{
	if (!json_is(labels, JSON_OBJECT) || labels->length == 0)
		return "<none>";
	const char **pairs = ARENA_ARRAY(arena, const char *, labels->length);
	size_t count = 0;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TABLE_MAX_BYTES);
	json_for_each_member (member, labels) {
		const char *value = json_text(member->value);
		pairs[count++] = arena_printf(arena, "%s=%s", member->key, value ? value : "");
	}
	qsort(pairs, count, sizeof(*pairs), compare_texts);
	for (size_t i = 0; i < count; i++)
		strbuf_printf(&text, "%s%s", i ? "," : "", pairs[i]);
	return arena_strndup(arena, strbuf_text(&text), text.length);
}

// --- headings ------------------------------------------------------------------------------

static bool is_shown(const struct table_printer *printer, const struct json *column)
{
	int64_t priority = 0;
	json_get_integer(column, "priority", &priority);
	return printer->options.wide || priority == 0;
}

static void write_upper(struct strbuf *line, const char *text)
{
	for (; *text; text++)
		strbuf_append_char(line, (char)toupper((unsigned char)*text));
}

static void start_cell(struct strbuf *line, bool *first)
{
	if (!*first)
		strbuf_append_char(line, '\t');
	*first = false;
}

static void write_headers(struct table_printer *printer, bool with_event, struct strbuf *lines)
{
	bool first = true;
	if (with_event) {
		start_cell(lines, &first);
		strbuf_append_text(lines, "EVENT");
	}
	if (printer->options.with_namespace) {
		start_cell(lines, &first);
		strbuf_append_text(lines, "NAMESPACE");
	}
	json_for_each_item (column, printer->columns) {
		if (!is_shown(printer, column))
			continue;
		start_cell(lines, &first);
		write_upper(lines, json_get_text(column, "name") ? json_get_text(column, "name") : "");
	}
	for (const char *const *label = printer->options.label_columns; label && *label; label++) {
		const char *slash = strrchr(*label, '/');
		start_cell(lines, &first);
		write_upper(lines, slash ? slash + 1 : *label);
	}
	if (printer->options.show_labels) {
		start_cell(lines, &first);
		strbuf_append_text(lines, "LABELS");
	}
	strbuf_append_char(lines, '\n');
}

// --- rows ----------------------------------------------------------------------------------

// Texts are cut at their first line break; control characters would disturb the terminal.
static void write_text(struct strbuf *line, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n' || *text == '\r' || *text == '\f') {
			strbuf_append_text(line, "...");
			return;
		}
		if (*text == '\033')
			strbuf_append_text(line, "^[");
		else
			strbuf_append_char(line, *text == '\t' ? ' ' : *text);
	}
}

static void write_value(struct strbuf *line, const struct json *value)
{
	if (!value || json_is(value, JSON_NULL))
		strbuf_append_text(line, "<none>");
	else if (json_is(value, JSON_STRING))
		write_text(line, value->text);
	else
		json_write(line, value);
}

static void write_row(struct table_printer *printer, const struct json *row, const char *event, struct strbuf *lines)
{
	bool first = true;
	const struct json *cells = json_get(row, "cells");
	const struct json *metadata = json_path(row, "object", "metadata");
	const struct json *labels = json_get(metadata, "labels");
	if (event) {
		start_cell(lines, &first);
		strbuf_append_text(lines, event);
	}
	if (printer->options.with_namespace) {
		const char *namespace_name = json_get_text(metadata, "namespace");
		start_cell(lines, &first);
		strbuf_append_text(lines, namespace_name ? namespace_name : "");
	}
	for (size_t i = 0; cells && i < cells->length && printer->columns && i < printer->columns->length; i++) {
		if (!is_shown(printer, printer->columns->items[i]))
			continue;
		start_cell(lines, &first);
		if (i == 0 && printer->options.kind_prefix)
			strbuf_append_text(lines, printer->options.kind_prefix);
		write_value(lines, cells->items[i]);
	}
	for (const char *const *label = printer->options.label_columns; label && *label; label++) {
		const char *value = json_get_text(labels, *label);
		start_cell(lines, &first);
		write_text(lines, value ? value : "");
	}
	if (printer->options.show_labels) {
		start_cell(lines, &first);
		strbuf_append_text(lines, labels_text(printer->arena, labels));
	}
	strbuf_append_char(lines, '\n');
}

static bool has_columns(const struct json *table)
{
	const struct json *columns = json_get(table, "columnDefinitions");
	return json_is(columns, JSON_ARRAY) && columns->length > 0;
}

void table_print(struct table_printer *printer, const struct json *table, const char *event, struct strbuf *out)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(TABLE_MAX_BYTES);
	if (has_columns(table))
		printer->columns = json_clone(printer->arena, json_get(table, "columnDefinitions"));
	const struct json *rows = json_get(table, "rows");
	if (!rows || rows->length == 0)
		return;
	if (!printer->headers_printed && !printer->options.no_headers)
		write_headers(printer, event != NULL, &lines);
	printer->headers_printed = true;
	json_for_each_item (row, rows)
		write_row(printer, row, event, &lines);
	tab_writer_write(&printer->writer, strbuf_text(&lines), out);
}

// --- objects without a table -------------------------------------------------------------------

static void add_column(struct arena *arena, struct json *columns, const char *name)
{
	struct json *column = json_object(arena);
	json_set_text(arena, column, "name", name);
	json_set_text(arena, column, "type", "string");
	json_append(arena, columns, column);
}

static const char *age_text(struct arena *arena, const struct json *object, int64_t now_realtime_ns)
{
	int64_t created_ns;
	char age[HUMAN_DURATION_BYTES];
	if (!api_time_parse(json_get_text(object_metadata(object), "creationTimestamp"), &created_ns))
		return "<unknown>";
	human_duration(now_realtime_ns - created_ns, age);
	return arena_strdup(arena, age);
}

static void add_row(struct arena *arena, struct json *rows, struct json *object, int64_t now_realtime_ns)
{
	struct json *row = json_object(arena), *cells = json_ensure_array(arena, row, "cells");
	const char *name = object_name(object);
	json_append(arena, cells, json_string(arena, name ? name : ""));
	json_append(arena, cells, json_string(arena, age_text(arena, object, now_realtime_ns)));
	json_set(arena, row, "object", object);
	json_append(arena, rows, row);
}

struct json *table_from_objects(struct arena *arena, const struct json *object, int64_t now_realtime_ns)
{
	struct json *table = json_object(arena), *columns = json_ensure_array(arena, table, "columnDefinitions");
	struct json *rows = json_ensure_array(arena, table, "rows"), *items = json_get(object, "items");
	add_column(arena, columns, "Name");
	add_column(arena, columns, "Age");
	if (!json_is(items, JSON_ARRAY)) {
		add_row(arena, rows, json_clone(arena, object), now_realtime_ns);
		return table;
	}
	json_for_each_item (item, items)
		add_row(arena, rows, item, now_realtime_ns);
	return table;
}
