// SPDX-License-Identifier: Apache-2.0
#pragma once
// Validation of CustomResourceDefinitions themselves, in parts.

#include "apiserver/validation/validation.h"

// The whole kind, for the table of validate.c.
void validate_definition(struct validation *v);

// One version's openAPIV3Schema.
struct schema_checks {
	struct validation *v;
	const struct json *old_rules; // texts of rules that were there before: what new ones may not say, they may
	bool has_status;
};

// validate_structural.c: types where they must be, nothing where it may not be, defaults that are valid.
// `checks->v->count` tells whether it found something.
void validate_structural_schema(const struct schema_checks *checks, const struct json *schema,
                                const struct rule_path *path);
// validate_schema.c: keywords that aren't supported, list and map types, rules.
void validate_openapi_schema(const struct schema_checks *checks, const struct json *schema,
                             const struct rule_path *path);
// validate_rules.c: what x-kubernetes-validations say, compiled, with their costs.
void validate_schema_rules(const struct schema_checks *checks, const struct json *schema, const struct rule_path *path);

// True when there is more than white space.
bool has_content(const char *text);
bool has_line_break(const char *text);
