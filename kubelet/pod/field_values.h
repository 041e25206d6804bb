// SPDX-License-Identifier: Apache-2.0
#pragma once
// What fieldRef, resourceFieldRef and $(VAR) stand for: shared by environments and
// downward API volumes.

#include "api/core_v1.h"
#include "common/base/err.h"

// What the pod object doesn't tell: found on the node, may be empty.
struct field_facts {
	const char *const *pod_ips;
	size_t pod_ip_count;
	const char *host_ip;
	int64_t node_milli_cpu; // allocatable: what an unlimited container may use
	int64_t node_memory_bytes;
};

// "metadata.labels['a']", "status.podIP", …; whole maps come as sorted key="value" lines.
NODISCARD int field_value(struct arena *arena, const struct core_v1_pod *pod, const struct field_facts *facts,
                          const char *path, const char **ret_value, struct err *err);

// "limits.cpu" & co. of a container, divided and rounded up.
NODISCARD int resource_field_value(struct arena *arena, const struct core_v1_pod *pod, const char *default_container,
                                   const struct core_v1_resource_field_selector *selector,
                                   const struct field_facts *facts, const char **ret_value, struct err *err);

// Replaces $(NAME) by what `lookup` gives; NULL leaves the text as it is; "$$" is a dollar.
const char *expand_references(struct arena *arena, const char *text,
                              const char *(*lookup)(void *context, const char *name), void *context);
