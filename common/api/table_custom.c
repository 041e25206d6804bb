// SPDX-License-Identifier: Apache-2.0
// Cells of custom resources: the first column is the name, the others are what a
// JSONPath finds, in the form of the column's type. What isn't there, or is of another
// type, is null.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/json_path.h"
#include "common/api/object.h"
#include "common/api/table_internal.h"

enum {
	CELL_MAX_BYTES = 1 << 20,
};

struct cell_source {
	const struct table_row *row;
	const struct json **values;
	size_t count;
};

static struct json *text_cell(const struct cell_source *source)
{
	struct strbuf text = STRBUF_INIT(CELL_MAX_BYTES);
	struct json *cell;

	for (size_t i = 0; i < source->count; i++) {
		strbuf_append_text(&text, i ? " " : "");
		jsonpath_write_value(&text, source->values[i]);
	}
	cell = json_string_n(source->row->arena, strbuf_text(&text), text.length);
	strbuf_done(&text);
	return cell;
}

static struct json *integer_cell(const struct cell_source *source)
{
	const struct json *value = source->values[0];
	double number = json_is(value, JSON_NUMBER) ? strtod(value->text, NULL) : NAN;

	if (json_is(value, JSON_INTEGER))
		return json_integer(source->row->arena, value->integer);
	return fabs(number) < 9e18 ? json_integer(source->row->arena, (int64_t)number) : NULL;
}

static struct json *number_cell(const struct cell_source *source)
{
	const struct json *value = source->values[0];

	return json_is(value, JSON_INTEGER) || json_is(value, JSON_NUMBER) ? json_clone(source->row->arena, value)
	                                                                   : NULL;
}

static struct json *boolean_cell(const struct cell_source *source)
{
	return json_is(source->values[0], JSON_BOOL) ? json_clone(source->row->arena, source->values[0]) : NULL;
}

static struct json *date_cell(const struct cell_source *source)
{
	int64_t time_ns;
	const char *text = json_text(source->values[0]);

	if (!text)
		return NULL;
	if (!api_time_parse(text, &time_ns))
		return json_string(source->row->arena, "<invalid>");
	return json_string(source->row->arena, table_age(source->row, source->values[0]));
}

static struct json *custom_cell(const struct table_row *row, const struct schema_column *column)
{
	static const struct {
		const char *type;
		struct json *(*make)(const struct cell_source *source);
	} makers[] = {{"string", text_cell},
	              {"integer", integer_cell},
	              {"number", number_cell},
	              {"boolean", boolean_cell},
	              {"date", date_cell}};
	struct cell_source source = {.row = row};
	struct json *cell = NULL;

	if (column->parsed_path)
		source.values = jsonpath_find(row->arena, column->parsed_path, row->object, &source.count);
	for (size_t i = 0; source.count && i < ARRAY_SIZE(makers); i++)
		if (!strcmp(makers[i].type, column->type))
			cell = makers[i].make(&source);
	return cell ? cell : json_null(row->arena);
}

struct json *table_custom_cells(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                                int64_t now_realtime_ns)
{
	struct table_row row = {arena, object, now_realtime_ns, json_array(arena)};

	table_add_text(&row, table_text(object, "metadata.name", ""));
	for (size_t i = 1; i < resource->column_count; i++)
		json_append(arena, row.cells, custom_cell(&row, &resource->columns[i]));
	return row.cells;
}
