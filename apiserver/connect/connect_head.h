// SPDX-License-Identifier: Apache-2.0
#pragma once
// The answer of a proxied server: its head, and its body's framing (a length,
// chunks, or until it closes).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/io/http_server.h"

struct connect_head {
	int status;
	struct http_header *headers; // without those of the connection itself, unless it is an upgrade
	size_t header_count;
	bool chunked;
	int64_t content_length; // -1 = until the end
};

// 1: a whole head was there, *ret_used bytes of it; 0: more is needed; -1: nonsense.
int connect_head_parse(struct arena *arena, const char *data, size_t length, struct connect_head *ret_head,
                       size_t *ret_used);

// Takes chunk framing off a stream of bytes.
struct chunk_reader {
	enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
	uint64_t left;
	char line[64];
	size_t line_length;
};

// Reads until some data is found: *ret_data and *ret_length (0 = none in this
// piece); returns the bytes used, -1 on nonsense. Call again with the rest.
ssize_t chunk_reader_next(struct chunk_reader *reader, const char *data, size_t length, const char **ret_data,
                          size_t *ret_length);
