// SPDX-License-Identifier: Apache-2.0
#pragma once
// The priority levels and flow schemas that every cluster has, as upstream ships
// them: the mandatory ones, without which no request could be placed, and the
// suggested ones, which an administrator may take over.

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct json;
struct schema_resource;

struct flow_default {
	const char *name;
	bool is_schema; // else a priority level
	bool mandatory;
	const char *spec;    // YAML
	const char *tunable; // a member of the spec that is everybody's; NULL = none
};

extern const struct flow_default flow_defaults[];
extern const size_t flow_default_count;

const struct schema_resource *flow_schemas_resource(void);
const struct schema_resource *priority_levels_resource(void);
const struct schema_resource *flow_default_resource(const struct flow_default *wanted);

// The whole object, completed with the defaults of its kind.
struct json *flow_default_object(struct arena *arena, const struct flow_default *wanted);

// Does this spec, with the defaults of its kind, say what the default says, but for what is tunable?
bool flow_default_is_met(struct arena *arena, const struct flow_default *wanted, const struct json *spec);

// Must the spec of a stored object follow the default's? Mandatory ones always; suggested ones
// as long as their annotation apf.kubernetes.io/autoupdate-spec says so, or, without it, as nobody
// has changed the spec.
bool flow_default_rules(const struct flow_default *wanted, const struct json *stored);
