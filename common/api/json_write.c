// SPDX-License-Identifier: Apache-2.0
//
// The writer. Strings are scanned eight bytes at a time for what needs an
// escape, and copied in runs between such places. Go's encoder writes U+2028
// and U+2029 as escapes; so does this one. '<', '>' and '&' stay as they are.
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/api/json_scan.h"

// The length of the part of the text that can be copied as it is.
static size_t plain_length(const char *text, size_t length)
{
	size_t i = 0;
	for (; i + 8 <= length; i += 8) {
		uint64_t word = json_scan_load(text + i);
		uint64_t line_separator = word ^ (JSON_SCAN_ONES * 0xe2); // first byte of U+2028 and others
		uint64_t marks = json_scan_specials(word) |
				 ((line_separator - JSON_SCAN_ONES) & ~line_separator & JSON_SCAN_HIGHS);
		if (marks) {
			i += json_scan_first(marks);
			break;
		}
	}
	for (; i < length; i++) {
		unsigned char character = (unsigned char)text[i];
		if (character < 0x20 || character == '"' || character == '\\')
			break;
		if (character == 0xe2 && i + 2 < length && (unsigned char)text[i + 1] == 0x80 &&
		    ((unsigned char)text[i + 2] & 0xfe) == 0xa8)
			break;
	}
	return i;
}

// Writes the escape of the character at `text`; returns the bytes it stands for.
static size_t write_escape(struct strbuf *out, const char *text)
{
	static const char letters[128] = {['"'] = '"',	['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
					  ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
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
	size_t plain = plain_length(text, length);
	if (plain == length) {
		char *place = strbuf_reserve(out, length + 2);
		if (!place)
			return;
		place[0] = '"';
		memcpy(place + 1, text, length);
		place[length + 1] = '"';
		strbuf_commit(out, length + 2);
		return;
	}
	strbuf_append_char(out, '"');
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
	strbuf_append_char(out, '"');
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
		strbuf_append_char(out, '{');
		for (uint32_t i = 0; i < value->length; i++) {
			const struct json_member *member = &value->members[i];
			if (i)
				strbuf_append_char(out, ',');
			json_write_string(out, member->key, member->key_length);
			strbuf_append_char(out, ':');
			json_write(out, member->value);
		}
		strbuf_append_char(out, '}');
	} else if (value->type == JSON_ARRAY) {
		strbuf_append_char(out, '[');
		for (uint32_t i = 0; i < value->length; i++) {
			if (i)
				strbuf_append_char(out, ',');
			json_write(out, value->items[i]);
		}
		strbuf_append_char(out, ']');
	} else {
		write_scalar(out, value);
	}
}

static void write_line_start(struct strbuf *out, unsigned depth)
{
	strbuf_append_char(out, '\n');
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
	strbuf_append_char(out, is_object ? '{' : '[');
	for (uint32_t i = 0; i < value->length; i++) {
		if (i)
			strbuf_append_char(out, ',');
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
	strbuf_append_char(out, is_object ? '}' : ']');
}

void json_write_pretty(struct strbuf *out, const struct json *value)
{
	write_pretty(out, value, 0);
}
