// SPDX-License-Identifier: Apache-2.0
//
// endpointslice-controller: a Service's pods as EndpointSlices of at most 100
// endpoints, one family and one list of ports each. Pods whose named ports have
// different numbers stand in different slices. slice_plan.h says which slices
// change. A Service without endpoints keeps one empty slice for each family.
//
// Keys are Services. Slices are recognized by the label kubernetes.io/service-name
// and the mark of who manages them; other people's slices are left alone. When a
// Service goes, the garbage collector takes its slices.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"
#include "controller-manager/pods.h"
#include "controller-manager/service_pods.h"
#include "controller-manager/slice_writer.h"

#define MANAGER "endpointslice-controller.k8s.io"
#define ZONE_LABEL "topology.kubernetes.io/zone"

struct endpointslice_controller {
	struct informer *services;
	struct informer *pods;
	struct informer *slices;
	struct informer *nodes;
};

static struct endpointslice_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

static void enqueue_service_of(struct controller *controller, const struct api_object *slice)
{
	const char *name = slice ? string_map_get(&api_object_metadata(slice)->labels, SLICE_SERVICE_LABEL) : NULL;
	struct api_object *service = name && slice_is_managed_by(slice, MANAGER)
	                                     ? informer_get(state_of(controller)->services, slice->namespace_name, name)
	                                     : NULL;
	if (service)
		controller_enqueue(controller, service->key);
}

static void on_slice(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	if (!old_object)
		return; // what is new was made by us
	enqueue_service_of(controller, old_object);
	enqueue_service_of(controller, new_object);
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	service_enqueue_of_pod(controller, state_of(controller)->services, old_object, new_object);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct endpointslice_controller *state = NEW(struct endpointslice_controller);
	controller_set_state(controller, state);
	state->services = controller_watch(controller, &schema_resource_core_v1_services, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	state->slices = controller_watch(controller, &schema_resource_discovery_v1_endpointslices, on_slice);
	state->nodes = controller_watch(controller, &schema_resource_core_v1_nodes, NULL);
	informer_add_index(state->services, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	informer_add_index(state->slices, SLICE_SERVICE_INDEX, slice_index_by_service);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- what should be there --------------------------------------------------------------------

struct slice_sync {
	struct endpointslice_controller *state;
	struct slice_writer writer;
	struct arena *arena;
	const struct core_v1_service *service;
	struct api_object **pods;
	size_t pod_count;
	struct port_group *groups;
	size_t group_count;
};

static struct discovery_v1_endpoint_port_array resolve_ports(struct slice_sync *sync, const struct core_v1_pod *pod)
{
	const struct core_v1_service_port_array *wanted = &sync->service->spec.ports;
	struct discovery_v1_endpoint_port_array ports = {
	        .items = ARENA_ARRAY(sync->arena, struct discovery_v1_endpoint_port, wanted->count + 1),
	};
	for (size_t i = 0; i < wanted->count; i++) {
		int32_t number;
		if (!pod_target_port(pod, &wanted->items[i], &number))
			continue;
		int32_t *own = ARENA_NEW(sync->arena, int32_t);
		*own = number;
		ports.items[ports.count++] = (struct discovery_v1_endpoint_port){
		        .name = wanted->items[i].name ? wanted->items[i].name : "",
		        .protocol = wanted->items[i].protocol ? wanted->items[i].protocol : "TCP",
		        .port = own,
		        .app_protocol = wanted->items[i].app_protocol,
		};
	}
	return ports;
}

static const char *zone_of(const struct slice_sync *sync, const char *node_name)
{
	struct api_object *node = node_name ? informer_get(sync->state->nodes, NULL, node_name) : NULL;
	return node ? string_map_get(&api_object_metadata(node)->labels, ZONE_LABEL) : NULL;
}

static void fill_endpoint(struct slice_sync *sync, const struct core_v1_pod *pod, const char *address,
                          struct discovery_v1_endpoint *endpoint)
{
	static const bool truth[] = {false, true};
	bool is_serving = pod_is_ready(pod);
	bool is_terminating = pod->metadata.deletion_timestamp != NULL;
	const char **addresses = ARENA_NEW(sync->arena, const char *);
	*addresses = address;
	bool is_ready = sync->service->spec.publish_not_ready_addresses || (is_serving && !is_terminating);
	*endpoint = (struct discovery_v1_endpoint){
	        .addresses = {.items = addresses, .count = 1},
	        .conditions = {.ready = &truth[is_ready],
	                       .serving = &truth[is_serving],
	                       .terminating = &truth[is_terminating]},
	        .hostname = pod_hostname_in(pod, sync->service),
	        .target_ref = pod_reference(sync->arena, pod),
	        .node_name = pod->spec.node_name,
	        .zone = zone_of(sync, pod->spec.node_name),
	};
}

static void collect(struct slice_sync *sync)
{
	bool is_ipv6 = strcmp(sync->writer.address_type, "IPv6") == 0;
	sync->groups = ARENA_ARRAY(sync->arena, struct port_group, sync->pod_count + 1);
	sync->group_count = 0;
	for (size_t i = 0; i < sync->pod_count; i++) {
		const struct core_v1_pod *pod = sync->pods[i]->view;
		const char *address = pod_address(pod, is_ipv6);
		if (!address)
			continue;
		struct discovery_v1_endpoint_port_array ports = resolve_ports(sync, pod);
		struct port_group *group = port_group_of(sync->arena, sync->groups, &sync->group_count, &ports);
		fill_endpoint(sync, pod, address, port_group_add(sync->arena, group));
	}
}

// The Service's own labels, but for those that mean something here, and ours.
static struct string_map wanted_labels(struct arena *arena, const struct core_v1_service *service)
{
	const struct string_map *own = &service->metadata.labels;
	struct string_map labels = {0};
	for (size_t i = 0; i < own->count; i++) {
		const char *key = own->entries[i].key;
		if (strcmp(key, SLICE_SERVICE_LABEL) != 0 && strcmp(key, SLICE_MANAGER_LABEL) != 0 &&
		    strcmp(key, HEADLESS_LABEL) != 0)
			string_map_set(arena, &labels, key, own->entries[i].value);
	}
	string_map_set(arena, &labels, SLICE_SERVICE_LABEL, service->metadata.name);
	string_map_set(arena, &labels, SLICE_MANAGER_LABEL, MANAGER);
	if (service_is_headless(service))
		string_map_set(arena, &labels, HEADLESS_LABEL, "");
	return labels;
}

static void reconcile_service(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct endpointslice_controller *state = state_of(controller);
	struct api_object *object = informer_get_key(state->services, key);
	size_t count;
	if (!object || api_object_metadata(object)->deletion_timestamp || !service_selects_pods(object->view))
		return;
	struct slice_sync sync = {
	        .state = state,
	        .writer = {.reconcile = reconcile, .arena = reconcile_arena(reconcile), .owner = object},
	        .arena = reconcile_arena(reconcile),
	        .service = object->view,
	};
	sync.writer.labels = wanted_labels(sync.arena, sync.service);
	sync.pods = service_pods(sync.arena, state->pods, object, true, &sync.pod_count);
	struct api_object **slices =
	        slices_of(sync.arena, state->slices, object->namespace_name, object->name, MANAGER, &count);
	const struct string_array *families = &sync.service->spec.ip_families;
	for (size_t i = 0; i < (families->count ? families->count : 1); i++) {
		sync.writer.address_type = families->count ? families->items[i] : "IPv4";
		collect(&sync);
		slice_writer_apply(&sync.writer, sync.groups, sync.group_count, slices, count, true);
	}
	for (size_t i = 0; i < count; i++)
		if (slices[i])
			reconcile_delete(reconcile, slices[i], NULL, NULL);
}

const struct controller_type endpointslice_controller = {
        .name = "endpointslice-controller",
        .start = start,
        .reconcile = reconcile_service,
        .stop = stop,
};
