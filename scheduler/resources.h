// SPDX-License-Identifier: Apache-2.0
#pragma once
// Amounts of resources as plain integers: what nodes offer and pods ask for.

#include <stddef.h>
#include <stdint.h>

#include "api/core_v1.h"

struct scalar_resource {  // extended resources, huge pages, attachable volumes
	const char *name; // borrowed, see resources_add
	int64_t value;
};

struct resources {
	int64_t milli_cpu;
	int64_t memory_bytes;
	int64_t ephemeral_storage_bytes;
	struct scalar_resource *scalars; // heap
	size_t scalar_count;
};

void resources_done(struct resources *resources);
int64_t resources_scalar(const struct resources *resources, const char *name); // 0 when absent

// Adds `other` times `sign`. Scalar names are copied once for the process and never freed: there are few.
void resources_add(struct resources *resources, const struct resources *other, int sign);
// The larger of each.
void resources_max(struct resources *resources, const struct resources *other);
// From a ResourceList; unknown plain names don't count. `resources` must be empty.
void resources_from_map(struct resources *resources, const struct string_map *map);

// What a pod asks for: the larger of all containers together and of each init
// container with the sidecars before it, plus overhead. A container that is being
// resized counts with the larger of what it wants and what it has.
void pod_requests(const struct core_v1_pod *pod, struct resources *ret_requests);

// For scores: CPU and memory with 100m and 200 MiB in place of requests that a container doesn't make.
struct nonzero_requests {
	int64_t milli_cpu;
	int64_t memory_bytes;
};
void pod_nonzero_requests(const struct core_v1_pod *pod, struct nonzero_requests *ret_requests);
