// SPDX-License-Identifier: Apache-2.0
//
// Zone files are read as RFC 8536 has them, the 64-bit part of version 2 and later: the
// last transition at or before the moment says which offset holds. After the last one in
// the file the rule of its footer (POSIX's TZ text) holds, of which the common form is
// read: two names with offsets and the Mm.w.d days on which they change.
#include "common/cel/timezone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum { LARGEST_ZONE_FILE = 64 * 1024, HEADER_BYTES = 44 };

struct zone_file {
	unsigned char *data;
	size_t length;
};

static int64_t big_endian(const unsigned char *at, size_t bytes)
{
	uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return (int64_t)value;
}

static bool valid_name(const char *name, size_t length)
{
	if (length == 0 || length > 64 || name[0] == '/')
		return false;
	for (size_t i = 0; i < length; i++) {
		bool letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
		              (name[i] >= '0' && name[i] <= '9') || (name[i] && strchr("/_+-", name[i]));
		if (!letter)
			return false;
	}
	return true;
}

static bool read_zone(const char *name, size_t length, struct zone_file *ret_file)
{
	static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo"};
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%.*s", folders[i], (int)length, name);
		FILE *file = fopen(path, "re");
		if (!file)
			continue;
		ret_file->data = xmalloc(LARGEST_ZONE_FILE);
		ret_file->length = fread(ret_file->data, 1, LARGEST_ZONE_FILE - 1, file);
		ret_file->data[ret_file->length] = '\0';
		fclose(file);
		return true;
	}
	return false;
}

// --- the footer's rule ----------------------------------------------------------------

struct rule_day {
	int month, week, weekday;
	int64_t seconds;
};

struct zone_rule {
	int64_t standard, daylight;
	bool has_daylight;
	struct rule_day begin, end;
};

static const char *skip_abbreviation(const char *at)
{
	if (*at == '<') {
		const char *close = strchr(at, '>');
		return close ? close + 1 : at + strlen(at);
	}
	while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
		at++;
	return at;
}

// [+-]h[h][:mm[:ss]] in seconds.
static const char *read_clock(const char *at, int64_t *ret_seconds)
{
	int64_t sign = *at == '-' ? -1 : 1, unit = 3600, total = 0;
	char *end;
	if (*at == '-' || *at == '+')
		at++;
	for (; unit; unit /= 60) {
		total += strtol(at, &end, 10) * unit;
		at = end;
		if (*at != ':')
			break;
		at++;
	}
	*ret_seconds = sign * total;
	return at;
}

static const char *read_day(const char *at, struct rule_day *day)
{
	int taken = 0;
	day->seconds = 7200;
	if (sscanf(at, ",M%d.%d.%d%n", &day->month, &day->week, &day->weekday, &taken) != 3)
		return NULL;
	at += taken;
	return *at == '/' ? read_clock(at + 1, &day->seconds) : at;
}

static bool read_rule(const char *at, struct zone_rule *rule)
{
	*rule = (struct zone_rule){0};
	at = read_clock(skip_abbreviation(at), &rule->standard);
	rule->standard = -rule->standard; // POSIX counts westwards
	if (*at == '\n' || *at == '\0')
		return true;
	rule->has_daylight = true;
	rule->daylight = rule->standard + 3600;
	at = skip_abbreviation(at);
	if (*at != ',') {
		at = read_clock(at, &rule->daylight);
		rule->daylight = -rule->daylight;
	}
	at = read_day(at, &rule->begin);
	return at && read_day(at, &rule->end) != NULL;
}

static int64_t days_before(int64_t year, int month)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400, in_era = year - era * 400;
	int64_t day = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day - 719468;
}

// Seconds of the year's change, counted in local time.
static int64_t change_of(int64_t year, const struct rule_day *day)
{
	int64_t first = days_before(year, day->month);
	int64_t weekday = ((first + 4) % 7 + 7) % 7;
	int64_t date = first + (day->weekday - weekday + 7) % 7 + (int64_t)(day->week - 1) * 7;
	int64_t next = day->month == 12 ? days_before(year + 1, 1) : days_before(year, day->month + 1);
	while (date >= next)
		date -= 7;
	return date * 86400 + day->seconds;
}

static int64_t rule_offset(const struct zone_rule *rule, int64_t at)
{
	if (!rule->has_daylight)
		return rule->standard;
	int64_t year = 1970 + at / 31556952 - (at < 0);
	while (days_before(year + 1, 1) * 86400 <= at + rule->standard)
		year++;
	int64_t begin = change_of(year, &rule->begin) - rule->standard,
	        end = change_of(year, &rule->end) - rule->daylight;
	bool daylight = begin < end ? at >= begin && at < end : at >= begin || at < end;
	return daylight ? rule->daylight : rule->standard;
}

// --- the table ---------------------------------------------------------------------------

struct zone_counts {
	size_t ut, standard, leap, times, types, letters;
};

static bool read_counts(const unsigned char *at, size_t length, struct zone_counts *counts)
{
	if (length < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
		return false;
	size_t *const fields[] = {&counts->ut,    &counts->standard, &counts->leap,
	                          &counts->times, &counts->types,    &counts->letters};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		int64_t count = big_endian(at + 20 + i * 4, 4);
		if (count < 0 || count > LARGEST_ZONE_FILE)
			return false;
		*fields[i] = (size_t)count;
	}
	return true;
}

static size_t body_bytes(const struct zone_counts *counts, size_t time_bytes)
{
	return counts->times * (time_bytes + 1) + counts->types * 6 + counts->letters +
	       counts->leap * (time_bytes + 4) + counts->standard + counts->ut;
}

static bool table_offset(const struct zone_file *file, int64_t at, int64_t *ret_offset)
{
	struct zone_counts counts;
	struct zone_rule rule;
	if (!read_counts(file->data, file->length, &counts))
		return false;
	size_t second = HEADER_BYTES + body_bytes(&counts, 4);
	if (second > file->length || !read_counts(file->data + second, file->length - second, &counts))
		return false;
	const unsigned char *times = file->data + second + HEADER_BYTES, *kinds = times + counts.times * 8,
	                    *types = kinds + counts.times;
	size_t end = second + HEADER_BYTES + body_bytes(&counts, 8);
	if (end > file->length || counts.types == 0)
		return false;
	size_t before = 0;
	while (before < counts.times && big_endian(times + before * 8, 8) <= at)
		before++;
	if (before == counts.times && end < file->length && read_rule((const char *)file->data + end + 1, &rule)) {
		*ret_offset = rule_offset(&rule, at);
		return true;
	}
	size_t kind = before ? kinds[before - 1] : 0;
	if (kind >= counts.types)
		return false;
	*ret_offset = big_endian(types + kind * 6, 4);
	return true;
}

// "+05:30", "-8:00", "02:00".
static bool fixed_offset(const char *name, size_t length, int64_t *ret_offset)
{
	int64_t sign = length && name[0] == '-' ? -1 : 1, parts[2] = {0, 0};
	int part = 0, digits = 0;
	for (size_t i = length && (name[0] == '-' || name[0] == '+'); i < length; i++) {
		if (name[i] == ':' && part == 0 && digits) {
			part = 1;
			digits = 0;
		} else if (name[i] >= '0' && name[i] <= '9' && ++digits <= 2) {
			parts[part] = parts[part] * 10 + (name[i] - '0');
		} else {
			return false;
		}
	}
	*ret_offset = sign * (parts[0] * 3600 + parts[1] * 60);
	return part == 1 && digits > 0;
}

bool cel_timezone_offset(const char *name, size_t length, int64_t at_seconds, int64_t *ret_offset_seconds)
{
	struct zone_file file = {0};
	*ret_offset_seconds = 0;
	if (length == 0 || (length == 3 && memcmp(name, "UTC", 3) == 0))
		return true;
	if (memchr(name, ':', length))
		return fixed_offset(name, length, ret_offset_seconds);
	if (!valid_name(name, length) || !read_zone(name, length, &file))
		return false;
	bool found = table_offset(&file, at_seconds, ret_offset_seconds);
	free(file.data);
	return found;
}
