// SPDX-License-Identifier: Apache-2.0
#pragma once
// A pod with everything about it that scheduling asks for again and again, worked
// out once. Immutable and reference counted.

#include <stddef.h>
#include <stdint.h>

#include "api/core_v1.h"
#include "common/client/informer.h"
#include "scheduler/resources.h"

struct host_port {
	const char *ip; // "0.0.0.0" for all
	const char *protocol;
	int32_t port;
};

struct pod_info {
	unsigned references;
	struct api_object *object; // referenced
	const struct core_v1_pod *pod;
	int32_t priority;
	struct resources requests;
	struct nonzero_requests nonzero;
	struct host_port *ports; // heap; texts of the object
	size_t port_count;
};

struct pod_info *pod_info_new(struct api_object *object); // one reference for the caller
struct pod_info *pod_info_ref(struct pod_info *info);
struct pod_info *pod_info_unref(struct pod_info *info);

const char *pod_info_uid(const struct pod_info *info);
const char *pod_info_key(const struct pod_info *info);
