// SPDX-License-Identifier: Apache-2.0
#pragma once
// From one Service and its EndpointSlices to rule elements: a pure function.

#include <stddef.h>

#include "kube-proxy/rule.h"

struct core_v1_service;
struct discovery_v1_endpoint_slice;

// Appends the elements of the service; none when it needs no proxying (headless,
// ExternalName, another proxy's).
void service_rules_build(const struct core_v1_service *service, const struct discovery_v1_endpoint_slice *const *slices,
                         size_t slice_count, struct rule_element_array *elements);
