// SPDX-License-Identifier: Apache-2.0
//
// Errors of a compilation, gathered and printed as upstream's are:
//
//	ERROR: <input>:1:6: undeclared reference to 'x' (in container '')
//	 | 1 +  x
//	 | .....^
//
// Columns count characters; wide ones are pointed at with full-width dots.
#include <stdlib.h>
#include <string.h>

#include "common/base/strbuf.h"
#include "common/cel/ast.h"

enum { LONGEST_SNIPPET = 16384 };

void cel_issue(struct cel_issues *issues, uint32_t offset, const char *format, ...)
{
	va_list args;
	if (issues->count == CEL_MAX_ERRORS)
		return;
	va_start(args, format);
	issues->list[issues->count++] =
	        (struct cel_issue){.offset = offset, .message = arena_vprintf(issues->arena, format, args)};
	va_end(args);
}

struct place {
	size_t line;       // from 1
	size_t column;     // from 0, in characters
	size_t line_start; // in bytes
};

static struct place find_place(const struct cel_issues *issues, uint32_t offset)
{
	struct place place = {.line = 1};
	for (size_t i = 0; i < offset && i < issues->source_length; i++) {
		if (issues->source[i] == '\n') {
			place.line++;
			place.column = 0;
			place.line_start = i + 1;
		} else if (((unsigned char)issues->source[i] & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

static void write_caret(struct strbuf *out, const char *line, size_t length, size_t column)
{
	size_t i = 0;
	for (size_t seen = 0; seen <= column; seen++) {
		size_t bytes = 1;
		while (i + bytes < length && ((unsigned char)line[i + bytes] & 0xc0) == 0x80)
			bytes++;
		bool wide = i < length && bytes > 1;
		if (seen == column)
			strbuf_append_text(out, wide ? "\uff3e" : "^");
		else if (i < length)
			strbuf_append_text(out, wide ? "\uff0e" : ".");
		i += bytes;
	}
}

static void write_issue(struct strbuf *out, const struct cel_issues *issues, const struct cel_issue *issue)
{
	struct place place = find_place(issues, issue->offset);
	const char *line = issues->source + place.line_start;
	size_t length = strcspn(line, "\n");
	if (length > issues->source_length - place.line_start)
		length = issues->source_length - place.line_start;
	strbuf_printf(out, "ERROR: <input>:%zu:%zu: %s", place.line, place.column + 1, issue->message);
	if (length > LONGEST_SNIPPET)
		return;
	strbuf_append_text(out, "\n | ");
	for (size_t i = 0; i < length; i++)
		strbuf_append_char(out, line[i] == '\t' ? ' ' : line[i]);
	strbuf_append_text(out, "\n | ");
	write_caret(out, line, length, place.column);
}

static int compare_issues(const void *a, const void *b)
{
	const struct cel_issue *left = *(const struct cel_issue *const *)a,
	                       *right = *(const struct cel_issue *const *)b;
	if (left->offset != right->offset)
		return left->offset < right->offset ? -1 : 1;
	return left < right ? -1 : left > right;
}

char *cel_issues_format(const struct cel_issues *issues)
{
	const struct cel_issue *sorted[CEL_MAX_ERRORS] = {0};
	AUTO_STRBUF struct strbuf out = STRBUF_INIT((size_t)4 * 1024 * 1024);
	for (size_t i = 0; i < issues->count; i++)
		sorted[i] = &issues->list[i];
	qsort(sorted, issues->count, sizeof(sorted[0]), compare_issues);
	for (size_t i = 0; i < issues->count; i++) {
		if (i)
			strbuf_append_char(&out, '\n');
		write_issue(&out, issues, sorted[i]);
	}
	return arena_strndup(issues->arena, strbuf_text(&out), out.length);
}
