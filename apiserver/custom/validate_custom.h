// SPDX-License-Identifier: Apache-2.0
#pragma once
// Validation of custom resources, by the schema of their version.

#include "apiserver/validation/validation.h"
#include "common/api/structural.h"

// Everything that the schema says of the object; v->change's resource is a custom one.
void validate_custom(struct validation *v);

// Takes what structural validation found over.
void validation_add_structural(struct validation *v, const struct structural_errors *errors);
// apiVersion, kind and metadata of objects that stand within others.
void validate_embedded_objects(struct validation *v, const struct structural *node, const struct json *value,
                               const struct rule_path *path);
