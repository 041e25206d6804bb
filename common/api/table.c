// SPDX-License-Identifier: Apache-2.0
//
// Server-side Tables. Which columns a kind has stands in the schema; how its
// cells are made stands in the tables of table_core.c, table_workloads.c and
// table_others.c, as rules over paths in the object's tree. A kind without a row
// there has upstream's default cells, its name and its creation time.
//
// What is printed is upstream's internal printers', to the letter: people and
// scripts read these texts.
#include "common/api/table.h"

#include <stdio.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/selector.h"
#include "common/api/table_internal.h"

// --- reading -------------------------------------------------------------------------

const struct json *table_at(const struct json *object, const char *path)
{
	while (object && *path) {
		size_t length = strcspn(path, ".");
		object = json_get_n(object, path, length);
		path += length + (path[length] == '.');
	}
	return json_is_null(object) ? NULL : object;
}

const char *table_text(const struct json *object, const char *path, const char *otherwise)
{
	const char *text = json_text(table_at(object, path));
	return text && *text ? text : otherwise;
}

int64_t table_number(const struct json *object, const char *path)
{
	const struct json *value = table_at(object, path);
	return json_is(value, JSON_INTEGER) ? value->integer : 0;
}

bool table_bool(const struct json *object, const char *path)
{
	const struct json *value = table_at(object, path);
	return json_is(value, JSON_BOOL) && value->boolean;
}

size_t table_count(const struct json *object, const char *path)
{
	const struct json *value = table_at(object, path);
	return json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT) ? value->length : 0;
}

const struct json *table_condition(const struct json *conditions, const char *type)
{
	json_for_each_item (condition, conditions)
		if (strcmp(table_text(condition, "type", ""), type) == 0)
			return condition;
	return NULL;
}

bool table_condition_is_true(const struct json *conditions, const char *type)
{
	return strcmp(table_text(table_condition(conditions, type), "status", ""), "True") == 0;
}

const char *table_scalar(struct arena *arena, const struct json *value)
{
	if (json_is(value, JSON_INTEGER))
		return arena_printf(arena, "%lld", (long long)value->integer);
	return json_is(value, JSON_NUMBER) ? value->text : json_text(value);
}

// --- texts ---------------------------------------------------------------------------

static const char *copy_buffer(struct arena *arena, const struct strbuf *buffer)
{
	return arena_strdup(arena, strbuf_text(buffer));
}

#define TEXT_BUFFER STRBUF_INIT(1 << 20)

const char *table_age(const struct table_row *row, const struct json *time)
{
	int64_t then_ns;
	char text[HUMAN_DURATION_BYTES];
	if (!api_time_parse(json_text(time), &then_ns) || then_ns == INT64_MIN)
		return "<unknown>";
	int64_t age_ns;
	if (__builtin_sub_overflow(row->now_ns, then_ns, &age_ns))
		age_ns = then_ns < 0 ? INT64_MAX : INT64_MIN;
	human_duration(age_ns, text);
	return arena_strdup(row->arena, text);
}

static int compare_members(const void *left, const void *right)
{
	return strcmp((*(const struct json_member *const *)left)->key,
	              (*(const struct json_member *const *)right)->key);
}

const char *table_labels(struct arena *arena, const struct json *labels)
{
	if (!json_is(labels, JSON_OBJECT) || !labels->length)
		return "<none>";
	const struct json_member **sorted = ARENA_ARRAY(arena, const struct json_member *, labels->length);
	for (uint32_t i = 0; i < labels->length; i++)
		sorted[i] = &labels->members[i];
	qsort(sorted, labels->length, sizeof(*sorted), compare_members);
	AUTO_STRBUF struct strbuf out = TEXT_BUFFER;
	for (uint32_t i = 0; i < labels->length; i++) {
		const char *value = json_text(sorted[i]->value);
		strbuf_printf(&out, "%s%s=%s", i ? "," : "", sorted[i]->key, value ? value : "");
	}
	return copy_buffer(arena, &out);
}

static const char *selector_text(struct arena *arena, const struct json *value)
{
	struct label_selector *selector;
	if (label_selector_from_json(arena, value, &selector, NULL))
		return "<error>";
	AUTO_STRBUF struct strbuf out = TEXT_BUFFER;
	label_selector_write(selector, &out);
	return out.length ? copy_buffer(arena, &out) : "<none>";
}

const char *table_lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	for (char *cursor = copy; *cursor; cursor++)
		if (*cursor >= 'A' && *cursor <= 'Z')
			*cursor += 'a' - 'A';
	return copy;
}

const char *table_join(struct arena *arena, const struct json *list, const char *path, const char *separator)
{
	AUTO_STRBUF struct strbuf out = TEXT_BUFFER;
	bool first = true;
	json_for_each_item (item, list) {
		const char *text = path ? table_text(item, path, "") : json_text(item);
		strbuf_printf(&out, "%s%s", first ? "" : separator, text ? text : "");
		first = false;
	}
	return copy_buffer(arena, &out);
}

static int compare_texts(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

const char *table_join_sorted(struct arena *arena, const char **texts, size_t count)
{
	if (count)
		qsort(texts, count, sizeof(*texts), compare_texts);
	AUTO_STRBUF struct strbuf out = TEXT_BUFFER;
	for (size_t i = 0; i < count; i++)
		if (!i || strcmp(texts[i], texts[i - 1]) != 0)
			strbuf_printf(&out, "%s%s", i ? "," : "", texts[i]);
	return copy_buffer(arena, &out);
}

const char *table_access_modes(struct arena *arena, const struct json *modes)
{
	static const struct {
		const char *mode, *text;
	} rows[] = {
	        {"ReadWriteOnce", "RWO"},
	        {"ReadOnlyMany", "ROX"},
	        {"ReadWriteMany", "RWX"},
	        {"ReadWriteOncePod", "RWOP"},
	};
	AUTO_STRBUF struct strbuf out = TEXT_BUFFER;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool found = false;
		json_for_each_item (mode, modes)
			found = found || (json_text(mode) && strcmp(json_text(mode), rows[i].mode) == 0);
		if (found)
			strbuf_printf(&out, "%s%s", out.length ? "," : "", rows[i].text);
	}
	return copy_buffer(arena, &out);
}

// --- cells ------------------------------------------------------------------------------

void table_add_text(struct table_row *row, const char *text)
{
	json_append(row->arena, row->cells, json_string(row->arena, text));
}

void table_add_number(struct table_row *row, int64_t number)
{
	json_append(row->arena, row->cells, json_integer(row->arena, number));
}

void table_add_bool(struct table_row *row, bool value)
{
	json_append(row->arena, row->cells, json_bool(row->arena, value));
}

static void add_time(struct table_row *row, const char *path)
{
	int64_t time_ns;
	char text[API_TIME_BYTES] = "0001-01-01T00:00:00Z";
	if (api_time_parse(table_text(row->object, path, NULL), &time_ns) && time_ns != INT64_MIN)
		api_time_format(time_ns, text);
	table_add_text(row, text);
}

static void add_age(struct table_row *row, const struct cell *cell, const struct json *value)
{
	table_add_text(row, !value && cell->otherwise ? cell->otherwise : table_age(row, value));
}

static void add_bool(struct table_row *row, const struct cell *cell, const struct json *value)
{
	bool fallback = cell->otherwise && strcmp(cell->otherwise, "true") == 0;
	table_add_bool(row, json_is(value, JSON_BOOL) ? value->boolean : fallback);
}

static void add_joined(struct table_row *row, const struct cell *cell, const struct json *value)
{
	const char *text = table_join(row->arena, value, NULL, ",");
	table_add_text(row, *text || !cell->otherwise ? text : cell->otherwise);
}

static void add_cell(struct table_row *row, const struct cell *cell)
{
	const struct json *value = cell->path ? table_at(row->object, cell->path) : NULL;
	const char *scalar;
	switch (cell->rule) {
	case CELL_TEXT:
		table_add_text(row, table_text(row->object, cell->path, cell->otherwise));
		break;
	case CELL_NUMBER:
		table_add_number(row, table_number(row->object, cell->path));
		break;
	case CELL_NUMBER_OR:
		if (json_is(value, JSON_INTEGER))
			table_add_number(row, value->integer);
		else
			table_add_text(row, cell->otherwise);
		break;
	case CELL_SCALAR:
		scalar = table_scalar(row->arena, value);
		table_add_text(row, scalar ? scalar : cell->otherwise);
		break;
	case CELL_BOOL:
		add_bool(row, cell, value);
		break;
	case CELL_COUNT:
		table_add_number(row, (int64_t)table_count(row->object, cell->path));
		break;
	case CELL_AGE:
		add_age(row, cell, value);
		break;
	case CELL_TIME:
		add_time(row, cell->path);
		break;
	case CELL_LABELS:
		table_add_text(row, table_labels(row->arena, value));
		break;
	case CELL_SELECTOR:
		table_add_text(row, selector_text(row->arena, value));
		break;
	case CELL_NAMES:
		table_add_text(row, table_join(row->arena, value, "name", ","));
		break;
	case CELL_IMAGES:
		table_add_text(row, table_join(row->arena, value, "image", ","));
		break;
	case CELL_JOINED:
		add_joined(row, cell, value);
		break;
	case CELL_FUNCTION:
		cell->function(row);
		break;
	}
}

// --- kinds ---------------------------------------------------------------------------------

static const struct cell default_cells[] = {CELL_NAME, {CELL_TIME, "metadata.creationTimestamp", NULL, NULL}};
static const struct table_kind default_kind = TABLE_KIND("", "", default_cells);

static const struct table_kind *find_in(const struct table_kind *kinds, size_t count, const char *group,
                                        const char *kind)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(kinds[i].kind, kind) == 0 && strcmp(kinds[i].group, group) == 0)
			return &kinds[i];
	return NULL;
}

static const struct table_kind *find_kind(const struct schema_resource *resource)
{
	const struct table_kind *found =
	        find_in(table_core_kinds, table_core_kind_count, resource->group, resource->kind);
	if (!found)
		found = find_in(table_workload_kinds, table_workload_kind_count, resource->group, resource->kind);
	if (!found)
		found = find_in(table_other_kinds, table_other_kind_count, resource->group, resource->kind);
	return found ? found : &default_kind;
}

struct json *table_cells(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                         int64_t now_realtime_ns)
{
	if (resource->type && resource->type->structural)
		return table_custom_cells(arena, resource, object, now_realtime_ns);
	const struct table_kind *kind = find_kind(resource);
	struct table_row row = {
	        .arena = arena,
	        .object = object,
	        .now_ns = now_realtime_ns,
	        .cells = json_array(arena),
	};
	for (size_t i = 0; i < kind->cell_count; i++)
		add_cell(&row, &kind->cells[i]);
	return row.cells;
}

struct json *table_row_conditions(struct arena *arena, const struct schema_resource *resource,
                                  const struct json *object)
{
	if (strcmp(resource->kind, "Pod") != 0 || *resource->group)
		return NULL;
	const char *phase = table_text(object, "status.phase", "");
	bool succeeded = strcmp(phase, "Succeeded") == 0;
	if (!succeeded && strcmp(phase, "Failed") != 0)
		return NULL;
	struct json *condition = json_object(arena);
	json_set_text(arena, condition, "type", "Completed");
	json_set_text(arena, condition, "status", "True");
	json_set_text(arena, condition, "reason", phase);
	json_set_text(arena, condition, "message",
	              succeeded ? "The pod has completed successfully." : "The pod failed.");
	struct json *conditions = json_array(arena);
	json_append(arena, conditions, condition);
	return conditions;
}

struct json *table_column_definitions(struct arena *arena, const struct schema_resource *resource)
{
	static const struct schema_column default_columns[] = {
	        {.name = "Name", .type = "string", .format = "name", .doc = "The name of the object."},
	        {.name = "Created At", .type = "date", .format = "", .doc = "When the object was created."},
	};
	const struct schema_column *columns = resource->column_count ? resource->columns : default_columns;
	size_t count = resource->column_count ? resource->column_count : ARRAY_SIZE(default_columns);
	struct json *definitions = json_array(arena);
	for (size_t i = 0; i < count; i++) {
		struct json *definition = json_object(arena);
		json_set_text(arena, definition, "name", columns[i].name);
		json_set_text(arena, definition, "type", columns[i].type);
		json_set_text(arena, definition, "format", columns[i].format ? columns[i].format : "");
		json_set_text(arena, definition, "description", columns[i].doc ? columns[i].doc : "");
		json_set_integer(arena, definition, "priority", columns[i].priority);
		json_append(arena, definitions, definition);
	}
	return definitions;
}
