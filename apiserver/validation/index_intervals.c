// SPDX-License-Identifier: Apache-2.0

#include "apiserver/validation/index_intervals.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"

struct interval {
	int64_t first;
	int64_t last;
};

// The next of the list; NULL at its end.
static const char *take(struct arena *arena, const char **at)
{
	size_t length = *at ? strcspn(*at, ",") : 0;
	const char *text;

	if (!*at)
		return NULL;
	text = arena_strndup(arena, *at, length);
	*at = (*at)[length] ? *at + length + 1 : NULL;
	return text;
}

static const char *parse_index(struct arena *arena, const char *text, int64_t completions, int64_t *ret_index)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (!text[0] || *end || text[0] == ' ')
		return arena_printf(arena, "cannot convert string to integer for index: \"%s\"", text);
	if (value >= completions)
		return arena_printf(arena, "too large index: \"%s\"", text);
	*ret_index = value;
	return NULL;
}

static const char *parse_interval(struct arena *arena, const char *text, int64_t completions,
                                  struct interval *ret_interval)
{
	const char *dash = strchr(text, '-'), *problem;

	if (dash && strchr(dash + 1, '-'))
		return arena_printf(arena,
		                    "the fragment \"%s\" violates the requirement that an index interval can have at "
		                    "most two parts separated by '-'",
		                    text);
	problem = parse_index(arena, dash ? arena_strndup(arena, text, (size_t)(dash - text)) : text, completions,
	                      &ret_interval->first);
	ret_interval->last = ret_interval->first;
	if (problem || !dash)
		return problem;
	problem = parse_index(arena, dash + 1, completions, &ret_interval->last);
	if (!problem && ret_interval->first >= ret_interval->last)
		problem = arena_printf(arena, "non-increasing order, previous: %lld, current: %lld",
		                       (long long)ret_interval->first, (long long)ret_interval->last);
	return problem;
}

const char *index_intervals_problem(struct arena *arena, const char *text, int64_t completions, int64_t *ret_total)
{
	const char *at = text[0] ? text : NULL, *part;
	struct interval interval = {0};
	int64_t before = -1;

	*ret_total = 0;
	while ((part = take(arena, &at))) {
		const char *problem = parse_interval(arena, part, completions, &interval);

		if (problem)
			return problem;
		if (before >= interval.first)
			return arena_printf(arena, "non-increasing order, previous: %lld, current: %lld",
			                    (long long)before, (long long)interval.first);
		*ret_total += interval.last - interval.first + 1;
		before = interval.last;
	}
	return NULL;
}

int64_t index_intervals_overlap(struct arena *arena, const char *a, const char *b, int64_t completions)
{
	const char *at = a[0] ? a : NULL, *part, *other_part;
	struct interval mine = {0}, other = {0};

	while ((part = take(arena, &at))) {
		const char *other_at = b[0] ? b : NULL;

		if (parse_interval(arena, part, completions, &mine))
			continue;
		while ((other_part = take(arena, &other_at)))
			if (!parse_interval(arena, other_part, completions, &other) && mine.first <= other.last &&
			    other.first <= mine.last)
				return mine.first > other.first ? mine.first : other.first;
	}
	return -1;
}
