// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sets of indexes as Jobs write them: "1,3-5,7".

#include <stdint.h>

#include "common/base/arena.h"

// What is wrong with it, NULL for nothing; *ret_total is how many there are.
const char *index_intervals_problem(struct arena *arena, const char *text, int64_t completions, int64_t *ret_total);
// The first index in both, -1 for none. What can't be read is passed over.
int64_t index_intervals_overlap(struct arena *arena, const char *a, const char *b, int64_t completions);
