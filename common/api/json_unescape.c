// SPDX-License-Identifier: Apache-2.0
//
// JSON strings with escapes or with characters beyond ASCII. The text only gets
// shorter (an escape is longer than what it stands for), so it may be written
// over itself. UTF-8 is checked strictly: no overlong forms, no surrogates.
#include "common/api/json_unescape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/api/json_scan.h"
#include "common/base/encode.h"

const char json_invalid_utf8[] = "invalid UTF-8";

// The length of the UTF-8 character at `text` (2 to 4), 0 = malformed.
static size_t utf8_length(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static char *put_utf8(char *out, uint32_t rune)
{
	if (rune < 0x80) {
		*out++ = (char)rune;
	} else if (rune < 0x800) {
		*out++ = (char)(0xc0 | rune >> 6);
		*out++ = (char)(0x80 | (rune & 0x3f));
	} else if (rune < 0x10000) {
		*out++ = (char)(0xe0 | rune >> 12);
		*out++ = (char)(0x80 | (rune >> 6 & 0x3f));
		*out++ = (char)(0x80 | (rune & 0x3f));
	} else {
		*out++ = (char)(0xf0 | rune >> 18);
		*out++ = (char)(0x80 | (rune >> 12 & 0x3f));
		*out++ = (char)(0x80 | (rune >> 6 & 0x3f));
		*out++ = (char)(0x80 | (rune & 0x3f));
	}
	return out;
}

// Four hexadecimal digits; the number of good ones goes to *ret_digits.
static uint32_t hex_quad(const char *text, int *ret_digits)
{
	uint32_t value = 0;
	int digits = 0;
	for (int digit; digits < 4 && (digit = hex_digit(text[digits])) >= 0; digits++)
		value = value << 4 | (uint32_t)digit;
	*ret_digits = digits;
	return value;
}

// A \u escape whose digits start at `in`. Advances both places.
static const char *unescape_unicode(const char **in, char **out)
{
	int digits;
	uint32_t rune = hex_quad(*in, &digits);
	if (digits < 4) {
		*in += digits;
		return "in \\u hexadecimal character escape";
	}
	*in += 4;
	if (rune >= 0xd800 && rune < 0xdc00 && (*in)[0] == '\\' && (*in)[1] == 'u') {
		uint32_t low = hex_quad(*in + 2, &digits);
		if (digits == 4 && low >= 0xdc00 && low < 0xe000) {
			rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
			*in += 6;
		}
	}
	if (rune >= 0xd800 && rune < 0xe000)
		rune = 0xfffd;
	*out = put_utf8(*out, rune);
	return NULL;
}

static const char *unescape(const char **in, char **out)
{
	static const char plain[128] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
	                                ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
	unsigned char letter = (unsigned char)(*in)[1];
	if (letter == 'u') {
		*in += 2;
		return unescape_unicode(in, out);
	}
	if (letter >= sizeof(plain) || !plain[letter]) {
		++*in;
		return "in string escape code";
	}
	*(*out)++ = plain[letter];
	*in += 2;
	return NULL;
}

// Copies one character of more than one byte; false when it is malformed.
static bool copy_character(const char **in, char **out)
{
	size_t length = utf8_length((const unsigned char *)*in);
	memmove(*out, *in, length);
	*out += length;
	*in += length;
	return length > 0;
}

const char *json_unescape(const char **in, char **out)
{
	for (;;) {
		unsigned char character = (unsigned char)**in;
		const char *problem = NULL;
		if (!json_scan_input(*in)) {
			memmove(*out, *in, JSON_SCAN_BYTES);
			*out += JSON_SCAN_BYTES;
			*in += JSON_SCAN_BYTES;
		} else if (character == '"') {
			return NULL;
		} else if (character == '\\') {
			problem = unescape(in, out);
		} else if (character < 0x20) {
			problem = "in string literal";
		} else if (character < 0x80) {
			*(*out)++ = *(*in)++;
		} else if (!copy_character(in, out)) {
			problem = json_invalid_utf8;
		}
		if (problem)
			return problem;
	}
}
