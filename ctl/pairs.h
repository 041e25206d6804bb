// SPDX-License-Identifier: Apache-2.0
#pragma once
// Arguments of label, annotate, taint and set: resources first, then KEY=VALUE and KEY-.

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct pair {
	const char *key;
	const char *value; // NULL: KEY- (remove)
};

struct pair_list {
	struct pair *items;
	size_t count;
};

// How many of the arguments are resources; the others are pairs.
int pairs_start(int argc, char **argv);
// Splits the pairs. `what` ("label") is for the error text.
NODISCARD int pairs_parse(struct arena *arena, int argc, char **argv, const char *what, struct pair_list *ret_pairs,
                          struct err *err);
