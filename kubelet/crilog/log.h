// SPDX-License-Identifier: Apache-2.0
#pragma once
// Writes a container's log in the CRI format:
//
//   2026-01-02T15:04:05.000000000Z stdout F a whole line
//   2026-01-02T15:04:05.000000001Z stderr P the first part of a long line
//
// A write that fails (a full disk) drops the line: a container must never block on its
// log. Past max_bytes the file is renamed to FILE.<time> and begun anew; of the renamed
// ones max_files - 1 stay. Readers follow by inode.

#include <stdbool.h>
#include <stddef.h>

enum { LOG_CHUNK_BYTES = 16384 }; // of a line; longer ones come in parts

struct log_stream {
	const char *name; // "stdout"
	size_t length;    // bytes waiting for their newline
	char bytes[LOG_CHUNK_BYTES];
};

struct log {
	const char *path;
	int fd;
	long long size;
	long long max_bytes; // 0: never rotated
	int max_files;
};

bool log_open(struct log *log);

// Where the next bytes go, at least one; then how many there were.
char *log_stream_room(struct log_stream *stream, size_t *ret_size);
void log_stream_wrote(struct log *log, struct log_stream *stream, size_t count);
// The last line may lack its newline.
void log_stream_end(struct log *log, struct log_stream *stream);

void log_append(struct log *log, struct log_stream *stream, const char *data, size_t length);
