// SPDX-License-Identifier: Apache-2.0
#pragma once
// -o custom-columns=NAME:.metadata.name,…: a table whose cells are JSONPath expressions.

#include <stdbool.h>

#include "common/api/json.h"

struct custom_columns;

// From "HEADER:path,…", or from a file's two lines (headers, paths).
NODISCARD int custom_columns_parse(struct arena *arena, const char *text, struct custom_columns **ret_columns,
                                   struct err *err);
NODISCARD int custom_columns_parse_file(struct arena *arena, const char *path, struct custom_columns **ret_columns,
                                        struct err *err);

// Appends the table of one object or of a List's items.
void custom_columns_write(struct arena *arena, const struct custom_columns *columns, const struct json *object,
                          bool headers, struct strbuf *out);
