// SPDX-License-Identifier: Apache-2.0
#pragma once
// From the endpoints that a Service should have and the EndpointSlices that there
// are to the fewest changes of slices. Pure functions; all slices and endpoints
// of one plan have the same ports and address type.

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"

struct discovery_v1_endpoint;

enum slice_action {
	SLICE_KEEP,
	SLICE_UPDATE,
	SLICE_DELETE, // nothing is left in it
};

struct planned_slice {
	const struct discovery_v1_endpoint *endpoints; // in: what is there; NULL for a new one
	size_t count;
	enum slice_action action;                    // out
	const struct discovery_v1_endpoint **result; // out: what shall be there
	size_t result_count;
};

// Fills the out members of `slices` and returns further slices to make (action SLICE_UPDATE), all in the arena.
struct planned_slice *slice_plan(struct arena *arena, struct planned_slice *slices, size_t slice_count,
                                 const struct discovery_v1_endpoint *desired, size_t desired_count,
                                 size_t max_endpoints, size_t *ret_new_count);

bool endpoints_equal(const struct discovery_v1_endpoint *a, const struct discovery_v1_endpoint *b);
