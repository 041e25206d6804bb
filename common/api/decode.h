// SPDX-License-Identifier: Apache-2.0
#pragma once
// From untrusted bytes to a well-formed tree of a schema type: type checks,
// unknown and duplicate fields, pruning, Go's document shape, and defaults.

#include "common/api/json.h"
#include "common/api/schema.h"

enum field_validation {
	FIELD_VALIDATION_IGNORE,
	FIELD_VALIDATION_WARN,
	FIELD_VALIDATION_STRICT,
};

struct decode_issues {
	const char *
	        *texts; // `unknown field "spec.x"`, `duplicate field "spec.replicas"`, in document order, at most 100
	size_t count;
};

// Notes `what "path"`, in the arena; past the maximum nothing is added.
void decode_issues_add(struct arena *arena, struct decode_issues *issues, const char *what, const char *path);

// Checks the tree against the type in place: a value of a wrong type is an error
// (Go's wording), unknown fields are dropped and noted, null members are dropped
// or kept as upstream's decoding into structs would, integers and quantities are
// brought to their canonical form. `issues` may be NULL.
NODISCARD int schema_normalize(struct arena *arena, const struct schema_type *type, struct json *value,
                               struct decode_issues *issues, struct err *err);

// Adds the members that Go's encoding always writes (empty structs: "status": {},
// "metadata": {"creationTimestamp": null}), so that JSON patches find them.
void schema_fill_shape(struct arena *arena, const struct schema_type *type, struct json *value);

// Static defaults of the schema, then the computed ones of the kind
// (defaults.c: image pull policy by tag, rolling update parameters, …).
// Idempotent; part of every decode, of requests and of stored objects.
void schema_apply_defaults(struct arena *arena, const struct schema_type *type, struct json *value);
