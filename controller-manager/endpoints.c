// SPDX-License-Identifier: Apache-2.0
//
// endpoints-controller: the older form of a Service's pods, one Endpoints object
// of the Service's name with all of them, in the Service's first family. Pods
// with the same port numbers share a subset. An object without a Service is
// deleted when it bears our mark; Services without a selector, "kubernetes" among
// them, are someone else's.
#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"
#include "controller-manager/pods.h"
#include "controller-manager/service_pods.h"

#define MANAGER_LABEL "endpoints.kubernetes.io/managed-by"
#define MANAGER "endpoint-controller"
#define OVER_CAPACITY_ANNOTATION "endpoints.kubernetes.io/over-capacity"

enum { MAX_ADDRESSES = 1000 };

struct endpoints_controller {
	struct informer *services;
	struct informer *pods;
	struct informer *endpoints;
};

static struct endpoints_controller *state_of(struct controller *controller)
{
	return controller_state(controller);
}

static void on_pod(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	service_enqueue_of_pod(controller, state_of(controller)->services, old_object, new_object);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct endpoints_controller *state = NEW(struct endpoints_controller);
	controller_set_state(controller, state);
	state->services = controller_watch(controller, &schema_resource_core_v1_services, controller_enqueue_object);
	state->pods = controller_watch(controller, &schema_resource_core_v1_pods, on_pod);
	state->endpoints = controller_watch(controller, &schema_resource_core_v1_endpoints, controller_enqueue_object);
	informer_add_index(state->services, "namespace", informer_index_by_namespace);
	informer_add_index(state->pods, "namespace", informer_index_by_namespace);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- what should be there --------------------------------------------------------------------

struct subset_list {
	struct arena *arena;
	const struct core_v1_service *service;
	struct core_v1_endpoint_subset *items;
	size_t count;
	size_t ready_count;
	size_t address_count;
	size_t pod_count; // room in each list
};

static struct core_v1_endpoint_port_array resolve_ports(struct subset_list *list, const struct core_v1_pod *pod)
{
	const struct core_v1_service_port_array *wanted = &list->service->spec.ports;
	struct core_v1_endpoint_port_array ports = {
	        .items = ARENA_ARRAY(list->arena, struct core_v1_endpoint_port, wanted->count + 1),
	};
	for (size_t i = 0; i < wanted->count; i++) {
		int32_t number;
		if (!pod_target_port(pod, &wanted->items[i], &number))
			continue;
		ports.items[ports.count++] = (struct core_v1_endpoint_port){
		        .name = wanted->items[i].name,
		        .port = number,
		        .protocol = wanted->items[i].protocol ? wanted->items[i].protocol : "TCP",
		        .app_protocol = wanted->items[i].app_protocol,
		};
	}
	return ports;
}

// All ports come from one Service in one order: only presence and numbers differ.
static bool same_ports(const struct core_v1_endpoint_port_array *a, const struct core_v1_endpoint_port_array *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].port != b->items[i].port || a->items[i].name != b->items[i].name)
			return false;
	return true;
}

static struct core_v1_endpoint_subset *subset_of(struct subset_list *list,
                                                 const struct core_v1_endpoint_port_array *ports)
{
	for (size_t i = 0; i < list->count; i++)
		if (same_ports(&list->items[i].ports, ports))
			return &list->items[i];
	struct core_v1_endpoint_subset *subset = &list->items[list->count++];
	subset->ports = *ports;
	subset->addresses.items = ARENA_ARRAY(list->arena, struct core_v1_endpoint_address, list->pod_count + 1);
	subset->not_ready_addresses.items =
	        ARENA_ARRAY(list->arena, struct core_v1_endpoint_address, list->pod_count + 1);
	return subset;
}

static void add_pod(struct subset_list *list, const struct core_v1_pod *pod, const char *address, bool is_ready)
{
	struct core_v1_endpoint_port_array ports = resolve_ports(list, pod);
	if (!ports.count && list->service->spec.ports.count)
		return;
	struct core_v1_endpoint_subset *subset = subset_of(list, &ports);
	struct core_v1_endpoint_address_array *place = is_ready ? &subset->addresses : &subset->not_ready_addresses;
	place->items[place->count++] = (struct core_v1_endpoint_address){
	        .ip = address,
	        .hostname = pod_hostname_in(pod, list->service),
	        .node_name = pod->spec.node_name,
	        .target_ref = pod_reference(list->arena, pod),
	};
	list->address_count++;
	list->ready_count += is_ready;
}

// Ready pods first, so that what is over the capacity is the rest.
static struct subset_list collect(struct arena *arena, struct endpoints_controller *state,
                                  const struct api_object *object, bool *ret_truncated)
{
	struct subset_list list = {.arena = arena, .service = object->view};
	const struct core_v1_service_spec *spec = &list.service->spec;
	bool is_ipv6 = spec->ip_families.count && strcmp(spec->ip_families.items[0], "IPv6") == 0;
	bool not_ready_too = spec->publish_not_ready_addresses;
	struct api_object **pods = service_pods(arena, state->pods, object, not_ready_too, &list.pod_count);
	list.items = ARENA_ARRAY(arena, struct core_v1_endpoint_subset, list.pod_count + 1);
	*ret_truncated = false;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < list.pod_count; i++) {
			const struct core_v1_pod *pod = pods[i]->view;
			const char *address = pod_address(pod, is_ipv6);
			bool is_ready = not_ready_too || pod_is_ready(pod);
			if (!address || is_ready != (round == 0))
				continue;
			if (list.address_count < MAX_ADDRESSES)
				add_pod(&list, pod, address, is_ready);
			else
				*ret_truncated = true;
		}
	}
	return list;
}

static struct string_map wanted_labels(struct arena *arena, const struct core_v1_service *service)
{
	struct string_map labels = {0};
	for (size_t i = 0; i < service->metadata.labels.count; i++)
		if (strcmp(service->metadata.labels.entries[i].key, HEADLESS_LABEL) != 0)
			string_map_set(arena, &labels, service->metadata.labels.entries[i].key,
			               service->metadata.labels.entries[i].value);
	if (service_is_headless(service))
		string_map_set(arena, &labels, HEADLESS_LABEL, "");
	string_map_set(arena, &labels, MANAGER_LABEL, MANAGER);
	return labels;
}

// --- writing -----------------------------------------------------------------------------------

static void create(struct reconcile *reconcile, const struct core_v1_endpoints *wanted)
{
	reconcile_create(reconcile, &schema_resource_core_v1_endpoints, wanted->metadata.namespace, wanted, NULL, NULL);
}

static struct json *map_patch(struct arena *arena, const struct string_map *present, const struct string_map *wanted)
{
	struct json *map = json_object(arena);
	for (size_t i = 0; i < present->count; i++)
		if (!string_map_get(wanted, present->entries[i].key))
			json_set(arena, map, present->entries[i].key, json_null(arena));
	for (size_t i = 0; i < wanted->count; i++)
		json_set_text(arena, map, wanted->entries[i].key, wanted->entries[i].value);
	return map;
}

static struct json *subsets_json(struct arena *arena, const struct core_v1_endpoints *endpoints)
{
	struct json *list = json_array(arena);
	for (size_t i = 0; i < endpoints->subsets.count; i++)
		json_append(arena, list,
		            view_to_json(arena, &schema_type_core_v1_endpoint_subset, &endpoints->subsets.items[i]));
	return list;
}

static void update(struct reconcile *reconcile, const struct api_object *present,
                   const struct core_v1_endpoints *wanted)
{
	struct arena *arena = reconcile_arena(reconcile);
	const struct core_v1_endpoints *view = present->view;
	struct json *subsets = subsets_json(arena, wanted);
	bool was_over = string_map_get(&view->metadata.annotations, OVER_CAPACITY_ANNOTATION) != NULL;
	bool is_over = wanted->metadata.annotations.count > 0;
	if (json_equal(subsets, subsets_json(arena, view)) && was_over == is_over &&
	    string_map_equal(&view->metadata.labels, &wanted->metadata.labels))
		return;
	struct json *patch = json_object(arena);
	struct json *metadata = json_ensure_object(arena, patch, "metadata");
	json_set(arena, metadata, "labels", map_patch(arena, &view->metadata.labels, &wanted->metadata.labels));
	json_set(arena, json_ensure_object(arena, metadata, "annotations"), OVER_CAPACITY_ANNOTATION,
	         is_over ? json_string(arena, "truncated") : json_null(arena));
	json_set(arena, patch, "subsets", subsets->length ? subsets : json_null(arena));
	reconcile_patch(reconcile, present, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static bool is_marked(const struct api_object *endpoints)
{
	const char *manager = string_map_get(&api_object_metadata(endpoints)->labels, MANAGER_LABEL);
	return manager && strcmp(manager, MANAGER) == 0;
}

static void reconcile_service(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct endpoints_controller *state = state_of(controller);
	struct arena *arena = reconcile_arena(reconcile);
	struct api_object *object = informer_get_key(state->services, key);
	struct api_object *present = informer_get_key(state->endpoints, key);
	bool is_truncated;
	if (!object || api_object_metadata(object)->deletion_timestamp) {
		if (present && is_marked(present))
			reconcile_delete(reconcile, present, NULL, NULL);
		return;
	}
	if (!service_selects_pods(object->view))
		return;
	struct subset_list list = collect(arena, state, object, &is_truncated);
	struct core_v1_endpoints wanted = {
	        .api_version = "v1",
	        .kind = "Endpoints",
	        .metadata = {.name = object->name, .namespace = object->namespace_name},
	        .subsets = {.items = list.items, .count = list.count},
	};
	wanted.metadata.labels = wanted_labels(arena, object->view);
	if (is_truncated)
		string_map_set(arena, &wanted.metadata.annotations, OVER_CAPACITY_ANNOTATION, "truncated");
	if (present)
		update(reconcile, present, &wanted);
	else
		create(reconcile, &wanted);
}

const struct controller_type endpoints_controller = {
        .name = "endpoints-controller",
        .start = start,
        .reconcile = reconcile_service,
        .stop = stop,
};
