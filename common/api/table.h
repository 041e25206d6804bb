// SPDX-License-Identifier: Apache-2.0
#pragma once
// Server-side Tables (meta.k8s.io/v1): the cells of each kind's printer columns.

#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"

// The cells of one object, in the order of the resource's columns (a JSON array).
// `now_realtime_ns` is for ages.
struct json *table_cells(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                         int64_t now_realtime_ns);
// A row's conditions (Completed pods), NULL for none.
struct json *table_row_conditions(struct arena *arena, const struct schema_resource *resource,
                                  const struct json *object);
// The columnDefinitions array.
struct json *table_column_definitions(struct arena *arena, const struct schema_resource *resource);
