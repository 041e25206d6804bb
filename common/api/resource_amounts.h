// SPDX-License-Identifier: Apache-2.0
#pragma once
// Lists of named quantities (v1.ResourceList) that are added up, and what a pod
// as a whole asks for. LimitRanger and ResourceQuota calculate with it, in admission
// and in the controller that counts again.

#include <stdbool.h>

#include "common/api/json.h"
#include "common/api/quantity.h"

struct resource_amount {
	const char *name; // borrowed
	struct quantity amount;
};

struct resource_amounts {
	struct resource_amount *items; // in the order in which they were first added
	size_t count;
	size_t capacity;
};

// NULL = not there.
struct quantity *resource_amounts_get(const struct resource_amounts *amounts, const char *name);
void resource_amounts_add(struct arena *arena, struct resource_amounts *amounts, const char *name,
                          const struct quantity *amount);
// The larger of both.
void resource_amounts_raise(struct arena *arena, struct resource_amounts *amounts, const char *name,
                            const struct quantity *amount);
void resource_amounts_set(struct arena *arena, struct resource_amounts *amounts, const char *name,
                          const struct quantity *amount);
// A JSON object of quantities; what can't be read is left out.
void resource_amounts_read(struct arena *arena, struct resource_amounts *amounts, const struct json *list);
// "cpu=1,memory=2Gi", sorted by name: upstream's way of printing them.
char *resource_amounts_format(struct arena *arena, const struct resource_amounts *amounts);

enum pod_resources_of {
	POD_REQUESTS,
	POD_LIMITS,
};
enum pod_resources_flags {
	POD_WITH_OVERHEAD = 1,
	POD_WITH_STATUS = 2, // what a resized container still holds counts too
};

// All containers together, the init containers' highest mark, sidecars among both.
void pod_resources(struct arena *arena, const struct json *pod, enum pod_resources_of what, unsigned flags,
                   struct resource_amounts *ret_amounts);

// True for names like "example.com/gpu": not the cluster's own, not hugepages, not attachable volumes.
bool resource_amount_is_extended(const char *name);
