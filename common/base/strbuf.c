// SPDX-License-Identifier: Apache-2.0
// Grows by doubling up to its maximum. What would go past it is left out as a whole
// and marks the buffer: callers append without looking and ask once, at the end,
// whether it overflowed.

#include "common/base/strbuf.h"

#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"

void strbuf_done(struct strbuf *buffer)
{
	free(buffer->data);
	*buffer = STRBUF_INIT(buffer->max_bytes);
}

char *strbuf_reserve(struct strbuf *buffer, size_t length)
{
	if (buffer->overflowed || length > buffer->max_bytes || buffer->length > buffer->max_bytes - length) {
		buffer->overflowed = true;
		return NULL;
	}
	size_t needed = buffer->length + length + 1;
	if (needed > buffer->capacity) {
		size_t capacity = buffer->capacity ? buffer->capacity * 2 : 64;
		if (capacity < needed)
			capacity = needed;
		if (capacity - 1 > buffer->max_bytes)
			capacity = buffer->max_bytes + 1;
		buffer->data = xrealloc(buffer->data, capacity);
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->length;
}

void strbuf_commit(struct strbuf *buffer, size_t length)
{
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
}

void strbuf_append(struct strbuf *buffer, const void *data, size_t length)
{
	char *place = strbuf_reserve(buffer, length);
	if (!place)
		return;
	if (length)
		memcpy(place, data, length);
	strbuf_commit(buffer, length);
}

void strbuf_append_text(struct strbuf *buffer, const char *text)
{
	strbuf_append(buffer, text, strlen(text));
}

void strbuf_append_char(struct strbuf *buffer, char character)
{
	strbuf_append(buffer, &character, 1);
}

void strbuf_vprintf(struct strbuf *buffer, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, format, args);
	char *place = length < 0 ? NULL : strbuf_reserve(buffer, (size_t)length);
	if (place) {
		vsnprintf(place, (size_t)length + 1, format, again);
		strbuf_commit(buffer, (size_t)length);
	}
	va_end(again);
}

void strbuf_printf(struct strbuf *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	strbuf_vprintf(buffer, format, args);
	va_end(args);
}

void strbuf_consume(struct strbuf *buffer, size_t length)
{
	if (!length)
		return;
	memmove(buffer->data, buffer->data + length, buffer->length - length + 1);
	buffer->length -= length;
}

void strbuf_clear(struct strbuf *buffer)
{
	buffer->length = 0;
	buffer->overflowed = false;
	if (buffer->data)
		buffer->data[0] = '\0';
}

const char *strbuf_text(const struct strbuf *buffer)
{
	return buffer->data ? buffer->data : "";
}

char *strbuf_take(struct strbuf *buffer, size_t *ret_length)
{
	char *text = buffer->data ? buffer->data : xstrdup("");
	if (ret_length)
		*ret_length = buffer->length;
	*buffer = STRBUF_INIT(buffer->max_bytes);
	return text;
}
