// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reads container logs in the CRI format: "TIME STREAM TAG text".

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/strbuf.h"

struct log_options {
	int64_t tail_lines;  // -1: all
	int64_t since_ns;    // wall clock; 0: all
	int64_t limit_bytes; // -1: none
	bool timestamps;
	const char *stream; // "stdout", "stderr", NULL: both
};
#define LOG_OPTIONS_INIT ((struct log_options){.tail_lines = -1, .limit_bytes = -1})

// One open log that is read on as it grows, also over its rotation.
struct log_reader;
struct log_reader *log_reader_open(const char *path, const struct log_options *options); // NULL: can't be opened
struct log_reader *log_reader_close(struct log_reader *reader);
// Appends what is there now, at most some 64 KiB; returns false when there was nothing new.
bool log_reader_read(struct log_reader *reader, struct strbuf *out);
// limit_bytes is used up: nothing more will come.
bool log_reader_is_full(const struct log_reader *reader);

// One line of the file: its parts, borrowed from it. False when it has another form.
struct log_line {
	int64_t time_ns;
	const char *time_text;
	size_t time_length;
	bool is_stderr;
	bool partial;
	const char *text; // without newline
	size_t length;
};
bool log_line_parse(const char *line, size_t length, struct log_line *ret_line);

// The text of the last lines, at most `max_bytes`; NULL when there is none. The caller owns it.
char *log_reader_tail(const char *path, int64_t lines, size_t max_bytes);
