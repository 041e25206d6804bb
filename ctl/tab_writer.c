// SPDX-License-Identifier: Apache-2.0
// The text is cut into cells once; then column by column each run of lines that
// have a terminated cell there gets its width. Widths are counted in characters,
// not bytes. With remembered widths a column starts from what it was before.

#include "ctl/tab_writer.h"

#include <string.h>

#include "common/base/memory.h"

struct cell {
	const char *text;
	size_t length; // bytes
	size_t width;  // characters; of a terminated cell later the column's width
	bool terminated;
	size_t column_width;
};

struct line {
	struct cell *cells;
	size_t count;
};

struct layout {
	struct cell *cells; // all, in order
	struct line *lines;
	size_t line_count;
	size_t most_cells;
};

static size_t count_characters(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static size_t count_of(const char *text, char wanted)
{
	size_t count = 0;
	for (; *text; text++)
		count += *text == wanted;
	return count;
}

static void cut_line(const char *text, size_t length, struct line *line, struct cell *cells)
{
	const char *end = text + length;
	line->cells = cells;
	while (true) {
		const char *tab = memchr(text, '\t', (size_t)(end - text));
		const char *stop = tab ? tab : end;
		cells[line->count++] = (struct cell){
		        .text = text,
		        .length = (size_t)(stop - text),
		        .width = count_characters(text, (size_t)(stop - text)),
		        .terminated = tab != NULL,
		};
		if (!tab)
			return;
		text = tab + 1;
	}
}

static void cut(const char *text, struct layout *layout)
{
	size_t lines = count_of(text, '\n') + 1;
	layout->cells = xcalloc(lines + count_of(text, '\t'), sizeof(struct cell));
	layout->lines = xcalloc(lines, sizeof(struct line));
	struct cell *next = layout->cells;
	while (*text) {
		size_t length = strcspn(text, "\n");
		struct line *line = &layout->lines[layout->line_count++];
		cut_line(text, length, line, next);
		next += line->count;
		if (line->count > layout->most_cells)
			layout->most_cells = line->count;
		text += length + (text[length] == '\n');
	}
}

static bool has_column(const struct line *line, size_t column)
{
	return column < line->count && line->cells[column].terminated;
}

static size_t remembered_width(const struct tab_writer *writer, size_t column)
{
	return writer->remember_widths && column < writer->width_count ? writer->widths[column] : 0;
}

static void remember(struct tab_writer *writer, size_t column, size_t width)
{
	if (!writer->remember_widths)
		return;
	if (column >= writer->width_count) {
		writer->widths = xreallocarray(writer->widths, column + 1, sizeof(*writer->widths));
		memset(writer->widths + writer->width_count, 0, (column + 1 - writer->width_count) * sizeof(size_t));
		writer->width_count = column + 1;
	}
	if (width > writer->widths[column])
		writer->widths[column] = width;
}

// The run of lines from `start` that have the column; returns where it ends.
static size_t size_run(struct tab_writer *writer, struct layout *layout, size_t column, size_t start)
{
	size_t width = writer->minimum_width, end = start;
	if (remembered_width(writer, column) > width)
		width = remembered_width(writer, column);
	for (; end < layout->line_count && has_column(&layout->lines[end], column); end++) {
		size_t needed = layout->lines[end].cells[column].width + writer->padding;
		width = needed > width ? needed : width;
	}
	for (size_t i = start; i < end; i++)
		layout->lines[i].cells[column].column_width = width;
	remember(writer, column, width);
	return end;
}

static void write_line(const struct line *line, struct strbuf *out)
{
	for (size_t i = 0; i < line->count; i++) {
		const struct cell *cell = &line->cells[i];
		strbuf_append(out, cell->text, cell->length);
		for (size_t k = cell->width; cell->terminated && k < cell->column_width; k++)
			strbuf_append_char(out, ' ');
	}
	strbuf_append_char(out, '\n');
}

void tab_writer_write(struct tab_writer *writer, const char *text, struct strbuf *out)
{
	struct layout layout = {0};
	cut(text, &layout);
	for (size_t column = 0; column < layout.most_cells; column++)
		for (size_t line = 0; line < layout.line_count;)
			line = has_column(&layout.lines[line], column) ? size_run(writer, &layout, column, line)
			                                               : line + 1;
	for (size_t i = 0; i < layout.line_count; i++)
		write_line(&layout.lines[i], out);
	free(layout.lines);
	free(layout.cells);
}

void tab_writer_done(struct tab_writer *writer)
{
	free(writer->widths);
	writer->widths = NULL;
	writer->width_count = 0;
}
