// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the reader and the writer of protobuf know of single types.

#include <stdbool.h>

#include "common/api/schema.h"

// A list type with a name is a message of its own on the wire (Verbs, ExtraValue).
static inline bool protobuf_is_named_list(const struct schema_type *type)
{
	return type->kind == SCHEMA_LIST && type->group;
}

// Raw JSON that may be a schema: which alternative it has.
bool protobuf_is_schema_or_bool(const struct schema_type *type);
bool protobuf_is_schema_or_texts(const struct schema_type *type);
