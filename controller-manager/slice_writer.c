// SPDX-License-Identifier: Apache-2.0
// Endpoints with the same ports share slices. For each list of ports slice_plan says
// which slices change; this turns its plan into patches, creations and deletions.
// Slices of an address type or of ports that are no longer wanted stay behind in the
// caller's array, which deletes them.

#include "controller-manager/slice_writer.h"

#include <stdlib.h>
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "controller-manager/ownership.h"
#include "controller-manager/slice_plan.h"

enum { MAX_ENDPOINTS = 100 };

// --- ports -----------------------------------------------------------------------------------

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

struct port_group *port_group_of(struct arena *arena, struct port_group *groups, size_t *count,
                                 const struct discovery_v1_endpoint_port_array *ports)
{
	const char *key = ports_key(arena, ports);
	for (size_t i = 0; i < *count; i++)
		if (strcmp(groups[i].key, key) == 0)
			return &groups[i];
	struct port_group *group = &groups[(*count)++];
	*group = (struct port_group){.key = key, .ports = *ports};
	return group;
}

struct discovery_v1_endpoint *port_group_add(struct arena *arena, struct port_group *group)
{
	if (group->count == group->capacity) {
		size_t larger = group->capacity ? group->capacity * 2 : 4;
		group->endpoints = arena_realloc(arena, group->endpoints, group->capacity * sizeof(*group->endpoints),
		                                 larger * sizeof(*group->endpoints));
		group->capacity = larger;
	}
	return &group->endpoints[group->count++];
}

// --- writing -----------------------------------------------------------------------------------

static struct json *labels_patch(struct slice_writer *writer, const struct string_map *present)
{
	struct json *labels = json_object(writer->arena);
	for (size_t i = 0; i < present->count; i++)
		if (!string_map_get(&writer->labels, present->entries[i].key))
			json_set(writer->arena, labels, present->entries[i].key, json_null(writer->arena));
	for (size_t i = 0; i < writer->labels.count; i++)
		json_set_text(writer->arena, labels, writer->labels.entries[i].key, writer->labels.entries[i].value);
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

static void update_slice(struct slice_writer *writer, const struct api_object *slice,
                         const struct discovery_v1_endpoint_port_array *ports, const struct planned_slice *plan)
{
	struct json *patch = json_object(writer->arena);
	json_set(writer->arena, json_ensure_object(writer->arena, patch, "metadata"), "labels",
	         labels_patch(writer, &api_object_metadata(slice)->labels));
	json_set(writer->arena, patch, "endpoints", endpoints_json(writer->arena, plan));
	json_set(writer->arena, patch, "ports", ports_json(writer->arena, ports));
	reconcile_patch(writer->reconcile, slice, NULL, REST_MERGE_PATCH, patch, true, NULL, NULL);
}

static void create_slice(struct slice_writer *writer, const struct discovery_v1_endpoint_port_array *ports,
                         const struct planned_slice *plan)
{
	struct discovery_v1_endpoint_slice slice = {
	        .api_version = "discovery.k8s.io/v1",
	        .kind = "EndpointSlice",
	        .metadata = {.namespace = writer->owner->namespace_name, .labels = writer->labels},
	        .address_type = writer->address_type,
	        .ports = *ports,
	        .endpoints = {.items = ARENA_ARRAY(writer->arena, struct discovery_v1_endpoint, plan->result_count + 1),
	                      .count = plan->result_count},
	};
	for (size_t i = 0; i < plan->result_count; i++)
		slice.endpoints.items[i] = *plan->result[i];
	slice.metadata.generate_name = arena_printf(writer->arena, "%s-", writer->owner->name);
	ownership_set(writer->arena, &slice.metadata, writer->owner);
	reconcile_create(writer->reconcile, &schema_resource_discovery_v1_endpointslices, writer->owner->namespace_name,
	                 &slice, NULL, NULL);
}

// The slices of one list of ports. `slices` are borrowed.
static void apply_group(struct slice_writer *writer, const struct port_group *group, struct api_object **slices,
                        size_t count, bool keep_one)
{
	struct planned_slice *plans = ARENA_ARRAY(writer->arena, struct planned_slice, count + 1);
	size_t added_count;
	for (size_t i = 0; i < count; i++) {
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		plans[i].endpoints = view->endpoints.items;
		plans[i].count = view->endpoints.count;
	}
	struct planned_slice *added =
	        slice_plan(writer->arena, plans, count, group->endpoints, group->count, MAX_ENDPOINTS, &added_count);
	if (keep_one && count)
		plans[0].action = plans[0].count ? SLICE_UPDATE : SLICE_KEEP;
	for (size_t i = 0; i < count; i++) {
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		if (plans[i].action == SLICE_DELETE)
			reconcile_delete(writer->reconcile, slices[i], NULL, NULL);
		else if (plans[i].action == SLICE_UPDATE || !string_map_equal(&view->metadata.labels, &writer->labels))
			update_slice(writer, slices[i], &group->ports, &plans[i]);
	}
	for (size_t i = 0; i < added_count; i++)
		create_slice(writer, &group->ports, &added[i]);
	if (keep_one && !count)
		create_slice(writer, &group->ports, &(struct planned_slice){0});
}

static bool is_family(const struct api_object *slice, const char *address_type)
{
	const struct discovery_v1_endpoint_slice *view = slice->view;
	return view->address_type && strcmp(view->address_type, address_type) == 0;
}

// Takes the family's slices with these ports out of `slices` (leaving NULL behind).
static struct api_object **take_slices(struct slice_writer *writer, struct api_object **slices, size_t count,
                                       const char *key, size_t *ret_count)
{
	struct api_object **taken = ARENA_ARRAY(writer->arena, struct api_object *, count + 1);
	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (!slices[i] || !is_family(slices[i], writer->address_type))
			continue;
		const struct discovery_v1_endpoint_slice *view = slices[i]->view;
		if (key && strcmp(ports_key(writer->arena, &view->ports), key) != 0)
			continue;
		taken[(*ret_count)++] = slices[i];
		slices[i] = NULL;
	}
	return taken;
}

void slice_writer_apply(struct slice_writer *writer, const struct port_group *groups, size_t group_count,
                        struct api_object **slices, size_t slice_count, bool keep_one)
{
	size_t taken;
	for (size_t i = 0; i < group_count; i++) {
		struct api_object **own = take_slices(writer, slices, slice_count, groups[i].key, &taken);
		apply_group(writer, &groups[i], own, taken, false);
	}
	if (group_count || !keep_one)
		return;
	struct port_group empty = {.key = ""};
	struct api_object **own = take_slices(writer, slices, slice_count, NULL, &taken);
	apply_group(writer, &empty, own, taken, true);
}

// --- finding ---------------------------------------------------------------------------------

bool slice_is_managed_by(const struct api_object *slice, const char *manager)
{
	const char *label = string_map_get(&api_object_metadata(slice)->labels, SLICE_MANAGER_LABEL);
	return label && strcmp(label, manager) == 0;
}

void slice_index_by_service(const struct api_object *slice, struct informer_index_values *values)
{
	const char *name = string_map_get(&api_object_metadata(slice)->labels, SLICE_SERVICE_LABEL);
	if (name && values->count < values->capacity)
		values->items[values->count++] = name;
}

struct api_object **slices_of(struct arena *arena, const struct informer *slices, const char *namespace_name,
                              const char *service, const char *manager, size_t *ret_count)
{
	size_t found;
	struct api_object *const *objects = informer_by_index(slices, SLICE_SERVICE_INDEX, service, &found);
	struct api_object **own = ARENA_ARRAY(arena, struct api_object *, found + 1);
	*ret_count = 0;
	for (size_t i = 0; i < found; i++)
		if (strcmp(objects[i]->namespace_name, namespace_name) == 0 &&
		    slice_is_managed_by(objects[i], manager) && !api_object_metadata(objects[i])->deletion_timestamp)
			own[(*ret_count)++] = objects[i];
	return own;
}
