// SPDX-License-Identifier: Apache-2.0
//
// resource.Quantity. The text is split as upstream splits it (sign, digits,
// fraction, suffix), and its digits times its suffix become a count of nano
// units: in 128-bit arithmetic where that is surely exact (nearly always), else
// in a small big-number of 32-bit limbs. What is finer than one nano unit is
// rounded away from zero; binary quantities are capped at 2^63-1; a decimal one
// that does not fit is refused (upstream keeps any size, canonical text of such
// numbers has no suffix there).
#include "common/api/quantity.h"

#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"

#define NANO_PER_UNIT ((__int128)1000000000)
#define NANO_MAXIMUM ((__int128)(~(unsigned __int128)0 >> 1))
#define BINARY_MAXIMUM ((__int128)INT64_MAX * NANO_PER_UNIT)

enum {
	NANO_DIGITS = 9,
	LARGEST_EXPONENT = 1000000,
	LIMBS = 64, // 2048 bits
};

static const char format_wrong[] =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

struct suffix {
	const char *text;
	int exponent; // of ten or of two
};

static const struct suffix decimal_suffixes[] = {
        {"n", -9}, {"u", -6}, {"m", -3}, {"", 0}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18},
};

static const struct suffix binary_suffixes[] = {
        {"Ki", 10}, {"Mi", 20}, {"Gi", 30}, {"Ti", 40}, {"Pi", 50}, {"Ei", 60},
};

// The parts of a quantity's text.
struct parts {
	bool negative;
	const char *digits; // in front of the point, without leading zeros
	size_t digit_count;
	const char *fraction;
	size_t fraction_count;
	const char *suffix;
	int decimal_exponent; // of the suffix
	int binary_exponent;
	enum quantity_format format;
};

static size_t span_digits(const char *text)
{
	return strspn(text, "0123456789");
}

static int split(const char *text, struct parts *parts, struct err *err)
{
	if (!*text)
		return err_set(err, ERR_PARSE, "%s", format_wrong);
	parts->negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	text += strspn(text, "0");
	parts->digits = text;
	parts->digit_count = span_digits(text);
	text += parts->digit_count;
	parts->fraction_count = 0;
	if (*text == '.') {
		parts->fraction = ++text;
		parts->fraction_count = span_digits(text);
		text += parts->fraction_count;
		while (parts->fraction_count && parts->fraction[parts->fraction_count - 1] == '0')
			parts->fraction_count--;
	}
	parts->suffix = text;
	text += strspn(text, "eEinumkKMGTP");
	if (*text == '-' || *text == '+')
		text++;
	text += span_digits(text);
	return *text ? err_set(err, ERR_PARSE, "%s", format_wrong) : 0;
}

// The digits behind 'e', saturating.
static bool read_exponent(const char *text, int *ret_exponent)
{
	bool negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	if (!*text || text[span_digits(text)])
		return false;
	int value = 0;
	for (; *text; text++)
		if (value < LARGEST_EXPONENT)
			value = value * 10 + (*text - '0');
	*ret_exponent = negative ? -value : value;
	return true;
}

static int interpret_suffix(struct parts *parts, struct err *err)
{
	parts->decimal_exponent = parts->binary_exponent = 0;
	parts->format = QUANTITY_DECIMAL_SI;
	for (size_t i = 0; i < ARRAY_SIZE(decimal_suffixes); i++) {
		if (strcmp(parts->suffix, decimal_suffixes[i].text) == 0) {
			parts->decimal_exponent = decimal_suffixes[i].exponent;
			return 0;
		}
	}
	parts->format = QUANTITY_BINARY_SI;
	for (size_t i = 0; i < ARRAY_SIZE(binary_suffixes); i++) {
		if (strcmp(parts->suffix, binary_suffixes[i].text) == 0) {
			parts->binary_exponent = binary_suffixes[i].exponent;
			return 0;
		}
	}
	parts->format = QUANTITY_DECIMAL_EXPONENT;
	if ((*parts->suffix == 'e' || *parts->suffix == 'E') &&
	    read_exponent(parts->suffix + 1, &parts->decimal_exponent))
		return 0;
	return err_set(err, ERR_PARSE, "unable to parse quantity's suffix");
}

// --- the exact way ------------------------------------------------------------------

struct big {
	uint32_t limbs[LIMBS]; // the lowest first
	bool overflow;
};

static void big_multiply_add(struct big *big, uint32_t factor, uint32_t addend)
{
	uint64_t carry = addend;
	for (size_t i = 0; i < LIMBS; i++) {
		carry += (uint64_t)big->limbs[i] * factor;
		big->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
	big->overflow = big->overflow || carry;
}

// Divides by ten and returns the remainder.
static uint32_t big_divide_by_ten(struct big *big)
{
	uint64_t rest = 0;
	for (size_t i = LIMBS; i-- > 0;) {
		rest = rest << 32 | big->limbs[i];
		big->limbs[i] = (uint32_t)(rest / 10);
		rest %= 10;
	}
	return (uint32_t)rest;
}

static bool big_is_zero(const struct big *big)
{
	for (size_t i = 0; i < LIMBS; i++)
		if (big->limbs[i])
			return false;
	return true;
}

// The value, or -1 when it needs more than 127 bits.
static __int128 big_value(const struct big *big)
{
	unsigned __int128 value = 0;
	for (size_t i = 4; i < LIMBS; i++)
		if (big->limbs[i])
			return -1;
	for (size_t i = 4; i-- > 0;)
		value = value << 32 | big->limbs[i];
	return value > (unsigned __int128)NANO_MAXIMUM ? -1 : (__int128)value;
}

static void big_add_digits(struct big *big, const char *digits, size_t count)
{
	size_t i = 0;
	if (big_is_zero(big))
		while (i < count && digits[i] == '0')
			i++;
	for (; i < count && !big->overflow; i++)
		big_multiply_add(big, 10, (uint32_t)(digits[i] - '0'));
}

// The count of nano units, -1 when it is too large.
static __int128 exact_nano(const struct parts *parts)
{
	struct big big = {0};
	big_add_digits(&big, parts->digits, parts->digit_count);
	big_add_digits(&big, parts->fraction, parts->fraction_count);
	for (int i = 0; i < parts->binary_exponent; i++)
		big_multiply_add(&big, 2, 0);
	if (big_is_zero(&big))
		return 0;
	long exponent = parts->decimal_exponent + NANO_DIGITS - (long)parts->fraction_count;
	bool inexact = false;
	for (; exponent > 0 && !big.overflow; exponent--)
		big_multiply_add(&big, 10, 0);
	for (; exponent < 0 && !big_is_zero(&big); exponent++)
		inexact = big_divide_by_ten(&big) || inexact;
	if (big.overflow)
		return -1;
	if (inexact)
		big_multiply_add(&big, 1, 1);
	return big_value(&big);
}

// --- the fast way --------------------------------------------------------------------

// True and the count of nano units when it takes no rounding and no large numbers.
static bool fast_nano(const struct parts *parts, __int128 *ret_nano)
{
	long exponent = parts->decimal_exponent + NANO_DIGITS - (long)parts->fraction_count;
	if (parts->digit_count + parts->fraction_count > 18 || exponent < 0 || exponent > 18)
		return false;
	uint64_t digits = 0;
	for (size_t i = 0; i < parts->digit_count; i++)
		digits = digits * 10 + (uint64_t)(parts->digits[i] - '0');
	for (size_t i = 0; i < parts->fraction_count; i++)
		digits = digits * 10 + (uint64_t)(parts->fraction[i] - '0');
	uint64_t power = 1;
	for (; exponent > 0; exponent--)
		power *= 10;
	__int128 value = (__int128)digits * power; // below 10^36
	return !__builtin_mul_overflow(value, (__int128)1 << parts->binary_exponent, ret_nano);
}

int quantity_parse(const char *text, struct quantity *ret_quantity, struct err *err)
{
	struct parts parts = {0};
	int code = split(text, &parts, err);
	if (!code)
		code = interpret_suffix(&parts, err);
	if (code)
		return code;
	__int128 nano;
	if (!fast_nano(&parts, &nano))
		nano = exact_nano(&parts);
	if (parts.format == QUANTITY_BINARY_SI && (nano < 0 || nano > BINARY_MAXIMUM))
		nano = BINARY_MAXIMUM;
	if (nano < 0)
		return err_set(err, ERR_PARSE, "unable to parse numeric part of quantity");
	if (parts.format == QUANTITY_BINARY_SI && nano > 0 && nano < NANO_PER_UNIT)
		parts.format = QUANTITY_DECIMAL_SI;
	ret_quantity->nano = parts.negative ? -nano : nano;
	ret_quantity->format = parts.format;
	return 0;
}

// --- canonical text -------------------------------------------------------------------

static void write_number(unsigned __int128 value, char out[40])
{
	char digits[40];
	char *first = digits + sizeof(digits);
	do {
		*--first = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	size_t length = (size_t)(digits + sizeof(digits) - first);
	memcpy(out, first, length);
	out[length] = '\0';
}

static void format_decimal(unsigned __int128 nano, bool exponent_form, const char *sign, char out[QUANTITY_TEXT_BYTES])
{
	int exponent = -NANO_DIGITS;
	int largest = exponent_form ? 36 : 18;
	while (exponent < largest && nano % 1000 == 0) {
		nano /= 1000;
		exponent += 3;
	}
	char number[40];
	write_number(nano, number);
	if (!exponent_form)
		snprintf(out, QUANTITY_TEXT_BYTES, "%s%s%s", sign, number,
		         decimal_suffixes[(exponent + NANO_DIGITS) / 3].text);
	else if (exponent)
		snprintf(out, QUANTITY_TEXT_BYTES, "%s%se%d", sign, number, exponent);
	else
		snprintf(out, QUANTITY_TEXT_BYTES, "%s%s", sign, number);
}

static void format_binary(unsigned __int128 units, const char *sign, char out[QUANTITY_TEXT_BYTES])
{
	size_t times = 0;
	while (times < ARRAY_SIZE(binary_suffixes) && units % 1024 == 0) {
		units /= 1024;
		times++;
	}
	char number[40];
	write_number(units, number);
	snprintf(out, QUANTITY_TEXT_BYTES, "%s%s%s", sign, number, times ? binary_suffixes[times - 1].text : "");
}

void quantity_format(const struct quantity *quantity, char out[QUANTITY_TEXT_BYTES])
{
	const char *sign = quantity->nano < 0 ? "-" : "";
	unsigned __int128 nano = (unsigned __int128)(quantity->nano < 0 ? -quantity->nano : quantity->nano);
	if (!nano)
		snprintf(out, QUANTITY_TEXT_BYTES, "0");
	else if (quantity->format == QUANTITY_BINARY_SI && nano >= 1024 * (unsigned __int128)NANO_PER_UNIT &&
	         nano % (unsigned __int128)NANO_PER_UNIT == 0)
		format_binary(nano / (unsigned __int128)NANO_PER_UNIT, sign, out);
	else
		format_decimal(nano, quantity->format == QUANTITY_DECIMAL_EXPONENT, sign, out);
}

// --- values -----------------------------------------------------------------------------

static int64_t scaled(__int128 nano, int64_t divisor)
{
	__int128 value = nano / divisor;
	if (nano % divisor)
		value += nano < 0 ? -1 : 1;
	if (value > INT64_MAX)
		return INT64_MAX;
	return value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

int64_t quantity_value(const struct quantity *quantity)
{
	return scaled(quantity->nano, 1000000000);
}

int64_t quantity_milli_value(const struct quantity *quantity)
{
	return scaled(quantity->nano, 1000000);
}

int quantity_compare(const struct quantity *a, const struct quantity *b)
{
	return (a->nano > b->nano) - (a->nano < b->nano);
}

int64_t quantity_text_value(const char *text)
{
	struct quantity quantity;
	return text && quantity_parse(text, &quantity, NULL) == 0 ? quantity_value(&quantity) : 0;
}

int64_t quantity_text_milli_value(const char *text)
{
	struct quantity quantity;
	return text && quantity_parse(text, &quantity, NULL) == 0 ? quantity_milli_value(&quantity) : 0;
}
