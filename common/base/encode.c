// SPDX-License-Identifier: Apache-2.0
// Decoders go through the text once and write into the arena; nothing past the last
// good byte is looked at. Random numbers come from getrandom(2) alone: there is no
// state of ours that a fork would copy.

#include "common/base/encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/memory.h"

static const char alphabet_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
// No vowels and no look-alikes, so that no words appear in names.
static const char alphabet_names[] = "bcdfghjklmnpqrstvwxz2456789";

enum { NAME_ALPHABET_LENGTH = sizeof(alphabet_names) - 1 };

static void encode_with(struct strbuf *out, const char *alphabet, bool padded, const uint8_t *data, size_t length)
{
	char *at = strbuf_reserve(out, (length + 2) / 3 * 4);
	if (!at)
		return;
	char *start = at;
	for (; length >= 3; data += 3, length -= 3) {
		*at++ = alphabet[data[0] >> 2];
		*at++ = alphabet[(data[0] & 3) << 4 | data[1] >> 4];
		*at++ = alphabet[(data[1] & 15) << 2 | data[2] >> 6];
		*at++ = alphabet[data[2] & 63];
	}
	if (length) {
		unsigned second = length == 2 ? data[1] : 0;
		*at++ = alphabet[data[0] >> 2];
		*at++ = alphabet[(data[0] & 3) << 4 | second >> 4];
		if (length == 2)
			*at++ = alphabet[(second & 15) << 2];
		else if (padded)
			*at++ = '=';
		if (padded)
			*at++ = '=';
	}
	strbuf_commit(out, (size_t)(at - start));
}

void base64_encode(struct strbuf *out, const void *data, size_t length)
{
	encode_with(out, alphabet_standard, true, data, length);
}

void base64url_encode(struct strbuf *out, const void *data, size_t length)
{
	encode_with(out, alphabet_url, false, data, length);
}

static int sextet(char c, char character_62, char character_63)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == character_62)
		return 62;
	return c == character_63 ? 63 : -1;
}

static bool decode_with(struct arena *arena, const char *text, size_t length, const char *last_two, bool padded,
                        uint8_t **ret_data, size_t *ret_length)
{
	uint8_t *data = arena_alloc(arena, length / 4 * 3 + 4);
	size_t used = 0, digits = 0, padding = 0;
	uint32_t group = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\r' || text[i] == '\n')
			continue;
		if (padded && text[i] == '=' && digits % 4 >= 2) {
			padding++;
			if (digits % 4 + padding > 4)
				return false;
			continue;
		}
		int value = sextet(text[i], last_two[0], last_two[1]);
		if (value < 0 || padding)
			return false;
		group = group << 6 | (uint32_t)value;
		if (++digits % 4 == 0) {
			data[used++] = (uint8_t)(group >> 16);
			data[used++] = (uint8_t)(group >> 8);
			data[used++] = (uint8_t)group;
		}
	}
	size_t rest = digits % 4;
	if (rest == 1 || (padded && (rest + padding) % 4 != 0))
		return false;
	if (rest >= 2)
		data[used++] = (uint8_t)(rest == 2 ? group >> 4 : group >> 10);
	if (rest == 3)
		data[used++] = (uint8_t)(group >> 2);
	data[used] = '\0';
	*ret_data = data;
	*ret_length = used;
	return true;
}

bool base64_decode(struct arena *arena, const char *text, size_t length, uint8_t **ret_data, size_t *ret_length)
{
	return decode_with(arena, text, length, "+/", true, ret_data, ret_length);
}

bool base64url_decode(struct arena *arena, const char *text, size_t length, uint8_t **ret_data, size_t *ret_length)
{
	return decode_with(arena, text, length, "-_", false, ret_data, ret_length);
}

void hex_encode(char *out, const void *data, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;
	for (size_t i = 0; i < length; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

// The length of the well-formed UTF-8 character at `text` (at most `left` bytes), or 0.
static size_t utf8_length(const uint8_t *text, size_t left)
{
	size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	if (text[0] < 0xc2 || text[0] > 0xf4 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

void quote_append(struct strbuf *out, const char *text, size_t length)
{
	static const char escaped[] = "\a\b\t\n\v\f\r\"\\", letters[] = "abtnvfr\"\\";
	strbuf_append_char(out, '"');
	for (size_t i = 0; i < length;) {
		uint8_t byte = (uint8_t)text[i];
		const char *place = byte ? strchr(escaped, byte) : NULL;
		size_t character = byte >= 0x80 ? utf8_length((const uint8_t *)text + i, length - i) : 0;
		if (place)
			strbuf_append(out, (const char[]){'\\', letters[place - escaped]}, 2);
		else if (character)
			strbuf_append(out, text + i, character);
		else if (byte < 0x20 || byte >= 0x7f)
			strbuf_printf(out, "\\x%02x", byte);
		else
			strbuf_append_char(out, text[i]);
		i += character ? character : 1;
	}
	strbuf_append_char(out, '"');
}

void random_bytes(void *out, size_t length)
{
	uint8_t *at = out;
	while (length) {
		ssize_t got = getrandom(at, length, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		length -= (size_t)got;
	}
}

uint32_t random_below(uint32_t bound)
{
	uint32_t value, limit = UINT32_MAX - (uint32_t)(((uint64_t)UINT32_MAX + 1) % bound);
	do
		random_bytes(&value, sizeof(value));
	while (value > limit);
	return value % bound;
}

void uuid_v4(char out[37])
{
	uint8_t bytes[16];
	char hex[33];
	random_bytes(bytes, sizeof(bytes));
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	hex_encode(hex, bytes, sizeof(bytes));
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void random_name_suffix(char *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		out[i] = alphabet_names[random_below(NAME_ALPHABET_LENGTH)];
	out[length] = '\0';
}

void safe_encode_string(const char *in, char *out)
{
	for (; *in; in++)
		*out++ = alphabet_names[(uint8_t)*in % NAME_ALPHABET_LENGTH];
	*out = '\0';
}
