// SPDX-License-Identifier: Apache-2.0
// Go's time.ParseDuration and Duration.String, with their error texts: users see
// them in flags and in kubeconfigs. Whole parts are exact, fractions go through a
// double and are rounded to the nanosecond; what doesn't fit 64 bits is refused.

#include "common/base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

struct duration_unit {
	const char *name;
	int64_t size_ns;
};

static const struct duration_unit units[] = {
        {"ns", 1},
        {"us", NSEC_PER_USEC},
        {"\xc2\xb5s", NSEC_PER_USEC}, // micro sign
        {"\xce\xbcs", NSEC_PER_USEC}, // Greek mu
        {"ms", NSEC_PER_MSEC},
        {"s", NSEC_PER_SEC},
        {"m", 60 * NSEC_PER_SEC},
        {"h", 3600 * NSEC_PER_SEC},
};

static const struct duration_unit *find_unit(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0)
			return &units[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

// "12.5": the whole part and the fraction as numerator over a power of ten.
struct decimal {
	int64_t whole;
	double fraction;
	bool any;
	bool overflow;
};

static const char *read_decimal(const char *text, struct decimal *ret)
{
	*ret = (struct decimal){0};
	for (; is_digit(*text); text++, ret->any = true)
		if (__builtin_mul_overflow(ret->whole, 10, &ret->whole) ||
		    __builtin_add_overflow(ret->whole, *text - '0', &ret->whole))
			ret->overflow = true;
	if (*text != '.')
		return text;
	double scale = 0.1;
	for (text++; is_digit(*text); text++, ret->any = true, scale /= 10)
		ret->fraction += (*text - '0') * scale;
	return text;
}

static int invalid(const char *text, struct err *err)
{
	return err_set(err, ERR_PARSE, "time: invalid duration \"%s\"", text);
}

int duration_parse_err(const char *text, int64_t *ret_duration_ns, struct err *err)
{
	const char *at = text;
	bool negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	if (strcmp(at, "0") == 0) {
		*ret_duration_ns = 0;
		return 0;
	}
	if (!*at)
		return invalid(text, err);
	int64_t total = 0;
	while (*at) {
		struct decimal number;
		at = read_decimal(at, &number);
		if (!number.any || number.overflow)
			return invalid(text, err);
		size_t length = strcspn(at, ".0123456789");
		if (!length)
			return err_set(err, ERR_PARSE, "time: missing unit in duration \"%s\"", text);
		const struct duration_unit *unit = find_unit(at, length);
		if (!unit)
			return err_set(err, ERR_PARSE, "time: unknown unit \"%.*s\" in duration \"%s\"", (int)length,
			               at, text);
		int64_t part;
		if (__builtin_mul_overflow(number.whole, unit->size_ns, &part) ||
		    __builtin_add_overflow(part, (int64_t)(number.fraction * (double)unit->size_ns + 0.5), &part) ||
		    __builtin_add_overflow(total, part, &total))
			return invalid(text, err);
		at += length;
	}
	*ret_duration_ns = negative ? -total : total;
	return 0;
}

bool duration_parse(const char *text, int64_t *ret_duration_ns)
{
	return duration_parse_err(text, ret_duration_ns, NULL) == 0;
}

// `value` units of 10^-digits with the trailing zeros of the fraction cut.
static int format_fraction(char *out, size_t size, uint64_t whole, uint64_t fraction, int digits)
{
	int length = snprintf(out, size, "%" PRIu64, whole);
	if (!fraction)
		return length;
	while (fraction % 10 == 0) {
		fraction /= 10;
		digits--;
	}
	return length + snprintf(out + length, size - (size_t)length, ".%0*" PRIu64, digits, fraction);
}

void duration_format(int64_t duration_ns, char out[32])
{
	char *at = out, *end = out + 32;
	uint64_t value = duration_ns < 0 ? -(uint64_t)duration_ns : (uint64_t)duration_ns;
	if (duration_ns < 0)
		*at++ = '-';
	const char *unit = "s";
	if (!value) {
		at += snprintf(at, (size_t)(end - at), "0");
	} else if (value < (uint64_t)NSEC_PER_USEC) {
		at += snprintf(at, (size_t)(end - at), "%" PRIu64, value);
		unit = "ns";
	} else if (value < (uint64_t)NSEC_PER_MSEC) {
		at += format_fraction(at, (size_t)(end - at), value / 1000, value % 1000, 3);
		unit = "\xc2\xb5s";
	} else if (value < (uint64_t)NSEC_PER_SEC) {
		at += format_fraction(at, (size_t)(end - at), value / 1000000, value % 1000000, 6);
		unit = "ms";
	} else {
		uint64_t seconds = value / 1000000000;
		if (seconds >= 3600)
			at += snprintf(at, (size_t)(end - at), "%" PRIu64 "h", seconds / 3600);
		if (seconds >= 60)
			at += snprintf(at, (size_t)(end - at), "%" PRIu64 "m", seconds / 60 % 60);
		at += format_fraction(at, (size_t)(end - at), seconds % 60, value % 1000000000, 9);
	}
	snprintf(at, (size_t)(end - at), "%s", unit);
}
