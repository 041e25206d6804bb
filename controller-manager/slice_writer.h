// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bringing the EndpointSlices of one owner to what they should be; shared by the
// controllers that make them.

#include <stdbool.h>
#include <stddef.h>

#include "api/discovery_v1.h"
#include "controller-manager/controller.h"

#define SLICE_SERVICE_LABEL "kubernetes.io/service-name"
#define SLICE_MANAGER_LABEL "endpointslice.kubernetes.io/managed-by"
#define SLICE_SERVICE_INDEX "service"

// Endpoints with one list of ports.
struct port_group {
	const char *key;
	struct discovery_v1_endpoint_port_array ports;
	struct discovery_v1_endpoint *endpoints;
	size_t count;
	size_t capacity;
};

struct slice_writer {
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *owner; // whose slices they are; their names begin with its
	struct string_map labels; // all that they bear
	const char *address_type;
};

// The group with these ports (in any order), added when it isn't there.
struct port_group *port_group_of(struct arena *arena, struct port_group *groups, size_t *count,
                                 const struct discovery_v1_endpoint_port_array *ports);
// Room for one more endpoint.
struct discovery_v1_endpoint *port_group_add(struct arena *arena, struct port_group *group);

// Creates, updates and deletes so that the slices of the writer's address type hold the groups. Slices that it dealt
// with are NULL in `slices` afterwards. With `keep_one`, one empty slice stays when there are no groups.
void slice_writer_apply(struct slice_writer *writer, const struct port_group *groups, size_t group_count,
                        struct api_object **slices, size_t slice_count, bool keep_one);

// The live slices of a Service that this manager made. Needs the index SLICE_SERVICE_INDEX of slice_index_by_service.
struct api_object **slices_of(struct arena *arena, const struct informer *slices, const char *namespace_name,
                              const char *service, const char *manager, size_t *ret_count);
void slice_index_by_service(const struct api_object *slice, struct informer_index_values *values);
bool slice_is_managed_by(const struct api_object *slice, const char *manager);
