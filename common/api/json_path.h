// SPDX-License-Identifier: Apache-2.0
#pragma once
// kubectl's JSONPath templates, also of printer columns: "{range .items[*]}{.metadata.name}{"\n"}{end}" with
// fields, indices, slices, unions, wildcards, "..", filters and quoted texts.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"

struct jsonpath;

// The template lives in the arena. Errors are worded as kubectl's.
NODISCARD int jsonpath_parse(struct arena *arena, const char *text, struct jsonpath **ret_path, struct err *err);

// One expression with or without its braces and leading dot, as --sort-by, --for=jsonpath and custom columns take it.
NODISCARD int jsonpath_parse_relaxed(struct arena *arena, const char *text, struct jsonpath **ret_path,
                                     struct err *err);

// Appends what the template gives for the object. A missing field gives nothing, or, when
// missing ones aren't allowed, the error "NAME is not found".
NODISCARD int jsonpath_write(struct arena *arena, const struct jsonpath *path, const struct json *object,
                             bool allow_missing, struct strbuf *out, struct err *err);

// The values that the first expression finds, in the arena.
const struct json **jsonpath_find(struct arena *arena, const struct jsonpath *path, const struct json *object,
                                  size_t *ret_count);

// A value as a template prints it: texts without quotes, everything else as JSON.
void jsonpath_write_value(struct strbuf *out, const struct json *value);
