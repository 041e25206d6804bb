// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which FlowSchema a request belongs to: upstream's rules of
// flowcontrol.apiserver.k8s.io/v1, on the typed view as it was decoded.

#include <stdbool.h>
#include <stdint.h>

#include "api/flowcontrol_v1.h"

// What the rules speak of; all borrowed.
struct flow_attributes {
	const char *user;
	const char *const *groups;
	size_t group_count;
	bool is_resource;
	const char *verb;
	const char *api_group;      // resources
	const char *resource;       // "pods", "pods/status"
	const char *namespace_name; // "" = cluster scope
	const char *path;           // others
};

bool flow_schema_matches(const struct flowcontrol_v1_flow_schema_spec *spec, const struct flow_attributes *attributes);

// What tells the flows of one schema apart: the user, the namespace, or nothing. Never NULL.
const char *flow_schema_distinguisher(const struct flowcontrol_v1_flow_schema_spec *spec,
                                      const struct flow_attributes *attributes);

// The order in which schemas are tried: precedence, then name.
int flow_schema_compare(const struct flowcontrol_v1_flow_schema *a, const struct flowcontrol_v1_flow_schema *b);
