// SPDX-License-Identifier: Apache-2.0
#pragma once
// The scale subresource: autoscaling/v1 Scale as a view of a workload's
// replicas and selector.

#include <string.h>

#include "apiserver/request.h"

struct stored_object;

static inline bool scale_is_route(const struct route *route)
{
	return route->subresource && strcmp(route->subresource_name, "scale") == 0;
}

// The Scale of a workload's tree.
struct json *scale_from_object(struct arena *arena, const struct schema_resource *resource, const struct json *object);
// Checks a Scale and puts its replicas into the workload.
const struct status *scale_apply(struct arena *arena, const struct schema_resource *resource, const struct json *scale,
                                 struct json *object);
// Puts a number where the kind has its replicas.
void scale_set_replicas(struct arena *arena, const struct schema_resource *resource, struct json *object,
                        int64_t replicas);
// Ends a request with the Scale of what is stored, or of a workload's tree.
void scale_finish(struct request *request, struct stored_object *object);
void scale_finish_tree(struct request *request, const struct json *object);
