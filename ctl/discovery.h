// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the server says it serves, as the same structures that the built-in
// tables hold. Asked once, when first needed.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/schema.h"

struct ctl;

struct discovery {
	const struct schema_resource **resources; // in the server's order, preferred versions first
	size_t count;
	const char **group_versions; // "v1", "apps/v1", … sorted
	size_t group_version_count;
};

// NULL when the server can't be asked (reported).
const struct discovery *discovery_get(struct ctl *ctl);
