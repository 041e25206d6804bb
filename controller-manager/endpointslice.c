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
#include "controller-manager/ownership.h"
#include "controller-manager/pods.h"
#include "controller-manager/service_pods.h"
#include "controller-manager/slice_plan.h"

#define SERVICE_LABEL "kubernetes.io/service-name"
#define MANAGER_LABEL "endpointslice.kubernetes.io/managed-by"
#define MANAGER "endpointslice-controller.k8s.io"
#define ZONE_LABEL "topology.kubernetes.io/zone"

enum { MAX_ENDPOINTS = 100 };

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

static bool is_ours(const struct api_object *slice)
{
	const char *manager = string_map_get(&api_object_metadata(slice)->labels, MANAGER_LABEL);
	return manager && strcmp(manager, MANAGER) == 0;
}

static void enqueue_service_of(struct controller *controller, const struct api_object *slice)
{
	const char *name = slice ? string_map_get(&api_object_metadata(slice)->labels, SERVICE_LABEL) : NULL;
	struct api_object *service = name && is_ours(slice)
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

static void index_by_service(const struct api_object *slice, struct informer_index_values *values)
{
	const char *name = string_map_get(&api_object_metadata(slice)->labels, SERVICE_LABEL);
	if (name && values->count < values->capacity)
		values->items[values->count++] = name;
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
	informer_add_index(state->slices, "service", index_by_service);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

// --- what should be there --------------------------------------------------------------------

// Endpoints with one list of ports.
struct port_group {
	const char *key;
	struct discovery_v1_endpoint_port_array ports;
	struct discovery_v1_endpoint *endpoints;
	size_t count;
};

struct slice_sync {
	struct endpointslice_controller *state;
	struct reconcile *reconcile;
	struct arena *arena;
	struct api_object *object;
	const struct core_v1_service *service;
	struct string_map labels;
	struct api_object **pods;
	size_t pod_count;
	const char *address_type;
	struct port_group *groups;
	size_t group_count;
};

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The same for the same ports in any order.
static const char *ports_key(struct arena *arena, const struct discovery_v1_endpoint_port_array *ports)
{
	const char **texts = ARENA_ARRAY(arena, const char *, ports->count + 1);
	AUTO_STRBUF struct strbuf key = STRBUF_INIT(1 << 20);
	for (size_t i = 0; i < ports->count; i++) {
		const struct discovery_v1_endpoint_port *port = &ports->items[i];
		texts[i] = arena_printf(arena, "%s/%s/%d/%s;", port->name ? port->name : "",
		                        port->protocol ? port->protocol : "TCP", port->port ? *port->port : -1,
		                        port->app_protocol ? port->app_protocol : "");
	}
	qsort(texts, ports->count, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < ports->count; i++)
		strbuf_append_text(&key, texts[i]);
	return arena_strdup(arena, strbuf_text(&key));
}

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

static struct port_group *group_of(struct slice_sync *sync, const struct core_v1_pod *pod)
{
	struct discovery_v1_endpoint_port_array ports = resolve_ports(sync, pod);
	const char *key = ports_key(sync->arena, &ports);
	for (size_t i = 0; i < sync->group_count; i++)
		if (strcmp(sync->groups[i].key, key) == 0)
			return &sync->groups[i];
	struct port_group *group = &sync->groups[sync->group_count++];
	*group = (struct port_group){
	        .key = key,
	        .ports = ports,
	        .endpoints = ARENA_ARRAY(sync->arena, struct discovery_v1_endpoint, sync->pod_count + 1),
	};
	return group;
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
	bool is_ipv6 = strcmp(sync->address_type, "IPv6") == 0;
	sync->groups = ARENA_ARRAY(sync->arena, struct port_group, sync->pod_count + 1);
	sync->group_count = 0;
	for (size_t i = 0; i < sync->pod_count; i++) {
		const struct core_v1_pod *pod = sync->pods[i]->view;
		const char *address = pod_address(pod, is_ipv6);
		if (!address)
			continue;
		struct port_group *group = group_of(sync, pod);
		fill_endpoint(sync, pod, address, &group->endpoints[group->count++]);
	}
}

// The Service's own labels, but for those that mean something here, and ours.
static struct string_map wanted_labels(struct arena *arena, const struct core_v1_service *service)
{
	const struct string_map *own = &service->metadata.labels;
	struct string_map labels = {0};
	for (size_t i = 0; i < own->count; i++) {
		const char *key = own->entries[i].key;
		if (strcmp(key, SERVICE_LABEL) != 0 && strcmp(key, MANAGER_LABEL) != 0 &&
		    strcmp(key, HEADLESS_LABEL) != 0)
			string_map_set(arena, &labels, key, own->entries[i].value);
	}
	string_map_set(arena, &labels, SERVICE_LABEL, service->metadata.name);
	string_map_set(arena, &labels, MANAGER_LABEL, MANAGER);
	if (service_is_headless(service))
		string_map_set(arena, &labels, HEADLESS_LABEL, "");
	return labels;
}

// --- writing -----------------------------------------------------------------------------------

static bool has_labels(const struct string_map *labels, const struct string_map *wanted)
{
	if (labels->count != wanted->count)
		return false;
	for (size_t i = 0; i < wanted->count; i++) {
		const char *value = string_map_get(labels, wanted->entries[i].key);
		if (!value || strcmp(value, wanted->entries[i].value) != 0)
			return false;
	}
	return true;
}

static struct json *labels_patch(struct slice_sync *sync, const struct string_map *present)
{
	struct json *labels = json_object(sync->arena);
	for (size_t i = 0; i < present->count; i++)
		if (!string_map_get(&sync->labels, present->entries[i].key))
			json_set(sync->arena, labels, present->entries[i].key, json_null(sync->arena));
	for (size_t i = 0; i < sync->labels.count; i++)
		json_set_text(sync->arena, labels, sync->labels.entries[i].key, sync->labels.entries[i].value);
	return labels;
}

static struct json *endpoints_json(struct arena *arena, const struct planned_slice *plan)
{
	struct json *list = json_array(arena);
	for (size_t i = 0; i < plan->result_count; i++)
		json_append(arena, list, view_to_json(arena, &schema_type_discovery_v1_endpoint, plan->result[i]));
	return list;
}

static struct json *ports_json(struct arena *arena, const struct discovery_v1_endpoint_port_array *ports)
{
	struct json *list = json_array(arena);
	for (size_t i = 0; i < ports->count; i++)
		json_append(arena, list,
		            view_to_json(arena, &schema_type_discovery_v1_endpoint_port, &ports->items[i]));
	return list;
}

static void update_slice(struct slice_sync *sync, const struct api_object *slice,
                         const struct discovery_v1_endpoint_port_array *ports, const struct planned_slice *plan)
{
	struct json *patch = json_object(sync->arena);
	json_set(sync->arena, json_ensure_object(sync->arena, patch, "metadata"), "labels",
	         labels_patch(sync, &api_object_metadata(slice)->labels));
	json_set(sync->arena, patch, "endpoints", endpoints_json(sync->arena, plan));
	json_set(sync->arena, patch, "ports", ports_json(sync->arena, ports));
	reconcile_patch(sync->reconcile, slice, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void create_slice(struct slice_sync *sync, const struct discovery_v1_endpoint_port_array *ports,
                         const struct planned_slice *plan)
{
	struct discovery_v1_endpoint_slice slice = {
	        .api_version = "discovery.k8s.io/v1",
	        .kind = "EndpointSlice",
	        .metadata = {.namespace = sync->object->namespace_name, .labels = sync->labels},
	        .address_type = sync->address_type,
	        .ports = *ports,
	        .endpoints = {.items = ARENA_ARRAY(sync->arena, struct discovery_v1_endpoint, plan->result_count + 1),
	                      .count = plan->result_count},
	};
	for (size_t i = 0; i < plan->result_count; i++)
		slice.endpoints.items[i] = *plan->result[i];
	slice.metadata.generate_name = arena_printf(sync->arena, "%s-", sync->object->name);
	ownership_set(sync->arena, &slice.metadata, sync->object);
	reconcile_create(sync->reconcile, &schema_resource_discovery_v1_endpointslices, sync->object->namespace_name,
	                 &slice, NULL, NULL);
}

// The slices of one list of ports. `slices` are borrowed.
static void apply_group(struct slice_sync *sync, const struct port_group *group, struct api_object **slices,
                        size_t count, bool keep_one)
{
	struct planned_slice *plans = ARENA_ARRAY(sync->arena, struct planned_slice, count + 1);
	size_t added_count;
	for (size_t i = 0; i < count; i++) {
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		plans[i].endpoints = view->endpoints.items;
		plans[i].count = view->endpoints.count;
	}
	struct planned_slice *added =
	        slice_plan(sync->arena, plans, count, group->endpoints, group->count, MAX_ENDPOINTS, &added_count);
	if (keep_one && count)
		plans[0].action = plans[0].count ? SLICE_UPDATE : SLICE_KEEP;
	for (size_t i = 0; i < count; i++) {
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		if (plans[i].action == SLICE_DELETE)
			reconcile_delete(sync->reconcile, slices[i], NULL, NULL);
		else if (plans[i].action == SLICE_UPDATE || !has_labels(&view->metadata.labels, &sync->labels))
			update_slice(sync, slices[i], &group->ports, &plans[i]);
	}
	for (size_t i = 0; i < added_count; i++)
		create_slice(sync, &group->ports, &added[i]);
	if (keep_one && !count)
		create_slice(sync, &group->ports, &(struct planned_slice){0});
}

static bool is_family(const struct api_object *slice, const char *address_type)
{
	const struct discovery_v1_endpoint_slice *view = slice->view;
	return view->address_type && strcmp(view->address_type, address_type) == 0;
}

// Takes the family's slices with these ports out of `slices` (leaving NULL behind).
static struct api_object **take_slices(struct slice_sync *sync, struct api_object **slices, size_t count,
                                       const char *key, size_t *ret_count)
{
	struct api_object **taken = ARENA_ARRAY(sync->arena, struct api_object *, count + 1);
	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!slices[i] || !is_family(slices[i], sync->address_type))
			continue;
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		if (key && strcmp(ports_key(sync->arena, &view->ports), key) != 0)
			continue;
		taken[(*ret_count)++] = slices[i];
		slices[i] = NULL;
	}
	return taken;
}

static void apply_family(struct slice_sync *sync, struct api_object **slices, size_t count)
{
	size_t taken;
	collect(sync);
	for (size_t i = 0; i < sync->group_count; i++) {
		struct api_object **own = take_slices(sync, slices, count, sync->groups[i].key, &taken);
		apply_group(sync, &sync->groups[i], own, taken, false);
	}
	if (sync->group_count)
		return;
	struct port_group empty = {.key = ""};
	struct api_object **own = take_slices(sync, slices, count, NULL, &taken);
	apply_group(sync, &empty, own, taken, true);
}

static struct api_object **find_slices(struct slice_sync *sync, size_t *ret_count)
{
	size_t found;
	struct api_object *const *objects =
	        informer_by_index(sync->state->slices, "service", sync->object->name, &found);
	struct api_object **own = ARENA_ARRAY(sync->arena, struct api_object *, found + 1);
	*ret_count = 0;
	for (size_t i = 0; i < found; i++)
		if (strcmp(objects[i]->namespace_name, sync->object->namespace_name) == 0 && is_ours(objects[i]) &&
		    !api_object_metadata(objects[i])->deletion_timestamp)
			own[(*ret_count)++] = objects[i];
	return own;
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
	        .reconcile = reconcile,
	        .arena = reconcile_arena(reconcile),
	        .object = object,
	        .service = object->view,
	};
	sync.labels = wanted_labels(sync.arena, sync.service);
	sync.pods = service_pods(sync.arena, state->pods, object, true, &sync.pod_count);
	struct api_object **slices = find_slices(&sync, &count);
	const struct string_array *families = &sync.service->spec.ip_families;
	for (size_t i = 0; i < (families->count ? families->count : 1); i++) {
		sync.address_type = families->count ? families->items[i] : "IPv4";
		apply_family(&sync, slices, count);
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
