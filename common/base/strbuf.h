// SPDX-License-Identifier: Apache-2.0
#pragma once
// A byte buffer that grows up to a maximum given at init. Appending past the
// maximum sets `overflowed` and drops the bytes; callers that feed it from
// outside check the flag once at the end.

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"

struct strbuf {
	char *data; // NUL-terminated once anything was appended
	size_t length;
	size_t capacity;
	size_t max_bytes;
	bool overflowed;
};

#define STRBUF_INIT(maximum_bytes) ((struct strbuf){.max_bytes = (maximum_bytes)})

// Frees the memory; the buffer may be used again.
void strbuf_done(struct strbuf *buffer);
// A local `AUTO_STRBUF struct strbuf b = STRBUF_INIT(n)` is freed at scope end.
#define AUTO_STRBUF __attribute__((cleanup(strbuf_done)))

void strbuf_append(struct strbuf *buffer, const void *data, size_t length);
void strbuf_append_text(struct strbuf *buffer, const char *text);
void strbuf_append_char(struct strbuf *buffer, char character);
void strbuf_printf(struct strbuf *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
void strbuf_vprintf(struct strbuf *buffer, const char *format, va_list args) PRINTF_LIKE(2, 0);

// Room for `length` more bytes to be written at the returned place, followed by
// strbuf_commit; NULL (and overflowed) past the maximum.
char *strbuf_reserve(struct strbuf *buffer, size_t length);
void strbuf_commit(struct strbuf *buffer, size_t length);

// Drops the first `length` bytes, keeping the rest.
void strbuf_consume(struct strbuf *buffer, size_t length);
void strbuf_clear(struct strbuf *buffer);

// The text, "" when empty; borrowed until the next change.
const char *strbuf_text(const struct strbuf *buffer);

// Hands over the heap text (never NULL) and empties the buffer. The caller owns it.
char *strbuf_take(struct strbuf *buffer, size_t *ret_length);
