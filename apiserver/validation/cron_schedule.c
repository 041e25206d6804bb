// SPDX-License-Identifier: Apache-2.0
// Schedules of CronJobs. Upstream's parser (robfig/cron) in its own words: they
// are in the answer.

#include "apiserver/validation/cron_schedule.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/macros.h"

struct cron_field {
	int low;
	int high;
	const char *const *names; // of the values from `low` on
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

// The text up to `stop`; *at goes past that stop, or to NULL at the end.
static const char *cron_token(struct arena *arena, const char **at, char stop)
{
	const char *start = *at, *end = strchr(start, stop);

	*at = end ? end + 1 : NULL;
	return arena_printf(arena, "%.*s", (int)(end ? (size_t)(end - start) : strlen(start)), start);
}

static const char *cron_number(struct arena *arena, const char *text, const struct cron_field *field, int *ret_value)
{
	char *end;
	long value;

	for (int i = 0; field && field->names && field->names[i]; i++)
		if (!strcasecmp(text, field->names[i])) {
			*ret_value = field->low + i;
			return NULL;
		}
	value = strtol(text, &end, 10);
	if (!text[0] || *end || text[0] == ' ')
		return arena_printf(arena, "failed to parse int from %s: strconv.Atoi: parsing \"%s\": invalid syntax",
		                    text, text);
	if (value > INT_MAX || value < INT_MIN)
		return arena_printf(arena,
		                    "failed to parse int from %s: strconv.Atoi: parsing \"%s\": value out of range",
		                    text, text);
	if (value < 0)
		return arena_printf(arena, "negative number (%ld) not allowed: %s", value, text);
	*ret_value = (int)value;
	return NULL;
}

static const char *cron_bounds(struct arena *arena, const char *text, const char *expression,
                               const struct cron_field *field, int *ret_first, int *ret_last, bool *ret_single)
{
	const char *at = text, *problem;
	const char *first = cron_token(arena, &at, '-'), *last = at ? cron_token(arena, &at, '-') : NULL;

	*ret_single = !last;
	if (!strcmp(first, "*") || !strcmp(first, "?")) {
		*ret_first = field->low;
		*ret_last = field->high;
		return NULL;
	}
	if ((problem = cron_number(arena, first, field, ret_first)))
		return problem;
	*ret_last = *ret_first;
	if (at)
		return arena_printf(arena, "too many hyphens: %s", expression);
	return last ? cron_number(arena, last, field, ret_last) : NULL;
}

// "*", "N", "N-M", each with an optional "/STEP".
static const char *cron_range(struct arena *arena, const char *expression, const struct cron_field *field)
{
	const char *at = expression, *problem;
	const char *bounds = cron_token(arena, &at, '/'), *step = at ? cron_token(arena, &at, '/') : NULL;
	int first = 0, last = 0, steps = 1;
	bool single;

	if ((problem = cron_bounds(arena, bounds, expression, field, &first, &last, &single)))
		return problem;
	if (at)
		return arena_printf(arena, "too many slashes: %s", expression);
	if (step && (problem = cron_number(arena, step, NULL, &steps)))
		return problem;
	if (step && single)
		last = field->high;
	if (first < field->low)
		return arena_printf(arena, "beginning of range (%d) below minimum (%d): %s", first, field->low,
		                    expression);
	if (last > field->high)
		return arena_printf(arena, "end of range (%d) above maximum (%d): %s", last, field->high, expression);
	if (first > last)
		return arena_printf(arena, "beginning of range (%d) beyond end of range (%d): %s", first, last,
		                    expression);
	return steps ? NULL : arena_printf(arena, "step of range should be a positive number: %s", expression);
}

static const char *cron_field_problem(struct arena *arena, const char *text, const struct cron_field *field)
{
	const char *problem = NULL;

	for (const char *at = text; at && !problem;) {
		const char *expression = cron_token(arena, &at, ',');

		if (expression[0])
			problem = cron_range(arena, expression, field);
	}
	return problem;
}

static bool is_descriptor(const char *schedule)
{
	static const char *const names[] = {"@yearly", "@annually", "@monthly", "@weekly",
	                                    "@daily",  "@midnight", "@hourly"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(schedule, names[i]))
			return true;
	return !strncmp(schedule, "@every ", 7);
}

const char *cron_schedule_problem(struct arena *arena, const char *schedule)
{
	static const struct cron_field fields[] = {
	        {0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_names}, {0, 6, day_names},
	};
	static const char *const blanks = " \t\n\v\f\r";
	const char *texts[ARRAY_SIZE(fields)], *all = "", *problem = NULL;
	size_t count = 0;

	if (schedule[0] == '@')
		return is_descriptor(schedule) ? NULL : arena_printf(arena, "unrecognized descriptor: %s", schedule);
	for (const char *at = schedule; *(at += strspn(at, blanks)); at += strcspn(at, blanks)) {
		const char *text = arena_printf(arena, "%.*s", (int)strcspn(at, blanks), at);

		if (count < ARRAY_SIZE(fields))
			texts[count] = text;
		all = arena_printf(arena, "%s%s%s", all, count++ ? " " : "", text);
	}
	if (count != ARRAY_SIZE(fields))
		return arena_printf(arena, "expected exactly 5 fields, found %zu: [%s]", count, all);
	for (size_t i = 0; i < count && !problem; i++)
		problem = cron_field_problem(arena, texts[i], &fields[i]);
	return problem;
}
