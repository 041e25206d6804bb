// SPDX-License-Identifier: Apache-2.0
//
// The writer. Strings are scanned a block at a time for what needs an
// escape, and copied in runs between such places. Go's encoder writes U+2028
// and U+2029 as escapes; so does this one. '<', '>' and '&' stay as they are.
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/json_scan.h"

// U+2028 or U+2029, of which one byte was seen.
static bool is_line_separator(const char *text, size_t length)
{
	return length >= 3 && memcmp(text, "\xe2\x80", 2) == 0 && ((unsigned char)text[2] & 0xfe) == 0xa8;
}

static bool needs_escape(const char *text, size_t length)
{
	unsigned char character = (unsigned char)*text;
	return character < 0x20 || character == '"' || character == '\\' ||
	       (character == 0xe2 && is_line_separator(text, length));
}

// The length of the part of the text that can be copied as it is.
static size_t plain_length(const char *text, size_t length)
{
	size_t i = 0;
	while (i < length) {
		if (length - i >= JSON_SCAN_BYTES) {
			uint32_t marks = json_scan_input(text + i);
			if (!marks) {
				i += JSON_SCAN_BYTES;
				continue;
			}
			i += (size_t)__builtin_ctz(marks);
		}
		if (needs_escape(text + i, length - i))
			break;
		i++;
	}
	return i;
}

// Room for `length` bytes, a call only where the buffer must grow; NULL past the maximum.
static inline char *room(struct strbuf *out, size_t length)
{
	if (out->capacity - out->length > length)
		return out->data + out->length;
	return strbuf_reserve(out, length);
}

static inline void put(struct strbuf *out, char character)
{
	char *place = room(out, 1);
	if (!place)
		return;
	*place = character;
	out->data[++out->length] = '\0';
}

// Copies a text shorter than a block by two overlapping moves.
static inline void copy_short(char *to, const char *from, size_t length)
{
	if (length >= 8) {
		memcpy(to, from, 8);
		memcpy(to + length - 8, from + length - 8, 8);
	} else if (length >= 4) {
		memcpy(to, from, 4);
		memcpy(to + length - 4, from + length - 4, 4);
	} else if (length) {
		to[0] = from[0];
		to[length / 2] = from[length / 2];
		to[length - 1] = from[length - 1];
	}
}

// The usual string, shorter than a block and with nothing to escape, written at once.
static inline bool write_short(struct strbuf *out, const char *text, size_t length)
{
	if (length >= JSON_SCAN_BYTES || out->capacity - out->length <= JSON_SCAN_BYTES + 2)
		return false;
	char block[JSON_SCAN_BYTES];
	memset(block, ' ', sizeof(block));
	copy_short(block, text, length);
	if (json_scan_input(block))
		return false;
	char *place = out->data + out->length;
	place[0] = '"';
	memcpy(place + 1, block, sizeof(block));
	place[length + 1] = '"';
	place[length + 2] = '\0';
	out->length += length + 2;
	return true;
}

// Writes the escape of the character at `text`; returns the bytes it stands for.
static size_t write_escape(struct strbuf *out, const char *text)
{
	static const char letters[128] = {
	        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	unsigned char character = (unsigned char)*text;
	if (character >= 0x80) {
		strbuf_append_text(out, (unsigned char)text[2] == 0xa8 ? "\\u2028" : "\\u2029");
		return 3;
	}
	char escape[8] = {'\\', letters[character]};
	if (!letters[character])
		snprintf(escape, sizeof(escape), "\\u%04x", character);
	strbuf_append_text(out, escape);
	return 1;
}

void json_write_string(struct strbuf *out, const char *text, size_t length)
{
	if (write_short(out, text, length))
		return;
	size_t plain = plain_length(text, length);
	if (plain == length) {
		char *place = room(out, length + 2);
		if (!place)
			return;
		place[0] = '"';
		memcpy(place + 1, text, length);
		place[length + 1] = '"';
		strbuf_commit(out, length + 2);
		return;
	}
	put(out, '"');
	for (;;) {
		strbuf_append(out, text, plain);
		text += plain;
		length -= plain;
		if (!length)
			break;
		size_t escaped = write_escape(out, text);
		text += escaped;
		length -= escaped;
		plain = plain_length(text, length);
	}
	put(out, '"');
}

static void write_integer(struct strbuf *out, int64_t value)
{
	char digits[24];
	char *first = digits + sizeof(digits);
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
	do {
		*--first = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude);
	if (value < 0)
		*--first = '-';
	strbuf_append(out, first, (size_t)(digits + sizeof(digits) - first));
}

static void write_scalar(struct strbuf *out, const struct json *value)
{
	switch ((enum json_type)value->type) {
	case JSON_BOOL:
		strbuf_append_text(out, value->boolean ? "true" : "false");
		break;
	case JSON_INTEGER:
		write_integer(out, value->integer);
		break;
	case JSON_NUMBER:
		strbuf_append(out, value->text, value->length);
		break;
	case JSON_STRING:
		json_write_string(out, value->text, value->length);
		break;
	default:
		strbuf_append_text(out, "null");
	}
}

void json_write(struct strbuf *out, const struct json *value)
{
	if (value->type == JSON_OBJECT) {
		put(out, '{');
		for (uint32_t i = 0; i < value->length; i++) {
			const struct json_member *member = &value->members[i];
			if (i)
				put(out, ',');
			json_write_string(out, member->key, member->key_length);
			put(out, ':');
			json_write(out, member->value);
		}
		put(out, '}');
	} else if (value->type == JSON_ARRAY) {
		put(out, '[');
		for (uint32_t i = 0; i < value->length; i++) {
			if (i)
				put(out, ',');
			json_write(out, value->items[i]);
		}
		put(out, ']');
	} else {
		write_scalar(out, value);
	}
}

static void write_line_start(struct strbuf *out, unsigned depth)
{
	put(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		strbuf_append(out, "    ", 4);
}

static void write_pretty(struct strbuf *out, const struct json *value, unsigned depth)
{
	bool is_object = value->type == JSON_OBJECT;
	if (!is_object && value->type != JSON_ARRAY) {
		write_scalar(out, value);
		return;
	}
	put(out, is_object ? '{' : '[');
	for (uint32_t i = 0; i < value->length; i++) {
		if (i)
			put(out, ',');
		write_line_start(out, depth + 1);
		if (is_object) {
			json_write_string(out, value->members[i].key, value->members[i].key_length);
			strbuf_append(out, ": ", 2);
			write_pretty(out, value->members[i].value, depth + 1);
		} else {
			write_pretty(out, value->items[i], depth + 1);
		}
	}
	if (value->length)
		write_line_start(out, depth);
	put(out, is_object ? '}' : ']');
}

void json_write_pretty(struct strbuf *out, const struct json *value)
{
	write_pretty(out, value, 0);
}
