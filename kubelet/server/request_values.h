// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of a request's path and its query, percent-decoded. Text that is badly
// encoded, or that holds a NUL, is refused.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

enum { PATH_MAX_PARTS = 6 };

// "/a//b/" has the parts "a" and "b". False: badly encoded, or more than PATH_MAX_PARTS.
bool path_split(struct arena *arena, const char *path, const char *ret_parts[PATH_MAX_PARTS], size_t *ret_count);

struct query_value {
	const char *name;
	const char *value;
};

struct query {
	struct query_value *values;
	size_t count;
};

bool query_parse(struct arena *arena, const char *text, struct query *ret_query);
// The first value; NULL: not given.
const char *query_get(const struct query *query, const char *name);
// All values of a repeated name, NULL-terminated.
const char **query_get_all(const struct query *query, struct arena *arena, const char *name);
// Upstream's conversion: any value but "false" and "0" is true, an empty one too.
bool query_bool(const struct query *query, const char *name);
// A decimal number; true without touching *value when there is none. False: something else.
bool query_integer(const struct query *query, const char *name, int64_t *value);
