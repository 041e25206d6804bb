// SPDX-License-Identifier: Apache-2.0
//
// endpointslice-mirroring-controller: Endpoints that people write themselves, for
// Services without a selector, as EndpointSlices, which is what proxies read. Not
// mirrored are those that say so by a label, those that a leader election uses,
// and those of Services with a selector, whose slices are made from the pods.
// Keys are Endpoints, which have the names of their Services.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"
#include "controller-manager/slice_writer.h"

#define MANAGER "endpointslicemirroring-controller.k8s.io"
#define SKIP_LABEL "endpointslice.kubernetes.io/skip-mirror"
#define LEADER_ANNOTATION "control-plane.alpha.kubernetes.io/leader"

enum { MAX_ADDRESSES_PER_SUBSET = 1000 };

struct mirroring_controller {
	struct informer *endpoints;
	struct informer *services;
	struct informer *slices;
};

static void on_slice(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	struct mirroring_controller *state = controller_state(controller);
	const char *name =
	        old_object ? string_map_get(&api_object_metadata(old_object)->labels, SLICE_SERVICE_LABEL) : NULL;
	(void)new_object;
	if (!name || !slice_is_managed_by(old_object, MANAGER))
		return; // what is new was made by us
	struct api_object *endpoints = informer_get(state->endpoints, old_object->namespace_name, name);
	if (endpoints)
		controller_enqueue(controller, endpoints->key);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct mirroring_controller *state = NEW(struct mirroring_controller);
	controller_set_state(controller, state);
	state->endpoints = controller_watch(controller, &schema_resource_core_v1_endpoints, controller_enqueue_object);
	state->services = controller_watch(controller, &schema_resource_core_v1_services, controller_enqueue_object);
	state->slices = controller_watch(controller, &schema_resource_discovery_v1_endpointslices, on_slice);
	informer_add_index(state->slices, SLICE_SERVICE_INDEX, slice_index_by_service);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

static bool is_mirrored(const struct mirroring_controller *state, const struct api_object *object)
{
	const struct meta_v1_object_meta *metadata = api_object_metadata(object);
	const char *skip = string_map_get(&metadata->labels, SKIP_LABEL);
	struct api_object *service = informer_get_key(state->services, object->key);
	const struct core_v1_service *view = service ? service->view : NULL;
	return view && !view->spec.selector.count && !metadata->deletion_timestamp &&
	       !(skip && strcmp(skip, "true") == 0) && !string_map_get(&metadata->annotations, LEADER_ANNOTATION);
}

// --- from subsets to groups ------------------------------------------------------------------

struct mirroring {
	struct arena *arena;
	bool is_ipv6;
	struct port_group *groups;
	size_t group_count;
};

static struct discovery_v1_endpoint_port_array convert_ports(struct arena *arena,
                                                             const struct core_v1_endpoint_port_array *ports)
{
	struct discovery_v1_endpoint_port_array result = {
	        .items = ARENA_ARRAY(arena, struct discovery_v1_endpoint_port, ports->count + 1),
	        .count = ports->count,
	};
	for (size_t i = 0; i < ports->count; i++)
		result.items[i] = (struct discovery_v1_endpoint_port){
		        .name = ports->items[i].name ? ports->items[i].name : "",
		        .protocol = ports->items[i].protocol ? ports->items[i].protocol : "TCP",
		        .port = &ports->items[i].port,
		        .app_protocol = ports->items[i].app_protocol,
		};
	return result;
}

static void add_addresses(struct mirroring *mirroring, struct port_group *group, size_t *room,
                          const struct core_v1_endpoint_address_array *addresses, bool is_ready)
{
	static const bool truth[] = {false, true};
	for (size_t i = 0; i < addresses->count && *room; i++) {
		const struct core_v1_endpoint_address *address = &addresses->items[i];
		if (!address->ip || (strchr(address->ip, ':') != NULL) != mirroring->is_ipv6)
			continue;
		const char **list = ARENA_NEW(mirroring->arena, const char *);
		*list = address->ip;
		*port_group_add(mirroring->arena, group) = (struct discovery_v1_endpoint){
		        .addresses = {.items = list, .count = 1},
		        .conditions = {.ready = &truth[is_ready]},
		        .hostname = address->hostname,
		        .node_name = address->node_name,
		        .target_ref = address->target_ref,
		};
		(*room)--;
	}
}

static bool has_family(const struct core_v1_endpoint_subset *subset, bool is_ipv6)
{
	for (size_t i = 0; i < subset->addresses.count; i++)
		if (subset->addresses.items[i].ip && (strchr(subset->addresses.items[i].ip, ':') != NULL) == is_ipv6)
			return true;
	for (size_t i = 0; i < subset->not_ready_addresses.count; i++)
		if (subset->not_ready_addresses.items[i].ip &&
		    (strchr(subset->not_ready_addresses.items[i].ip, ':') != NULL) == is_ipv6)
			return true;
	return false;
}

static void collect(struct mirroring *mirroring, const struct core_v1_endpoints *endpoints)
{
	mirroring->groups = ARENA_ARRAY(mirroring->arena, struct port_group, endpoints->subsets.count + 1);
	mirroring->group_count = 0;
	for (size_t i = 0; i < endpoints->subsets.count; i++) {
		const struct core_v1_endpoint_subset *subset = &endpoints->subsets.items[i];
		if (!has_family(subset, mirroring->is_ipv6))
			continue;
		struct discovery_v1_endpoint_port_array ports = convert_ports(mirroring->arena, &subset->ports);
		size_t room = MAX_ADDRESSES_PER_SUBSET;
		struct port_group *group =
		        port_group_of(mirroring->arena, mirroring->groups, &mirroring->group_count, &ports);
		add_addresses(mirroring, group, &room, &subset->addresses, true);
		add_addresses(mirroring, group, &room, &subset->not_ready_addresses, false);
	}
}

static struct string_map wanted_labels(struct arena *arena, const struct api_object *endpoints)
{
	const struct string_map *own = &api_object_metadata(endpoints)->labels;
	struct string_map labels = {0};
	for (size_t i = 0; i < own->count; i++)
		string_map_set(arena, &labels, own->entries[i].key, own->entries[i].value);
	string_map_set(arena, &labels, SLICE_SERVICE_LABEL, endpoints->name);
	string_map_set(arena, &labels, SLICE_MANAGER_LABEL, MANAGER);
	return labels;
}

static void reconcile_endpoints(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	static const char *const families[] = {"IPv4", "IPv6"};
	struct mirroring_controller *state = controller_state(controller);
	struct api_object *object = informer_get_key(state->endpoints, key);
	struct arena *arena = reconcile_arena(reconcile);
	size_t count;
	if (!object)
		return; // the slices go with their owner
	struct api_object **slices =
	        slices_of(arena, state->slices, object->namespace_name, object->name, MANAGER, &count);
	struct slice_writer writer = {.reconcile = reconcile, .arena = arena, .owner = object};
	writer.labels = wanted_labels(arena, object);
	for (size_t i = 0; i < ARRAY_SIZE(families) && is_mirrored(state, object); i++) {
		struct mirroring mirroring = {.arena = arena, .is_ipv6 = i == 1};
		collect(&mirroring, object->view);
		writer.address_type = families[i];
		slice_writer_apply(&writer, mirroring.groups, mirroring.group_count, slices, count, false);
	}
	for (size_t i = 0; i < count; i++)
		if (slices[i])
			reconcile_delete(reconcile, slices[i], NULL, NULL);
}

const struct controller_type endpointslice_mirroring_controller = {
        .name = "endpointslice-mirroring-controller",
        .start = start,
        .reconcile = reconcile_endpoints,
        .stop = stop,
};
