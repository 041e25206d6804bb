// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pieces that decoding, shaping and defaulting share: canonical forms of
// scalars, and the values that Go writes for what isn't there.

#include "common/api/field_path.h"
#include "common/api/json.h"
#include "common/api/schema.h"

// Checks a scalar and brings it to the form that upstream would print. A value
// that reads as nothing (the zero time) becomes JSON null.
NODISCARD int decode_scalar(struct arena *arena, const struct schema_type *type, struct json *value,
                            const struct field_path *path, struct err *err);

// What Go writes for the type's zero value; {} for a struct.
struct json *decode_zero_value(struct arena *arena, const struct schema_type *type);

// The same for a field: null where it is a pointer.
struct json *decode_zero_field(struct arena *arena, const struct schema_field *field);

// Whether the value is what a non-pointer field of Go holds when nothing was set.
bool decode_is_zero(const struct json *value);
