// SPDX-License-Identifier: Apache-2.0
//
// Tokens by hand: the longest that fits. String literals are delimited here and
// unescaped when the parser takes them, so that a look-ahead costs nothing. Texts are
// valid UTF-8 when they come here (cel_parse sees to it).
#include "common/cel/lexer.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/strbuf.h"

struct keyword {
	const char *text;
	enum cel_token_kind kind;
};

static const struct keyword keywords[] = {
        {"true", CEL_TOKEN_TRUE},
        {"false", CEL_TOKEN_FALSE},
        {"null", CEL_TOKEN_NULL},
        {"in", CEL_TOKEN_IN},
};

static const struct keyword operators[] = {
        {"==", CEL_TOKEN_EQUAL},         {"!=", CEL_TOKEN_NOT_EQUAL},
        {"<=", CEL_TOKEN_LESS_EQUAL},    {"<", CEL_TOKEN_LESS},
        {">=", CEL_TOKEN_GREATER_EQUAL}, {">", CEL_TOKEN_GREATER},
        {"&&", CEL_TOKEN_AND},           {"||", CEL_TOKEN_OR},
};

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static bool is_letter(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character == '_';
}

// The source is terminated by a NUL, so one character past a valid place may be read.
static size_t scan_identifier(const char *text)
{
	size_t length = 0;
	while (is_letter(text[length]) || is_digit(text[length]))
		length++;
	return length;
}

static size_t scan_digits(const char *text)
{
	size_t length = 0;
	while (is_digit(text[length]))
		length++;
	return length;
}

static size_t scan_exponent(const char *text)
{
	if (text[0] != 'e' && text[0] != 'E')
		return 0;
	size_t sign = text[1] == '+' || text[1] == '-';
	size_t digits = scan_digits(text + 1 + sign);
	return digits ? 1 + sign + digits : 0;
}

static size_t scan_number(const char *text, enum cel_token_kind *ret_kind)
{
	size_t length = scan_digits(text);
	*ret_kind = CEL_TOKEN_INT;
	if (length == 1 && text[0] == '0' && text[1] == 'x' && hex_digit(text[2]) >= 0) {
		for (length = 2; hex_digit(text[length]) >= 0; length++)
			;
	} else {
		if (text[length] == '.' && is_digit(text[length + 1])) {
			*ret_kind = CEL_TOKEN_FLOAT;
			length += 1 + scan_digits(text + length + 1);
		}
		size_t exponent = scan_exponent(text + length);
		if (exponent)
			*ret_kind = CEL_TOKEN_FLOAT;
		length += exponent;
	}
	if (*ret_kind == CEL_TOKEN_INT && (text[length] == 'u' || text[length] == 'U')) {
		*ret_kind = CEL_TOKEN_UINT;
		length++;
	}
	return length;
}

// The prefix of a string literal: any of r and b, each once, in the order b r.
static size_t scan_prefix(const char *text, bool *ret_bytes, bool *ret_raw)
{
	size_t length = 0;
	*ret_bytes = text[length] == 'b' || text[length] == 'B';
	length += *ret_bytes;
	*ret_raw = text[length] == 'r' || text[length] == 'R';
	length += *ret_raw;
	return length;
}

// Past the closing quotes of the literal that begins at `text`; 0 when it isn't closed.
static size_t scan_string(const char *text, const char *end, enum cel_token_kind *ret_kind)
{
	bool bytes, raw;
	const char *at = text + scan_prefix(text, &bytes, &raw);
	char quote = *at;
	bool triple = end - at >= 3 && at[1] == quote && at[2] == quote;
	*ret_kind = bytes ? CEL_TOKEN_BYTES : CEL_TOKEN_STRING;
	for (at += triple ? 3 : 1; at < end; at++) {
		if (*at == '\\' && !raw) {
			at++;
		} else if (*at == quote && (!triple || (end - at >= 3 && at[1] == quote && at[2] == quote))) {
			return (size_t)(at - text) + (triple ? 3 : 1);
		} else if (!triple && (*at == '\n' || *at == '\r')) {
			return 0;
		}
	}
	return 0;
}

static bool begins_string(const char *text)
{
	bool bytes, raw;
	char quote = text[scan_prefix(text, &bytes, &raw)];
	return quote == '"' || quote == '\'';
}

static size_t scan_escaped_identifier(const char *text)
{
	size_t length = 1;
	while (is_letter(text[length]) || is_digit(text[length]) || (text[length] && strchr(".-/ ", text[length])))
		length++;
	return length > 1 && text[length] == '`' ? length + 1 : 0;
}

static uint32_t skip_blanks(const struct cel_issues *issues, uint32_t offset)
{
	const char *text = issues->source;
	while (offset < issues->source_length) {
		if (text[offset] && strchr("\t \r\n\f", text[offset])) {
			offset++;
		} else if (text[offset] == '/' && text[offset + 1] == '/') {
			while (offset < issues->source_length && text[offset] != '\n')
				offset++;
		} else {
			break;
		}
	}
	return offset;
}

static size_t character_bytes(const char *text)
{
	size_t length = 1;
	while (((unsigned char)text[length] & 0xc0) == 0x80)
		length++;
	return length;
}

static enum cel_token_kind keyword_kind(const char *text, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (strlen(keywords[i].text) == length && memcmp(text, keywords[i].text, length) == 0)
			return keywords[i].kind;
	return CEL_TOKEN_IDENT;
}

static size_t scan_operator(const char *text, struct cel_token *token)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t length = strlen(operators[i].text);
		if (strncmp(text, operators[i].text, length) == 0) {
			token->kind = operators[i].kind;
			return length;
		}
	}
	token->kind = CEL_TOKEN_PUNCTUATION;
	token->character = text[0];
	return text[0] && strchr("[]{}().,-!?:+*/%", text[0]) ? 1 : 0;
}

// Length of the token at `text`, 0 when none begins there.
static size_t scan_token(const char *text, const char *end, struct cel_token *token)
{
	size_t length;
	if (begins_string(text))
		return scan_string(text, end, &token->kind);
	if (is_digit(text[0]) || (text[0] == '.' && is_digit(text[1])))
		return scan_number(text, &token->kind);
	if (text[0] == '`') {
		token->kind = CEL_TOKEN_ESCAPED_IDENT;
		return scan_escaped_identifier(text);
	}
	if ((length = scan_identifier(text)) > 0) {
		token->kind = keyword_kind(text, length);
		return length;
	}
	return scan_operator(text, token);
}

struct cel_token cel_lex(struct cel_issues *issues, uint32_t offset)
{
	for (;;) {
		struct cel_token token = {.offset = skip_blanks(issues, offset)};
		const char *text = issues->source + token.offset;
		if (token.offset >= issues->source_length)
			return token;
		token.length = (uint32_t)scan_token(text, issues->source + issues->source_length, &token);
		if (token.length)
			return token;
		size_t bad = begins_string(text) ? strcspn(text, "\n\r") : character_bytes(text);
		cel_issue(issues, token.offset, "Syntax error: token recognition error at: '%.*s'", (int)bad, text);
		offset = token.offset + (uint32_t)bad;
	}
}

// --- escapes --------------------------------------------------------------------------

static void append_code_point(struct strbuf *out, uint32_t code)
{
	if (code < 0x80) {
		strbuf_append_char(out, (char)code);
	} else if (code < 0x800) {
		strbuf_append_char(out, (char)(0xc0 | code >> 6));
		strbuf_append_char(out, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		strbuf_append_char(out, (char)(0xe0 | code >> 12));
		strbuf_append_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
		strbuf_append_char(out, (char)(0x80 | (code & 0x3f)));
	} else {
		strbuf_append_char(out, (char)(0xf0 | code >> 18));
		strbuf_append_char(out, (char)(0x80 | (code >> 12 & 0x3f)));
		strbuf_append_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
		strbuf_append_char(out, (char)(0x80 | (code & 0x3f)));
	}
}

static bool digits_value(const char *text, const char *end, unsigned count, unsigned base, uint32_t *ret_value)
{
	uint32_t value = 0;
	if ((size_t)(end - text) < count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		int digit = hex_digit(text[i]);
		if (digit < 0 || (unsigned)digit >= base)
			return false;
		value = value * base + (unsigned)digit;
	}
	*ret_value = value;
	return true;
}

// One escape sequence, `at` past the backslash; its length, 0 when it is wrong.
static size_t unescape(struct strbuf *out, const char *at, const char *end, bool bytes)
{
	static const char plain[] = "abfnrtv\"'\\?`", meaning[] = "\a\b\f\n\r\t\v\"'\\?`";
	uint32_t code;
	const char *found = at < end && *at ? strchr(plain, *at) : NULL;
	if (found) {
		strbuf_append_char(out, meaning[found - plain]);
		return 1;
	}
	if (at >= end)
		return 0;
	unsigned digits = *at == 'x' || *at == 'X' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
	if (digits) {
		if (!digits_value(at + 1, end, digits, 16, &code) || (bytes && digits > 2))
			return 0;
		if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return 0;
	} else if (*at < '0' || *at > '3' || !digits_value(at, end, 3, 8, &code)) {
		return 0;
	}
	if (bytes)
		strbuf_append_char(out, (char)code);
	else
		append_code_point(out, code);
	return digits ? digits + 1 : 3;
}

bool cel_unquote(struct cel_issues *issues, const struct cel_token *token, struct cel_text *ret_text)
{
	bool bytes, raw;
	AUTO_STRBUF struct strbuf out = STRBUF_INIT(SIZE_MAX / 2);
	const char *text = issues->source + token->offset, *end = text + token->length;
	text += scan_prefix(text, &bytes, &raw);
	size_t quotes = end - text >= 6 && text[1] == text[0] && text[2] == text[0] ? 3 : 1;
	text += quotes;
	end -= quotes;
	while (text < end) {
		if (*text == '\\' && !raw) {
			size_t taken = unescape(&out, text + 1, end, bytes);
			if (!taken) {
				cel_issue(issues, token->offset, "invalid %s literal: unable to unescape string",
				          bytes ? "bytes" : "string");
				return false;
			}
			text += 1 + taken;
		} else if (*text == '\r') { // line ends are newlines, however they were written
			strbuf_append_char(&out, '\n');
			text += text + 1 < end && text[1] == '\n' ? 2 : 1;
		} else {
			strbuf_append_char(&out, *text++);
		}
	}
	char *copy = arena_alloc(issues->arena, out.length + 1);
	memcpy(copy, strbuf_text(&out), out.length + 1);
	*ret_text = (struct cel_text){copy, out.length};
	return true;
}
