// SPDX-License-Identifier: Apache-2.0
#pragma once
// A strict, incremental parser of HTTP/1.x requests without any I/O. It refuses
// whatever two implementations could read in two ways.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/strbuf.h"
#include "common/io/http_server.h"

enum http1_event {
	HTTP1_MORE, // everything given was consumed
	HTTP1_HEAD, // `head` is set, in `arena`, which the caller may take
	HTTP1_DATA, // `data` is a part of the body, borrowed from the input
	HTTP1_END,  // the request is complete; what follows is the next one
	HTTP1_BAD,  // to be answered with `status` and closed; nothing more is parsed
};

enum http1_state {
	HTTP1_STATE_HEAD,
	HTTP1_STATE_BODY,
	HTTP1_STATE_CHUNK_SIZE,
	HTTP1_STATE_CHUNK_DATA,
	HTTP1_STATE_CHUNK_END,
	HTTP1_STATE_TRAILERS,
	HTTP1_STATE_COMPLETE,
	HTTP1_STATE_FAILED,
	HTTP1_STATE_COUNT_,
};

struct http1_head {
	const char *method;
	const char *target;
	int minor_version; // 0 or 1
	struct http_header *headers;
	size_t header_count;
	const char *host; // NULL: none (HTTP/1.0)
	bool chunked;
	bool has_length;
	uint64_t content_length;
	bool expect_continue;
	bool connection_close;
	bool connection_upgrade; // "upgrade" among Connection's words
};

struct http1_parser {
	size_t max_head_bytes;
	size_t max_body_bytes;
	enum http1_state state;
	struct strbuf lines; // the head or the trailers so far
	size_t line_bytes;   // of the last line so far
	bool after_cr;       // the last byte was a CR
	uint64_t left;       // of the body or the chunk
	uint64_t body_bytes; // of all chunks
	size_t chunk_line_bytes;
	size_t chunk_digits;
	size_t chunk_end_bytes; // of the CRLF after a chunk
	struct arena *arena;
	struct http1_head head;
	const char *data;
	size_t data_length;
	int status;
	const char *reason;
};

void http1_parser_init(struct http1_parser *parser, size_t max_head_bytes, size_t max_body_bytes);
void http1_parser_done(struct http1_parser *parser);

// Parses up to the next event; returns the number of bytes consumed. Called
// until HTTP1_MORE, also with no bytes left: HTTP1_END needs none.
size_t http1_parser_feed(struct http1_parser *parser, const char *data, size_t length, enum http1_event *ret_event);

// True in the middle of a head.
bool http1_parser_in_head(const struct http1_parser *parser);

// Origin form: '/' and visible ASCII without '#'.
bool http_target_is_valid(const char *target);
// A host with or without a port, by its characters.
bool http_host_is_valid(const char *host);
