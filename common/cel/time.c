// SPDX-License-Identifier: Apache-2.0
//
// Timestamps (seconds since 1970 and nanoseconds, years 1 to 9999) and durations
// (nanoseconds), their texts and their parts in a time zone.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/duration.h"
#include "common/cel/evaluate.h"
#include "common/cel/timezone.h"

static const int64_t first_second = INT64_C(-62135596800), last_second = INT64_C(253402300799);

struct civil {
	int64_t year;
	int month, day;           // from 1
	int day_of_year, weekday; // from 0
	int hour, minute, second;
};

// --- the calendar -----------------------------------------------------------------------

static int64_t days_from_civil(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400, in_era = year - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static struct civil civil_from_seconds(int64_t seconds)
{
	int64_t days = seconds / 86400, rest = seconds % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64_t in_era = shifted - era * 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * year + year / 4 - year / 100), part = (5 * in_year + 2) / 153;
	struct civil civil = {
	        .day = (int)(in_year - (153 * part + 2) / 5 + 1),
	        .month = (int)(part < 10 ? part + 3 : part - 9),
	        .hour = (int)(rest / 3600),
	        .minute = (int)(rest / 60 % 60),
	        .second = (int)(rest % 60),
	        .weekday = (int)(((days + 4) % 7 + 7) % 7),
	};
	civil.year = year + era * 400 + (civil.month <= 2);
	civil.day_of_year = (int)(days - days_from_civil(civil.year, 1, 1));
	return civil;
}

// --- texts ----------------------------------------------------------------------------------

static bool take_digits(const char **at, const char *end, int count, int *ret_value)
{
	int value = 0;
	if (end - *at < count)
		return false;
	for (int i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		value = value * 10 + (**at - '0');
	}
	*ret_value = value;
	return true;
}

static bool take(const char **at, const char *end, char character)
{
	if (*at >= end || **at != character)
		return false;
	(*at)++;
	return true;
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

static bool take_date(const char **at, const char *end, int64_t *ret_days)
{
	int year, month, day;
	if (!take_digits(at, end, 4, &year) || !take(at, end, '-') || !take_digits(at, end, 2, &month) ||
	    !take(at, end, '-') || !take_digits(at, end, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return false;
	*ret_days = days_from_civil(year, month, day);
	return true;
}

static bool take_zone(const char **at, const char *end, int *ret_seconds)
{
	int hours, minutes;
	*ret_seconds = 0;
	if (take(at, end, 'Z'))
		return true;
	int sign = *at < end && **at == '-' ? -1 : 1;
	if (!take(at, end, '-') && !take(at, end, '+'))
		return false;
	if (!take_digits(at, end, 2, &hours) || !take(at, end, ':') || !take_digits(at, end, 2, &minutes))
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

static void take_fraction(const char **at, const char *end, uint32_t *ret_nanoseconds)
{
	uint32_t unit = 100000000;
	*ret_nanoseconds = 0;
	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
		*ret_nanoseconds += (uint32_t)(**at - '0') * unit;
}

bool cel_parse_timestamp(const char *text, size_t length, struct cel_value *ret_timestamp)
{
	const char *at = text, *end = text + length;
	int64_t days;
	int hour, minute, second, zone;
	uint32_t nanoseconds = 0;
	if (!take_date(&at, end, &days) || !take(&at, end, 'T') || !take_digits(&at, end, 2, &hour) ||
	    !take(&at, end, ':') || !take_digits(&at, end, 2, &minute) || !take(&at, end, ':') ||
	    !take_digits(&at, end, 2, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	if ((take(&at, end, '.') || take(&at, end, ',')) && at < end && *at >= '0' && *at <= '9')
		take_fraction(&at, end, &nanoseconds);
	if (!take_zone(&at, end, &zone) || at != end)
		return false;
	*ret_timestamp = (struct cel_value){
	        .kind = CEL_TIMESTAMP,
	        .zone_minutes = (int16_t)(zone / 60),
	        .length = nanoseconds,
	        .integer = days * 86400 + hour * 3600 + minute * 60 + second - zone,
	};
	return ret_timestamp->integer >= first_second && ret_timestamp->integer <= last_second;
}

bool cel_parse_date(const char *text, size_t length, int64_t *ret_seconds)
{
	const char *at = text, *end = text + length;
	int64_t days;
	if (!take_date(&at, end, &days) || at != end)
		return false;
	*ret_seconds = days * 86400;
	return true;
}

// ".123" without the zeros at its end.
static size_t fraction_text(uint32_t nanoseconds, char *out)
{
	size_t length = 10;
	if (nanoseconds == 0)
		return 0;
	snprintf(out, 12, ".%09u", nanoseconds);
	while (out[length - 1] == '0')
		length--;
	return length;
}

size_t cel_format_timestamp(const struct cel_value *timestamp, bool in_zone, char out[48])
{
	int zone = in_zone ? timestamp->zone_minutes : 0, distance = zone < 0 ? -zone : zone;
	struct civil civil = civil_from_seconds(timestamp->integer + zone * 60);
	size_t length = (size_t)snprintf(out, 24, "%04d-%02d-%02dT%02d:%02d:%02d", (int)civil.year % 10000, civil.month,
	                                 civil.day, civil.hour, civil.minute, civil.second);
	length += fraction_text(timestamp->length, out + length);
	if (zone)
		return length + (size_t)snprintf(out + length, 8, "%c%02d:%02d", zone < 0 ? '-' : '+',
		                                 distance / 60 % 24, distance % 60);
	out[length++] = 'Z';
	return length;
}

size_t cel_format_duration(int64_t nanoseconds, char out[40])
{
	uint64_t magnitude = nanoseconds < 0 ? -(uint64_t)nanoseconds : (uint64_t)nanoseconds;
	size_t length = (size_t)snprintf(out, 24, "%s%" PRIu64, nanoseconds < 0 ? "-" : "", magnitude / 1000000000);
	length += fraction_text((uint32_t)(magnitude % 1000000000), out + length);
	out[length++] = 's';
	return length;
}

// --- conversions ------------------------------------------------------------------------------

static struct cel_value to_timestamp(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                     unsigned count)
{
	struct cel_value value = {.kind = CEL_TIMESTAMP, .integer = args[0].integer};
	(void)call, (void)count;
	if (args[0].kind == CEL_STRING && !cel_parse_timestamp(args[0].text, args[0].length, &value))
		return cel_fail(eval, "type conversion error from 'string' to 'google.protobuf.Timestamp'");
	if (value.integer < first_second || value.integer > last_second)
		return cel_fail_text("timestamp overflow");
	return value;
}

static struct cel_value to_duration(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                    unsigned count)
{
	char text[128];
	int64_t nanoseconds;
	(void)call, (void)count;
	if (args[0].kind == CEL_INT)
		return cel_make_duration(args[0].integer);
	if (args[0].length < sizeof(text) && !memchr(args[0].text, '\0', args[0].length)) {
		memcpy(text, args[0].text, args[0].length);
		text[args[0].length] = '\0';
		if (duration_parse(text, &nanoseconds))
			return cel_make_duration(nanoseconds);
	}
	return cel_fail(eval, "type conversion error from 'string' to 'google.protobuf.Duration'");
}

static struct cel_value same(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	(void)eval, (void)call, (void)count;
	return args[0];
}

// --- parts ---------------------------------------------------------------------------------------

enum part {
	PART_YEAR,
	PART_MONTH,
	PART_DAY_OF_YEAR,
	PART_DAY_OF_MONTH,
	PART_DATE,
	PART_DAY_OF_WEEK,
	PART_HOURS,
	PART_MINUTES,
	PART_SECONDS,
	PART_MILLISECONDS,
};

static int64_t civil_part(const struct civil *civil, enum part part)
{
	switch (part) {
	case PART_YEAR:
		return civil->year;
	case PART_MONTH:
		return civil->month - 1;
	case PART_DAY_OF_YEAR:
		return civil->day_of_year;
	case PART_DAY_OF_MONTH:
		return civil->day - 1;
	case PART_DATE:
		return civil->day;
	case PART_DAY_OF_WEEK:
		return civil->weekday;
	case PART_HOURS:
		return civil->hour;
	case PART_MINUTES:
		return civil->minute;
	default:
		return civil->second;
	}
}

static struct cel_value timestamp_part(struct cel_eval *eval, const struct cel_value *args, unsigned count,
                                       enum part part)
{
	int64_t offset = 0;
	if (count > 1 && !cel_work(eval, 20000)) // a zone's file is read
		return cel_abort(eval);
	if (count > 1 && !cel_timezone_offset(args[1].text, args[1].length, args[0].integer, &offset))
		return cel_fail(eval, "unknown time zone %.*s", args[1].length > 64 ? 64 : (int)args[1].length,
		                args[1].text);
	if (part == PART_MILLISECONDS)
		return cel_value_int(args[0].length / 1000000);
	struct civil civil = civil_from_seconds(args[0].integer + offset);
	return cel_value_int(civil_part(&civil, part));
}

static struct cel_value duration_part(const struct cel_value *duration, enum part part)
{
	int64_t nanoseconds = duration->integer;
	switch (part) {
	case PART_HOURS:
		return cel_value_int(nanoseconds / INT64_C(3600000000000));
	case PART_MINUTES:
		return cel_value_int(nanoseconds / INT64_C(60000000000));
	case PART_SECONDS:
		return cel_value_int(nanoseconds / 1000000000);
	default:
		return cel_value_int(nanoseconds / 1000000);
	}
}

#define PART(name, part)                                                                                               \
	static struct cel_value name(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args, \
	                             unsigned count)                                                                   \
	{                                                                                                              \
		(void)call;                                                                                            \
		return args[0].kind == CEL_DURATION ? duration_part(&args[0], part)                                    \
		                                    : timestamp_part(eval, args, count, part);                         \
	}
PART(get_full_year, PART_YEAR)
PART(get_month, PART_MONTH)
PART(get_day_of_year, PART_DAY_OF_YEAR)
PART(get_day_of_month, PART_DAY_OF_MONTH)
PART(get_date, PART_DATE)
PART(get_day_of_week, PART_DAY_OF_WEEK)
PART(get_hours, PART_HOURS)
PART(get_minutes, PART_MINUTES)
PART(get_seconds, PART_SECONDS)
PART(get_milliseconds, PART_MILLISECONDS)

#define PART_ROWS(name, call)                     \
	{name, "t.>i", call, CEL_COST_ONE},       \
	{                                         \
		name, "t.s>i", call, CEL_COST_ONE \
	}

static const struct cel_function_row rows[] = {
        {"duration", "r>r", same, CEL_COST_ONE, .conversion = true},
        {"duration", "i>r", to_duration, CEL_COST_ONE, .conversion = true},
        {"duration", "s>r", to_duration, CEL_COST_ONE, .conversion = true},
        {"timestamp", "t>t", same, CEL_COST_ONE, .conversion = true},
        {"timestamp", "i>t", to_timestamp, CEL_COST_ONE, .conversion = true},
        {"timestamp", "s>t", to_timestamp, CEL_COST_ONE, .conversion = true},
        PART_ROWS("getFullYear", get_full_year),
        PART_ROWS("getMonth", get_month),
        PART_ROWS("getDayOfYear", get_day_of_year),
        PART_ROWS("getDayOfMonth", get_day_of_month),
        PART_ROWS("getDate", get_date),
        PART_ROWS("getDayOfWeek", get_day_of_week),
        PART_ROWS("getHours", get_hours),
        {"getHours", "r.>i", get_hours, CEL_COST_ONE},
        PART_ROWS("getMinutes", get_minutes),
        {"getMinutes", "r.>i", get_minutes, CEL_COST_ONE},
        PART_ROWS("getSeconds", get_seconds),
        {"getSeconds", "r.>i", get_seconds, CEL_COST_ONE},
        PART_ROWS("getMilliseconds", get_milliseconds),
        {"getMilliseconds", "r.>i", get_milliseconds, CEL_COST_ONE},
};

const struct cel_library cel_library_time = CEL_LIBRARY(rows);
