// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of field ownership share.

#include "common/api/apply.h"

// The manager of the same name, operation, subresource and version; NULL = none.
struct field_manager *field_managers_find(struct field_managers *managers, const struct field_manager *like);
// Adding moves the others: pointers to them are no longer valid.
struct field_manager *field_managers_add(struct arena *arena, struct field_managers *managers,
                                         const struct field_manager *manager);
void field_managers_drop_empty(struct field_managers *managers);
