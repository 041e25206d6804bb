// SPDX-License-Identifier: Apache-2.0
//
// Conversions: int(), uint(), double(), string(), bytes(), bool(), type(), dyn(). Numbers
// that don't fit are errors; doubles lose their fraction towards zero. Doubles are printed
// as Go prints them with %g: the fewest digits that read back the same.
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cel/evaluate.h"

static struct cel_value conversion_error(struct cel_eval *eval, const char *from, const char *to)
{
	return cel_fail(eval, "type conversion error from '%s' to '%s'", from, to);
}

// --- doubles in text --------------------------------------------------------------------

// The shortest digits and the decimal exponent: value = 0.DIGITS * 10^exponent.
static int shortest_digits(double value, char digits[32], int *ret_exponent)
{
	char text[40];
	for (int precision = 1; precision <= 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision - 1, value);
		if (strtod(text, NULL) == value)
			break;
	}
	int count = 0;
	const char *at = text;
	for (; *at && *at != 'e'; at++)
		if (*at >= '0' && *at <= '9')
			digits[count++] = *at;
	*ret_exponent = (int)strtol(at + 1, NULL, 10) + 1;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return count;
}

static size_t special_double(double value, char *out)
{
	const char *text = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
	memcpy(out, text, strlen(text) + 1);
	return strlen(text);
}

static size_t plain_digits(const char *digits, int count, int exponent, char *out)
{
	size_t length = 0;
	if (exponent <= 0) {
		out[length++] = '0';
		out[length++] = '.';
		for (int i = exponent; i < 0; i++)
			out[length++] = '0';
	}
	for (int i = 0; i < count || i < exponent; i++) {
		if (i == exponent && i > 0)
			out[length++] = '.';
		out[length++] = i < count ? digits[i] : '0';
	}
	return length;
}

static size_t double_text(double value, bool exponents, char out[400])
{
	char digits[32];
	int exponent;
	size_t length = 0;
	if (!isfinite(value))
		return special_double(value, out);
	if (signbit(value))
		out[length++] = '-';
	value = fabs(value);
	if (value == 0) {
		out[length++] = '0';
		return length;
	}
	int count = shortest_digits(value, digits, &exponent);
	if (!exponents || (exponent - 1 >= -4 && exponent - 1 < 6))
		return length + plain_digits(digits, count, exponent, out + length);
	out[length++] = digits[0];
	if (count > 1) {
		out[length++] = '.';
		memcpy(out + length, digits + 1, (size_t)count - 1);
		length += (size_t)count - 1;
	}
	return length + (size_t)snprintf(out + length, 16, "e%c%02d", exponent - 1 < 0 ? '-' : '+', abs(exponent - 1));
}

size_t cel_format_double(double value, char out[400])
{
	return double_text(value, false, out);
}

// --- to string -----------------------------------------------------------------------------

static struct cel_value integer_text(struct cel_eval *eval, const struct cel_value *value)
{
	char text[32];
	int length = value->kind == CEL_INT ? snprintf(text, sizeof(text), "%" PRId64, value->integer)
	                                    : snprintf(text, sizeof(text), "%" PRIu64, value->unsigned_integer);
	return cel_copy_text(eval, text, (size_t)length);
}

static bool valid_utf8(const char *text, size_t length)
{
	for (size_t i = 0, bytes; i < length; i += bytes) {
		uint32_t rune;
		bytes = cel_decode_rune(text + i, length - i, &rune);
		if (rune == UINT32_MAX)
			return false;
	}
	return true;
}

static struct cel_value bytes_text(const struct cel_value *bytes)
{
	if (!valid_utf8(bytes->text, bytes->length))
		return cel_fail_text("invalid UTF-8 in bytes, cannot convert to string");
	return cel_value_string(bytes->text, bytes->length);
}

struct cel_value cel_convert_string(struct cel_eval *eval, const struct cel_value *value)
{
	char text[400];
	switch (value->kind) {
	case CEL_STRING:
		return *value;
	case CEL_BOOL:
		return value->boolean ? cel_value_string("true", 4) : cel_value_string("false", 5);
	case CEL_INT:
	case CEL_UINT:
		return integer_text(eval, value);
	case CEL_DOUBLE:
		return cel_copy_text(eval, text, double_text(value->real, true, text));
	case CEL_BYTES:
		return bytes_text(value);
	case CEL_TIMESTAMP:
		return cel_copy_text(eval, text, cel_format_timestamp(value, true, text));
	case CEL_DURATION:
		return cel_copy_text(eval, text, cel_format_duration(value->integer, text));
	default:
		return conversion_error(eval, cel_value_type_name(value), "string");
	}
}

static struct cel_value to_string(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)call, (void)count;
	return cel_convert_string(eval, &args[0]);
}

// --- to numbers ------------------------------------------------------------------------------

// Digits with an optional sign and nothing else, as Go's ParseInt in base 10.
static bool parse_integer(const struct cel_value *value, bool is_unsigned, bool *ret_negative, uint64_t *ret_magnitude)
{
	const char *at = value->text, *end = at + value->length;
	uint64_t magnitude = 0;
	*ret_negative = false;
	if (!is_unsigned && at < end && (*at == '-' || *at == '+'))
		*ret_negative = *at++ == '-';
	if (at == end)
		return false;
	for (; at < end; at++)
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
		    __builtin_add_overflow(magnitude, (uint64_t)(*at - '0'), &magnitude))
			return false;
	*ret_magnitude = magnitude;
	return true;
}

static struct cel_value text_to_int(struct cel_eval *eval, const struct cel_value *value)
{
	bool negative;
	uint64_t magnitude;
	if (!parse_integer(value, false, &negative, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
		return conversion_error(eval, "string", "int");
	return cel_value_int(negative ? (int64_t)-magnitude : (int64_t)magnitude);
}

static struct cel_value to_int(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	const struct cel_value *value = &args[0];
	(void)call, (void)count;
	switch (value->kind) {
	case CEL_UINT:
		return value->unsigned_integer > INT64_MAX ? cel_fail_text("integer overflow")
		                                           : cel_value_int((int64_t)value->unsigned_integer);
	case CEL_DOUBLE:
		// The limits themselves are out: doubles can't tell them from what is beyond.
		if (!(value->real > -9223372036854775808.0 && value->real < 9223372036854775807.0))
			return cel_fail_text("integer overflow");
		return cel_value_int((int64_t)value->real);
	case CEL_STRING:
		return text_to_int(eval, value);
	default: // int, timestamp, duration
		return cel_value_int(value->integer);
	}
}

static struct cel_value to_uint(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	const struct cel_value *value = &args[0];
	bool negative;
	uint64_t magnitude;
	(void)call, (void)count;
	switch (value->kind) {
	case CEL_INT:
		return value->integer < 0 ? cel_fail_text("unsigned integer overflow")
		                          : cel_make_uint((uint64_t)value->integer);
	case CEL_DOUBLE:
		if (!(value->real >= 0 && value->real < 18446744073709551615.0))
			return cel_fail_text("unsigned integer overflow");
		return cel_make_uint((uint64_t)value->real);
	case CEL_STRING:
		return parse_integer(value, true, &negative, &magnitude) ? cel_make_uint(magnitude)
		                                                         : conversion_error(eval, "string", "uint");
	default:
		return *value;
	}
}

// Go's ParseFloat takes decimal and hexadecimal numbers, inf, infinity and nan; strtod also takes blanks in front.
static struct cel_value text_to_double(struct cel_eval *eval, const struct cel_value *value)
{
	char text[128];
	char *end;
	if (value->length == 0 || value->length >= sizeof(text) || memchr(value->text, '\0', value->length) ||
	    strchr(" \t\n\v\f\r", value->text[0]) || memchr(value->text, '(', value->length))
		return conversion_error(eval, "string", "double");
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	errno = 0;
	double real = strtod(text, &end);
	if (*end || (errno == ERANGE && fabs(real) > 1))
		return conversion_error(eval, "string", "double");
	return cel_make_double(real);
}

static struct cel_value to_double(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                  unsigned count)
{
	(void)call, (void)count;
	switch (args[0].kind) {
	case CEL_INT:
		return cel_make_double((double)args[0].integer);
	case CEL_UINT:
		return cel_make_double((double)args[0].unsigned_integer);
	case CEL_STRING:
		return text_to_double(eval, &args[0]);
	default:
		return args[0];
	}
}

// --- to the rest ---------------------------------------------------------------------------------

static struct cel_value to_bool(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	static const char *const words[2][6] = {{"0", "f", "F", "FALSE", "false", "False"},
	                                        {"1", "t", "T", "TRUE", "true", "True"}};
	(void)call, (void)count;
	if (args[0].kind == CEL_BOOL)
		return args[0];
	for (int i = 0; i < 12; i++) {
		const char *word = words[i / 6][i % 6];
		if (strlen(word) == args[0].length && memcmp(word, args[0].text, args[0].length) == 0)
			return cel_value_bool(i >= 6);
	}
	return conversion_error(eval, "string", "bool");
}

static struct cel_value to_bytes(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	struct cel_value bytes = args[0];
	(void)eval, (void)call, (void)count;
	bytes.kind = CEL_BYTES;
	return bytes;
}

static struct cel_value to_type(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_make_type(cel_type_of(&args[0]));
}

static struct cel_value same(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)eval, (void)call, (void)count;
	return args[0];
}

#define CONVERSION(name, types, call_, cost_)                                                                  \
	{                                                                                                      \
		.function = (name), .signature = (types), .call = (call_), .cost = (cost_), .conversion = true \
	}

static const struct cel_function_row rows[] = {
        CONVERSION("bool", "b>b", to_bool, CEL_COST_ONE),
        CONVERSION("bool", "s>b", to_bool, CEL_COST_ONE),
        CONVERSION("bytes", "y>y", same, CEL_COST_ONE),
        CONVERSION("bytes", "s>y", to_bytes, CEL_COST_TO_BYTES),
        CONVERSION("double", "d>d", same, CEL_COST_ONE),
        CONVERSION("double", "i>d", to_double, CEL_COST_ONE),
        CONVERSION("double", "s>d", to_double, CEL_COST_ONE),
        CONVERSION("double", "u>d", to_double, CEL_COST_ONE),
        CONVERSION("int", "i>i", same, CEL_COST_ONE),
        CONVERSION("int", "d>i", to_int, CEL_COST_ONE),
        CONVERSION("int", "r>i", to_int, CEL_COST_ONE),
        CONVERSION("int", "s>i", to_int, CEL_COST_ONE),
        CONVERSION("int", "t>i", to_int, CEL_COST_ONE),
        CONVERSION("int", "u>i", to_int, CEL_COST_ONE),
        CONVERSION("string", "s>s", same, CEL_COST_ONE),
        CONVERSION("string", "b>s", to_string, CEL_COST_ONE),
        CONVERSION("string", "y>s", to_string, CEL_COST_TO_TEXT),
        CONVERSION("string", "d>s", to_string, CEL_COST_ONE),
        CONVERSION("string", "r>s", to_string, CEL_COST_ONE),
        CONVERSION("string", "i>s", to_string, CEL_COST_ONE),
        CONVERSION("string", "t>s", to_string, CEL_COST_ONE),
        CONVERSION("string", "u>s", to_string, CEL_COST_ONE),
        CONVERSION("uint", "u>u", same, CEL_COST_ONE),
        CONVERSION("uint", "d>u", to_uint, CEL_COST_ONE),
        CONVERSION("uint", "i>u", to_uint, CEL_COST_ONE),
        CONVERSION("uint", "s>u", to_uint, CEL_COST_ONE),
        {.function = "type", .signature = "A>@A", .call = to_type, .cost = CEL_COST_ONE},
        {.function = "dyn", .signature = "A>*", .call = same, .cost = CEL_COST_ONE},
};

const struct cel_library cel_library_convert = CEL_LIBRARY(rows);
