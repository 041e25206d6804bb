// SPDX-License-Identifier: Apache-2.0
#pragma once
// The resources that controllers of everything (namespace deletion, garbage
// collection) go through.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/schema.h"

// Iterates the resources that can be listed, watched and deleted, each group's in its preferred version, without the
// second face of Events. Start with *cursor = 0; NULL at the end.
const struct schema_resource *kinds_next(size_t *cursor);
