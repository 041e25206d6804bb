// SPDX-License-Identifier: Apache-2.0
//
// Two passes over a head. The first, as bytes arrive, only looks for its end
// and refuses at once what no head contains: an LF without CR, a CR without LF,
// NUL and other control characters, too many bytes. It remembers its place, so
// that a byte at a time costs no more than all at once. The second splits the
// finished head in place.
//
// What requests are smuggled with gets 400: two Host or Content-Length headers
// (equal or not), Content-Length with Transfer-Encoding, a sign or a list in
// Content-Length, folded lines, a space before the colon, an odd method. A
// transfer coding other than exactly "chunked" gets 501, a head beyond its limit
// 431, a body 413. The target must be in origin form.
//
//   HEAD → BODY ─────────────────────────────────→ COMPLETE → HEAD …
//       ↘ CHUNK_SIZE ⇄ CHUNK_DATA, CHUNK_END → TRAILERS ↗
//   any → FAILED
#include "common/io/http1_parser.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "common/base/encode.h"

enum {
	HTTP1_MAX_HEADERS = 1024,
	HTTP1_MAX_CHUNK_LINE_BYTES = 256,
	HTTP1_MAX_CHUNK_DIGITS = 15,
	HTTP1_MAX_LENGTH_DIGITS = 18,
};

void http1_parser_init(struct http1_parser *parser, size_t max_head_bytes, size_t max_body_bytes)
{
	*parser = (struct http1_parser){
	        .max_head_bytes = max_head_bytes,
	        .max_body_bytes = max_body_bytes,
	        .lines = STRBUF_INIT(max_head_bytes),
	};
}

void http1_parser_done(struct http1_parser *parser)
{
	strbuf_done(&parser->lines);
	parser->arena = arena_free(parser->arena);
}

static bool fail(struct http1_parser *parser, int status, const char *reason)
{
	parser->state = HTTP1_STATE_FAILED;
	parser->status = status;
	parser->reason = reason;
	return false;
}

// --- characters ------------------------------------------------------------

static bool is_token_char(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!is_token_char((unsigned char)*text))
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

// In a line: anything but control characters, the tab excepted.
static bool is_line_char(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

bool http_target_is_valid(const char *target)
{
	if (*target != '/')
		return false;
	for (; *target; target++)
		if (*target <= 0x20 || *target >= 0x7f || *target == '#')
			return false;
	return true;
}

bool http_host_is_valid(const char *host)
{
	for (; *host; host++)
		if (*host <= 0x20 || *host >= 0x7f || strchr("\"#/<>?@\\^`{|}", *host))
			return false;
	return true;
}

// --- the finished head -----------------------------------------------------

static bool parse_request_line(struct http1_parser *parser, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return fail(parser, 400, "malformed request line");
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line))
		return fail(parser, 400, "invalid method");
	if (!http_target_is_valid(target))
		return fail(parser, 400, "invalid request target");
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return fail(parser, 400, "unsupported protocol version");
	parser->head.method = line;
	parser->head.target = target;
	parser->head.minor_version = version[7] - '0';
	return true;
}

static bool on_host(struct http1_parser *parser, const char *value)
{
	if (parser->head.host)
		return fail(parser, 400, "more than one Host header");
	if (!http_host_is_valid(value))
		return fail(parser, 400, "malformed Host header");
	parser->head.host = value;
	return true;
}

static bool on_content_length(struct http1_parser *parser, const char *value)
{
	if (parser->head.has_length)
		return fail(parser, 400, "more than one Content-Length header");
	size_t digits = strspn(value, "0123456789");
	if (digits == 0 || value[digits])
		return fail(parser, 400, "malformed Content-Length header");
	if (digits > HTTP1_MAX_LENGTH_DIGITS)
		return fail(parser, 413, "body too large");
	parser->head.has_length = true;
	for (; *value; value++)
		parser->head.content_length = parser->head.content_length * 10 + (uint64_t)(*value - '0');
	return true;
}

static bool on_transfer_encoding(struct http1_parser *parser, const char *value)
{
	if (parser->head.chunked)
		return fail(parser, 400, "more than one Transfer-Encoding header");
	if (strcasecmp(value, "chunked") != 0)
		return fail(parser, 501, "unsupported transfer encoding");
	parser->head.chunked = true;
	return true;
}

static bool on_expect(struct http1_parser *parser, const char *value)
{
	if (strcasecmp(value, "100-continue") != 0)
		return fail(parser, 417, "unknown expectation");
	parser->head.expect_continue = true;
	return true;
}

static bool on_connection(struct http1_parser *parser, const char *value)
{
	while (*value) {
		size_t length = strcspn(value, ", \t");
		if (length == 5 && strncasecmp(value, "close", 5) == 0)
			parser->head.connection_close = true;
		if (length == 7 && strncasecmp(value, "upgrade", 7) == 0)
			parser->head.connection_upgrade = true;
		value += length;
		value += strspn(value, ", \t");
	}
	return true;
}

static const struct {
	const char *name;
	bool (*handle)(struct http1_parser *parser, const char *value);
} known_headers[] = {
        {"connection", on_connection},
        {"content-length", on_content_length},
        {"expect", on_expect},
        {"host", on_host},
        {"transfer-encoding", on_transfer_encoding},
};

static bool split_header(struct http1_parser *parser, char *line, struct http_header *ret_header)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return fail(parser, 400, "malformed header line");
	*colon = '\0';
	if (!is_token(line))
		return fail(parser, 400, "invalid header name");
	for (char *c = line; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	char *value = colon + 1;
	while (is_blank(*value))
		value++;
	for (char *end = value + strlen(value); end > value && is_blank(end[-1]);)
		*--end = '\0';
	*ret_header = (struct http_header){.name = line, .value = value};
	return true;
}

static bool judge_header(struct http1_parser *parser, const struct http_header *header)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_headers); i++)
		if (strcmp(known_headers[i].name, header->name) == 0)
			return known_headers[i].handle(parser, header->value);
	return true;
}

static bool judge_head(struct http1_parser *parser)
{
	const struct http1_head *head = &parser->head;
	if (!head->host && head->minor_version >= 1)
		return fail(parser, 400, "missing required Host header");
	if (head->chunked && head->has_length)
		return fail(parser, 400, "both Content-Length and Transfer-Encoding");
	if (head->chunked && head->minor_version == 0)
		return fail(parser, 400, "Transfer-Encoding in HTTP/1.0");
	if (head->content_length > parser->max_body_bytes)
		return fail(parser, 413, "body too large");
	return true;
}

// Cuts the next line off (its CRLF is certain: the scan has seen it).
static char *next_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\r');
	*end = '\0';
	*rest = end + 2;
	return line;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;
	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static bool parse_head(struct http1_parser *parser)
{
	arena_free(parser->arena);
	parser->arena = arena_new(parser->lines.length * 2 + 256);
	parser->head = (struct http1_head){0};
	char *rest = arena_strndup(parser->arena, parser->lines.data, parser->lines.length);
	size_t line_count = count_lines(rest);
	if (line_count > HTTP1_MAX_HEADERS + 2)
		return fail(parser, 431, "too many header lines");
	parser->head.headers = ARENA_ARRAY(parser->arena, struct http_header, line_count);
	if (!parse_request_line(parser, next_line(&rest)))
		return false;
	for (char *line = next_line(&rest); *line; line = next_line(&rest)) {
		struct http_header *header = &parser->head.headers[parser->head.header_count];
		if (!split_header(parser, line, header) || !judge_header(parser, header))
			return false;
		parser->head.header_count++;
	}
	return judge_head(parser);
}

// Trailers are checked like headers, and dropped.
static bool parse_trailers(struct http1_parser *parser)
{
	char *rest = parser->lines.data;
	for (char *line = next_line(&rest); *line; line = next_line(&rest)) {
		struct http_header ignored;
		if (!split_header(parser, line, &ignored))
			return false;
	}
	return true;
}

// --- steps: consume, change the state, raise an event -------------------------

// One byte of a head or of trailers; sets *ret_finished at the blank line.
static bool scan_byte(struct http1_parser *parser, unsigned char c, bool *ret_finished)
{
	if (parser->after_cr != (c == '\n'))
		return fail(parser, 400, c == '\n' ? "line ended by a bare LF" : "bare CR");
	parser->after_cr = c == '\r';
	if (c == '\n') {
		*ret_finished = parser->line_bytes == 0;
		parser->line_bytes = 0;
	} else if (c != '\r') {
		if (!is_line_char(c))
			return fail(parser, 400, "control character");
		if (parser->line_bytes == 0 && is_blank((char)c))
			return fail(parser, 400, "folded header line");
		parser->line_bytes++;
	}
	return true;
}

// Collects lines up to the blank one; false while there is more to come or after a failure.
static bool collect_lines(struct http1_parser *parser, const char *data, size_t length, size_t *ret_used)
{
	bool finished = false;
	size_t used = 0, room = parser->max_head_bytes - parser->lines.length;
	while (used < length && used < room && !finished)
		if (!scan_byte(parser, (unsigned char)data[used++], &finished)) {
			*ret_used = used;
			return false;
		}
	*ret_used = used;
	strbuf_append(&parser->lines, data, used);
	if (!finished && used == room)
		return fail(parser, 431, "request header fields too large");
	return finished;
}

static void begin_lines(struct http1_parser *parser)
{
	strbuf_done(&parser->lines);
	parser->line_bytes = 0;
	parser->after_cr = false;
}

static enum http1_state state_after_head(struct http1_parser *parser)
{
	parser->body_bytes = 0;
	parser->chunk_line_bytes = 0;
	parser->chunk_digits = 0;
	parser->left = parser->head.content_length;
	if (parser->head.chunked) {
		parser->left = 0;
		return HTTP1_STATE_CHUNK_SIZE;
	}
	return parser->left ? HTTP1_STATE_BODY : HTTP1_STATE_COMPLETE;
}

static size_t step_head(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	size_t used;
	if (!collect_lines(parser, data, length, &used))
		return used;
	if (!parse_head(parser))
		return used;
	begin_lines(parser);
	parser->state = state_after_head(parser);
	*ret_event = HTTP1_HEAD;
	return used;
}

// A part of the body or of a chunk.
static size_t give_data(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	size_t used = length < parser->left ? length : (size_t)parser->left;
	parser->left -= used;
	parser->data = data;
	parser->data_length = used;
	*ret_event = HTTP1_DATA;
	return used;
}

static size_t step_body(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	size_t used = give_data(parser, data, length, ret_event);
	if (parser->left == 0)
		parser->state = HTTP1_STATE_COMPLETE;
	return used;
}

static bool finish_chunk_line(struct http1_parser *parser)
{
	if (parser->left > parser->max_body_bytes || parser->body_bytes > parser->max_body_bytes - parser->left)
		return fail(parser, 413, "body too large");
	parser->body_bytes += parser->left;
	parser->state = parser->left ? HTTP1_STATE_CHUNK_DATA : HTTP1_STATE_TRAILERS;
	parser->chunk_line_bytes = 0;
	parser->chunk_digits = 0;
	parser->after_cr = false;
	return true;
}

// Digits, then perhaps an extension from ';' on, which is skipped, then CRLF.
static bool chunk_size_byte(struct http1_parser *parser, char c)
{
	if (parser->after_cr != (c == '\n'))
		return fail(parser, 400, "malformed end of a chunk size");
	if (c == '\n')
		return finish_chunk_line(parser);
	if (++parser->chunk_line_bytes > HTTP1_MAX_CHUNK_LINE_BYTES)
		return fail(parser, 400, "chunk size line too long");
	parser->after_cr = c == '\r';
	bool in_digits = parser->chunk_line_bytes == parser->chunk_digits + 1;
	if (in_digits && hex_digit(c) >= 0) {
		if (++parser->chunk_digits > HTTP1_MAX_CHUNK_DIGITS)
			return fail(parser, 400, "chunk size too large");
		parser->left = parser->left * 16 + (uint64_t)hex_digit(c);
		return true;
	}
	if (in_digits && (parser->chunk_digits == 0 || (c != ';' && c != '\r')))
		return fail(parser, 400, "malformed chunk size");
	return is_line_char((unsigned char)c) || c == '\r' ? true : fail(parser, 400, "control character");
}

static size_t step_chunk_size(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	(void)ret_event;
	size_t used = 0;
	while (used < length && parser->state == HTTP1_STATE_CHUNK_SIZE)
		(void)chunk_size_byte(parser, data[used++]);
	return used;
}

static size_t step_chunk_data(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	size_t used = give_data(parser, data, length, ret_event);
	if (parser->left == 0) {
		parser->state = HTTP1_STATE_CHUNK_END;
		parser->chunk_end_bytes = 0;
	}
	return used;
}

static size_t step_chunk_end(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	(void)length, (void)ret_event;
	if (data[0] != "\r\n"[parser->chunk_end_bytes])
		(void)fail(parser, 400, "malformed end of a chunk");
	else if (++parser->chunk_end_bytes == 2)
		parser->state = HTTP1_STATE_CHUNK_SIZE;
	return 1;
}

static size_t step_trailers(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	(void)ret_event;
	size_t used;
	if (!collect_lines(parser, data, length, &used))
		return used;
	if (!parse_trailers(parser))
		return used;
	begin_lines(parser);
	parser->state = HTTP1_STATE_COMPLETE;
	return used;
}

static size_t step_complete(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	(void)data, (void)length;
	parser->state = HTTP1_STATE_HEAD;
	*ret_event = HTTP1_END;
	return 0;
}

static size_t step_failed(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	(void)parser, (void)data, (void)length;
	*ret_event = HTTP1_BAD;
	return 0;
}

static size_t (*const steps[HTTP1_STATE_COUNT_])(struct http1_parser *parser, const char *data, size_t length,
                                                 enum http1_event *ret_event) = {
        [HTTP1_STATE_HEAD] = step_head,
        [HTTP1_STATE_BODY] = step_body,
        [HTTP1_STATE_CHUNK_SIZE] = step_chunk_size,
        [HTTP1_STATE_CHUNK_DATA] = step_chunk_data,
        [HTTP1_STATE_CHUNK_END] = step_chunk_end,
        [HTTP1_STATE_TRAILERS] = step_trailers,
        [HTTP1_STATE_COMPLETE] = step_complete,
        [HTTP1_STATE_FAILED] = step_failed,
};

static bool needs_no_input(enum http1_state state)
{
	return state == HTTP1_STATE_COMPLETE || state == HTTP1_STATE_FAILED;
}

size_t http1_parser_feed(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event)
{
	size_t used = 0;
	*ret_event = HTTP1_MORE;
	while (*ret_event == HTTP1_MORE && (used < length || needs_no_input(parser->state)))
		used += steps[parser->state](parser, data + used, length - used, ret_event);
	assert(used <= length);
	return used;
}

bool http1_parser_in_head(const struct http1_parser *parser)
{
	return parser->state == HTTP1_STATE_HEAD && parser->lines.length > 0;
}
