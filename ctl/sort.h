// SPDX-License-Identifier: Apache-2.0
#pragma once
// --sort-by: orders objects by a JSONPath field, numbers and quantities by value, texts naturally.

#include <stdbool.h>

#include "common/api/json.h"

struct ctl;

// Rows of a Table (by their objects), or items of a list. False when the expression is bad (reported).
bool sort_rows(struct ctl *ctl, struct json *table, const char *expression);
bool sort_items(struct ctl *ctl, struct json *items, const char *expression);
