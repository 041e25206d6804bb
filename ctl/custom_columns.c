// SPDX-License-Identifier: Apache-2.0
#include "ctl/custom_columns.h"

#include <string.h>

#include "common/api/json_path.h"
#include "common/base/file.h"
#include "ctl/tab_writer.h"

enum {
	MAX_COLUMNS = 256,
	TABLE_MAX_BYTES = 1 << 30,
	TEMPLATE_MAX_BYTES = 1 << 20,
};

struct custom_columns {
	const char *headers[MAX_COLUMNS];
	struct jsonpath *paths[MAX_COLUMNS];
	size_t count;
};

int custom_columns_parse(struct arena *arena, const char *text, struct custom_columns **ret_columns, struct err *err)
{
	struct custom_columns *columns = ARENA_NEW(arena, struct custom_columns);
	char *rest = arena_strdup(arena, text);
	if (!text[0])
		return err_set(err, ERR_INVALID, "custom-columns format specified but no custom columns given");
	for (char *part; (part = strsep(&rest, ","));) {
		char *colon = strchr(part, ':');
		if (!colon)
			return err_set(err, ERR_INVALID,
			               "unexpected custom-columns spec: %s, expected <header>:<json-path-expr>", part);
		if (columns->count == MAX_COLUMNS)
			return err_set(err, ERR_INVALID, "more than %d custom columns", MAX_COLUMNS);
		*colon = '\0';
		columns->headers[columns->count] = part;
		if (jsonpath_parse_relaxed(arena, colon + 1, &columns->paths[columns->count], err) < 0)
			return -err->code;
		columns->count++;
	}
	*ret_columns = columns;
	return 0;
}

// The next word of a line, NULL at its end.
static char *next_word(char **line)
{
	*line += strspn(*line, " \t\r");
	return **line ? strsep(line, " \t\r") : NULL;
}

int custom_columns_parse_file(struct arena *arena, const char *path, struct custom_columns **ret_columns,
                              struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEMPLATE_MAX_BYTES);
	if (file_read(path, &text, err) < 0)
		return err_wrap(err, "error reading template %s", path);
	char *paths = arena_strdup(arena, strbuf_text(&text));
	char *headers = strsep(&paths, "\n");
	struct custom_columns *columns = ARENA_NEW(arena, struct custom_columns);
	char *second = paths ? strsep(&paths, "\n") : NULL;
	while (second && headers && columns->count < MAX_COLUMNS) {
		char *header = next_word(&headers);
		char *spec = header ? next_word(&second) : NULL;
		if (!spec)
			break;
		columns->headers[columns->count] = header;
		if (jsonpath_parse_relaxed(arena, spec, &columns->paths[columns->count++], err) < 0)
			return -err->code;
		if (!headers || !second)
			break;
	}
	if (!columns->count)
		return err_set(err, ERR_INVALID, "custom-columns file %s holds no line of headers and line of paths",
		               path);
	*ret_columns = columns;
	return 0;
}

static void write_cell(struct arena *arena, struct jsonpath *path, const struct json *object, struct strbuf *lines)
{
	size_t count = 0;
	const struct json **values = jsonpath_find(arena, path, object, &count);
	if (!count)
		strbuf_append_text(lines, "<none>");
	for (size_t i = 0; i < count; i++) {
		if (i)
			strbuf_append_char(lines, ',');
		if (json_is(values[i], JSON_NULL))
			strbuf_append_text(lines, "<nil>");
		else
			jsonpath_write_value(lines, values[i]);
	}
}

static void write_row(struct arena *arena, const struct custom_columns *columns, const struct json *object,
                      struct strbuf *lines)
{
	for (size_t i = 0; i < columns->count; i++) {
		if (i)
			strbuf_append_char(lines, '\t');
		write_cell(arena, columns->paths[i], object, lines);
	}
	strbuf_append_char(lines, '\n');
}

void custom_columns_write(struct arena *arena, const struct custom_columns *columns, const struct json *object,
                          bool headers, struct strbuf *out)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(TABLE_MAX_BYTES);
	const struct json *items = json_get(object, "items");
	for (size_t i = 0; headers && i < columns->count; i++)
		strbuf_printf(&lines, "%s%s", i ? "\t" : "", columns->headers[i]);
	if (headers)
		strbuf_append_char(&lines, '\n');
	if (!json_is(items, JSON_ARRAY))
		write_row(arena, columns, object, &lines);
	json_for_each_item (item, items)
		write_row(arena, columns, item, &lines);
	struct tab_writer writer = TAB_WRITER_TABLE;
	tab_writer_write(&writer, strbuf_text(&lines), out);
	tab_writer_done(&writer);
}
