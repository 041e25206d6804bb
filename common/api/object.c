// SPDX-License-Identifier: Apache-2.0
// Times are RFC 3339 as Go prints and reads them: seconds for metav1.Time, six
// digits of a second for MicroTime; any fraction and any zone are read. Arithmetic
// on dates is ours, since the C library's knows zones and locales that must not
// matter here.

#include "common/api/object.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

const char *object_api_version(const struct json *object)
{
	return json_get_text(object, "apiVersion");
}

const char *object_kind(const struct json *object)
{
	return json_get_text(object, "kind");
}

struct json *object_metadata(const struct json *object)
{
	struct json *metadata = json_get(object, "metadata");
	return json_is(metadata, JSON_OBJECT) ? metadata : NULL;
}

const char *object_name(const struct json *object)
{
	return json_get_text(object_metadata(object), "name");
}

const char *object_namespace(const struct json *object)
{
	return json_get_text(object_metadata(object), "namespace");
}

const char *object_uid(const struct json *object)
{
	return json_get_text(object_metadata(object), "uid");
}

const char *object_resource_version(const struct json *object)
{
	return json_get_text(object_metadata(object), "resourceVersion");
}

bool object_is_being_deleted(const struct json *object)
{
	return json_get_text(object_metadata(object), "deletionTimestamp") != NULL;
}

struct json *object_ensure_condition(struct arena *arena, struct json *status, const char *type)
{
	struct json *conditions = json_ensure_array(arena, status, "conditions"), *condition;

	json_for_each_item (held, conditions) {
		const char *held_type = json_get_text(held, "type");
		if (held_type && !strcmp(held_type, type))
			return held;
	}
	condition = json_object(arena);
	json_set_text(arena, condition, "type", type);
	json_append(arena, conditions, condition);
	return condition;
}

void api_version_split(struct arena *arena, const char *api_version, const char **ret_group, const char **ret_version)
{
	const char *slash = strchr(api_version, '/');
	*ret_group = slash ? arena_strndup(arena, api_version, (size_t)(slash - api_version)) : "";
	*ret_version = arena_strdup(arena, slash ? slash + 1 : api_version);
}

char *object_key(struct arena *arena, const char *namespace_name, const char *name)
{
	if (!namespace_name || !*namespace_name)
		return arena_strdup(arena, name);
	return arena_printf(arena, "%s/%s", namespace_name, name);
}

// --- time ------------------------------------------------------------------------
// Days are counted in the proleptic Gregorian calendar, by years that begin in
// March, so that the leap day is the last one of its year.

static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	*ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

void api_time_format_parts(int64_t seconds, int32_t nanoseconds, bool micro, char out[API_TIME_BYTES])
{
	int64_t days = seconds / 86400;
	int64_t second_of_day = seconds % 86400;
	if (second_of_day < 0) {
		second_of_day += 86400;
		days--;
	}
	int64_t year;
	unsigned month, day;
	date_from_days(days, &year, &month, &day);
	int length = snprintf(out, API_TIME_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u", (int)year, month, day,
	                      (unsigned)(second_of_day / 3600), (unsigned)(second_of_day / 60 % 60),
	                      (unsigned)(second_of_day % 60));
	if (micro)
		snprintf(out + length, API_TIME_BYTES - (size_t)length, ".%06uZ", (unsigned)(nanoseconds / 1000));
	else
		snprintf(out + length, API_TIME_BYTES - (size_t)length, "Z");
}

static void format_time(int64_t realtime_ns, bool micro, char out[API_TIME_BYTES])
{
	int64_t seconds = realtime_ns / NSEC_PER_SEC;
	int64_t nanoseconds = realtime_ns % NSEC_PER_SEC;
	if (nanoseconds < 0) {
		nanoseconds += NSEC_PER_SEC;
		seconds--;
	}
	api_time_format_parts(seconds, (int32_t)nanoseconds, micro, out);
}

void api_time_format(int64_t realtime_ns, char out[API_TIME_BYTES])
{
	format_time(realtime_ns, false, out);
}

void api_micro_time_format(int64_t realtime_ns, char out[API_TIME_BYTES])
{
	format_time(realtime_ns, true, out);
}

static bool read_digits(const char **text, unsigned count, unsigned maximum, unsigned *ret_value)
{
	unsigned value = 0;
	for (unsigned i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (unsigned)(**text - '0');
	}
	*ret_value = value;
	return value <= maximum;
}

static bool read_character(const char **text, char character)
{
	if (**text != character)
		return false;
	(*text)++;
	return true;
}

static bool read_date(const char **text, int64_t *ret_days)
{
	static const uint8_t days_of_month[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned year, month, day;
	if (!read_digits(text, 4, 9999, &year) || !read_character(text, '-') || !read_digits(text, 2, 12, &month) ||
	    !month || !read_character(text, '-') || !read_digits(text, 2, days_of_month[month - 1], &day) || !day)
		return false;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	*ret_days = days_from_date(year, month, day);
	return leap || month != 2 || day < 29;
}

// "Z" or "+hh:mm" at the end of the text, as seconds east.
static bool read_zone(const char **text, int64_t *ret_seconds)
{
	*ret_seconds = 0;
	if (read_character(text, 'Z'))
		return !**text;
	char sign = **text;
	unsigned hours, minutes;
	if ((sign != '+' && sign != '-') || !(*text)++ || !read_digits(text, 2, 23, &hours) ||
	    !read_character(text, ':') || !read_digits(text, 2, 59, &minutes) || **text)
		return false;
	*ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
	return true;
}

bool api_time_parse_parts(const char *text, int64_t *ret_seconds, int32_t *ret_nanoseconds)
{
	int64_t days, zone_seconds;
	unsigned hours, minutes, seconds;
	if (!text || !read_date(&text, &days) || !read_character(&text, 'T') || !read_digits(&text, 2, 23, &hours) ||
	    !read_character(&text, ':') || !read_digits(&text, 2, 59, &minutes) || !read_character(&text, ':') ||
	    !read_digits(&text, 2, 59, &seconds))
		return false;
	int64_t nanoseconds = 0;
	if (read_character(&text, '.')) {
		if (*text < '0' || *text > '9')
			return false;
		for (int64_t unit = NSEC_PER_SEC / 10; *text >= '0' && *text <= '9'; text++, unit /= 10)
			nanoseconds += (*text - '0') * unit;
	}
	if (!read_zone(&text, &zone_seconds))
		return false;
	*ret_seconds = days * 86400 + hours * 3600 + minutes * 60 + seconds - zone_seconds;
	*ret_nanoseconds = (int32_t)nanoseconds;
	return true;
}

bool api_time_parse(const char *text, int64_t *ret_realtime_ns)
{
	int64_t total, result;
	int32_t nanoseconds;
	if (!api_time_parse_parts(text, &total, &nanoseconds))
		return false;
	if (__builtin_mul_overflow(total, NSEC_PER_SEC, &result) ||
	    __builtin_add_overflow(result, nanoseconds, &result))
		result = total < 0 ? INT64_MIN : INT64_MAX; // Go's zero time, and other far ones
	*ret_realtime_ns = result;
	return true;
}

// --- durations --------------------------------------------------------------------

// "3h5m", or "3h" when the smaller part is zero.
static void two_units(char out[HUMAN_DURATION_BYTES], int64_t large, char large_unit, int64_t small, char small_unit)
{
	if (small)
		snprintf(out, HUMAN_DURATION_BYTES, "%lld%c%lld%c", (long long)large, large_unit, (long long)small,
		         small_unit);
	else
		snprintf(out, HUMAN_DURATION_BYTES, "%lld%c", (long long)large, large_unit);
}

void human_duration(int64_t duration_ns, char out[HUMAN_DURATION_BYTES])
{
	int64_t seconds = duration_ns / NSEC_PER_SEC;
	int64_t minutes = seconds / 60;
	int64_t hours = minutes / 60;
	int64_t days = hours / 24;
	if (seconds < -1)
		snprintf(out, HUMAN_DURATION_BYTES, "<invalid>");
	else if (seconds < 120)
		two_units(out, seconds < 0 ? 0 : seconds, 's', 0, 's');
	else if (minutes < 10)
		two_units(out, minutes, 'm', seconds % 60, 's');
	else if (minutes < 180)
		two_units(out, minutes, 'm', 0, 's');
	else if (hours < 8)
		two_units(out, hours, 'h', minutes % 60, 'm');
	else if (hours < 48)
		two_units(out, hours, 'h', 0, 'm');
	else if (hours < 192)
		two_units(out, days, 'd', hours % 24, 'h');
	else if (days < 365 * 2)
		two_units(out, days, 'd', 0, 'h');
	else if (days < 365 * 8)
		two_units(out, days / 365, 'y', days % 365, 'd');
	else
		two_units(out, days / 365, 'y', 0, 'd');
}
