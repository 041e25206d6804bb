// SPDX-License-Identifier: Apache-2.0
#pragma once
// The x-kubernetes-validations of one version's schema, compiled, and their run over
// an object.

#include "common/api/structural.h"

struct definition_rules;

// Compiles the rules of all nodes and hangs them on the nodes; rules that don't compile are left out (validation of
// the definition has refused new ones). `schema` is the JSON that `root` was built from. NULL = there are none.
struct definition_rules *definition_rules_new(struct arena *arena, struct structural *root, const struct json *schema);
void definition_rules_free(struct definition_rules *rules);

// Adds what the rules refuse. `old` NULL: a create.
void definition_rules_check(struct arena *arena, const struct structural *root, const struct json *object,
                            const struct json *old, struct structural_errors *errors);
