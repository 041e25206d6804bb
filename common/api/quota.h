// SPDX-License-Identifier: Apache-2.0
#pragma once
// What objects use of a ResourceQuota, and which objects a quota speaks of. Pure,
// on trees; admission charges by it and the controller counts by it.

#include <stdbool.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/resource_amounts.h"
#include "common/api/schema.h"

// Kinds whose objects use more than one of themselves.
enum quota_kind {
	QUOTA_OBJECTS, // counted only
	QUOTA_PODS,
	QUOTA_SERVICES,
	QUOTA_CLAIMS,
};
enum quota_kind quota_kind_of(const struct schema_resource *resource);

// False for what is never counted: events, and what isn't stored in a namespace.
bool quota_counts(const struct schema_resource *resource);

// Everything that the object uses. Pods that have ended, or are past their deletion by `now_realtime_ns`,
// count as objects only.
void quota_usage(struct arena *arena, const struct schema_resource *resource, const struct json *object,
                 int64_t now_realtime_ns, struct resource_amounts *ret_usage);

// Whether objects of the resource can use this name of a quota's hard limits ("requests.cpu", "count/jobs.batch").
bool quota_name_concerns(const struct schema_resource *resource, const char *name);

// The quota's scopes and scopeSelector all hold for the object; a quota that has any speaks of pods alone.
bool quota_scopes_match(const struct schema_resource *resource, const struct json *quota_spec,
                        const struct json *object);
// One requirement {scopeName, operator, values}.
bool quota_scope_matches(const struct json *requirement, const struct json *pod);

// What pods must say of their containers where such limits exist: "must specify cpu for: c; memory for: c".
// NULL = nothing is missing. `hard` is the object of limits.
const char *quota_missing(struct arena *arena, const struct json *hard, const struct json *pod);
