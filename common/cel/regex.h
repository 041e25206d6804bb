// SPDX-License-Identifier: Apache-2.0
#pragma once
// Regular expressions as RE2 has them (the syntax of Go's regexp), matched in time
// linear in the text: no backtracking, whatever the pattern. Also for the `pattern` of
// OpenAPI schemas. A compiled expression is immutable; threads may share it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct cel_regex;

// Compiles into the arena. -ERR_INVALID with Go's text: "error parsing regexp: missing closing ): `(a`".
NODISCARD int cel_regex_compile(struct arena *arena, const char *pattern, size_t length,
                                const struct cel_regex **ret_regex, struct err *err);

enum cel_regex_result {
	CEL_REGEX_NO_MATCH,
	CEL_REGEX_MATCH,
	CEL_REGEX_TOO_MUCH_WORK, // *work_left was used up
};

// Looks for the leftmost match at or after `start`. `ret_begin`/`ret_end` (both or none NULL): its place; knowing
// whether there is one is cheaper. `work_left`: steps that it may take, counted down; NULL = no bound.
enum cel_regex_result cel_regex_search(const struct cel_regex *regex, const char *text, size_t length, size_t start,
                                       uint64_t *work_left, size_t *ret_begin, size_t *ret_end);
// Whether the text matches somewhere: what `pattern` means.
bool cel_regex_matches(const struct cel_regex *regex, const char *text, size_t length);
