// SPDX-License-Identifier: Apache-2.0
// A small reader of HTTP/1.1 answers: the servers behind it are kubelets and
// whatever runs in pods, so everything is bounded and nothing is believed twice.

#include "apiserver/connect/connect_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEAD_MAX_HEADERS = 100,
};

static bool belongs_to_connection(const char *name)
{
	static const char *const names[] = {"connection",         "keep-alive", "transfer-encoding", "content-length",
	                                    "proxy-authenticate", "te",         "trailer",           "date"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}

static bool read_header(struct arena *arena, char *line, struct connect_head *head)
{
	char *colon = strchr(line, ':'), *value;
	size_t length;

	if (!colon || colon == line || head->header_count == HEAD_MAX_HEADERS)
		return false;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	length = strlen(value);
	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		value[--length] = '\0';
	if (!strcasecmp(line, "transfer-encoding"))
		head->chunked = !strcasecmp(value, "chunked");
	if (!strcasecmp(line, "content-length"))
		head->content_length = strtoll(value, NULL, 10);
	if (belongs_to_connection(line) && (head->status != 101 || strcasecmp(line, "connection")))
		return true;
	for (char *c = line; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	head->headers[head->header_count++] =
	        (struct http_header){arena_strdup(arena, line), arena_strdup(arena, value)};
	return true;
}

int connect_head_parse(struct arena *arena, const char *data, size_t length, struct connect_head *ret_head,
                       size_t *ret_used)
{
	const char *end = memmem(data, length, "\r\n\r\n", 4);
	struct connect_head head = {.content_length = -1};
	char *text, *save = NULL, *line;

	if (!end)
		return 0;
	text = arena_strndup(arena, data, (size_t)(end - data));
	if (strlen(text) != (size_t)(end - data) || strncmp(text, "HTTP/1.", 7) || strlen(text) < 12)
		return -1;
	head.status = (int)strtol(text + 9, NULL, 10);
	if (head.status < 100 || head.status > 599)
		return -1;
	head.headers = ARENA_ARRAY(arena, struct http_header, HEAD_MAX_HEADERS);
	strtok_r(text, "\r\n", &save);
	while ((line = strtok_r(NULL, "\r\n", &save)))
		if (!read_header(arena, line, &head))
			return -1;
	if (head.status == 204 || head.status == 304)
		head.content_length = 0;
	*ret_head = head;
	*ret_used = (size_t)(end - data) + 4;
	return 1;
}

// One line into reader->line; true when it is complete.
static bool take_line(struct chunk_reader *reader, char c)
{
	if (c == '\n')
		return true;
	if (c != '\r' && reader->line_length < sizeof(reader->line) - 1)
		reader->line[reader->line_length++] = c;
	return false;
}

static bool end_line(struct chunk_reader *reader)
{
	char *end;

	reader->line[reader->line_length] = '\0';
	reader->line_length = 0;
	switch (reader->state) {
	case CHUNK_SIZE:
		reader->left = strtoull(reader->line, &end, 16);
		if (end == reader->line || reader->left > (uint64_t)1 << 40)
			return false;
		reader->state = reader->left ? CHUNK_DATA : CHUNK_TRAILER;
		return true;
	case CHUNK_DATA_END:
		reader->state = CHUNK_SIZE;
		return !reader->line[0];
	case CHUNK_TRAILER:
		if (!reader->line[0])
			reader->state = CHUNK_DONE;
		return true;
	default:
		return true;
	}
}

ssize_t chunk_reader_next(struct chunk_reader *reader, const char *data, size_t length, const char **ret_data,
                          size_t *ret_length)
{
	size_t used = 0;

	*ret_length = 0;
	while (used < length && reader->state != CHUNK_DONE) {
		if (reader->state == CHUNK_DATA) {
			size_t piece = length - used < reader->left ? length - used : (size_t)reader->left;

			*ret_data = data + used;
			*ret_length = piece;
			reader->left -= piece;
			if (!reader->left)
				reader->state = CHUNK_DATA_END;
			return (ssize_t)(used + piece);
		}
		if (take_line(reader, data[used++]) && !end_line(reader))
			return -1;
	}
	return (ssize_t)used;
}
