// SPDX-License-Identifier: Apache-2.0
//
// The resolution of plain scalars as sigs.k8s.io/yaml does it (a fork of go-yaml
// v2): y, yes, on and their opposites are booleans, "_" may stand within
// numbers, integers take Go's prefixes (0x, 0o, 0b, and 0 for octal), "08" is
// the float 8, dates are recognised and stay strings.
#include "common/api/yaml_resolve.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"

enum { NUMBER_TEXT_MAXIMUM = 512 };

struct word {
	const char *text;
	enum yaml_scalar kind;
	double number;
};

static const struct word words[] = {
        {"", YAML_NULL, 0},
        {"~", YAML_NULL, 0},
        {"null", YAML_NULL, 0},
        {"Null", YAML_NULL, 0},
        {"NULL", YAML_NULL, 0},
        {"y", YAML_TRUE, 0},
        {"Y", YAML_TRUE, 0},
        {"yes", YAML_TRUE, 0},
        {"Yes", YAML_TRUE, 0},
        {"YES", YAML_TRUE, 0},
        {"true", YAML_TRUE, 0},
        {"True", YAML_TRUE, 0},
        {"TRUE", YAML_TRUE, 0},
        {"on", YAML_TRUE, 0},
        {"On", YAML_TRUE, 0},
        {"ON", YAML_TRUE, 0},
        {"n", YAML_FALSE, 0},
        {"N", YAML_FALSE, 0},
        {"no", YAML_FALSE, 0},
        {"No", YAML_FALSE, 0},
        {"NO", YAML_FALSE, 0},
        {"false", YAML_FALSE, 0},
        {"False", YAML_FALSE, 0},
        {"FALSE", YAML_FALSE, 0},
        {"off", YAML_FALSE, 0},
        {"Off", YAML_FALSE, 0},
        {"OFF", YAML_FALSE, 0},
        {".nan", YAML_FLOAT, NAN},
        {".NaN", YAML_FLOAT, NAN},
        {".NAN", YAML_FLOAT, NAN},
        {".inf", YAML_FLOAT, INFINITY},
        {".Inf", YAML_FLOAT, INFINITY},
        {".INF", YAML_FLOAT, INFINITY},
        {"+.inf", YAML_FLOAT, INFINITY},
        {"+.Inf", YAML_FLOAT, INFINITY},
        {"+.INF", YAML_FLOAT, INFINITY},
        {"-.inf", YAML_FLOAT, -INFINITY},
        {"-.Inf", YAML_FLOAT, -INFINITY},
        {"-.INF", YAML_FLOAT, -INFINITY},
};

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

// --- integers ----------------------------------------------------------------------

static int digit_value(char character)
{
	if (is_digit(character))
		return character - '0';
	if ((character | 0x20) >= 'a' && (character | 0x20) <= 'z')
		return (character | 0x20) - 'a' + 10;
	return 99;
}

// The base that a prefix says; *text moves behind it.
static unsigned take_base(const char **text)
{
	const char *start = *text;
	if (start[0] != '0' || !start[1])
		return 10;
	char letter = (char)(start[1] | 0x20);
	*text += letter == 'x' || letter == 'o' || letter == 'b' ? 2 : 1;
	return letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
}

static bool parse_integer(const char *text, struct yaml_resolved *resolved)
{
	bool negative = *text == '-';
	bool has_sign = negative || *text == '+';
	text += has_sign;
	unsigned base = take_base(&text);
	uint64_t value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		int digit = digit_value(*text);
		if (digit >= (int)base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
	}
	if (value > (uint64_t)INT64_MAX + negative) {
		*resolved = (struct yaml_resolved){.kind = YAML_UNSIGNED, .unsigned_integer = value};
		return !has_sign;
	}
	*resolved = (struct yaml_resolved){.kind = YAML_INTEGER, .integer = (int64_t)(negative ? -value : value)};
	return true;
}

// --- floats ------------------------------------------------------------------------

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
static bool has_float_form(const char *text)
{
	if (*text == '-' || *text == '+')
		text++;
	size_t whole = strspn(text, "0123456789");
	text += whole;
	if (*text == '.') {
		size_t fraction = strspn(++text, "0123456789");
		if (!whole && !fraction)
			return false;
		text += fraction;
	} else if (!whole) {
		return false;
	}
	if (*text == 'e' || *text == 'E') {
		text++;
		if (*text == '-' || *text == '+')
			text++;
		if (!is_digit(*text))
			return false;
		text += strspn(text, "0123456789");
	}
	return !*text;
}

static bool parse_float(const char *text, struct yaml_resolved *resolved)
{
	if (!has_float_form(text))
		return false;
	double number = strtod(text, NULL);
	if (isinf(number))
		return false;
	*resolved = (struct yaml_resolved){.kind = YAML_FLOAT, .number = number};
	return true;
}

void yaml_number_text(double number, char out[YAML_NUMBER_BYTES])
{
	int precision = 1;
	do
		snprintf(out, YAML_NUMBER_BYTES, "%.*e", precision - 1, number);
	while (strtod(out, NULL) != number && precision++ < 17);
	double magnitude = fabs(number);
	if (magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21)) {
		const char *exponent = strchr(out, 'e');
		int decimals = precision - 1 - (int)strtol(exponent + 1, NULL, 10);
		snprintf(out, YAML_NUMBER_BYTES, "%.*f", decimals > 0 ? decimals : 0, number);
		return;
	}
	// Go writes e-7, not e-07.
	char *digits = strchr(out, 'e') + 2;
	if (digits[0] == '0' && digits[1])
		memmove(digits, digits + 1, strlen(digits));
}

// --- timestamps --------------------------------------------------------------------

static bool take_number(const char **text, size_t least, size_t most)
{
	size_t digits = strspn(*text, "0123456789");
	*text += digits;
	return digits >= least && digits <= most;
}

static bool take(const char **text, char character)
{
	if (**text != character)
		return false;
	(*text)++;
	return true;
}

// YYYY-M-D, alone or followed by T, t or a blank and a time; a zone only behind T.
static bool is_timestamp(const char *text)
{
	if (!take_number(&text, 4, 4) || !take(&text, '-') || !take_number(&text, 1, 2) || !take(&text, '-') ||
	    !take_number(&text, 1, 2))
		return false;
	if (!*text)
		return true;
	bool zoned = *text == 'T' || *text == 't';
	if (!zoned && *text != ' ')
		return false;
	text++;
	if (!take_number(&text, 1, 2) || !take(&text, ':') || !take_number(&text, 1, 2) || !take(&text, ':') ||
	    !take_number(&text, 1, 2))
		return false;
	if (take(&text, '.') && !take_number(&text, 1, SIZE_MAX))
		return false;
	if (!zoned)
		return !*text;
	if (take(&text, 'Z'))
		return !*text;
	return (take(&text, '+') || take(&text, '-')) && take_number(&text, 2, 2) && take(&text, ':') &&
	       take_number(&text, 2, 2) && !*text;
}

// ----------------------------------------------------------------------------------

static bool find_word(const char *text, size_t length, struct yaml_resolved *resolved)
{
	for (size_t i = 0; length <= 5 && i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].text) == length && memcmp(words[i].text, text, length) == 0) {
			*resolved = (struct yaml_resolved){.kind = words[i].kind, .number = words[i].number};
			return true;
		}
	}
	return false;
}

// The text without underscores, terminated; false when it is too long for a number or holds a NUL.
static bool copy_plain(const char *text, size_t length, char out[NUMBER_TEXT_MAXIMUM])
{
	if (length >= NUMBER_TEXT_MAXIMUM || memchr(text, '\0', length))
		return false;
	size_t written = 0;
	for (size_t i = 0; i < length; i++)
		if (text[i] != '_')
			out[written++] = text[i];
	out[written] = '\0';
	return true;
}

struct yaml_resolved yaml_resolve(const char *text, size_t length)
{
	struct yaml_resolved resolved = {.kind = YAML_TEXT};
	char plain[NUMBER_TEXT_MAXIMUM];
	if (find_word(text, length, &resolved) || !length)
		return resolved;
	if (!is_digit(*text) && !strchr("+-.", *text))
		return resolved;
	if (!copy_plain(text, length, plain))
		return resolved;
	if (*text == '.') {
		if (strlen(plain) == length)
			(void)parse_float(plain, &resolved);
		return resolved;
	}
	if (strlen(plain) == length && is_timestamp(plain))
		resolved.kind = YAML_TIMESTAMP;
	else if (!parse_integer(plain, &resolved) && !parse_float(plain, &resolved))
		resolved.kind = YAML_TEXT;
	return resolved;
}

// [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?
bool yaml_is_base60(const char *text, size_t length)
{
	size_t i = length && (text[0] == '-' || text[0] == '+');
	size_t groups = 0;
	if (i == length || !is_digit(text[i]))
		return false;
	while (i < length && (is_digit(text[i]) || text[i] == '_'))
		i++;
	while (i + 1 < length && text[i] == ':' && is_digit(text[i + 1])) {
		bool two = text[i + 1] <= '5' && i + 2 < length && is_digit(text[i + 2]);
		i += two ? 3 : 2;
		groups++;
	}
	if (groups && i < length && text[i] == '.')
		for (i++; i < length && (is_digit(text[i]) || text[i] == '_'); i++)
			;
	return groups && i == length;
}
